"""Entropy of the gradient: 1 where gradients are the same everywhere, less the fewer places they are in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_gradient_entropy
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head


def measured(arrays, **values) -> float:
    series = make_series(arrays, modality="MR", **values)
    partials = [mr_gradient_entropy.per_frame(Regions(frame.read())) for frame in series.frames]
    return mr_gradient_entropy.combine(series, partials).value


def test_a_ramp_has_the_same_gradient_everywhere() -> None:
    ramp = np.linspace(0, 1000, 128)[:, None] + np.linspace(0, 500, 128)[None, :]
    assert measured([ramp]) == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("size", [64, 128])
def test_one_straight_edge_has_the_entropy_of_its_pixels(size: int) -> None:
    step = np.zeros((size, size))
    step[:, size // 2 :] = 500
    # Along the edge all the same; across it a Gaussian, of the smoothing and of the difference over two pixels.
    across = math.log(2 * math.pi * math.e * (mr_gradient_entropy.SMOOTHING**2 + 1 / 4)) / 2
    assert measured([step]) == pytest.approx((math.log(size) + across) / math.log(size**2), abs=1e-3)


def test_it_is_the_formula_of_the_paper_over_the_smoothed_image() -> None:
    from scipy import ndimage

    image = mr_head(np.random.default_rng(1), 600, 20, size=64).astype(np.float64)
    steep = np.hypot(*np.gradient(ndimage.gaussian_filter(image, mr_gradient_entropy.SMOOTHING), 0.75, 0.75)).ravel()
    share = steep[steep > 0] / steep.sum()
    assert measured([image]) == pytest.approx(-(share * np.log(share)).sum() / np.log(image.size), rel=1e-5)


def test_white_noise_ends_where_the_gradient_is_a_rayleigh_variable() -> None:
    noise = np.random.default_rng(1).normal(1000, 20, (256, 256))
    # Expectation over a million Rayleigh variables: - sum h ln h = ln n - (E[r ln r] / E[r] - ln E[r]).
    rayleigh = np.random.default_rng(2).rayleigh(1, 10**6)
    expected = 1 - float((rayleigh * np.log(rayleigh)).mean() / rayleigh.mean() - np.log(rayleigh.mean())) / math.log(256**2)
    assert measured([noise]) == pytest.approx(expected, abs=0.005)


def test_noise_that_a_faint_movement_takes_away_counts_less() -> None:
    # The mean of two poses a pixel apart takes the finest noise away, which is no focus.
    noisy = mr_head(np.random.default_rng(1), 600, 40)
    smeared = (noisy + np.roll(noisy, 1, axis=0)) / 2
    lost = measured([noisy]) - measured([smeared])
    raw = [np.hypot(*np.gradient(image.astype(np.float64))).ravel() for image in (noisy, smeared)]
    plain = [-float((one / one.sum() * np.log(np.maximum(one / one.sum(), 1e-300))).sum()) / math.log(noisy.size) for one in raw]
    assert lost < 0.8 * (plain[0] - plain[1])


def test_noise_and_ghosts_raise_it() -> None:
    noisy = [measured([mr_head(np.random.default_rng(1), 600, noise)]) for noise in (1, 5, 20, 80)]
    assert (np.diff(noisy) > 0).all()
    plain = mr_head(np.random.default_rng(1), 600, 1)
    ghosted = [measured([plain + share * np.roll(plain, 128, axis=0)]) for share in (0, 0.05, 0.1, 0.2)]
    assert (np.diff(ghosted) > 0).all()


def test_of_several_frames_it_is_the_mean() -> None:
    heads = [mr_head(np.random.default_rng(seed), 600, noise) for seed, noise in enumerate((2, 10, 60, 60))]
    assert measured(heads) == pytest.approx(np.mean([measured([head]) for head in heads]), rel=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 3), st.floats(0.2, 4.0))
def test_units_turns_and_pixels_change_nothing(gain: float, turns: int, pixel_mm: float) -> None:
    image = mr_head(np.random.default_rng(1), 600, 10, size=128)
    changed = np.ascontiguousarray(np.rot90(image * np.float32(gain), turns))
    assert measured([changed], spacing_mm=(pixel_mm, pixel_mm)) == pytest.approx(measured([image]), abs=1e-4)


@pytest.mark.parametrize(
    "array", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 7.0), np.ones((1, 1)), np.eye(8)]
)
def test_where_nothing_changes_there_is_no_value(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([array])
    assert caught.value.values["reason"] == "no_body"
