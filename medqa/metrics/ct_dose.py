"""Size-specific dose estimate, and the noise at a dose: whether the scanner made of the dose what it could.

    SSDE = f(Dw) x CTDIvol
    f(Dw) = 3.704369 exp(-0.03671937 Dw) for the 32 cm phantom, 1.874799 exp(-0.03871313 Dw) for the 16 cm one, Dw in cm

Sources: AAPM Report 204, 2011 (factors), Report 220, 2014 (Dw in place of the effective diameter). Report 293 (2019) has factors of
its own for heads; they are not used here, so a head's estimate is that of Report 204.
CTDIvol and its phantom are what the header declares; where it names no phantom there is no estimate, because a wrong guess is wrong
by a factor of two.

The noise falls with the inverse root of dose and of slice thickness, so that

    noise x sqrt(SSDE / 10 mGy) x sqrt(thickness / 5 mm)

is the noise that this scan would have at 10 mGy and 5 mm. Lower is better. It doubles with a sharp kernel: compare scans of one
kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Code, Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics import ct_noise, ct_size
from medqa.metrics.metric import Metric, Partial
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "ct_ssde"
ESTIMATE: Final = Code("113930", "DCM", "Size Specific Dose Estimate")
NOISE: Final = "ct_noise_dose"
SOURCE: Final = "AAPM Report 204, 2011"
FACTORS: Final[dict[float, tuple[float, float]]] = {320.0: (3.704369, 0.03671937), 160.0: (1.874799, 0.03871313)}
"""Diameter of the CTDI phantom in mm: the two numbers of `f`."""
SIZES_MM: Final = (60.0, 550.0)
"""Diameters for which the tables were made, both phantoms together."""
REFERENCE_MGY: Final = 10.0
REFERENCE_MM: Final = 5.0


def factor(diameter_mm: float, phantom_mm: float) -> float:
    """Return what multiplies CTDIvol to the dose of a body of this water-equivalent diameter (KeyError for another phantom)."""
    height, slope = FACTORS[phantom_mm]
    return height * math.exp(-slope * diameter_mm / 10)


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return diameter, cut share and noise of a frame whose dose is declared; None elsewhere."""
    if regions.image.frame.header.ctdivol_mgy is None:
        return None
    size = ct_size.per_frame(regions)
    return None if size is None else {**size, "noise": ct_noise.frame_noise(ct_noise.per_frame(regions))}


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the mean estimate over the frames in mGy and, where noise and thickness are known, the noise at 10 mGy and 5 mm in HU.

    Raises
    ------
    NotApplicable
        `header_silent` where CTDIvol or its phantom is not declared, else as `ct_size.whole`.
    """
    made = series.acquisition.ct
    doses = [frame.header.ctdivol_mgy for frame in series.frames]
    if not any(dose is not None and dose > 0 for dose in doses):
        raise NotApplicable(what=NAME, reason="header_silent", keyword="CTDIvol")
    phantom_mm = None if made is None else made.ctdi_phantom_mm
    if phantom_mm not in FACTORS:
        raise NotApplicable(what=NAME, reason="header_silent", keyword="CTDIPhantomTypeCodeSequence")
    found = [
        (dose * factor(one["diameter"], phantom_mm), one["noise"])
        for index, one in ct_size.whole(NAME, series, partials)
        if (dose := doses[index]) is not None and dose > 0 and SIZES_MM[0] <= one["diameter"] <= SIZES_MM[1]
    ]
    if not found:
        raise NotApplicable(what=NAME, reason="no_body")
    estimate = Measurement(quantity=ESTIMATE, value=float(np.mean([dose for dose, _ in found])), unit=Unit.MGY, source=SOURCE)
    thickness = series.acquisition.slice_thickness_mm
    merits = [noise * math.sqrt(dose / REFERENCE_MGY) for dose, noise in found if noise is not None]
    if not merits or not thickness or thickness <= 0:
        return (estimate,)
    return estimate, Measurement(
        quantity=own(NOISE, "Noise at 10 mGy and 5 mm"),
        value=float(np.median(merits)) * math.sqrt(thickness / REFERENCE_MM),
        unit=Unit.HU,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True, more=(ESTIMATE.value, NOISE))
