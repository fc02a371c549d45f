"""MR signal-to-noise ratio from the body's outline and the air around it.

Source: Dietrich O, Raya JG, Reeder SB, Reiser MF, Schoenberg SO. Measurement of signal-to-noise ratios in MR images. JMRI 2007;
26:375-385: SNR = 0.6551 * mean of the foreground / standard deviation of the air (Rayleigh noise). The mean is that of the body's
outline, the deviation that of the darkest air, from second differences in blocks (`mr_background`), which ghosts, side lobes and
stored steps move little. Where the air is uneven, by ghosts for instance, the ratio reads higher than from all of the air.
With parallel imaging noise is greatest within the body, and air tells too little (Dietrich): two diffusion scans that were remarked
as noisy read 70 and 123 (docs/natural_mr.md), where `mr_noise` tells.

The limit is Rose's: below 3 to 5 times the noise nothing is told apart (Rose A, J Opt Soc Am 1948; 38:196); 3 is taken, since the
foreground holds dim tissue too. Diffusion images live with less and have none. The lowest of the clean training scans is 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from medqa.codes import Unit, own
from medqa.measurement import Limits, Measurement
from medqa.metrics import mr_formulae
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import MIN_FOREGROUND, median_over_frames
from medqa.metrics.mr_background import background
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_snr"
LIMITS: Final[Limits] = (3.0, None)
SOURCE: Final = "Dietrich et al., JMRI 2007;26:375"


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the ratio, or the reason why there is none; None for an end of the stack."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    found = background(regions)
    reason = found.reason or found.noiseless
    if reason is not None:
        return {"level": found.level, "reason": reason}
    return {"level": found.level, "snr": mr_formulae.dietrich(found.level, found.deviation)}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames.

    Raises
    ------
    NotApplicable
        `no_body`, `no_air` or `background_masked`.
    """
    return Measurement(
        quantity=own(NAME, "Signal-to-noise ratio"),
        value=median_over_frames(NAME, partials, "snr"),
        unit=Unit.ONE,
        source=SOURCE,
        limits=None if any(frame.header.b_value for frame in series.frames) else LIMITS,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
