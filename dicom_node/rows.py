"""How the rows of the catalogue are selected, and become records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dicom_node.lifecycle import State
from dicom_node.records import SeriesRecord, Status, StoredAssessment, StoredInstance
from dicom_node.tables import assessments, associations, instances, revisions, series


def stored() -> sa.Select[Any]:
    """Select objects with their series."""
    return sa.select(instances, series.c.uid, series.c.study_uid).join(series, series.c.id == instances.c.series_id)


def assessed() -> sa.Select[Any]:
    """Select assessments with their series."""
    return sa.select(assessments, series.c.uid, series.c.study_uid, series.c.key).join(
        series, series.c.id == assessments.c.series_id
    )


def recorded() -> sa.Select[Any]:
    """Select revisions with their series and how their sender stands."""
    same = sa.and_(associations.c.sender == revisions.c.sender, associations.c.address == revisions.c.address)
    still_open = sa.select(sa.func.count()).where(same, associations.c.closed_at.is_(None)).scalar_subquery()
    released = sa.select(sa.func.max(associations.c.closed_at)).where(same, associations.c.ending == "released").scalar_subquery()
    columns = (series.c.uid, series.c.study_uid, series.c.key, series.c.modality)
    counted = (still_open.label("open_associations"), released.label("last_released"))
    return sa.select(revisions, *columns, *counted).join(series, series.c.id == revisions.c.series_id)


def record(row: sa.RowMapping) -> SeriesRecord:
    """Return the record of a row of `recorded`."""
    declared = json.loads(row["declared"])
    return SeriesRecord(
        id=row["id"],
        series_uid=row["uid"],
        study_uid=row["study_uid"],
        key=row["key"],
        modality=row["modality"],
        revision=row["revision"],
        state=State(row["state"]),
        judged=row["judged"],
        instances=row["instances"],
        others=row["others"],
        frames=row["frames"],
        declared=sum(declared.values()) if declared else None,
        first_received=row["first_received"],
        last_received=row["last_received"],
        last_id=row["last_instance"],
        sender=row["sender"],
        address=row["address"],
        open_associations=row["open_associations"],
        last_released=row["last_released"],
        noted=row["noted"],
        completed_at=row["completed_at"],
        completion_reason=row["completion_reason"],
        completion_evidence=json.loads(row["completion_evidence"] or "{}"),
        reason=row["reason"],
        conflicts=row["conflicts"],
    )


def assessment(row: sa.RowMapping) -> StoredAssessment:
    """Return the record of a row of `assessed`."""
    return StoredAssessment(
        id=row["id"],
        series_uid=row["uid"],
        study_uid=row["study_uid"],
        key=row["key"],
        revision=row["revision"],
        status=Status(row["status"]),
        verdict=row["verdict"],
        document=json.loads(row["document"]),
        made_at=row["made_at"],
        instances=row["instances"],
    )


def instance(row: sa.RowMapping, root: Path) -> StoredInstance:
    """Return the record of a row of `stored`."""
    return StoredInstance(
        id=row["id"],
        series_uid=row["uid"],
        study_uid=row["study_uid"],
        sop_instance_uid=row["sop_uid"],
        sop_class_uid=row["class_uid"],
        path=root / row["path"],
        size=row["size"],
        crc=row["crc"],
        transfer_syntax=row["transfer_syntax"],
        received_at=row["received_at"],
        association=row["association"],
        revision=row["revision"],
        judged=row["judged"],
        own=row["own"],
        conflict=row["conflict"],
        copy=row["copy"],
        instance_number=row["number"],
        frames=row["frames"],
    )
