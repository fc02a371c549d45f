"""What physics measures of clean and degraded scans: one table from which the witness is fitted and the metrics are judged.

A row is a scan under one kind of degradation at one level (0: as it was), with every measured quantity. All levels of a kind share
their chance: only the strength differs, so that a quantity can be followed from level to level.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from medqa.errors import MedqaError, NotApplicable
from medqa.metrics import METRICS, frame_partials
from medqa.series import FrameImage, Series, Stack
from medqa.simulate import ct
from medqa.training.cache import spaced
from medqa.training.scans import Scan
from medqa.volume import Array

FRAMES: Final = {"test": 2}
"""Frames of a scan, by its role: one where it is not named here."""
LEVELS: Final = {"test": (1, 2, 3, 4)}
"""Levels by the role of a scan: test subjects are followed from level to level, the others teach what is clearly spoiled."""
CLEARLY_SPOILED: Final = (3, 4)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The measurements of a few frames of a scan, as they were (`kind` empty, level 0) or degraded."""

    scan: str
    subject: str
    role: str
    clean: bool
    """Whether nothing is known against the scan itself."""
    kind: str
    level: int
    severity: float
    values: Mapping[str, float] = field(default_factory=dict)


def read_rows(path: Path) -> list[Row]:
    """Read a table; a file that is not there is empty."""
    if not path.is_file():
        return []
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def make_rows(scans: Iterable[Scan], path: Path) -> None:
    """Measure scans that are not in the table yet, and append their rows; a scan that cannot be read is logged and left out."""
    done = {row.scan for row in read_rows(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    for scan in scans:
        if scan.key in done:
            continue
        try:
            rows = list(_scan_rows(scan))
        except MedqaError as error:
            log.warning("%s left out: %s", scan.key, error)
            continue
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
        log.info("%s: %d rows", scan.key, len(rows))


def _scan_rows(scan: Scan) -> Iterator[Row]:
    from medqa.reader import read

    found = [series for series in read(scan.path).series if series.modality == scan.modality and series.frames]
    if not found:
        return
    series = _few(max(found, key=lambda one: len(one.frames)), FRAMES.get(scan.role, 1))
    clean = [frame.read() for frame in series.frames]
    yield _row(scan, series, clean, "", 0, 0.0)
    if not scan.clean:
        return
    for kind in ct.KINDS.values():
        seed = int.from_bytes(hashlib.sha256(f"{scan.key}/{kind.name}".encode()).digest()[:8])
        for level in LEVELS.get(scan.role, CLEARLY_SPOILED):
            # The same seed for every level: only the strength differs.
            pixel_mm = float(np.mean(clean[0].spacing_mm))
            plan = kind.plan(np.random.default_rng(seed), pixel_mm=pixel_mm, level=level)
            images, severities = [], []
            for index, image in enumerate(clean):
                own = replace(plan, parameters={**plan.parameters, "seed": plan.parameters["seed"] + index})
                done = ct.apply(image.array, own, pixel_mm=pixel_mm)
                # Whole HU, as a scanner stores them: else no quantity could tell coarse steps.
                images.append(_shown(image, np.rint(done.array)))
                severities.append(done.severity)
            yield _row(scan, series, images, kind.name, level, float(np.mean(severities)))


def _few(series: Series, count: int) -> Series:
    frames = tuple(series.frames[index] for index in spaced(len(series.frames), count))
    return replace(series, frames=frames, stacks=(Stack(label="", start=0, stop=len(frames)),))


def _shown(image: FrameImage, array: Array) -> FrameImage:
    return FrameImage(frame=replace(image.frame, decode=lambda: array), array=array)


def _row(scan: Scan, series: Series, images: Sequence[FrameImage], kind: str, level: int, severity: float) -> Row:
    partials = [frame_partials(image) for image in images]
    values: dict[str, float] = {}
    for metric in METRICS[series.modality]:
        try:
            found = metric.measure(series, [one.get(metric.name) for one in partials])
        except NotApplicable:
            continue
        values |= {one.quantity.value: float(one.value) for one in found if np.isfinite(one.value)}
    return Row(
        scan=scan.key,
        subject=scan.subject,
        role=scan.role,
        clean=scan.clean,
        kind=kind,
        level=level,
        severity=round(severity, 4),
        values={name: float(f"{value:.6g}") for name, value in values.items()},
    )
