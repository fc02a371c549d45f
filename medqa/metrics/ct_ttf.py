"""CT task transfer function from the patient's own skin: the spatial frequency at which half of the contrast is left.

Source: Sanders J, Hurwitz L, Samei E. Patient-specific quantification of image quality: an automated method for measuring spatial
resolution in clinical CT images. Med Phys 2016; 43:5330-5338. Terms as in AAPM TG-233 (Samei et al., Med Phys 2019; 46:e735).

All distances of a frame's bands of skin together are one oversampled edge spread function; its derivative is the line spread
function, whose transform is the TTF. The sharper half of the bands counts, because skin that runs obliquely through a thick slice
looks blurred without being so. Published values are 0.30 /mm for soft and 0.42 /mm for hard kernels (Sanders, Ding, Samei, Med Phys
2016; 43:3876, 10.1118/1.4958208).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.skin import Values, skin
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "ct_f50"
SOURCE: Final = "Sanders et al., Med Phys 2016;43:5330"
BIN_PIXELS: Final = 0.2
"""Oversampling of the edge spread function: five bins a pixel."""
WINDOW_DEVIATIONS: Final = 4.5
"""Half the window on the line spread function, in standard deviations of the edge's blur: wide enough to keep its tails, narrow
enough to leave out what lies under the skin."""
WINDOW_MM: Final = (3.0, 10.0)
PADDED: Final = 2048
"""Samples of the transform: its frequencies lie close enough to be interpolated between."""


class Edge(NamedTuple):
    """The edge spread function of a frame: samples in any order, the width of a bin and half the window in mm, how many bands."""

    distance: Values
    level: Values
    bin_mm: float
    half_mm: float
    bands: int


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the frequency of half contrast (/mm) and how many bands of skin it stems from; None where there are too few."""
    found = edge(regions)
    if found is None:
        return None
    frequency = half_contrast(found.distance, found.level, found.bin_mm, found.half_mm)
    return None if frequency is None else {"f50": frequency, "bands": found.bands}


def edge(regions: Regions) -> Edge | None:
    """Return the edge spread function of the sharper half of a frame's bands of skin; None where there are too few."""
    found = skin(regions)
    if found is None:
        return None
    widths = found.all_widths
    sharp = float(np.median(widths))
    kept = [width <= sharp for width in found.widths]
    distance, level = (
        np.concatenate([part[chosen].ravel() for part, chosen in zip(parts, kept, strict=True)])
        for parts in (found.distances, found.levels)
    )
    # A Gaussian edge passes from a quarter to three quarters over 1.349 deviations.
    half_mm = float(np.clip(WINDOW_DEVIATIONS * sharp / 1.349, *WINDOW_MM))
    return Edge(distance, level, BIN_PIXELS * min(regions.image.spacing_mm), half_mm, int(widths.size))


def half_contrast(distance: Values, level: Values, bin_mm: float, half_mm: float) -> float | None:
    """Return the frequency (/mm) at which the TTF of an edge spread function falls to a half; None where it cannot be told.

    The arguments are those of `transfer`.
    """
    found = transfer(distance, level, bin_mm, half_mm)
    if found is None:
        return None
    frequencies, ttf = found
    under = np.flatnonzero(ttf < 0.5)
    if under.size == 0 or under[0] == 0:
        return None
    at = int(under[0])
    share = (ttf[at - 1] - 0.5) / (ttf[at - 1] - ttf[at])
    return float(frequencies[at - 1] + share * (frequencies[at] - frequencies[at - 1]))


def transfer(distance: Values, level: Values, bin_mm: float, half_mm: float) -> tuple[Values, Values] | None:
    """Return frequencies (/mm) and the TTF of an edge spread function at them; None where it cannot be told.

    Parameters
    ----------
    distance, level
        Samples of the edge spread function, in any order; mm, and 1 on one side, 0 on the other.
    bin_mm, half_mm
        Width of a bin, and half the window that is looked at.
    """
    count = 2 * max(8, round(half_mm / bin_mm))
    index = np.floor(distance / bin_mm + count / 2).astype(np.int64)
    inside = (index >= 0) & (index < count)
    number = np.bincount(index[inside], minlength=count)
    filled = number > 0
    if filled.mean() < 0.9:
        return None
    centres = np.arange(count)
    esf = np.interp(centres, centres[filled], np.bincount(index[inside], level[inside], minlength=count)[filled] / number[filled])
    lsf = -np.diff(esf)
    lsf *= np.minimum(1.0, 2 * np.hanning(lsf.size + 2)[1:-1])
    total = float(lsf.sum())
    if total <= 0:
        return None
    frequencies: Values = np.asarray(np.fft.rfftfreq(PADDED, bin_mm), dtype=np.float64)
    # Bins average over their width, differences too: both are taken out.
    ttf: Values = np.abs(np.fft.rfft(lsf, PADDED)) / total / np.maximum(np.sinc(frequencies * bin_mm), 0.1) ** 2
    return frequencies, ttf


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in /mm.

    Raises
    ------
    NotApplicable
        `no_skin` where no frame has enough skin against air.
    """
    found = present(NAME, partials, "no_skin")
    return Measurement(
        quantity=own(NAME, "Spatial frequency at half contrast (TTF)"),
        value=float(np.median([partial["f50"] for partial in found])),
        unit=Unit.PER_MM,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True)
