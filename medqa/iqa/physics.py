"""Physics as a witness: a logistic model on the measurements of a series, small enough to be read by a person.

Each feature is one measured quantity, taken through a logarithm where its spread is one of factors, cut at the range that it has
in training scans, centred and scaled; a quantity that could not be measured counts as usual, that is zero. The probability that the
series is adequate is the logistic function of their weighted sum.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from medqa.assessment import FrameEvidence, FrameScore, HeatMap, Prediction
from medqa.errors import BundleMismatch, NotApplicable
from medqa.iqa.card import PHYSICS_MODEL, BundleCard
from medqa.iqa.scorer import DECIMALS, OfBundle
from medqa.measurement import Measurement
from medqa.series import FrameImage, Series

TOP_SCORE: Final = 4.0
LEAST_KNOWN: Final = 0.5
"""Least share of the weights whose quantities must be known; with less, the witness is silent."""
NAMED: Final = 3
"""Quantities that are named as what speaks most against a series, at most."""
LEAST_NAMED: Final = 0.1
"""Of the logit: what takes less off it decides nothing, and is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One quantity of the sum: `low` and `high` bound its value, in its own unit; `weight` multiplies the standardised value.

    `square` multiplies the square of the standardised value less its mean of 1: too little noise may be as bad as too much.
    """

    quantity: str
    logarithm: bool
    low: float
    high: float
    centre: float
    scale: float
    weight: float
    square: float = 0.0

    def standardised(self, value: float) -> float:
        """Return the value as the sum takes it: cut, through the logarithm where it applies, centred, scaled."""
        cut = min(max(value, self.low), self.high)
        return ((math.log(max(cut, 1e-9)) if self.logarithm else cut) - self.centre) / self.scale

    def contribution(self, value: float) -> float:
        """Return what a value adds to the logit."""
        z = self.standardised(value)
        return self.weight * z + self.square * (z * z - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticModel:
    """Features and intercept."""

    features: tuple[Feature, ...]
    intercept: float

    def contributions(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return what each known quantity adds to the logit of being adequate."""
        return {
            feature.quantity: feature.contribution(values[feature.quantity])
            for feature in self.features
            if feature.quantity in values and math.isfinite(values[feature.quantity])
        }

    def side(self, quantity: str, value: float) -> str:
        """Return on which side of what is usual the value of a quantity lies: `high` or `low`."""
        (feature,) = (one for one in self.features if one.quantity == quantity)
        return "high" if feature.standardised(value) > 0 else "low"

    def probability(self, values: Mapping[str, float]) -> float:
        """Return the probability that a series with these measured values is adequate."""
        logit = self.intercept + sum(self.contributions(values).values())
        return 1 / (1 + math.exp(-max(min(logit, 50.0), -50.0)))

    def known(self, values: Mapping[str, float]) -> float:
        """Return the share of the weights whose quantities are among the values."""
        shares = {feature.quantity: abs(feature.weight) + abs(feature.square) for feature in self.features}
        total = sum(shares.values())
        return sum(share for quantity, share in shares.items() if quantity in values) / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        rows = [{name: getattr(feature, name) for name in Feature.__dataclass_fields__} for feature in self.features]
        return {"features": rows, "intercept": self.intercept}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LogisticModel:
        """Read what `to_json` wrote."""
        return cls(features=tuple(Feature(**row) for row in document["features"]), intercept=float(document["intercept"]))


class PhysicsScorer(OfBundle):
    """A logistic model behind the `Scorer` protocol: it looks at no pixel, only at what was measured."""

    def __init__(self, card: BundleCard) -> None:
        super().__init__(card)
        try:
            document = json.loads((card.folder / PHYSICS_MODEL).read_text(encoding="utf-8"))
            self.model = LogisticModel.from_json(document)
            self._examples = [(dict(one["values"]), float(one["adequate"])) for one in document["selftest"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleMismatch(bundle=card.name, reason=f"{PHYSICS_MODEL} cannot be read ({type(error).__name__})") from error

    def self_test(self) -> None:
        """Check that the stored examples come out as when the model was made.

        Raises
        ------
        BundleMismatch
            Where one does not.
        """
        for values, expected in self._examples:
            if abs(self.model.probability(values) - expected) > 1e-6:
                raise BundleMismatch(bundle=self.name, reason="a self-test example does not come out as when the model was made")

    def score(self, images: Sequence[FrameImage]) -> Sequence[FrameScore]:
        """Return no score for any frame: the measurements are of the series."""
        return [FrameScore(score=None) for _ in images]

    def conclude(self, series: Series, evidence: Sequence[FrameEvidence], measurements: Sequence[Measurement] = ()) -> Prediction:
        """Weigh the measurements.

        Raises
        ------
        NotApplicable
            `too_few_measurements` where less than half of what the model weighs could be measured.
        """
        values = {one.quantity.value: one.value for one in measurements}
        if self.model.known(values) < LEAST_KNOWN:
            raise NotApplicable(what=self.name, reason="too_few_measurements")
        adequate = round(self.model.probability(values), DECIMALS)
        worst = sorted((part, quantity) for quantity, part in self.model.contributions(values).items() if part < -LEAST_NAMED)
        return Prediction(
            model=self.name,
            kind=self.kind,
            digest=self.digest,
            score=round(TOP_SCORE * adequate, DECIMALS),
            adequate=adequate,
            artefacts=tuple(f"{quantity}:{self.model.side(quantity, values[quantity])}" for _, quantity in worst[:NAMED]),
        )

    def explain(self, series: Series, frames: Sequence[int]) -> Sequence[HeatMap]:
        """Return no heat map: measurements name their places themselves."""
        return ()
