"""Frames in patient space: along which axis they lie, which share a geometry, and the volume a stack makes (PS3.3 C.7.6.2.1.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from medqa.series import Frame, FrameHeader
from medqa.volume import Array, Vector, Volume

ANGLE_TOLERANCE: Final = 0.01
"""Direction cosines that differ less are one orientation (0.6°): scanners round them, and rounding must not split a stack."""
SPACING_TOLERANCE: Final = 1e-3
SAME_PLACE_MM: Final = 0.01
MANY_PLANES: Final = 6
"""More orientations than this are one acquisition around an axis (radial slices, rotating projections), not several series."""

_AXIAL: Final[tuple[Vector, Vector]] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def cross(a: Vector, b: Vector) -> Vector:
    """Return the vector product."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def dot(a: Vector, b: Vector) -> float:
    """Return the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(a: Vector) -> Vector:
    """Return the vector at length 1."""
    length = math.sqrt(dot(a, a))
    return (a[0] / length, a[1] / length, a[2] / length)


def normal(frames: Sequence[Frame]) -> Vector:
    """Return the normal of the frames' planes: of the first orientation given, else the z axis."""
    for frame in frames:
        if frame.header.orientation is not None:
            return unit(cross(*frame.header.orientation))
    return (0.0, 0.0, 1.0)


def place(header: FrameHeader, axis: Vector) -> float | None:
    """Return how far along `axis` the frame lies, in mm, None without a position."""
    return None if header.position_mm is None else dot(header.position_mm, axis)


def geometry_labels(headers: Sequence[FrameHeader]) -> list[tuple[int, ...]]:
    """Return a label a frame: frames of one label share matrix, spacing and orientation within tolerance.

    The same labels come out whatever the order of the frames. More than `MANY_PLANES` orientations count as one.
    """
    orientations = plane_numbers(headers)
    if max(orientations.values()) >= MANY_PLANES:
        orientations = dict.fromkeys(orientations, 0) | {None: -1}
    spacings = _clusters({header.spacing_mm for header in headers if header.spacing_mm is not None}, SPACING_TOLERANCE)
    return [
        (
            header.rows,
            header.columns,
            spacings.get(header.spacing_mm, -1),
            orientations.get(header.orientation, -1),
        )
        for header in headers
    ]


def plane_numbers(headers: Sequence[FrameHeader]) -> dict[object, int]:
    """Return a number for every orientation, the same for those within tolerance; -1 for None."""
    return _clusters({header.orientation for header in headers if header.orientation is not None}, ANGLE_TOLERANCE)


def _clusters(values: set[object], tolerance: float) -> dict[object, int]:
    heads: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
    found: dict[object, int] = {None: -1}
    # In sorted order, so that arrival does not decide who leads a cluster.
    for value in sorted(values, key=repr):
        flat = np.asarray(value, dtype=np.float64).ravel()
        for index, head in enumerate(heads):
            if np.max(np.abs(flat - head)) <= tolerance:
                found[value] = index
                break
        else:
            found[value] = len(heads)
            heads.append(flat)
    return found


def volume(frames: Sequence[Frame]) -> Volume:
    """Return the frames of one stack, in their order, as a volume.

    Along z, the spacing is the median step; the axis runs from the first to the last frame, which leans against the normal
    where the gantry was tilted. Where the header is silent: 1 mm, the z axis.
    """
    first = frames[0].header
    x, y = first.orientation or _AXIAL
    axis = normal(frames)
    places = [place(frame.header, axis) for frame in frames]
    known = [value for value in places if value is not None]
    step = float(np.median(np.abs(np.diff(known)))) if len(known) > 1 else 0.0
    last = frames[-1].header
    if step > SAME_PLACE_MM and first.position_mm is not None and last.position_mm is not None:
        along: Vector = (
            last.position_mm[0] - first.position_mm[0],
            last.position_mm[1] - first.position_mm[1],
            last.position_mm[2] - first.position_mm[2],
        )
        if abs(dot(along, axis)) > SAME_PLACE_MM:
            step *= math.sqrt(dot(along, along)) / abs(dot(along, axis))
            axis = unit(along)
    else:
        step = first.slice_thickness_mm or 1.0
    rows, columns = first.spacing_mm or (1.0, 1.0)
    return Volume(
        shape=(len(frames), first.rows, first.columns),
        spacing_mm=(step if step > 0 else 1.0, rows, columns),
        origin_mm=first.position_mm or (0.0, 0.0, 0.0),
        direction=(x, y, axis),
        unit=frames[0].unit,
        read=_Reader(tuple(frames)),
    )


class _Reader:
    """Decodes frame `z` of a stack."""

    __slots__ = ("_frames",)

    def __init__(self, frames: tuple[Frame, ...]) -> None:
        self._frames = frames

    def __call__(self, z: int) -> Array:
        return self._frames[z].decode()
