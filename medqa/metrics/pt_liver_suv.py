"""PET liver uptake: the mean SUVbw in a disc of 30 mm inside the liver, which tells whether dose, weight and time are plausible.

The region is that of the liver's noise (`pt_liver`), after the EANM procedure guidelines for tumour PET imaging, version 2.0
(Boellaard et al., Eur J Nucl Med Mol Imaging 2015; 42:328). In 343 normal people the mean is 1.85-1.89 with a spread of 0.41-0.44;
the band of the QIBA FDG-PET/CT profile is 1.3-3.0. Outside it, weight, dose, a clock or the calibration is wrong, or the tracer
went elsewhere (muscle after insulin, a vein, a large tumour). An error of a factor of two leaves no liver to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, outside
from medqa.metrics.pt_liver import disc, widest
from medqa.series import Series

NAME: Final = "pt_liver_suv"
SOURCE: Final = "QIBA profile FDG-PET/CT; EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328"
BAND: Final = (1.3, 3.0)
per_frame = disc


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the mean SUVbw over 30 mm around the liver's widest section.

    Raises
    ------
    NotApplicable
        `no_liver` where no run of frames looks like one or the tracer is another; `unit_unknown` where there is no SUV.
    """
    return Measurement(
        quantity=own(NAME, "Mean SUV of the liver"),
        value=float(np.mean([one["mean"] for one in widest(NAME, series, partials)])),
        unit=Unit.SUVBW,
        source=SOURCE,
    )


METRIC: Final = Metric(
    name=NAME, per_frame=per_frame, combine=combine, find=outside("pt_liver_suv_implausible", BAND, combine), axial=True
)
