"""How well two sets of numbers agree: each coefficient with its interval, by bootstrap over groups (subjects), not over images.

Images of one person are no independent evidence: whole groups are drawn with replacement. Sources: Efron and Tibshirani, An
Introduction to the Bootstrap (1993), percentile interval; Field and Welsh, JRSS B 69:369 (2007) for resampling clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
REPEATS: Final = 1000
LEVEL: Final = 0.95
LEAST_REPEATS: Final = 0.5
"""An interval needs at least this share of the resamples to be computable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A coefficient with its 95 % interval (None where too few groups allow none), and what it rests on."""

    name: str
    value: float
    interval: tuple[float, float] | None
    items: int
    groups: int

    def __str__(self) -> str:
        low_high = "no interval" if self.interval is None else f"95 % interval {self.interval[0]:.3f} to {self.interval[1]:.3f}"
        return f"{self.name} {self.value:.3f} ({low_high}; {self.groups} groups, {self.items} items)"


def plcc(first: ArrayLike, second: ArrayLike, groups: Sequence[str] | None = None, *, repeats: int = REPEATS) -> Agreement:
    """Return Pearson's linear correlation of two sets of scores."""
    return _agreement("PLCC", _pearson, first, second, groups, repeats)


def srocc(first: ArrayLike, second: ArrayLike, groups: Sequence[str] | None = None, *, repeats: int = REPEATS) -> Agreement:
    """Return Spearman's rank correlation; ties share their mean rank."""
    return _agreement("SROCC", _spearman, first, second, groups, repeats)


def krocc(first: ArrayLike, second: ArrayLike, groups: Sequence[str] | None = None, *, repeats: int = REPEATS) -> Agreement:
    """Return Kendall's rank correlation tau-b, which corrects for ties."""
    return _agreement("KROCC", _kendall, first, second, groups, repeats)


def rmse(first: ArrayLike, second: ArrayLike, groups: Sequence[str] | None = None, *, repeats: int = REPEATS) -> Agreement:
    """Return the root mean square difference, in the scores' unit."""
    return _agreement("RMSE", _rmse, first, second, groups, repeats)


def auc(good: ArrayLike, score: ArrayLike, groups: Sequence[str] | None = None, *, repeats: int = REPEATS) -> Agreement:
    """Return the area under the ROC curve: how often a good item (`good` true) scores above a bad one, ties counting half."""
    return _agreement("AUC", _auc, good, score, groups, repeats)


def kappa(first: ArrayLike, second: ArrayLike, groups: Sequence[str] | None = None, *, repeats: int = REPEATS) -> Agreement:
    """Return Cohen's kappa with quadratic weights, for integer grades."""
    return _agreement("kappa", _kappa, first, second, groups, repeats)


def _agreement(
    name: str,
    coefficient: Callable[[Floats, Floats], float],
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[str] | None,
    repeats: int,
) -> Agreement:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        message = f"two rows of equal length are needed, not {x.shape} and {y.shape}"
        raise ValueError(message)
    names = np.arange(x.size).astype(str) if groups is None else np.asarray(groups, dtype=str)
    if names.shape != x.shape:
        message = f"one group a value is needed: {names.size} groups for {x.size} values"
        raise ValueError(message)
    unique, member = np.unique(names, return_inverse=True)
    return Agreement(
        name=name,
        value=_quietly(coefficient, x, y),
        interval=_interval(coefficient, x, y, member, unique.size, repeats),
        items=int(x.size),
        groups=int(unique.size),
    )


def _interval(
    coefficient: Callable[[Floats, Floats], float], x: Floats, y: Floats, member: NDArray[np.intp], count: int, repeats: int
) -> tuple[float, float] | None:
    """Return the percentile interval over resampled groups; resamples in which the coefficient does not exist are passed over."""
    if repeats == 0 or count < 2:
        return None
    # The seed is fixed: the same data print the same interval.
    generator = np.random.default_rng(2026)
    rows = [np.flatnonzero(member == group) for group in range(count)]
    values = np.empty(repeats)
    for repeat in range(repeats):
        chosen = np.concatenate([rows[group] for group in generator.integers(count, size=count)])
        values[repeat] = _quietly(coefficient, x[chosen], y[chosen])
    values = values[np.isfinite(values)]
    if values.size < LEAST_REPEATS * repeats:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _quietly(coefficient: Callable[[Floats, Floats], float], x: Floats, y: Floats) -> float:
    """Return the coefficient, NaN where it does not exist (one class, one value)."""
    with warnings.catch_warnings():
        # scipy and scikit-learn warn of constant input; NaN says the same.
        warnings.simplefilter("ignore")
        return coefficient(x, y) if x.size > 1 else float("nan")


def _pearson(x: Floats, y: Floats) -> float:
    from scipy import stats

    return float(stats.pearsonr(x, y).statistic)


def _spearman(x: Floats, y: Floats) -> float:
    from scipy import stats

    return float(stats.spearmanr(x, y).statistic)


def _kendall(x: Floats, y: Floats) -> float:
    from scipy import stats

    return float(stats.kendalltau(x, y).statistic)


def _rmse(x: Floats, y: Floats) -> float:
    return float(np.sqrt(np.mean((x - y) ** 2)))


def _auc(good: Floats, score: Floats) -> float:
    """Return the Mann-Whitney statistic over its largest value (Hanley and McNeil, Radiology 143:29, 1982)."""
    from scipy import stats

    positive = good > 0
    hits, misses = int(positive.sum()), int((~positive).sum())
    if hits == 0 or misses == 0:
        return float("nan")
    ranks = stats.rankdata(score)
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _kappa(x: Floats, y: Floats) -> float:
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(x.astype(int), y.astype(int), weights="quadratic"))
