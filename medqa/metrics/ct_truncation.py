"""CT truncation: how much of the body's outline the reconstructed field of view cuts off, and how bright the cut is.

What lies outside the field that the scanner measured is missing in its projections; filtered back-projection then raises the values
along the cut (Ohnesorge et al., Med Phys 2000; 27:39-46). A body that is cut off by a small reconstruction alone, which is meant so
for hearts, ears and spines, touches the border just the same but has no bright rim: both are told.

The border is that of the image, or that of the circle outside of which the scanner stored nothing, or one and the same value. Where
the detector ends before the image does, values outside are made up; then the circle about the axis counts on which many rays end
with a rim that glows (`field`). Bone under the image's border (a skull) hides the rim there.

The finding asks for a rim brighter than 30 HU. In the training scans that are not marked as spoiled (44 frames of 38 scans) 22
bodies touch a border: 20 of their rims lie between -82 and 9 HU; one, with an arm cut off, has 83 HU, another 210 HU. Of the 11
rims of spoiled ones five have 31 to 99 HU. Simulated fields of 0.95, 0.88, 0.80 and 0.70 of the body's reach are told from 26
clean slices by the rim with an AUC of 0.82, 1.0, 1.0 and 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.field import field_circle, field_of_view
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
CIRCLE_ELEMENTS: Final = 2.0
"""The outline is good to about an element, and a bright rim fades over another."""
MIN_SHARE: Final = 0.02
"""Under this the body only grazes the border, and there is no rim to speak of."""


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the elements of the outline, those of them that are cut off, and the rise there in HU; None without a body."""
    from scipy import ndimage

    body = regions.body
    if not body.any():
        return None
    spacing = [size * regions.step for size in regions.image.spacing_mm]
    field = field_of_view(regions.values)
    circle = field_circle(regions)
    if circle is not None:
        body = circle.body(regions)
    outer = body & ~eroded(body)
    touching = outer & ~eroded(field)
    rim = None
    if touching.sum() >= max(MIN_ELEMENTS, MIN_SHARE * int(outer.sum())):
        rim = rise(regions, ndimage.distance_transform_edt(np.pad(field, 1), sampling=spacing)[1:-1, 1:-1])
    if circle is not None:
        near = circle.distances(regions) >= circle.radius_mm - CIRCLE_ELEMENTS * max(spacing)
        # Rays through a lung that was opened end at its near wall.
        # Rays through a lung that the cut opened end at its near wall.
        touching |= outer & near & (circle.ends_here(regions) | ~regions.body)
        rim = circle.glow_hu if rim is None else max(rim, circle.glow_hu)
    return {"outline": int(outer.sum()), "cut": int(touching.sum()), "rim": rim}


def eroded(mask: Mask) -> Mask:
    """Return the elements of a mask whose four neighbours belong to it; beyond the frame nothing does."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner


def rise(regions: Regions, depth: Array) -> float | None:
    """Return by how many HU soft tissue at the border lies above soft tissue further in; None where either is too little.

    Bone near the border is no sign of truncation: with a skull or a jaw there nothing is told.
    """
    element = max(size * regions.step for size in regions.image.spacing_mm)
    values = regions.values
    with np.errstate(invalid="ignore"):
        dense = regions.body & (values >= SOFT_HU[1])
        soft = regions.body & (values > SOFT_HU[0]) & ~dense
    # The outermost elements are partly filled and never count.
    border = (depth > element) & (depth <= element + RIM_MM)
    rim = (soft | dense) & border
    within = soft & (depth > DEPTH_MM - RIM_MM) & (depth <= DEPTH_MM + RIM_MM)
    bone = dense & ~border & (depth > element) & (depth <= DEPTH_MM)
    if rim.sum() < MIN_ELEMENTS or within.sum() < MIN_ELEMENTS or bone.sum() > rim.sum():
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


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, axial=True, find=find, more=(RIM,))
