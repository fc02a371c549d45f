from __future__ import annotations

import numpy as np
import pytest
import torch

from medqa.assessment import FrameEvidence
from medqa.codes import Unit
from medqa.errors import NotApplicable, UndecodablePixels
from medqa.iqa.bundle import open_bundle
from medqa.iqa.card import read_card
from medqa.iqa.network import rebuild
from medqa.iqa.scorer import BAG_SIZE, spread
from medqa.iqa.transforms import densenet_input, mal_input


@pytest.fixture(scope="module")
def mal(untrained):
    return open_bundle(read_card(untrained / "mal_ct"))


@pytest.fixture(scope="module")
def densenet(untrained):
    return open_bundle(read_card(untrained / "densenet_mr"))


def evidence_of(series, scorer, *, errors=()):
    items = []
    for index, frame in enumerate(series.frames):
        scores = {} if index in errors or scorer.kind != "mal" else {scorer.name: scorer.score([frame.read()])[0].score}
        kept = {name: score for name, score in scores.items() if score is not None}
        error = "MQ202: not decoded" if index in errors else None
        items.append(
            FrameEvidence(sop_instance_uid=frame.sop_instance_uid, number=1, sha256=frame.sha256, scores=kept, error=error)
        )
    return items


def test_a_frame_scores_the_same_in_any_company_and_as_torch_does(mal, image, untrained):
    rng = np.random.default_rng(0)
    images = [
        image(rng.normal(0, 200, shape), uid=f"1.{i}") for i, shape in enumerate([(512, 512), (30, 41), (555, 333), (128, 128)])
    ]
    together = mal.score(images)
    assert together == [mal.score([one])[0] for one in images]
    assert together == mal.score(images[::-1])[::-1]
    network = rebuild(read_card(untrained / "mal_ct"))
    for one, answer in zip(images, together, strict=True):
        with torch.no_grad():
            expected = float(network(torch.from_numpy(mal_input(one).array[None]))[0])
        assert answer.score == pytest.approx(expected, abs=2e-4)


def test_the_factor_and_scale_are_kept_as_evidence(mal, image):
    one = mal.score([image(np.zeros((1024, 600)))])[0]
    assert (one.scale, one.factor) == (None, 0.5)


def test_a_frame_too_small_has_no_score_and_its_neighbours_have(mal, image):
    scores = mal.score([image(np.zeros((1, 1))), image(np.zeros((64, 64)))])
    assert scores[0].score is None
    assert scores[1].score is not None


def test_the_series_score_is_the_lower_quartile_and_the_worst_frames_are_named(mal, series):
    frames = series([np.zeros((16, 16))] * 9, "CT")
    scores = [4.0, 3.5, 1.0, 3.9, None, 2.0, 3.8, 3.7, 3.6]
    evidence = [
        FrameEvidence(sop_instance_uid="1", number=1, sha256="", scores={} if score is None else {"mal_ct": score, "other": 0.0})
        for score in scores
    ]
    prediction = mal.conclude(frames, evidence)
    present = [score for score in scores if score is not None]
    assert prediction.score == pytest.approx(np.quantile(present, 0.25), abs=1e-4)
    assert prediction.frame_scores == tuple(scores)
    assert prediction.worst_frames == (2, 5, 1, 8, 7)
    assert prediction.adequate == pytest.approx(1 / (1 + np.exp(-(2 * prediction.score - 4))), abs=1e-4)
    assert not prediction.certified
    assert prediction.labels is None
    assert prediction.model == "mal_ct"


def test_a_few_bad_frames_do_not_sink_a_series_but_a_third_does(mal, series):
    frames = series([np.zeros((16, 16))] * 40, "CT")

    def score(bad: int) -> float:
        items = [
            FrameEvidence(sop_instance_uid="1", number=1, sha256="", scores={"mal_ct": 0.5 if i < bad else 3.8}) for i in range(40)
        ]
        return mal.conclude(frames, items).score

    assert score(4) == pytest.approx(3.8)
    assert score(14) < 2


def test_a_series_without_one_score_is_not_judged(mal, densenet, series):
    nothing = [FrameEvidence(sop_instance_uid="1", number=1, sha256="", error="MQ202")]
    with pytest.raises(NotApplicable) as caught:
        mal.conclude(series([np.zeros((16, 16))], "CT"), nothing)
    assert caught.value.values["reason"] == "too_few_frames"
    with pytest.raises(NotApplicable):
        densenet.conclude(series([np.zeros((16, 16))], "MR"), nothing)


def test_the_bag_is_what_torch_says_of_the_same_frames(densenet, series, untrained):
    rng = np.random.default_rng(1)
    whole = series([rng.gamma(2, 50, (90, 120)) for _ in range(5)], "MR")
    prediction = densenet.conclude(whole, evidence_of(whole, densenet))
    network = rebuild(read_card(untrained / "densenet_mr"))
    bag = np.stack([densenet_input(frame.read()).array for frame in whole.frames])
    with torch.no_grad():
        logit, score, _ = network(torch.from_numpy(bag[None]))
    assert prediction.score == pytest.approx(float(score), abs=2e-4)
    assert prediction.adequate == pytest.approx(float(torch.sigmoid(logit)), abs=2e-4)
    assert prediction.frame_scores == ()


def test_the_bag_steps_over_what_cannot_be_read_or_is_too_small(densenet, series):
    rng = np.random.default_rng(2)
    good = [rng.gamma(2, 50, (64, 64)) for _ in range(3)]
    broken = UndecodablePixels(source="a frame", reason="truncated")
    plain = series(good, "MR")
    holed = series([good[0], broken, good[1], np.zeros((8, 8)), good[2]], "MR")
    expected = densenet.conclude(plain, evidence_of(plain, densenet))
    assert densenet.conclude(holed, evidence_of(holed, densenet)) == expected
    assert densenet.conclude(holed, evidence_of(holed, densenet, errors=(1, 3))) == expected


def test_the_densenet_has_nothing_to_say_about_one_frame(densenet, image):
    assert densenet.score([image(np.zeros((64, 64)), "MR", unit=Unit.ARBITRARY)])[0].score is None


@pytest.mark.parametrize("length", [1, 2, 23, 24, 25, 47, 48, 100, 2000])
def test_a_bag_is_spread_evenly_and_holds_both_ends(length):
    chosen = spread(range(length), BAG_SIZE)
    assert len(chosen) == min(length, BAG_SIZE)
    assert (chosen[0], chosen[-1]) == (0, length - 1)
    steps = np.diff(chosen)
    assert not len(steps) or (steps.min() >= 1 and steps.max() - steps.min() <= 1)
