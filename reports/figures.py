"""Pictures of frames: values -> 8-bit grey through a window that is printed beside it, heat maps over and beside them.

Nothing here knows a page; arrays come in, `PIL` images of at most a given size go out, with pixels as wide as they are high.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medqa.assessment import Assessment, HeatMap, Prediction
from medqa.codes import Code, Unit
from medqa.config import ReportSettings
from medqa.errors import MedqaError, RenderingFailed
from medqa.series import Series
from medqa.volume import Array
from reports import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

Grey = NDArray[np.uint8]

_SOFT_TISSUE: Final = (-135.0, 215.0)
_LUNG: Final = (-1350.0, 150.0)
_SUV: Final = (0.0, 7.0)
_MOST_ASPECT: Final = 12.0

# Inferno (Smith and van der Walt, matplotlib, CC0): lightness grows evenly, in every common form of colour vision.
_INFERNO: Final = (0x000004, 0x210C4A, 0x56106E, 0x89226A, 0xBB3754, 0xE35932, 0xF98C0A, 0xF9C932, 0xFCFFA4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The values shown as black and as white (exchanged where `inverted`), and how to print them."""

    low: float
    high: float
    unit: Code
    inverted: bool = False

    def label(self, lang: str) -> str:
        """Write the window as people read it: W and L, or the range of a PET image."""
        if self.unit == Unit.SUVBW:
            return wording.text("figure.suv", lang, low=self.low, high=self.high)
        unit = wording.unit_symbol(self.unit)
        if self.inverted:
            return wording.text("figure.range", lang, low=self.low, high=self.high, unit=unit)
        width, level = self.high - self.low, (self.high + self.low) / 2
        return wording.text("figure.window", lang, width=width, level=level, unit=unit)


def suv_factor(series: Series, index: int) -> float | None:
    """Return what multiplies a frame's Bq/ml to SUV; None where the header does not allow it."""
    own = series.frames[index].header.suv_factor
    made = series.acquisition.pt
    return own if own is not None else None if made is None else made.suv_factor


def common_top(series: Series) -> float | None:
    """Return the upper end of the window of a PET series without SUV, so that its slices compare; None for any other series.

    It is the highest 99.5th percentile of five frames evenly spaced.
    """
    if series.modality != "PT" or series.unit != Unit.BQ_PER_ML or suv_factor(series, 0) is not None:
        return None
    tops = []
    for index in sorted({round(place) for place in np.linspace(0, len(series.frames) - 1, 5)}):
        try:
            array = series.frames[index].decode()
        except MedqaError:  # told by the findings
            continue
        tops.append(_percentile(array[np.isfinite(array)], 99.5))
    return max(tops, default=None)


def frame_shown(series: Series, index: int, array: Array, top: float | None) -> tuple[Array, Window]:
    """Return the values of a frame to show and their window; `top` as `common_top` returns it."""
    return shown(array, series.frames[index].unit, series.modality, suv_factor(series, index), top)


def shown(array: Array, unit: Code, modality: str, factor: float | None = None, top: float | None = None) -> tuple[Array, Window]:
    """Return the values to show and the window for them.

    CT: W 350 L 40, or W 1500 L -600 where lungs dominate. MR: 1st to 99.5th percentile. PET: SUV 0-7 (wider where all of the
    image is hotter, as a brain is), black on white; without SUV 0 to the 99.5th percentile.
    """
    finite = array[np.isfinite(array)]
    if modality == "CT" and unit == Unit.HU:
        lung = np.count_nonzero((finite > -950) & (finite < -500))
        tissue = np.count_nonzero((finite > -200) & (finite < 200))
        low, high = _LUNG if lung > tissue else _SOFT_TISSUE
        return array, Window(low=low, high=high, unit=unit)
    if modality == "PT":
        if unit == Unit.BQ_PER_ML and factor is not None:
            array, finite, unit = array * np.float32(factor), finite * np.float32(factor), Unit.SUVBW
        top = _rounded(_percentile(finite, 99.5) if top is None else top)
        if unit == Unit.SUVBW:
            warm = finite[finite > 0.3]
            hot = warm.size > 0 and float(np.median(warm)) > _SUV[1] / 2
            top = max(top, _SUV[1]) if hot else _SUV[1]
        return array, Window(low=0.0, high=top if top > 0 else 1.0, unit=unit, inverted=True)
    low, high = _percentile(finite, 1.0), _percentile(finite, 99.5)
    return array, Window(low=low, high=high if high > low else low + 1.0, unit=unit)


def _percentile(values: Array, percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size else 0.0


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def grey(array: Array, window: Window) -> Grey:
    """Return 8-bit grey values, `(y, x)`; NaN is black."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.clip((array - window.low) / (window.high - window.low), 0.0, 1.0)
    scaled = 1.0 - scaled if window.inverted else scaled
    return np.asarray(np.nan_to_num(scaled, nan=0.0) * 255 + 0.5, dtype=np.uint8)


def colours(values: NDArray[np.float32]) -> Grey:
    """Return the colour of values from 0 to 1, `(…, 3)` uint8; NaN has the colour of 0."""
    anchors = np.array([[code >> 16, code >> 8 & 255, code & 255] for code in _INFERNO], dtype=np.float64)
    places = np.linspace(0.0, 1.0, len(anchors))
    held = np.nan_to_num(np.clip(values, 0.0, 1.0))
    return np.stack([np.interp(held, places, anchors[:, band]) for band in range(3)], axis=-1).round().astype(np.uint8)


def heat(found: HeatMap) -> NDArray[np.float32]:
    """Return a heat map on 0 to 1."""
    low, high = found.limits
    span = high - low
    return np.asarray((found.array - low) / (span if span > 0 else 1.0), dtype=np.float32)


def overlay(image: Grey, found: HeatMap) -> Grey:
    """Lay a heat map over its frame, the more opaque the hotter, `(y, x, 3)`.

    Raises
    ------
    RenderingFailed
        Where the map is not on the frame's grid.
    """
    if found.array.shape != image.shape:
        raise RenderingFailed(reason=f"a heat map of {found.array.shape} lies over a frame of {image.shape}")
    values = heat(found)
    alpha = 0.7 * np.clip(np.nan_to_num(values), 0.0, 1.0)[..., None]
    return ((1 - alpha) * image[..., None] + alpha * colours(values)).round().astype(np.uint8)


def picture(pixels: Grey, spacing_mm: tuple[float, float], most: int) -> Image.Image:
    """Return an image with square pixels, its longer side `most` pixels, whatever the spacing of rows and columns."""
    rows, columns = pixels.shape[:2]
    high, wide = rows * (spacing_mm[0] or 1.0), columns * (spacing_mm[1] or 1.0)
    high, wide = max(high, wide / _MOST_ASPECT), max(wide, high / _MOST_ASPECT)
    scale = most / max(high, wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    # Image.resize weighs all source pixels when it shrinks, so fine noise is averaged and never turned into a pattern.
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    """Return an image as PNG without any metadata."""
    target = io.BytesIO()
    image.save(target, format="PNG", optimize=False)
    return target.getvalue()


def worst_first(heat_maps: Iterable[HeatMap], assessment: Assessment, most: int) -> list[HeatMap]:
    """Return at most `most` heat maps, one a frame, that of the lowest score first."""
    one = {found.frame: found for found in sorted(heat_maps, key=lambda found: (not found.localisable, found.model), reverse=True)}
    return sorted(one.values(), key=lambda found: (frame_score(assessment, found.frame), found.frame))[:most]


def worst_shown(assessment: Assessment, prediction: Prediction) -> tuple[int, ...]:
    """Return as many of the worst frames of one network as it names, those that show something: blank ends teach nobody."""
    empty = {
        frame
        for found in assessment.findings
        if found.message == "blank_end_frames" and found.frames is not None
        # Blank frames at both ends have one finding, whose first and last frame enclose the whole series.
        if found.values.get("count") == found.frames[1] - found.frames[0] + 1
        for frame in range(found.frames[0], found.frames[1] + 1)
    }
    scored = [(score, frame) for frame, score in enumerate(prediction.frame_scores) if score is not None]
    ordered = dict.fromkeys((*prediction.worst_frames, *(frame for _, frame in sorted(scored))))
    return tuple(frame for frame in ordered if frame not in empty)[: len(prediction.worst_frames)]


def frame_score(assessment: Assessment, frame: int) -> float:
    """Return the lowest score that a network gave a frame; infinite where none did."""
    scores = [one.frame_scores[frame] for one in assessment.predictions if frame < len(one.frame_scores)]
    return min((score for score in scores if score is not None), default=float("inf"))


def caption(assessment: Assessment, series: Series, frame: int, lang: str) -> str:
    """Name a frame by its slice number, by its stack where there are several, and by its score where it has one."""
    words = [wording.text("figure.slice", lang, number=frame + 1)]
    if len(series.stacks) > 1:
        words += [stack.label for stack in series.stacks if stack.start <= frame < stack.stop and stack.label]
    score = frame_score(assessment, frame)
    if np.isfinite(score):
        words.append(wording.text("figure.score", lang, score=round(score, 2)))
    return wording.text("join.list_more", lang).join(words)


def titled(words: str, window: Window, lang: str) -> str:
    """Add to the name of a picture the window that it is shown with."""
    return wording.text("join.list_more", lang).join((words, window.label(lang)))


def heat_map_page(
    assessment: Assessment,
    series: Series,
    heat_maps: Sequence[HeatMap],
    lang: str = wording.FALLBACK,
    settings: ReportSettings | None = None,
) -> Grey:
    """Draw the page of the Secondary Capture: the worst frames with and beside their heat maps, `(rows, columns, 3)` uint8.

    No name and no identifier of a patient is on it. Japanese falls back to English on a machine without a Japanese font, since
    nothing can be drawn with a font that only the viewer has.
    """
    from reports import raster

    return raster.heat_map_page(assessment, series, heat_maps, lang, settings or ReportSettings())
