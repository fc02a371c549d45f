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

from medqa import simulate
from medqa.errors import MedqaError, NotApplicable
from medqa.metrics import METRICS, frame_partials
from medqa.series import FrameImage, Series, Stack
from medqa.simulate.catalogue import KINDS
from medqa.simulate.series import known_encoding
from medqa.training.scans import RANGES, Scan
from medqa.volume import Array

FRAMES: Final = {"CT": (1, 4), "MR": (2, 4), "PT": (16, 24)}
"""Frames of a scan that are measured: of one that teaches, and of a test subject's. Livers of PET are sought along the stack."""
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

    # Plain CT images were resampled by those who published them: what scanners make of noise is no longer in them.
    value_range = None if scan.modality == "CT" else RANGES[scan.modality]
    reading = read(scan.path, value_range=value_range, modality=scan.modality)
    found = [series for series in reading.series if series.modality == scan.modality and series.frames]
    if not found:
        return
    series = few(max(found, key=lambda one: len(one.frames)), FRAMES[scan.modality][scan.role == "test"])
    clean = [frame.read() for frame in series.frames]
    yield _row(scan, series, clean, "", 0, 0.0)
    if not scan.clean:
        return
    for kind in KINDS[scan.modality].values():
        seed = int.from_bytes(hashlib.sha256(f"{scan.key}/{kind.name}".encode()).digest()[:8])
        for level in LEVELS.get(scan.role, CLEARLY_SPOILED):
            # The same seed for every level: only the strength differs.
            pixel_mm = float(np.mean(clean[0].spacing_mm))
            plan = kind.plan(np.random.default_rng(seed), pixel_mm=pixel_mm, level=level, given=known_encoding(series, kind))
            images, severities = [], []
            for index, image in enumerate(clean):
                own = replace(plan, parameters={**plan.parameters, "seed": plan.parameters["seed"] + index})
                done = simulate.apply(image.array, own, pixel_mm=pixel_mm)
                images.append(_shown(image, _stored(image, done.array)))
                severities.append(done.severity)
            yield _row(scan, series, images, kind.name, level, float(np.mean(severities)))


def few(series: Series, most: int) -> Series:
    """Return a series of at most `most` frames, evenly spaced along the stacks, with the distance that they have now."""
    step = -(-len(series.frames) // most)
    first = (len(series.frames) - 1) % step // 2
    frames = series.frames[first::step]
    depth, *plane = series.volume.spacing_mm
    volume = replace(series.volume, shape=(len(frames), *series.volume.shape[1:]), spacing_mm=(depth * step, plane[0], plane[1]))
    return replace(series, frames=frames, stacks=(Stack(label="", start=0, stop=len(frames)),), volume=volume)


def _stored(image: FrameImage, array: Array) -> Array:
    """Return values as a scanner stores them, CT in whole HU and MR in its steps: else no quantity could tell coarse steps."""
    step = {"CT": 1.0, "MR": abs(image.frame.header.slope)}.get(image.frame.modality, 0.0)
    return array if not step else np.asarray(np.rint(array / np.float32(step)) * np.float32(step), dtype=np.float32)


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
