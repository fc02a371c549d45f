"""MR signal-to-noise ratio from the foreground and the air around it.

Source: Dietrich O, Raya JG, Reeder SB, Reiser MF, Schoenberg SO. Measurement of signal-to-noise ratios in MR images. J Magn
Reson Imaging 2007; 26:375-385: SNR = 0.6551 * mean of the foreground / standard deviation of the air (Rayleigh noise). The
deviation is taken from the median absolute deviation, which ghosts in the air move little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import frame_air
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_snr"
SOURCE: Final = "Dietrich et al., J Magn Reson Imaging 2007;26:375"
RAYLEIGH: Final = 0.6551
MIN_FOREGROUND: Final = 0.03
"""Frames with a smaller share of foreground are ends of the stack."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the mean of the foreground and the deviation of the air, or the reason why there is none."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    air = frame_air(regions)
    if air.reason is not None:
        return {"reason": air.reason}
    return {"mean": float(regions.values[regions.body].mean(dtype=np.float64)), "deviation": air.deviation}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames.

    Raises
    ------
    NotApplicable
        `no_body` without foreground; `no_air` or `background_masked` where half of the frames or more have no noise in the air.
    """
    found = present(NAME, partials, "no_body")
    ratios = [RAYLEIGH * partial["mean"] / partial["deviation"] for partial in found if "reason" not in partial]
    if 2 * len(ratios) <= len(found):
        raise NotApplicable(what=NAME, reason=commonest_reason(found))
    return Measurement(
        quantity=own(NAME, "Signal-to-noise ratio"),
        value=float(np.median(ratios)),
        unit=Unit.ONE,
        source=SOURCE,
    )


def commonest_reason(partials: Sequence[Partial]) -> str:
    """Return the reason that most frames give; of two, the first in the alphabet."""
    reasons = [str(partial["reason"]) for partial in partials if "reason" in partial]
    return max(sorted(set(reasons)), key=reasons.count)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
