"""Measures with a reference against analytic truth and against another implementation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.full_reference import gmsd, haarpsi, lesion_retention, ms_ssim, psnr, ssim
from medqa.metrics.full_reference.gmsd import CONSTANT as GMSD_CONSTANT
from medqa.metrics.full_reference.haarpsi import CONSTANT as HAARPSI_CONSTANT

Measure = Callable[..., Measurement]
RANGE = (-1000.0, 400.0)
BEST = {ssim: 1.0, ms_ssim: 1.0, gmsd: 0.0, haarpsi: 1.0}
ALL: tuple[Measure, ...] = (psnr, *BEST)
MASKED: tuple[Measure, ...] = (psnr, ssim, gmsd, haarpsi)


def scene(side: int = 176) -> np.ndarray:
    """Discs of several contrasts on a water cylinder, in HU."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    image = np.where(np.hypot(y, x) < 0.45 * side, 0.0, -1000.0)
    for turn, contrast in enumerate((-120.0, -40.0, 60.0, 150.0, 300.0)):
        angle = 2 * np.pi * turn / 5
        image[np.hypot(y - 0.25 * side * np.sin(angle), x - 0.25 * side * np.cos(angle)) < 0.06 * side] = contrast
    return image


def noisy(image: np.ndarray, deviation: float) -> np.ndarray:
    return image + np.random.default_rng(5).normal(0, deviation, image.shape)


@pytest.mark.parametrize("measure", BEST)
def test_the_same_image_is_perfect(measure: Measure) -> None:
    assert measure(scene(), scene(), data_range=RANGE).value == pytest.approx(BEST[measure], abs=1e-5)


def test_no_error_has_no_ratio() -> None:
    with pytest.raises(NotApplicable, match="identical"):
        psnr(scene(), scene(), data_range=RANGE)


@pytest.mark.parametrize("measure", ALL)
def test_more_noise_is_worse(measure: Measure) -> None:
    values = [measure(noisy(scene(), deviation), scene(), data_range=RANGE).value for deviation in (10, 20, 40, 80)]
    assert values == sorted(values, reverse=measure is not gmsd)
    assert len(set(values)) == 4


@pytest.mark.parametrize("measure", ALL)
def test_image_and_reference_may_change_places(measure: Measure) -> None:
    one, other = scene(), noisy(scene(), 30)
    assert measure(one, other, data_range=RANGE).value == pytest.approx(measure(other, one, data_range=RANGE).value, rel=1e-5)


@pytest.mark.parametrize(("factor", "offset"), [(0.01, 7.0), (50.0, -3000.0)])
@pytest.mark.parametrize("measure", ALL)
def test_values_and_range_scale_together(measure: Measure, factor: float, offset: float) -> None:
    one, other = noisy(scene(), 30), scene()
    scaled = measure(
        one * factor + offset, other * factor + offset, data_range=(RANGE[0] * factor + offset, RANGE[1] * factor + offset)
    )
    assert scaled.value == pytest.approx(measure(one, other, data_range=RANGE).value, rel=1e-4)


@pytest.mark.parametrize("measure", ALL)
def test_a_wider_range_makes_the_same_noise_matter_less(measure: Measure) -> None:
    narrow, wide = (measure(noisy(scene(), 30), scene(), data_range=values).value for values in ((-160.0, 240.0), RANGE))
    assert wide < narrow if measure is gmsd else wide > narrow


@pytest.mark.parametrize("measure", MASKED)
def test_what_lies_outside_the_mask_does_not_count(measure: Measure) -> None:
    mask = np.zeros((176, 176), dtype=bool)
    mask[40:120, 40:120] = True
    image, spoiled = noisy(scene(), 20), noisy(scene(), 20)
    spoiled[:16] = spoiled[150:] = 300
    assert measure(spoiled, scene(), data_range=RANGE).value != pytest.approx(measure(image, scene(), data_range=RANGE).value)
    inside = [measure(one, scene(), data_range=RANGE, mask=mask).value for one in (image, spoiled)]
    assert inside[0] == pytest.approx(inside[1], rel=1e-12)


@pytest.mark.parametrize("measure", ALL)
def test_bad_input_gets_no_number(measure: Measure) -> None:
    with pytest.raises(ValueError, match="range"):
        measure(scene(), scene(), data_range=(5.0, 5.0))
    with pytest.raises(ValueError, match="shape"):
        measure(scene(), scene(160), data_range=RANGE)
    holes = scene()
    holes[3, 3] = np.nan
    with pytest.raises(NotApplicable, match="not_finite"):
        measure(holes, scene(), data_range=RANGE)


@pytest.mark.parametrize("measure", [ssim, ms_ssim, gmsd, haarpsi])
def test_a_tiny_image_is_no_case(measure: Measure) -> None:
    with pytest.raises(NotApplicable, match="too_small"):
        measure(np.zeros((4, 4)), np.ones((4, 4)), data_range=(0.0, 1.0))


def test_psnr_of_an_offset() -> None:
    assert psnr(scene() + 14, scene(), data_range=RANGE).value == pytest.approx(20 * np.log10(1400 / 14))
    image = noisy(scene(), 25)
    oracle = peak_signal_noise_ratio(scene(), image, data_range=1400)
    assert psnr(image, scene(), data_range=RANGE).value == pytest.approx(oracle)


@pytest.mark.parametrize("deviation", [5, 40, 160])
def test_ssim_agrees_with_scikit_image(deviation: float) -> None:
    image, reference = noisy(scene(), deviation), scene()
    oracle = structural_similarity(
        image + 1000, reference + 1000, data_range=1400, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(image, reference, data_range=RANGE).value == pytest.approx(oracle, abs=1e-4)


def test_ms_ssim_of_two_flat_images() -> None:
    one, other = np.full((176, 176), 0.3), np.full((176, 176), 0.6)
    luminance = (2 * 0.3 * 0.6 + 1e-4) / (0.3**2 + 0.6**2 + 1e-4)
    # Contrast is equal at every scale; luminance counts at the coarsest, to the power of its weight.
    assert ms_ssim(one, other, data_range=(0.0, 1.0)).value == pytest.approx(luminance**0.1333, rel=1e-3)


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.9])
def test_gmsd_of_a_weakened_edge(kept: float) -> None:
    step = np.zeros((64, 64))
    step[:, 32:] = 0.4
    similarity = (2 * kept * 0.4**2 + GMSD_CONSTANT) / ((1 + kept**2) * 0.4**2 + GMSD_CONSTANT)
    share = 2 / 30  # two columns of the thirty that have neighbours on the halved grid
    expected = (1 - similarity) * np.sqrt(share * (1 - share))
    assert gmsd(kept * step, step, data_range=(0.0, 1.0)).value == pytest.approx(expected)


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.9])
def test_haarpsi_of_a_weakened_ramp(kept: float) -> None:
    ramp = np.tile(np.arange(96) * 0.01, (96, 1))
    # On the halved grid the ramp rises by 0.02 a pixel: a filter of n pixels responds with 0.02 n² / 4.
    along = [0.02 * size**2 / 4 for size in (2, 4)]
    similarity = np.mean([(2 * kept * a**2 + HAARPSI_CONSTANT) / ((1 + kept**2) * a**2 + HAARPSI_CONSTANT) for a in along])
    mask = np.zeros((96, 96), dtype=bool)
    mask[24:72, 24:72] = True  # clear of the mirrored border
    assert haarpsi(kept * ramp, ramp, data_range=(0.0, 1.0), mask=mask).value == pytest.approx(similarity**2)


def test_haarpsi_of_flat_images_is_no_case() -> None:
    with pytest.raises(NotApplicable, match="constant_image"):
        haarpsi(np.full((64, 64), 0.2), np.full((64, 64), 0.5), data_range=(0.0, 1.0))


def lesion(side: int = 64) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    return np.hypot(y, x) <= 6


@pytest.mark.parametrize("kept", [1.0, 0.4, 0.0, -0.5])
def test_the_kept_share_of_a_lesion(kept: float) -> None:
    clean, degraded = 60 + 30.0 * lesion(), 45 + 30.0 * kept * lesion()
    found = lesion_retention(degraded, clean, lesion=lesion(), spacing_mm=(0.7, 0.7))
    assert found.value == pytest.approx(kept)


def test_noise_does_not_move_lesion_retention_but_blur_does() -> None:
    from scipy import ndimage

    clean = 60 + 30.0 * lesion()
    options = {"lesion": lesion(), "spacing_mm": (0.7, 0.7)}
    drawn = [clean + np.random.default_rng(seed).normal(0, 20, clean.shape) for seed in range(40)]
    values = [lesion_retention(one, clean, **options).value for one in drawn]
    assert np.mean(values) == pytest.approx(1, abs=4 * np.std(values) / np.sqrt(40))
    blurred = [lesion_retention(ndimage.gaussian_filter(clean, width), clean, **options).value for width in (1, 2, 4)]
    assert 1 > blurred[0] > blurred[1] > blurred[2] > 0


def test_the_ring_keeps_its_millimetres() -> None:
    beyond = 60 + 30.0 * lesion()
    y, x = np.mgrid[:64, :64] - 32
    beyond[np.hypot(y, x) > 6 + 10] = 500.0
    # At 0.5 mm the ring ends 12 pixels from the lesion, in what is bright; at 1 mm it ends after 6.
    near = lesion_retention(beyond, 60 + 30.0 * lesion(), lesion=lesion(), spacing_mm=(1.0, 1.0)).value
    far = lesion_retention(beyond, 60 + 30.0 * lesion(), lesion=lesion(), spacing_mm=(0.5, 0.5)).value
    assert near == pytest.approx(1)
    assert far < 0.5


def test_a_lesion_without_contrast_or_place_is_no_case() -> None:
    with pytest.raises(NotApplicable, match="constant_image"):
        lesion_retention(np.ones((64, 64)), np.ones((64, 64)), lesion=lesion(), spacing_mm=(1.0, 1.0))
    with pytest.raises(NotApplicable, match="too_small"):
        lesion_retention(np.ones((64, 64)), np.ones((64, 64)), lesion=np.ones((64, 64), dtype=bool), spacing_mm=(1.0, 1.0))
