"""The verdict against a table written out by hand: every stand of every witness, with and without doubt and certain defect."""

from __future__ import annotations

from itertools import product

import pytest

from medqa.assessment import Prediction, Significance, Verdict
from medqa.codes import Unit, own
from medqa.config import PolicySettings
from medqa.findings import FINDINGS, REASONS, finding
from medqa.measurement import Measurement
from medqa.metrics import METRICS
from medqa.policy import LIMIT_FINDINGS, Stand, judge

MAL = {"against": 1.9, "for": 3.0, "silent": 2.5}
DENSENET = {"against": 0.49, "for": 0.75, "silent": 0.6}
NOISE = {"against": 60.0, "for": 10.0}

# mal, densenet, physics -> verdict and reason without doubt and without a certain defect
TABLE = {
    "AAA": ("RESCAN", "rescan_two_witnesses"),
    "AAF": ("RESCAN", "rescan_two_witnesses"),
    "AAS": ("RESCAN", "rescan_two_witnesses"),  # codespell:ignore
    "AFA": ("RESCAN", "rescan_two_witnesses"),
    "AFF": ("REVIEW", "review_both_sides"),
    "AFS": ("REVIEW", "review_both_sides"),
    "ASA": ("RESCAN", "rescan_two_witnesses"),
    "ASF": ("REVIEW", "review_both_sides"),
    "ASS": ("REVIEW", "review_one_against"),
    "FAA": ("RESCAN", "rescan_two_witnesses"),
    "FAF": ("REVIEW", "review_both_sides"),
    "FAS": ("REVIEW", "review_both_sides"),
    "FFA": ("REVIEW", "review_both_sides"),
    "FFF": ("ADEQUATE", "adequate"),
    "FFS": ("ADEQUATE", "adequate"),
    "FSA": ("REVIEW", "review_both_sides"),
    "FSF": ("ADEQUATE", "adequate"),
    "FSS": ("ADEQUATE", "adequate"),
    "SAA": ("RESCAN", "rescan_two_witnesses"),
    "SAF": ("REVIEW", "review_both_sides"),
    "SAS": ("REVIEW", "review_one_against"),
    "SFA": ("REVIEW", "review_both_sides"),
    "SFF": ("ADEQUATE", "adequate"),
    "SFS": ("ADEQUATE", "adequate"),
    "SSA": ("REVIEW", "review_one_against"),
    "SSF": ("REVIEW", "review_silent"),
    "SSS": ("REVIEW", "review_silent"),
}
NAMES = {"A": "against", "F": "for", "S": "silent"}


def noise(value: float, limits=(None, 50.0)) -> Measurement:
    return Measurement(quantity=own("ct_noise", "noise"), value=value, unit=Unit.HU, source="test", limits=limits)


def networks(mal: str, densenet: str) -> list[Prediction]:
    return [
        Prediction(model="mal_ct", kind="mal", digest="1", score=MAL[mal], adequate=0.5),
        Prediction(model="densenet_ct", kind="densenet", digest="2", score=2.0, adequate=DENSENET[densenet]),
    ]


@pytest.mark.parametrize(("doubt", "certain"), list(product((False, True), repeat=2)))
@pytest.mark.parametrize("combination", sorted(TABLE))
def test_every_combination_of_witnesses(combination: str, doubt: bool, certain: bool) -> None:
    mal, densenet, physics = (NAMES[letter] for letter in combination)
    findings = [finding("missing_slices")] * doubt + [finding("blank_frames", values={"count": 1})] * certain
    measurements = [noise(NOISE[physics])] if physics in NOISE else [noise(10.0, limits=None)]
    judgement = judge(PolicySettings(), measurements, networks(mal, densenet), findings)
    verdict, reason = TABLE[combination]
    if doubt and reason in ("adequate", "review_silent"):
        verdict, reason = "REVIEW", "review_doubt"
    if certain:
        verdict, reason = "RESCAN", "rescan_certain"
    assert (judgement.verdict, judgement.reason) == (Verdict(verdict), reason)
    assert judgement.reason in REASONS
    assert {name: stand.value for name, stand in judgement.stands.items()} == {"mal": mal, "densenet": densenet, "physics": physics}


def test_all_27_combinations_stand_in_the_table() -> None:
    assert set(TABLE) == {"".join(letters) for letters in product("AFS", repeat=3)}


@pytest.mark.parametrize(
    ("physics", "doubt", "expected"),
    [
        ("against", False, ("REVIEW", "review_one_against")),
        ("for", False, ("REVIEW", "review_no_witness")),
        ("silent", False, ("REVIEW", "review_no_witness")),
        ("silent", True, ("REVIEW", "review_doubt")),
    ],
)
def test_without_networks_nothing_is_adequate(physics: str, doubt: bool, expected: tuple[str, str]) -> None:
    measurements = [noise(NOISE[physics])] if physics in NOISE else []
    judgement = judge(PolicySettings(), measurements, [], [finding("missing_slices")] * doubt)
    assert (judgement.verdict.value, judgement.reason) == expected


@pytest.mark.parametrize("message", [message for message, kind in FINDINGS.items() if kind.significance is Significance.NOTE])
def test_a_note_alone_never_changes_an_adequate_verdict(message: str) -> None:
    judgement = judge(PolicySettings(), [], networks("for", "for"), [finding(message)])
    assert judgement.verdict is Verdict.ADEQUATE


def test_one_network_alone_suffices_for_adequate() -> None:
    judgement = judge(PolicySettings(), [], networks("for", "silent")[:1], [])
    assert (judgement.verdict, judgement.reason_values["witnesses"]) == (Verdict.ADEQUATE, "mal")


def test_when_no_frame_could_be_decoded_the_reason_says_so() -> None:
    found = finding("undecodable_frames", values={"count": 3, "total": 3, "code": "MQ202"})
    judgement = judge(PolicySettings(), [], [], [found])
    assert (judgement.verdict, judgement.reason, judgement.reason_values) == (
        Verdict.REVIEW,
        "review_unreadable",
        {"code": "MQ202"},
    )


def test_as_many_lost_frames_as_there_are_good_ones_is_a_doubt_only() -> None:
    found = finding("undecodable_frames", values={"count": 3, "total": 6, "code": "MQ201"})
    assert judge(PolicySettings(), [], networks("for", "for"), [found]).reason == "review_doubt"


def test_a_broken_limit_names_value_and_limit() -> None:
    judgement = judge(PolicySettings(), [noise(60.0)], networks("for", "for"), [])
    (found,) = [one for one in judgement.findings if one.message == "ct_noise_high"]
    assert (found.values["value"], found.values["limit"]) == (60.0, 50.0)


def test_a_network_against_names_its_score_and_its_worst_frames() -> None:
    scores = (3.0, 1.0, None, 0.5, 3.0)
    prediction = Prediction(
        model="mal_ct", kind="mal", digest="1", score=1.5, adequate=0.2, frame_scores=scores, worst_frames=(3, 1)
    )
    judgement = judge(PolicySettings(), [], [prediction], [])
    by_message = {one.message: one for one in judgement.findings}
    assert by_message["mal_against"].values == {"score": 1.5, "limit": 2.0}
    assert by_message["mal_against"].frames == (1, 3)
    assert by_message["low_score_frames"].values == {"count": 2, "limit": 2.0, "worst": 0.5}


def test_the_cuts_are_settings() -> None:
    strict = PolicySettings(mal_for=3.9, densenet_for=0.9)
    assert judge(strict, [], networks("for", "for"), []).reason == "review_silent"


def test_every_broken_limit_has_a_finding_that_counts_against() -> None:
    names = {metric.name for metrics in METRICS.values() for metric in metrics}
    assert names & set(LIMIT_FINDINGS)
    for message in LIMIT_FINDINGS.values():
        assert FINDINGS[message].significance is Significance.AGAINST


def physics(adequate: float) -> Prediction:
    return Prediction(
        model="physics_ct", kind="physics", digest="3", score=4 * adequate, adequate=adequate, artefacts=("ct_noise:high",)
    )


@pytest.mark.parametrize(
    ("adequate", "value", "stand"),
    [
        (0.9, 20.0, Stand.FOR),
        (0.6, 20.0, Stand.SILENT),  # kept limits alone no longer speak where the model is silent
        (0.4, 20.0, Stand.AGAINST),
        (0.9, 60.0, Stand.AGAINST),  # a broken limit stays one
    ],
)
def test_where_there_is_a_physics_model_it_is_the_witness(adequate: float, value: float, stand: Stand) -> None:
    judgement = judge(PolicySettings(), [noise(value)], [*networks("for", "for"), physics(adequate)], [])
    assert judgement.stands["physics"] is stand
    assert judgement.verdict is (Verdict.REVIEW if stand is Stand.AGAINST else Verdict.ADEQUATE)


def test_measurements_against_name_what_speaks_against() -> None:
    judgement = judge(PolicySettings(), [], [*networks("for", "for"), physics(0.2)], [])
    (found,) = [one for one in judgement.findings if one.message == "physics_against"]
    assert found.values == {"adequate": 0.2, "limit": 0.5, "quantities": "ct_noise:high"}
    assert found.evidence == ("physics_ct", "ct_noise")


def test_physics_alone_is_no_network() -> None:
    judgement = judge(PolicySettings(), [noise(20.0)], [physics(0.9)], [])
    assert (judgement.verdict, judgement.reason) == (Verdict.REVIEW, "review_no_witness")
