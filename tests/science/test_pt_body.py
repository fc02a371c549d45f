"""The body in a PET frame is found beside a bladder of SUV 60, with SUV and without, and in a crop that shows no air."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.metrics import pt_body, pt_body_cov
from medqa.regions import Regions
from tests.science.pt_factories import FACTOR, PIXEL, SIZE, grain, measured, series_of

Y, X = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
TRUTH = (X / 170) ** 2 + (Y / 110) ** 2 < 1


def pelvis(bladder: float, seed: int = 0, cov: float = 0.12) -> np.ndarray:
    """Return fat (0.3) around muscle (0.7) and a bladder, blurred and noisy, with the air that scanners make."""
    rng = np.random.default_rng(seed)
    suv = np.where(TRUTH, 0.3, 0.0)
    suv[(X / 150) ** 2 + (Y / 92) ** 2 < 1] = 0.7
    suv += bladder * np.exp(-(X**2 + (Y + 20) ** 2) / (2 * 18**2))
    air = np.abs(rng.normal(0.01, 0.01, suv.shape)) * ~TRUTH
    return np.maximum(suv * (1 + cov * grain(rng, suv.shape, 6.0)), 0) + air


@pytest.mark.parametrize("factor", [FACTOR, None])
@pytest.mark.parametrize("bladder", [0.0, 10.0, 60.0])
def test_the_body_is_found_beside_a_hot_bladder(bladder: float, factor: float | None) -> None:
    (frame,) = series_of([pelvis(bladder)], factor=factor).frames
    regions = Regions(frame.read())
    found = pt_body.body(regions)
    assert (found & TRUTH).sum() / (found | TRUTH).sum() > 0.9
    # What only hangs on the hottest pixels is lost: this test can fail.
    assert bladder < 60 or regions.full(regions.body).sum() < 0.2 * TRUTH.sum()


def test_a_crop_without_air_is_all_body() -> None:
    crop = pelvis(10.0)[36:60, 32:64]
    for factor in (FACTOR, None):
        (frame,) = series_of([crop], factor=factor).frames
        assert pt_body.body(Regions(frame.read())).mean() > 0.98


def test_nothing_has_no_body() -> None:
    for array in (np.zeros((64, 64)), np.full((64, 64), np.nan)):
        for factor in (FACTOR, None):
            (frame,) = series_of([array], factor=factor).frames
            assert not pt_body.body(Regions(frame.read())).any()


def test_a_hot_bladder_moves_the_noise_of_the_body_little() -> None:
    cold, hot = (
        measured(pt_body_cov.METRIC, series_of([pelvis(bladder, seed) for seed in range(6)])).value for bladder in (0.0, 60.0)
    )
    # Windows this small know a part of coarse noise only, and the quantile is a low one.
    assert cold == pytest.approx(12, rel=0.15)
    assert hot == pytest.approx(cold, rel=0.25)


def test_the_slope_beside_a_hot_organ_is_no_noise_and_blur_takes_noise_only_away() -> None:
    from scipy import ndimage

    crops = [pelvis(20.0, seed)[30:66, 30:66] for seed in range(8)]
    values = [
        measured(pt_body_cov.METRIC, series_of([ndimage.gaussian_filter(crop, width / 2.355 / PIXEL) for crop in crops])).value
        for width in (0, 6, 9, 13, 19)
    ]
    assert np.all(np.diff(values) < 0)
