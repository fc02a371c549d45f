"""The background of MR frames: outlines, air and noise that are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import NotApplicable
from medqa.metrics import mr_fber, mr_snr
from medqa.metrics.mr_background import background, grouped_median, hull_distance, outlined, stored_step
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

SIGNAL, NOISE = 600.0, 10.0


def regions(array: np.ndarray, **values) -> Regions:
    return Regions(make_series([array.astype(np.float32)], modality="MR", **values).frames[0].read())


def measured(metric, array: np.ndarray, **values) -> float:
    series = make_series([array.astype(np.float32)], modality="MR", **values)
    return metric.combine(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames]).value


def complex_noise(seed: int, deviation: float, size: int = 256) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).normal(0, deviation, (2, size, size))
    return real + 1j * imaginary


def outline(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = outlined(regions(array))
    return seen.outline, seen.air


def head(size: int = 256) -> np.ndarray:
    return mr_head(np.random.default_rng(0), SIGNAL, 0, size=size).astype(np.float64)


@pytest.mark.parametrize("noise", [2.0, 30.0, 150.0])
def test_noise_is_never_body_and_the_outline_stays(noise: float) -> None:
    plain, _ = outline(head())
    noisy, air = outline(np.abs(head() + complex_noise(1, noise)))
    assert (plain ^ noisy).mean() < 0.02
    assert air.mean() > 0.4


@pytest.mark.parametrize("share", [0.1, 0.24, 0.48])
def test_a_ghost_is_air_and_not_body(share: float) -> None:
    ghost = np.roll(head(), 128, axis=0)
    plain, air = outline(np.abs(head() + complex_noise(1, NOISE)))
    ghosted, filled = outline(np.abs(head() + share * ghost + complex_noise(1, NOISE)))
    assert (plain ^ ghosted).mean() < 0.02
    assert (air ^ filled).mean() < 0.05


def test_fber_falls_with_every_strength_of_a_ghost_that_fills_the_air() -> None:
    shares = [0, 0.02, 0.06, 0.12, 0.24, 0.48]
    values = [measured(mr_fber.METRIC, np.abs(head() + share * SIGNAL * 1j + complex_noise(1, NOISE))) for share in shares]
    assert np.all(np.diff(values) < 0)
    assert values[-1] == pytest.approx((1 + 0.48**2) / 0.48**2, rel=0.05)


def test_a_ghost_over_dim_tissue_does_not_lift_the_foreground() -> None:
    # Half of the air holds no ghost; muscle under bright fat does.
    y, x = np.mgrid[:256, :256]
    radius = np.hypot(y - 128, x - 128)
    limb = np.where(radius < 80, 300.0, 0.0)
    limb[(radius < 80) & (radius > 60)] = 900.0
    ghosts = [limb + share * np.roll(limb, 40, axis=0) + complex_noise(1, NOISE) for share in (0.0, 0.1, 0.3)]
    values = [measured(mr_fber.METRIC, np.abs(ghost)) for ghost in ghosts]
    assert values[0] == pytest.approx((900 / NOISE) ** 2 / (2 * np.log(2)), rel=0.1)
    assert np.all(np.diff(values) < 0)


def test_the_noise_is_that_of_the_quiet_air_beside_a_ghost() -> None:
    ghosted = np.abs(head() + 0.2j * np.roll(head(), 128, axis=0) + complex_noise(1, NOISE))
    assert measured(mr_snr.METRIC, ghosted) == pytest.approx(SIGNAL / NOISE, rel=0.05)


def test_muscle_that_the_frame_cuts_is_no_air() -> None:
    # A limb of muscle in a rim of fat, cut by the lower and the right border: the corner lies outside the hull of the fat.
    y, x = np.mgrid[:160, :160]
    radius = np.hypot(y - 110, x - 110)
    limb = np.where(radius < 90, 800.0, 0.0)
    limb[radius < 84] = 280.0
    body, air = outline(np.abs(limb + complex_noise(1, 5, 160)))
    assert not (air & (radius < 90)).any()
    assert (air & (radius > 95)).sum() > 0.5 * (radius > 95).sum()
    assert not body[150:, 150:].all()


def test_dim_tissue_that_reaches_the_border_tells_no_noise() -> None:
    tissue = np.random.default_rng(1).normal(500, 20, (128, 128))
    tissue[:, 90:] = np.random.default_rng(2).normal(200, 20, (128, 38))
    with pytest.raises(NotApplicable) as caught:
        measured(mr_snr.METRIC, tissue)
    assert caught.value.values["reason"] == "no_air"


def test_noise_interpolated_twofold_keeps_its_deviation() -> None:
    # Zeros around k-space: white noise of half the columns and rows, on twice as many.
    spectrum = np.fft.fftshift(np.fft.fft2(complex_noise(1, NOISE / 2, 128)))
    noise = np.fft.ifft2(np.fft.ifftshift(np.pad(spectrum, 64))) * 4
    assert noise.real.std() == pytest.approx(NOISE / 2, rel=0.03)
    assert measured(mr_snr.METRIC, np.abs(head() + noise)) == pytest.approx(2 * SIGNAL / NOISE, rel=0.08)


@pytest.mark.parametrize("noise", [1.0, 1.3, 2.0])
def test_stored_steps_hide_no_noise(noise: float) -> None:
    stored = np.rint(np.abs(head() + complex_noise(1, noise)))
    assert measured(mr_snr.METRIC, stored) == pytest.approx(SIGNAL / noise, rel=0.05)
    # The median of the Rayleigh distribution is 1.1774 times the noise of a channel, wherever the steps lie.
    assert measured(mr_fber.METRIC, stored) == pytest.approx((SIGNAL / noise) ** 2 / (2 * np.log(2)), rel=0.03)


def test_less_noise_than_the_stored_step_is_quantisation() -> None:
    stored = np.rint(np.abs(40 + head() + complex_noise(1, 0.2)))
    assert background(regions(stored)).noiseless == "background_masked"


def test_values_that_are_no_whole_steps_have_no_rounding() -> None:
    small = np.abs(head() + complex_noise(1, NOISE)) / 1000
    assert measured(mr_snr.METRIC, small) == pytest.approx(SIGNAL / NOISE, rel=0.05)
    assert stored_step(np.array([3.0, 7.0, 21.0], dtype=np.float32), 1.0) == 1.0
    assert stored_step(np.array([3.0, 7.5, 21.0], dtype=np.float32), 1.0) == 0.0


@pytest.mark.parametrize("disturbance", ["slow", "beside an edge", "alternating"])
def test_what_is_no_noise_leaves_the_ratio(disturbance: str) -> None:
    y, x = np.mgrid[:256, :256]
    added = {
        "slow": 40 * np.exp(-(((y - 128) ** 2 + (x - 128) ** 2) / 2 / 80**2)),
        "beside an edge": 30 * np.cos(2 * np.pi * y / 5),
        "alternating": 30 * (-1.0) ** x,
    }[disturbance]
    # Several coils lift the noise: what is added then adds to a magnitude and is not folded by it.
    air = 200.0
    image = np.abs(air + head() + added + complex_noise(1, NOISE))
    plain = np.abs(air + head() + complex_noise(1, NOISE))
    assert measured(mr_snr.METRIC, image) == pytest.approx(measured(mr_snr.METRIC, plain), rel=0.1)


def test_the_median_of_grouped_values_is_that_before_rounding() -> None:
    values = np.random.default_rng(1).rayleigh(3.3, 200_000)
    assert grouped_median(np.rint(values)) == pytest.approx(float(np.median(values)), rel=0.005)
    assert grouped_median(values) == np.median(values)
    assert grouped_median(np.full(9, 4.0)) == 4


def test_the_hull_is_convex_and_as_small_as_can_be() -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[3, 5], mask[3, 33], mask[25, 5] = True, True, True
    y, x = np.mgrid[:30, :40]
    away = hull_distance(mask)
    assert np.array_equal(away <= 0, (y >= 3) & (x >= 5) & ((y - 3) / 22 + (x - 5) / 28 <= 1 + 1e-9))
    assert away[10, 1] == pytest.approx(4, abs=0.01)
    assert away[0, 10] == pytest.approx(3, abs=0.01)
    line = np.zeros((30, 40), dtype=bool)
    line[4:9, 7] = True
    assert (hull_distance(line) > 0).all()
    assert (hull_distance(np.zeros((5, 5), dtype=bool)) > 0).all()


def test_pixels_without_a_value_take_no_part() -> None:
    image = np.abs(head() + complex_noise(1, NOISE))
    plain = measured(mr_snr.METRIC, image), measured(mr_fber.METRIC, image)
    image[::3, ::7] = np.nan
    found = background(regions(image))
    assert found.reason is None
    assert found.bright**2 / found.median**2 == pytest.approx(plain[1], rel=0.05)
    image[:, 0:8] = image[100:108] = np.nan
    assert np.isfinite(background(regions(image)).level)


@pytest.mark.parametrize("shape", [(1, 1), (3, 120), (3, 200), (17, 23), (256, 255)])
def test_odd_frames_give_a_reason_or_a_value(shape: tuple[int, int]) -> None:
    array = np.random.default_rng(1).rayleigh(3, shape)
    array[: shape[0] // 2, : shape[1] // 2] = np.nan
    found = background(regions(array))
    assert found.reason is not None or found.median > 0
