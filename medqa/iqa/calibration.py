"""From a network's number to the probability that a series is adequate: one logistic curve, fitted on validation subjects.

Two parameters, since subjects are few (Platt, Probabilistic outputs for support vector machines, 1999); it never certifies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """`probability = 1 / (1 + exp(-(slope * value + intercept)))`."""

    slope: float
    intercept: float

    def probability(self, value: float) -> float:
        """Return the probability of being adequate."""
        exponent = -(self.slope * value + self.intercept)
        return 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))

    @classmethod
    def fit(cls, values: Sequence[float] | NDArray[np.floating], adequate: Sequence[bool] | NDArray[np.bool_]) -> Logistic:
        """Fit by maximum likelihood on Platt's smoothed targets, which keep the slope finite where both groups are separate.

        Parameters
        ----------
        values
            What the network said, one number a series.
        adequate
            Whether each was adequate.
        """
        x = np.asarray(values, dtype=np.float64)
        labels = np.asarray(adequate, dtype=bool)
        good, bad = int(labels.sum()), int((~labels).sum())
        target = np.where(labels, (good + 1) / (good + 2), 1 / (bad + 2))
        centre, spread = float(x.mean()), float(x.std()) or 1.0
        design = np.stack([(x - centre) / spread, np.ones_like(x)], axis=1)
        theta = np.zeros(2)
        # A little ridge on the slope alone: with one class only, the curve stays flat.
        ridge = np.diag([1e-3, 0.0])
        for _ in range(50):
            p = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
            gradient = design.T @ (p - target) + ridge @ theta
            curvature = (design * (p * (1 - p))[:, None]).T @ design + ridge + 1e-9 * np.eye(2)
            step = np.linalg.solve(curvature, gradient)
            theta -= np.clip(step, -3, 3)
            if float(np.abs(step).max()) < 1e-10:
                break
        slope = float(theta[0]) / spread
        return cls(slope=slope, intercept=float(theta[1]) - slope * centre)
