"""Detectability index d' of a disc, seen by a non-prewhitening observer, with or without an eye filter, or a prewhitening one.

Source: Samei E, et al. Performance evaluation of computed tomography systems: summary of AAPM Task Group 233. Med Phys 2019;
46:e735-e756 (10.1002/mp.13763):

    d'² = [∬ |W|² TTF² E² du dv]² / ∬ |W|² TTF² E⁴ NPS du dv

The prewhitening observer undoes the noise's colour first and is the best that there is (ICRU Report 54, 1996):

    d'² = ∬ |W|² TTF² / NPS du dv

W is the transform of the object, TTF the task transfer function, NPS the noise power spectrum, E the eye filter (1 for the
non-prewhitening observer without one). All of them depend on the radial frequency alone, so that du dv is 2 π f df. For white
noise of deviation s in pixels of area a, a perfect TTF and no eye filter, d' of both is the contrast times the root of the disc's
number of pixels over s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement

NAME: Final = "detectability"
PREWHITENED: Final = "prewhitened_detectability"
SOURCE: Final = "AAPM TG-233, Samei et al., Med Phys 2019;46:e735"
SOURCE_PREWHITENED: Final = "ICRU Report 54, 1996"
SAMPLES: Final = 8192
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Takes radial frequencies in /mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc:
    """A disc to be detected: its diameter, and its contrast in the image's unit."""

    diameter_mm: float
    contrast: float

    def transform(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return its Fourier transform at radial frequencies in /mm: contrast times area at 0."""
        from scipy import special

        turn = np.pi * self.diameter_mm * frequency
        area = np.pi * self.diameter_mm**2 / 4
        shape = np.where(turn < 1e-9, 1.0, 2 * special.j1(np.maximum(turn, 1e-9)) / np.maximum(turn, 1e-9))
        return np.asarray(self.contrast * area * shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """A reader's contrast sensitivity, r^1.3 exp(-0.04 r²) with r in cycles per degree: best at 4.

    Form after Burgess AE, Jacobson FL, Judy PF. Med Phys 2001; 28:419. `magnification` is the size on the screen over that in the
    patient.
    """

    viewing_mm: float = 500.0
    magnification: float = 1.5
    power: float = 1.3
    fall: float = 0.04

    def response(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sensitivity at radial frequencies in /mm, as a share of its maximum."""
        degree_mm = self.viewing_mm * np.pi / 180
        seen = frequency / self.magnification * degree_mm
        best = np.sqrt(self.power / (2 * self.fall))
        top = best**self.power * np.exp(-self.fall * best**2)
        return np.asarray(seen**self.power * np.exp(-self.fall * seen**2) / top)


def detectability(
    disc: Disc, *, nps: Curve, highest_per_mm: float, ttf: Curve | None = None, eye: Eye | None = None
) -> Measurement:
    """Return d' of a disc.

    Parameters
    ----------
    disc
        What is to be seen.
    nps
        Noise power spectrum, the image's unit squared times mm².
    highest_per_mm
        Where the integrals end: the Nyquist frequency of the pixels.
    ttf
        Task transfer function; 1 everywhere where none is given.
    eye
        The reader's eye; none by default.

    Raises
    ------
    NotApplicable
        `constant_image` where there is no noise in what the observer looks at.
    """
    frequency, ring = _rings(highest_per_mm)
    seen = _seen(disc, frequency, ttf)
    sensitivity = np.ones_like(frequency) if eye is None else eye.response(frequency) ** 2
    signal = float((seen * sensitivity * ring).sum())
    noise = float((seen * sensitivity**2 * nps(frequency) * ring).sum())
    if not noise > 0:
        raise NotApplicable(what=NAME, reason="constant_image")
    return Measurement(quantity=own(NAME, "Detectability index"), value=signal / noise**0.5, unit=Unit.ONE, source=SOURCE)


def prewhitened_detectability(disc: Disc, *, nps: Curve, highest_per_mm: float, ttf: Curve | None = None) -> Measurement:
    """Return d' of a disc for the observer who undoes the colour of the noise; the arguments are those of `detectability`.

    Raises
    ------
    NotApplicable
        `constant_image` where frequencies of the disc have no noise: there the observer would see it without fail.
    """
    frequency, ring = _rings(highest_per_mm)
    seen, noise = _seen(disc, frequency, ttf), nps(frequency)
    there = seen > 0
    if not (noise[there] > 0).all():
        raise NotApplicable(what=PREWHITENED, reason="constant_image")
    square = float((seen[there] / noise[there] * ring[there]).sum())
    return Measurement(
        quantity=own(PREWHITENED, "Detectability index of the prewhitening observer"),
        value=square**0.5,
        unit=Unit.ONE,
        source=SOURCE_PREWHITENED,
    )


def _rings(highest_per_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return radial frequencies up to the highest, and the area of the ring of each."""
    step = highest_per_mm / SAMPLES
    frequency: NDArray[np.float64] = np.asarray((np.arange(SAMPLES) + 0.5) * step, dtype=np.float64)
    return frequency, 2 * np.pi * frequency * step


def _seen(disc: Disc, frequency: NDArray[np.float64], ttf: Curve | None) -> NDArray[np.float64]:
    """Return the power of the disc as the scanner shows it."""
    kept = np.ones_like(frequency) if ttf is None else ttf(frequency)
    return np.asarray((disc.transform(frequency) * kept) ** 2)
