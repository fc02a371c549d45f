"""What the CT metrics cost, and how well physics alone tells clean from spoiled: two tables of `docs/benchmarks.md`."""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from medqa.codes import Unit
from medqa.metrics import METRICS, Metric, frame_partials
from medqa.regions import Regions
from medqa.series import Frame, FrameHeader, FrameImage
from medqa.simulate import phantom

SLICES: Final = 200
DRAWN: Final = 8
"""Slices of the phantom that are drawn; the series repeats them."""
ROUNDS: Final = 15
SHARED: Final = ("body", "soft_tissue", "detail")
"""Regions that several metrics use: made once a frame."""

Row = tuple[str, str, str]


def costs() -> list[Row]:
    """Return rows for every metric, their sum, and a whole series on two processes."""
    images = _images()
    times = {"regions that they share": [_timed(lambda image=image: _prepared(image)) for image in images]}
    for metric in METRICS["CT"]:
        times[f"`{metric.name}`"] = [_alone(metric, image) for image in images]
    rows = [(name, f"{1000 * statistics.median(values):.1f} ms", "") for name, values in times.items()]
    whole = [_timed(lambda image=image: frame_partials(image)) for image in images for _ in range(ROUNDS)]
    rows.append(("**all of them, one frame, one thread**", f"{1000 * statistics.median(whole):.1f} ms", "25 ms"))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_part, range(2)))  # the phantom is drawn and everything imported by now
        started = time.perf_counter()
        peaks = list(pool.map(_part, range(2)))
        rows.append((f"**{SLICES} slices of 512², two processes**", f"{time.perf_counter() - started:.2f} s", "5 s"))
    rows.append(("largest memory of a process", f"{max(peaks):.0f} MB", ""))
    return rows


def physics(shelf: Path) -> list[Row]:
    """Return the AUC of the physics witness for every kind of artefact, as its bundle keeps it; empty without one."""
    path = shelf / "physics_ct/configs/metadata.json"
    if not path.is_file():
        return []
    facts = json.loads(path.read_text(encoding="utf-8"))["training"]
    rows = []
    for kind, found in facts["auc"].items():
        low, high = found["interval"] or (float("nan"), float("nan"))
        rows.append((kind, f"{found['value']:.3f} ({low:.3f} to {high:.3f})", ""))
    return [*rows, ("test subjects", str(facts["test_subjects"]), "")]


@lru_cache(maxsize=1)
def _images() -> Sequence[FrameImage]:
    drawn = phantom.ct(np.random.default_rng(3), slices=DRAWN, realisations=2)
    mm = drawn.grid.pixel_mm
    images = []
    for index, array in enumerate(np.rint(drawn.array)):
        header = FrameHeader(rows=512, columns=512, spacing_mm=(mm, mm), position_mm=(-256 * mm, -256 * mm, 5.0 * index))
        frame = Frame(
            sop_instance_uid=f"1.{index}", number=1, modality="CT", unit=Unit.HU, header=header, sha256="", decode=lambda a=array: a
        )
        images.append(FrameImage(frame=frame, array=array))
    return images


def _prepared(image: FrameImage) -> Regions:
    found = Regions(image)
    for name in SHARED:
        getattr(found, name)
    return found


def _alone(metric: Metric, image: FrameImage) -> float:
    """Return the least time that a metric takes of a frame whose shared regions are there."""
    found = _prepared(image)
    return min(_timed(lambda: metric.per_frame(found)) for _ in range(ROUNDS))


def _part(number: int) -> float:
    """Measure every second slice of the series; return the largest memory of this process in MB."""
    images = _images()
    for index in range(number, SLICES, 2):
        frame_partials(images[index % DRAWN])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    for row in costs():
        print(*row, sep="  ")
