"""A sender gets the response to its own request or none, and no peer can hold it for ever."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association

from dicom_node import listener as reception
from dicom_node.connection import Requests, opened
from tests.node.loopback import CT, EXPLICIT, Archive, receiving, settings_of, thing
from tests.node.wire import Wire

WITHIN_S = 30.0


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive().open() as one:
        yield one


def associate(port: int, answer_s: float) -> Association:
    entity = AE("SENDER")
    entity.dimse_timeout = answer_s
    entity.add_requested_context(CT, EXPLICIT)
    association = entity.associate("127.0.0.1", port, evt_handlers=[(evt.EVT_CONN_OPEN, opened, [answer_s])])
    assert association.is_established
    return association


def soon(true: Any) -> bool:
    until = time.monotonic() + WITHIN_S
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(true())


# ---- the race in pynetdicom ----------------------------------------------------------------------------------------------


class Unlucky(threading.Event):
    """The reactor's checkpoint on a busy machine: the reactor, let go, gets no time until a response is there."""

    def __init__(self, messages: queue.Queue[Any]) -> None:
        super().__init__()
        self.messages = messages
        self.passed = threading.Event()
        self._saw = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._saw:
            self.passed.set()
        super().wait(timeout)
        self._saw = soon(lambda: not self.messages.empty())
        return True


class Patient(queue.Queue[Any]):
    """The queue of messages on that machine: the thread that waits comes second."""

    checkpoint: Unlucky

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if block:
            self.checkpoint.passed.wait(WITHIN_S)
        return super().get(block, timeout)


def unlucky(association: Association) -> None:
    """Make the race certain that a busy machine makes rare."""
    messages = Patient()
    messages.checkpoint = Unlucky(messages)
    messages.checkpoint.set()
    association.dimse.msg_queue = messages
    association._reactor_checkpoint = messages.checkpoint
    time.sleep(0.05)  # until the reactor waits there


def test_pynetdicom_alone_drops_a_response_that_its_reactor_takes_first(archive: Archive, tmp_path: Path) -> None:
    """Without this fault `Requests` need not keep the reactor away from the messages."""
    association = associate(archive.port, answer_s=0.5)
    unlucky(association)
    assert "Status" not in association.send_c_store(thing(1).file(tmp_path))
    assert list(archive.taken) == ["1.2.3.1.1"], "it was stored, and answered"


def test_a_response_reaches_the_request_that_waits_for_it(archive: Archive, tmp_path: Path) -> None:
    association = associate(archive.port, answer_s=20.0)
    requests = Requests(association)
    unlucky(association)
    assert requests.store(thing(1).file(tmp_path)).Status == 0x0000
    association.abort()


# ---- peers that misbehave ------------------------------------------------------------------------------------------------


def test_a_second_response_is_not_taken_for_the_next_request(archive: Archive, tmp_path: Path) -> None:
    with Wire(archive.port, copies={1: 2, 2: 0}.__getitem__).open() as wire:
        requests = Requests(associate(wire.port, answer_s=0.5))
        assert requests.store(thing(1).file(tmp_path)).Status == 0x0000
        assert "Status" not in requests.store(thing(2).file(tmp_path)), "nobody answered this one"
        assert not requests.open
    (said,) = wire.conversations
    assert [one.status for one in said.exchanges] == [0x0000, None]
    assert said.stray == 1


def test_a_peer_that_reads_no_more_ends_the_association(archive: Archive, tmp_path: Path) -> None:
    heard: list[Dataset] = []
    with Wire(archive.port).open() as wire:
        requests = Requests(associate(wire.port, answer_s=0.5))
        wire.deaf = True
        large = thing(1, size=3000).file(tmp_path)
        sending = threading.Thread(target=lambda: heard.append(requests.store(large)), daemon=True)
        sending.start()
        sending.join(WITHIN_S)
        wire.deaf = False
        assert heard
        assert "Status" not in heard[0]
        assert not requests.open


def test_a_sender_that_stops_in_the_middle_of_a_pdu_does_not_keep_its_association(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "SILENT_S", 0.5)
    with receiving(settings_of(tmp_path)) as node:
        association = associate(node.port, answer_s=20.0)
        connection = association.dul.socket
        assert connection is not None
        assert isinstance(connection.socket, socket.socket)
        connection.socket.sendall(b"\x04\x00\x00\x00\x01\x00half")
        server = node.listener._entity
        assert server is not None
        assert soon(lambda: not server.active_associations), "it counts among those that the listener takes at once"
        assert not node.listener._callers
        association.abort()
