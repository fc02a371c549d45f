"""The noise power spectrum of noise whose spectrum is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import ct_nps
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import make_image, make_series

SPACINGS = ((0.4, 0.4), (0.75, 0.75), (0.98, 0.98), (0.6, 0.9))


def noise(seed: int, shape: tuple[int, ...], spacing=(0.75, 0.75), density: Callable | None = None, deviation=10.0) -> np.ndarray:
    """Return noise of a deviation whose spectrum has the shape `density` of the frequency in /mm (None: white)."""
    white = np.random.default_rng(seed).normal(size=shape)
    if density is None:
        return deviation * white
    v, u = np.meshgrid(*(np.fft.fftfreq(size, one) for size, one in zip(shape, spacing, strict=True)), indexing="ij")
    made = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(density(np.hypot(u, v)))).real
    return deviation * made / made.std()


def like_a_kernel(top: float) -> Callable:
    """Return the spectrum of a ramp with a Gaussian roll-off: f exp(-f^2 / (2 top^2)), highest at `top`."""
    return lambda f: f * np.exp(-(f**2) / (2 * top**2))


def body(spacing=(0.75, 0.75), mm: float = 240.0, **values) -> np.ndarray:
    """Return an ellipse of soft tissue 200 mm wide in air, with noise everywhere."""
    shape = (round(mm / spacing[0]), round(mm / spacing[1]))
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = (y + 0.5) * spacing[0] - mm / 2, (x + 0.5) * spacing[1] - mm / 2
    seed = values.pop("seed", 0)
    return np.where(np.hypot(x / 100, y / 80) < 1, 40.0, -1000.0) + noise(seed, shape, spacing, **values)


def measured(arrays, spacing=(0.75, 0.75)) -> dict[str, float]:
    series = make_series(arrays, spacing_mm=spacing)
    partials = [ct_nps.per_frame(Regions(frame.read())) for frame in series.frames]
    return {one.quantity.value: one.value for one in ct_nps.METRIC.measure(series, partials)}


def first_and_last(spacing) -> tuple[float, float]:
    _, step, last = ct_nps.rings(spacing, ct_nps.patch_shape(spacing))
    assert last * step == pytest.approx(0.5 / max(spacing))
    return (ct_nps.FIRST_RING - 0.5) * step, last * step


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_integral_is_the_variance_that_the_fit_leaves(spacing) -> None:
    patches = noise(1, (400, 32, 32)).astype(np.float32)
    cell = 1 / (32 * spacing[0] * 32 * spacing[1])
    power = ct_nps.spectrum(patches, spacing)
    weight = ct_nps.taper(32, 32) ** 2
    left = (ct_nps.detrended(patches) ** 2).mean(axis=0)
    assert power.sum() * cell == pytest.approx((weight * left).sum() / weight.sum(), rel=1e-6)
    # Six coefficients of the fit out of 1024, as far as they lie under the window.
    assert ct_nps.kept_share(32, 32).mean() == pytest.approx(1 - 6 / 1024, abs=0.004)
    assert power.sum() * cell == pytest.approx(100 * ct_nps.kept_share(32, 32).mean(), rel=0.01)


def test_white_noise_is_flat_and_as_high_as_its_variance_times_the_pixel() -> None:
    patches = noise(2, (2000, 24, 24)).astype(np.float32)
    profile = ct_nps.radial(ct_nps.spectrum(patches, (0.5, 0.8)), (0.5, 0.8))
    assert profile == pytest.approx([100 * 0.5 * 0.8] * len(profile), rel=0.03)


def test_the_fit_takes_away_all_that_is_of_the_second_order() -> None:
    y, x = np.mgrid[:20, :20] / 19.0
    patch = (50 + 30 * x - 12 * y + 200 * x * y - 40 * x**2 + 9 * y**2)[None].astype(np.float32)
    assert np.abs(ct_nps.detrended(patch)).max() < 1e-3


@pytest.mark.parametrize("spacing", SPACINGS)
def test_white_noise_has_its_mean_in_the_middle_and_no_peak(spacing) -> None:
    found = measured([body(spacing, seed=seed) for seed in range(3)], spacing)
    assert found[ct_nps.NAME] == pytest.approx(np.mean(first_and_last(spacing)), rel=0.03)
    assert ct_nps.PEAK not in found


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("top", "leak"), [(0.2, 0.06), (0.32, 0.03)])
def test_coloured_noise_has_the_mean_and_the_peak_of_its_spectrum(top: float, leak: float, spacing) -> None:
    found = measured([body(spacing, seed=seed, density=like_a_kernel(top)) for seed in range(6)], spacing)
    f = np.linspace(*first_and_last(spacing), 2000)
    density = like_a_kernel(top)(f)
    assert found[ct_nps.NAME] == pytest.approx((f * density).sum() / density.sum(), rel=leak)
    assert found[ct_nps.PEAK] == pytest.approx(top, abs=0.035)


def test_the_same_pixels_half_as_far_apart_have_twice_the_frequency() -> None:
    patches = noise(3, (12, 32, 32)).astype(np.float32)
    wide, near = (
        ct_nps.mean_frequency(ct_nps.radial(ct_nps.spectrum(patches, spacing), spacing), ct_nps.rings(spacing, (32, 32))[1])
        for spacing in ((0.8, 0.8), (0.4, 0.4))
    )
    assert near == pytest.approx(2 * wide, rel=1e-9)


@settings(max_examples=12, deadline=None)
@given(offset=st.floats(-60, 60), scale=st.floats(0.4, 4))
def test_the_level_of_tissue_and_of_noise_do_not_count(offset: float, scale: float) -> None:
    tissue, grain = body(deviation=0.0), noise(5, (320, 320), density=like_a_kernel(0.25))
    plain = measured([tissue + grain])[ct_nps.NAME]
    assert measured([tissue + offset + scale * grain])[ct_nps.NAME] == pytest.approx(plain, rel=0.02)


def test_organs_and_cupping_do_not_move_it() -> None:
    plain = body(seed=6, density=like_a_kernel(0.25))
    y, x = np.mgrid[:320, :320] - 160
    cupped = plain + np.where(plain > -500, 30 * (x**2 + y**2) / 130**2, 0)
    with_organs = plain + 60 * (np.hypot(x - 60, y - 10) < 35) - 140 * (np.hypot(x + 50, y + 40) < 30)
    vessels = plain + 120 * (np.hypot((x + 60) % 40 - 20, (y + 30) % 40 - 20) < 4) * (x > 20)
    for image in (cupped, with_organs, vessels):
        assert measured([image])[ct_nps.NAME] == pytest.approx(measured([plain])[ct_nps.NAME], rel=0.03)


def test_smoothing_moves_it_down_and_sharpening_up() -> None:
    from scipy import ndimage

    sharp = [body(seed=seed, density=like_a_kernel(0.3)) for seed in (7, 8)]
    soft = [ndimage.gaussian_filter(image, 1.0) for image in sharp]
    assert measured(soft)[ct_nps.NAME] < 0.8 * measured(sharp)[ct_nps.NAME]


def test_more_blur_moves_it_down_to_the_end_although_whole_hu_are_stored() -> None:
    from scipy import ndimage

    sharp = [body(seed=seed, density=like_a_kernel(0.3), deviation=25.0) for seed in (9, 10)]
    means = [
        measured([np.round(ndimage.gaussian_filter(image, blur)) for image in sharp])[ct_nps.NAME] for blur in (0, 1, 1.8, 2.6, 3.4)
    ]
    assert np.all(np.diff(means) < -0.005)


def test_rounding_adds_the_flat_spectrum_that_is_taken_out() -> None:
    fine = noise(11, (400, 24, 24), density=None, deviation=0.8)
    spacing = (0.5, 0.8)
    smooth, rounded = (
        np.array(ct_nps.radial(ct_nps.spectrum(one.astype(np.float32), spacing), spacing)) for one in (fine, np.round(fine))
    )
    assert (rounded - smooth).mean() == pytest.approx(0.5 * 0.8 / 12, rel=0.1)


@pytest.mark.parametrize(
    "array",
    [np.full((128, 128), 40.0), np.full((128, 128), np.nan), noise(0, (9, 9)), np.full((128, 128), -1000.0) + noise(0, (128, 128)),
     300 * noise(0, (128, 128))],
    ids=["constant", "no values", "tiny", "air", "no tissue"],
)  # fmt: skip
def test_bad_input_has_no_spectrum(array) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([array])
    assert caught.value.values == {"what": "ct_nps_mean", "reason": "no_soft_tissue"}


@pytest.mark.parametrize(
    ("spacing", "values"),
    [((6.0, 0.8), {"reason": "coarse_pixels"}), (None, {"reason": "header_silent", "keyword": "PixelSpacing"})],
)
def test_pixels_that_hold_no_noise_frequency_or_have_no_size_are_refused(spacing, values) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([body()], spacing)
    assert caught.value.values == {"what": "ct_nps_mean", **values}


def test_a_frame_s_contribution_is_small() -> None:
    partial = ct_nps.per_frame(Regions(make_image(body((0.25, 0.25)), spacing_mm=(0.25, 0.25))))
    assert len(partial["power"]) < 40


def test_a_bone_kernel_has_finer_noise_than_a_soft_one(data, real_series) -> None:
    found = {}
    for name in ("tcga_34_5234.zip", "medify_brain_c.zip", "tcga_34_5236.zip", "tcga_17_z034.zip"):
        (series,) = read(data / "ct" / name).series
        real_series.append(name)
        partials = [ct_nps.per_frame(Regions(frame.read())) for frame in series.frames]
        found[name] = ct_nps.METRIC.measure(series, partials)[0].value
    bone, head_bone, soft, b20 = found.values()
    assert min(soft, b20) > 0.15
    assert max(soft, b20) < 0.3
    assert 0.4 < min(bone, head_bone) < 0.7
