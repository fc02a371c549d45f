"""Is every C-STORE answered, once, however busy the machine is? The table is written to `docs/answers.md`. Run by `make answers`.

python -m tests.proofs.answers [--requests 1000] [--timeout 30]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pynetdicom
import sqlalchemy as sa
from pynetdicom import AE, evt
from pynetdicom.association import Association

from dicom_node.connection import Requests, opened
from dicom_node.listener import SLOW_S
from dicom_node.tables import associations, instances
from tests.node.small_series import CLASSES, series, write
from tests.node.wire import Wire
from tests.peers.running import RunningNode

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "answers.md"
SERIES_OF = 125
EXPLICIT = "1.2.840.10008.1.2.1"
DCMTK, PLAIN, OURS = "dcmtk's storescu", "pynetdicom as it is", "pynetdicom as our senders use it"
DROPPED = "Received unexpected C-STORE service message"
"""What pynetdicom logs when its reactor takes a response away from the thread that waits for it."""


@dataclass(frozen=True)
class Row:
    """One sender, and what the wire and the sender say."""

    sender: str
    clients: int
    requests: int
    answered: int
    stray: int
    refused: int
    seconds: Sequence[float]
    in_vain: int
    dropped: int


@dataclass(frozen=True)
class Told:
    """What one pynetdicom client says: requests that it waited for in vain, and responses that its own reactor dropped."""

    in_vain: int
    dropped: int


def main() -> None:
    """Send, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="how many each sender sends")
    parser.add_argument("--timeout", type=float, default=30.0, help="how long a pynetdicom client waits for a response, in seconds")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="medqa-answers-") as name:
        node = RunningNode(Path(name) / "storage", {"MEDQA_NODE__DISK_RESERVE_MB": "1"})
        node.start()
        try:
            for number, (sender, clients) in enumerate((sender, clients) for sender in (DCMTK, PLAIN, OURS) for clients in (1, 4)):
                folders = _files(Path(name) / "files", arguments.requests // clients, clients, seed=1000 * number)
                with _busy(), Wire(node.port).open() as wire:
                    told = _send(sender, wire.port, folders, arguments.timeout)
                rows.append(_row(sender, clients, wire, told))
                print(_line(rows[-1]), flush=True)
                shutil.rmtree(Path(name) / "files")
            starved = _starved(node)
        finally:
            node.stop()
        received, answered, stored = _books(node)
        slow = f"{_slow(node.log)}\n{starved}"
    DOCUMENT.write_text(_document(rows, received, answered, stored, arguments.timeout, slow), encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


def _files(folder: Path, each: int, clients: int, seed: int) -> list[Path]:
    """Write new CT series for every client; return its folder."""
    folders = []
    for client in range(clients):
        for part in range(0, each, SERIES_OF):
            write(folder / str(client), series("CT", min(SERIES_OF, each - part), seed=seed + 100 * client + part // SERIES_OF))
        folders.append(folder / str(client))
    return folders


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """Keep every core busy."""
    spinning = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for one in spinning:
        one.start()
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.join()


def _spin() -> None:
    while True:
        sum(range(10_000))


# ---- the senders ---------------------------------------------------------------------------------------------------------


def _send(sender: str, port: int, folders: Sequence[Path], timeout_s: float) -> list[Told]:
    """Send each folder over an association of its own, from a process of its own, all at once; nothing is sent again."""
    if sender == DCMTK:
        program = shutil.which("storescu")
        if program is None:
            message = "storescu (Debian: dcmtk) is not installed"
            raise RuntimeError(message)
        command = [program, "-aec", "MEDQA", "+sd", "127.0.0.1", str(port)]
        running = [subprocess.Popen([*command, str(folder)], env=os.environ | {"TCP_NODELAY": "1"}) for folder in folders]
        return [Told(in_vain=one.wait() != 0, dropped=0) for one in running]
    with ProcessPoolExecutor(len(folders), mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(partial(_scu, port, timeout_s, sender == OURS), folders))


def _scu(port: int, timeout_s: float, ours: bool, folder: Path) -> Told:
    """Send every file once; what is not answered in time ends its association, and the next file begins a new one."""
    heard = _Heard()
    logging.getLogger("pynetdicom.association").addHandler(heard)
    in_vain, number, association, requests = 0, 0, None, None
    for path in sorted(folder.iterdir()):
        if association is None or not association.is_established:
            association = _associate(port, timeout_s)
            requests = Requests(association) if ours else None
        number = number % 65535 + 1
        answer = association.send_c_store(path, msg_id=number) if requests is None else requests.store(path)
        in_vain += "Status" not in answer
    if association is not None:
        association.release()
    return Told(in_vain=in_vain, dropped=heard.dropped)


def _associate(port: int, timeout_s: float) -> Association:
    entity = AE("SCANNER")
    entity.dimse_timeout = timeout_s
    entity.acse_timeout = entity.network_timeout = entity.connection_timeout = 120
    entity.add_requested_context(CLASSES["CT"], EXPLICIT)
    association = entity.associate("127.0.0.1", port, ae_title="MEDQA", evt_handlers=[(evt.EVT_CONN_OPEN, opened, [timeout_s])])
    if not association.is_established:
        message = "no association"
        raise RuntimeError(message)
    return association


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.dropped += record.getMessage().startswith(DROPPED)


# ---- the books -----------------------------------------------------------------------------------------------------------


def _row(sender: str, clients: int, wire: Wire, told: Sequence[Told]) -> Row:
    exchanges = [one for conversation in wire.conversations for one in conversation.exchanges]
    return Row(
        sender=sender,
        clients=clients,
        requests=len(exchanges),
        answered=sum(one.answered is not None for one in exchanges),
        stray=sum(conversation.stray for conversation in wire.conversations),
        refused=sum(one.status not in {0, None} for one in exchanges),
        seconds=[one.answered - one.asked for one in exchanges if one.answered is not None],
        in_vain=sum(one.in_vain for one in told),
        dropped=sum(one.dropped for one in told),
    )


def _books(node: RunningNode) -> tuple[int, int, int]:
    """Return what the listener counted as received and as answered with success, and how many instances the catalogue holds."""
    catalogue = node.catalogue()
    try:
        with catalogue.database.read() as connection:
            counts = connection.execute(sa.select(sa.func.sum(associations.c.received), sa.func.sum(associations.c.answered))).one()
            stored = connection.execute(sa.select(sa.func.count()).select_from(instances)).scalar_one()
    finally:
        catalogue.close()
    return int(counts[0]), int(counts[1]), int(stored)


def _starved(node: RunningNode) -> str:
    """Return how long the threads of the node's processes ran, and how long they waited for a core, by the kernel's books."""
    if node.process is None:
        return ""
    ran, waited = 0.0, 0.0
    for child in psutil.Process(node.process.pid).children():
        for path in Path(f"/proc/{child.pid}/task").glob("*/schedstat"):
            on_core, in_queue, _ = path.read_text().split()
            ran, waited = ran + int(on_core) / 1e9, waited + int(in_queue) / 1e9
    return (
        f"By the kernel's books (schedstat) the threads of the node that were alive at the end had run for {ran:.0f} s and waited\n"
        f"{waited:.0f} s for a core: with every core taken, an answer is late because nothing of the node is given one."
    )


def _slow(path: Path) -> str:
    """Return what the listener's log says of stores that took long, and of what took the time."""
    told = [json.loads(line) for line in path.read_text(errors="replace").splitlines() if '"store_slow"' in line]
    if not told:
        return f"No store took longer than {SLOW_S:g} s."
    file_s, commit_s = (max(float(one[name]) for one in told) for name in ("file_s", "commit_s"))
    return (
        f"{len(told)} stores took longer than {SLOW_S:g} s; the longest wait for a file to be on disk was {file_s:.1f} s, for the\n"
        f"catalogue's commit {commit_s:.1f} s."
    )


def _line(row: Row) -> str:
    times = f"{1000 * statistics.median(row.seconds):.0f} ms | {1000 * max(row.seconds):.0f} ms"
    return (
        f"| {row.sender} | {row.clients} | {row.requests} | {row.answered} | {row.stray} | {row.refused} | {times} "
        f"| {row.in_vain} | {row.dropped} |"
    )


def _document(rows: Sequence[Row], received: int, answered: int, stored: int, timeout_s: float, slow: str) -> str:
    asked, given, stray = (sum(getattr(row, name) for row in rows) for name in ("requests", "answered", "stray"))
    verdict = (
        "Every request got exactly one response on the wire."
        if asked == given and not stray
        else f"**{asked - given} requests had no response when their sender gave up, and {stray} responses had no request.**"
    )
    cores = os.cpu_count() or 1
    lines = [
        "# Every C-STORE is answered",
        "",
        f"Made by `make answers` ({cores} cores and {cores} processes beside it that only compute; pynetdicom",
        f"{pynetdicom.__version__}). A real `medqa serve`, its scorer included, receives CT images of 64². A proxy between sender",
        "and node decodes the messages of both directions. Nothing is ever sent again, so that nothing is hidden. The time is",
        "from the last byte of a request to its response, both at the proxy.",
        "",
        f"{verdict} Requests: {asked}, responses: {given}.",
        f"The listener's own books: {received} received, {answered} answered with success, {stored} instances in the catalogue.",
        slow,
        "",
        "| sender | associations | requests | responses | stray | refused | median | longest | in vain | dropped |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
        "",
        "*stray*: responses to no request, or second ones. *in vain*: requests for which the sender saw no response within",
        f"{timeout_s:g} s (storescu: associations that failed). *dropped*: how often pynetdicom's client logged",
        f"“{DROPPED}”: a response that had come, taken by the association's own thread",
        "(pynetdicom's `association.py`, `_run_reactor`) before the thread that waited for it. `dicom_node/connection.py` says how",
        "that happens; our senders keep that thread away from the messages.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
