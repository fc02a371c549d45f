"""The body in a PET frame, whatever is hot in it: what exceeds an SUV of 0.15, or where SUV is not known, what is no air.

The body of `medqa.regions` is what exceeds 4 % of the 99.5th percentile; beside a bladder of SUV 60 that is 2.4, and the body is
lost. Where there is no SUV, air and body are parted by Otsu's cut (IEEE Trans SMC 1979; 9:62) on the logarithm, in which a bladder
is as far from muscle as muscle is from air, and small. It may only lower the threshold: a crop that shows no air has none to part.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.metrics.pt_field import body_above, field
from medqa.regions import Mask, Regions, enlarge, foreground_threshold, otsu
from medqa.volume import Array

NAME: Final = "pt_body"
FLOOR: Final = 1e-3
"""Share of the 99.5th percentile below which all is air."""


def body(regions: Regions) -> Mask:
    """Return the body on the frame's own grid, `(y, x)`; made once a frame, whoever asks first."""
    if NAME not in regions.shared:
        seen = field(regions)
        found, step = (searched(regions.values), regions.step) if seen is None else (seen.body, seen.step)
        regions.shared[NAME] = enlarge(found, step, regions.image.array.shape)
    made: Mask = regions.shared[NAME]
    return made


def searched(values: Array) -> Mask:
    """Return the body in values of any unit, `(y, x)`."""
    known = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    threshold = foreground_threshold(known, "PT")
    if not np.isfinite(threshold):
        return np.zeros(known.shape, dtype=bool)
    floor = FLOOR * float(np.percentile(known[known > 0], 99.5))
    return body_above(known, min(threshold, float(np.exp(otsu(np.log(np.maximum(known, floor)))))))
