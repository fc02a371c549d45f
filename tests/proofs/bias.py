"""Bias and spread of CT metrics by Monte Carlo: images of known truth are drawn many times and measured. Prints a table.

python -m tests.proofs.bias [--draws 40]
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medqa.acquisition import Acquisition, CTAcquisition
from medqa.metrics import ct_contrast, ct_dose, ct_noise, ct_nps, ct_size, ct_snr
from medqa.regions import Regions
from tests.science.factories import make_series

SIDE = 400
SPACING = (0.8, 0.8)
THICKNESS_MM, CTDIVOL_MGY = 5.0, 10.0
FRAMES = 3
HALF_AXES_MM = (110.0, 140.0)
FAT_HU, SOFT_HU, RIM = -100.0, 50.0, 0.15
ACQUISITION = Acquisition(modality="CT", slice_thickness_mm=THICKNESS_MM, ct=CTAcquisition(ctdi_phantom_mm=320.0))

Image = Any


METRICS = (ct_noise.METRIC, ct_nps.METRIC, ct_snr.METRIC, ct_contrast.METRIC, ct_size.METRIC, ct_dose.METRIC)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How an image is drawn, and what each quantity must be in it."""

    name: str
    draw: Callable[[np.random.Generator], Image]
    truths: Mapping[str, float]


def trunk(noise: Image) -> Image:
    """Return an ellipse of soft tissue with a rim of fat in air, plus noise."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2) * SPACING[0]
    radius = np.hypot(y / HALF_AXES_MM[0], x / HALF_AXES_MM[1])
    return np.select([radius < 1 - RIM, radius < 1], [SOFT_HU, FAT_HU], -1000.0) + noise


def white(rng: np.random.Generator, deviation: float) -> Image:
    """Return white noise."""
    return rng.normal(0, deviation, (SIDE, SIDE))


def kernel(rng: np.random.Generator, deviation: float, top: float) -> Image:
    """Return noise with the spectrum f exp(-f^2 / (2 top^2)), f in /mm, as a reconstruction makes it."""
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE, SPACING[0]), np.fft.fftfreq(SIDE, SPACING[1]), indexing="ij"))
    made = np.fft.ifft2(np.fft.fft2(white(rng, 1.0)) * np.sqrt(shape(f, top))).real
    return deviation * made / made.std()


def shape(f: Image, top: float) -> Image:
    """Return the spectrum of `kernel`."""
    return f * np.exp(-(f**2) / (2 * top**2))


def diameter_mm() -> float:
    """Return the water-equivalent diameter of the trunk."""
    inner = (1 - RIM) ** 2
    share = inner * (1 + SOFT_HU / 1000) + (1 - inner) * (1 + FAT_HU / 1000)
    return 2 * math.sqrt(HALF_AXES_MM[0] * HALF_AXES_MM[1] * share)


def conditions() -> Iterator[Condition]:
    """Yield white noise and noise of a soft and of a sharp kernel, weak, usual and strong."""
    _, step, last = ct_nps.rings(SPACING, ct_nps.patch_shape(SPACING))
    band = np.linspace((ct_nps.FIRST_RING - 0.5) * step, last * step, 4000)
    ssde = CTDIVOL_MGY * ct_dose.factor(diameter_mm(), 320.0)
    for deviation in (5.0, 15.0, 40.0):
        for name, top in (("white", None), ("soft kernel", 0.2), ("sharp kernel", 0.35)):

            def draw(rng: np.random.Generator, deviation: float = deviation, top: float | None = top) -> Image:
                return trunk(white(rng, deviation) if top is None else kernel(rng, deviation, top))

            density = np.ones(band.size) if top is None else shape(band, top)
            truths = {
                "ct_noise": deviation,
                "ct_nps_mean": float((band * density).sum() / density.sum()),
                "ct_snr": (SOFT_HU + 1000) / deviation,
                "ct_soft_tissue": SOFT_HU,
                "ct_cnr": (SOFT_HU - FAT_HU) / deviation,
                "ct_fat": FAT_HU,
                ct_size.DIAMETER.value: diameter_mm(),
                ct_dose.ESTIMATE.value: ssde,
                ct_dose.NOISE: deviation * math.sqrt(ssde / ct_dose.REFERENCE_MGY),
            }
            yield Condition(
                name=f"{name}, {deviation:g} HU", draw=draw, truths=truths if top is None else {**truths, "ct_nps_peak": top}
            )


def measured(condition: Condition, draws: int) -> dict[str, list[float]]:
    """Return what is measured of each quantity in every draw; a draw without a value is left out."""
    found = defaultdict(list)
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        images = [condition.draw(rng) for _ in range(FRAMES)]
        series = make_series(images, acquisition=ACQUISITION, spacing_mm=SPACING, ctdivol_mgy=CTDIVOL_MGY)
        regions = [Regions(frame.read()) for frame in series.frames]
        for metric in METRICS:
            for one in metric.measure(series, [metric.per_frame(frame) for frame in regions]):
                found[one.quantity.value].append(one.value)
    return found


def row(quantity: str, condition: Condition, found: Sequence[float], draws: int) -> str:
    """Return a line of the table; bias and spread in percent of the truth."""
    truth = condition.truths[quantity]
    told = "– | –"
    if found:
        bias, spread = (100 * one / abs(truth) for one in (np.mean(found) - truth, np.std(found)))
        told = f"{bias:+.1f} | {spread:.1f}"
    return f"| {quantity} | {condition.name} | {truth:.4g} | {told} | {len(found)}/{draws} |"


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40)
    draws = parser.parse_args().draws
    rows = [
        row(quantity, condition, found[quantity], draws)
        for condition in conditions()
        for found in [measured(condition, draws)]
        for quantity in condition.truths
    ]
    print(f"{FRAMES} frames of {SIDE} x {SIDE} pixels a draw\n")
    print("| quantity | noise | truth | bias % | spread % | measured |\n|---|---|---|---|---|---|")
    print("\n".join(sorted(rows)))


if __name__ == "__main__":
    main()
