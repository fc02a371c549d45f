"""Draws with known noise, CT numbers, size, dose and geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medqa.acquisition import Acquisition, CTAcquisition
from medqa.metrics import ct_air, ct_contrast, ct_dose, ct_geometry, ct_noise, ct_noise_z, ct_nps, ct_size, ct_snr
from tests.proofs.drawn import (
    AIR_HU,
    PIXEL_MM,
    SIDE,
    SOFT_HU,
    SPACING,
    Condition,
    Drawn,
    Image,
    condition,
    disc,
    kernel,
    shape,
    white,
)
from tests.science.factories import make_frame, make_series

THICKNESS_MM, CTDIVOL_MGY = 5.0, 10.0
HALF_AXES_MM = (110.0, 140.0)
FAT_HU, RIM = -100.0, 0.15
ACQUISITION = Acquisition(modality="CT", slice_thickness_mm=THICKNESS_MM, ct=CTAcquisition(ctdi_phantom_mm=320.0))
METRICS = (ct_noise.METRIC, ct_nps.METRIC, ct_snr.METRIC, ct_contrast.METRIC, ct_size.METRIC, ct_dose.METRIC)
LOWEST_HU = -1024.0
STACK, LOUD, FACTOR = 15, slice(6, 10), 2.0


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from trunks()
    for level, deviation in ((-1000.0, 10.0), (-1000.0, 30.0), (-985.0, 10.0)):

        def air(rng: np.random.Generator, level: float = level, deviation: float = deviation) -> Image:
            return np.maximum(disc(120.0) + (level - AIR_HU) * (disc(120.0) == AIR_HU) + white(rng, deviation), LOWEST_HU)

        name = f"air of {level:g} HU, noise {deviation:g} HU, cut at {LOWEST_HU:g} HU"
        yield condition(name, [ct_air.METRIC], air, {ct_air.NAME: level})
    for deviation in (8.0, 25.0):
        yield uneven(deviation)
    yield Condition(name="stack drawn at random", metrics=(ct_geometry.METRIC,), draw=stack)


def trunk(noise: Image) -> Image:
    """Return an ellipse of soft tissue with a rim of fat in air, plus noise."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2) * PIXEL_MM
    radius = np.hypot(y / HALF_AXES_MM[0], x / HALF_AXES_MM[1])
    return np.select([radius < 1 - RIM, radius < 1], [SOFT_HU, FAT_HU], AIR_HU) + noise


def diameter_mm() -> float:
    """Return the water-equivalent diameter of the trunk."""
    inner = (1 - RIM) ** 2
    share = inner * (1 + SOFT_HU / 1000) + (1 - inner) * (1 + FAT_HU / 1000)
    return 2 * math.sqrt(HALF_AXES_MM[0] * HALF_AXES_MM[1] * share)


def trunks() -> Iterator[Condition]:
    """Yield white noise and noise of a soft and of a sharp kernel, weak, usual and strong."""
    _, step, last = ct_nps.rings(SPACING, ct_nps.patch_shape(SPACING))
    band = np.linspace((ct_nps.FIRST_RING - 0.5) * step, last * step, 4000)
    ssde = CTDIVOL_MGY * ct_dose.factor(diameter_mm(), 320.0)
    for deviation in (5.0, 15.0, 40.0):
        for name, top in (("white noise", None), ("noise of a soft kernel", 0.2), ("noise of a sharp kernel", 0.35)):

            def image(rng: np.random.Generator, deviation: float = deviation, top: float | None = top) -> Image:
                return trunk(white(rng, deviation) if top is None else kernel(rng, deviation, top))

            density = np.ones(band.size) if top is None else shape(band, top)
            truths = {
                ct_noise.NAME: deviation,
                ct_nps.NAME: float((band * density).sum() / density.sum()),
                ct_snr.NAME: (SOFT_HU - AIR_HU) / deviation,
                ct_snr.LEVEL: SOFT_HU,
                ct_contrast.NAME: (SOFT_HU - FAT_HU) / deviation,
                ct_contrast.FAT: FAT_HU,
                ct_size.NAME: diameter_mm(),
                ct_dose.NAME: ssde,
                ct_dose.NOISE: deviation * math.sqrt(ssde / ct_dose.REFERENCE_MGY),
            } | ({} if top is None else {ct_nps.PEAK: top})
            label = f"{name}, {deviation:g} HU"
            yield condition(label, METRICS, image, truths, acquisition=ACQUISITION, ctdivol_mgy=CTDIVOL_MGY)


def uneven(deviation: float) -> Condition:
    """Return stacks whose noise doubles over four frames."""

    def draw(rng: np.random.Generator) -> Drawn:
        deviations = np.full(STACK, deviation)
        deviations[LOUD] *= FACTOR
        images = [trunk(white(rng, one)) for one in deviations]
        return Drawn(series=make_series(images, spacing_mm=SPACING), truths={ct_noise_z.NAME: FACTOR})

    return Condition(name=f"noise {deviation:g} HU, doubled in 4 of {STACK} slices", metrics=(ct_noise.METRIC,), draw=draw)


def stack(rng: np.random.Generator) -> Drawn:
    """Draw a stack of tilted slices, their number, distance and thickness."""
    number, step, thickness = int(rng.integers(3, 30)), float(rng.uniform(0.5, 8)), float(rng.uniform(0.5, 8))
    tilt = float(rng.uniform(0, math.radians(30)))
    across, down = (1.0, 0.0, 0.0), (0.0, math.cos(tilt), -math.sin(tilt))
    normal = np.cross(across, down)
    frames = [
        make_frame(np.zeros((8, 8)), index=index, position_mm=tuple(index * step * normal), orientation=(across, down))
        for index in range(number)
    ]
    made = Acquisition(modality="CT", slice_thickness_mm=thickness, ct=CTAcquisition())
    truths = {
        ct_geometry.NAME: (number - 1) * step + thickness,
        ct_geometry.OVERLAP: thickness / step,
        ct_geometry.TILT: math.degrees(tilt),
    }
    return Drawn(series=make_series([], frames=frames, acquisition=made), truths=truths)
