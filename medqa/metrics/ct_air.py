"""CT number of the air around the body: the one value that a CT scanner must always hit.

By definition air is -1000 HU (PS3.3 C.11.1.1.2; Hounsfield, Br J Radiol 1973; 46:1016). The median over the air in the frame is
taken, so that clothes, table and cables do not count. Where nothing in the frame is below -500 HU although the values show air and
tissue a thousand units apart, the scale itself is displaced (a lost rescale intercept): then that lower level is the air.

The limits, -1050 to -850 HU, leave room for scatter in cone-beam scanners and for air that is seen between arm and trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Limits, Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.regions import CT_BODY_HU, Regions
from medqa.series import Series

NAME: Final = "ct_air"
SOURCE: Final = "Hounsfield, Br J Radiol 1973;46:1016"
LIMITS: Final[Limits] = (-1050.0, -850.0)
MIN_PIXELS: Final = 100
"""On the decimated grid."""
MAX_SPREAD_HU: Final = 65.0
"""Median absolute deviation above which it is not air alone: a frame that cuts into the chest has open lung at its border. Air has
up to 53 HU in the training scans, half air and half lung 77 and more."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the median of the air in HU; None where the frame shows no air."""
    values = regions.values
    there = values[np.isfinite(values)]
    if there.size < MIN_PIXELS:
        return None
    if float(there.min()) > CT_BODY_HU:
        level = displaced_air(there)
        return None if level is None else {"median": level}
    if not regions.body.any():
        return None
    sample = values[regions.air]
    if sample.size < MIN_PIXELS:
        return None
    median = float(np.median(sample))
    return {"median": median} if float(np.median(np.abs(sample - median))) <= MAX_SPREAD_HU else None


def displaced_air(values: Any) -> float | None:
    """Return the level of what must be air on a displaced scale; None where the values do not look like air and tissue.

    A tenth of the pixels lie close to the lowest level, and a fifth about a thousand units above it, where no scale but a
    displaced one has this much tissue.
    """
    lowest = float(np.percentile(values, 1))
    near = np.abs(values - lowest) < 40
    tissue = (values > lowest + 850) & (values < lowest + 1250)
    return float(np.median(values[near])) if near.mean() >= 0.1 and tissue.mean() >= 0.2 else None


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in HU.

    Raises
    ------
    NotApplicable
        `no_air` where no frame shows air.
    """
    found = present(NAME, partials, "no_air")
    return Measurement(
        quantity=own(NAME, "CT number of air"),
        value=float(np.median([partial["median"] for partial in found])),
        unit=Unit.HU,
        source=SOURCE,
        limits=LIMITS,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
