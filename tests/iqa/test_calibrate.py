"""Calibration: two known groups of scores give a known scale and a known curve, and who knows nothing is silent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

from medqa.iqa.calibration import Logistic
from medqa.iqa.mal import bounded
from medqa.training import calibrate, card, steps, votes
from medqa.training.dataset import Sample
from medqa.training.evaluation import Item
from medqa.training.scans import Scan
from medqa.training.stretch import LARGEST_GAIN, SMALLEST_GAIN, Scale, scale_of, stretch, tenths, unbounded
from medqa.training.train import Run, Schedule


def series(score: float, subject: str, level: int = 0) -> Item:
    return Item(
        subject=subject, scan=subject, kind="blur" if level else "", level=level, label=4.0 - level, clean=level == 0, score=score,
        logit=score,
    )  # fmt: skip


def groups(clean: Sequence[float], spoiled: Sequence[float]) -> list[Item]:
    """One clean and one clearly spoiled series a subject."""
    return [
        series(score, f"{number}", level) for level, scores in ((0, clean), (4, spoiled)) for number, score in enumerate(scores)
    ]


def moved(score: float, scale: Scale) -> float:
    return float(bounded(torch.tensor(scale.gain * unbounded(score) + scale.offset)))


def evenly(low: float, high: float) -> list[float]:
    """Eleven scores: a tenth of them lies below the second, a tenth above the last but one."""
    return [float(score) for score in np.linspace(low, high, 11)]


# ---- the scale -------------------------------------------------------------------------------------------------------------


def test_where_the_groups_are_apart_nine_tenths_of_the_clean_reach_three_and_of_the_spoiled_miss_two():
    scale = scale_of(groups(evenly(2.5, 3.5), evenly(0.5, 1.5)))
    assert (scale.clean, scale.spoiled) == pytest.approx((2.6, 1.4))
    assert moved(2.6, scale) == pytest.approx(3.0, abs=1e-3)
    assert moved(1.4, scale) == pytest.approx(2.0, abs=1e-3)
    assert scale.gain == pytest.approx(1 / 1.2, abs=0.1)


def test_where_they_overlap_the_points_change_places_and_what_lies_between_is_silent():
    clean, spoiled = evenly(0.6, 3.6), evenly(0.4, 3.4)
    scale = scale_of(groups(clean, spoiled))
    assert moved(0.9, scale) == pytest.approx(2.0, abs=1e-3)
    assert moved(3.1, scale) == pytest.approx(3.0, abs=1e-3)
    scored = groups([moved(score, scale) for score in clean], [moved(score, scale) for score in spoiled])
    found = votes.shares("mal", scored, Logistic(slope=1, intercept=0))
    assert found["clean"]["against"] <= 2 / 11
    assert found["clearly spoiled"]["for"] <= 2 / 11
    assert found["clearly spoiled"]["silent"] > 0.7


def test_a_subject_counts_once_by_its_own_median():
    items = groups(evenly(2.5, 3.5), evenly(0.5, 1.5))
    more = [series(0.0, "0") for _ in range(50)] + [series(4.0, "0", 4) for _ in range(50)]
    assert tenths([*items, *more]) == pytest.approx(tenths(groups([0.0, *evenly(2.5, 3.5)[1:]], [4.0, *evenly(0.5, 1.5)[1:]])))


@pytest.mark.parametrize("stretched", [1.0, 4.0])
def test_where_both_points_coincide_the_limit_rules_and_their_middle_lands_in_the_middle(stretched: float):
    scale = scale_of(groups([2.0] * 5, [2.0] * 5), stretched=stretched)
    assert scale.gain == LARGEST_GAIN / stretched
    assert moved(2.0, scale) == pytest.approx(2.5, abs=0.02)
    far = scale_of(groups([4.0] * 5, [0.0] * 5), stretched=stretched)
    assert far.gain >= SMALLEST_GAIN / stretched


@pytest.mark.parametrize("kind", ["mal", "densenet"])
def test_a_stretched_network_scores_as_the_scale_says(tmp_path: Path, kind: str):
    network = Run(kind, "MR", tmp_path, Schedule()).average
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(9, 1, 256, 256, generator=generator) * torch.linspace(0.1, 2, 9)[:, None, None, None]

    def scores() -> list[float]:
        with torch.no_grad():
            answer = network(frames)[0] if kind == "mal" else network(frames[:, None])[1]
        return [float(score) for score in answer]

    before = scores()
    order = np.argsort(before)
    ranked = [before[index] for index in order]
    scale = stretch(network, groups(ranked[4:], ranked[:4]), stretched=0.01)
    after = scores()
    assert np.array_equal(np.argsort(after), order)
    assert after == pytest.approx([moved(score, scale) for score in before], abs=2e-3)


# ---- the probability -------------------------------------------------------------------------------------------------------


def normal(mean: float, count: int) -> list[float]:
    """`count` values that are spread as a normal distribution of standard deviation 1."""
    return [float(value) for value in norm.ppf((np.arange(count) + 0.5) / count, mean)]


def test_the_curve_is_that_of_the_declared_share_whatever_share_was_simulated():
    # Two normal distributions of one width: the log odds are the difference of means times the distance from the middle, plus
    # the log odds of the declared share.
    prior = np.log((1 - calibrate.PREVALENCE) / calibrate.PREVALENCE)
    for bad in (300, 3000):
        curve = calibrate.fit(groups(normal(1.0, 1000), normal(-1.0, bad)))
        assert curve.slope == pytest.approx(2.0, abs=0.1)
        assert curve.intercept == pytest.approx(prior, abs=0.1)


def test_who_knows_nothing_repeats_the_declared_share_and_is_then_made_silent():
    ignorant = groups(normal(0.0, 400), normal(0.0, 400))
    fitted = calibrate.fit(ignorant)
    assert fitted.probability(0.0) == pytest.approx(1 - calibrate.PREVALENCE, abs=0.01)
    found = votes.shares("densenet", ignorant, calibrate.no_surer_than_shown(fitted, ignorant))
    for group in found.values():
        assert group["silent"] >= 0.8
        assert group["against"] <= 0.11
        assert group["for"] <= 0.11


def test_a_curve_that_validation_subjects_bear_out_stays_and_none_becomes_steeper():
    apart = groups(normal(3.0, 200), normal(-3.0, 200))
    fitted = calibrate.fit(apart)
    assert calibrate.no_surer_than_shown(fitted, apart) == fitted
    for distance in (0.2, 0.6, 1.0):
        near = groups(normal(distance, 200), normal(-distance, 200))
        fitted = calibrate.fit(near)
        flat = calibrate.no_surer_than_shown(fitted, near)
        assert 0 < flat.slope <= fitted.slope
        found = votes.shares("densenet", near, flat)
        assert found["clean"]["against"] <= 0.11
        assert found["clearly spoiled"]["for"] <= 0.11


def test_a_network_that_is_wrong_way_round_is_silent_too():
    reversed_ = groups(normal(-1.0, 200), normal(1.0, 200))
    found = votes.shares("densenet", reversed_, calibrate.no_surer_than_shown(calibrate.fit(reversed_), reversed_))
    assert found["clearly spoiled"]["for"] <= 0.11
    assert found["clean"]["against"] <= 0.11


# ---- both, on a network ----------------------------------------------------------------------------------------------------


def samples() -> list[Sample]:
    """Two subjects, as they were and under one strong degradation: brighter frames of noise stand for spoiled ones."""
    generator = np.random.default_rng(0)
    made = []
    for subject in "ab":
        scan = Scan(
            path=Path(subject), subject=subject, modality="MR", region="", collection="", licence="", split="train",
            weights_ok=True, spoiled="no", remarks="",
        )  # fmt: skip
        for kind, level in (("", 0), ("noise", 4)):
            array = (generator.random((1, 128, 128)) * (1 + level)).astype(np.float16)
            made.append(Sample(scan=scan, frame=0, kind=kind, level=level, label=4.0 - level, severity=level / 4, array=array))
    return made


def test_calibrating_twice_changes_nothing_the_second_time(tmp_path: Path):
    network = Run("mal", "MR", tmp_path, Schedule()).average
    first = calibrate.calibrate(network, samples())
    facts = first.facts("mal", 1.0)
    assert first.curve == calibrate.fit(first.items), "no cut lies on the probability of MAL: it stays as fitted"
    assert facts["prevalence"] == calibrate.PREVALENCE
    assert facts["validation"]["clean"]["subjects"] == 2
    second = calibrate.calibrate(network, samples(), stretched=facts["stretch"])
    assert second.scale.gain == pytest.approx(1.0, abs=0.02)
    assert second.asked == first.items
    assert second.facts("mal", facts["stretch"])["validation"] == facts["validation"]


# ---- what is told of it ----------------------------------------------------------------------------------------------------


def test_votes_follow_the_cuts_of_the_default_policy():
    assert votes.vote("mal", 1.9, 0.9) == "against"
    assert votes.vote("mal", 2.0, 0.1) == "silent"
    assert votes.vote("mal", 3.0, 0.1) == "for"
    assert votes.vote("densenet", 1.9, 0.8) == "for"
    assert votes.vote("densenet", 1.9, 0.6) == "silent"
    assert votes.vote("densenet", 3.9, 0.4) == "against"


def test_shares_count_series_and_a_network_that_takes_no_side_is_called_mute():
    curve = Logistic(slope=1, intercept=0)
    found = votes.shares("mal", groups([3.5, 3.5, 2.5, 1.5], [1.0, 2.5]), curve)
    assert [found["clean"][stand] for stand in votes.STANDS] == [0.25, 0.25, 0.5]
    assert [found["clearly spoiled"][stand] for stand in votes.STANDS] == [0.5, 0.5, 0]
    assert votes.table(found)[2:] == ["| clean | 25 % | 25 % | 50 % | 4 | 4 |", "| clearly spoiled | 50 % | 50 % | 0 % | 2 | 2 |"]
    assert not votes.mute(found)
    silent = votes.shares("mal", groups([2.5, 2.9], [2.0]), curve)
    assert votes.mute(silent)
    facts = {
        "validation": silent, "stretch": 8.0, "prevalence": 0.2, "clean_tenth": 2.0, "spoiled_tenth": 3.0, "flattened": True,
    }  # fmt: skip
    assert "**Mute**" in card._calibration(facts)
    assert "**Mute**" not in card._calibration({**facts, "validation": found})


def test_a_section_is_added_once_then_replaced_and_the_rest_stays():
    page = "# a\n\n## First\n\none\n\n## Last\n\nend\n"
    added = card.with_section(page, "## New", "told")
    assert added == f"{page}\n## New\n\ntold\n"
    assert card.section(page, "## New") is None
    assert card.section(added, "## New") == "told"
    assert card.with_section(added, "## New", "again") == f"{page}\n## New\n\nagain\n"
    assert card.with_section(page, "## First", "two") == "# a\n\n## First\n\ntwo\n\n## Last\n\nend\n"


def test_a_card_that_is_written_anew_keeps_what_make_verdicts_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(card, "model_card", lambda *_: "# mal_ct\n\nnew figures\n")
    place = steps.Place(data=tmp_path, runs=tmp_path, models=tmp_path)
    page = place.bundle("mal", "CT") / "docs/README.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"# mal_ct\n\nold figures\n\n{card.WHOLE_VERDICT}\n\ntold\n", encoding="utf-8")
    steps.write_card(place, "mal", "CT")
    assert page.read_text(encoding="utf-8") == f"# mal_ct\n\nnew figures\n\n{card.WHOLE_VERDICT}\n\ntold\n"
