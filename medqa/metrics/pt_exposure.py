"""PET exposure: injected activity times scan time per kilogram of the patient, from the header.

    exposure = dose [MBq] x time per bed [min] / weight [kg]

This product decides the counts of an image. The EANM procedure guidelines for tumour PET imaging, version 2.0 (Boellaard et al.,
Eur J Nucl Med Mol Imaging 2015; 42:328) ask FDG for at least 14 MBq min/kg where beds overlap by up to 30 %, for 7 where they
overlap by more; scanners of high sensitivity do with less, so that there is no limit here. The dose is that of the injection
(Radionuclide Total Dose), not brought to the time of the scan, as in the guideline; the time is that of one frame (Actual Frame
Duration: DICOM PS3.3 C.8.9.4).
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

NAME: Final = "pt_exposure"
SOURCE: Final = "EANM guidelines, Eur J Nucl Med Mol Imaging 2015;42:328"


def per_frame(regions: Regions) -> None:
    """Return nothing: all is in the header."""
    return


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the exposure in MBq min/kg.

    Raises
    ------
    NotApplicable
        `header_silent` with the keyword of what is missing or not above zero.
    """
    made = series.acquisition.pt
    told = {
        "RadionuclideTotalDose": None if made is None else made.injected_dose_bq,
        "ActualFrameDuration": None if made is None else made.time_per_bed_s,
        "PatientWeight": None if made is None else made.weight_kg,
    }
    for keyword, value in told.items():
        if value is None or not value > 0:
            raise NotApplicable(what=NAME, reason="header_silent", keyword=keyword)
    dose_bq, time_s, weight_kg = (value or 0.0 for value in told.values())
    return Measurement(
        quantity=own(NAME, "Injected activity times scan time per kilogram"),
        value=dose_bq / 1e6 * time_s / 60 / weight_kg,
        unit=Unit.MBQ_MIN_PER_KG,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
