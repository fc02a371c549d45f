"""The catalogue: every question and every transaction of the node.

A transaction that writes begins with BEGIN IMMEDIATE and a busy timeout, and never spans computation; a commit is durable
(WAL, synchronous=FULL). Every process opens its own `Catalogue`; threads may share one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from dicom_node.lifecycle import State
from dicom_node.records import (
    Arrival,
    Job,
    JobKind,
    NodeEvent,
    OutboxRow,
    RenderedObject,
    SeriesRecord,
    Status,
    StoredAssessment,
    StoredInstance,
)
from medqa.config import RoutingSettings, Settings


class Catalogue:
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
        raise NotImplementedError

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], float] = time.time) -> Self:
        """Make the folder, bring the tables up to date (safe from several processes at once) and open."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every connection."""
        raise NotImplementedError

    # ---- receiving -------------------------------------------------------------------------------------------------------

    def association_opened(self, *, sender: str, address: str, listener: str) -> int:
        """Note that an association was accepted; return its id."""
        raise NotImplementedError

    def association_closed(self, association: int, ending: str, *, received: int, answered: int) -> None:
        """Note how an association ended (`released`, `aborted`), and how many C-STORE came and were answered with success."""
        raise NotImplementedError

    def close_stale_associations(self, listener: str) -> int:
        """End, as aborted, what other incarnations of the listener left open; return how many."""
        raise NotImplementedError

    def copies_of(self, series_uid: str, sop_instance_uid: str) -> list[StoredInstance]:
        """Return what is stored under a SOP Instance UID of a series, first copy first."""
        raise NotImplementedError

    def record_received(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Enter objects whose bytes are durable, in one commit; return their ids. A late one opens revision n + 1."""
        raise NotImplementedError

    # ---- following -------------------------------------------------------------------------------------------------------

    def open_series(self, *, judged: bool | None = True) -> list[SeriesRecord]:
        """Return every RECEIVING revision; by default only those that hold something to judge (None: all)."""
        raise NotImplementedError

    def series(self, series_uid: str, revision: int | None = None) -> SeriesRecord | None:
        """Return one revision of a series, by default the newest."""
        raise NotImplementedError

    def all_series(self, *, after_id: int = 0, limit: int = 1000) -> list[SeriesRecord]:
        """Return revisions in the order in which they were opened."""
        raise NotImplementedError

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
        raise NotImplementedError

    def mark_complete(
        self, series_uid: str, revision: int, *, reason: str, evidence: Mapping[str, Any], last_id: int | None = None
    ) -> State:
        """RECEIVING -> READY (or NOT_JUDGED where nothing is to judge), and queue the originals as the rules say; one commit.

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
        raise NotImplementedError

    def note_attempt(self, series_uid: str, revision: int) -> int:
        """Durably note that decoding begins; return how many attempts are noted now (1 the first time)."""
        raise NotImplementedError

    def clear_attempt(self, series_uid: str, revision: int) -> None:
        """Note that the scorer concluded, or stopped in order."""
        raise NotImplementedError

    def noted_series(self) -> list[SeriesRecord]:
        """Return the RECEIVING and READY revisions whose last attempt was not cleared: at start, those a process died with."""
        raise NotImplementedError

    def store_provisional(
        self, series_uid: str, revision: int, document: Mapping[str, Any], *, verdict: str | None, instances: int
    ) -> None:
        """Store (or replace) the PROVISIONAL assessment of a RECEIVING revision, with an event `provisional`.

        Raises
        ------
        JobLost
            The revision has moved on.
        """
        raise NotImplementedError

    def add_event(self, event: NodeEvent, *, once: bool = False) -> bool:
        """Enter an event; with `once`, only if the series has none of this kind and `data["cause"]` yet. Return whether it was entered."""
        raise NotImplementedError

    # ---- jobs ------------------------------------------------------------------------------------------------------------

    def claim(self, kind: JobKind, owner: str, lease_s: float) -> Job | None:
        """Lease the oldest revision that waits for `kind` and that nobody holds; the attempt is counted now."""
        raise NotImplementedError

    def claim_series(self, kind: JobKind, series_uid: str, owner: str, lease_s: float) -> Job | None:
        """Lease the oldest waiting revision of one series."""
        raise NotImplementedError

    def heartbeat(self, job: Job, lease_s: float) -> Job:
        """Prolong a lease.

        Raises
        ------
        JobLost
            Another holds it, more objects arrived, or it is done.
        """
        raise NotImplementedError

    def release(self, job: Job) -> None:
        """Give a lease back undone (drain); the attempt does not count."""
        raise NotImplementedError

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
        raise NotImplementedError

    def finish_rendering(self, job: Job, objects: Sequence[RenderedObject]) -> State:
        """Queue our objects for the results destination in one commit: JUDGED -> RENDERED (-> DELIVERED where there is none).

        Raises
        ------
        JobLost
            Another holds the lease. Nothing was written.
        """
        raise NotImplementedError

    def give_up(self, job: Job, reason: str) -> State:
        """End rendering without a report: JUDGED -> FAILED with its reason (a code and text without patient data)."""
        raise NotImplementedError

    def assessment(self, series_uid: str, revision: int | None = None, status: Status | None = None) -> StoredAssessment | None:
        """Return an assessment of a revision (by default the newest that has one), FINAL before PROVISIONAL."""
        raise NotImplementedError

    def verdicts(self, after_id: int = 0, *, status: Status = Status.FINAL, limit: int = 1000) -> list[StoredAssessment]:
        """Return assessments in the order in which they were stored."""
        raise NotImplementedError

    def events_since(self, after_id: int, limit: int = 1000) -> list[NodeEvent]:
        """Return events newer than an id, oldest first."""
        raise NotImplementedError

    # ---- sending ---------------------------------------------------------------------------------------------------------

    def outbox_of(self, series_uid: str) -> list[OutboxRow]:
        """Return every outbox row of a series."""
        raise NotImplementedError
