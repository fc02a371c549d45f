"""What one commit of received objects does to the series that they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from dicom_node.changes import tell
from dicom_node.lifecycle import GATHERING, Event, State, advance
from dicom_node.records import Arrival
from dicom_node.tables import associations, instances, revisions, series


def key_of(uid: str) -> str:
    """Return the short hash by which logs and webhooks name a UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def enter(connection: sa.Connection, arrivals: Sequence[Arrival], now: float) -> list[int]:
    """Enter a batch; return the ids of its instances in its order.

    Objects that come while the revision still gathers join it (and take a READY one back to RECEIVING); after a final verdict
    the first late one opens the next revision.
    """
    groups: dict[str, list[int]] = {}
    for index, arrival in enumerate(arrivals):
        groups.setdefault(arrival.series_uid, []).append(index)
    senders = _senders(connection, {arrival.association for arrival in arrivals})
    ids = [0] * len(arrivals)
    for uid, indices in groups.items():
        members = [arrivals[index] for index in indices]
        current = _current(connection, uid, members[0], now, senders)
        entered = _insert(connection, current.series_id, current.revision, members, now)
        _count(connection, current, members, entered[-1], now, senders[members[-1].association])
        for index, row in zip(indices, entered, strict=True):
            ids[index] = row
    return ids


@dataclass(kw_only=True)
class _Current:
    """The revision that a batch joins."""

    id: int
    series_id: int
    revision: int
    state: State
    judged: bool
    declared: dict[str, int] = field(default_factory=dict)


def _senders(connection: sa.Connection, ids: set[int]) -> dict[int, tuple[str, str]]:
    query = sa.select(associations.c.id, associations.c.sender, associations.c.address).where(associations.c.id.in_(ids))
    return {row.id: (row.sender, row.address) for row in connection.execute(query)}


def _current(connection: sa.Connection, uid: str, first: Arrival, now: float, senders: dict[int, tuple[str, str]]) -> _Current:
    known = connection.execute(sa.select(series.c.id).where(series.c.uid == uid)).first()
    if known is None:
        row = {"uid": uid, "study_uid": first.study_uid, "key": key_of(uid), "modality": first.modality or ""}
        series_id = connection.execute(sa.insert(series).returning(series.c.id), row).scalar_one()
        return _open(connection, series_id, 1, None, now, senders[first.association])
    newest = connection.execute(
        sa.select(revisions).where(revisions.c.series_id == known.id).order_by(revisions.c.revision.desc()).limit(1)
    ).one()
    if newest.state not in GATHERING:
        data = {"superseded": newest.revision, "state": newest.state}
        tell(connection, now, "late", known.id, newest.revision + 1, data)
        return _open(connection, known.id, newest.revision + 1, newest, now, senders[first.association])
    return _Current(
        id=newest.id,
        series_id=known.id,
        revision=newest.revision,
        state=State(newest.state),
        judged=newest.judged,
        declared=json.loads(newest.declared),
    )


def _open(connection: sa.Connection, series_id: int, revision: int, before: Any, now: float, sender: tuple[str, str]) -> _Current:
    """Start a revision with what the one before it counted."""
    kept = ("instances", "others", "frames", "conflicts")
    values = {name: 0 if before is None else getattr(before, name) for name in kept}
    declared = "{}" if before is None else before.declared
    values |= {"series_id": series_id, "revision": revision, "state": State.RECEIVING, "judged": False, "declared": declared}
    values |= {"first_received": now, "last_received": now, "last_instance": 0, "sender": sender[0], "address": sender[1]}
    values |= {"noted": 0, "attempts": 0, "queued_at": now}
    row = connection.execute(sa.insert(revisions).returning(revisions.c.id), values).scalar_one()
    return _Current(
        id=row, series_id=series_id, revision=revision, state=State.RECEIVING, judged=False, declared=json.loads(declared)
    )


def _insert(connection: sa.Connection, series_id: int, revision: int, members: Sequence[Arrival], now: float) -> list[int]:
    rows = [
        {
            "series_id": series_id,
            "revision": revision,
            "sop_uid": one.sop_instance_uid,
            "copy": one.copy,
            "class_uid": one.sop_class_uid,
            "path": one.path,
            "size": one.size,
            "crc": one.crc,
            "transfer_syntax": one.transfer_syntax,
            "received_at": now,
            "association": one.association,
            "judged": one.judged,
            "own": one.own,
            "conflict": one.conflict,
            "number": one.instance_number,
            "frames": one.frames,
        }
        for one in members
    ]
    statement = sa.insert(instances).returning(instances.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, rows))


def _count(
    connection: sa.Connection, current: _Current, members: Sequence[Arrival], last: int, now: float, sender: tuple[str, str]
) -> None:
    images = [one for one in members if one.judged and one.copy == 0]
    conflicts = sum(one.conflict for one in members)
    declared = current.declared | {one.part: one.declared for one in images if one.declared is not None}
    connection.execute(
        sa.update(revisions)
        .where(revisions.c.id == current.id)
        .values(
            state=advance(current.state, Event.ARRIVED),
            judged=current.judged or any(one.judged for one in members),
            instances=revisions.c.instances + len(images),
            others=revisions.c.others + sum(not one.judged for one in members),
            frames=revisions.c.frames + sum(one.frames for one in images),
            conflicts=revisions.c.conflicts + conflicts,
            declared=json.dumps(declared),
            last_received=now,
            last_instance=last,
            sender=sender[0],
            address=sender[1],
            owner=None,
            lease_until=None,
            attempts=0,
        )
    )
    modality = next((one.modality for one in images if one.modality), None)
    if modality is not None and not current.judged:
        connection.execute(sa.update(series).where(series.c.id == current.series_id).values(modality=modality))
    if conflicts:
        tell(connection, now, "conflict", current.series_id, current.revision, {"objects": conflicts})
