"""CT signal-to-noise ratio of soft tissue.

The signal is the CT number above vacuum, HU + 1000, which is proportional to the attenuation of the tissue (Hounsfield, Br J Radiol
1973; 46:1016): a scale whose zero is water would make the ratio of water 0 whatever the dose. The noise is the median over the
frames of what `ct_noise` takes. The ratio grows with the square root of the dose and of the slice thickness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics import ct_tissue
from medqa.metrics.metric import Metric, Partial, present
from medqa.series import Series

NAME: Final = "ct_snr"
LEVEL: Final = "ct_soft_tissue"
SOURCE: Final = "Hounsfield, Br J Radiol 1973;46:1016"
VACUUM_HU: Final = -1000.0


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the ratio, and the CT number of soft tissue in HU.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where there is too little of it.
    """
    found = present(NAME, partials, "no_soft_tissue")
    soft, noise = ct_tissue.soft_level(ct_tissue.total(found)), ct_tissue.series_noise(found)
    if soft is None or noise is None:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    return (
        Measurement(
            quantity=own(NAME, "Signal-to-noise ratio of soft tissue"),
            value=(soft - VACUUM_HU) / noise,
            unit=Unit.ONE,
            source=SOURCE,
        ),
        Measurement(quantity=own(LEVEL, "CT number of soft tissue"), value=soft, unit=Unit.HU, source=SOURCE),
    )


METRIC: Final = Metric(name=NAME, per_frame=ct_tissue.per_frame, combine=combine, more=(LEVEL,))
