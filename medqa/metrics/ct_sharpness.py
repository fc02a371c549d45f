"""CT blur, without a reference: how much of the differences between neighbouring pixels a further blur would leave.

    blur = sum min(d, b) / sum d,    d: |difference of neighbours|,  b: the same after a mean over 9 pixels along the line,

the larger of rows and columns; 0 is sharp, 1 is blurred.

Source: Crete F, Dolmiere T, Ladret P, Nicolas M. The blur effect: perception and estimation with a new no-reference perceptual blur
metric. Proc SPIE 2007; 6492:64920I (doi 10.1117/12.702790). The paper sums max(0, d - b) and takes the share that is missing, which
is the same. The blurred image itself is never made: neighbours of a mean over 9 pixels differ by a ninth of the difference of the
two pixels 9 apart.

The frame is seen in a soft-tissue window (-160 to 240 HU), where air, lung and bone are flat, on every third row and column, and
inside the body: its outline, table, pads and clothes keep their edges whatever becomes of the tissue.
A perfect edge has 1/9, white noise 1 + r - sqrt(1 + r^2) = 0.105 with r = 1/9, a wide ramp 1. Noise counts as sharpness: compare
scans of similar noise, or read it beside `ct_noise` and `ct_f50`. The 38 training scans not marked as spoiled have 0.15 (sharp
kernels) to 0.43 (a quiet head), in the median 0.33.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.regions import Mask, Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "ct_blur_effect"
SOURCE: Final = "Crete et al., Proc SPIE 2007;6492:64920I"
WINDOW_HU: Final = (-160.0, 240.0)
LENGTH: Final = 9
APART: Final = 3


def differences(lines: Array, inside: Mask | None = None) -> tuple[float, float]:
    """Return the sum of the differences of neighbours along lines, and what of it a mean over `LENGTH` pixels leaves at most.

    Parameters
    ----------
    lines
        `(line, along)`.
    inside
        Which pixels count, `(line, along)`: a difference does where both of its pixels do. All where it is not given.
    """
    ahead = LENGTH // 2
    if lines.shape[1] <= LENGTH:
        return 0.0, 0.0
    blurred = np.abs(lines[:, LENGTH:] - lines[:, :-LENGTH]) / np.float32(LENGTH)
    sharp = np.abs(np.diff(lines[:, ahead : lines.shape[1] - ahead], axis=1))
    if inside is not None:
        counts = inside[:, ahead : lines.shape[1] - ahead]
        sharp *= counts[:, 1:] & counts[:, :-1]
    return float(sharp.sum(dtype=np.float64)), float(np.minimum(sharp, blurred).sum(dtype=np.float64))


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the two sums along rows and along columns, in HU; None where there is no body."""
    if not regions.body.any():
        return None
    low, high = (np.float32(limit) for limit in WINDOW_HU)
    array, inside = regions.image.array, regions.full(regions.inside)
    seen = [(array[::APART], inside[::APART]), (array[:, ::APART].T, inside[:, ::APART].T)]
    sums = [differences(np.fmin(np.fmax(np.ascontiguousarray(lines, dtype=np.float32), low), high), mask) for lines, mask in seen]
    if not all(sharp > 0 for sharp, _ in sums):
        return None
    return {"sharp": [sharp for sharp, _ in sums], "left": [left for _, left in sums]}


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the blur of all frames together.

    Raises
    ------
    NotApplicable
        `no_body` where no frame shows one.
    """
    found = present(NAME, partials, "no_body")
    sharp, left = (np.sum([partial[name] for partial in found], axis=0) for name in ("sharp", "left"))
    return Measurement(
        quantity=own(NAME, "Blur effect"),
        value=float((left / sharp).max()),
        unit=Unit.ONE,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
