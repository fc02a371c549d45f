"""PET series made by hand for the tests of the metrics: a whole body in SUV whose every part is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from medqa.acquisition import Acquisition, PTAcquisition
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric
from medqa.regions import Regions
from medqa.series import Series
from tests.science.factories import make_frame, make_series

FACTOR = 2e-4
"""SUV of 1 Bq/ml."""
PIXEL, STEP, SIZE = 4.0, 6.0, 96


@dataclass(frozen=True, kw_only=True)
class Body:
    """A trunk of SUV 0.8 with lungs, a liver, a great vessel and a hot heart; z in mm from the lower end, x to the left.

    The liver reaches from 80 to `dome_mm`; its upper half is half an ellipsoid, so that its dome is round.
    """

    liver: float = 2.0
    blood: float = 1.6
    heart: float = 8.0
    dome_mm: float = 240.0
    length_mm: float = 480.0
    vessel_mm: float = 13.0
    lungs: float = 0.4
    trunk_mm: tuple[float, float] = (180.0, 110.0)

    def at(self, z: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return SUV at height `z`."""
        half = self.trunk_mm
        trunk = (x / half[0]) ** 2 + (y / half[1]) ** 2 < 1
        suv = np.where(trunk, 0.8, 0.0)
        if z > self.dome_mm - 100:
            for side in (-1, 1):
                suv[((x - side * 85) / 65) ** 2 + (y / 85) ** 2 < 1] = self.lungs
        rise = max(0.0, z - (self.dome_mm - 80)) / 80
        if 80 <= z < self.dome_mm:
            shrunk = np.sqrt(1 - rise**2)
            suv[trunk & (((x + 80) / 75) ** 2 + (y / 80) ** 2 < shrunk**2)] = self.liver
        suv[np.hypot(x - 14, y - 15) < self.vessel_mm] = self.blood
        if self.dome_mm < z < self.dome_mm + 50:
            suv[((x - 45) / 35) ** 2 + ((y + 50) / 32) ** 2 < 1] = self.heart
        return suv

    def slices(self) -> Iterator[np.ndarray]:
        """Return every slice, without noise, blurred as a scanner of 6 mm does."""
        y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
        for z in np.arange(0, self.length_mm, STEP):
            yield ndimage.gaussian_filter(self.at(float(z), x, y), 6 / 2.355 / PIXEL)


def grain(rng: np.random.Generator, shape: tuple[int, ...], fwhm_mm: float, pixel_mm: float = PIXEL) -> np.ndarray:
    """Return noise of deviation 1 and mean 0, filtered in the plane by a Gaussian; its last two axes are rows and columns."""
    deviation = fwhm_mm / (2 * np.sqrt(2 * np.log(2))) / pixel_mm
    noise = ndimage.gaussian_filter(rng.normal(size=shape), [0] * (len(shape) - 2) + [deviation, deviation], mode="wrap")
    return noise / noise.std()


def noisy(slices: Sequence[np.ndarray], cov: float, *, fwhm_mm: float = 6.0, seed: int = 1) -> list[np.ndarray]:
    """Return slices with noise that is a share `cov` of the local value."""
    rng = np.random.default_rng(seed)
    return [suv * (1 + cov * grain(rng, suv.shape, fwhm_mm)) for suv in slices]


def series_of(
    slices: Sequence[np.ndarray],
    *,
    made: PTAcquisition | None = None,
    factor: float | None = FACTOR,
    pixel_mm: float = PIXEL,
    step_mm: float = STEP,
    scale: float = 1.0,
    corner_mm: tuple[float, float] | None = None,
    **header: Any,
) -> Series:
    """Return a series of slices given in SUV; `scale` multiplies what is stored and not the factor: a wrong calibration."""
    size = np.shape(slices[0])[0]
    left, top = corner_mm or (-size / 2 * pixel_mm, -size / 2 * pixel_mm)
    frames = [
        make_frame(
            np.asarray(suv) * scale / (factor or FACTOR),
            modality="PT",
            index=index,
            **(
                {
                    "spacing_mm": (pixel_mm, pixel_mm),
                    "position_mm": (left, top, step_mm * index),
                    "suv_factor": factor,
                }
                | header
            ),
        )
        for index, suv in enumerate(slices)
    ]
    acquisition = Acquisition(modality="PT", pt=made or PTAcquisition(tracer="FDG"))
    series = make_series([], modality="PT", frames=frames, acquisition=acquisition)
    spaced = dataclasses.replace(series.volume, spacing_mm=(step_mm, pixel_mm, pixel_mm))
    return dataclasses.replace(series, volume=spaced)


def partials_of(metric: Any, series: Series) -> list[dict[str, Any] | None]:
    """Return what every frame contributes."""
    return [metric.per_frame(Regions(frame.read())) for frame in series.frames]


def measured(metric: Metric, series: Series) -> Measurement:
    """Return the one measurement of a metric."""
    (found,) = metric.measure(series, partials_of(metric, series))
    return found


def refusal(metric: Metric, series: Series) -> str:
    """Return the reason for which a metric does not apply; fails where it does."""
    with pytest.raises(NotApplicable) as caught:
        measured(metric, series)
    return str(caught.value.values["reason"])
