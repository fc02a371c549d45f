"""Siemens mosaics: the slices of one volume side by side in one stored image, taken apart into frames.

The count stands in private (0019,100A), the tiles fill a square grid row by row; the position of the header is that of the
whole mosaic laid around the first slice (as dcm2niix and NiBabel read it).
"""

from __future__ import annotations

import math
from dataclasses import replace

from pydicom import Dataset

from medqa.reader.geometry import cross, unit
from medqa.reader.values import number, raw, texts
from medqa.series import FrameHeader

_COUNT = (0x0019, 0x100A)
_FEWEST_PIXELS = 16

Tile = tuple[int, int, int, int]
"""First row, first column, rows, columns."""


def tiles(header: Dataset, rows: int, columns: int) -> list[Tile]:
    """Return where the slices lie in a mosaic, `[]` for an image that is none."""
    if "MOSAIC" not in {value.upper() for value in texts(header, "ImageType")}:
        return []
    value = raw(header, _COUNT)
    count = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(number(header, _COUNT) or 0)
    side = math.ceil(math.sqrt(count)) if count > 1 else 0
    if side == 0 or rows % side or columns % side or min(rows, columns) // side < _FEWEST_PIXELS:
        return []
    height, width = rows // side, columns // side
    return [(index // side * height, index % side * width, height, width) for index in range(count)]


def tile_headers(mosaic: FrameHeader, places: list[Tile], spacing_between_mm: float | None) -> list[FrameHeader]:
    """Return the frame header of each slice of a mosaic."""
    step = spacing_between_mm or mosaic.slice_thickness_mm
    out = []
    for index, (_, _, height, width) in enumerate(places):
        where = None
        if mosaic.position_mm is not None and mosaic.orientation is not None and mosaic.spacing_mm is not None and step:
            x, y = mosaic.orientation
            z = unit(cross(x, y))
            right = (mosaic.columns - width) / 2 * mosaic.spacing_mm[1]
            down = (mosaic.rows - height) / 2 * mosaic.spacing_mm[0]
            where = tuple(mosaic.position_mm[axis] + right * x[axis] + down * y[axis] + index * step * z[axis] for axis in range(3))
        placed = None if where is None else (where[0], where[1], where[2])
        out.append(replace(mosaic, rows=height, columns=width, position_mm=placed))
    return out
