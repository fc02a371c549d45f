"""What goes wrong in a PET header: pixels stay, but the uptake value that is computed from them is another.

Sources: Kinahan and Fletcher, Semin Ultrasound CT MR 2010; 31:496 (doi 10.1053/j.sult.2010.10.001), on errors of weight, dose and
clock; attributes after PS3.3 C.8.9.2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydicom import Dataset

from medqa.errors import InvalidDegradation
from medqa.reader.values import items, number, parse_moment, text
from medqa.simulate.degradation import Change, Kind, Parameter, Parameters, keeps_pixels

Edit = Callable[[Dataset, Parameters], None]
"""Changes a header in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderKind(Kind):
    """A kind of fault that lies in the header of every instance of a PET series."""

    modality: str = "PT"
    change: Change = keeps_pixels
    edit: Edit

    def edited(self, header: Dataset, parameters: Parameters) -> Dataset:
        """Return a copy of a header with the fault in it.

        Raises
        ------
        InvalidDegradation
            Where the header lacks what is to be wrong.
        """
        made = copy.deepcopy(header)
        self.edit(made, parameters)
        return made


def _weight(header: Dataset, parameters: Parameters) -> None:
    _scale(header, "pt-weight", "PatientWeight", parameters["factor"])


def _injection(header: Dataset, parameters: Parameters) -> None:
    drug = _drug(header)
    stated, clock = text(drug, "RadiopharmaceuticalStartDateTime"), text(drug, "RadiopharmaceuticalStartTime")
    if not (stated or clock):
        raise InvalidDegradation(kind="pt-injection", reason="the header has no RadiopharmaceuticalStartTime")
    earlier = timedelta(minutes=parameters["minutes"])
    if stated and (moment := parse_moment(stated)) is not None:
        drug.RadiopharmaceuticalStartDateTime = (moment - earlier).strftime("%Y%m%d%H%M%S")
    if clock and (moment := parse_moment(f"20000102{clock}")) is not None:
        # A clock has no date: it goes once round.
        drug.RadiopharmaceuticalStartTime = (moment - earlier).strftime("%H%M%S")


def _dose(header: Dataset, parameters: Parameters) -> None:
    _scale(_drug(header), "pt-dose", "RadionuclideTotalDose", parameters["factor"])


def _half_life(header: Dataset, parameters: Parameters) -> None:
    _scale(_drug(header), "pt-half-life", "RadionuclideHalfLife", parameters["factor"])


def _drug(header: Dataset) -> Dataset:
    """Return what the header tells of the tracer; nothing where it is silent."""
    return next(iter(items(header, "RadiopharmaceuticalInformationSequence")), Dataset())


def _scale(dataset: Dataset, kind: str, keyword: str, factor: float) -> None:
    """Multiply a positive number in place."""
    value = number(dataset, keyword)
    if value is None or value <= 0:
        raise InvalidDegradation(kind=kind, reason=f"the header has no {keyword}")
    setattr(dataset, keyword, f"{value * factor:.6g}")


HEADERS: Final[Mapping[str, HeaderKind]] = {
    kind.full_name: kind
    for kind in (
        HeaderKind(
            name="weight",
            summary="The patient's weight was entered wrongly: every SUV is wrong by the same factor.",
            source="Kinahan and Fletcher, Semin Ultrasound CT MR 2010;31:496",
            strength=Parameter("factor", "stated weight over the true one", "1", 0.05, 20.0),
            levels=(1.15, 1.4, 1.8, 2.2),
            edit=_weight,
        ),
        HeaderKind(
            name="injection",
            summary="The time of injection is wrong: decay is corrected over too long a time, and every SUV is too high.",
            source="Kinahan and Fletcher, Semin Ultrasound CT MR 2010;31:496",
            strength=Parameter("minutes", "how much too early the stated injection is", "min", -180.0, 720.0),
            levels=(15.0, 30.0, 60.0, 120.0),
            edit=_injection,
        ),
        HeaderKind(
            name="dose",
            summary="The injected dose was entered wrongly: the scale of every SUV is wrong.",
            source="Kinahan and Fletcher, Semin Ultrasound CT MR 2010;31:496",
            strength=Parameter("factor", "stated dose over the true one", "1", 0.05, 20.0),
            levels=(1.15, 1.4, 1.8, 2.2),
            edit=_dose,
        ),
        HeaderKind(
            name="half-life",
            summary="The half-life is that of another nuclide (68Ga for 18F: 0.62, 11C: 0.19): decay is corrected wrongly.",
            source="Kinahan and Fletcher, Semin Ultrasound CT MR 2010;31:496",
            strength=Parameter("factor", "stated half-life over the true one", "1", 0.05, 20.0),
            levels=(0.9, 0.75, 0.62, 0.19),
            edit=_half_life,
        ),
    )
}
"""By full name."""
