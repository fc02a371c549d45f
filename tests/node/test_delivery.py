"""Each object's own answer decides; what was not answered stays; nothing waits for a worker to flow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pynetdicom import AE, _config

from dicom_node import delivery as rooms
from dicom_node.catalogue import Catalogue
from dicom_node.delivery import TRIES, Delivery, outcome, pause_s
from dicom_node.lifecycle import State
from dicom_node.records import Arrival, JobKind, NodeEvent, Outgoing, RenderedObject
from dicom_node.storage import Storage, file_meta
from dicom_node.webhook import Webhook, document
from medqa.config import Settings
from tests.node.loopback import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    SECRETS,
    Archive,
    Clock,
    Thing,
    receiving,
    refused,
    settings_of,
    thing,
)
from tests.node.wire import Wire

SERIES = "1.2.3.1"


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", False)
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)


class Sender:
    """A catalogue with stored objects, and the delivery that sends them."""

    def __init__(self, folder: Path, archive: Archive, **environment: str) -> None:
        self.settings: Settings = settings_of(folder, **archive.environment(), **environment)
        self.clock = Clock()
        self.catalogue = Catalogue.open(self.settings, clock=self.clock)
        self.storage = Storage(self.settings.node.storage)
        self.storage.prepare()
        self.delivery = Delivery(self.settings, self.catalogue)
        self.association = self.catalogue.association_opened(sender="SCANNER", address="127.0.0.1", listener="here")

    def store(self, *things: Thing, judged: bool = True) -> None:
        for one in things:
            name = Storage.name("1.2.3", SERIES, one.sop_instance_uid)
            self.storage.write(name, (file_meta(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax), one.data))
            arrival = Arrival(
                sop_instance_uid=one.sop_instance_uid,
                sop_class_uid=one.sop_class_uid,
                series_uid=SERIES,
                study_uid="1.2.3",
                path=name,
                size=len(one.data),
                crc=0,
                transfer_syntax=one.transfer_syntax,
                association=self.association,
                modality="CT",
                judged=judged,
            )
            self.catalogue.record_received([arrival])

    def complete(self) -> None:
        self.catalogue.mark_complete(SERIES, 1, reason="settled", evidence={})

    def states(self) -> dict[str, Outgoing]:
        return {row.sop_instance_uid: row.state for row in self.catalogue.outbox_of(SERIES)}

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.catalogue.events_since(0) if event.kind == kind]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Sender]]:
    with ExitStack() as stack:

        def build(archive: Archive, *, listens: bool = True, **environment: str) -> Sender:
            if listens:
                stack.enter_context(archive.open())
            sender = Sender(tmp_path / "node", archive, **environment)
            stack.callback(sender.catalogue.close)
            return sender

        yield build


def test_objects_arrive_byte_for_byte(make: Callable[..., Sender]) -> None:
    archive = Archive(contexts=((CT, EXPLICIT), (CT, IMPLICIT), (CT, JPEG_2000)))
    # a context for each transfer syntax: the destination must not choose one for another
    sender = make(archive)
    things = [thing(1), thing(2, syntax=IMPLICIT), thing(3, syntax=JPEG_2000)]
    sender.store(*things)
    sender.complete()
    assert sender.delivery.send("archive") == 3
    assert archive.taken == {one.sop_instance_uid: one.data for one in things}
    assert set(sender.states().values()) == {Outgoing.SENT}
    assert sender.delivery.send("archive") == 0


def test_each_object_has_its_own_fate(make: Callable[..., Sender]) -> None:
    things = [thing(number) for number in range(1, 7)]
    uids = [one.sop_instance_uid for one in things]
    archive = Archive(statuses={uids[1]: 0xB000, uids[2]: 0xA700, uids[3]: 0xC000, uids[4]: 0xA900})
    sender = make(archive)
    sender.store(*things)
    sender.complete()
    assert sender.delivery.send("archive") == 6
    expected = [Outgoing.SENT, Outgoing.WARNING, Outgoing.DUE, Outgoing.DUE, Outgoing.DUE, Outgoing.SENT]
    assert [sender.states()[uid] for uid in uids] == expected
    rows = {row.sop_instance_uid: row for row in sender.catalogue.outbox_of(SERIES)}
    assert [rows[uid].last_status for uid in uids] == [0, 0xB000, 0xA700, 0xC000, 0xA900, 0]
    assert rows[uids[2]].reason == "status 0xA700"
    assert sender.delivery.send("archive") == 0, "what was refused waits"
    archive.statuses = {}
    sender.clock.now += pause_s(1)
    assert sender.delivery.send("archive") == 3
    assert set(sender.states().values()) == {Outgoing.SENT, Outgoing.WARNING}


def test_an_object_refused_again_and_again_becomes_a_dead_letter_with_its_reason(make: Callable[..., Sender]) -> None:
    one = thing(1)
    sender = make(Archive(statuses={one.sop_instance_uid: 0xC000}))
    sender.store(one)
    sender.complete()
    for attempt in range(1, TRIES + 1):
        assert sender.states() == {one.sop_instance_uid: Outgoing.DUE}
        sender.delivery.send("archive")
        sender.clock.now += pause_s(attempt)
    assert sender.states() == {one.sop_instance_uid: Outgoing.DEAD}
    assert sender.events("dead_letter") == [{"destination": "archive", "objects": 1, "reason": "status 0xC000"}]


def test_an_abort_in_the_middle_leaves_the_unanswered_queued(make: Callable[..., Sender]) -> None:
    things = [thing(number) for number in range(1, 6)]
    archive = Archive(abort_at=things[2].sop_instance_uid)
    sender = make(archive)
    sender.store(*things)
    sender.complete()
    assert sender.delivery.send("archive") == 2
    assert list(sender.states().values()) == [Outgoing.SENT] * 2 + [Outgoing.DUE] * 3
    assert sender.catalogue.due_destinations(["archive"]) == [], "the destination rests"
    sender.clock.now += pause_s(1)
    archive.abort_at = None
    assert sender.delivery.send("archive") == 3
    assert archive.seen.count(things[0].sop_instance_uid) == 1
    assert set(sender.states().values()) == {Outgoing.SENT}


def test_one_object_that_breaks_the_association_does_not_block_those_behind_it(make: Callable[..., Sender]) -> None:
    things = [thing(number) for number in range(1, 5)]
    archive = Archive(abort_at=things[0].sop_instance_uid)
    sender = make(archive)
    sender.store(*things)
    sender.complete()
    for _ in range(4):
        sender.delivery.send("archive")
        sender.clock.now += 0.9
    states = sender.states()
    assert states.pop(things[0].sop_instance_uid) is Outgoing.DUE
    assert set(states.values()) == {Outgoing.SENT}


def test_an_object_whose_answer_is_lost_is_sent_again_after_a_rest(
    make: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "ANSWER_S", 0.5)
    things = [thing(number) for number in (1, 2, 3)]
    archive = Archive()
    with archive.open(), Wire(archive.port, copies=lambda number: number != 2).open() as wire:
        sender = make(replace(archive, port=wire.port), listens=False)
        sender.store(*things)
        sender.complete()
        assert sender.delivery.send("archive") == 1
        assert list(sender.states().values()) == [Outgoing.SENT, Outgoing.DUE, Outgoing.DUE]
        assert [event["reason"] for event in sender.events("destination_down")] == ["no answer"]
        assert sender.delivery.send("archive") == 1, "it rests, those behind it do not"
        sender.clock.now += pause_s(1)
        assert sender.delivery.send("archive") == 1
        assert set(sender.states().values()) == {Outgoing.SENT}
    assert sorted(archive.seen) == sorted([one.sop_instance_uid for one in things] + [things[1].sop_instance_uid])


@refused
def test_a_destination_that_is_down_rests_longer_each_time_and_nothing_is_given_up(make: Callable[..., Sender]) -> None:
    archive = Archive()
    with archive.open():
        port = archive.port
    sender = make(archive, listens=False)
    sender.store(thing(1))
    sender.complete()
    waits = []
    for _ in range(12):
        sender.delivery.send("archive")
        rest = sender.catalogue.backoff("archive")
        waits.append(rest.next_try - sender.clock.now)
        sender.clock.now = rest.next_try
    assert waits == [pause_s(number) for number in range(1, 13)]
    assert waits[-1] == rooms.LONGEST_PAUSE_S
    (row,) = sender.catalogue.outbox_of(SERIES)
    assert (row.state, row.attempts) == (Outgoing.DUE, 0)
    assert len(sender.events("destination_down")) == 1, "said once"
    archive.port = port
    with archive.open():
        assert sender.delivery.send("archive") == 1
    assert sender.catalogue.backoff("archive").failures == 0


def test_what_no_context_takes_is_said_once_and_does_not_stop_the_rest(make: Callable[..., Sender]) -> None:
    odd = [thing(number, syntax=JPEG_2000) for number in (1, 2, 3)]
    sender = make(Archive())
    sender.store(*odd, thing(4))
    sender.complete()
    assert sender.delivery.send("archive") == 1
    assert list(sender.states().values()) == [Outgoing.DEAD] * 3 + [Outgoing.SENT]
    reason = "no presentation context accepted"
    assert sender.events("dead_letter") == [{"destination": "archive", "objects": 3, "reason": reason}]


def test_a_destination_that_takes_no_context_at_all_is_told_apart_from_one_that_is_down(make: Callable[..., Sender]) -> None:
    sender = make(Archive())
    sender.store(thing(1, syntax=JPEG_2000))
    sender.complete()
    assert sender.delivery.send("archive") == 0
    assert list(sender.states().values()) == [Outgoing.DEAD]
    assert sender.events("destination_down") == []


def test_our_objects_make_the_series_delivered(make: Callable[..., Sender], tmp_path: Path) -> None:
    archive = Archive(contexts=((CT, EXPLICIT), ("1.2.840.10008.5.1.4.1.1.104.1", EXPLICIT)))
    sender = make(archive)
    sender.store(thing(1))
    sender.complete()
    job = sender.catalogue.claim(JobKind.JUDGE, "w", 60)
    assert job is not None
    sender.catalogue.finish_judging(job, {}, verdict="ADEQUATE")
    job = sender.catalogue.claim(JobKind.RENDER, "r", 60)
    assert job is not None
    report = thing(9, sop_class="1.2.840.10008.5.1.4.1.1.104.1", series="2.25.7")
    one = RenderedObject(
        path=report.file(tmp_path / "spool"),
        sop_instance_uid=report.sop_instance_uid,
        sop_class_uid=report.sop_class_uid,
        transfer_syntax=report.transfer_syntax,
    )
    sender.catalogue.finish_rendering(job, [one])
    sender.delivery.send("archive")
    assert archive.taken[report.sop_instance_uid] == report.data
    record = sender.catalogue.series(SERIES)
    assert record is not None
    assert record.state is State.DELIVERED


def test_a_file_that_is_gone_is_a_dead_letter(make: Callable[..., Sender]) -> None:
    sender = make(Archive())
    sender.store(thing(1), thing(2))
    sender.complete()
    sender.catalogue.outbox_of(SERIES)[0].path.unlink()
    assert sender.delivery.send("archive") == 1
    assert list(sender.states().values()) == [Outgoing.DEAD, Outgoing.SENT]


@pytest.mark.parametrize(
    ("status", "attempts", "expected"),
    [
        (0x0000, 0, Outgoing.SENT),
        (0xB000, 0, Outgoing.WARNING),
        (0xB006, 0, Outgoing.WARNING),
        (0xB007, 0, Outgoing.WARNING),
        (0xB001, 0, Outgoing.DUE),
        (0xA700, 99, Outgoing.DUE),
        (0x0110, 99, Outgoing.DUE),
        (0xC123, 0, Outgoing.DUE),
        (0xC123, TRIES - 1, Outgoing.DEAD),
        (0xA900, TRIES - 1, Outgoing.DEAD),
        (0x0122, TRIES - 1, Outgoing.DEAD),
    ],
)
def test_a_status_means_what_the_standard_says(status: int, attempts: int, expected: Outgoing) -> None:
    assert outcome(status, attempts) is expected


# ---- without a worker ---------------------------------------------------------------------------------------------------------


def test_images_flow_although_no_worker_lives(make: Callable[..., Sender]) -> None:
    sender = make(Archive())
    sender.store(thing(1))
    sender.catalogue.association_closed(sender.association, "released", received=1, answered=1)
    sender.delivery.keep_flowing()
    assert sender.states() == {}
    sender.clock.now += 5 * 3 + rooms.OVERDUE_S + 1
    sender.delivery.keep_flowing()
    assert list(sender.states().values()) == [Outgoing.DUE]
    record = sender.catalogue.series(SERIES)
    assert record is not None
    assert (record.state, record.completion_reason) == (State.READY, "overdue")


def test_an_open_association_keeps_a_series_open(make: Callable[..., Sender]) -> None:
    sender = make(Archive())
    sender.store(thing(1))
    sender.clock.now += 3600
    sender.delivery.keep_flowing()
    assert sender.states() == {}


def test_what_is_never_judged_flows_by_itself(make: Callable[..., Sender]) -> None:
    sender = make(Archive())
    sender.store(thing(1), judged=False)
    sender.catalogue.association_closed(sender.association, "released", received=1, answered=1)
    sender.clock.now += rooms.UNJUDGED_SETTLE_S
    sender.delivery.keep_flowing()
    assert list(sender.states().values()) == [Outgoing.DUE]


def test_a_held_series_is_released_at_the_limit_with_an_event(make: Callable[..., Sender]) -> None:
    rules = json.dumps([{"action": "hold", "destination": "archive", "until": "any verdict"}])
    sender = make(Archive(), MEDQA_ROUTING__RULES=rules, MEDQA_ROUTING__HOLD_LIMIT_S="600")
    sender.store(thing(1))
    sender.complete()
    assert list(sender.states().values()) == [Outgoing.HELD]
    sender.clock.now += 601
    sender.delivery.keep_flowing()
    assert list(sender.states().values()) == [Outgoing.DUE]
    assert sender.events("released") == [{"objects": 1, "reason": "hold limit"}]


def test_an_object_that_the_destination_sent_does_not_go_back(tmp_path: Path) -> None:
    archive = Archive()
    with archive.open():
        settings = settings_of(tmp_path / "node", **archive.environment())
        with receiving(settings) as node:
            node.send([thing(1).file(tmp_path)], ae_title="ARCHIVE")
            node.send([thing(2).file(tmp_path)], ae_title="SCANNER")
            node.catalogue.mark_complete(SERIES, 1, reason="settled", evidence={})
            Delivery(settings, node.catalogue).send("archive")
        assert archive.seen == [thing(2).sop_instance_uid]


# ---- the webhook --------------------------------------------------------------------------------------------------------------


def test_the_webhook_posts_each_event_in_order_without_patient_data(make: Callable[..., Sender]) -> None:
    sender = make(Archive())
    answers = iter([200, 503, 200, 404, 200, 200])
    posted: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status != 503:
            posted.append(json.loads(request.content))
        return httpx.Response(status)

    hook = Webhook("http://here/hook", sender.catalogue, httpx.Client(transport=httpx.MockTransport(answer)))
    sender.store(thing(1))
    for cause in ("a", "b", "c", "d"):
        sender.catalogue.add_event(
            NodeEvent(kind="live_warning", series_uid=SERIES, data={"cause": cause, "sop_instance_uid": "1.2.3.4"})
        )
    assert hook.post() == 1
    assert hook.pause_s() >= 1
    assert hook.post() == 3
    assert [one["data"]["cause"] for one in posted] == ["a", "b", "c", "d"]
    assert [one["id"] for one in posted] == sorted(one["id"] for one in posted)
    text = json.dumps(posted)
    assert not any(secret in text for secret in (*SECRETS, SERIES, "1.2.3.4"))
    assert Webhook("http://here/hook", sender.catalogue, hook._client).post() == 0, "it goes on where it was"


def test_a_webhook_that_cannot_be_reached_loses_nothing(make: Callable[..., Sender]) -> None:
    sender = make(Archive())

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    hook = Webhook("http://here/hook", sender.catalogue, httpx.Client(transport=httpx.MockTransport(fail)))
    sender.catalogue.add_event(NodeEvent(kind="x"))
    assert [hook.post() for _ in range(3)] == [0, 0, 0]
    assert hook.pause_s() == 4
    assert document(sender.catalogue.events_since(0)[-1])["series"] is None


# ---- the process --------------------------------------------------------------------------------------------------------------


def test_the_loop_sends_what_becomes_due_and_ends_in_order(make: Callable[..., Sender]) -> None:
    archive = Archive()
    sender = make(archive)
    stop, ready = threading.Event(), threading.Event()
    loop = threading.Thread(target=rooms.run, args=(sender.settings, stop, lambda _facts: ready.set()))
    loop.start()
    try:
        assert ready.wait(30)
        sender.store(*[thing(number) for number in range(1, 30)])
        sender.complete()
        # the loop lives on the real clock, the catalogue here on another: what is due then is due now
        for _ in range(400):
            if len(archive.taken) == 29:
                break
            time.sleep(0.05)
    finally:
        stop.set()
        loop.join()
    assert len(archive.taken) == 29
    assert set(sender.states().values()) == {Outgoing.SENT}


@refused
def test_orthanc_takes_what_is_delivered(make: Callable[..., Sender], tmp_path: Path, peer: Callable[[str, str], str]) -> None:
    import socket
    import subprocess

    program = peer("Orthanc", "orthanc")
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    configuration = {
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "DicomPort": ports[0],
        "HttpPort": ports[1],
        "DicomAet": "ORTHANC",
        "Plugins": [],
        "DicomAlwaysAllowStore": True,
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
    things = [thing(1), thing(2, syntax=IMPLICIT)]
    with subprocess.Popen([program, tmp_path / "orthanc.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            sender = make(Archive(ae_title="ORTHANC", port=ports[0]), listens=False)
            sender.store(*things)
            sender.complete()
            _until_it_answers(ports[0])
            assert sender.delivery.send("archive") == 2
            assert set(sender.states().values()) == {Outgoing.SENT}
            with httpx.Client(base_url=f"http://127.0.0.1:{ports[1]}", trust_env=False) as client:
                held = client.get("/instances", params={"expand": ""}).json()
            assert {one["MainDicomTags"]["SOPInstanceUID"] for one in held} == {one.sop_instance_uid for one in things}
        finally:
            process.terminate()


def _until_it_answers(port: int) -> None:
    entity = AE()
    entity.add_requested_context("1.2.840.10008.1.1")
    for _ in range(200):
        association = entity.associate("127.0.0.1", port, ae_title="ORTHANC")
        if association.is_established:
            association.release()
            return
        time.sleep(0.1)
    raise AssertionError("Orthanc did not start")
