"""MR artefacts in air: the signal that the air around the head or body holds beyond its noise, as a share of the body's.

Source: Mortamet B, Bernstein MA, Jack CR, Gunter JL, Ward C, Britson PJ, Meuli R, Thiran JP, Krueger G. Automatic quality
assessment in structural brain magnetic resonance imaging. MRM 2009; 62:365-372, doi 10.1002/mrm.21992. The idea is his: air holds
noise and artefacts, and how much of it is artefact is a measure of quality (QI1). He counts the voxels of air over a threshold that
survive an opening, and such a share does not tell faint from bright. Here, and this is ours, every pixel of air counts by its
brightness: nothing for noise, one for what is as bright as the body,

    QI1 = (mean of the air - 1.913 * deviation of its noise) / mean of the body.

MRIQC's threshold (ten robust deviations over the median; Esteban et al., PLoS ONE 2017; 12:e0184661) read 0 both of clean training
scans and of those with ghosts of 6 %; a zipper one pixel wide was opened away, and strong ghosts were taken for the body.

Air and noise are those of `mr_surroundings`. Near the outline pixels count less (`NEAR`), so that an outline that moves by one
element moves the value little. It is a little below 0 where the noise is smoother than Rayleigh's, and above 0 where it is coloured
or uneven: clean training scans read 0.01 to 0.11 (10th and 90th percentile). Dim tissue may lie beyond a bright, sharp edge: where
the body mask finds it both in the columns and in the rows of the outline, there is no value; ghosts lie along one axis only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import MIN_FOREGROUND, median_over_frames
from medqa.metrics.mr_surroundings import is_air, surroundings
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_qi1"
SOURCE: Final = "after Mortamet et al., MRM 2009;62:365"
MEAN_TO_DEVIATION: Final = math.sqrt(math.pi / (4 - math.pi))
"""Mean of Rayleigh noise over its deviation, 1.913."""
NEAR: Final = (3.0, 15.0)
"""Elements outside the outline at which air begins to count, and from which on it counts in full."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the artefacts' share, or the reason why there is none; None for an end of the stack."""
    found = surroundings(regions)
    if found.outline.mean() < MIN_FOREGROUND:
        return None
    level, noise = found.background.level, found.background.deviation
    if found.reason is not None:
        return {"level": level, "reason": found.reason}
    if not any(is_air(strip, regions) for strip in found.strips()):
        return {"level": level, "reason": "no_air"}
    weight = np.where(found.air, np.clip((found.away - NEAR[0]) / (NEAR[1] - NEAR[0]), 0, 1), 0)
    mean = found.mean(regions, weight)
    return {"level": level, "share": (mean - MEAN_TO_DEVIATION * noise) / level}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames.

    Raises
    ------
    NotApplicable
        `no_body`, `no_air`, `unit_unknown` or `background_masked`.
    """
    return Measurement(
        quantity=own(NAME, "Artefact signal in air (after QI1)"),
        value=median_over_frames(NAME, partials, "share"),
        unit=Unit.ONE,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
