"""The delivery: what is due in the outbox goes out by C-STORE, and each object's own answer decides what becomes of it.

Nothing is inferred from a release, a last status or an exit code: an object without an answer stays queued. A destination that
does not answer rests, longer each time, and nothing is ever given up for that; an object that is refused again and again, or
that no presentation context takes, becomes a dead letter with its reason, and stays.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node import telemetry
from dicom_node.catalogue import Catalogue
from dicom_node.completion import completion
from dicom_node.connection import Requests, opened
from dicom_node.outbox import SendResult
from dicom_node.records import NodeEvent, OutboxRow, Outgoing, SeriesRecord
from dicom_node.webhook import Webhook
from medqa.config import Destination, Settings
from medqa.errors import DeliveryFailed, JobLost

WARNINGS: Final = frozenset({0xB000, 0xB006, 0xB007})
"""Stored there, with a remark (PS3.4 table B.2-1)."""
TRIES: Final = 5
"""How often an object that is refused for its own sake is tried before it becomes a dead letter."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
IDLE_S: Final = 0.25
CLOCK_S: Final = 1.0
BATCH: Final = 200
COMMIT_EVERY: Final = 20
CONTEXTS: Final = 128
"""The most that one association may propose (PS3.8 section 9.3.2.2)."""
CONNECT_S: Final = 10.0
ANSWER_S: Final = 60.0
UNJUDGED_SETTLE_S: Final = 5.0
OVERDUE_S: Final = 60.0
"""When nobody completed a series that should have been complete this long ago, the delivery does: images flow."""

log = structlog.get_logger(__name__)


def pause_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** max(0, failures - 1), LONGEST_PAUSE_S)


def outcome(status: int, attempts: int) -> Outgoing:
    """Return what an answer makes of an object that was tried `attempts` times before.

    Out of resources (A7xx) and processing failures are the destination's own trouble: they are tried for ever.
    """
    if status == 0x0000:
        return Outgoing.SENT
    if status in WARNINGS:
        return Outgoing.WARNING
    permanent = status == 0x0122 or status >> 12 == 0xC or status >> 8 == 0xA9
    return Outgoing.DEAD if permanent and attempts + 1 >= TRIES else Outgoing.DUE


class Delivery:
    """Sends what is due.

    Parameters
    ----------
    settings
        The whole tree.
    catalogue
        Where the outbox is.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue
        _config.STORE_SEND_CHUNKED_DATASET = True  # a file's data set goes out as it is, never decoded

    def send(self, name: str, stop: threading.Event | None = None) -> int:
        """Send what is due for one destination over one association; return how many objects it answered."""
        rows = self._catalogue.due_outbox(name, BATCH)
        if not rows:
            return 0
        rows = _within_contexts(rows)
        try:
            with self._associate(name, self._settings.routing.destinations[name], rows) as association:
                accepted = {(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in association.accepted_contexts}
                able = [row for row in rows if (row.sop_class_uid, row.transfer_syntax) in accepted]
                self._refuse_unaccepted(name, [row for row in rows if row not in able])
                answered, broken = self._send_all(Requests(association), name, able, stop)
        except DeliveryFailed as error:
            self._rest(name, str(error.values["reason"]))
            return 0
        if answered or broken is None:
            self._catalogue.destination_answered(name)
        if broken is not None:
            self._rest(name, broken)
        return answered

    @contextlib.contextmanager
    def _associate(self, name: str, destination: Destination, rows: Sequence[OutboxRow]) -> Iterator[Association]:
        entity = AE(ae_title=self._settings.node.ae_title)
        entity.connection_timeout, entity.acse_timeout = CONNECT_S, CONNECT_S
        entity.dimse_timeout, entity.network_timeout = ANSWER_S, ANSWER_S
        pairs = dict.fromkeys((row.sop_class_uid, row.transfer_syntax) for row in rows)
        association = entity.associate(
            destination.host,
            destination.port,
            contexts=[build_context(sop_class, syntax) for sop_class, syntax in pairs],
            ae_title=destination.ae_title,
            max_pdu=self._settings.node.max_pdu,
            evt_handlers=[(evt.EVT_CONN_OPEN, opened, [ANSWER_S])],
        )
        if not association.is_established:
            rejected = association.is_rejected
            # no accepted context at all ends an association too: that is the objects' trouble, not the destination's
            if not rejected and association.rejected_contexts and not association.accepted_contexts:
                yield association
                return
            raise DeliveryFailed(destination=name, reason="association rejected" if rejected else "no association")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _send_all(
        self, requests: Requests, name: str, rows: Sequence[OutboxRow], stop: threading.Event | None
    ) -> tuple[int, str | None]:
        """Send row by row; return how many were answered, and what ended the association early, if anything did.

        Rows behind an unanswered one are left as they are: queued.
        """
        results: list[SendResult] = []
        answered = 0
        broken = None
        try:
            for row in rows:
                if stop is not None and stop.is_set():
                    break
                result = self._send_one(requests, name, row)
                results.append(result)
                answered += result.status is not None
                if result.status is None and result.state is Outgoing.DUE:
                    broken = result.reason
                    break
                if len(results) >= COMMIT_EVERY:
                    self._enter(name, results)
                    results = []
        finally:
            self._enter(name, results)
        return answered, broken

    def _send_one(self, requests: Requests, name: str, row: OutboxRow) -> SendResult:
        if not row.path.is_file():
            return SendResult(row=row.id, state=Outgoing.DEAD, reason="the stored file is gone")
        later = self._catalogue.clock() + pause_s(row.attempts + 1)
        try:
            answer: Dataset = requests.store(row.path)
        except (RuntimeError, ValueError, AttributeError, OSError) as error:
            if not requests.open:
                return SendResult(row=row.id, state=Outgoing.DUE, reason="the association ended", next_try=later)
            log.exception("not_sendable", destination=name, row=row.id)
            return SendResult(row=row.id, state=Outgoing.DEAD, reason=f"not sendable ({type(error).__name__})")
        status = answer.get("Status")
        if status is None:
            return SendResult(row=row.id, state=Outgoing.DUE, reason="no answer", next_try=later)
        state = outcome(int(status), row.attempts)
        reason = None if state is Outgoing.SENT else f"status 0x{int(status):04X}"
        return SendResult(row=row.id, state=state, status=int(status), reason=reason, next_try=later)

    def _refuse_unaccepted(self, name: str, rows: Sequence[OutboxRow]) -> None:
        """Make dead letters of what no presentation context takes, and say so once for each kind of object."""
        reason = "no presentation context accepted"
        self._enter(name, [SendResult(row=row.id, state=Outgoing.DEAD, reason=reason) for row in rows], reason)

    def _enter(self, name: str, results: Sequence[SendResult], reason: str | None = None) -> None:
        if not results:
            return
        for uid, revision, state in self._catalogue.outbox_results(results):
            log.info("settled", series_uid=uid, revision=revision, state=state)
        dead = [one for one in results if one.state is Outgoing.DEAD]
        for why, group in groupby(sorted(dead, key=lambda one: one.reason or ""), key=lambda one: one.reason):
            count = len(list(group))
            log.error("dead_letter", destination=name, objects=count, reason=reason or why)
            data = {"destination": name, "objects": count, "reason": reason or why}
            self._catalogue.add_event(NodeEvent(kind="dead_letter", data=data))

    def _rest(self, name: str, reason: str) -> None:
        before = self._catalogue.backoff(name).failures
        wait_s = pause_s(before + 1)
        self._catalogue.destination_failed(name, reason=reason, next_try=self._catalogue.clock() + wait_s)
        log.warning("destination_rests", destination=name, reason=reason, failures=before + 1, again_in_s=wait_s)
        if before == 0:
            self._catalogue.add_event(NodeEvent(kind="destination_down", data={"destination": name, "reason": reason}))

    def keep_flowing(self) -> None:
        """Do what must happen whether or not a worker lives: release what is held too long, complete what nobody completes."""
        for uid, count in self._catalogue.release_held():
            log.warning("hold_limit", series_uid=uid, objects=count)
            self._catalogue.add_event(NodeEvent(kind="released", series_uid=uid, data={"objects": count, "reason": "hold limit"}))
        now = self._catalogue.clock()
        for record in self._catalogue.open_series(judged=None):
            reason = self._overdue(record, now)
            if reason is None:
                continue
            evidence = {"instances": record.instances, "others": record.others, "quiet_s": round(now - record.last_received, 3)}
            with contextlib.suppress(JobLost):  # more arrived, or the scorer was faster
                self._catalogue.mark_complete(
                    record.series_uid, record.revision, reason=reason, evidence=evidence, last_id=record.last_id
                )

    def _overdue(self, record: SeriesRecord, now: float) -> str | None:
        if not record.judged:
            quiet = now - max(record.last_received, record.last_released or 0.0) >= UNJUDGED_SETTLE_S
            return "settled" if quiet and not record.open_associations else None
        late = completion(record, self._settings.completion, now - OVERDUE_S, gap=True)
        return "overdue" if late.final and now - record.last_received > OVERDUE_S else None


def run(settings: Settings, stop: threading.Event, ready: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Be the delivery until `stop` is set: one thread for each destination, one for the webhook, this one for the clock."""
    telemetry.configure("delivery")
    catalogue = Catalogue.open(settings)
    delivery = Delivery(settings, catalogue)
    threads = [
        threading.Thread(target=_serve, args=(delivery, catalogue, name, stop), name=f"to-{name}")
        for name in settings.routing.destinations
    ]
    if settings.routing.webhook is not None:
        webhook = Webhook(settings.routing.webhook, catalogue)
        threads.append(threading.Thread(target=webhook.serve, args=(stop,), name="webhook"))
    for thread in threads:
        thread.start()
    if ready is not None:
        ready({"pid": os.getpid(), "destinations": list(settings.routing.destinations)})
    while not stop.wait(CLOCK_S):
        _at_rim(delivery.keep_flowing, "keep_flowing_failed")
    for thread in threads:
        thread.join()
    catalogue.close()


def _serve(delivery: Delivery, catalogue: Catalogue, name: str, stop: threading.Event) -> None:
    while not stop.is_set():
        busy = _at_rim(lambda: bool(catalogue.due_destinations([name])) and delivery.send(name, stop) > 0, "delivery_failed")
        if not busy:
            stop.wait(IDLE_S)


def _at_rim(step: Callable[[], Any], event: str) -> Any:
    """Run one step of a loop that must go on; what ends it is logged and tried again after a pause."""
    try:
        return step()
    except Exception:
        log.exception(event)
        time.sleep(FIRST_PAUSE_S)
        return None


def _within_contexts(rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """Return the rows, in order, that the contexts of one association suffice for."""
    pairs: set[tuple[str, str]] = set()
    chosen = []
    for row in rows:
        pair = row.sop_class_uid, row.transfer_syntax
        if pair in pairs or len(pairs) < CONTEXTS:
            pairs.add(pair)
            chosen.append(row)
    return chosen
