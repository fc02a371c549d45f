"""The catalogue: every question and every transaction of the node.

A transaction that writes begins with BEGIN IMMEDIATE and a busy timeout, and never spans computation; a commit is durable
(WAL, synchronous=FULL). Every process opens its own `Catalogue`; threads may share one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from dicom_node import rows, rules
from dicom_node.arrivals import enter
from dicom_node.changes import dump, move, revision_row, store, tell
from dicom_node.database import Database, insert_ignoring, sqlite_url
from dicom_node.jobs import Jobs
from dicom_node.lifecycle import GATHERING, Event, State, advance
from dicom_node.outbox import enqueue_originals, settle_held
from dicom_node.records import (
    Arrival,
    NodeEvent,
    SeriesRecord,
    Status,
    StoredAssessment,
    StoredInstance,
)
from dicom_node.tables import assessments, associations, cursors, events, instances, revisions, series
from medqa.config import RoutingSettings, Settings
from medqa.errors import JobLost


class Catalogue(Jobs):
    """Ask and change what the node knows.

    Parameters
    ----------
    root
        The storage folder; paths are kept relative to it.
    routing
        The rules, applied inside the commits that complete and judge a series.
    url
        SQLAlchemy URL; by default `catalogue.db` in `root`.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self, root: Path, routing: RoutingSettings | None = None, url: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.root = root.resolve()
        self.routing = routing or RoutingSettings.model_validate({})
        self.clock = clock
        self.database = Database(url or sqlite_url(root))

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], float] = time.time) -> Self:
        """Make the folder, bring the tables up to date (safe from several processes at once) and open.

        Raises
        ------
        InvalidSettings
            A rule names a destination that is not defined.
        """
        rules.check(settings.routing)
        root = settings.node.storage
        root.mkdir(parents=True, exist_ok=True)
        catalogue = cls(root, settings.routing, clock=clock)
        catalogue.database.upgrade(root / "catalogue.lock")
        return catalogue

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    # ---- receiving -------------------------------------------------------------------------------------------------------

    def association_opened(self, *, sender: str, address: str, listener: str) -> int:
        """Note that an association was accepted; return its id."""
        row = {"sender": sender, "address": address, "listener": listener, "opened_at": self.clock()}
        with self.database.write() as connection:
            return int(connection.execute(sa.insert(associations).returning(associations.c.id), row).scalar_one())

    def association_closed(self, association: int, ending: str, *, received: int, answered: int) -> None:
        """Note how an association ended (`released`, `aborted`), and how many C-STORE came and were answered with success."""
        change = sa.update(associations).where(associations.c.id == association, associations.c.closed_at.is_(None))
        change = change.values(closed_at=self.clock(), ending=ending, received=received, answered=answered)
        with self.database.write() as connection:
            connection.execute(change)

    def close_stale_associations(self, listener: str) -> int:
        """End, as aborted, what other incarnations of the listener left open; return how many."""
        stale = sa.and_(associations.c.closed_at.is_(None), associations.c.listener != listener)
        with self.database.write() as connection:
            change = sa.update(associations).where(stale).values(closed_at=self.clock(), ending="aborted")
            return int(connection.execute(change).rowcount)

    def copies_of(self, series_uid: str, sop_instance_uid: str) -> list[StoredInstance]:
        """Return what is stored under a SOP Instance UID of a series, first copy first."""
        query = rows.stored().where(instances.c.sop_uid == sop_instance_uid, series.c.uid == series_uid).order_by(instances.c.copy)
        with self.database.read() as connection:
            return [rows.instance(row, self.root) for row in connection.execute(query).mappings()]

    def record_received(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Enter objects whose bytes are durable, in one commit; return their ids. A late one opens revision n + 1."""
        if not arrivals:
            return []
        now = self.clock()
        with self.database.write() as connection:
            return enter(connection, arrivals, now)

    # ---- following -------------------------------------------------------------------------------------------------------

    def open_series(self, *, judged: bool | None = True) -> list[SeriesRecord]:
        """Return every RECEIVING revision; by default only those that hold something to judge (None: all)."""
        query = rows.recorded().where(revisions.c.state == State.RECEIVING)
        if judged is not None:
            query = query.where(revisions.c.judged == judged)
        return self._series(query.order_by(revisions.c.id))

    def series(self, series_uid: str, revision: int | None = None) -> SeriesRecord | None:
        """Return one revision of a series, by default the newest."""
        query = rows.recorded().where(series.c.uid == series_uid)
        if revision is not None:
            query = query.where(revisions.c.revision == revision)
        found = self._series(query.order_by(revisions.c.revision.desc()).limit(1))
        return found[0] if found else None

    def all_series(self, *, after_id: int = 0, limit: int = 1000) -> list[SeriesRecord]:
        """Return revisions in the order in which they were opened."""
        return self._series(rows.recorded().where(revisions.c.id > after_id).order_by(revisions.c.id).limit(limit))

    def of_study(self, study_uid: str) -> list[SeriesRecord]:
        """Return every revision of the series of a study, in the order in which they were opened."""
        return self._series(rows.recorded().where(series.c.study_uid == study_uid).order_by(revisions.c.id))

    def instances_of(
        self,
        series_uid: str,
        after_id: int = 0,
        *,
        revision: int | None = None,
        judged: bool | None = None,
        limit: int | None = None,
    ) -> list[StoredInstance]:
        """Return the objects of a series in order of arrival, newer than `after_id`, that joined up to `revision`."""
        query = rows.stored().where(series.c.uid == series_uid, instances.c.id > after_id)
        if revision is not None:
            query = query.where(instances.c.revision <= revision)
        if judged is not None:
            query = query.where(instances.c.judged == judged)
        with self.database.read() as connection:
            found = connection.execute(query.order_by(instances.c.id).limit(limit)).mappings()
            return [rows.instance(row, self.root) for row in found]

    def mark_complete(
        self, series_uid: str, revision: int, *, reason: str, evidence: Mapping[str, Any], last_id: int | None = None
    ) -> State:
        """RECEIVING -> READY (NOT_JUDGED where nothing is to judge), and queue the originals as the rules say; one commit.

        Parameters
        ----------
        reason
            `expected count`, `settled`, `settled with a gap`, `overdue`.
        evidence
            What proved it: plain values without patient data.
        last_id
            The newest instance that the caller has seen; `JobLost` is raised where a newer one has arrived.

        Raises
        ------
        JobLost
            More has arrived meanwhile, or the revision is no longer RECEIVING.
        """
        now = self.clock()
        with self.database.write() as connection:
            row = revision_row(connection, series_uid, revision)
            if row is None or row.state != State.RECEIVING:
                raise JobLost(reason="the revision no longer gathers objects")
            if last_id is not None and row.last_instance > last_id:
                raise JobLost(reason="more objects arrived")
            state = advance(State.RECEIVING, Event.COMPLETED if row.judged else Event.SET_ASIDE)
            chosen = enqueue_originals(
                connection,
                self.database.dialect,
                self.routing,
                series_id=row.series_id,
                revision=revision,
                modality=row.modality,
                now=now,
            )
            values: dict[str, Any] = {
                "state": state,
                "completed_at": now,
                "queued_at": now,
                "completion_reason": reason,
                "completion_evidence": dump(evidence),
            }
            if state is State.NOT_JUDGED:
                values["reason"] = "nothing to judge"
                settle_held(connection, series_id=row.series_id, verdict=None, now=now)
            move(connection, row.id, values)
            told = {"reason": reason, "instances": row.instances, "others": row.others}
            told |= {"originals": [f"{one.destination}: {one.until} ({one.why})" for one in chosen]}
            kind = "not_judged" if state is State.NOT_JUDGED else "completed"
            tell(connection, now, kind, row.series_id, revision, told)
        return state

    def note_attempt(self, series_uid: str, revision: int) -> int:
        """Durably note that decoding begins; return how many attempts are noted now (1 the first time)."""
        with self.database.write() as connection:
            row = revision_row(connection, series_uid, revision)
            if row is None:
                raise JobLost(reason="there is no such revision")
            change = sa.update(revisions).where(revisions.c.id == row.id).values(noted=revisions.c.noted + 1)
            return int(connection.execute(change.returning(revisions.c.noted)).scalar_one())

    def clear_attempt(self, series_uid: str, revision: int) -> None:
        """Note that the scorer concluded, or stopped in order."""
        with self.database.write() as connection:
            row = revision_row(connection, series_uid, revision)
            if row is not None and row.noted > 0:
                move(connection, row.id, {"noted": row.noted - 1}, release=False)

    def noted_series(self) -> list[SeriesRecord]:
        """Return the RECEIVING and READY revisions whose last attempt was not cleared: at start, those a process died with."""
        # the comparison with a literal lets the partial index answer
        gathering = revisions.c.state.in_(tuple(GATHERING))
        return self._series(rows.recorded().where(sa.literal_column("revisions.noted > 0"), gathering).order_by(revisions.c.id))

    def store_provisional(
        self, series_uid: str, revision: int, document: Mapping[str, Any], *, verdict: str | None, instances: int
    ) -> None:
        """Store (or replace) the PROVISIONAL assessment of a RECEIVING revision, with an event `provisional`.

        Raises
        ------
        JobLost
            The revision has moved on.
        """
        now = self.clock()
        with self.database.write() as connection:
            row = revision_row(connection, series_uid, revision)
            if row is None or row.state != State.RECEIVING:
                raise JobLost(reason="the revision no longer gathers objects")
            store(connection, row, Status.PROVISIONAL, document, verdict, instances, now)
            tell(connection, now, "provisional", row.series_id, revision, {"verdict": verdict, "instances": instances})

    def add_event(self, event: NodeEvent, *, once: bool = False) -> bool:
        """Enter an event; with `once`, only if its series has none of this kind and `data["cause"]` yet. Tell whether it was."""
        with self.database.write() as connection:
            row = (
                None
                if event.series_uid is None
                else connection.execute(sa.select(series.c.id).where(series.c.uid == event.series_uid)).first()
            )
            series_id = None if row is None else row.id
            if once:
                same = sa.select(events.c.data).where(events.c.series_id == series_id, events.c.kind == event.kind)
                causes = [json.loads(data).get("cause") for data in connection.scalars(same)]
                if event.data.get("cause") in causes:
                    return False
            tell(connection, self.clock(), event.kind, series_id, event.revision, event.data)
            return True

    # ---- asking ----------------------------------------------------------------------------------------------------------

    def assessment(self, series_uid: str, revision: int | None = None, status: Status | None = None) -> StoredAssessment | None:
        """Return an assessment of a revision (by default the newest that has one), FINAL before PROVISIONAL."""
        query = rows.assessed().where(series.c.uid == series_uid)
        if revision is not None:
            query = query.where(assessments.c.revision == revision)
        if status is not None:
            query = query.where(assessments.c.status == status)
        query = query.order_by(assessments.c.revision.desc(), assessments.c.status).limit(1)  # FINAL sorts before PROVISIONAL
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else rows.assessment(row)

    def verdicts(self, after_id: int = 0, *, status: Status = Status.FINAL, limit: int = 1000) -> list[StoredAssessment]:
        """Return assessments in the order in which they were stored."""
        query = rows.assessed().where(assessments.c.status == status, assessments.c.id > after_id)
        with self.database.read() as connection:
            return [rows.assessment(row) for row in connection.execute(query.order_by(assessments.c.id).limit(limit)).mappings()]

    def events_since(self, after_id: int, limit: int = 1000) -> list[NodeEvent]:
        """Return events newer than an id, oldest first."""
        return self._events(events.c.id > after_id, limit)

    def events_of(self, series_uid: str, kind: str) -> list[NodeEvent]:
        """Return the events of one kind of a series, oldest first."""
        return self._events(sa.and_(series.c.uid == series_uid, events.c.kind == kind), None)

    def _events(self, which: sa.ColumnElement[bool], limit: int | None) -> list[NodeEvent]:
        query = sa.select(events, series.c.uid, series.c.key).outerjoin(series, series.c.id == events.c.series_id)
        with self.database.read() as connection:
            return [
                NodeEvent(
                    id=row.id,
                    at=row.at,
                    kind=row.kind,
                    series_uid=row.uid,
                    key=row.key,
                    revision=row.revision,
                    data=json.loads(row.data),
                )
                for row in connection.execute(query.where(which).order_by(events.c.id).limit(limit))
            ]

    def cursor(self, name: str) -> int:
        """Return how far a named reader of the events has come; one that is new starts at the present."""
        with self.database.read() as connection:
            known = connection.execute(sa.select(cursors.c.last_id).where(cursors.c.name == name)).scalar()
            newest = connection.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0
        if known is None:
            self.move_cursor(name, newest)
        return int(newest if known is None else known)

    def move_cursor(self, name: str, last_id: int) -> None:
        """Remember how far a named reader of the events has come."""
        with self.database.write() as connection:
            connection.execute(insert_ignoring(self.database.dialect, cursors), {"name": name, "last_id": last_id})
            connection.execute(sa.update(cursors).where(cursors.c.name == name).values(last_id=last_id))

    def _series(self, query: sa.Select[Any]) -> list[SeriesRecord]:
        with self.database.read() as connection:
            return [rows.record(row) for row in connection.execute(query).mappings()]
