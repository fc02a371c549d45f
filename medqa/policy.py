"""From three witnesses to a verdict (DESIGN section 5): MAL, DenseNet and physics, each against, for or silent.

The table, first line that applies:

===============================================  ========  =====================
what is there                                    verdict   reason
===============================================  ========  =====================
a certain defect                                 RESCAN    rescan_certain
two witnesses against                            RESCAN    rescan_two_witnesses
one against, another for                         REVIEW    review_both_sides
one against                                      REVIEW    review_one_against
nothing could be decoded                         REVIEW    review_unreadable
a doubt                                          REVIEW    review_doubt
no network spoke                                 REVIEW    review_no_witness
no network for                                   REVIEW    review_silent
otherwise                                        ADEQUATE  adequate
===============================================  ========  =====================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from medqa.assessment import Finding, Prediction, Scalar, Significance, Verdict
from medqa.config import PolicySettings
from medqa.findings import finding
from medqa.measurement import Measurement


class Stand(StrEnum):
    """Where a witness stands."""

    AGAINST = "against"
    FOR = "for"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict, the message id of its reason with values, and every finding, those of the witnesses included."""

    verdict: Verdict
    reason: str
    reason_values: Mapping[str, Scalar]
    findings: tuple[Finding, ...]
    stands: Mapping[str, Stand] = field(default_factory=dict)


WITNESSES: Final = ("mal", "densenet", "physics")

LIMIT_FINDINGS: Final[dict[str, str]] = {
    "ct_noise": "ct_noise_high",
    "ct_air": "ct_air_implausible",
    "mr_snr": "mr_snr_low",
    "mr_ghosting": "mr_ghosting_high",
    "pt_liver_cov": "pt_liver_cov_high",
}
"""Quantity of a measurement -> what is found where it breaks its limits."""


def judge(
    settings: PolicySettings,
    measurements: Sequence[Measurement],
    predictions: Sequence[Prediction],
    findings: Sequence[Finding],
) -> Judgement:
    """Return the verdict on a series.

    Parameters
    ----------
    settings
        The cuts; a calibration replaces them.
    measurements, predictions, findings
        What metrics, networks and checks say. A measurement outside its limits becomes a finding here.
    """
    everything = (*findings, *_broken_limits(measurements, findings), *_of_networks(settings, predictions))
    stands = {
        "mal": _network(predictions, "mal", "score", settings.mal_against, settings.mal_for),
        "densenet": _network(predictions, "densenet", "adequate", settings.densenet_against, settings.densenet_for),
        "physics": _physics(settings, measurements, predictions, everything),
    }
    verdict, reason, values = _decide(stands, predictions, everything)
    return Judgement(verdict=verdict, reason=reason, reason_values=values, findings=everything, stands=stands)


def _decide(
    stands: Mapping[str, Stand], predictions: Sequence[Prediction], findings: Sequence[Finding]
) -> tuple[Verdict, str, dict[str, Scalar]]:
    against = [name for name in WITNESSES if stands[name] is Stand.AGAINST]
    favour = [name for name in WITNESSES if stands[name] is Stand.FOR]
    certain = _first(findings, Significance.CERTAIN)
    doubt = _first(findings, Significance.DOUBT)
    undecoded = [
        one for one in findings if one.message == "undecodable_frames" and one.values.get("count") == one.values.get("total")
    ]
    networks = [name for name in favour if name != "physics"]
    spoke = [one for one in predictions if one.kind != "physics"]
    score: dict[str, Scalar] = {"score": round(_headline(spoke), 2)} if spoke else {}
    table: tuple[tuple[bool, Verdict, str, dict[str, Scalar]], ...] = (
        (certain is not None, Verdict.RESCAN, "rescan_certain", {"finding": certain or ""}),
        (len(against) >= 2, Verdict.RESCAN, "rescan_two_witnesses", {"witnesses": ", ".join(against)}),
        (bool(against and favour), Verdict.REVIEW, "review_both_sides", {"witness": ", ".join(against)}),
        (bool(against), Verdict.REVIEW, "review_one_against", {"witness": ", ".join(against)}),
        (bool(undecoded), Verdict.REVIEW, "review_unreadable", {"code": undecoded[0].values.get("code", "") if undecoded else ""}),
        (doubt is not None, Verdict.REVIEW, "review_doubt", {"finding": doubt or ""}),
        (not spoke, Verdict.REVIEW, "review_no_witness", {}),
        (not networks, Verdict.REVIEW, "review_silent", {}),
    )
    for applies, verdict, reason, values in table:
        if applies:
            return verdict, reason, values
    return Verdict.ADEQUATE, "adequate", {**score, "witnesses": ", ".join(favour)}


def _network(predictions: Sequence[Prediction], kind: str, value: str, against: float, favour: float) -> Stand:
    """One network of a kind against is the kind against; otherwise one for is the kind for."""
    values = [float(getattr(prediction, value)) for prediction in predictions if prediction.kind == kind]
    if any(one < against for one in values):
        return Stand.AGAINST
    return Stand.FOR if any(one >= favour for one in values) else Stand.SILENT


def _physics(
    settings: PolicySettings, measurements: Sequence[Measurement], predictions: Sequence[Prediction], findings: Sequence[Finding]
) -> Stand:
    """Return against for a broken limit, else what the physics model says, or, without one, whether any limit is kept."""
    if any(one.significance is Significance.AGAINST for one in findings):
        return Stand.AGAINST
    if any(one.kind == "physics" for one in predictions):
        return _network(predictions, "physics", "adequate", settings.physics_against, settings.physics_for)
    return Stand.FOR if any(one.within_limits for one in measurements) else Stand.SILENT


def _broken_limits(measurements: Sequence[Measurement], findings: Sequence[Finding]) -> list[Finding]:
    told = {one.message for one in findings}
    broken = []
    for one in measurements:
        message = LIMIT_FINDINGS.get(one.quantity.value)
        if one.within_limits is not False or message is None or message in told:
            continue
        low, high = one.limits or (None, None)
        limit = high if high is not None and one.value > high else low
        values: dict[str, Scalar] = {"value": one.value, "limit": limit if limit is not None else ""}
        values |= {name: bound for name, bound in (("low", low), ("high", high)) if bound is not None}
        broken.append(finding(message, values=values, evidence=(one.quantity.value,)))
    return broken


def _of_networks(settings: PolicySettings, predictions: Sequence[Prediction]) -> list[Finding]:
    found = []
    for one in predictions:
        frames = (min(one.worst_frames), max(one.worst_frames)) if one.worst_frames else None
        if one.kind == "mal" and one.score < settings.mal_against:
            values: dict[str, Scalar] = {"score": one.score, "limit": settings.mal_against}
            found.append(finding("mal_against", values=values, evidence=(one.model,), frames=frames))
        if one.kind == "densenet" and one.adequate < settings.densenet_against:
            values = {"adequate": one.adequate, "limit": settings.densenet_against}
            found.append(finding("densenet_against", values=values, evidence=(one.model,), frames=frames))
        if one.kind == "physics" and one.adequate < settings.physics_against:
            values = {"adequate": one.adequate, "limit": settings.physics_against, "quantities": ", ".join(one.artefacts)}
            quantities = (artefact.partition(":")[0] for artefact in one.artefacts)
            found.append(finding("physics_against", values=values, evidence=(one.model, *quantities)))
        low = [(score, index) for index, score in enumerate(one.frame_scores) if score is not None and score < settings.frame_cut]
        if one.kind == "mal" and low:
            values = {"count": len(low), "limit": settings.frame_cut, "worst": min(low)[0]}
            span = (min(index for _, index in low), max(index for _, index in low))
            found.append(finding("low_score_frames", values=values, evidence=(one.model,), frames=span))
    return found


def _first(findings: Sequence[Finding], significance: Significance) -> str | None:
    return next((one.message for one in findings if one.significance is significance), None)


def _headline(predictions: Sequence[Prediction]) -> float:
    """Return the score of the first network that scores frames, else of the first."""
    return next((one.score for one in predictions if one.kind == "mal"), predictions[0].score)
