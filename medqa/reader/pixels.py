"""Pixels of one frame, decoded when asked for: native bytes through numpy, the rest through pydicom's decoders, SimpleITK last.

Rescale: PS3.3 C.11.1; padding: C.7.5.1.1.2; a frame's bytes in an encapsulated element: PS3.5 annex A.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.errors import UndecodablePixels
from medqa.reader.sources import Source
from medqa.volume import Array

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
MOST_PIXELS: Final = 1 << 26
"""Pixels of the largest frame that is decoded (8192 × 8192)."""
LARGEST_RATIO: Final = 4000
"""A compressed frame that claims to unpack further is refused before anything is allocated."""

OUTSIDE_CIRCLE_HU: Final = -1500.0
"""No tissue, air or noise in air lies lower: a constant below it fills what the scanner did not reconstruct (GE -2000, -3024)."""
OUTSIDE_CIRCLE_FRACTION: Final = 0.005
TISSUE_HU: Final = (-900.0, 3000.0)
"""A padding value within these would blank real tissue (Pixel Padding Value 0 without an intercept): it is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How the pixels of one instance are stored: shared by its frames."""

    source: Source
    transfer_syntax: str
    offset: int
    """Where the value of the pixel data element begins."""
    length: int
    """Its bytes; `UNDEFINED_LENGTH` where it is encapsulated."""
    kind: str
    """`u`, `i` or `f`, numpy's kind."""
    big_endian: bool
    rows: int
    columns: int
    allocated: int
    stored: int
    high_bit: int
    photometric: str
    frames: int
    inflated: bool = False
    """Whether the dataset is deflated as a whole, so that `offset` counts in the inflated bytes."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.allocated // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """From stored values to the frame's unit."""

    slope: float = 1.0
    intercept: float = 0.0
    padding: tuple[float, float] | None = None
    """Stored values, both ends included, that mean: no value here."""
    hounsfield: bool = False


@dataclass(frozen=True, slots=True)
class FramePixels:
    """The decoder of one frame: calling it gives `(y, x)` float32 in the frame's unit, NaN where nothing was stored."""

    format: PixelFormat
    index: int
    rescale: Rescale
    tile: tuple[int, int, int, int] | None = None
    """First row, first column, rows and columns of the slice within a mosaic."""

    def __call__(self) -> Array:
        """Decode.

        Raises
        ------
        UndecodablePixels
            Where the pixels are missing, truncated or in a form that no decoder reads.
        """
        values = stored_values(self.format, self.index)
        if self.tile is not None:
            top, left, rows, columns = self.tile
            values = values[top : top + rows, left : left + columns]
        return rescaled(values, self.rescale)


def stored_values(form: PixelFormat, index: int) -> NDArray[Any]:
    """Return the stored values of frame `index` (from 0), `(y, x)`, before any rescale.

    Raises
    ------
    UndecodablePixels
        Where they cannot be had.
    """
    if not 0 < form.rows * form.columns <= MOST_PIXELS:
        raise UndecodablePixels(source=form.source.name, reason=f"{form.rows} × {form.columns} pixels is no size of an image")
    if form.length != UNDEFINED_LENGTH:
        return _native(form, index)
    from medqa.reader.encapsulated import decode

    return decode(form, index)


def _native(form: PixelFormat, index: int) -> NDArray[Any]:
    size = form.frame_bytes
    if (index + 1) * size > form.length:
        reason = f"{form.length} bytes are too few for {form.frames} × {form.rows} × {form.columns} pixels"
        raise UndecodablePixels(source=form.source.name, reason=reason)
    if form.inflated:
        from medqa.reader.dataset import inflated

        with form.source.opened() as packed:
            start = form.offset + index * size
            data = inflated(packed, form.source.name)[start : start + size]
    else:
        data = form.source.cut(form.offset + index * size, size)
    if len(data) < size:
        raise UndecodablePixels(source=form.source.name, reason="the file ends within the pixels")
    if form.allocated not in (8, 16, 32, 64):
        raise UndecodablePixels(source=form.source.name, reason=f"{form.allocated} bits allocated")
    kind = np.dtype(f"{'>' if form.big_endian else '<'}{form.kind}{form.allocated // 8}")
    values = np.frombuffer(data, dtype=kind).reshape(form.rows, form.columns)
    return used_bits(values, form)


def used_bits(values: NDArray[Any], form: PixelFormat) -> NDArray[Any]:
    """Return the stored values without what other bits of their cells hold (old scanners kept overlays there), sign extended."""
    if form.kind == "f" or not 0 < form.stored < form.allocated or not form.stored - 1 <= form.high_bit < form.allocated:
        return values
    left = form.allocated - 1 - form.high_bit
    right = form.allocated - form.stored
    # A left shift drops what lies above the high bit; the right shift of a signed type repeats the sign.
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return (native << left) >> right


def rescaled(values: NDArray[Any], rescale: Rescale) -> Array:
    """Return stored values in the frame's unit, float32, NaN for padding and outside the circle of reconstruction."""
    exact: NDArray[np.float32] | NDArray[np.float64]
    exact = values.astype(np.float64) if values.dtype.itemsize > 2 else values.astype(np.float32)
    if rescale.slope != 1.0:
        np.multiply(exact, rescale.slope, out=exact)
    if rescale.intercept != 0.0:
        np.add(exact, rescale.intercept, out=exact)
    with np.errstate(over="ignore"):
        out = exact.astype(np.float32, copy=False)
    if rescale.padding is not None:
        low, high = rescale.padding
        out[(values >= low) & (values <= high) if high > low else values == low] = np.nan
    if rescale.hounsfield and float(values.min()) * rescale.slope + rescale.intercept <= OUTSIDE_CIRCLE_HU:
        # Lossy compression blurs the constant: everything below the limit goes, provided that it is more than stray pixels.
        with np.errstate(invalid="ignore"):
            outside = out <= OUTSIDE_CIRCLE_HU
        if np.count_nonzero(outside) >= OUTSIDE_CIRCLE_FRACTION * values.size:
            out[outside] = np.nan
    if values.dtype.kind == "f":
        out[~np.isfinite(out)] = np.nan
    return out
