"""Coronal, sagittal and leaning slices made from the axial slices of a phantom, as a scanner's multiplanar reconstruction does.

The voxels between the axial slices are interpolated linearly; each new slice is the mean over its thickness, which is the distance
of the slices. Where the axial slices do not reach, there is no value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate.placement import Placement, Point
from medqa.simulate.shapes import Grid
from medqa.volume import Array, Vector

AXIAL: Final = "axial"
DIRECTIONS: Final[dict[str, tuple[Vector, Vector]]] = {
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}
"""Directions of rows and of columns: the head is up; on the right is the left of the patient, or the back in a sagittal slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Parallel slices through the box that the axial slices of a grid fill: how they lie, and their numbers."""

    name: str
    grid: Grid
    placement: Placement
    slices: int
    rows: int
    columns: int


def planes(plane: str, grid: Grid, *, lean_deg: float = 0.0) -> Planes:
    """Return slices as far apart as the axial ones, with their size of pixel, around the middle of the same box.

    `lean_deg` turns them about the direction of their rows: the columns then run deeper with every slice.

    Raises
    ------
    InvalidPhantom
        Where there is no such plane.
    """
    if plane not in DIRECTIONS:
        raise InvalidPhantom(phantom=f"in {plane} slices", reason=f"there are {', '.join((AXIAL, *DIRECTIONS))}")
    lean = math.radians(lean_deg)
    across, upright = (np.asarray(direction) for direction in DIRECTIONS[plane])
    down = math.cos(lean) * upright + math.sin(lean) * np.cross(across, upright)
    normal = np.cross(across, down)
    deep_mm, wide_mm, high_mm = _extents(grid, normal), _extents(grid, across), _extents(grid, down)
    slices = max(1, round(deep_mm / grid.spacing_mm))
    middle = np.array([0.0, 0.0, grid.centre_z_mm])
    first = middle - (slices - 1) / 2 * grid.spacing_mm * normal
    return Planes(
        name=plane,
        grid=grid,
        placement=Placement(
            across=_vector(across), down=_vector(down), first_mm=_vector(first), step_mm=_vector(grid.spacing_mm * normal)
        ),
        slices=slices,
        rows=max(1, round(high_mm / grid.pixel_mm)),
        columns=max(1, round(wide_mm / grid.pixel_mm)),
    )


def reformatted(axial: Iterable[Array], wanted: Planes) -> Iterator[Array]:
    """Yield the wanted slices, `(y, x)`, from the axial ones of their grid, from the feet up; NaN where there is no value."""
    volume = np.stack(list(axial))
    grid, placement = wanted.grid, wanted.placement
    across, down = np.asarray(placement.across), np.asarray(placement.down)
    normal = np.asarray(placement.step_mm) / grid.spacing_mm
    layers = max(1, round(grid.spacing_mm / grid.pixel_mm))
    depths = ((np.arange(layers) + 0.5) / layers - 0.5) * grid.spacing_mm
    for index in range(wanted.slices):
        corner = placement.corner_mm(index, wanted.rows, wanted.columns, grid.pixel_mm)
        down_mm, across_mm = np.arange(wanted.rows) * grid.pixel_mm, np.arange(wanted.columns) * grid.pixel_mm
        plane = corner + down_mm[:, None, None] * down + across_mm[None, :, None] * across
        total = np.zeros((wanted.rows, wanted.columns), dtype=np.float64)
        for depth in depths:
            total += sampled(volume, grid, plane + depth * normal)
        yield (total / layers).astype(np.float32)


def sampled(volume: Array, grid: Grid, points_mm: Point) -> Array:
    """Return the values `(…)` of a volume `(z, y, x)` at points `(…, 3)` in the patient; NaN outside its voxels."""
    from scipy import ndimage

    sizes = np.asarray(volume.shape)
    spacing = np.array([grid.spacing_mm, grid.pixel_mm, grid.pixel_mm])
    middle = np.array([grid.centre_z_mm, 0.0, 0.0])
    places = np.moveaxis((points_mm[..., ::-1] - middle) / spacing + (sizes - 1) / 2, -1, 0)
    last = (sizes - 1).reshape(3, *(1,) * (places.ndim - 1))
    # A voxel reaches half its size beyond its centre.
    inside = ((places >= -0.5 - 1e-6) & (places <= last + 0.5 + 1e-6)).all(axis=0)
    found = ndimage.map_coordinates(volume, np.clip(places, 0, last), order=1, mode="nearest")
    return np.where(inside, found, np.float32(np.nan)).astype(np.float32)


def _extents(grid: Grid, direction: Point) -> float:
    """Return how far the box that the grid fills reaches along a main direction of the slices, at its middle."""
    sides = np.array([grid.size * grid.pixel_mm, grid.size * grid.pixel_mm, grid.slices * grid.spacing_mm])
    return float(sides[np.argmax(np.abs(direction))])


def _vector(values: Point) -> Vector:
    x, y, z = (float(value) + 0.0 for value in values)
    return x, y, z
