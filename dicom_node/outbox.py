"""The outbox: what waits to be sent, to whom, since when, and what each destination answered for each object.

`enqueue_originals`, `settle_held` and `enqueue_results` run inside the catalogue's own commits; the rest are the questions of
the delivery process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from dicom_node import rules
from dicom_node.changes import tell
from dicom_node.database import Database, insert_ignoring
from dicom_node.lifecycle import Event, State, advance
from dicom_node.records import OutboxRow, Outgoing, RenderedObject
from dicom_node.tables import associations, destinations, instances, outbox, revisions, series
from medqa.config import RoutingSettings

SETTLED: Final = (Outgoing.SENT, Outgoing.WARNING, Outgoing.DEAD, Outgoing.WITHHELD, Outgoing.SKIPPED)
ORIGINAL: Final = "original"
RESULT: Final = "result"
KINDS: Final = (RESULT, ORIGINAL)
"""In the order in which they are sent: a verdict does not wait behind a backlog of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What became of one outbox row: the destination's answer for this one object."""

    row: int
    state: Outgoing
    status: int | None = None
    reason: str | None = None
    next_try: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A destination that could not be reached: how often in a row, and when to try again."""

    failures: int
    next_try: float
    reason: str | None


def enqueue_originals(
    connection: sa.Connection, dialect: str, routing: RoutingSettings, *, series_id: int, revision: int, modality: str, now: float
) -> list[rules.Forward]:
    """Queue the originals that joined a revision, as the rules say; return the rules that applied."""
    chosen = rules.forwards(routing, modality)
    if not chosen:
        return []
    senders = connection.execute(
        sa.select(associations.c.id, associations.c.sender, associations.c.address).where(
            associations.c.id.in_(
                sa.select(instances.c.association)
                .where(instances.c.series_id == series_id, instances.c.revision == revision)
                .distinct()
            )
        )
    ).all()
    for forward in chosen:
        destination = routing.destinations.get(forward.destination)
        back = [row.id for row in senders if destination is not None and rules.came_from(row.sender, row.address, destination)]
        skipped: sa.ColumnElement[bool] = instances.c.association.in_(back)
        if forward.destination == routing.results:
            skipped = sa.or_(skipped, instances.c.own)
        held = forward.until != rules.AT_COMPLETION
        state = sa.case((skipped, Outgoing.SKIPPED), else_=Outgoing.HELD if held else Outgoing.DUE)
        chosen_rows = sa.select(
            sa.literal(ORIGINAL),
            sa.literal(forward.destination),
            instances.c.series_id,
            sa.literal(revision),
            instances.c.sop_uid,
            instances.c.class_uid,
            instances.c.transfer_syntax,
            instances.c.path,
            state,
            sa.literal(forward.until),
            sa.literal(now + routing.hold_limit_s if held else None, sa.Float),
            sa.literal(now),
            sa.literal(0),
            sa.case((skipped, "it came from there"), else_=forward.why),
            sa.literal(now),
        ).where(instances.c.series_id == series_id, instances.c.revision == revision)
        columns = ["kind", "destination", "series_id", "revision", "sop_uid", "class_uid", "transfer_syntax", "path"]
        columns += ["state", "until", "release_at", "next_try", "attempts", "reason", "queued_at"]
        connection.execute(insert_ignoring(dialect, outbox).from_select(columns, chosen_rows.order_by(instances.c.id)))
    return list(chosen)


def settle_held(connection: sa.Connection, *, series_id: int, verdict: str | None, now: float) -> dict[str, int]:
    """Release or withhold the held originals of a series, earlier revisions included, now that it has a verdict or can get none.

    Returns how many went into which state.
    """
    settled: dict[str, int] = {}
    for until in (rules.AT_VERDICT, rules.AT_ADEQUATE):
        state, reason = rules.at_verdict(until, verdict)
        change = (
            sa.update(outbox)
            .where(
                outbox.c.series_id == series_id,
                outbox.c.kind == ORIGINAL,
                outbox.c.state.in_((Outgoing.HELD, Outgoing.WITHHELD)),
                outbox.c.until == until,
            )
            .values(state=state, reason=reason, next_try=now)
        )
        if count := connection.execute(change).rowcount:
            settled[state] = settled.get(state, 0) + count
    return settled


def enqueue_results(
    connection: sa.Connection,
    dialect: str,
    destination: str,
    objects: Sequence[RenderedObject],
    *,
    series_id: int,
    revision: int,
    relative: Callable[[Path], str],
    now: float,
) -> None:
    """Queue objects of ours for the destination of the results."""
    rows = [
        {
            "kind": RESULT,
            "destination": destination,
            "series_id": series_id,
            "revision": revision,
            "sop_uid": one.sop_instance_uid,
            "class_uid": one.sop_class_uid,
            "transfer_syntax": one.transfer_syntax,
            "path": relative(one.path),
            "state": Outgoing.DUE,
            "until": rules.AT_COMPLETION,
            "next_try": now,
            "attempts": 0,
            "queued_at": now,
        }
        for one in objects
    ]
    connection.execute(insert_ignoring(dialect, outbox), rows)


class Outbox:
    """The questions of the delivery process; a part of the `Catalogue`."""

    database: Database
    root: Path
    clock: Callable[[], float]

    def due_destinations(self, names: Sequence[str]) -> list[str]:
        """Return which of these destinations have something due and are not in back-off."""
        now = self.clock()
        with self.database.read() as connection:
            resting = set(connection.scalars(sa.select(destinations.c.name).where(destinations.c.next_try > now)))
            return [
                name
                for name in names
                if name not in resting and any(connection.execute(_due(name, kind, now).limit(1)).first() for kind in KINDS)
            ]

    def due_outbox(self, destination: str, limit: int = 500) -> list[OutboxRow]:
        """Return what is due for a destination: our own objects first, then originals, each longest-waiting first."""
        now = self.clock()
        found: list[OutboxRow] = []
        with self.database.read() as connection:
            for kind in KINDS:
                query = _due(destination, kind, now).limit(limit - len(found))
                found += [self._outgoing(row) for row in connection.execute(query).mappings()]
        return found

    def outbox_of(self, series_uid: str) -> list[OutboxRow]:
        """Return every outbox row of a series."""
        with self.database.read() as connection:
            query = _rows().where(series.c.uid == series_uid).order_by(outbox.c.id)
            return [self._outgoing(row) for row in connection.execute(query).mappings()]

    def outbox_counts(self) -> dict[tuple[str, str], int]:
        """Return how many rows stand in which state, by destination and state; for a health page, not for a loop."""
        with self.database.read() as connection:
            query = sa.select(outbox.c.destination, outbox.c.state, sa.func.count()).group_by(outbox.c.destination, outbox.c.state)
            return {(name, state): count for name, state, count in connection.execute(query)}

    def outbox_results(self, results: Sequence[SendResult]) -> list[tuple[str, int, State]]:
        """Enter answers, one per object, in one commit.

        Returns
        -------
        list
            Series UID, revision and new state of every revision whose own objects are settled by this.
        """
        now = self.clock()
        if not results:
            return []
        values = [
            {
                "row": one.row,
                "new": one.state,
                "status": one.status,
                "why": one.reason,
                "at": one.next_try,
                "done": None if one.state is Outgoing.DUE else now,
            }
            for one in results
        ]
        change = (
            sa.update(outbox)
            .where(outbox.c.id == sa.bindparam("row"))
            .values(
                state=sa.bindparam("new"),
                last_status=sa.bindparam("status"),
                reason=sa.bindparam("why"),
                next_try=sa.bindparam("at"),
                settled_at=sa.bindparam("done"),
                attempts=outbox.c.attempts + 1,
            )
        )
        with self.database.write() as connection:
            connection.execute(change, values)
            return _settle_revisions(connection, now, [one.row for one in results if one.state in SETTLED])

    def backoff(self, destination: str) -> Backoff:
        """Return whether a destination rests."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(destinations).where(destinations.c.name == destination)).first()
        return (
            Backoff(failures=0, next_try=0.0, reason=None)
            if row is None
            else Backoff(failures=row.failures, next_try=row.next_try, reason=row.reason)
        )

    def destination_failed(self, destination: str, *, reason: str, next_try: float) -> int:
        """Let a destination rest until `next_try`; return how often in a row it has failed."""
        with self.database.write() as connection:
            connection.execute(
                insert_ignoring(self.database.dialect, destinations), {"name": destination, "failures": 0, "next_try": 0.0}
            )
            change = sa.update(destinations).where(destinations.c.name == destination)
            change = change.values(failures=destinations.c.failures + 1, next_try=next_try, reason=reason)
            return int(connection.execute(change.returning(destinations.c.failures)).scalar_one())

    def destination_answered(self, destination: str) -> None:
        """End a destination's rest."""
        with self.database.write() as connection:
            connection.execute(sa.delete(destinations).where(destinations.c.name == destination))

    def release_held(self) -> list[tuple[str, int]]:
        """Let held originals go whose hold limit is over, with or without a worker; return their series and how many."""
        now = self.clock()
        overdue = sa.select(outbox.c.id).where(outbox.c.state == sa.literal_column("'held'"), outbox.c.release_at <= now)
        change = sa.update(outbox).where(outbox.c.id.in_(overdue.scalar_subquery()))
        change = change.values(state=Outgoing.DUE, reason="hold limit", next_try=now)
        with self.database.read() as connection:
            if connection.execute(overdue.limit(1)).first() is None:
                return []
        with self.database.write() as connection:
            freed = list(connection.scalars(change.returning(outbox.c.series_id)))
            names = connection.execute(sa.select(series.c.id, series.c.uid).where(series.c.id.in_(set(freed)))).all()
        return [(row.uid, freed.count(row.id)) for row in names]

    def requeue(self, destination: str) -> int:
        """Make the dead letters of a destination due again; return how many."""
        now = self.clock()
        dead = sa.and_(outbox.c.destination == destination, outbox.c.state == Outgoing.DEAD)
        with self.database.write() as connection:
            again = sa.select(outbox.c.series_id, outbox.c.revision).where(dead, outbox.c.kind == RESULT).distinct()
            for series_id, revision in connection.execute(again).all():
                connection.execute(
                    sa.update(revisions)
                    .where(
                        revisions.c.series_id == series_id,
                        revisions.c.revision == revision,
                        revisions.c.state == State.UNDELIVERED,
                    )
                    .values(state=advance(State.UNDELIVERED, Event.REQUEUED))
                )
            change = sa.update(outbox).where(dead).values(state=Outgoing.DUE, next_try=now, attempts=0, settled_at=None)
            return int(connection.execute(change).rowcount)

    def _outgoing(self, row: Any) -> OutboxRow:
        return OutboxRow(
            id=row["id"],
            kind=row["kind"],
            destination=row["destination"],
            path=self.root / row["path"],
            sop_instance_uid=row["sop_uid"],
            sop_class_uid=row["class_uid"],
            transfer_syntax=row["transfer_syntax"],
            key=row["key"],
            revision=row["revision"],
            attempts=row["attempts"],
            state=Outgoing(row["state"]),
            last_status=row["last_status"],
            reason=row["reason"],
        )


def _rows() -> sa.Select[Any]:
    return sa.select(outbox, series.c.key).join(series, series.c.id == outbox.c.series_id)


def _due(destination: str, kind: str, now: float) -> sa.Select[Any]:
    # the state is a literal, not a parameter: only so can the partial index be used
    due = outbox.c.state == sa.literal_column("'due'")
    query = _rows().where(due, outbox.c.destination == destination, outbox.c.kind == kind, outbox.c.next_try <= now)
    return query.order_by(outbox.c.next_try, outbox.c.id)


def _settle_revisions(connection: sa.Connection, now: float, rows: Sequence[int]) -> list[tuple[str, int, State]]:
    """Move RENDERED revisions whose own objects are all settled."""
    touched = (
        sa.select(revisions.c.id, revisions.c.series_id, revisions.c.revision, series.c.uid)
        .join(series, series.c.id == revisions.c.series_id)
        .join(outbox, sa.and_(outbox.c.series_id == revisions.c.series_id, outbox.c.revision == revisions.c.revision))
        .where(outbox.c.id.in_(rows), outbox.c.kind == RESULT, revisions.c.state == State.RENDERED)
        .distinct()
    )
    moved = []
    for revision in connection.execute(touched).all():
        states = set(
            connection.scalars(
                sa.select(outbox.c.state)
                .where(outbox.c.series_id == revision.series_id, outbox.c.revision == revision.revision, outbox.c.kind == RESULT)
                .distinct()
            )
        )
        if not states <= set(SETTLED):
            continue
        event = Event.GAVE_UP if Outgoing.DEAD in states else Event.DELIVERED
        state = advance(State.RENDERED, event)
        reason = "a destination refused an object for good" if event is Event.GAVE_UP else None
        connection.execute(sa.update(revisions).where(revisions.c.id == revision.id).values(state=state, reason=reason))
        kind = "undelivered" if event is Event.GAVE_UP else "delivered"
        tell(connection, now, kind, revision.series_id, revision.revision, {})
        moved.append((revision.uid, revision.revision, state))
    return moved
