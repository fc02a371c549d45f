"""The cache of clean and degraded frames: made once, outside the repository, then read by training and evaluation.

A scan becomes one `.npz`: its chosen frames and all their degradations as float16, with a row of truth for each. Frames are kept in
HU, in SUVbw, or (where there is no absolute scale) divided by the 99.5th percentile of their own foreground.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.codes import Code, Unit
from medqa.errors import MedqaError, UnreadableSeries
from medqa.iqa.transforms import SMALLEST_SIDE, foreground_scale
from medqa.series import Series
from medqa.simulate import LEFT_OUT, LEVELS, STRENGTHS, apply, draw
from medqa.training.scans import Scan
from medqa.volume import Array

FRAMES: Final = {"CT": 3, "MR": 3, "PT": 4}
WHOLE_BODY_FRAMES: Final = 24
"""Frames taken from a whole-body PET scan: there are few of them, and they hold what crops do not."""
WHOLE_BODY_LENGTH: Final = 150
TEST_LEVELS: Final = (3, 4)
"""Test scans are only asked whether they are clean or clearly spoiled."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CleanFrame:
    """A frame as the scanner made it: `array` `(y, x)` in `unit`, NaN where there is none; `phase_axis` 0 (y), 1 (x) or None."""

    array: Array
    unit: Code
    pixel_mm: float
    phase_axis: int | None = None


Reader = Callable[[Scan], Sequence[CleanFrame]]


def read_frames(scan: Scan) -> list[CleanFrame]:
    """Read some frames of a scan, evenly spaced, the outermost left out where there are enough.

    Raises
    ------
    UnreadableSeries
        Where the file holds nothing that can be read.
    """
    if scan.always_trains:
        from medqa.training.phantoms import read_phantom

        return read_phantom(scan)
    if not scan.path.name.endswith(".zip"):
        return _from_nifti(scan)
    from medqa.reader import read

    frames: list[CleanFrame] = []
    for series in read(scan.path).series:
        if series.modality == scan.modality:
            frames += _from_series(series)
    return frames


def make(scans: Sequence[Scan], folder: Path, *, reader: Reader = read_frames, kinds: Sequence[str] | None = None) -> None:
    """Degrade every scan that is not in the cache yet; a scan that cannot be read is logged and left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, scan in enumerate(scans, start=1):
        target = folder / f"{scan.key}.npz"
        if target.exists():
            continue
        try:
            frames = [frame for frame in reader(scan) if min(frame.array.shape) >= SMALLEST_SIDE]
        except MedqaError as error:
            log.warning("%s left out: %s", scan.key, error)
            continue
        rows, arrays = degrade_scan(scan, frames, kinds)
        part = target.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, truth=np.array(_truth(frames, rows)), **arrays)
        part.rename(target)
        log.info("%d/%d %s: %d frames, %d images", number, len(scans), scan.key, len(frames), len(rows))


def degrade_scan(
    scan: Scan, frames: Sequence[CleanFrame], kinds: Sequence[str] | None = None
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray[Any, Any]]]:
    """Return truth rows and the arrays they name: each frame as it is, and under every kind and level.

    A level of a kind is drawn once a frame. A clearly spoiled scan is kept as it is, and so is a test scan with
    anything against it; training scans skip the left-out family.
    """
    chosen = list(kinds or STRENGTHS[scan.modality])
    if scan.role == "train":
        chosen = [kind for kind in chosen if kind != LEFT_OUT[scan.modality]]
    if scan.spoiled == "severe" or scan.role == "unused" or (scan.role == "test" and not scan.clean):
        chosen = []
    levels = TEST_LEVELS if scan.role == "test" else range(1, LEVELS + 1)
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for index, frame in enumerate(frames):
        values = _scaled(frame)
        arrays[f"f{index}"] = values.astype(np.float16)
        rows.append({"name": f"f{index}", "frame": index, "kind": "", "level": 0, "severity": 0.0, "label": scan.base_label})
        for kind in chosen:
            for level in levels:
                name = f"f{index}_{kind}{level}"
                generator = np.random.default_rng(_seed(f"{scan.key}/{name}"))
                options: dict[str, Any] = {"pixel_mm": frame.pixel_mm}
                plan = draw(scan.modality, kind, level, generator, **options)
                if frame.phase_axis is not None and "phase_axis" in plan.parameters:
                    parameters = {**plan.parameters, "phase_axis": float(frame.phase_axis)}
                    plan = type(plan)(modality=plan.modality, kind=kind, level=level, parameters=parameters)
                done = apply(values, plan, pixel_mm=frame.pixel_mm)
                arrays[name] = done.array.astype(np.float16)
                rows.append(
                    {
                        "name": name,
                        "frame": index,
                        "kind": kind,
                        "level": level,
                        "severity": done.severity,
                        "label": scan.base_label * plan.label / LEVELS,
                    }
                )
    return rows, arrays


def spaced(count: int, wanted: int) -> list[int]:
    """Choose `wanted` of `count` indices, evenly spaced, keeping away from both ends where there is room."""
    if count <= wanted:
        return list(range(count))
    return sorted({int((place + 0.5) * count / wanted) for place in range(wanted)})


def _from_series(series: Series) -> Iterator[CleanFrame]:
    count = len(series.frames)
    long = series.modality == "PT" and count >= WHOLE_BODY_LENGTH
    for index in spaced(count, WHOLE_BODY_FRAMES if long else FRAMES[series.modality]):
        frame = series.frames[index]
        image = frame.read()
        axis = {"COL": 0, "ROW": 1}.get(frame.header.phase_encoding_axis or "")
        array, unit = image.array, frame.unit
        if series.modality == "PT" and unit != Unit.SUVBW and frame.header.suv_factor:
            array, unit = array * np.float32(frame.header.suv_factor), Unit.SUVBW
        yield CleanFrame(array=array, unit=unit, pixel_mm=float(np.mean(image.spacing_mm)), phase_axis=axis)


def _from_nifti(scan: Scan) -> list[CleanFrame]:
    """Read a NIfTI file whose numbers are HU (CT) or arbitrary (MR); slices lie along its shortest axis."""
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(scan.path))
    except RuntimeError as error:
        raise UnreadableSeries(source=scan.key, reason="SimpleITK refuses it") from error
    volume = sitk.GetArrayFromImage(image).astype(np.float32)
    volume = volume if volume.ndim == 3 else volume[0]
    spacing = image.GetSpacing()[:3][::-1]
    axis = int(np.argmin(volume.shape))
    in_plane = [size for other, size in enumerate(spacing) if other != axis]
    slices = np.moveaxis(volume, axis, 0)
    unit = Unit.HU if scan.modality == "CT" else Unit.ARBITRARY
    return [
        CleanFrame(array=np.ascontiguousarray(slices[index]), unit=unit, pixel_mm=float(np.mean(in_plane)))
        for index in spaced(len(slices), FRAMES[scan.modality])
    ]


def _scaled(frame: CleanFrame) -> Array:
    if frame.unit in (Unit.HU, Unit.SUVBW):
        return np.clip(frame.array, -1024, 8000) if frame.unit == Unit.HU else frame.array
    return frame.array / np.float32(foreground_scale(np.nan_to_num(frame.array)))


def _truth(frames: Sequence[CleanFrame], rows: list[dict[str, Any]]) -> str:
    unit = frames[0].unit if frames else Unit.ARBITRARY
    return json.dumps({"unit": unit.to_json(), "rows": rows})


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
