"""Texture relative to edges: known for linear filters, blind to dose, lost where noise is smoothed and edges stay."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medqa.errors import NotApplicable
from medqa.metrics import ct_texture
from medqa.reader import read
from medqa.regions import Regions
from medqa.simulate.ct import bilateral, heavy_kernel, texture, total_variation
from tests.science.factories import ct_body, make_image, make_series

SIZE = 224
KEPT_EDGES = (bilateral.KIND, total_variation.KIND, texture.KIND)


def scene(noise: float = 12.0, *, blur: float = 0.0, ramp: bool = False) -> np.ndarray:
    """A block of 40 HU in air whose sides run along rows and columns, noise in it, a Gaussian over all.

    `ramp` makes the power of the noise grow with its frequency, as filtered back-projection does.
    """
    image = np.full((SIZE, SIZE), -1000.0)
    image[20:-20, 20:-20] = 40.0
    grain = np.random.default_rng(3).normal(0, 1, image.shape)
    if ramp:
        frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE))
        grain = np.real(np.fft.ifft2(np.fft.fft2(grain) * np.sqrt(frequency)))
    image = image + noise * grain / grain.std()
    return (ndimage.gaussian_filter(image, blur) if blur else image).astype(np.float32)


def frame(array: np.ndarray, **header) -> dict:
    partial = ct_texture.per_frame(Regions(make_image(array, **header)))
    assert partial is not None
    return partial


def both(array: np.ndarray, **header) -> tuple[float, float]:
    partial = frame(array, **header)
    ratio = ct_texture.relative(partial)
    assert ratio is not None
    return partial["fineness"], ratio


def smooth(array: np.ndarray, kind, level: int) -> np.ndarray:
    plan = kind.plan(np.random.default_rng(2), pixel_mm=0.75, level=level)
    return array + kind.change(array, plan.parameters, 0.75)


def test_white_noise_beside_a_perfect_edge_is_as_fine_as_the_edge() -> None:
    fine, ratio = both(scene())
    assert fine == pytest.approx(1, abs=0.04)
    assert ratio == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("blur", [0.5, 0.7, 1.0, 1.4])
def test_a_linear_filter_coarsens_noise_and_edges_alike(blur: float) -> None:
    # White noise under weights w has the correlation w * w; a step under them rises by the largest weight at most.
    weights = ndimage.gaussian_filter1d(np.eye(1, 33, 16)[0], blur)
    line = np.correlate(weights, weights, "full")[32:] / (weights @ weights)
    side = 8
    lag = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    within = np.kron(line[lag], line[lag])
    spread = (1 - within.mean()) * side**2 / (side**2 - 1)
    expected = math.sqrt((1 - line[1]) / spread)
    image = scene(20.0, blur=blur)
    fine, all_ = (one.mean() for one in ct_texture.block_variances(ct_texture.tissue_blocks(Regions(make_image(image)))))
    assert math.sqrt(fine / all_) == pytest.approx(expected, rel=0.02)
    assert frame(image)["edge"] == pytest.approx(weights.max(), rel=0.12)
    # The quieter blocks have a little less of the coarse.
    assert both(image)[0] == pytest.approx(1.06 * expected, rel=0.06)
    assert 1 < both(image)[1] < 1.5


def test_neither_the_level_of_the_noise_nor_a_constant_nor_the_axes_matter() -> None:
    expected = both(scene(10.0, blur=0.7))
    assert both(scene(20.0, blur=0.7)) == pytest.approx(expected, rel=0.03)
    assert both(scene(10.0, blur=0.7) + 30) == pytest.approx(expected, rel=0.001)
    assert both(np.ascontiguousarray(scene(10.0, blur=0.7).T)) == pytest.approx(expected, rel=0.03)
    assert both(scene(10.0, blur=0.7)[::-1, ::-1]) == pytest.approx(expected, rel=0.04)


def test_rounding_to_whole_hu_is_not_taken_for_texture() -> None:
    soft = scene(6.0, blur=1.4)
    rounded = frame(np.round(soft))["fineness"]
    assert rounded == pytest.approx(frame(soft, slope=1e-6)["fineness"], rel=0.05)
    assert frame(np.round(soft), slope=1e-6)["fineness"] > 1.1 * rounded
    assert frame(np.round(scene(12.0, blur=1.4) / 2) * 2, slope=2.0)["fineness"] == pytest.approx(rounded, rel=0.05)


def test_tissue_without_any_noise_has_no_texture() -> None:
    assert both(scene(0.0)) == (0, 0)


@pytest.mark.parametrize("kind", KEPT_EDGES, ids=lambda kind: kind.name)
def test_smoothing_that_keeps_edges_is_told(kind) -> None:
    image = scene(30.0, ramp=True, blur=0.7)
    ratios = [both(image)[1], *(both(smooth(image, kind, level))[1] for level in (2, 4))]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > ct_texture.LOW > ratios[-1]


def test_more_smoothing_is_coarser_in_thin_tissue_too(data: Path, real_series: list[str]) -> None:
    # A chest between lungs: few blocks are flat, and a filter flattens some of them altogether before it reaches the others.
    (series,) = read(data / "ct" / "tcga_17_z013.zip").series
    real_series.append("tcga_17_z013")
    array = np.nan_to_num(series.frames[0].read().array, nan=-1024)
    header = {"spacing_mm": series.volume.spacing_mm[1:]}
    fine = [frame(np.round(smooth(array, total_variation.KIND, level)), **header)["fineness"] for level in (2, 3)]
    assert fine[1] < 0.99 * fine[0] < 0.85 * frame(array, **header)["fineness"]


def test_a_heavy_kernel_takes_the_fine_noise_and_the_edges_with_it() -> None:
    image = scene(30.0, ramp=True, blur=0.7)
    clean = both(image)
    fine, ratio = both(smooth(image, heavy_kernel.KIND, 2))
    assert fine < 0.7 * clean[0]
    assert ratio > ct_texture.LOW


def test_the_finding_names_the_slices() -> None:
    sharp = scene(30.0, ramp=True, blur=0.7)
    flat = smooth(sharp, bilateral.KIND, 4)
    series = make_series([sharp, flat, flat, sharp])
    partials = [ct_texture.per_frame(Regions(one.read())) for one in series.frames]
    (found,) = ct_texture.find(series, partials)
    assert (found.message, found.frames) == ("ct_oversmoothed", (1, 2))
    assert found.values["value"] < ct_texture.LOW
    assert ct_texture.find(series, [partials[0], None, None, partials[3]]) == []
    fine, ratio = ct_texture.METRIC.measure(series, [partials[0], partials[3], None, None])
    assert (fine.value, ratio.value) == pytest.approx(both(sharp))


def test_without_edges_only_the_fineness_is_told() -> None:
    series = make_series([np.random.default_rng(1).normal(40, 12, (SIZE, SIZE))])
    (fine,) = ct_texture.METRIC.measure(series, [ct_texture.per_frame(Regions(series.frames[0].read()))])
    assert fine.value == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("array", [np.full((128, 128), -1000.0), np.full((64, 64), np.nan), np.full((5, 7), 40.0)])
def test_no_tissue_no_texture(array: np.ndarray) -> None:
    series = make_series([array])
    with pytest.raises(NotApplicable) as caught:
        ct_texture.METRIC.measure(series, [ct_texture.per_frame(Regions(series.frames[0].read()))])
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_blocks_are_square_in_millimetres_and_tissue() -> None:
    regions = Regions(make_image(ct_body(np.random.default_rng(0)), spacing_mm=(2.0, 0.5)))
    blocks = ct_texture.tissue_blocks(regions)
    assert blocks.shape[1:] == (4, 12)
    assert len(blocks) <= ct_texture.MAX_BLOCKS
    assert (blocks > -150).mean(axis=(1, 2)).min() >= ct_texture.MIN_SHARE


def test_a_real_scan_is_in_order_until_it_is_smoothed(data: Path, real_series: list[str]) -> None:
    (series,) = read(data / "ct" / "nysbu_a056642_1.zip").series
    real_series.append("nysbu_a056642_1")
    array = np.nan_to_num(series.frames[0].read().array, nan=-1024)
    header = {"spacing_mm": series.volume.spacing_mm[1:]}
    fine, ratio = both(array, **header)
    assert ratio > 1.2
    for kind in KEPT_EDGES:
        smoothed = np.round(smooth(array, kind, 4))
        assert both(smoothed, **header)[0] < 0.8 * fine
        assert both(smoothed, **header)[1] < 0.8 * ratio
    noisy = array + ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 60, array.shape), 0.7)
    assert both(noisy.astype(np.float32), **header)[0] > 0.9 * fine
