"""A stack of frames in patient space, read slab by slab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Code

if TYPE_CHECKING:
    import SimpleITK

Array = NDArray[np.float32]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Frames of one geometry, axes `(z, y, x)`, values in `unit`, NaN where the scanner stored no value.

    Parameters
    ----------
    shape
        Numbers of frames, rows and columns.
    spacing_mm
        Distance of neighbours along `(z, y, x)`.
    origin_mm
        Centre of the first voxel, LPS.
    direction
        Unit vectors of the x, y and z axis, LPS, as rows.
    unit
        What the values mean.
    read
        `read(z)` decodes frame `z`, `(y, x)` float32.
    """

    shape: tuple[int, int, int]
    spacing_mm: Vector
    origin_mm: Vector
    direction: tuple[Vector, Vector, Vector]
    unit: Code
    read: Callable[[int], Array]

    def slab(self, start: int, stop: int) -> Array:
        """Return frames `start` to `stop` (exclusive), `(stop - start, y, x)`."""
        if not 0 <= start <= stop <= self.shape[0]:
            message = f"slab {start}:{stop} leaves a volume of {self.shape[0]} frames"
            raise IndexError(message)
        out = np.empty((stop - start, *self.shape[1:]), dtype=np.float32)
        for row, z in enumerate(range(start, stop)):
            out[row] = self.read(z)
        return out

    def slabs(self, thickness: int = 16) -> Iterator[tuple[int, Array]]:
        """Yield `(start, slab)` over the whole volume; memory is bounded by `thickness`."""
        for start in range(0, self.shape[0], thickness):
            yield start, self.slab(start, min(start + thickness, self.shape[0]))

    def to_sitk(self) -> SimpleITK.Image:
        """Return the whole volume as a SimpleITK image (loads every frame)."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(self.slab(0, self.shape[0]))
        image.SetSpacing(self.spacing_mm[::-1])
        image.SetOrigin(self.origin_mm)
        image.SetDirection(np.asarray(self.direction).T.ravel().tolist())
        return image
