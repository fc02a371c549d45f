"""What a network sees of a frame: the fixed frame normalisation, in numpy alone, so that scoring imports neither torch nor monai.

Intensities never depend on the frame where the scanner gives an absolute scale: a per-frame stretch would hide the very noise that
is to be judged. `monai_pipeline` is the same as a MONAI `Compose`, for training; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit
from medqa.errors import NotApplicable
from medqa.series import FrameImage
from medqa.volume import Array

if TYPE_CHECKING:
    from monai.transforms import Compose

CHANNELS: Final = {"CT": 2, "MR": 1, "PT": 1}
CT_RANGES_HU: Final = ((-1000.0, 400.0), (-135.0, 215.0))
"""Channel by channel: air to dense bone, and the soft-tissue window W350/L40; each maps to 0–1."""
PT_SUV_TOP: Final = 10.0
"""The SUVbw that maps to 1."""
SCALE_PERCENTILE: Final = 99.5
HIGHEST: Final = 2.0
"""MR and PET values above this multiple of their scale are clipped: one hot voxel must not rule the network."""

MAL_SMALLEST, MAL_LARGEST, MAL_MULTIPLE = 128, 512, 32
DENSENET_SIDE: Final = 256
SMALLEST_SIDE: Final = 16
"""A frame with a shorter side has too few pixels for local statistics and is not scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How a frame was laid into a network's input: scaled to `scaled`, then placed at `offset` in an array of `padded`.

    All pairs are `(rows, columns)`.
    """

    source: tuple[int, int]
    scaled: tuple[int, int]
    padded: tuple[int, int]
    offset: tuple[int, int]

    @property
    def factor(self) -> float:
        """Pixels of the input per pixel of the frame, along its longer side."""
        return max(self.scaled) / max(self.source)

    def back(self, values: Array) -> Array:
        """Bring `values`, on any grid that spans the padded input, onto the frame's own grid `source`."""
        full = resize(values, self.padded)
        top, left = self.offset
        return resize(full[top : top + self.scaled[0], left : left + self.scaled[1]], self.source)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkInput:
    """`array` `(channels, rows, columns)` float32, its geometry, and the intensity it was divided by (None where that is fixed)."""

    array: NDArray[np.float32]
    geometry: Geometry
    scale: float | None


def mal_input(image: FrameImage) -> NetworkInput:
    """Prepare a frame for the MAL network: native pixels where they fit.

    Sides over 512 are scaled down together, anti-aliased; then the frame is reflect-padded to at least 128 and to multiples of 32.

    Raises
    ------
    NotApplicable
        For a frame with a side under 16 pixels, or of a modality without a network.
    """
    channels, scale = normalise(image)
    geometry = mal_geometry(image.array.shape)
    return NetworkInput(array=_lay(channels, geometry), geometry=geometry, scale=scale)


def densenet_input(image: FrameImage) -> NetworkInput:
    """Prepare a frame for the DenseNet: its longer side scaled to 256, anti-aliased, the shorter one mirrored.

    An edge to air would look like a fault that the frame does not have.

    Raises
    ------
    NotApplicable
        As `mal_input`.
    """
    channels, scale = normalise(image)
    geometry = densenet_geometry(image.array.shape)
    return NetworkInput(array=_lay(channels, geometry), geometry=geometry, scale=scale)


def mal_geometry(shape: tuple[int, ...]) -> Geometry:
    """Return where a frame of this shape lies in the MAL network's input."""
    rows, columns = _checked(shape)
    shrink = min(1.0, MAL_LARGEST / max(rows, columns))
    scaled = (max(1, round(rows * shrink)), max(1, round(columns * shrink)))
    return _centred((rows, columns), scaled, (_padded(scaled[0]), _padded(scaled[1])))


def densenet_geometry(shape: tuple[int, ...]) -> Geometry:
    """Return where a frame of this shape lies in the DenseNet's input."""
    rows, columns = _checked(shape)
    factor = DENSENET_SIDE / max(rows, columns)
    scaled = (max(1, round(rows * factor)), max(1, round(columns * factor)))
    return _centred((rows, columns), scaled, (DENSENET_SIDE, DENSENET_SIDE))


def normalise(image: FrameImage) -> tuple[NDArray[np.float32], float | None]:
    """Map a frame's values to the network's range: `(channels, y, x)`, air 0, and the scale they were divided by.

    CT has a fixed scale and two channels. PET is in SUVbw where the header allows it (scale None), else divided by its own
    percentile. MR is always divided by its own percentile.

    Raises
    ------
    NotApplicable
        For a modality without a network.
    """
    frame = image.frame
    if frame.modality == "CT":
        hu = np.where(np.isfinite(image.array), image.array, CT_RANGES_HU[0][0])
        return np.stack([_ranged(hu, low, high) for low, high in CT_RANGES_HU]), None
    if frame.modality not in CHANNELS:
        raise NotApplicable(what="network_score", reason="no_bundle")
    values = np.where(np.isfinite(image.array), image.array, np.float32(0))
    suv = _suv_factor(image) if frame.modality == "PT" else None
    scale = PT_SUV_TOP / suv if suv is not None else foreground_scale(values)
    channel: Array = np.clip(values / np.float32(scale), 0, HIGHEST).astype(np.float32)
    return channel[None], None if suv is not None else scale


def foreground_scale(values: Array) -> float:
    """Return the 99.5th percentile of the foreground: of what exceeds the mean; 1 where nothing does.

    Half of a head image is air: a percentile of everything would move with the field of view.
    """
    foreground = values[values > values.mean(dtype=np.float64)]
    scale = float(np.percentile(foreground, SCALE_PERCENTILE)) if foreground.size else 0.0
    return scale if scale > 0 else 1.0


def resize(values: Array, shape: tuple[int, int]) -> Array:
    """Resize `(..., y, x)` to `shape`: bilinear, anti-aliased where it shrinks.

    Pixels are areas: centres lie at half-integers, as in `torch.nn.functional.interpolate(antialias=True, align_corners=False)`.
    Summed tap by tap rather than by a matrix product: the same bits, however many threads a BLAS would use.
    """
    if values.shape[-2:] == shape:
        return values
    index, weight = _taps(values.shape[-2], shape[0])
    rows = np.zeros((*values.shape[:-2], shape[0], values.shape[-1]), dtype=np.float32)
    for tap in range(index.shape[1]):
        rows += values[..., index[:, tap], :] * weight[:, tap, None]
    index, weight = _taps(values.shape[-1], shape[1])
    out: Array = np.zeros((*rows.shape[:-1], shape[1]), dtype=np.float32)
    for tap in range(index.shape[1]):
        out += rows[..., index[:, tap]] * weight[:, tap]
    return out


def monai_pipeline(modality: str, kind: str) -> Compose:
    """Return the same preparation as a MONAI `Compose`: `(1, y, x)` in HU, SUVbw, or for MR any unit, to the network's input.

    Parameters
    ----------
    modality
        `CT`, `MR` or `PT`.
    kind
        `mal` or `densenet`.
    """
    from monai.transforms import Compose, DivisiblePad, Lambda, ScaleIntensityRange, SpatialPad

    steps: list[Callable[[Any], Any]] = []
    if modality == "CT":
        ranges = [ScaleIntensityRange(low, high, 0.0, 1.0, clip=True) for low, high in CT_RANGES_HU]
        steps.append(Lambda(lambda x: np.nan_to_num(np.asarray(x, dtype=np.float32), nan=CT_RANGES_HU[0][0])))
        steps.append(Lambda(lambda x: np.concatenate([np.asarray(step(x)) for step in ranges])))
    else:
        steps.append(Lambda(lambda x: np.nan_to_num(np.asarray(x, dtype=np.float32), nan=0.0)))
        divide = (lambda x: x / PT_SUV_TOP) if modality == "PT" else (lambda x: np.asarray(x) / foreground_scale(np.asarray(x)))
        steps.append(Lambda(divide))
        steps.append(ScaleIntensityRange(0.0, HIGHEST, 0.0, HIGHEST, clip=True))
    geometry = mal_geometry if kind == "mal" else densenet_geometry
    steps.append(Lambda(lambda x: resize(np.asarray(x), geometry(x.shape[-2:]).scaled)))
    if kind == "mal":
        steps.append(SpatialPad((MAL_SMALLEST, MAL_SMALLEST), mode="reflect"))
        steps.append(DivisiblePad(MAL_MULTIPLE, mode="reflect"))
    else:
        steps.append(SpatialPad((DENSENET_SIDE, DENSENET_SIDE), mode="reflect"))
    steps.append(Lambda(lambda x: np.asarray(x, dtype=np.float32)))
    return Compose(steps)


def _suv_factor(image: FrameImage) -> float | None:
    if image.frame.unit == Unit.SUVBW:
        return 1.0
    factor = image.frame.header.suv_factor
    return factor if factor is not None and factor > 0 else None


def _ranged(values: Array, low: float, high: float) -> Array:
    ranged: Array = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1).astype(np.float32)
    return ranged


def _checked(shape: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = shape
    if min(rows, columns) < SMALLEST_SIDE:
        raise NotApplicable(what="network_score", reason="too_small")
    return rows, columns


def _padded(side: int) -> int:
    return max(MAL_SMALLEST, -(-side // MAL_MULTIPLE) * MAL_MULTIPLE)


def _centred(source: tuple[int, int], scaled: tuple[int, int], padded: tuple[int, int]) -> Geometry:
    offset = ((padded[0] - scaled[0]) // 2, (padded[1] - scaled[1]) // 2)
    return Geometry(source=source, scaled=scaled, padded=padded, offset=offset)


def _lay(channels: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    scaled = resize(channels, geometry.scaled)
    pads = [(0, 0)]
    for side, whole, before in zip(geometry.scaled, geometry.padded, geometry.offset, strict=True):
        pads.append((before, whole - side - before))
    return np.ascontiguousarray(np.pad(scaled, pads, mode="reflect"))


@lru_cache(maxsize=64)
def _taps(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return source indices and weights `(target, taps)` of triangle filters, as wide as the coarser of both grids' pixels."""
    step = source / target
    width = max(step, 1.0)
    centres = (np.arange(target) + 0.5) * step
    first = np.floor(centres - width).astype(np.intp)
    index = first[:, None] + np.arange(int(np.ceil(2 * width)) + 1)[None, :]
    weight = np.maximum(0, 1 - np.abs(index + 0.5 - centres[:, None]) / width)
    weight[(index < 0) | (index >= source)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    return np.clip(index, 0, source - 1), weight.astype(np.float32)
