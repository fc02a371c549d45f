"""Simulated dose against the physics of counting photons, against known noise on known anatomy, and on a real phantom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medqa.metrics import ct_noise
from medqa.reader import read
from medqa.regions import Regions
from medqa.simulate import Plan, ct, fan_beam
from medqa.simulate.ct import dose, own_noise
from medqa.simulate.projector import beam_for
from medqa.volume import Array
from tests.science.factories import make_image

PIXEL_MM = 1.4
SIZE = 256


def anatomy(size: int = SIZE) -> Array:
    """An elliptic body with organs, vessels, a spine and the smooth texture of tissue, in HU."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size),) * 2, indexing="ij")
    inside = (y / 0.62) ** 2 + (x / 0.85) ** 2 < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(77).standard_normal((size, size)), 4.0)
    image = np.where(inside, 40 + 8 * texture / texture.std(), -1000.0)
    image[((y + 0.05) / 0.35) ** 2 + ((x + 0.4) / 0.3) ** 2 < 1] += 60
    image[(y / 0.1) ** 2 + ((x - 0.4) / 0.1) ** 2 < 1] += 150
    image[((y - 0.4) / 0.12) ** 2 + (x / 0.12) ** 2 < 1] = 600
    return ndimage.gaussian_filter(image, 0.8).astype(np.float32)


def degraded(image: Array, **parameters: float) -> Array:
    """What is added to an image."""
    plan = Plan(modality="CT", kind="dose", level=2, parameters={"dose": 0.25, "seed": 9.0, **parameters})
    return ct.apply(image, plan, pixel_mm=PIXEL_MM).array - image


def mean_frequency(noise: Array) -> float:
    """Mean of the radial noise power in a square in the middle, in cycles per pixel."""
    power = np.abs(np.fft.fft2(noise[96:160, 64:192])) ** 2
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(128)[None])
    profile = [power[(radius >= low) & (radius < low + 0.03)].mean() for low in np.arange(0.02, 0.48, 0.03)]
    return float(np.average(np.arange(0.02, 0.48, 0.03) + 0.015, weights=profile))


def test_what_is_added_to_a_ray_is_what_fewer_photons_add():
    """Photons drawn by Poisson's law and read by a noisy detector, at the whole dose and at a quarter of it."""
    image = np.where(np.hypot(*np.meshgrid(*(np.arange(64) - 31.5,) * 2)) < 22, 0.0, -1000.0).astype(np.float32)
    beam = beam_for(image.shape, 5.0, views=dose.NOISE_VIEWS)
    scanner = {**dose.DEFAULTS, "dose": 0.25, "bowtie": 0.0, "electronic_photons": 40.0, "detected_photons": 400.0}
    variance = dose.rays(image, 5.0, beam, scanner)
    middle = beam.detectors // 2
    # Under no bow-tie the ray in the middle of a cylinder is the thickest way.
    assert variance.own[0, middle] == pytest.approx(1 + 40 / 400, rel=0.05)
    generator = np.random.default_rng(3)
    seen = {}
    for share in (1.0, 0.25):
        counts = generator.poisson(400 * share, 400_000) + np.sqrt(40) * generator.standard_normal(400_000)
        seen[share] = np.log(np.maximum(counts, 1)).var() * 400
    assert variance.added[0, middle] == pytest.approx(seen[0.25] - seen[1.0], rel=0.08)


def test_the_bow_tie_makes_the_outer_rays_noisier():
    image = np.zeros((64, 64), dtype=np.float32)
    beam = beam_for(image.shape, 5.0, views=dose.NOISE_VIEWS)
    scanner = {**dose.DEFAULTS, "dose": 0.5, "electronic_photons": 0.0}
    flat, shaped = (dose.rays(image, 5.0, beam, {**scanner, "bowtie": depth}).own[0] for depth in (0.0, 2.0))
    place = np.abs(beam.positions_mm) < 140
    gain = shaped[place] / flat[place]
    expected = np.exp(2.0 * (beam.positions_mm[place] / 250) ** 2)
    assert np.allclose(gain / gain.min(), expected / expected.min(), rtol=1e-3)


def test_the_noise_of_three_doses_has_variances_of_one_over_the_dose():
    image = anatomy()
    noise = known_noise(image, 0.7, 15.0)
    tissue = own_noise.tissue_of(image).inner
    own = noise[tissue].var()
    totals = [own + degraded(image + noise, dose=share, electronic_photons=0.0)[tissue].var() for share in (0.5, 0.25, 0.125)]
    assert totals[1] / totals[0] == pytest.approx(2, rel=0.05)
    assert totals[2] / totals[1] == pytest.approx(2, rel=0.05)
    assert totals[0] / own == pytest.approx(2, rel=0.12)


def known_noise(image: Array, cutoff: float, level_hu: float) -> Array:
    """Noise of a known kernel (first zero in cycles per pixel) and deviation in soft tissue."""
    noise = ct.quantum_noise(image, PIXEL_MM, seed=5, cutoff_per_mm=cutoff / PIXEL_MM)
    return noise * np.float32(level_hu / noise[own_noise.tissue_of(image).inner].std())


@pytest.mark.parametrize("cutoff", [0.6, 0.9, 2.0])
@pytest.mark.parametrize("level_hu", [8.0, 25.0])
def test_the_slices_own_noise_tells_kernel_and_level(cutoff: float, level_hu: float):
    """At half the dose as much is added as was there, of the same texture; nobody tells the kernel."""
    image = anatomy()
    noise = known_noise(image, cutoff, level_hu)
    added = degraded(np.round(image + noise), dose=0.5, electronic_photons=0.0)
    tissue = own_noise.tissue_of(image).inner
    assert added[tissue].std() == pytest.approx(level_hu, rel=0.1)
    assert mean_frequency(added) == pytest.approx(mean_frequency(noise), rel=0.1)


def test_the_noise_of_a_fan_beam_scanner_is_met_although_the_simulation_is_parallel():
    """Another geometry, other channels, another kernel and no bow-tie: level and texture still come out of the slice alone."""
    image = anatomy()
    fan = fan_beam.FanBeam(views=360, detectors=440, spacing_mm=1.2, source_mm=595.0)
    water = (dose.WATER_PER_MM * np.clip(1 + image / 1000, 0, 3)).astype(np.float32)
    few = replace(fan, views=45, detectors=110, spacing_mm=4.8)
    path = ndimage.zoom(fan_beam.project(water, few, PIXEL_MM), (8, 4), order=1)
    quantum = np.random.default_rng(8).standard_normal(path.shape) * np.exp(0.5 * (path - path.max()))
    noise = fan_beam.reconstruct(quantum.astype(np.float32), fan, image.shape, PIXEL_MM, kernel="cosine", cutoff_per_mm=0.4)
    tissue = own_noise.tissue_of(image).inner
    noise *= np.float32(15 / noise[tissue].std())
    added = degraded(np.round(image + noise), dose=0.5, electronic_photons=0.0)
    assert added[tissue].std() == pytest.approx(15, rel=0.1)
    assert mean_frequency(added) == pytest.approx(mean_frequency(noise), rel=0.1)


def test_the_level_does_not_hang_on_the_size_of_a_pixel_or_on_a_constant():
    image = anatomy() + known_noise(anatomy(), 0.7, 15.0)
    tissue = own_noise.tissue_of(image).inner
    plan = Plan(modality="CT", kind="dose", level=2, parameters={"dose": 0.25, "seed": 9.0})
    usual, larger = (
        (ct.apply(image, plan, pixel_mm=pixel_mm).array - image)[tissue].std() for pixel_mm in (PIXEL_MM, 1.4 * PIXEL_MM)
    )
    assert larger == pytest.approx(usual, rel=0.06)
    assert degraded(image + 20)[tissue].std() == pytest.approx(usual, rel=0.05)


def test_electronic_noise_weighs_more_the_lower_the_dose():
    image = anatomy() + known_noise(anatomy(), 0.7, 15.0)
    tissue = own_noise.tissue_of(image).inner

    def extra(share: float) -> float:
        quiet, loud = (degraded(image, dose=share, electronic_photons=photons)[tissue].var() for photons in (0.0, 40.0))
        return float(loud / quiet)

    assert 1.05 < extra(0.5) < extra(0.25) < extra(0.0625)


def test_only_noise_is_added_and_edges_stay():
    """Over many draws the change is nothing, at the border of the body as well."""
    image = anatomy() + known_noise(anatomy(), 0.7, 15.0)
    changes = np.stack([degraded(image, seed=float(seed)) for seed in range(6)])
    edge = np.abs(ndimage.gaussian_gradient_magnitude(image, 1.5)) > 100
    assert np.abs(changes[:, edge].mean()) < 3
    assert changes.mean(axis=0)[edge].std() == pytest.approx(changes[:, edge].std() / np.sqrt(6), rel=0.25)


def test_the_whole_dose_adds_nothing_and_a_slice_without_tissue_gets_the_lowest_noise():
    image = anatomy()
    assert not degraded(image, dose=1.0).any()
    lung = np.full((96, 96), -850.0, dtype=np.float32)
    assert degraded(lung).std() > 1
    assert np.isfinite(degraded(lung)).all()


def test_every_declared_parameter_has_a_default_within_its_range():
    drawn = dose.KIND.plan(np.random.default_rng(0), pixel_mm=0.7, level=1).parameters
    assert set(drawn) == {"seed", "dose", *dose.DEFAULTS}
    for parameter in dose.OTHERS:
        assert parameter.low <= dose.DEFAULTS[parameter.name] <= parameter.high


def test_the_noise_metric_orders_a_phantom_at_two_exposures_and_the_simulation_below_them(data: Path, real_series: list[str]):
    """The Catphan scanned at 20 and at 80 mA: the metric tells them apart, and a quarter of the high dose is noisier."""
    found = {}
    for name in ("low", "full"):
        (series,) = read(data / f"ct/catphan504_acb1_{name}.zip").series
        images = [frame.read() for frame in series.frames[:4]]
        found[name] = ct_noise.METRIC.measure(series, [ct_noise.per_frame(Regions(image)) for image in images])[0].value
        real_series.append(f"catphan504_acb1_{name}")
    plan = Plan(modality="CT", kind="dose", level=2, parameters={"dose": 0.25, "seed": 1.0})
    quarter = [ct.apply(image.array, plan, pixel_mm=0.88).array for image in images]
    partials = [ct_noise.per_frame(Regions(make_image(array, spacing_mm=images[0].spacing_mm))) for array in quarter]
    found["quarter"] = ct_noise.METRIC.measure(series, partials)[0].value
    assert found["full"] < found["low"] < found["quarter"]
