"""PET uptake time: minutes from the injection to the start of the scan, from the header.

The EANM procedure guidelines for tumour PET imaging, version 2.0 (Boellaard et al., Eur J Nucl Med Mol Imaging 2015; 42:328) ask
FDG for 60 minutes and accept 55-75, and for repeated scans of a patient the same to 10 minutes. The start of the scan is the time
to which the decay was corrected (`medqa.reader.suv`). The note where the time leaves the band is made by the checks of the header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "pt_uptake"
SOURCE: Final = "EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328"


def per_frame(regions: Regions) -> None:
    """Return nothing: all is in the header."""
    return


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the uptake time in minutes.

    Raises
    ------
    NotApplicable
        `header_silent` where the injection or the scan has no time, `header_contradicts` where the scan comes first.
    """
    minutes = None if series.acquisition.pt is None else series.acquisition.pt.uptake_min
    if minutes is None:
        raise NotApplicable(what=NAME, reason="header_silent", keyword="RadiopharmaceuticalStartDateTime")
    if minutes < 0:
        raise NotApplicable(what=NAME, reason="header_contradicts")
    return Measurement(quantity=own(NAME, "Time from injection to scan"), value=float(minutes), unit=Unit.MINUTE, source=SOURCE)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
