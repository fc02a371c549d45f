"""The jobs: a revision is its own job, leased to one owner at a time; what a worker made of it enters in one commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.changes import move, store, tell
from dicom_node.lifecycle import Event, State, advance
from dicom_node.outbox import Outbox, enqueue_results, settle_held
from dicom_node.records import Job, JobKind, NodeEvent, RenderedObject, Status
from dicom_node.tables import revisions, series
from medqa.config import RoutingSettings
from medqa.errors import JobLost

WAITS_FOR: Final = MappingProxyType({JobKind.JUDGE: State.READY, JobKind.RENDER: State.JUDGED})
"""The state in which a revision waits for a kind of job."""


class Jobs(Outbox):
    """The questions of workers and renderers; a part of the `Catalogue`."""

    routing: RoutingSettings

    def claim(self, kind: JobKind, owner: str, lease_s: float) -> Job | None:
        """Lease the oldest revision that waits for `kind` and that nobody holds; the attempt is counted now."""
        return self._claim(kind, owner, lease_s)

    def claim_series(self, kind: JobKind, series_uid: str, owner: str, lease_s: float) -> Job | None:
        """Lease the oldest waiting revision of one series."""
        return self._claim(kind, owner, lease_s, series_uid)

    def heartbeat(self, job: Job, lease_s: float) -> Job:
        """Prolong a lease.

        Raises
        ------
        JobLost
            Another holds it, more objects arrived, or it is done.
        """
        until = self.clock() + lease_s
        with self.database.write() as connection:
            _holding(connection, job)
            move(connection, job.revision_id, {"lease_until": until}, release=False)
        return dataclasses.replace(job, lease_until=until)

    def release(self, job: Job) -> None:
        """Give a lease back undone (drain); the attempt does not count."""
        with self.database.write() as connection:
            row = _holding(connection, job)
            move(connection, job.revision_id, {"owner": None, "lease_until": None, "attempts": row.attempts - 1}, release=False)

    def end_leases(self, owner: str) -> int:
        """End what an earlier process of this name left leased (there is one at a time); the attempts stay counted."""
        held = sa.and_(revisions.c.owner == owner, revisions.c.lease_until.is_not(None))
        with self.database.write() as connection:
            change = sa.update(revisions).where(held).values(owner=None, lease_until=None)
            return int(connection.execute(change).rowcount)

    def finish_judging(
        self,
        job: Job,
        document: Mapping[str, Any],
        *,
        verdict: str | None,
        reason: str | None = None,
        events: Sequence[NodeEvent] = (),
    ) -> State:
        """Store the FINAL assessment, its event, and what the rules make of held originals, in one commit: READY -> JUDGED.

        Without a verdict (nothing to judge; `reason` says why) READY -> NOT_JUDGED. The noted attempts are cleared.

        Raises
        ------
        JobLost
            Another holds the lease, or more objects arrived: judge again. Nothing was written.
        """
        now = self.clock()
        with self.database.write() as connection:
            row = _holding(connection, job)
            event = Event.JUDGED if verdict is not None else Event.SET_ASIDE
            state = advance(State(row.state), event)
            store(connection, row, Status.FINAL, document, verdict, row.instances, now)
            held = settle_held(connection, series_id=row.series_id, verdict=verdict, now=now)
            move(connection, row.id, {"state": state, "queued_at": now, "noted": 0, "reason": reason})
            for one in events:
                tell(connection, now, one.kind, row.series_id, row.revision, one.data)
            kind = "verdict" if verdict is not None else "not_judged"
            tell(connection, now, kind, row.series_id, row.revision, {"verdict": verdict, "reason": reason, "held": held})
        return state

    def finish_rendering(self, job: Job, objects: Sequence[RenderedObject]) -> State:
        """Queue our objects for the results destination in one commit: JUDGED -> RENDERED (-> DELIVERED where there is none).

        Raises
        ------
        JobLost
            Another holds the lease. Nothing was written.
        """
        now = self.clock()
        destination = self.routing.results
        with self.database.write() as connection:
            row = _holding(connection, job)
            state = advance(State(row.state), Event.RENDERED)
            tell(connection, now, "rendered", row.series_id, row.revision, {"objects": len(objects)})
            if destination is not None and objects:
                enqueue_results(
                    connection,
                    self.database.dialect,
                    destination,
                    objects,
                    series_id=row.series_id,
                    revision=row.revision,
                    relative=self._relative,
                    now=now,
                )
            else:
                state = advance(state, Event.DELIVERED)
            move(connection, row.id, {"state": state, "queued_at": now})
        return state

    def give_up(self, job: Job, reason: str) -> State:
        """End rendering without a report: JUDGED -> FAILED with its reason (a code and text without patient data)."""
        now = self.clock()
        with self.database.write() as connection:
            row = _holding(connection, job)
            state = advance(State(row.state), Event.GAVE_UP)
            move(connection, row.id, {"state": state, "queued_at": now, "reason": reason})
            tell(connection, now, "failed", row.series_id, row.revision, {"reason": reason})
        return state

    def _claim(self, kind: JobKind, owner: str, lease_s: float, series_uid: str | None = None) -> Job | None:
        now = self.clock()
        waiting = (
            sa.select(revisions.c.id)
            .where(revisions.c.state == WAITS_FOR[kind], sa.or_(revisions.c.lease_until.is_(None), revisions.c.lease_until <= now))
            .order_by(revisions.c.queued_at, revisions.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)  # PostgreSQL; SQLite holds the write lock already
        )
        if series_uid is not None:
            waiting = waiting.where(
                revisions.c.series_id == sa.select(series.c.id).where(series.c.uid == series_uid).scalar_subquery()
            )
        change = (
            sa.update(revisions)
            .where(revisions.c.id == waiting.scalar_subquery())
            .values(owner=owner, lease_until=now + lease_s, attempts=revisions.c.attempts + 1)
            .returning(revisions.c.id, revisions.c.series_id, revisions.c.revision, revisions.c.attempts)
        )
        with self.database.read() as connection:  # an idle worker asks often, and takes no lock for it
            if connection.execute(waiting).first() is None:
                return None
        with self.database.write() as connection:
            row = connection.execute(change).first()
            if row is None:
                return None
            uid = connection.execute(sa.select(series.c.uid).where(series.c.id == row.series_id)).scalar_one()
        return Job(
            kind=kind,
            series_uid=uid,
            revision=row.revision,
            revision_id=row.id,
            owner=owner,
            attempts=row.attempts,
            lease_until=now + lease_s,
        )

    def _relative(self, path: Path) -> str:
        path = path.resolve()
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def _holding(connection: sa.Connection, job: Job) -> sa.Row[Any]:
    """Return the revision of a job that is still this owner's; an expired lease that nobody else took still counts."""
    row = connection.execute(sa.select(revisions).where(revisions.c.id == job.revision_id)).first()
    if row is None or row.state != WAITS_FOR[job.kind]:
        raise JobLost(reason="more objects arrived, or it is done already")
    if row.owner != job.owner or row.attempts != job.attempts:
        raise JobLost(reason="another process holds it")
    return row
