"""CT truncation: how much of the body's outline the reconstructed field of view cuts off, and how bright the cut is.

What lies outside the field that the scanner measured is missing in its projections; filtered back-projection then raises the values
along the cut (Ohnesorge et al., Med Phys 2000; 27:39-46). A body that is cut off by a small reconstruction alone, which is meant so
for hearts, ears and spines, touches the border just the same but has no bright rim: both are told.

The border is that of the image, or that of the circle outside of which the scanner stored nothing, or one and the same value.

The finding asks for a rim brighter than 30 HU. In the training scans that are not marked as spoiled, 13 bodies touch the border:
12 of their rims lie between -82 and 11 HU; one, with an arm cut off, has 83 HU. Of the spoiled ones five have 34 to 99 HU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present, runs
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_truncation"
RIM: Final = "ct_truncation_rim"
SOURCE: Final = "Ohnesorge et al., Med Phys 2000;27:39"
RIM_MM: Final = 6.0
DEPTH_MM: Final = 25.0
"""The rim is compared with what lies this deep: beyond the rise, still of the same wall of the body."""
SOFT_HU: Final = (-150.0, 600.0)
"""Truncation may lift fat and muscle by hundreds of HU."""
MIN_ELEMENTS: Final = 10
MAX_RIM_HU: Final = 30.0
MIN_SHARE: Final = 0.02
"""Under this the body only grazes the border, and there is no rim to speak of."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the elements of the outline, those of them at the border, and the rise there in HU; None without a body."""
    body = regions.body
    if not body.any():
        return None
    field = field_of_view(regions.values)
    outer = body & ~eroded(body)
    touching = outer & ~eroded(field)
    count, cut = int(outer.sum()), int(touching.sum())
    return {"outline": count, "cut": cut, "rim": rise(regions, field) if cut >= max(MIN_ELEMENTS, MIN_SHARE * count) else None}


def field_of_view(values: Array) -> Mask:
    """Return where the scanner reconstructed something, `(y, x)`: not in corners without a value, or with one value in all four."""
    field: Mask = np.isfinite(values)
    y, x = (np.linspace(-1, 1, size) for size in values.shape)
    radius = np.hypot(y[:, None], x[None, :])
    there = values[(radius > 1.02) & field]
    if there.size > MIN_ELEMENTS and there.min() == there.max():
        field &= radius <= 1.0
    return field


def eroded(mask: Mask) -> Mask:
    """Return the elements of a mask whose four neighbours belong to it; beyond the frame nothing does."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner


def rise(regions: Regions, field: Mask) -> float | None:
    """Return by how many HU soft tissue along the cut lies above soft tissue further in; None where either is too little."""
    from scipy import ndimage

    spacing = [size * regions.step for size in regions.image.spacing_mm]
    depth = ndimage.distance_transform_edt(np.pad(field, 1), sampling=spacing)[1:-1, 1:-1]
    values = regions.values
    with np.errstate(invalid="ignore"):
        soft = regions.body & (values > SOFT_HU[0]) & (values < SOFT_HU[1])
    # The outermost element is partly filled and never counts.
    rim = soft & (depth > max(spacing)) & (depth <= max(spacing) + RIM_MM)
    within = soft & (depth > DEPTH_MM - RIM_MM) & (depth <= DEPTH_MM + RIM_MM)
    if rim.sum() < MIN_ELEMENTS or within.sum() < MIN_ELEMENTS:
        return None
    return float(np.median(values[rim]) - np.median(values[within]))


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement | tuple[Measurement, ...]:
    """Return the share of the outline that is cut off, in percent over all frames, and where it is cut the rise at the rim in HU.

    Raises
    ------
    NotApplicable
        `no_body` where no frame shows a body.
    """
    found = present(NAME, partials, "no_body")
    share = sum(partial["cut"] for partial in found) / sum(partial["outline"] for partial in found)
    cut = Measurement(
        quantity=own(NAME, "Share of the body outline cut off by the field of view"),
        value=100.0 * share,
        unit=Unit.PERCENT,
        source=SOURCE,
    )
    rims = [partial["rim"] for partial in found if partial["rim"] is not None]
    if not rims:
        return cut
    rim = Measurement(
        quantity=own(RIM, "Rise of soft tissue at the cut"), value=float(np.median(rims)), unit=Unit.HU, source=SOURCE
    )
    return cut, rim


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return the runs of frames whose body is cut off with a rim brighter than `MAX_RIM_HU`."""
    flags = [partial is not None and partial["rim"] is not None and partial["rim"] > MAX_RIM_HU for partial in partials]
    return [_told(partials, first, last) for first, last in runs(flags)]


def _told(partials: Sequence[Partial | None], first: int, last: int) -> Finding:
    within = [partial for partial in partials[first : last + 1] if partial is not None]
    share = sum(partial["cut"] for partial in within) / sum(partial["outline"] for partial in within)
    rim = float(np.median([partial["rim"] for partial in within]))
    return finding(NAME, values={"share": 100.0 * share, "rim": rim}, frames=(first, last))


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, more=(RIM,))
