"""MR foreground-background energy ratio.

Source: Shehzad Z et al., The Preprocessed Connectomes Project Quality Assessment Protocol, Front Neurosci 2015
(conference abstract 10.3389/conf.fnins.2015.91.00047); as MRIQC computes it (Esteban et al., PLoS ONE 2017; 12:e0184661):
median of the squares in the foreground over median of the squares in the air. Here per frame, and the median over frames.
The air is that of `mr_background`, which a ghost does not move. The foreground is the bright tissue that its outline is drawn
around and not all of the head, since noise, and a ghost over the body, lift dim tissue. Values that are stored in steps count as
spread evenly over their step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics import mr_formulae
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import MIN_FOREGROUND, median_over_frames
from medqa.metrics.mr_background import background
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_fber"
SOURCE: Final = "Esteban et al., PLoS ONE 2017;12:e0184661"


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the ratio, or the reason why there is none; None for an end of the stack."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    found = background(regions)
    if found.reason is not None:
        return {"level": found.level, "reason": found.reason}
    # The square keeps the order of values that are not negative: the median of squares is the square of the median.
    return {"level": found.level, "fber": mr_formulae.fber(found.bright**2, found.median**2)}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames.

    Raises
    ------
    NotApplicable
        `no_body`, `no_air` or `background_masked` (MRIQC writes -1 there).
    """
    return Measurement(
        quantity=own(NAME, "Foreground-background energy ratio"),
        value=median_over_frames(NAME, partials, "fber"),
        unit=Unit.ONE,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
