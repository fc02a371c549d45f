"""How fast it is and how much memory it takes; the tables are written to `docs/benchmarks.md`. Run by `make bench`.

python -m tests.proofs.bench [--rounds 3] [--models FOLDER]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from pydicom import Dataset

from dicom_node import process
from dicom_node.catalogue import Catalogue
from dicom_node.connection import Requests
from dicom_node.lifecycle import State
from dicom_node.node import PROGRAMS, Node, load_bundles
from medqa import reader
from medqa.assessment import Scorer
from medqa.config import NodeSettings, Settings
from medqa.metrics import frame_partials
from tests.node.small_series import associate, instances, write
from tests.proofs import metric_costs

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
SLICES, LONG, SIDE, RATE = 200, 2000, 512, 20.0
NOISE = 0.01
RECEIVED = 400
ENDED = {State.DELIVERED, State.FAILED, State.NOT_JUDGED}

NAMES = {"CT": "CT", "MR": "MR", "PT": "PET"}
COSTS = "Slices of a phantom; the median over slices, one thread."
PHYSICS = (
    "AUC of the witness that weighs measurements: clean scans against the two strongest levels of a kind of artefact, subjects\n"
    "never seen, 95 % interval by subject. From the metadata of the bundle."
)

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Passage:
    """One series through a node, in seconds; memory in MB."""

    to_provisional: float
    to_report: float
    sent_in: float
    peak_mb: float


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, default=None, help="a shelf of bundles; by default the one in force")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medqa-bench-") as name:
        folder = Path(name)
        tables = [
            _streaming(folder, arguments.rounds, arguments.models),
            _from_disk(folder, arguments.models),
            _receiving(folder),
            _memory(folder, arguments.models),
            *(_table(f"## {name} metrics", COSTS, metric_costs.costs(modality)) for modality, name in NAMES.items()),
            *(_physics(load_bundles(Settings(models=arguments.models)).folder)),
        ]
    DOCUMENT.write_text(_document(tables), encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


# ---- one series through a node -------------------------------------------------------------------------------------------


@contextmanager
def _node(folder: Path, models: Path | None, *, only: str | None = None) -> Iterator[Node]:
    settings = Settings(node=NodeSettings(storage=folder, host="127.0.0.1", port=0, disk_reserve_mb=1), models=models)
    node = Node(settings, programs=tuple(one for one in PROGRAMS if only in {None, one.name}))
    node.start()
    try:
        yield node
    finally:
        node.stop()


def _pass(node: Node, slices: int, seed: int, rate: float | None) -> Passage:
    """Send one series, at `rate` images a second or as fast as it is taken, and follow it to its report."""
    with _watched_memory() as memory:
        uid, sent_in = _send(node.port, instances("CT", slices, seed=seed, side=SIDE, noise=NOISE), rate)
        times = _followed(node, uid, within_s=900.0)
    return Passage(
        to_provisional=times["provisional"] - times["last object"],
        to_report=times["rendered"] - times["verdict"],
        sent_in=sent_in,
        peak_mb=memory["peak"],
    )


def _send(port: int, datasets: Iterator[Dataset], rate: float | None) -> tuple[str, float]:
    requests = Requests(associate(port))
    started = time.monotonic()
    uid = ""
    for number, dataset in enumerate(datasets):
        uid = dataset.SeriesInstanceUID
        if rate is not None:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        if requests.store(dataset).get("Status") != 0:
            message = "an instance was not stored"
            raise RuntimeError(message)
    requests.release()
    return uid, time.monotonic() - started


def _followed(node: Node, uid: str, within_s: float) -> dict[str, float]:
    """Wait for the end of a series; return when what happened, on the catalogue's clock."""
    catalogue = Catalogue.open(node.settings)
    try:
        until = time.monotonic() + within_s
        while (record := catalogue.series(uid)) is None or record.state not in ENDED:
            if time.monotonic() > until:
                message = "the series did not come to its end"
                raise TimeoutError(message)
            time.sleep(0.2)
        times = {event.kind: event.at for event in catalogue.events_since(0, 100_000) if event.series_uid == uid}
        return times | {"last object": record.last_received}
    finally:
        catalogue.close()


@contextmanager
def _watched_memory() -> Iterator[dict[str, float]]:
    """Sample the proportional set size of this process's children, all together, until the block ends."""
    peak = {"peak": 0.0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            sizes = [size for child in psutil.Process().children(recursive=True) if (size := _pss_mb(child)) is not None]
            peak["peak"] = max(peak["peak"], sum(sizes))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _pss_mb(child: psutil.Process) -> float | None:
    try:
        return float(child.memory_full_info().pss) / 1e6
    except psutil.Error:
        return None


def _streaming(folder: Path, rounds: int, models: Path | None) -> str:
    with _node(folder / "streaming", models) as node:
        passages = [_pass(node, SLICES, seed, RATE) for seed in range(rounds)]
    rows = [
        ("last instance to provisional verdict", _seconds([one.to_provisional for one in passages]), "2 s"),
        ("final verdict to PDF and objects", _seconds([one.to_report for one in passages]), "10 s"),
    ]
    title = f"## Judged while it arrives: a CT of {SLICES} slices of {SIDE}² at {RATE:g} images/s"
    return _table(title, f"Median (least to most) of {rounds} series, one after the other, through one node.", rows)


# ---- the steps from disk -------------------------------------------------------------------------------------------------


def _from_disk(folder: Path, models: Path | None) -> str:
    paths = write(folder / "disk", instances("CT", SLICES, seed=99, side=SIDE, noise=NOISE))
    settings = Settings(models=models)
    started = time.monotonic()
    shelf = load_bundles(settings)
    loaded_s = time.monotonic() - started
    started = time.monotonic()
    (one,) = reader.read(paths[0].parent).series
    read_s = time.monotonic() - started
    started = time.monotonic()
    assessment = process.assess_from_disk(one, shelf.scorers, settings, unusable=shelf.unusable)
    judged_s = time.monotonic() - started
    images = [frame.read() for frame in one.frames[:40]]
    steps: list[tuple[str, Callable[[], object], int]] = [
        ("read headers and digests", lambda: reader.read(paths[0].parent), SLICES),
        ("decode", lambda: [frame.read() for frame in one.frames[:40]], 40),
        ("metrics", lambda: [frame_partials(image) for image in images], 40),
    ]
    steps += [(scorer.name, partial(scorer.score, images), 40) for scorer in shelf.scorers if _is(scorer, "mal")]
    rows = [(f"{SLICES} slices: read", f"{read_s:.2f} s", ""), (f"{SLICES} slices: judged", f"{judged_s:.2f} s", "")]
    rows += [(name, f"{count / _time(step):.0f} frames/s", "") for name, step, count in steps]
    evidence = process.Judges(shelf.scorers, (), settings).of("CT").evidence(images)
    evidence += [evidence[-1]] * (SLICES - 40)
    bags = [
        (f"{scorer.name}: a bag of 24 frames", partial(scorer.conclude, one, evidence))
        for scorer in shelf.scorers
        if _is(scorer, "densenet")
    ]
    rows += [(name, f"{_time(step):.2f} s", "") for name, step in bags]
    rows.append(("opening the bundles, once a process", f"{loaded_s:.2f} s", ""))
    text = f"One process, the verdict was {assessment.verdict}."
    return _table(f"## The same series from disk, and each step ({os.cpu_count()} cores)", text, rows)


def _is(scorer: Scorer, kind: str) -> bool:
    return scorer.modality == "CT" and scorer.kind == kind


def _time(step: Callable[[], object]) -> float:
    """Return the median time of three runs in seconds."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        step()
        times.append(time.monotonic() - started)
    return statistics.median(times)


# ---- receiving -----------------------------------------------------------------------------------------------------------


def _receiving(folder: Path) -> str:
    storescu = shutil.which("storescu")
    if storescu is None:
        return "## Receiving\n\nNot measured: storescu (Debian: dcmtk) is not installed.\n"
    rows = []
    with _node(folder / "receiving", None, only="listener") as node:
        for clients in (1, 4):
            rates = [
                _received(storescu, node.port, folder / f"send-{clients}-{number}", clients, 10 * clients + number)
                for number in range(3)
            ]
            value = f"{statistics.median(rates):.0f} instances/s ({min(rates):.0f} to {max(rates):.0f})"
            rows.append((f"{clients} association{'s' if clients > 1 else ''}", value, ""))
    text = (
        f"dcmtk's storescu sends {RECEIVED} instances of 0.5 MB; every one is on disk and in the catalogue before its response.\n"
        "Median (least to most) of three rounds; only the listener runs, and the sender shares the cores with it."
    )
    return _table("## Receiving, durably", text, rows)


def _received(program: str, port: int, folder: Path, clients: int, seed: int) -> float:
    """Send new series from as many clients at once; return instances a second."""
    each = RECEIVED // clients
    parts = [
        write(folder / str(part), instances("CT", each, seed=100 * seed + part, side=SIDE, noise=NOISE)) for part in range(clients)
    ]
    rate = RECEIVED / _storescu(program, port, parts)
    shutil.rmtree(folder)
    return rate


def _storescu(program: str, port: int, parts: Sequence[Sequence[Path]]) -> float:
    started = time.monotonic()
    command = [program, "-aec", "MEDQA", "127.0.0.1", str(port)]
    running = [subprocess.Popen([*command, *map(str, part)], env=os.environ | {"TCP_NODELAY": "1"}) for part in parts]
    if any(one.wait() for one in running):
        message = "storescu failed"
        raise RuntimeError(message)
    return time.monotonic() - started


# ---- memory --------------------------------------------------------------------------------------------------------------


def _memory(folder: Path, models: Path | None) -> str:
    rows = []
    for slices in (SLICES, LONG):
        with _node(folder / f"memory-{slices}", models) as node:
            passage = _pass(node, slices, slices, None)
        rows.append((f"{slices} slices", f"{passage.peak_mb:.0f} MB", "2000 MB"))
        rows.append((f"{slices} slices: last instance to provisional verdict", f"{passage.to_provisional:.1f} s", ""))
        shutil.rmtree(folder / f"memory-{slices}")
    text = "Peak of the proportional set size, summed over every process of the node, the series sent as fast as it is taken."
    return _table("## Memory", text, rows)


# ---- the page ------------------------------------------------------------------------------------------------------------


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def _physics(shelf: Path) -> Iterator[str]:
    """Yield the tables of the physics witnesses that there are."""
    for modality, name in NAMES.items():
        rows = metric_costs.physics(shelf, modality)
        if rows:
            yield _table(f"## Physics alone ({name})", PHYSICS, rows)


def _table(title: str, text: str, rows: Sequence[Row]) -> str:
    lines = [title, "", text, "", "| | measured | bar |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} | {bar} |" for name, value, bar in rows)]) + "\n"


def _document(tables: Sequence[str]) -> str:
    memory_gb = psutil.virtual_memory().total / 2**30
    head = [
        "# Benchmarks",
        "",
        f"Made by `make bench` on {os.cpu_count()} cores ({platform.machine()}), {memory_gb:.0f} GB of memory,",
        f"Python {platform.python_version()}.",
        "Sender, node and measurement share the machine. A bar is what this project promises on two cores.",
        f"Load of the machine when it began and ended: {_LOAD[0]:.1f}, {os.getloadavg()[0]:.1f}.",
        "",
    ]
    return "\n".join([*head, "\n".join(tables)])


_LOAD = os.getloadavg()

if __name__ == "__main__":
    main()
