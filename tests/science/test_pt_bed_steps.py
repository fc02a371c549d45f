"""Steps of noise from bed to bed: the ratio that was put in, whatever the activity does."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.metrics import pt_bed_steps
from medqa.metrics.pt_windows import windows
from medqa.regions import Regions
from tests.science.pt_factories import grain, measured, partials_of, refusal, series_of

SIZE, PIXEL, STEP, SLICES = 80, 5.0, 5.0, 90
Y, X = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
BED = 30
"""Slices of a bed."""


def scan(cov: np.ndarray, *, activity: np.ndarray | float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """Return an ellipse of activity with noise of a share `cov` in each slice."""
    rng = np.random.default_rng(seed)
    body = (X / 170) ** 2 + (Y / 110) ** 2 < 1
    levels = np.broadcast_to(activity, cov.shape)
    noise = grain(rng, (cov.size, SIZE, SIZE), 7.0, PIXEL)
    return [np.maximum(level * body * (1 + share * one), 0) for level, share, one in zip(levels, cov, noise, strict=True)]


def step(volume: list[np.ndarray], **values: float) -> float:
    return measured(pt_bed_steps.METRIC, series_of(volume, pixel_mm=PIXEL, step_mm=STEP, **values)).value


def beds(*levels: float) -> np.ndarray:
    return np.repeat(levels, BED)


def test_even_noise_has_no_step() -> None:
    assert 1.0 <= step(scan(beds(0.1, 0.1, 0.1))) < 1.06


@pytest.mark.parametrize("ratio", [1.2, 1.414, 2.0, 3.0])
@pytest.mark.parametrize("up", [True, False])
def test_the_step_is_what_was_put_in(ratio: float, up: bool) -> None:
    level = 0.08 * ratio if up else 0.08 / ratio
    assert step(scan(beds(0.08, level, level))) == pytest.approx(ratio, rel=0.06)


def test_one_short_bed_is_found_and_told() -> None:
    series = series_of(scan(beds(0.08, 0.2, 0.08)), pixel_mm=PIXEL, step_mm=STEP)
    (told,) = pt_bed_steps.METRIC.find(series, partials_of(pt_bed_steps, series))
    assert told.values["factor"] == pytest.approx(2.5, rel=0.06)
    assert min(abs(told.frames[0] - BED), abs(told.frames[0] - 2 * BED)) <= 3
    even = series_of(scan(beds(0.08, 0.09, 0.08)), pixel_mm=PIXEL, step_mm=STEP)
    assert pt_bed_steps.METRIC.find(even, partials_of(pt_bed_steps, even)) == []


def test_a_smoothed_image_has_few_steps_of_anatomy() -> None:
    """Organs in a third of the slices, and 13 mm of smoothing on top: their slopes drop out of four neighbours, not out of two."""
    from scipy import ndimage

    organs = np.where(np.hypot(X + 60, Y) < 55, 2.5, np.where(np.hypot(X - 70, Y + 10) < 35, 4.0, 1.0))
    volume = scan(np.full(SLICES, 0.12))
    shown = [one * (organs if BED <= index < 2 * BED else 1) for index, one in enumerate(volume)]
    smooth = [ndimage.gaussian_filter(one, 13 / 2.355 / PIXEL) for one in shown]
    series = series_of(smooth, pixel_mm=PIXEL, step_mm=STEP)
    two = [windows(Regions(frame.read())) for frame in series.frames[25:35]]
    neighbours = [float(np.median(np.sqrt((one.across + one.down) / 2) / one.mean)) for one in two]
    four = step(smooth)
    assert four < 0.6 * np.median(neighbours[5:]) / np.median(neighbours[:5])


def test_activity_and_scale_do_not_matter() -> None:
    cov = beds(0.08, 0.16, 0.16)
    jumps = np.repeat([1.0, 3.0, 0.5], BED)
    assert step(scan(cov, activity=jumps)) == pytest.approx(step(scan(cov)), rel=0.02)
    assert step(scan(cov), scale=7.0) == pytest.approx(step(scan(cov)), rel=0.01)


def test_twice_the_noise_everywhere_changes_nothing() -> None:
    assert step(scan(beds(0.06, 0.09, 0.09) * 2)) == pytest.approx(step(scan(beds(0.06, 0.09, 0.09))), rel=0.03)


def test_peaks_where_beds_meet_are_no_steps() -> None:
    """Twice as much noise over 20 mm at every seam, as real scans have."""
    cov = np.full(SLICES, 0.08)
    for seam in (BED, 2 * BED):
        cov[seam - 2 : seam + 2] *= 2
    assert step(scan(cov)) < 1.1


def test_pixels_and_slices_of_another_size_give_the_same() -> None:
    cov = beds(0.08, 0.16, 0.16)
    series = series_of(scan(cov), pixel_mm=3.0, step_mm=3.0)
    assert measured(pt_bed_steps.METRIC, series).value == pytest.approx(2, rel=0.06)


def test_bad_input_has_no_value() -> None:
    metric = pt_bed_steps.METRIC
    assert refusal(metric, series_of(scan(beds(0.1)[:10]), pixel_mm=PIXEL, step_mm=STEP)) == "too_few_frames"
    assert refusal(metric, series_of(scan(beds(0.1, 0.2)), pixel_mm=PIXEL, step_mm=4.0)) == "too_few_frames"  # one bed
    for one in (np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 2.0), np.ones((4, 4))):
        assert refusal(metric, series_of([one] * 60)) == "too_few_frames"


def test_no_suv_is_needed() -> None:
    volume = scan(beds(0.08, 0.16, 0.16))
    assert step(volume, factor=None) == pytest.approx(step(volume), rel=0.05)
