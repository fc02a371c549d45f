"""The node as a whole: what dies is started again, what is taken is refused, and ending it loses nothing."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dicom_node.catalogue import Catalogue
from dicom_node.node import PROGRAMS, Node, Program
from medqa.config import CompletionSettings, NodeSettings, Settings
from medqa.errors import InvalidSettings, PortInUse
from tests.node.small_series import fake_load, send, series

RECEIVING = tuple(program for program in PROGRAMS if program.name in {"listener", "scorer"})


def settings(folder: Path, port: int = 0) -> Settings:
    return Settings(
        node=NodeSettings(storage=folder, host="127.0.0.1", port=port), completion=CompletionSettings(settle_mr_s=0.5, gap_factor=1)
    )


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    running = Node(settings(tmp_path), load=fake_load, programs=RECEIVING)
    running.start()
    yield running
    running.stop()


def _until(true: Callable[[], Any], within_s: float = 60.0) -> Any:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.05)
    return pytest.fail("it did not happen")


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_process_that_dies_is_started_again_and_goes_on_where_the_other_ended(node: Node) -> None:
    mr = series("MR", 8)
    send(node.port, mr[:4])
    pids = [node.pid("scorer"), node.pid("listener")]
    port = node.port
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    _until(lambda: node.pid("listener") not in pids and "port" in node.facts("listener"))
    send(port, mr[4:])
    catalogue = Catalogue.open(node.settings)
    (verdict, *_) = _until(lambda: [one for one in catalogue.verdicts() if one.instances == 8])
    catalogue.close()
    assert verdict.verdict == "ADEQUATE"


def test_it_says_which_bundles_it_judges_with(node: Node) -> None:
    assert node.facts("scorer")["usable"] == ["mal_ct", "mal_mr", "mal_pt"]


def test_a_port_that_is_taken_is_refused_with_its_code_and_nothing_stays_behind(tmp_path: Path) -> None:
    before = _children()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortInUse, match="MQ510"):
        Node(settings(tmp_path, taken.getsockname()[1]), load=fake_load, programs=RECEIVING).start()
    assert {pid for pid in _children() - before if "resource_tracker" not in " ".join(psutil.Process(pid).cmdline())} == set()


def test_a_storage_folder_belongs_to_one_node(node: Node) -> None:
    with pytest.raises(InvalidSettings, match="another node"):
        Node(settings(node.settings.node.storage), load=fake_load, programs=RECEIVING).start()


def hang(settings: Settings, load: Any, stop: threading.Event, ready: Callable[[dict[str, Any]], None]) -> None:
    """Say that all is well, then nothing more."""
    ready({"pid": os.getpid()})
    threading.Event().wait()


def test_a_process_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    hanging = Program(name="hanging", main=hang, silent_s=1.0)
    running = Node(settings(tmp_path), load=fake_load, programs=(hanging,))
    running.start()
    first = running.facts("hanging")["pid"]
    _until(lambda: running.facts("hanging").get("pid") not in {None, first})
    running.stop(drain=False)
