"""The scorer: one process that owns every open series, judges it while it arrives, and makes its verdict final.

It follows the catalogue, decodes and scores each frame once, concludes when a series seems to be complete (provisional) and
changes that into the final verdict when it is. Nothing here is needed by the listener: if this process dies, objects go on being
received, and the next one goes on from the catalogue.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog

from dicom_node import telemetry
from dicom_node.alone import Alone, Load
from dicom_node.catalogue import Catalogue
from dicom_node.companions import ct_of
from dicom_node.completion import Completion, completion
from dicom_node.evidence import EvidenceCache
from dicom_node.process import Judges, unreadable
from dicom_node.process import document as document_of
from dicom_node.records import Job, JobKind, NodeEvent, SeriesRecord, Status
from dicom_node.streaming import BEHIND_S, Stream
from medqa.assessment import Finding, Verdict
from medqa.config import Settings
from medqa.errors import JobLost, UnreadableSeries
from reports import wording

POLL_S: Final = 0.05
BATCH: Final = 4
"""Frames scored together: small, so that a newcomer waits for little."""
READ_AT_ONCE: Final = 64
"""Headers read in one round, so that a burst does not hold up the frames of other series."""
ADOPT_EVERY_S: Final = 1.0
TELL_EVERY_S: Final = 5.0
DEATHS: Final = 3
"""So many attempts that ended with the whole scorer make a series unreadable; one child process dying of it does so at once."""
UNSAFE: Final = UnreadableSeries.code
OWNER: Final = "scorer"

log = structlog.get_logger(__name__)
Key = tuple[str, int]


class Follower:
    """Follow every open series, one step at a time.

    Parameters
    ----------
    settings
        The whole tree.
    catalogue
        Of this process.
    judges
        What turns frames into assessments.
    cache
        Evidence of an earlier life.
    alone
        Starts a process that judges one revision by itself.
    clock
        Seconds since the epoch, the catalogue's clock.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        judges: Judges,
        cache: EvidenceCache,
        alone: Callable[[SeriesRecord, str], Alone],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._judges = judges
        self._cache = cache
        self._alone = alone
        self._clock = clock
        self._companions = partial(ct_of, catalogue)
        self._streams: dict[Key, Stream] = {}
        self._suspects: list[SeriesRecord] = []
        """Open revisions whose last attempt ended with the process, or with an error: not streamed again."""
        self._running: tuple[Job, SeriesRecord, Alone] | None = None
        self._adopted_at = 0.0

    def step(self) -> bool:
        """Do what is due; return whether there was something to do."""
        busy = self._follow()
        busy |= self._score()
        for stream in list(self._streams.values()):
            busy |= self._guarded(stream, self._conclude)
        self._judge_suspects()
        self._watch()
        self._cache.flush(due=True)
        return busy

    def stop(self) -> None:
        """Stop in order: nothing that is open is suspected of anything."""
        for stream in self._streams.values():
            if stream.noted:
                self._catalogue.clear_attempt(stream.record.series_uid, stream.record.revision)
        if self._running is not None:
            job, record, alone = self._running
            alone.stop()
            with contextlib.suppress(JobLost):
                self._catalogue.release(job)
            self._catalogue.clear_attempt(record.series_uid, record.revision)
        self._cache.close()

    # ---- while it arrives ------------------------------------------------------------------------------------------------

    def _follow(self) -> bool:
        records = {_key(record): record for record in self._catalogue.open_series()}
        for key in self._streams.keys() - records.keys():
            del self._streams[key]
        self._suspects = [record for key, record in records.items() if record.noted and key not in self._streams]
        busy = False
        for key, record in records.items():
            if record.noted and key not in self._streams:
                continue
            stream = self._streams.get(key) or self._new(record)
            stream.record = record
            if record.last_id > stream.last_id:
                busy |= self._guarded(stream, self._read)
        return busy

    def _new(self, record: SeriesRecord) -> Stream:
        judge = self._judges.of(record.modality)
        stream = Stream(record, judge, self._settings, self._cache.get(record.series_uid))
        self._streams[_key(record)] = stream
        return stream

    def _read(self, stream: Stream) -> bool:
        record = stream.record
        self._note(stream)
        new = self._catalogue.instances_of(record.series_uid, stream.last_id, revision=record.revision, limit=READ_AT_ONCE)
        for stored in new:
            self._warn(stream, stream.add(stored))
        return bool(new)

    def _score(self) -> bool:
        waiting = [(since, stream) for stream in self._streams.values() if (since := stream.waiting_since()) is not None]
        if not waiting:
            return False
        since, stream = min(waiting, key=lambda pair: pair[0])
        behind = self._clock() - since > BEHIND_S
        return self._guarded(stream, lambda stream: self._score_one(stream, behind=behind))

    def _score_one(self, stream: Stream, *, behind: bool) -> bool:
        self._note(stream)
        evidence, warnings = stream.score(BATCH, behind=behind)
        self._cache.put(stream.record.series_uid, evidence)
        self._warn(stream, warnings)
        return True

    def _note(self, stream: Stream) -> None:
        if not stream.noted:
            self._catalogue.note_attempt(stream.record.series_uid, stream.record.revision)
            stream.noted = True

    def _warn(self, stream: Stream, warnings: Sequence[Finding]) -> None:
        for warning in warnings:
            data: dict[str, Any] = {"cause": warning.message, "values": dict(warning.values), "modality": stream.record.modality}
            data["text"] = wording.finding_text(warning, self._settings.report.lang)
            if self._catalogue.add_event(_event("live_warning", stream.record, data), once=True):
                log.warning("live_warning", series=stream.record.key, cause=warning.message)

    def _guarded(self, stream: Stream, do: Callable[[Stream], bool]) -> bool:
        """Keep what goes wrong with one series from the others: its attempt stays noted, and it is judged alone once complete."""
        try:
            return do(stream)
        except JobLost:
            return True
        except Exception:
            log.exception("series_suspected", series=stream.record.key)
            self._streams.pop(_key(stream.record), None)
            return True

    # ---- once it is complete ---------------------------------------------------------------------------------------------

    def _conclude(self, stream: Stream) -> bool:
        record = stream.record
        if stream.waiting or record.last_id > stream.last_id:
            return False
        due = completion(record, self._settings.completion, self._clock(), gap=stream.gap)
        if due.provisional and stream.document is None:
            self._note(stream)
            document = stream.document = self._settled(record, stream.conclude(self._now(), self._companions).document())
            self._catalogue.clear_attempt(record.series_uid, record.revision)
            stream.noted = False
            verdict = document["verdict"]
            self._catalogue.store_provisional(
                record.series_uid, record.revision, document, verdict=verdict, instances=record.instances
            )
            log.info("provisional", series=record.key, revision=record.revision, verdict=verdict)
            return True
        if due.final and stream.document is not None:
            self._complete(stream, due, stream.document)
            return True
        return False

    def _complete(self, stream: Stream, due: Completion, document: dict[str, Any]) -> None:
        record = stream.record
        self._catalogue.mark_complete(
            record.series_uid, record.revision, reason=due.reason, evidence=due.evidence, last_id=stream.last_id
        )
        job = self._catalogue.claim_series(JobKind.JUDGE, record.series_uid, OWNER, self._settings.node.lease_s)
        if job is None:
            return
        self._finish(job, record, document)
        self._streams.pop(_key(record), None)

    def _finish(self, job: Job, record: SeriesRecord, document: dict[str, Any]) -> None:
        verdict = document["verdict"]
        events = self._withdrawals(record) if verdict == Verdict.ADEQUATE else []
        reason = None if verdict else next((item["kind"] for item in document["left_out"]), "empty")
        self._catalogue.finish_judging(job, document, verdict=verdict, reason=reason, events=events)
        self._cache.forget(record.series_uid)
        log.info("verdict", series=record.key, revision=record.revision, verdict=verdict, reason=reason)

    def _withdrawals(self, record: SeriesRecord) -> list[NodeEvent]:
        """Return the event that takes back what was warned of while the series arrived, by whichever process."""
        warned = {event.data["cause"] for event in self._catalogue.events_of(record.series_uid, "live_warning")}
        for event in self._catalogue.events_of(record.series_uid, "live_warning_withdrawn"):
            warned -= set(event.data["causes"])
        if not warned:
            return []
        causes = sorted(warned)
        said = wording.withdrawal_text(causes, self._settings.report.lang)
        return [_event("live_warning_withdrawn", record, {"causes": causes, "verdict": Verdict.ADEQUATE, "text": said})]

    def _settled(self, record: SeriesRecord, document: dict[str, Any]) -> dict[str, Any]:
        """Ask for a look at a series of which nothing could be read: it is not one without a verdict."""
        lost = next((item["code"] for item in document["left_out"] if item["kind"] == "unreadable"), None)
        if document["assessments"] or lost is None:
            return document
        return self._unreadable(record, lost) | {"left_out": document["left_out"]}

    # ---- what is not streamed --------------------------------------------------------------------------------------------

    def _judge_suspects(self) -> None:
        """Complete the next suspect that is due, and hand every READY revision that nobody holds to a process of its own."""
        for record in self._suspects:
            due = completion(record, self._settings.completion, self._clock())
            if due.final:
                with contextlib.suppress(JobLost):
                    self._catalogue.mark_complete(
                        record.series_uid, record.revision, reason=due.reason, evidence=due.evidence, last_id=record.last_id
                    )
        if self._running is None and self._clock() - self._adopted_at >= ADOPT_EVERY_S:
            self._adopted_at = self._clock()
            job = self._catalogue.claim(JobKind.JUDGE, OWNER, self._settings.node.lease_s)
            if job is not None:
                with contextlib.suppress(JobLost):  # more arrived since: it waits for that
                    self._adopt(job)

    def _adopt(self, job: Job) -> None:
        record = self._catalogue.series(job.series_uid, job.revision)
        if record is None:
            return
        stored = self._catalogue.assessment(job.series_uid, job.revision, Status.PROVISIONAL)
        if stored is not None and stored.instances == record.instances:
            self._finish(job, record, stored.document)
        elif self._catalogue.note_attempt(job.series_uid, job.revision) > DEATHS:
            self._finish(job, record, self._unreadable(record, UNSAFE))
        else:
            self._running = (job, record, self._alone(record, self._now()))

    def _watch(self) -> None:
        if self._running is None:
            return
        job, record, alone = self._running
        outcome = alone.poll()
        try:
            if outcome is None:
                lease_s = self._settings.node.lease_s
                if job.lease_until - self._clock() < lease_s / 2:
                    self._running = (self._catalogue.heartbeat(job, lease_s), record, alone)
                return
            self._running = None
            if outcome.document is None:
                log.error("series_unreadable", series=record.key)
                self._finish(job, record, self._unreadable(record, UNSAFE))
            else:
                self._finish(job, record, self._settled(record, outcome.document))
        except JobLost:  # more arrived: that judging was called off, nobody died of it
            alone.stop()
            self._running = None
            self._catalogue.clear_attempt(record.series_uid, record.revision)

    def _unreadable(self, record: SeriesRecord, code: str) -> dict[str, Any]:
        assessment = unreadable(
            study_uid=record.study_uid,
            series_uid=record.series_uid,
            modality=record.modality,
            code=code,
            settings=self._settings,
            judged_at=self._now(),
        )
        return document_of((assessment,))

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")


def run(settings: Settings, load: Load, stop: threading.Event, tell: Callable[[dict[str, Any]], None]) -> None:
    """Be the scorer process until told to stop.

    Parameters
    ----------
    settings
        The whole tree.
    load
        Opens the bundles, once.
    stop
        Set from outside.
    tell
        Told the names of usable and unusable bundles once they are loaded, and again from time to time: a scorer that falls
        silent hangs in some decoder, and is ended.
    """
    telemetry.configure("scorer")
    catalogue = Catalogue.open(settings)
    catalogue.end_leases(OWNER)
    shelf = load(settings)
    usable = [scorer.name for scorer in shelf.scorers]
    facts = {"usable": usable, "unusable": [(one.name, one.code, one.text) for one in shelf.unusable]}
    tell(facts)
    follower = Follower(
        settings,
        catalogue,
        Judges(shelf.scorers, shelf.unusable, settings),
        EvidenceCache(settings.node.storage / "evidence.db"),
        lambda record, judged_at: Alone(settings, load, record, judged_at),
    )
    try:
        told_at = time.monotonic()
        while not stop.is_set():
            if not follower.step():
                stop.wait(POLL_S)
            if time.monotonic() - told_at > TELL_EVERY_S:
                told_at = time.monotonic()
                tell(facts)
    finally:
        follower.stop()
        catalogue.close()


def _key(record: SeriesRecord) -> Key:
    return record.series_uid, record.revision


def _event(kind: str, record: SeriesRecord, data: Mapping[str, Any]) -> NodeEvent:
    return NodeEvent(kind=kind, series_uid=record.series_uid, key=record.key, revision=record.revision, data=data)
