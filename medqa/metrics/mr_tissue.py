"""White matter, grey matter and cerebrospinal fluid of a stack of MR frames: levels and deviations, where there is brain at all.

Blocks in which brain may lie (`mr_head`) are counted by the logarithm of their value without noise and profile (`mr_matter`); with
each count go the sums of what the image as it is has there, and of the depth. Counts of frames add up in any order. A mixture of
three normal distributions and an even one, for vessels, fat and bone, is fitted to the counts of a stack by expectation and
maximisation (Dempster et al., J R Stat Soc B 1977; 39:1). It tells which share of a bin belongs to each tissue, and with these
shares the sums become means and deviations. So noise does not hide the tissues as long as neighbours tell them, and a coil's
profile does not mix them up; but both are in the deviations, for they are faults that the metrics are to see.

Before, peaks were sought in the image as it is, and their widths were the deviations: 8 of 33 brain scans that train had tissue,
and most of them lost it in noise. Now 14 have: T1 with and without inversion, T2, PD and two FLAIR, from the side too; of scans of
anything else none, as before. Those left out show hardly any contrast of white and grey matter (FLAIR, T1 with contrast agent,
0.055 T), have pixels of 3 mm, or are cut at the head. A test phantom whose picture is badly spoilt may still be taken for a brain.

Three peaks can be fitted to anything. Brain is told by the two kinds of matter lying apart (Ashman et al., Astron J 1994;
108:2348), by how far, by both being there in quantity, by fluid under or over them, and by their changing over millimetres: the
cortex is folded, while what a coil leaves of a phantom changes over the whole of it. White matter is the brighter one where fluid
is dark (T1), the darker one where fluid is bright (T2), and the deeper one where fluid is dark and the darker matter lies clearly
deeper (FLAIR, PD).
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
from medqa.metrics.mr_matter import evened
from medqa.regions import Mask, Regions
from medqa.series import Series, Stack

Floats = NDArray[np.float64]
SUMS: Final = ("counts", "means", "squares", "depths")
"""What a frame gives for each bin: how many blocks, and sums over them."""

NAME: Final = "mr_tissue"
REASON: Final = "no_brain_tissue"
BIN: Final = 0.04
"""Width of a bin in the natural logarithm of the value."""
RANGE: Final = (1 / 16, 5.0)
"""Values that are counted, over the frame's median: from fluid in T1 and FLAIR to fluid in T2."""
SPAN: Final = float(np.log(RANGE[1] / RANGE[0]))
MAX_PIXEL_MM: Final = 2.2
"""The cortex is 2 to 4 mm thick: wider pixels hold no grey matter alone."""
FOLD: Final = 9
"""Blocks, about 17 mm, over which a mean holds several folds."""
TAILS: Final = (10.0, 90.0)
"""Percentiles outside of which values count as the nearest: vessels and fluid are not to decide."""
FOLDED: Final = (0.15, 0.85)
"""Share of the variance within `FOLD`: 0.25 to 0.67 in frames of training scans that have tissue, 0.00 to 0.07 in even fluid, 1.04
and more in the bars and grids of test phantoms."""
MIN_PIXELS: Final = 1500
"""Of a stack: about the brain of a frame in blocks."""
MIN_FRAMES: Final = 1 / 3
"""Share of the frames in which brain may lie: of a whole head more than half."""
MIN_APART: Final = 1.2
"""Ashman's distance of white and grey matter: their difference over the root mean square of their deviations. 1.2 to 3.3 in the
training scans that have a value, up to 1.1 in the others."""
MIN_GAIN: Final = 0.004
"""Logarithm of the likelihood per count by which three peaks must be better than two: 0.007 to 0.087 in heads with a value, up to
0.003 in other heads whose peaks would do."""
RATIO: Final = (1.08, 2.3)
"""Brighter matter over darker: from PD and FLAIR to inversion recovery."""
MAX_SPREAD: Final = 0.28
"""Deviation of the logarithm of either kind of matter, up to 0.27 in T2: what is broader is no tissue, but everything else."""
MAX_FLUID_SPREAD: Final = 0.8
MIN_SHARE: Final = 0.12
"""Of what lies in the place of brain, each kind of matter."""
FLUID_SHARE: Final = (0.01, 0.4)
FLUID_APART: Final = 0.12
"""Logarithm of the ratio of fluid and the nearer kind of matter."""
DEEPER: Final = 0.02
"""Share of the largest depth by which the darker matter must lie deeper to be the white one beside dark fluid."""
STARTS: Final = ((0.04, 0.4, 0.8), (0.2, 0.6, 0.97), (0.05, 0.6, 0.9), (0.15, 0.5, 0.9), (0.02, 0.3, 0.8))
STARTS_OF_TWO: Final = ((0.05, 0.5), (0.5, 0.95), (0.15, 0.6), (0.4, 0.85))
"""Shares of the counts below the peaks from which the fits of three, and of two, set out."""
AS_GOOD: Final = 0.03
"""Fits whose likelihood per count lies this little (of its logarithm) under the best one's are as good."""
NARROWEST: Final = 0.03
"""Deviation of the logarithm: narrower peaks are digital."""
MAX_OTHER: Final = 0.1
"""Share that the even distribution may take."""
LEAST_OTHER: Final = 0.002
TURNS: Final = 150
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Peaks in rising order, `(peaks,)` each: means, deviations, shares; of each bin the share that is theirs, `(peaks, bins)`."""

    means: Floats
    deviations: Floats
    shares: Floats
    belongs: Floats
    likelihood: float
    """Logarithm, per count."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the sums of the blocks where brain may lie, by the logarithm of their value; None where it cannot."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _sums(regions)
    found: dict[str, Any] | None = regions.shared[NAME]
    return found


def _sums(regions: Regions) -> dict[str, Any] | None:
    place = brain_place(regions) if max(regions.image.spacing_mm) <= MAX_PIXEL_MM else None
    values = evened(place) if place is not None else np.zeros(0)
    if place is None or not values.size:
        return None
    over = values / np.median(values)
    seen = (over > RANGE[0]) & (over < RANGE[1])
    bins = np.floor(np.log(values[seen]) / BIN).astype(np.int64)
    first = int(bins.min())
    parts = (np.ones(len(bins)), *(part[place.brain][seen] for part in (place.means, place.squares, place.depth)))
    sums = {name: np.bincount(bins - first, weights=part).tolist() for name, part in zip(SUMS, parts, strict=True)}
    return {"first": first, "folded": _folded(values, place.brain), **sums}


def _folded(values: Floats, place: Mask) -> float:
    """Return the share of the variance in a place that is left when the mean over `FOLD` blocks around is taken off."""
    from scipy import ndimage

    low, high = np.percentile(values, TAILS)
    clipped = np.clip(values, low, high) - low
    total = float(clipped.var())
    rows, columns = (slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(place))
    place = place[rows, columns]
    image, inside = np.zeros(place.shape, dtype=np.float32), place.astype(np.float32)
    image[place] = clipped
    sums, share = (ndimage.uniform_filter(one, FOLD, mode="constant")[place] for one in (image, inside))
    rest = clipped - sums / np.maximum(share, np.float32(1e-3))
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
    found = [partial for partial in partials if partial is not None and FOLDED[0] <= partial["folded"] <= FOLDED[1]]
    if not found or len(found) < MIN_FRAMES * len(partials):
        return None
    first = min(int(partial["first"]) for partial in found)
    sums = np.zeros((len(SUMS), max(int(partial["first"]) + len(partial["counts"]) for partial in found) - first))
    for partial in found:
        start = int(partial["first"]) - first
        sums[:, start : start + len(partial["counts"])] += [partial[name] for name in SUMS]
    return told_apart(first, tuple(map(tuple, sums.tolist())))


@lru_cache(maxsize=16)
def told_apart(first: int, sums: tuple[tuple[float, ...], ...]) -> Tissues | None:
    """Return the tissues that the bins from number `first` on hold; None where they are not those of a brain.

    Parameters
    ----------
    first
        Bin of the first count; bin k reaches from exp(k `BIN`) to exp((k + 1) `BIN`).
    sums
        As `SUMS` names them, of each bin.
    """
    parts = np.array(sums, dtype=np.float64)
    counts = np.asarray(parts[0], dtype=np.float64)
    if counts.sum() < MIN_PIXELS:
        return None
    middles = np.asarray(BIN * (np.arange(first, first + len(counts)) + 0.5), dtype=np.float64)
    fits = sorted(mixture(middles, counts, STARTS), key=lambda fit: -fit.likelihood)
    two = max(fit.likelihood for fit in mixture(middles, counts, STARTS_OF_TWO))
    least = max(fits[0].likelihood - AS_GOOD, two + MIN_GAIN)
    readings = (_reading(fit, parts) for fit in fits if fit.likelihood >= least)
    return next((reading for reading in readings if reading is not None), None)


def _reading(fit: Fit, sums: Floats) -> Tissues | None:
    """Return three peaks as the tissues of a brain; None where they cannot be."""
    # Which peaks are the darker and the brighter matter, and which is fluid. Where both would do, matter is what is more alike.
    brains = [peaks for peaks in ((1, 2, 0), (0, 1, 2)) if _is_brain(fit, *peaks)]
    if not brains:
        return None
    dark, bright, fluid = min(brains, key=lambda peaks: fit.means[peaks[1]] - fit.means[peaks[0]])
    pixels, means, squares, depths = sums @ fit.belongs.T
    means, squares, depths = means / pixels, squares / pixels, depths / pixels
    tissues = [
        Tissue(mean=float(mean), deviation=float(np.sqrt(max(square - mean * mean, 0.0))), pixels=float(number))
        for mean, square, number in zip(means, squares, pixels, strict=True)
    ]
    dark_is_white = fluid > bright or depths[dark] > depths[bright] + DEEPER
    white, grey = (dark, bright) if dark_is_white else (bright, dark)
    return Tissues(white=tissues[white], grey=tissues[grey], fluid=tissues[fluid])


def _is_brain(fit: Fit, dark: int, bright: int, fluid: int) -> bool:
    """Tell whether three peaks can be the darker and the brighter matter and the fluid of a brain."""
    apart = fit.means[bright] - fit.means[dark]
    spread = fit.deviations[[dark, bright]]
    fluid_apart = fit.means[dark] - fit.means[fluid] if fluid < dark else fit.means[fluid] - fit.means[bright]
    return bool(
        apart >= MIN_APART * np.sqrt(np.mean(spread**2))
        and np.log(RATIO[0]) <= apart <= np.log(RATIO[1])
        and spread.max() <= MAX_SPREAD
        and fit.shares[[dark, bright]].min() >= MIN_SHARE
        and FLUID_SHARE[0] <= fit.shares[fluid] <= FLUID_SHARE[1]
        and fluid_apart >= FLUID_APART
        and fit.deviations[fluid] <= MAX_FLUID_SPREAD
    )


def mixture(middles: Floats, counts: Floats, starts: tuple[tuple[float, ...], ...]) -> list[Fit]:
    """Fit normal distributions, and an even one for the rest, to counts in bins of width `BIN`.

    Parameters
    ----------
    middles
        Of the bins, `(bins,)`.
    starts
        Shares of the counts below the peaks at which each fit sets out.
    """
    total = counts.sum()
    reached = np.cumsum(counts) / total
    means = middles[np.minimum(np.searchsorted(reached, starts), len(middles) - 1)]
    low, high = middles[np.searchsorted(reached, (0.25, 0.75))]
    deviations = np.full(means.shape, max((high - low) / 3, NARROWEST))
    shares = np.full(means.shape, (1 - MAX_OTHER) / means.shape[1])
    for _ in range(TURNS):
        belongs, _ = _belongs(middles, means, deviations, shares)
        belongs *= counts
        sums = belongs.sum(axis=-1) + 1e-9
        means = belongs @ middles / sums
        # Sheppard: what the width of the bins adds to the variance is not the tissue's.
        squares = (belongs * (middles - means[..., None]) ** 2).sum(axis=-1) / sums - BIN**2 / 12
        deviations = np.sqrt(np.maximum(squares, NARROWEST**2))
        shares = sums / total
        shares *= np.maximum(1, (1 - MAX_OTHER) / shares.sum(axis=1, keepdims=True))
    belongs, whole = _belongs(middles, means, deviations, shares)
    likelihood = np.log(whole) @ counts / total
    order = np.argsort(means, axis=1)
    return [
        Fit(
            means=means[fit][rising],
            deviations=deviations[fit][rising],
            shares=shares[fit][rising],
            belongs=belongs[fit][rising],
            likelihood=float(likelihood[fit]),
        )
        for fit, rising in enumerate(order)
    ]


def _belongs(middles: Floats, means: Floats, deviations: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Return the share of each bin that each peak has, `(fits, peaks, bins)`, and how likely a bin is, `(fits, bins)`."""
    far = (middles - means[..., None]) / deviations[..., None]
    parts = (shares / deviations)[..., None] * np.exp(-0.5 * far * far) * (BIN / np.sqrt(2 * np.pi))
    other = np.maximum(1 - shares.sum(axis=1), LEAST_OTHER)[:, None] * (BIN / SPAN)
    whole = parts.sum(axis=1) + other
    return parts / whole[:, None], whole
