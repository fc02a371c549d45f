"""PET draws with known activity, noise, grain, beds, a known focus at an arm, and headers drawn at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np

from medqa.acquisition import PTAcquisition
from medqa.metrics import (
    pt_bed_steps,
    pt_blood_suv,
    pt_body_cov,
    pt_body_suv,
    pt_exposure,
    pt_extravasation,
    pt_liver_cov,
    pt_liver_suv,
    pt_texture,
    pt_uptake,
)
from tests.proofs.drawn import Condition, Drawn, Image, plane
from tests.science.pt_factories import Body, series_of

SIDE, PIXEL_MM, STEP_MM = 96, 4.0, 5.0
BED, LONG = 30, 120
"""Slices."""
ARM_MM, FOCUS_MM = 220.0, 10.0


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from bodies()
    yield from even()
    yield from long()
    yield from beds()
    yield from foci()
    yield Condition(name="header drawn at random", metrics=(pt_exposure.METRIC, pt_uptake.METRIC), draw=header)


def grain(rng: np.random.Generator, shape: tuple[int, ...], fwhm_mm: float, pixel_mm: float) -> Image:
    """Return noise `(z, y, x)` of deviation 1 with the autocorrelation exp(-h^2 / 4 s^2) in the plane, s that of a Gaussian filter.

    Its spectrum is the transform of that autocorrelation: a Gaussian on pixels nearly as wide as itself is no Gaussian.
    """
    deviation = fwhm_mm / (2 * math.sqrt(2 * math.log(2))) / pixel_mm
    spectrum = np.ones(1)
    for size in shape[1:]:
        lag = np.minimum(np.arange(size), size - np.arange(size))
        spectrum = spectrum[..., None] * np.maximum(np.fft.fft(np.exp(-((lag / (2 * deviation)) ** 2))).real, 0)
    half = np.sqrt(spectrum[0])[:, : shape[2] // 2 + 1]
    return np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * half, shape[1:])


def noisy(rng: np.random.Generator, clean: Image, cov: Image, fwhm_mm: float = 6.0, pixel_mm: float = PIXEL_MM) -> Image:
    """Return slices `(z, y, x)` with noise that is a share of the local value, of a grain of this width."""
    return clean * (1 + cov * grain(rng, clean.shape, fwhm_mm, pixel_mm))


@cache
def body(liver: float, blood: float) -> Image:
    """Return a body of the factories, `(z, y, x)`, without noise."""
    return np.stack(list(Body(liver=liver, blood=blood).slices()))


def bodies() -> Iterator[Condition]:
    """Yield whole bodies of known liver and blood, whose noise is the same share of the activity everywhere."""
    metrics = (pt_liver_cov.METRIC, pt_body_cov.METRIC, pt_liver_suv.METRIC, pt_blood_suv.METRIC)
    for liver, blood, cov in (
        (2.0, 1.6, 0.05),
        (2.0, 1.6, 0.1),
        (2.0, 1.6, 0.2),
        (2.0, 1.6, 0.4),
        (1.5, 1.2, 0.1),
        (2.8, 2.2, 0.1),
    ):

        def draw(rng: np.random.Generator, liver: float = liver, blood: float = blood, cov: float = cov) -> Drawn:
            truths = {
                pt_liver_cov.NAME: 100 * cov,
                pt_body_cov.NAME: 100 * cov,
                pt_liver_suv.NAME: liver,
                pt_blood_suv.NAME: blood,
            }
            return Drawn(series=series_of(list(noisy(rng, body(liver, blood), cov))), truths=truths)

        yield Condition(name=f"body, liver {liver:g}, blood {blood:g}, noise {100 * cov:g} %", metrics=metrics, draw=draw)


def even() -> Iterator[Condition]:
    """Yield even cylinders with noise of known grain."""
    y, x = plane(SIDE, PIXEL_MM)
    clean = np.broadcast_to(1.0 * (np.hypot(x, y) < 160), (10, SIDE, SIDE))
    for fwhm_mm in (5.0, 6.0, 8.0, 12.0):
        for cov in (0.05, 0.2):

            def draw(rng: np.random.Generator, fwhm_mm: float = fwhm_mm, cov: float = cov) -> Drawn:
                truths = {pt_texture.NAME: fwhm_mm, pt_body_cov.NAME: 100 * cov}
                return Drawn(series=series_of(list(noisy(rng, clean, cov, fwhm_mm))), truths=truths)

            name = f"cylinder, grain of {fwhm_mm:g} mm, noise {100 * cov:g} %"
            yield Condition(name=name, metrics=(pt_texture.METRIC, pt_body_cov.METRIC), draw=draw)


def long() -> Iterator[Condition]:
    """Yield cylinders as long as a patient."""
    y, x = plane(SIDE, PIXEL_MM)
    for suv in (0.7, 1.4):
        clean = np.broadcast_to(suv * (np.hypot(x, y) < 160), (LONG, SIDE, SIDE))

        def draw(rng: np.random.Generator, clean: Image = clean, suv: float = suv) -> Drawn:
            return Drawn(series=series_of(list(noisy(rng, clean, 0.1))), truths={pt_body_suv.NAME: suv})

        yield Condition(name=f"long cylinder, SUV {suv:g}", metrics=(pt_body_suv.METRIC,), draw=draw)


def beds() -> Iterator[Condition]:
    """Yield three beds, the one in the middle noisier by a factor."""
    y, x = plane(SIDE, PIXEL_MM)
    clean = np.broadcast_to(1.0 * (np.hypot(x / 160, y / 100) < 1), (3 * BED, SIDE, SIDE))
    for ratio in (1.0, 1.41, 2.0, 3.0):
        cov = 0.08 * np.repeat([1.0, ratio, 1.0], BED)[:, None, None]

        def draw(rng: np.random.Generator, ratio: float = ratio, cov: Image = cov) -> Drawn:
            series = series_of(list(noisy(rng, clean, cov, 7.0)), step_mm=STEP_MM)
            return Drawn(series=series, truths={pt_bed_steps.NAME: ratio})

        yield Condition(name=f"bed with {ratio:g} times the noise", metrics=(pt_bed_steps.METRIC,), draw=draw)


def foci() -> Iterator[Condition]:
    """Yield trunks between two arms, one of which holds a Gaussian focus of a known share of all activity."""
    pixel_mm, step_mm, slices = 6.0, 8.0, 60
    y, x = plane(SIDE, pixel_mm)
    z = (np.arange(slices)[:, None, None] - 25) * step_mm
    person = np.hypot(x / 165, y / 105) < 1
    for side in (-1, 1):
        person = person | (np.hypot(x - side * ARM_MM, y - 10) < 42)
    clean = np.broadcast_to(1.0 * person, (slices, SIDE, SIDE))
    spot = np.exp(-((x + ARM_MM) ** 2 + (y - 10) ** 2 + z**2) / (2 * FOCUS_MM**2))
    for percent in (0.0, 0.3, 1.0, 5.0):
        peak = percent / (100 - percent) * float(clean.sum()) / float(spot.sum())

        def draw(rng: np.random.Generator, percent: float = percent, peak: float = peak) -> Drawn:
            series = series_of(list(noisy(rng, clean + peak * spot, 0.1, 7.0, pixel_mm)), pixel_mm=pixel_mm, step_mm=step_mm)
            return Drawn(series=series, truths={pt_extravasation.NAME: percent})

        name = f"focus of {percent:g} %, highest SUV {peak:.0f}" if percent else "arms without a focus"
        yield Condition(name=name, metrics=(pt_extravasation.METRIC,), draw=draw)


def header(rng: np.random.Generator) -> Drawn:
    """Draw dose, weight and times."""
    megabecquerel, minutes, kilograms = float(rng.uniform(100, 500)), float(rng.uniform(1, 5)), float(rng.uniform(40, 120))
    uptake = float(rng.uniform(40, 120))
    made = PTAcquisition(injected_dose_bq=megabecquerel * 1e6, time_per_bed_s=60 * minutes, weight_kg=kilograms, uptake_min=uptake)
    truths = {pt_exposure.NAME: megabecquerel * minutes / kilograms, pt_uptake.NAME: uptake}
    return Drawn(series=series_of([np.zeros((8, 8))], made=made), truths=truths)
