"""Over-smoothing against what it claims: a declared share of noise goes, strong edges and the mean stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medqa.simulate import ct
from medqa.simulate.ct import bilateral, heavy_kernel, smoothing, texture, total_variation
from medqa.simulate.degradation import Kind

PIXEL_MM = 0.8
SIZE = 144
NOISE_HU = 12.0
BY_SHARE = (bilateral.KIND, total_variation.KIND, texture.KIND)
ALL = (*BY_SHARE, heavy_kernel.KIND)


def noisy_step(noise: float = NOISE_HU, *, step: float = 300.0) -> np.ndarray:
    """Soft tissue of 40 HU, and from the middle column on denser by `step`, under white noise a little softened as by a kernel."""
    from scipy import ndimage

    white = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((SIZE, SIZE)), 0.6)
    image = np.full((SIZE, SIZE), 40.0) + noise * white / white.std()
    image[:, SIZE // 2 :] += step
    return image.astype(np.float32)


def smooth(image: np.ndarray, kind: Kind, *, pixel_mm: float = PIXEL_MM, **given: float) -> np.ndarray:
    plan = kind.plan(np.random.default_rng(2), pixel_mm=pixel_mm, given=given)
    return image + kind.change(image, plan.parameters, pixel_mm)


@pytest.mark.parametrize("kind", BY_SHARE, ids=lambda kind: kind.name)
@pytest.mark.parametrize("removed", [0.4, 0.75])
def test_the_declared_share_of_the_noise_goes(kind: Kind, removed: float):
    image = noisy_step(step=0)
    done = smooth(image, kind, removed=removed)
    everywhere = np.ones(image.shape, dtype=bool)
    assert smoothing.noise(done, everywhere) / smoothing.noise(image, everywhere) == pytest.approx(1 - removed, abs=0.05)
    # What is coarser than the window of the measure stays longer: over the whole area a little more is left.
    flat = (slice(20, -20), slice(20, -20))
    assert done[flat].std() / image[flat].std() == pytest.approx(1 - removed, abs=0.15)


@pytest.mark.parametrize("kind", BY_SHARE, ids=lambda kind: kind.name)
def test_an_edge_of_300_hu_keeps_its_height_and_its_slope(kind: Kind):
    image = noisy_step()
    done = smooth(image, kind, removed=0.75)
    middle = SIZE // 2
    before, after = image.mean(axis=0), done.mean(axis=0)
    assert after[middle + 8 : -8].mean() - after[8 : middle - 8].mean() == pytest.approx(300, rel=0.1)
    # The step lies between two columns: that is where it must still be.
    assert after[middle] - after[middle - 1] == pytest.approx(before[middle] - before[middle - 1], rel=0.1)


def test_a_heavy_kernel_widens_the_edge_that_the_others_keep():
    step = np.diff(smooth(noisy_step(), heavy_kernel.KIND, half_per_mm=0.18).mean(axis=0))
    assert step.max() < 0.4 * 300


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_the_mean_of_tissue_does_not_move(kind: Kind):
    image = noisy_step(step=0)
    for level in (1, 4):
        plan = kind.plan(np.random.default_rng(2), pixel_mm=PIXEL_MM, level=level)
        assert kind.change(image, plan.parameters, PIXEL_MM)[16:-16, 16:-16].mean() == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_every_level_smooths_more_and_repeats_exactly(kind: Kind):
    image = noisy_step()
    left = []
    for level in (1, 2, 3, 4):
        plan = ct.draw(kind.name, level, np.random.default_rng(2), pixel_mm=PIXEL_MM)
        first, again = (ct.apply(image, plan, pixel_mm=PIXEL_MM) for _ in range(2))
        assert np.array_equal(first.array, again.array)
        assert first.severity > 0
        left.append(first.array[20:-20, 20 : SIZE // 2 - 20].std())
    assert left == sorted(left, reverse=True)
    assert left[3] < 0.5 * left[0]


@pytest.mark.parametrize("half_per_mm", [0.15, 0.3])
def test_a_heavy_kernel_halves_the_declared_frequency_and_leaves_nothing_beyond_twice_it(half_per_mm: float):
    def contrast(frequency: float) -> float:
        place = np.arange(256) * PIXEL_MM
        image = np.repeat(100 * np.cos(2 * np.pi * frequency * place)[None, :], 256, axis=0).astype(np.float32)
        done = smooth(image, heavy_kernel.KIND, half_per_mm=half_per_mm, plateau=0.0)
        return float(done[128, 64:192].std() / image[128, 64:192].std())

    assert contrast(half_per_mm) == pytest.approx(0.5, abs=0.02)
    assert contrast(0.5 * half_per_mm) == pytest.approx(0.5 + 0.5 * np.cos(np.pi / 4), abs=0.02)
    assert contrast(2.1 * half_per_mm) < 0.02


def test_total_variation_agrees_with_scikit_image():
    from skimage.restoration import denoise_tv_chambolle

    image = noisy_step()
    mine = total_variation.flattened(image, 10.0, iterations=200)
    theirs = denoise_tv_chambolle(image, weight=10.0, eps=1e-7, max_num_iter=800)
    assert np.abs(mine - theirs).max() < 2.0
    assert np.abs(mine - theirs).mean() < 0.1


def test_the_bilateral_filter_agrees_with_its_definition():
    image = noisy_step()[:24, SIZE // 2 - 12 : SIZE // 2 + 12]
    done = bilateral.average(image, 40.0, 1.5)
    y, x = np.mgrid[-3:4, -3:4]
    for row, column in ((12, 5), (10, 11), (13, 12)):
        window = image[row - 3 : row + 4, column - 3 : column + 4].astype(np.float64)
        weight = np.exp(-0.5 * ((window - image[row, column]) / 40) ** 2 - 0.5 * (y * y + x * x) / 1.5**2)
        assert done[row, column] == pytest.approx((weight * window).sum() / weight.sum(), abs=0.01)


def test_the_texture_killer_follows_noise_that_varies_and_leaves_noise_at_edges():
    noise = noisy_step(step=0) - 40
    image = 40 + noise * np.linspace(0.5, 2, SIZE, dtype=np.float32)[:, None]
    kept = {}
    for kind in (texture.KIND, bilateral.KIND):
        done = smooth(image, kind, removed=0.75)
        quiet, loud = (done[rows, 20:-20].std() / image[rows, 20:-20].std() for rows in (slice(20, 60), slice(-60, -20)))
        kept[kind.name] = loud / quiet
    assert kept["texture-killer"] < 1.3 < kept["bilateral"]
    image = noisy_step()
    done = smooth(image, texture.KIND, removed=0.75)
    seam, flat = (slice(20, -20), slice(SIZE // 2 - 3, SIZE // 2)), (slice(20, -20), slice(30, 60))
    assert done[seam].std(axis=0).mean() > 2 * done[flat].std(axis=0).mean()


@pytest.mark.parametrize("kind", BY_SHARE, ids=lambda kind: kind.name)
@pytest.mark.parametrize("value", [40.0, -1000.0, 3000.0])
def test_an_image_without_noise_or_tissue_stays_as_it_is(kind: Kind, value: float):
    image = np.full((96, 80), value, dtype=np.float32)
    plan = kind.plan(np.random.default_rng(2), pixel_mm=PIXEL_MM, level=3)
    assert np.array_equal(kind.change(image, plan.parameters, PIXEL_MM), np.zeros_like(image))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_any_shape_can_be_smoothed(kind: Kind):
    for shape in ((17, 64), (40, 23), (120, 30)):
        image = (np.random.default_rng(3).random(shape) * 60).astype(np.float32)
        plan = kind.plan(np.random.default_rng(4), pixel_mm=2.0, level=2)
        assert np.isfinite(kind.change(image, plan.parameters, 2.0)).all()


@pytest.mark.parametrize("kind", BY_SHARE, ids=lambda kind: kind.name)
def test_a_real_abdomen_loses_the_declared_share(kind: Kind, data: Path, real_series: list[str]):
    import SimpleITK as sitk

    image = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(data / "ct/l506_full_s176.nii.gz")))).astype(np.float32)
    flat = smoothing.flat_tissue(image)
    done = smooth(image, kind, pixel_mm=0.7, removed=0.6)
    assert smoothing.noise(done, flat) / smoothing.noise(image, flat) == pytest.approx(0.4, abs=0.07)
    real_series.append(f"l506 {kind.name}")
