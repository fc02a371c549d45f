"""PET draws with the CT of their study beside: outlines that overlap by a known share, domes of the liver that lie apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cache

import numpy as np
from scipy import ndimage

from medqa.metrics import pt_ct_overlap, pt_dome_mismatch
from medqa.series import Series
from tests.proofs.drawn import AIR_HU, Condition, Drawn, Image, plane
from tests.proofs.drawn_pet import noisy
from tests.science.factories import make_frame, make_series
from tests.science.pt_factories import series_of

SLICES, STEP_MM = 40, 5.0
PET_SIDE, PET_MM = 112, 4.0
CT_SIDE, CT_MM = 128, 3.5
TRUNK_MM = (170.0, 110.0)
FWHM_MM = 6.0
DOME_MM, CURVE_MM = 100.0, 90.0
LIVER, LUNG, REST = 2.0, 0.4, 0.9
LIVER_HU, LUNG_HU, NOISE_HU = 40.0, -850.0, 20.0
PET_NOISE = 0.15
Grid = tuple[Image, Image, Image]


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from outlines()
    yield from domes()


def grid(side: int, pixel_mm: float) -> Grid:
    """Return z, y and x of all slices, in mm."""
    y, x = plane(side, pixel_mm)
    return np.arange(SLICES)[:, None, None] * STEP_MM, y[None], x[None]


def trunk(at: Grid, shift_mm: float = 0.0) -> Image:
    """Return which places lie in an ellipse that is shifted to the left."""
    z, y, x = at
    return (np.hypot((x - shift_mm) / TRUNK_MM[0], y / TRUNK_MM[1]) < 1) & (z >= 0)


def lung(at: Grid, top_mm: float) -> Image:
    """Return which places lie in the lungs, above domes whose tops are at a height."""
    z, y, x = at
    side = np.hypot((np.abs(x) - 85) / 60, y / 80) < 1
    return side & (z > top_mm - CURVE_MM + np.sqrt(np.maximum(CURVE_MM**2 - (np.abs(x) - 80) ** 2 - y**2, 0)))


@cache
def activity(top_mm: float | None) -> Image:
    """Return SUV behind the blur of a scanner; without domes it is the same everywhere in the body."""
    at = grid(PET_SIDE, PET_MM)
    _, y, x = at
    suv = 0.4 * trunk(at)
    if top_mm is not None:
        liver = (x < 0) & (np.hypot((np.abs(x) - 85) / 60, y / 80) < 1)
        suv = trunk(at) * np.where(lung(at, top_mm), LUNG, np.where(liver, LIVER, REST))
    return ndimage.gaussian_filter(suv, [0, *[FWHM_MM / 2.355 / PET_MM] * 2])


def ct_of(rng: np.random.Generator, clean: Image) -> Series:
    """Return slices in HU with noise, in the frame of reference of the PET."""
    y, x = plane(CT_SIDE, CT_MM)
    frames = [
        make_frame(
            one + rng.normal(0, NOISE_HU, one.shape),
            index=index,
            position_mm=(float(x[0, 0]), float(y[0, 0]), index * STEP_MM),
            spacing_mm=(CT_MM, CT_MM),
        )
        for index, one in enumerate(clean)
    ]
    series = make_series([], frames=frames)
    return dataclasses.replace(series, volume=dataclasses.replace(series.volume, spacing_mm=(STEP_MM, CT_MM, CT_MM)))


def pet_of(rng: np.random.Generator, clean: Image) -> Series:
    """Return slices in SUV with noise."""
    y, x = plane(PET_SIDE, PET_MM)
    corner = float(x[0, 0]), float(y[0, 0])
    return series_of(list(noisy(rng, clean, PET_NOISE, 7.0)), pixel_mm=PET_MM, step_mm=STEP_MM, corner_mm=corner)


def outlines() -> Iterator[Condition]:
    """Yield ellipses shifted against each other; two halves are segments of the ellipse as of a circle of radius 1."""
    at = grid(CT_SIDE, CT_MM)
    for shift_mm in (0.0, 15.0, 30.0, 60.0):
        clean = np.where(trunk(at, shift_mm), LIVER_HU, AIR_HU)
        half = shift_mm / TRUNK_MM[0] / 2
        shared = 2 * (np.arccos(half) - half * np.sqrt(1 - half**2)) / np.pi

        def draw(rng: np.random.Generator, clean: Image = clean, shared: float = float(shared)) -> Drawn:
            return Drawn(series=pet_of(rng, activity(None)), ct=ct_of(rng, clean), truths={pt_ct_overlap.NAME: shared})

        yield Condition(name=f"CT {shift_mm:g} mm to the left", metrics=(pt_ct_overlap.PAIR,), draw=draw)


def domes() -> Iterator[Condition]:
    """Yield domes that stand higher or lower on PET."""
    at = grid(CT_SIDE, CT_MM)
    clean = np.where(trunk(at), np.where(lung(at, DOME_MM), LUNG_HU, LIVER_HU), AIR_HU)
    for shift_mm in (-10.0, 0.0, 5.0, 10.0, 20.0):

        def draw(rng: np.random.Generator, shift_mm: float = shift_mm) -> Drawn:
            series = pet_of(rng, activity(DOME_MM + shift_mm))
            return Drawn(series=series, ct=ct_of(rng, clean), truths={pt_dome_mismatch.NAME: shift_mm})

        yield Condition(name=f"dome {shift_mm:+g} mm on PET", metrics=(pt_dome_mismatch.PAIR,), draw=draw)
