"""`kill -9` to the process group of a real `medqa serve` while it receives, judges and renders; then the books are checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dsutils import encode

from dicom_node.connection import Requests
from dicom_node.lifecycle import State
from dicom_node.storage import data_set_start
from tests.node.small_series import CLASSES, series
from tests.peers.running import RunningNode

ENVIRONMENT = {
    "MEDQA_COMPLETION__SETTLE_CT_S": "1.5",
    "MEDQA_COMPLETION__SETTLE_MR_S": "1.5",
    "MEDQA_NODE__DISK_RESERVE_MB": "1",
}
SETTLED_WITHIN_S = 300.0
SMALL: Mapping[str, int] = {"CT": 64, "MR": 64, "PT": 64}
"""Rows and columns of the images of each series: small enough for a test."""


@dataclass(frozen=True)
class Sent:
    """What the sender remembers of an instance: a long run need not fit into memory."""

    sop_instance_uid: str
    series_uid: str
    size: int
    sha256: str


def remember(instances: Iterable[Dataset]) -> list[Sent]:
    """Return what was, or will be, sent, byte for byte as it is encoded."""
    books = []
    for one in instances:
        data = encode(one, is_implicit_vr=False, is_little_endian=True)
        assert data is not None
        books.append(Sent(one.SOPInstanceUID, one.SeriesInstanceUID, len(data), hashlib.sha256(data).hexdigest()))
    return books


@dataclass
class Sender:
    """A scanner that keeps a list of what was acknowledged, and sends the rest again."""

    instances: Sequence[Dataset]
    acknowledged: set[str] = field(default_factory=set)

    def send(self, port: int) -> bool:
        """Send what is not acknowledged over one association; return whether everything is acknowledged now."""
        ae = AE("SCANNER")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 20
        for uid in CLASSES.values():
            ae.add_requested_context(uid, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", port, ae_title="MEDQA")
        requests = Requests(association)
        for instance in self.instances:
            if not requests.open:
                break
            if instance.SOPInstanceUID in self.acknowledged:
                continue
            with contextlib.suppress(RuntimeError, ValueError):
                if requests.store(instance).get("Status") == 0x0000:
                    self.acknowledged.add(instance.SOPInstanceUID)
        if association.is_established:
            association.release()
        connection = association.dul.socket
        if connection is not None and connection.socket is not None:
            connection.socket.close()  # pynetdicom leaves it open when the peer dies
        return len(self.acknowledged) == len(self.instances)


@dataclass(frozen=True)
class Round:
    """What one kill hit, for the table."""

    moment: str
    acknowledged: int
    states: str
    revisions: int


def kill_at(node: RunningNode, sender: Sender, moment: float, after_s: float) -> tuple[str, str]:
    """Kill the group at `moment` of the send: below 1 a part of the instances is acknowledged, above it all are, and time went by.

    Returns the moment in words, and the states that the series were in.
    """
    assert node.process is not None
    count = len(sender.instances)
    before = len(sender.acknowledged)
    thread = threading.Thread(target=sender.send, args=(node.port,))
    thread.start()
    target = before + (count - before) * moment
    while thread.is_alive() and len(sender.acknowledged) < min(target, count):
        time.sleep(0.001)
    words = f"{len(sender.acknowledged)} of {count} acknowledged"
    if moment > 1:
        thread.join()
        time.sleep((moment - 1) * after_s)
        words = (
            f"{(moment - 1) * after_s:.1f} s after {'the last' if len(sender.acknowledged) == count else 'a broken association'}"
        )
    os.killpg(node.process.pid, signal.SIGKILL)
    node.process.wait()
    thread.join()
    return words, _states(node.storage)


def _states(storage: Path) -> str:
    """Read the states as the dead node left them, without changing anything."""
    with contextlib.closing(sqlite3.connect(f"file:{storage / 'catalogue.db'}?mode=ro", uri=True)) as connection:
        states = Counter(state for (state,) in connection.execute("SELECT state FROM revisions"))
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "nothing yet"


def check_books(node: RunningNode, sent: Sequence[Sent], acknowledged: Collection[str]) -> None:
    """Hold the sender's list of acknowledged instances against the files, to the last bit, and against the rows."""
    catalogue = node.catalogue()
    rows = {}
    for uid in {one.series_uid for one in sent}:
        for row in catalogue.instances_of(uid):
            assert row.sop_instance_uid not in rows, "two rows for one instance"
            rows[row.sop_instance_uid] = row
    catalogue.close()
    assert rows.keys() >= set(acknowledged), "acknowledged, but not in the catalogue"
    for one in sent:
        if one.sop_instance_uid in rows:
            content = rows[one.sop_instance_uid].path.read_bytes()
            data_set = memoryview(content)[data_set_start(content[:4096]) :]
            assert len(data_set) == one.size
            assert hashlib.sha256(data_set).hexdigest() == one.sha256, "the stored bytes are not the sent ones"


def check_no_strays(node: RunningNode, sent: Sequence[Sent]) -> None:
    """Once everything is acknowledged, there is one file for each instance and no other."""
    files = list((node.storage / "objects").rglob("*.dcm"))
    assert len(files) == len(sent)
    assert list((node.storage / "incoming").iterdir()) == []


def check_verdicts(node: RunningNode, sent: Sequence[Sent]) -> int:
    """Every revision has exactly one final verdict, the newest sees all frames; return how many revisions there are."""
    catalogue = node.catalogue()
    told = Counter((event.series_uid, event.revision) for event in catalogue.events_since(0, 100_000) if event.kind == "verdict")
    expected = Counter(one.series_uid for one in sent)
    revisions = 0
    for uid, count in expected.items():
        newest = catalogue.series(uid)
        assert newest is not None
        for revision in range(1, newest.revision + 1):
            record = catalogue.series(uid, revision)
            assert record is not None
            assert record.state is State.DELIVERED, f"{record.state} {record.reason}"
            assert told[uid, revision] == 1
            revisions += 1
        final = catalogue.assessment(uid)
        assert final is not None
        assert final.document["assessments"][0]["reason"] != "review_unreadable"
        assert sum(part["series"]["frames"] for part in final.document["assessments"]) == count
    catalogue.close()
    return revisions


def kill_and_recover(
    folder: Path,
    moments: Sequence[float],
    count: int,
    chance: random.Random,
    after_s: float,
    sides: Mapping[str, int] = SMALL,
) -> Iterator[Round]:
    """Kill once a moment, each time in the sending of new series; start again, send the rest, check the books, and yield.

    Parameters
    ----------
    folder
        For the storage, empty.
    moments
        See `kill_at`.
    count
        Instances sent a moment.
    chance
        Chooses which series' instances are mixed, and seeds their pixels.
    after_s
        How long the moments beyond 1 reach.
    sides
        Which series are sent a moment, and how many rows and columns their images have.
    """
    node = RunningNode(folder / "storage", ENVIRONMENT)
    everything: list[Sent] = []
    node.start()
    try:
        for moment in moments:
            seed = chance.randrange(2**31)
            each = count // len(sides)
            instances = [one for modality, side in sides.items() for one in series(modality, each, seed=seed, side=side)]
            chance.shuffle(instances)
            sent = remember(instances)
            everything += sent
            sender = Sender(instances)
            words, states = kill_at(node, sender, moment, after_s)
            survived = set(sender.acknowledged)
            check_books(node, sent, survived)
            node.start()
            for _ in range(5):
                if sender.send(node.port):
                    break
            assert len(sender.acknowledged) == len(instances)
            check_books(node, everything, {one.sop_instance_uid for one in everything})
            check_no_strays(node, everything)
            records = node.settle(SETTLED_WITHIN_S)
            assert all(record.state is State.DELIVERED for record in records), [record.state for record in records]
            check_verdicts(node, everything)
            revisions = check_verdicts(node, sent)
            yield Round(moment=words, acknowledged=len(survived), states=states, revisions=revisions)
    except (AssertionError, RuntimeError):
        print(node.log.read_text(errors="replace")[-6000:])
        raise
    finally:
        node.stop()
