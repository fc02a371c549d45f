"""The single changes of which the catalogue's commits are made; each runs inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from dicom_node.records import Status
from dicom_node.tables import assessments, events, revisions, series


def revision_row(connection: sa.Connection, series_uid: str, revision: int) -> sa.Row[Any] | None:
    """Return the row of a revision with the modality of its series."""
    query = sa.select(revisions, series.c.modality).join(series, series.c.id == revisions.c.series_id)
    return connection.execute(query.where(series.c.uid == series_uid, revisions.c.revision == revision)).first()


def move(connection: sa.Connection, revision_id: int, values: Mapping[str, Any], *, release: bool = True) -> None:
    """Change a revision; with `release`, its lease ends too."""
    freed = {"owner": None, "lease_until": None, "attempts": 0} if release else {}
    connection.execute(sa.update(revisions).where(revisions.c.id == revision_id).values(**freed, **values))


def store(
    connection: sa.Connection,
    row: sa.Row[Any],
    status: Status,
    document: Mapping[str, Any],
    verdict: str | None,
    count: int,
    now: float,
) -> None:
    """Store an assessment; a provisional one makes way, a second final one is refused by the table."""
    connection.execute(
        sa.delete(assessments).where(
            assessments.c.series_id == row.series_id,
            assessments.c.revision == row.revision,
            assessments.c.status == Status.PROVISIONAL,
        )
    )
    values = {"series_id": row.series_id, "revision": row.revision, "status": status, "verdict": verdict}
    values |= {"document": dump(document), "instances": count, "made_at": now}
    connection.execute(sa.insert(assessments), values)


def tell(
    connection: sa.Connection, now: float, kind: str, series_id: int | None, revision: int | None, data: Mapping[str, Any]
) -> None:
    """Enter an event; `data` holds no patient data."""
    row = {"at": now, "kind": kind, "series_id": series_id, "revision": revision, "data": dump(data)}
    connection.execute(sa.insert(events), row)


def dump(document: Mapping[str, Any]) -> str:
    """Return a document as compact JSON."""
    return json.dumps(dict(document), ensure_ascii=False, separators=(",", ":"))
