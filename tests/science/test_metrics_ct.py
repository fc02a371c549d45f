"""CT metrics against images whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.acquisition import Acquisition, CTAcquisition
from medqa.errors import NotApplicable
from medqa.metrics import METRICS, ct_air, ct_noise, frame_partials
from medqa.metrics.histogram import LogBins
from medqa.metrics.windows import levelled_deviations, window_statistics
from medqa.regions import Regions
from tests.science.factories import ct_body, make_image, make_series


def measure(metric, arrays, **values):
    series = make_series(arrays, **values)
    return metric.measure(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames])[0]


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


def test_a_slope_of_the_tissue_is_no_noise() -> None:
    body = ct_body(np.random.default_rng(5), 4.0)
    tilted = body + np.where(body > -500, np.linspace(-60, 90, body.shape[1]), 0)
    assert measure(ct_noise.METRIC, [tilted]).value == pytest.approx(measure(ct_noise.METRIC, [body]).value, rel=0.04)


def test_a_filter_that_flattens_only_some_of_the_tissue_is_followed() -> None:
    # What the filter spares keeps a hump of its own at the full noise; whole HU leave the rest without any in the end.
    rng = np.random.default_rng(6)
    clean, noise = ct_body(rng, 0.0), rng.normal(0, 12, (256, 256))
    spared = (np.arange(256) // 16 % 3 == 0)[:, None]
    levels = [
        measure(ct_noise.METRIC, [np.round(clean + noise * np.where(spared, 1.0, left))]).value
        for left in (1.0, 0.6, 0.4, 0.2, 0.08)
    ]
    assert np.all(np.diff(levels) < -0.5)
    assert levels[-1] < 0.2 * levels[0]


def test_the_quiet_level_is_that_of_noise_whatever_the_edges() -> None:
    bins = LogBins(low=0.1, high=1000.0, width=0.04)
    quiet = 10 * np.sqrt(np.random.default_rng(7).chisquare(63, 3000) / 63)
    edges = np.linspace(30, 300, 2000)
    for values in (quiet, np.concatenate([quiet, edges])):
        assert bins.quiet(bins.total([bins.fill(values)]), 0.25, 1.6) == pytest.approx(10, rel=0.01)
    assert np.isnan(bins.quiet(bins.total([]), 0.25, 1.6))


@pytest.mark.parametrize("array", [np.full((128, 128), 40.0), np.where(np.arange(128) % 8 < 4, 100.0, -60.0) + np.zeros((128, 1))])
def test_without_noise_or_without_a_whole_window_there_is_no_level(array) -> None:
    assert ct_noise.frame_noise(ct_noise.per_frame(Regions(make_image(array)))) is None
    with pytest.raises(NotApplicable):
        measure(ct_noise.METRIC, [array])


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


def test_levelled_windows_agree_with_a_plain_loop() -> None:
    rng = np.random.default_rng(8)
    array = rng.normal(50, 9, (40, 33)).astype(np.float32) + np.linspace(0, 90, 33, dtype=np.float32)
    array[20:] += 400
    found = levelled_deviations(array, 4, 3, (0, 200))
    y, x = np.mgrid[:8, :6]
    plane = np.stack([np.ones(48), (x - 2.5).ravel(), (y - 3.5).ravel()], axis=1)
    windows = {(row, column): array[4 * row : 4 * row + 8, 3 * column : 3 * column + 6] for row in range(4) for column in range(10)}
    slopes = {at: np.linalg.lstsq(plane, one.ravel().astype(np.float64), rcond=None)[0] for at, one in windows.items()}
    expected = []
    for (row, column), window in windows.items():
        around = np.mean([one for (r, c), one in slopes.items() if abs(r - row) < 2 and abs(c - column) < 2], axis=0)
        expected.append((window.ravel() - plane[:, 1:] @ around[1:]).std(ddof=1))
    assert found == pytest.approx(expected, rel=1e-4)


def test_windows_with_missing_values_are_left_out() -> None:
    array = np.full((32, 32), 50, dtype=np.float32)
    array[0, 0] = np.nan
    mean, _, _ = window_statistics(array, 4, 4)
    assert np.isnan(mean[0, 0])
    assert np.isfinite(mean).sum() == mean.size - 1


def test_tiny_frames_say_nothing() -> None:
    assert ct_noise.per_frame(Regions(make_image(np.zeros((1, 1))))) is None


@pytest.mark.parametrize(
    ("kernel", "soft"),
    [
        *[
            (name, True)
            for name in ("STANDARD", "SOFT", "B20f", "B31s", "B41s", "I30f", "Br36f\\3", "Bf40d", "FC17", "FC08", "FC68", "B", "UB")
        ],
        *[
            (name, False)
            for name in ("BONE", "LUNG", "B45f", "B60f", "B70s", "Br59", "Bl57", "FC30", "FC51", "FC86", "D", "YA", "Ram-Lak")
        ],
        (None, False),
        ("", False),
    ],
)
def test_soft_kernels_are_known_by_name(kernel, soft: bool) -> None:
    assert ct_noise.is_soft(kernel) is soft


@pytest.mark.parametrize(
    ("kernel", "thickness", "limit"),
    [
        ("B30f", 5.0, 30.0),
        ("STANDARD", 1.25, 60.0),
        ("SOFT", 40.0, 30.0 / 2**0.5),
        ("B60f", 5.0, None),
        ("B30f", None, None),
        ("B30f", 0.0, None),
    ],
)
def test_the_limit_follows_kernel_and_thickness(kernel, thickness, limit) -> None:
    made = Acquisition(modality="CT", slice_thickness_mm=thickness, ct=CTAcquisition(kernel=kernel))
    limits = ct_noise.noise_limits(make_series([np.zeros((64, 64))], acquisition=made))
    assert limits == (None if limit is None else (None, pytest.approx(limit)))


def test_noise_over_the_limit_is_out_of_order() -> None:
    noisy = [ct_body(np.random.default_rng(1), 80.0)]
    assert measure(ct_noise.METRIC, noisy).within_limits is False
    assert measure(ct_noise.METRIC, [ct_body(np.random.default_rng(1), 20.0)]).within_limits is True


@pytest.mark.parametrize("offset", [0.0, 40.0, -60.0, 200.0, 1000.0, 1024.0])
def test_air_is_where_it_was_put(offset: float) -> None:
    measured = measure(ct_air.METRIC, [ct_body(np.random.default_rng(2)) + offset])
    assert measured.value == pytest.approx(-1000 + offset, abs=2)
    assert measured.within_limits is (-1050 <= -1000 + offset <= -850)


def test_a_table_and_values_outside_the_circle_do_not_count_as_air() -> None:
    image = ct_body(np.random.default_rng(2))
    image[215:225, 30:220] = 100.0
    y, x = np.mgrid[:256, :256] - 127.5
    image[np.hypot(x, y) > 127] = np.nan
    assert measure(ct_air.METRIC, [image]).value == pytest.approx(-1000, abs=3)


def scanned(rng: np.random.Generator, noise: float, *, share: float = 0.0) -> np.ndarray:
    """Return a body in air under noise, a share of the air a cushion of -960 to -900 HU, cut off and rounded as it is stored."""
    image = ct_body(rng, 0.0)
    top = image[: round(256 * share)]
    top[:] = np.where(top < -500, np.linspace(-960, -900, 256), top)
    return np.maximum(np.rint(image + rng.normal(0, noise, image.shape)), -1024).astype(np.float32)


@pytest.mark.parametrize("noise", [3.0, 20.0, 60.0, 100.0])
def test_noise_that_the_end_of_the_scale_cuts_off_does_not_lift_the_air(noise: float) -> None:
    values = [measure(ct_air.METRIC, [scanned(np.random.default_rng(seed), noise)]).value for seed in range(3)]
    assert np.mean(values) == pytest.approx(-1000, abs=0.5 + noise / 30)


def test_cushions_do_not_lift_the_air_the_more_the_noisier_it_is() -> None:
    for noise in (3.0, 60.0):
        assert measure(ct_air.METRIC, [scanned(np.random.default_rng(5), noise, share=0.3)]).value == pytest.approx(-1000, abs=5)


def test_a_cushion_that_fills_half_of_the_frame_is_not_taken_for_air() -> None:
    for noise in (3.0, 40.0):
        assert measure(ct_air.METRIC, [scanned(np.random.default_rng(5), noise, share=0.5)]).value == pytest.approx(-1000, abs=5)


def test_padding_that_no_header_tells_of_is_not_air() -> None:
    image = scanned(np.random.default_rng(6), 8.0)
    y, x = np.mgrid[:256, :256] - 127.5
    image[np.hypot(x, y) > 118] = -1024
    assert measure(ct_air.METRIC, [image]).value == pytest.approx(-1000, abs=2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0], 1.0), ([0, 4, 5, 5.5, 9, 20, 30, 40], 5.25), ([5, 5, 0, 9, 14, 20, 30], 5.0), ([0, 1, 2, 3, 4, 5, 6, 7], 3.5)],
)
def test_the_level_is_the_mean_of_the_closest_quarter(values: list[float], expected: float) -> None:
    assert ct_air.closest(np.array(values, dtype=np.float32)) == expected


def test_a_frame_inside_the_body_has_no_air() -> None:
    rng = np.random.default_rng(3)
    soft = rng.normal(40, 15, (256, 256))
    fat_and_bone = np.where(rng.random((256, 256)) < 0.4, -100, np.where(rng.random((256, 256)) < 0.1, 900, soft))
    for image in (soft, fat_and_bone):
        with pytest.raises(NotApplicable) as caught:
            measure(ct_air.METRIC, [image])
        assert caught.value.values["reason"] == "no_air"


def test_open_lung_at_the_border_is_not_taken_for_air() -> None:
    rng = np.random.default_rng(3)
    image = rng.normal(40, 15, (256, 256))
    image[:, :70] = np.where(rng.random((256, 70)) < 0.6, rng.normal(-830, 60, (256, 70)), -1000)
    with pytest.raises(NotApplicable) as caught:
        measure(ct_air.METRIC, [image])
    assert caught.value.values["reason"] == "no_air"


def test_the_body_is_found_without_its_table() -> None:
    image = ct_body(np.random.default_rng(2))
    plain = Regions(make_image(image)).body
    image[215:219, 10:246] = 300.0
    assert np.array_equal(Regions(make_image(image)).body, plain)
    expected = np.pi * 0.42 * 0.3
    assert plain.mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 700), (64, 65), (513, 511)])
@pytest.mark.parametrize("modality", sorted(METRICS))
@pytest.mark.parametrize("fill", [0.0, -1000.0, np.nan, "noise"])
def test_no_frame_is_too_odd_for_the_metrics(shape, modality, fill) -> None:
    array = np.random.default_rng(0).normal(50, 300, shape) if fill == "noise" else np.full(shape, fill)
    header = {"phase_encoding_axis": "ROW", "suv_factor": 1e-3}
    series = make_series([array], modality=modality, **header)
    partials = frame_partials(series.frames[0].read())
    for metric in METRICS[modality]:
        try:
            measured = metric.measure(series, [partials.get(metric.name)])
        except NotApplicable:
            continue
        assert all(np.isfinite(one.value) for one in measured)


def test_masks_come_back_to_the_frame_s_own_grid() -> None:
    for shape in [(512, 512), (511, 300), (64, 64), (1, 1000)]:
        regions = Regions(make_image(np.zeros(shape)))
        assert regions.full(regions.body).shape == shape
