"""White matter, grey matter and cerebrospinal fluid of a stack of MR frames: levels and deviations, where there is brain at all.

Pixels in which brain may lie (`mr_head`) are counted by the logarithm of their value, which needs no range to be known beforehand:
the counts of frames add up in any order. A mixture of three normal distributions and an even one, for vessels, fat and bone, is
fitted to the counts of a stack by expectation and maximisation (Dempster et al., J R Stat Soc B 1977; 39:1), each bin with the
share that a distribution has in it. Three peaks can be fitted to anything. Brain is told by the two kinds of matter lying apart
(Ashman et al., Astron J 1994; 108:2348), by how far, by both being there in quantity, by fluid well under or over them, and by
their changing over millimetres: the cortex is folded, while a coil's profile, which also makes peaks of a phantom, changes over the
whole of it.

Nothing is corrected for the coil's profile: what it adds to a tissue's deviation is a fault that the metrics are to see. The names
white and grey hold for T1 (fluid dark, white matter brightest) and T2 (fluid bright, white matter darkest); in FLAIR, and where
fluid is dark in a proton-density image, they are swapped, which no formula here minds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.errors import NotApplicable
from medqa.metrics.metric import Partial
from medqa.metrics.mr_head import brain_place
from medqa.regions import Mask, Regions
from medqa.series import Series, Stack
from medqa.volume import Array

Floats = NDArray[np.float64]
Fit = tuple[Floats, Floats, Floats, float]
"""Means, deviations and shares of the distributions, and the likelihood."""

NAME: Final = "mr_tissue"
REASON: Final = "no_brain_tissue"
BIN: Final = 0.04
"""Width of a bin in the natural logarithm of the value."""
RANGE: Final = (1 / 16, 5.0)
"""Values that are counted, over the frame's median: from fluid in T1 and FLAIR to fluid in T2."""
MAX_PIXEL_MM: Final = 2.2
"""The cortex is 2 to 4 mm thick: wider pixels hold no grey matter alone."""
FOLD: Final = 9
"""Elements of the decimated grid, about 17 mm, over which a mean holds several folds."""
TAILS: Final = (10.0, 90.0)
"""Percentiles outside of which values count as the nearest: vessels and fluid are not to decide."""
MIN_FOLDED: Final = 0.2
"""Share of the variance within `FOLD`: 0.24 to 0.82 in the heads of the training scans, 0.01 to 0.15 in phantoms with shading."""
MIN_PIXELS: Final = 1500
"""Of a stack: about a frame's brain on the decimated grid."""
MIN_FRAMES: Final = 0.2
"""Share of the frames in which brain may lie."""
MIN_APART: Final = 1.5
"""Ashman's distance of white and grey matter: their difference over the root mean square of their deviations."""
MIN_GAIN: Final = 0.007
"""Logarithm of the likelihood per count by which three peaks must be better than two. Two kinds of matter whose noise lets both be
found within a quarter gain more; noise that hides them is split in two as well, but gains under 0.0065."""
RATIO: Final = (1.08, 1.65)
"""Brighter matter over darker."""
MAX_SPREAD: Final = 0.3
"""Deviation of either kind of matter over its level: what is broader is no tissue, but everything else."""
MIN_SHARE: Final = 0.12
"""Of what lies in the place of brain, each kind of matter."""
FLUID_SHARE: Final = (0.01, 0.35)
MAX_OTHER: Final = 0.2
"""Share that the even distribution may take."""
DARK_FLUID: Final = 0.8
"""Fluid over the darker matter where it is the darkest; the inverse over the brighter one where it is the brightest."""
STARTS: Final = ((0.04, 0.4, 0.8), (0.2, 0.6, 0.97), (0.05, 0.6, 0.9), (0.15, 0.5, 0.9), (0.02, 0.3, 0.8))
STARTS_OF_TWO: Final = ((0.05, 0.5), (0.5, 0.95), (0.15, 0.6), (0.4, 0.85))
"""Quantiles from which the fits of three peaks, and of two, set out."""
AS_GOOD: Final = 0.005
"""Fits whose likelihood per count lies this little (of its logarithm) under the best one's are as good."""
MIN_DEVIATION: Final = 0.01
"""Of a tissue over its level: narrower peaks are digital."""
OTHER_START: Final = 0.1
TURNS: Final = 300
CONVERGED: Final = 1e-8
OTHER_PARTS: Final = (
    *("ABDOMEN", "ANKLE", "ARM", "BREAST", "CHEST", "ELBOW", "EXTREMITY", "FEMUR", "FOOT", "HAND", "HEART", "HIP", "KIDNEY"),
    *("KNEE", "LEG", "LIVER", "PELVIS", "PROSTATE", "SHOULDER", "SPINE", "THIGH", "UTERUS", "WRIST"),
)
"""Body Part Examined: words that leave no room for a brain. Others prove nothing: phantoms are filed under HEAD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """A tissue: mean, standard deviation (scanner units) and about how many pixels it has."""

    mean: float
    deviation: float
    pixels: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissues:
    """The tissues of one stack."""

    white: Tissue
    grey: Tissue
    fluid: Tissue


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the counts of the logarithm of the values where brain may lie; None where it cannot."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _counts(regions)
    found: dict[str, Any] | None = regions.shared[NAME]
    return found


def _counts(regions: Regions) -> dict[str, Any] | None:
    place = brain_place(regions) if max(regions.image.spacing_mm) <= MAX_PIXEL_MM else None
    if place is None:
        return None
    values = regions.values[place].astype(np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    if 2 * values.size < place.sum():
        return None
    over = values / np.median(values)
    values = values[(over > RANGE[0]) & (over < RANGE[1])]
    bins = np.floor(np.log(values) / BIN).astype(np.int64)
    first = int(bins.min())
    return {"first": first, "counts": np.bincount(bins - first).tolist(), "folded": _folded(regions.values, place)}


def _folded(values: Array, place: Mask) -> float:
    """Return the share of the variance in a place that is left when the mean over `FOLD` elements around is taken off."""
    from scipy import ndimage

    inside = values[place]
    low, high = np.nanpercentile(inside, TAILS)
    clipped = np.where(place, np.clip(np.nan_to_num(values, nan=low), low, high) - np.float32(low), np.float32(0))
    total = float(clipped[place].var(dtype=np.float64))
    sums = ndimage.uniform_filter(clipped, FOLD, mode="constant")
    share = ndimage.uniform_filter(place.astype(np.float32), FOLD, mode="constant")
    rest = (clipped - sums / np.maximum(share, np.float32(1e-3)))[place]
    return float(rest.var(dtype=np.float64)) / total if total > 0 else 0.0


def tissues(name: str, series: Series, partials: Sequence[Partial | None]) -> list[Tissues]:
    """Return the tissues of each stack (echo, b-value) in which they lie apart.

    Raises
    ------
    NotApplicable
        `no_brain_tissue` where there is none, for the metric `name`.
    """
    part = (series.acquisition.body_part or "").upper()
    stacks = series.stacks or (Stack(label="", start=0, stop=len(partials)),)
    fits = [] if any(word in part for word in OTHER_PARTS) else [_stack(partials[stack.start : stack.stop]) for stack in stacks]
    found = [fit for fit in fits if fit is not None]
    if not found:
        raise NotApplicable(what=name, reason=REASON)
    return found


def _stack(partials: Sequence[Partial | None]) -> Tissues | None:
    found = [partial for partial in partials if partial is not None]
    if not found or len(found) < MIN_FRAMES * len(partials):
        return None
    if float(np.median([partial["folded"] for partial in found])) < MIN_FOLDED:
        return None
    first = min(int(partial["first"]) for partial in found)
    counts = np.zeros(max(int(partial["first"]) + len(partial["counts"]) for partial in found) - first, dtype=np.int64)
    for partial in found:
        start = int(partial["first"]) - first
        counts[start : start + len(partial["counts"])] += partial["counts"]
    return told_apart(first, tuple(counts.tolist()))


@lru_cache(maxsize=16)
def told_apart(first: int, counts: tuple[int, ...]) -> Tissues | None:
    """Return the tissues that counts in bins from number `first` on are of; None where they are not those of a brain.

    Parameters
    ----------
    first
        Bin of the first count; bin k reaches from exp(k `BIN`) to exp((k + 1) `BIN`).
    counts
        Pixels in each bin.
    """
    total = sum(counts)
    if total < MIN_PIXELS:
        return None
    edges = np.exp(BIN * np.arange(first, first + len(counts) + 1))
    numbers = np.array(counts, dtype=np.float64)
    fits = sorted((mixture(edges, numbers, start) for start in STARTS), key=lambda fit: -fit[3])
    two = max(mixture(edges, numbers, start)[3] for start in STARTS_OF_TWO)
    readings = (_reading(fit, total) for fit in fits if fit[3] >= max(fits[0][3] - AS_GOOD, two + MIN_GAIN))
    return next((reading for reading in readings if reading is not None), None)


def _reading(fit: Fit, total: int) -> Tissues | None:
    """Return three peaks as the tissues of a brain; None where they cannot be."""
    means, deviations, shares, _ = fit
    if 1 - shares.sum() > MAX_OTHER:
        return None
    low, middle, high = (
        Tissue(mean=float(means[k]), deviation=float(deviations[k]), pixels=float(shares[k] * total)) for k in np.argsort(means)
    )
    readings = (Tissues(white=high, grey=middle, fluid=low), Tissues(white=low, grey=middle, fluid=high))
    brains = [reading for reading in readings if _is_brain(reading, total)]
    # Where both would do, fluid is what there is less of.
    return min(brains, key=lambda reading: reading.fluid.pixels, default=None)


def _is_brain(found: Tissues, total: int) -> bool:
    """Tell whether three peaks can be those of a brain."""
    darker, brighter = sorted((found.white, found.grey), key=lambda tissue: tissue.mean)
    apart = (brighter.mean - darker.mean) / np.sqrt((brighter.deviation**2 + darker.deviation**2) / 2)
    dark, bright = found.fluid.mean / darker.mean, brighter.mean / found.fluid.mean
    return bool(
        apart >= MIN_APART
        and RATIO[0] <= brighter.mean / darker.mean <= RATIO[1]
        and max(tissue.deviation / tissue.mean for tissue in (darker, brighter)) <= MAX_SPREAD
        and min(darker.pixels, brighter.pixels) >= MIN_SHARE * total
        and FLUID_SHARE[0] * total <= found.fluid.pixels <= FLUID_SHARE[1] * total
        and min(dark, bright) <= DARK_FLUID
    )


def mixture(edges: Floats, counts: Floats, start: tuple[float, ...]) -> Fit:
    """Fit normal distributions, and an even one for the rest, to counts in bins.

    Parameters
    ----------
    edges
        Of the bins, one more than counts.
    start
        Quantiles of the counts at which the distributions start.

    Returns
    -------
    means, deviations, shares, likelihood
        `(distributions,)` each, the shares with what is left to the even one; the logarithm of the likelihood per count.
    """
    from scipy import special

    middles, variances = (edges[1:] + edges[:-1]) / 2, np.diff(edges) ** 2 / 12
    total = counts.sum()
    reached = np.cumsum(counts) / total
    means = np.array([middles[np.searchsorted(reached, share)] for share in start])
    spread = middles[np.searchsorted(reached, 0.75)] - middles[np.searchsorted(reached, 0.25)]
    deviations = np.maximum(np.full(len(start), spread / 3), MIN_DEVIATION * means)
    shares = np.full(len(start), (1 - OTHER_START) / len(start))
    even = np.diff(edges) / (edges[-1] - edges[0])
    likelihood = -np.inf
    for _ in range(TURNS):
        inside = np.diff(special.ndtr((edges - means[:, None]) / deviations[:, None]), axis=1)
        parts = shares[:, None] * np.maximum(inside, 1e-12)
        whole = parts.sum(axis=0) + max(0.0, 1 - shares.sum()) * even
        previous, likelihood = likelihood, float(counts @ np.log(whole) / total)
        belongs = parts / whole * counts
        sums = np.maximum(belongs.sum(axis=1), 1e-9)
        means = belongs @ middles / sums
        # Sheppard: what the width of the bins adds to the variance is not the tissue's.
        square = (belongs * ((middles - means[:, None]) ** 2 - variances)).sum(axis=1) / sums
        deviations = np.sqrt(np.maximum(square, (MIN_DEVIATION * means) ** 2))
        shares = sums / total
        if likelihood - previous < CONVERGED:
            break
    return means, deviations, shares, likelihood
