"""MR share of air with artefacts: Mortamet's first quality index, counted as MRIQC counts it.

Source: Mortamet B, Bernstein MA, Jack CR, Gunter JL, Ward C, Britson PJ, Meuli R, Thiran JP, Krueger G. Automatic quality
assessment in structural brain magnetic resonance imaging. MRM 2009; 62:365-372, doi 10.1002/mrm.21992; as MRIQC computes it
(Esteban et al., PLoS ONE 2017; 12:e0184661): air that lies ten robust deviations over its median is an artefact (with Rayleigh
noise 7.8 times the noise of a channel, which one pixel in 10^13 reaches), and what an opening by a cross takes away is a stray
pixel. It is there to be held against other programs: it is blind to faint ghosts, and what fills most of the air raises the noise
it is held against. `mr_qi1` weighs the same artefacts by their brightness. Here all the air that reaches the frame's border
counts, plane by plane; MRIQC takes the air above the head, in space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import MAD_TO_SD, MIN_FOREGROUND, foreground_level, frame_air, measured
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_qi1_share"
SOURCE: Final = "Mortamet et al., MRM 2009;62:365"
ROBUST_DEVIATIONS: Final = 10.0
MAD_TO_NORMAL: Final = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution: what MRIQC's robust deviations are counted in."""
CROSS: Final = 5
"""Pixels of the opening's element: fewer over the threshold hold none."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the pixels of air and those of artefacts, or the reason why there are none; None for an end of the stack."""
    from scipy import ndimage

    if regions.body_share < MIN_FOREGROUND:
        return None
    noise, level = frame_air(regions), foreground_level(regions)
    if noise.reason is not None:
        return {"level": level, "reason": noise.reason}
    air = regions.full(regions.outer_air) & regions.finite
    threshold = noise.median + ROBUST_DEVIATIONS * MAD_TO_NORMAL * noise.deviation / MAD_TO_SD
    with np.errstate(invalid="ignore"):
        over = air & (regions.image.array > threshold)
    artefacts = int(ndimage.binary_opening(over).sum()) if over.sum() >= CROSS else 0
    return {"level": level, "air": int(air.sum()), "artefacts": artefacts}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the share of the air of all frames.

    Raises
    ------
    NotApplicable
        `no_body`, `no_air` or `background_masked`.
    """
    found = measured(NAME, partials)
    artefacts, air = (sum(int(partial[name]) for partial in found) for name in ("artefacts", "air"))
    return Measurement(quantity=own(NAME, "Share of air with artefacts (QI1)"), value=artefacts / air, unit=Unit.ONE, source=SOURCE)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
