"""CT cupping: by how much soft tissue at the rim of the body reads higher than at its centre.

Beam hardening and scatter that are not corrected make the middle of a body too dark: a cup (Brooks and Di Chiro, Phys Med Biol
1976; 21:390-398, 10.1088/0031-9155/21/3/004). In a phantom of water and in the brain the difference is the artefact. A chest or an
abdomen, whose rim and centre are not of one kind, mostly gives no value.

Soft tissue is what lies within 60 HU of the commonest value between -40 and 140 HU; its median is taken where the body is less
deep than a quarter, and where it is deeper than 70 percent, of its greatest depth. The window moves with the median until it
stays, shell by shell from the rim to the centre, so that a cup deeper than the window is followed. Heads among the training
scans that are not marked as spoiled have 6 to 15 HU: grey matter lies outside of white, and the inside of the skull is blurred
into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "ct_cupping"
SOURCE: Final = "Brooks and Di Chiro, Phys Med Biol 1976;21:390"
START_HU: Final = (-40.0, 140.0)
HALF_WINDOW_HU: Final = 60.0
RIM: Final = (0.08, 0.25)
"""Shares of the greatest depth; further out lie skin and partly filled elements."""
WAY: Final = (0.25, 0.40, 0.55, 0.70, 1.0)
"""Borders of the shells from the rim to the centre, which is the last of them."""
MIN_ELEMENTS: Final = 40
MIN_SHARE: Final = (0.2, 0.7)
"""Of what lies at the rim (beside a skull) and at the centre must be soft tissue of one kind: lung, bowel and spine make no cup."""
STEPS: Final = 6


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return soft tissue at the rim and at the centre, in HU; None where either has too little of it."""
    from scipy import ndimage

    body = regions.body
    if not body.any():
        return None
    values = regions.values
    depth = ndimage.distance_transform_edt(np.pad(body, 1), sampling=regions.image.spacing_mm)[1:-1, 1:-1]
    share = depth / depth.max()
    start = commonest(values[body])
    if start is None:
        return None
    rim = settled(values[body & (share >= RIM[0]) & (share <= RIM[1])], start, MIN_SHARE[0])
    if rim is None:
        return None
    centre: float | None = rim
    for inner, outer in zip(WAY[1:], WAY, strict=False):
        before = rim if centre is None else centre
        centre = settled(values[body & (share > outer) & (share <= inner)], before, MIN_SHARE[1])
    return None if centre is None else {"rim": rim, "centre": centre}


def commonest(values: NDArray[np.float32]) -> float | None:
    """Return the commonest value of soft tissue in HU; None where there is too little of it."""
    soft = values[(values > START_HU[0]) & (values < START_HU[1])]
    if soft.size < MIN_ELEMENTS:
        return None
    counts, edges = np.histogram(soft, bins=36, range=START_HU)
    top = int(np.argmax(np.convolve(counts, np.ones(5), mode="same")))
    return float((edges[top] + edges[top + 1]) / 2)


def settled(values: NDArray[np.float32], start: float, least: float) -> float | None:
    """Return the median of the values within the window about it, found step by step from `start`; None where too few are."""
    middle = start
    for _ in range(STEPS):
        near = values[np.abs(values - middle) <= HALF_WINDOW_HU]
        if near.size < MIN_ELEMENTS or near.size < least * values.size:
            return None
        middle = float(np.median(near))
    return middle


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames of rim minus centre, in HU.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` where no frame has enough of it at rim and centre.
    """
    found = present(NAME, partials, "no_soft_tissue")
    return Measurement(
        quantity=own(NAME, "Cupping"),
        value=float(np.median([partial["rim"] - partial["centre"] for partial in found])),
        unit=Unit.HU,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True)
