"""Calibrate a network on validation subjects: its scale, then the probability of being adequate. Test subjects are never asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.config import PolicySettings
from medqa.iqa.calibration import Logistic
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import MalNet
from medqa.iqa.network import round_weights
from medqa.training.dataset import Sample
from medqa.training.evaluation import Item, series_items
from medqa.training.losses import ADEQUATE_FROM, INADEQUATE_BELOW
from medqa.training.stretch import ODD_SHARE, Scale, stretch, tenths
from medqa.training.votes import Shares, shares

PREVALENCE: Final = 0.2
"""Declared share of inadequate series: 7.5 % of outpatient and 29.4 % of inpatient and emergency MR examinations had significant
motion (Andre et al., J Am Coll Radiol 2015, 12(7), 689-695). Neither CT nor PET has a better figure here."""
PLACES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What became of a network whose scale was set in place."""

    scale: Scale
    curve: Logistic
    flattened: bool
    """Whether the fitted curve spoke more surely than validation subjects bear out."""
    items: list[Item]
    """The validation series on the new scale."""
    asked: list[Item]
    """The same before."""

    def facts(self, kind: str, stretched: float) -> dict[str, Any]:
        """Return what the metadata keeps: `stretch` since training, and what was seen on validation subjects."""
        clean, spoiled = tenths(self.items)
        return {
            "stretch": round(stretched * self.scale.gain, 4),
            "prevalence": PREVALENCE,
            "clean_tenth": round(clean, 3),
            "spoiled_tenth": round(spoiled, 3),
            "flattened": self.flattened,
            "validation": shares(kind, self.items, self.curve),
        }

    def before(self, kind: str, curve: Logistic) -> Shares:
        """Return how the network stood before, with the curve that it had."""
        return shares(kind, self.asked, curve)


def calibrate(network: MalNet | BagDenseNet, samples: Sequence[Sample], *, stretched: float = 1.0) -> Calibrated:
    """Set the scale of a network in place, round its weights as a bundle does, and fit its probability.

    Parameters
    ----------
    samples
        Of validation subjects.
    stretched
        Gain of earlier stretches.
    """
    asked = series_items(network, samples)
    scale = stretch(network, asked, stretched=stretched)
    round_weights(network)
    items = series_items(network, samples)
    fitted = fit(items)
    # MAL votes by its score: no cut lies on its probability.
    curve = fitted if isinstance(network, MalNet) else no_surer_than_shown(fitted, items)
    return Calibrated(scale=scale, curve=curve, flattened=curve != fitted, items=items, asked=asked)


def fit(items: Sequence[Item]) -> Logistic:
    """Fit the probability of being adequate: labels from 3 against labels below 2, as frequent as `PREVALENCE` declares.

    Items between are left out: they are neither. How often each occurs among the items is our own doing and says nothing about a
    clinic. The result is not certified.
    """
    adequate = [item.logit for item in items if item.label >= ADEQUATE_FROM]
    inadequate = [item.logit for item in items if item.label < INADEQUATE_BELOW]
    size = len(adequate) + len(inadequate)
    bad = max(1, round(PREVALENCE * size))
    values = np.concatenate([_places(adequate, size - bad), _places(inadequate, bad)])
    return Logistic.fit(values, np.repeat([True, False], [size - bad, bad]))


def no_surer_than_shown(curve: Logistic, items: Sequence[Item]) -> Logistic:
    """Flatten a curve until it passes neither cut of the policy where validation subjects do not bear it out.

    Adequate series being the rule, a network that knows nothing would call every series adequate, above the cut `for`. So: the
    curve crosses the cut `against` no higher than where a tenth of the clean series lie below, and the cut `for` no lower than
    where a tenth of the clearly spoiled ones lie above; each subject counts the same, and so does each kind within it, since a
    kind that the network is blind to would hide in a median. A curve that keeps to this is left as it is. One that crosses a cut
    beyond all items is taken to cross it at their end: a curve all but flat would lie on the cut `for` everywhere.
    """
    clean = float(np.quantile(_by_subject(item for item in items if item.clean), ODD_SHARE))
    spoiled = float(np.quantile(_by_subject(item for item in items if item.clearly_spoiled), 1 - ODD_SHARE))
    policy = PolicySettings()
    low, high = _log_odds(policy.densenet_against), _log_odds(policy.densenet_for)
    rising = curve.slope > 0
    crossings = tuple((cut - curve.intercept) / curve.slope for cut in (low, high)) if rising else (math.inf, -math.inf)
    if crossings[0] <= clean and crossings[1] >= spoiled:
        return curve
    seen = [item.logit for item in items]
    within = np.clip(crossings, min(seen), max(seen))
    at_low, at_high = sorted((min(clean, float(within[0])), max(spoiled, float(within[1]))))
    slope = (high - low) / max(at_high - at_low, 1e-6)
    return Logistic(slope=slope, intercept=low - slope * at_low)


def _by_subject(items: Iterable[Item]) -> NDArray[np.float64]:
    """Return the logits, as many of each subject."""
    subjects: dict[str, list[float]] = {}
    for item in items:
        subjects.setdefault(item.subject, []).append(item.logit)
    return np.concatenate([_places(logits, PLACES) for logits in subjects.values()])


def _places(values: Sequence[float], size: int) -> NDArray[np.float64]:
    """Return `size` values that are spread as the given ones."""
    found: NDArray[np.float64] = np.quantile(values, (np.arange(size) + 0.5) / size)
    return found


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
