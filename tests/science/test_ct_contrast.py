"""Levels of fat and soft tissue, and what stands over the noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.findings import FINDINGS
from medqa.metrics import ct_contrast, ct_snr, ct_tissue
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_series

METRICS = (ct_snr.METRIC, ct_contrast.METRIC)


def trunk(seed: int = 0, noise: float = 10.0, soft: float = 45.0, fat: float = -100.0, rim: float = 0.2) -> np.ndarray:
    """Return an ellipse of soft tissue with a rim of fat, a lung and a bone, in air, with white noise."""
    y, x = np.mgrid[:320, :320] / 160 - 1
    radius = np.hypot(x / 0.85, y / 0.65)
    image = np.where(radius < 1, fat, -1000.0)
    image[radius < 1 - rim] = soft
    image[np.hypot(x + 0.3, y) < 0.2] = -850
    image[np.hypot(x, y - 0.3) < 0.1] = 600
    return image + np.random.default_rng(seed).normal(0, noise, image.shape)


def partials(series, metric):
    return [metric.per_frame(Regions(frame.read())) for frame in series.frames]


def measured(arrays, metrics=METRICS) -> dict[str, float]:
    series = make_series(arrays)
    return {one.quantity.value: one.value for metric in metrics for one in metric.measure(series, partials(series, metric))}


def findings(arrays):
    series = make_series(arrays)
    return ct_contrast.find(series, partials(series, ct_contrast.METRIC))


@pytest.mark.parametrize("noise", [4.0, 12.0, 30.0])
def test_levels_and_ratios_are_what_was_put_in(noise: float) -> None:
    found = measured([trunk(seed, noise) for seed in range(3)])
    assert found["ct_soft_tissue"] == pytest.approx(45, abs=2)
    assert found["ct_fat"] == pytest.approx(-100, abs=2)
    assert found["ct_snr"] == pytest.approx(1045 / noise, rel=0.06)
    assert found["ct_cnr"] == pytest.approx(145 / noise, rel=0.06)


def test_twice_the_noise_is_half_the_ratio() -> None:
    quiet, loud = measured([trunk(1, 8.0)]), measured([trunk(1, 16.0)])
    for name in ("ct_snr", "ct_cnr"):
        assert loud[name] == pytest.approx(quiet[name] / 2, rel=0.05)


@settings(max_examples=10, deadline=None)
@given(offset=st.floats(-25, 25))
def test_a_displaced_scale_moves_the_levels_and_leaves_the_contrast(offset: float) -> None:
    plain, moved = measured([trunk(2)]), measured([trunk(2) + offset])
    for name in ("ct_fat", "ct_soft_tissue"):
        assert moved[name] == pytest.approx(plain[name] + offset, abs=2.5)
    assert moved["ct_cnr"] == pytest.approx(plain["ct_cnr"], rel=0.03)


@pytest.mark.parametrize(("soft", "fat"), [(20.0, -120.0), (110.0, -80.0)])
def test_contrast_medium_and_brown_or_bloody_fat(soft: float, fat: float) -> None:
    found = measured([trunk(3, soft=soft, fat=fat)])
    assert (found["ct_soft_tissue"], found["ct_fat"]) == (pytest.approx(soft, abs=2), pytest.approx(fat, abs=2))


def two_organs(share: float, noise: float, seed: int = 8) -> np.ndarray:
    """Return a trunk whose soft tissue is an organ of 80 HU on the left, up to a share of the width, and one of 40 HU elsewhere."""
    image = trunk(seed, 0.0)
    columns = np.arange(320)[None, :] < 320 * share
    return np.where((image == 45.0) & columns, 80.0, np.where(image == 45.0, 40.0, image)) + np.random.default_rng(seed).normal(
        0, noise, image.shape
    )


def test_the_level_of_soft_tissue_does_not_follow_the_noise() -> None:
    for share in (0.4, 0.6):
        quiet, loud = (measured([two_organs(share, noise)])["ct_soft_tissue"] for noise in (3.0, 50.0))
        assert loud == pytest.approx(quiet, abs=2.5)


@pytest.mark.parametrize("depth", [10.0, 20.0, 40.0, 60.0])
def test_a_cup_lowers_the_level_by_what_it_takes_from_half_of_the_tissue(depth: float) -> None:
    y, x = np.mgrid[:320, :320] / 160 - 1
    radius = np.minimum(np.hypot(x / 0.85, y / 0.65) / 0.8, 1.0)
    inside = np.hypot(x / 0.85, y / 0.65) < 0.8
    plain = np.where(inside, 50.0, -1000.0) + np.random.default_rng(9).normal(0, 8, (320, 320))
    cupped = plain - depth * (1 - radius**2) * inside
    fallen = measured([plain], METRICS[:1])["ct_soft_tissue"] - measured([cupped], METRICS[:1])["ct_soft_tissue"]
    # The rim does not count: half of what does lies within 0.6 of the radius.
    assert fallen == pytest.approx(0.62 * depth, rel=0.1)


def test_fat_that_is_smoothed_keeps_its_level() -> None:
    from scipy import ndimage

    image = trunk(10, 25.0)
    smooth = ndimage.gaussian_filter(image, 2.0)
    assert measured([smooth])["ct_fat"] == pytest.approx(measured([image])["ct_fat"], abs=2.5)


@pytest.mark.parametrize("shift", [-2.4, -1.0, 0.0, 1.7, 2.4])
def test_the_level_of_fat_does_not_jump_from_bin_to_bin(shift: float) -> None:
    plain, moved = measured([trunk(11, fat=-100.0)])["ct_fat"], measured([trunk(11, fat=-100.0 + shift)])["ct_fat"]
    assert moved - plain == pytest.approx(shift, abs=0.5)


@pytest.mark.parametrize(("fat", "told"), [(-100.0, False), (-75.0, False), (-125.0, False), (-50.0, True), (-160.0, True)])
def test_fat_that_does_not_read_as_fat_is_a_note(fat: float, told: bool) -> None:
    found = findings([trunk(4, fat=fat)])
    assert [one.message for one in found] == (["ct_fat_implausible"] if told else [])
    assert FINDINGS["ct_fat_implausible"].significance.value == "note"
    if told:
        assert found[0].values["value"] == pytest.approx(fat, abs=2)


@pytest.mark.parametrize("rim", [0.0, 0.02])
def test_too_little_fat_is_said_and_not_guessed(rim: float) -> None:
    images = [trunk(5, rim=rim)]
    with pytest.raises(NotApplicable) as caught:
        measured(images, [ct_contrast.METRIC])
    assert caught.value.values["reason"] == "no_fat"
    assert findings(images) == []
    assert measured(images, [ct_snr.METRIC])["ct_soft_tissue"] == pytest.approx(45, abs=2)


def test_noise_that_hides_fat_in_tissue_has_no_fat() -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([trunk(6, noise=10.0, soft=0.0, fat=-35.0)], [ct_contrast.METRIC])
    assert caught.value.values["reason"] == "no_fat"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "array",
    [
        np.full((128, 128), 40.0),
        np.full((128, 128), np.nan),
        np.zeros((5, 5)),
        np.full((128, 128), -1000.0),
        np.full((3, 400), 40.0),
    ],
)
def test_bad_input_is_refused_with_a_reason(metric, array) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([array], [metric])
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_a_frame_s_contribution_is_small() -> None:
    (partial,) = partials(make_series([trunk(7, noise=60.0)]), ct_snr.METRIC)
    assert max(len(partial["counts"]), len(partial["every"]["counts"])) <= ct_tissue.BINS == 100


def test_fat_of_real_trunks_reads_as_fat(data, real_series) -> None:
    for name in ("tcga_17_z062.zip", "pancreas_0001.zip", "tcga_34_5236.zip", "totalseg_mct.zip", "acrin_001.zip"):
        (series,) = read(data / "ct" / name).series
        real_series.append(name)
        made = partials(series, ct_contrast.METRIC)
        values = {one.quantity.value: one.value for one in ct_contrast.METRIC.measure(series, made)}
        assert -115 < values["ct_fat"] < -75, name
        assert ct_contrast.find(series, made) == []


def test_a_brain_has_no_fat_to_speak_of(data, real_series) -> None:
    (series,) = read(data / "ct" / "qure_cq500_310.zip").series
    real_series.append("qure_cq500_310.zip")
    with pytest.raises(NotApplicable):
        ct_contrast.METRIC.measure(series, partials(series, ct_contrast.METRIC))
    snr, level = ct_snr.METRIC.measure(series, partials(series, ct_snr.METRIC))
    assert 20 < level.value < 40
    assert snr.value > 200
