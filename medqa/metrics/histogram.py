"""A histogram over logarithmic bins that frames fill and a series adds up; its mode, and its quiet level.

Written for local standard deviations, whose distribution is wide on the right (edges) and peaked where tissue is uniform.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medqa.metrics.metric import Partial


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBins:
    """Bins from `low` to `high`, each `width` wide in the natural logarithm; values outside are left out."""

    low: float
    high: float
    width: float

    @property
    def count(self) -> int:
        """Number of bins."""
        return int(np.ceil(np.log(self.high / self.low) / self.width))

    def fill(self, values: NDArray[Any]) -> dict[str, Any]:
        """Count values; the leading and trailing empty bins are cut off, so that the partial stays small."""
        kept = values[(values >= self.low) & (values < self.high)]
        index = (np.log(kept / self.low) / self.width).astype(np.int64)
        counts = np.bincount(np.minimum(index, self.count - 1), minlength=self.count)
        filled = np.flatnonzero(counts)
        if filled.size == 0:
            return {"first": 0, "counts": []}
        return {"first": int(filled[0]), "counts": counts[filled[0] : filled[-1] + 1].tolist()}

    def total(self, partials: Iterable[Partial]) -> NDArray[np.int64]:
        """Add up what `fill` returned."""
        counts = np.zeros(self.count, dtype=np.int64)
        for partial in partials:
            counts[partial["first"] : partial["first"] + len(partial["counts"])] += np.asarray(partial["counts"], dtype=np.int64)
        return counts

    def mode(self, counts: NDArray[np.int64], smoothing: float = 0.12) -> float:
        """Return the value of the highest density per unit of the value (not per bin), smoothed by a Gaussian in the logarithm."""
        from scipy import ndimage

        centres = self.low * np.exp(self.width * (np.arange(self.count) + 0.5))
        smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), smoothing / self.width, mode="constant")
        density = smooth / centres
        top = int(np.argmax(density))
        if 0 < top < self.count - 1:
            left, middle, right = density[top - 1 : top + 2]
            curvature = left - 2 * middle + right
            shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
        else:
            shift = 0.0
        return float(self.low * np.exp(self.width * (top + 0.5 + shift)))

    def quiet(self, counts: NDArray[np.int64], share: float, reach: float) -> float:
        """Return the root mean square of the values up to `reach` times that of the lowest share; NaN where nothing was counted.

        Every one of these values counts, where a quantile hangs on its neighbours and a mode on the one hump that is highest.
        """
        if not counts.any():
            return math.nan
        edges = self.low * np.exp(self.width * np.arange(self.count + 1))
        squares = edges[:-1] * edges[1:]
        taken = np.clip(share * counts.sum() - (np.cumsum(counts) - counts), 0, counts)
        end = reach * math.sqrt((taken * squares).sum() / taken.sum())
        within = counts * np.clip(np.log(end / edges[:-1]) / self.width, 0, 1)
        return math.sqrt((within * squares).sum() / within.sum())
