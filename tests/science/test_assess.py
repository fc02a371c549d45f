"""The same frames give the same assessment: in any order, in any company, streamed or read at once."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from medqa.assess import Accumulator, LiveWarnings, assess
from medqa.assessment import Assessment, FrameEvidence, NotChecked, Verdict
from medqa.config import Settings
from medqa.errors import NotApplicable
from tests.science.factories import FakeScorer, broken, ct_body, make_frame, make_series, mr_head

SETTINGS = Settings()


def contrast(array: np.ndarray) -> float:
    return float(np.clip(array.mean() / 1000 + 4.5, 0, 4))


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [ct_body(rng, noise=10 + index) for index in range(9)]


def test_three_lines_of_scorer_make_an_assessment(arrays) -> None:
    assessment = assess(make_series(arrays), [FakeScorer()], SETTINGS)
    assert (assessment.verdict, assessment.reason) == (Verdict.ADEQUATE, "adequate")
    assert assessment.predictions[0].score == 4.0
    assert {one.quantity.value for one in assessment.measurements} >= {"ct_noise"}


@pytest.mark.parametrize("seed", range(5))
def test_order_company_and_repetition_do_not_change_the_assessment(arrays, seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = make_series(arrays)
    scorers = [FakeScorer(contrast), FakeScorer(contrast, kind="densenet")]
    expected = assess(series, scorers, SETTINGS).to_json()
    accumulator = Accumulator(scorers, SETTINGS)
    evidence: dict = {}
    arrivals = [*rng.permutation(len(arrays)), *rng.integers(0, len(arrays), 4)][: int(rng.integers(3, 13))]
    while arrivals:
        size = int(rng.integers(1, 4))
        group, arrivals = arrivals[:size], arrivals[size:]
        for one in accumulator.evidence([series.frames[index].read() for index in group]):
            evidence[one.key] = FrameEvidence.from_json(json.loads(json.dumps(one.to_json())))
    assert accumulator.conclude(series, evidence).to_json() == expected


def test_only_what_is_missing_is_decoded(arrays) -> None:
    series = make_series(arrays)
    scorer = FakeScorer()
    accumulator = Accumulator([scorer], SETTINGS)
    evidence = {one.key: one for one in accumulator.evidence([frame.read() for frame in series.frames[:7]])}
    scorer.groups.clear()
    told: list[tuple[int, int]] = []
    accumulator.conclude(series, evidence, progress=lambda done, total: told.append((done, total)))
    assert sum(scorer.groups) == 2
    assert told[-1] == (9, 9)


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"bundles": {"medqa": "0", "mal_ct": "fake"}}, {"bundles": {}}])
def test_stale_evidence_is_made_again(arrays, change) -> None:
    series = make_series(arrays)
    scorer = FakeScorer()
    accumulator = Accumulator([scorer], SETTINGS)
    evidence = {one.key: one for one in accumulator.evidence([frame.read() for frame in series.frames])}
    key = series.frames[3].key
    evidence[key] = dataclasses.replace(evidence[key], scores={"mal_ct": 0.0}, **change)
    scorer.groups.clear()
    assert accumulator.conclude(series, evidence).predictions[0].score == 4.0
    assert scorer.groups == [1]


def test_a_frame_that_cannot_be_decoded_is_a_doubt_and_not_an_exception(arrays) -> None:
    series = make_series([*arrays[:4], broken(), *arrays[4:]])
    assessment = assess(series, [FakeScorer()], SETTINGS)
    (found,) = [one for one in assessment.findings if one.message == "undecodable_frames"]
    assert (found.values["count"], found.values["code"], found.frames) == (1, "MQ202", (4, 4))
    assert (assessment.verdict, assessment.reason) == (Verdict.REVIEW, "review_doubt")


def test_a_series_without_a_readable_frame_is_reviewed() -> None:
    class Strict(FakeScorer):
        def conclude(self, series, evidence, measurements=()):
            raise NotApplicable(what=self.name, reason="too_few_frames")

    assessment = assess(make_series([broken()] * 3), [Strict()], SETTINGS)
    assert (assessment.verdict, assessment.reason) == (Verdict.REVIEW, "review_unreadable")
    assert NotChecked(what="mal_ct", reason="too_few_frames") in assessment.not_checked


def test_scorers_of_other_modalities_are_not_asked(arrays) -> None:
    scorer = FakeScorer(modality="MR")
    assessment = assess(make_series(arrays), [scorer], SETTINGS)
    assert scorer.groups == []
    assert (assessment.verdict, assessment.reason) == (Verdict.REVIEW, "review_no_witness")
    assert [one.values for one in assessment.not_checked if one.reason == "no_bundle"] == [{"modality": "CT"}]


def test_a_frame_that_the_network_refuses_keeps_its_neighbours_scores(arrays) -> None:
    class Picky(FakeScorer):
        def score(self, images):
            if any(image.frame.header.instance_number == 2 for image in images):
                raise NotApplicable(what="mal_ct", reason="too_small")
            return super().score(images)

    assessment = assess(make_series(arrays), [Picky()], SETTINGS)
    assert assessment.predictions[0].frame_scores == (4.0, None, *[4.0] * 7)


def test_a_blank_frame_inside_the_body_is_a_certain_defect(arrays) -> None:
    series = make_series([*arrays[:4], np.full((256, 256), -1000.0), *arrays[4:]])
    assessment = assess(series, [FakeScorer()], SETTINGS)
    assert (assessment.verdict, assessment.reason) == (Verdict.RESCAN, "rescan_certain")
    assert [one.frames for one in assessment.findings if one.message == "blank_frames"] == [(4, 4)]


def test_blank_frames_at_the_ends_are_a_note(arrays) -> None:
    air = np.random.default_rng(0).normal(-1000, 10, (256, 256))
    assessment = assess(make_series([air, *arrays, air, air]), [FakeScorer()], SETTINGS)
    assert assessment.verdict is Verdict.ADEQUATE
    assert [one.values["count"] for one in assessment.findings if one.message == "blank_end_frames"] == [3]


def test_an_mr_series_is_measured_as_one(arrays) -> None:
    rng = np.random.default_rng(2)
    series = make_series([mr_head(rng) for _ in range(4)], modality="MR")
    assessment = assess(series, [FakeScorer(modality="MR")], SETTINGS)
    assert {one.quantity.value for one in assessment.measurements} >= {"mr_snr"}


def test_an_empty_series_is_not_judged() -> None:
    assessment = assess(make_series([]), [], SETTINGS)
    assert (assessment.verdict, assessment.reason) == (None, "not_judged_empty")


def test_provenance_names_the_input_and_not_the_clock(arrays) -> None:
    series = make_series(arrays)
    first = assess(series, [FakeScorer()], SETTINGS, judged_at="2026-01-01T00:00:00+00:00").provenance
    second = assess(make_series([], frames=series.frames[::-1]), [FakeScorer()], SETTINGS).provenance
    assert first.input_digest == second.input_digest
    assert dataclasses.replace(first, judged_at=None) == second
    assert first.bundles == {"mal_ct": "fake"}
    assert assess(make_series(arrays[1:]), [FakeScorer()], SETTINGS).provenance.input_digest != first.input_digest


def test_an_assessment_survives_json(arrays) -> None:
    assessment = assess(make_series(arrays), [FakeScorer(contrast)], SETTINGS)
    assert Assessment.from_json(json.loads(json.dumps(assessment.to_json()))) == assessment


def live(order, scores, blank=()):
    warnings = LiveWarnings(SETTINGS)
    raised = []
    for index in order:
        evidence = FrameEvidence(
            sop_instance_uid=f"1.2.3.{index + 1}",
            number=1,
            sha256="",
            scores={"mal_ct": scores[index]},
            partials={"frame": {"blank": index in blank}},
        )
        raised += warnings.add(make_frame(np.zeros((2, 2)), index=index), evidence)
    return raised


def test_five_neighbours_under_the_cut_raise_one_warning() -> None:
    scores = [3.0] * 5 + [1.0] * 6 + [3.0] * 5
    for order in (range(16), reversed(range(16)), np.random.default_rng(0).permutation(16)):
        assert [one.message for one in live([int(index) for index in order], scores)] == ["low_score_frames"]


def test_four_neighbours_or_five_strewn_frames_raise_none() -> None:
    assert live(range(16), [3.0] * 5 + [1.0] * 4 + [3.0] * 7) == []
    assert live(range(16), [1.0, 3.0] * 8) == []


def test_a_blank_frame_warns_once_it_is_known_to_lie_inside() -> None:
    scores = [3.0] * 9
    assert [one.message for one in live([3, 4, 5], scores, blank={4})] == ["blank_frames"]
    assert [one.message for one in live([5, 4, 3, 2, 1], scores, blank={4, 2})] == ["blank_frames"]
    assert live([0, 1, 2, 3], scores, blank={0}) == []
    assert live([4, 4, 4], scores, blank={4}) == []
