"""PET uptake of the whole body: the mean SUVbw over everything that the scan shows of the patient, which physics ties down.

Activity is conserved: what was injected, less what was voided or lies outside the scan, is spread over the body's mass. With 1 g/ml
the mean SUVbw over the body is therefore the share of the dose that is in it, over the share of the mass: near 1 in a scan from
the thighs to the head, whatever the patient and the tracer's ways. A weight, dose or clock that is wrong moves it by its own
factor, and where no liver is found any more this still has a value. A scan of a part of the body (less than 60 cm) holds more or
less than its share, and has no value.

Source: the definition of SUV (Huang SC, Nucl Med Biol 2000; 27:643-646, 10.1016/S0969-8051(00)00155-4), summed over the body. The
band is wide, since a third of the dose may be voided, and legs hold a third of the mass and little activity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, outside, present
from medqa.metrics.pt_field import field, suv_factor
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "pt_body_suv"
SOURCE: Final = "Huang, Nucl Med Biol 2000;27:643"
MIN_LENGTH_MM: Final = 600.0
BAND: Final = (0.5, 1.6)


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the sum of SUV over the body and its pixels, on the search grid; None where the frame shows none of it."""
    found = field(regions)
    if found is None or not found.body.any():
        return None
    return {"sum": float(found.smooth[found.body].sum(dtype="float64")), "pixels": int(found.body.sum())}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the mean over the body, SUVbw.

    Raises
    ------
    NotApplicable
        `unit_unknown` where there is no SUV; `no_body` where no frame shows a body; `body_truncated` where they show less than
        60 cm.
    """
    if all(suv_factor(frame) is None for frame in series.frames):
        raise NotApplicable(what=NAME, reason="unit_unknown")
    stop = series.stacks[0].stop if series.stacks else len(partials)
    found = present(NAME, partials[:stop], "no_body")
    if len(found) * series.volume.spacing_mm[0] < MIN_LENGTH_MM:
        raise NotApplicable(what=NAME, reason="body_truncated")
    total = math.fsum(partial["sum"] for partial in found)
    return Measurement(
        quantity=own(NAME, "Mean SUV of the body"),
        value=total / sum(partial["pixels"] for partial in found),
        unit=Unit.SUVBW,
        source=SOURCE,
    )


METRIC: Final = Metric(
    name=NAME, per_frame=per_frame, combine=combine, find=outside("pt_body_suv_implausible", BAND, combine), axial=True
)
