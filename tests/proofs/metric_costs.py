"""What the metrics cost, and how well physics alone tells clean from spoiled: tables of `docs/benchmarks.md`."""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from medqa.codes import Unit
from medqa.metrics import METRICS, Metric, frame_partials
from medqa.regions import Regions
from medqa.series import Frame, FrameHeader, FrameImage
from medqa.simulate import phantom
from medqa.simulate.anatomy_pet import BQ_PER_ML_PER_SUV

SLICES: Final = 200
DRAWN: Final = 8
"""Slices of the phantom that are drawn; the series repeats them."""
BARS: Final = {"CT": ("25 ms", "5 s"), "MR": ("", ""), "PT": ("", "")}
"""For one frame on one thread, and for the series on two processes."""
UNITS: Final = {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.BQ_PER_ML}
ROUNDS: Final = 15
SHARED: Final = {"CT": ("body", "soft_tissue"), "MR": ("body", "inside", "air"), "PT": ("body", "inside")}
"""Regions that several metrics use: made once a frame."""

Row = tuple[str, str, str]


def costs(modality: str) -> list[Row]:
    """Return rows for every metric of a modality, their sum, and a whole series on two processes."""
    images = _images(modality)
    times = {"regions that they share": [_timed(lambda image=image: _prepared(image)) for image in images]}
    for metric in METRICS[modality]:
        times[f"`{metric.name}`"] = [_alone(metric, image) for image in images]
    rows = [(name, f"{1000 * statistics.median(values):.1f} ms", "") for name, values in times.items()]
    whole = [_timed(lambda image=image: frame_partials(image)) for image in images for _ in range(ROUNDS)]
    rows.append(("**all of them, one frame, one thread**", f"{1000 * statistics.median(whole):.1f} ms", BARS[modality][0]))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        part = partial(_part, modality)
        list(pool.map(part, range(2)))  # the phantom is drawn and everything imported by now
        started = time.perf_counter()
        peaks = list(pool.map(part, range(2)))
        side = images[0].array.shape[0]
        seconds = f"{time.perf_counter() - started:.2f} s"
        rows.append((f"**{SLICES} slices of {side}², two processes**", seconds, BARS[modality][1]))
    rows.append(("largest memory of a process", f"{max(peaks):.0f} MB", ""))
    return rows


def physics(shelf: Path, modality: str) -> list[Row]:
    """Return the AUC of the physics witness for every kind of artefact, as its bundle keeps it; empty without one."""
    path = shelf / f"physics_{modality.lower()}/configs/metadata.json"
    if not path.is_file():
        return []
    facts = json.loads(path.read_text(encoding="utf-8"))["training"]
    rows = []
    for kind, found in facts["auc"].items():
        low, high = found["interval"] or (float("nan"), float("nan"))
        rows.append((kind, f"{found['value']:.3f} ({low:.3f} to {high:.3f})", ""))
    return [*rows, ("test subjects", str(facts["test_subjects"]), "")]


@lru_cache(maxsize=1)
def _images(modality: str) -> Sequence[FrameImage]:
    generator = np.random.default_rng(3)
    drawn = {
        "CT": lambda: phantom.ct(generator, slices=DRAWN, realisations=2),
        "MR": lambda: phantom.mr(generator, slices=DRAWN),
        "PT": lambda: phantom.pet(generator, slices=DRAWN, spacing_mm=20.0),
    }[modality]()
    mm, side = drawn.grid.pixel_mm, drawn.grid.size
    images = []
    for index, array in enumerate(np.rint(drawn.array)):
        header = FrameHeader(
            rows=side,
            columns=side,
            spacing_mm=(mm, mm),
            position_mm=(-side / 2 * mm, -side / 2 * mm, drawn.grid.spacing_mm * index),
            orientation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
            phase_encoding_axis="COL" if modality == "MR" else None,
            suv_factor=1 / BQ_PER_ML_PER_SUV if modality == "PT" else None,
        )
        frame = Frame(
            sop_instance_uid=f"1.{index}",
            number=1,
            modality=modality,
            unit=UNITS[modality],
            header=header,
            sha256="",
            decode=lambda a=array: a,
        )
        images.append(FrameImage(frame=frame, array=array))
    return images


def _prepared(image: FrameImage) -> Regions:
    found = Regions(image)
    for name in SHARED[image.frame.modality]:
        getattr(found, name)
    return found


def _alone(metric: Metric, image: FrameImage) -> float:
    """Return the least time that a metric takes of a frame whose shared regions are there."""
    # Prepared anew each time: what a metric leaves for the next would make its second time free.
    fresh = [_prepared(image) for _ in range(ROUNDS)]
    return min(_timed(lambda found=found: metric.per_frame(found)) for found in fresh)


def _part(modality: str, number: int) -> float:
    """Measure every second slice of the series; return the largest memory of this process in MB."""
    images = _images(modality)
    for index in range(number, SLICES, 2):
        frame_partials(images[index % DRAWN])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in METRICS:
        for row in costs(name):
            print(name, *row, sep="  ")
