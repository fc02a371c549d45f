"""CT metrics against images whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.errors import NotApplicable
from medqa.metrics import ct_noise
from medqa.metrics.windows import window_statistics
from medqa.regions import Regions
from tests.science.factories import ct_body, make_image, make_series


def measure(metric, arrays, **values):
    series = make_series(arrays, **values)
    return metric.combine(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames])


@pytest.mark.parametrize("noise", [3.0, 10.0, 30.0, 90.0])
def test_noise_is_what_was_put_in(noise: float) -> None:
    rng = np.random.default_rng(1)
    measured = measure(ct_noise.METRIC, [ct_body(rng, noise) for _ in range(3)])
    assert measured.value == pytest.approx(noise, rel=0.06)
    assert measured.unit.value == "[hnsf'U]"


def test_edges_and_texture_of_organs_do_not_move_the_mode() -> None:
    rng = np.random.default_rng(1)
    plain = [ct_body(rng, 10.0) for _ in range(3)]
    organs = 40.0 * (ndimage.gaussian_filter(rng.normal(size=(256, 256)), 14) > 0)
    with_organs = [image + np.where(image > -500, organs, 0) for image in plain]
    assert measure(ct_noise.METRIC, with_organs).value == pytest.approx(measure(ct_noise.METRIC, plain).value, rel=0.1)


def test_correlated_noise_is_measured_by_its_deviation() -> None:
    rng = np.random.default_rng(4)
    clean = ct_body(rng, 0.0)
    grain = ndimage.gaussian_filter(rng.normal(size=clean.shape), 0.8)
    measured = measure(ct_noise.METRIC, [clean + (20 * grain / grain.std()).astype(np.float32)])
    assert measured.value == pytest.approx(20, rel=0.1)


def test_without_soft_tissue_there_is_no_noise_level() -> None:
    with pytest.raises(NotApplicable) as caught:
        measure(ct_noise.METRIC, [np.full((128, 128), -1000.0)])
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_windows_agree_with_a_plain_loop() -> None:
    array = np.random.default_rng(0).normal(50, 9, (40, 33)).astype(np.float32)
    mean, deviation, pixels = window_statistics(array, 4, 3)
    assert pixels == 48
    assert mean.shape == (9, 10)
    for row, column in [(0, 0), (3, 7), (8, 9)]:
        window = array[row * 4 : row * 4 + 8, column * 3 : column * 3 + 6].astype(np.float64)
        assert mean[row, column] == pytest.approx(window.mean(), rel=1e-5)
        assert deviation[row, column] == pytest.approx(window.std(ddof=1), rel=1e-4)


def test_windows_with_missing_values_are_left_out() -> None:
    array = np.full((32, 32), 50, dtype=np.float32)
    array[0, 0] = np.nan
    mean, _, _ = window_statistics(array, 4, 4)
    assert np.isnan(mean[0, 0])
    assert np.isfinite(mean).sum() == mean.size - 1


def test_tiny_frames_say_nothing() -> None:
    assert ct_noise.per_frame(Regions(make_image(np.zeros((1, 1))))) is None
