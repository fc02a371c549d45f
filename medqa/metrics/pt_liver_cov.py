"""PET liver noise: the coefficient of variation in a disc of 30 mm inside the liver, found without being shown it.

The quantity: EANM procedure guidelines for tumour PET imaging, version 2.0 (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;
42:328). How the liver is found stands in `pt_liver`.

The limit, 30 %, is twice what EARL asks of a clinical liver (15 %): beyond it the noise is worse than a protocol explains. Too few
whole-body scans are at hand to set it from data (two in training).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Limits, Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.pt_field import suv_factor
from medqa.metrics.pt_liver import disc, widest
from medqa.series import Series

__all__ = ["LIMITS", "METRIC", "NAME", "combine", "per_frame", "suv_factor"]

NAME: Final = "pt_liver_cov"
SOURCE: Final = "EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328"
LIMITS: Final[Limits] = (None, 30.0)
per_frame = disc


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the mean of deviation over mean, in percent, over 30 mm around the liver's widest section.

    Raises
    ------
    NotApplicable
        `no_liver` where no run of frames looks like one or the tracer is another; `unit_unknown` where there is no SUV.
    """
    chosen = widest(NAME, series, partials)
    return Measurement(
        quantity=own(NAME, "Coefficient of variation in the liver"),
        value=100.0 * float(np.mean([one["sd"] / one["mean"] for one in chosen])),
        unit=Unit.PERCENT,
        source=SOURCE,
        limits=LIMITS,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
