"""Detectability of a disc in a CT series, from the noise and the sharpness that the series itself shows.

The noise power spectrum comes from uniform soft tissue (`ct_nps`), the task transfer function from the skin (`ct_ttf`): what AAPM
TG-233 measures on a phantom, measured in the patient.

Below about 0.1 /mm patients' spectra are anatomy and are not measured: the first value is taken for all that lies below. That is
exact for white noise and too much for a kernel's ramp, so that d' of wide discs comes out low. The spectrum's shape is that of the
quietest patches, as everywhere; its level is the median over all patches without structure, since the quietest are too quiet.

Source: Samei E, et al. Performance evaluation of computed tomography systems: summary of AAPM Task Group 233. Med Phys 2019;
46:e735-e756 (10.1002/mp.13763).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics import ct_nps, ct_ttf
from medqa.metrics.full_reference.detectability import Disc, Eye, detectability, prewhitened_detectability
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What a series shows of its noise and its sharpness, at frequencies in /mm, and where its pixels end."""

    nps_frequencies: Values
    nps: Values
    """HU² mm²."""
    ttf_frequencies: Values
    ttf: Values
    highest_per_mm: float

    def noise(self, frequency: Values) -> Values:
        """Return the noise power spectrum, the outermost values beyond what was measured."""
        return np.interp(frequency, self.nps_frequencies, self.nps)

    def kept(self, frequency: Values) -> Values:
        """Return the task transfer function."""
        return np.interp(frequency, self.ttf_frequencies, self.ttf)

    def detectability(self, disc: Disc, *, eye: Eye | None = None) -> Measurement:
        """Return d' of a disc for the non-prewhitening observer."""
        return detectability(disc, nps=self.noise, ttf=self.kept, highest_per_mm=self.highest_per_mm, eye=eye)

    def prewhitened(self, disc: Disc) -> Measurement:
        """Return d' of a disc for the prewhitening observer."""
        return prewhitened_detectability(disc, nps=self.noise, ttf=self.kept, highest_per_mm=self.highest_per_mm)


def measured(series: Series) -> Measured:
    """Return the mean spectrum of a CT series' uniform patches and the median transfer function of its frames.

    Raises
    ------
    NotApplicable
        `header_silent` where the pixels have no size, `no_soft_tissue` without uniform patches, `no_skin` without skin against air.
    UndecodablePixels
        Where a frame cannot be decoded.
    """
    spacing = series.frames[0].header.spacing_mm if series.frames else None
    if spacing is None:
        raise NotApplicable(what=ct_nps.NAME, reason="header_silent", keyword="PixelSpacing")
    spectra, patches, levels, curves = [], 0, [], []
    for frame in series.frames:
        regions = Regions(frame.read())
        found = ct_nps.per_frame(regions)
        if found is not None and frame.header.spacing_mm == spacing:
            spectra.append(found["power"])
            patches += found["patches"]
            levels.append(level(regions))
        edge = ct_ttf.edge(regions)
        curve = None if edge is None else ct_ttf.transfer(edge.distance, edge.level, edge.bin_mm, edge.half_mm)
        if curve is not None:
            curves.append(curve)
    if patches < ct_nps.MIN_PATCHES:
        raise NotApplicable(what=ct_nps.NAME, reason="no_soft_tissue")
    if not curves:
        raise NotApplicable(what=ct_ttf.NAME, reason="no_skin")
    _, step, _ = ct_nps.rings(spacing, ct_nps.patch_shape(spacing))
    power = np.sum(spectra, axis=0) / patches * float(np.median(levels))
    highest = 0.5 / max(spacing)
    frequencies = np.linspace(0.0, highest, ct_ttf.PADDED // 8)
    ttf = np.median([np.interp(frequencies, *curve) for curve in curves], axis=0)
    return Measured(
        nps_frequencies=(ct_nps.FIRST_RING + np.arange(power.size)) * step,
        nps=power,
        ttf_frequencies=frequencies,
        ttf=ttf,
        highest_per_mm=highest,
    )


def level(regions: Regions) -> float:
    """Return the variance of noise over that of the quietest patches, from which the spectrum is taken."""
    quietest = ct_nps.uniform_patches(regions)
    without_structure = ct_nps.uniform_patches(regions, candidates=None, most=None)
    return float(np.median(_variances(without_structure)) / _variances(quietest).mean())


def _variances(patches: Array) -> Values:
    return np.asarray(ct_nps.detrended(patches).var(axis=(1, 2)))
