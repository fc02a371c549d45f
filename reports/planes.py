"""Planes across a stack: coronal and sagittal reformats, and maximum intensity projections, one frame in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.codes import Code, Unit
from medqa.errors import MedqaError
from medqa.series import Series
from medqa.volume import Array, Vector
from reports.figures import suv_factor

_FEWEST_SLICES: Final = 8
_MOST_SAMPLES: Final = 192
_THINNEST: Final = 0.08
_NAMES: Final = ("sagittal", "coronal", "axial")
"""Plane across the left, the posterior, the superior axis."""

# How a plane is hung: the patient axis and the sense that run down the page, then those that run to the right (LPS).
_HUNG: Final = {"axial": ((1, 1), (0, 1)), "coronal": ((2, -1), (0, 1)), "sagittal": ((2, -1), (1, 1))}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """An image across the stack, hung as radiologists hang it; `spacing_mm` of its rows and columns."""

    name: str
    array: Array
    spacing_mm: tuple[float, float]
    unit: Code


def is_stack(series: Series) -> bool:
    """Say whether the first stack is a volume worth cutting across: at least 8 slices at different places."""
    volume = series.volume
    if volume.shape[0] < _FEWEST_SLICES or not volume.spacing_mm[0] > 0:
        return False
    start, stop = series.stacks[0].start, series.stacks[0].stop
    ends = series.frames[start].header.position_mm, series.frames[stop - 1].header.position_mm
    if series.source == "DICOM" and (None in ends or ends[0] == ends[1]):
        return False
    covered = volume.shape[0] * volume.spacing_mm[0]
    sides = [covered, volume.shape[1] * volume.spacing_mm[1], volume.shape[2] * volume.spacing_mm[2]]
    return min(sides) >= _THINNEST * max(sides)


def reformats(series: Series) -> list[Plane]:
    """Return the two planes through the middle of the stack, from at most 192 of its frames."""
    count, rows, columns = series.volume.shape
    step = -(-count // _MOST_SAMPLES)
    places = range(0, count, step)
    across_rows = np.full((len(places), columns), np.nan, dtype=np.float32)
    across_columns = np.full((len(places), rows), np.nan, dtype=np.float32)
    for line, z in enumerate(places):
        frame = _read(series, z)
        if frame is not None:
            across_rows[line], across_columns[line] = frame[rows // 2], frame[:, columns // 2]
    return _planes(series, across_rows, across_columns, step, series.unit)


def projections(series: Series) -> list[Plane]:
    """Return the maximum of every line across the stack, seen from the front and from the side, in SUV where there is one."""
    count, rows, columns = series.volume.shape
    across_rows = np.full((count, columns), np.nan, dtype=np.float32)
    across_columns = np.full((count, rows), np.nan, dtype=np.float32)
    unit = series.unit
    for z in range(count):
        frame = _read(series, z)
        if frame is None:
            continue
        factor = suv_factor(series, series.stacks[0].start + z)
        if series.unit == Unit.BQ_PER_ML and factor is not None:
            frame, unit = frame * np.float32(factor), Unit.SUVBW
        across_rows[z], across_columns[z] = np.fmax.reduce(frame, axis=0), np.fmax.reduce(frame, axis=1)
    return _planes(series, across_rows, across_columns, 1, unit)


def _read(series: Series, z: int) -> Array | None:
    try:
        return series.volume.read(z)
    except MedqaError:  # told by the findings; here the line stays black
        return None


def _planes(series: Series, across_rows: Array, across_columns: Array, step: int, unit: Code) -> list[Plane]:
    x, y, z = series.volume.direction
    along_z, along_y, along_x = series.volume.spacing_mm
    made = [
        _hung(across_rows, (z, x), (along_z * step, along_x), unit),
        _hung(across_columns, (z, y), (along_z * step, along_y), unit),
    ]
    return sorted(made, key=lambda plane: plane.name)


def _hung(array: Array, axes: tuple[Vector, Vector], spacing_mm: tuple[float, float], unit: Code) -> Plane:
    """Name and turn a plane by the patient axes that it is nearest to; one along no axis stays as it is."""
    down, right = ((int(np.argmax(np.abs(axis))), axis) for axis in axes)
    if down[0] == right[0]:
        return Plane(name="oblique", array=array, spacing_mm=spacing_mm, unit=unit)
    name = _NAMES[3 - down[0] - right[0]]
    wanted_down, wanted_right = _HUNG[name]
    if down[0] != wanted_down[0]:
        array, spacing_mm, down, right = array.T, spacing_mm[::-1], right, down
    if down[1][down[0]] * wanted_down[1] < 0:
        array = array[::-1]
    if right[1][right[0]] * wanted_right[1] < 0:
        array = array[:, ::-1]
    return Plane(name=name, array=array, spacing_mm=spacing_mm, unit=unit)
