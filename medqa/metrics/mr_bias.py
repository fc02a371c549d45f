"""MR shading: the strength of the bias field that N4 finds, as its coefficient of variation within the body.

Source: Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010; 29:1310-1320 (10.1109/TMI.2010.2046908),
as SimpleITK has it. The field is smooth, so that frames are halved until they have about 64 pixels a side. Each frame is corrected
alone: what differs from slice to slice is `mr_jumps`. What anatomy itself has of slow changes (dark lungs, bright fat) counts too:
the figure tells shading within one kind of scan, not between kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial, present
from medqa.metrics.mr_air import MIN_FOREGROUND
from medqa.regions import Regions
from medqa.series import Series
from medqa.volume import Array

NAME: Final = "mr_bias"
SOURCE: Final = "Tustison et al., IEEE Trans Med Imaging 2010;29:1310"
SIDE: Final = 48
ITERATIONS: Final = (12, 12)
CONTROL_POINTS: Final = 4
MIN_PIXELS: Final = 100


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the coefficient of variation (percent) of the field; None for an end of the stack."""
    if regions.body_share < MIN_FOREGROUND:
        return None
    step = max(1, round(max(regions.body.shape) / SIDE))
    body = regions.body[::step, ::step]
    values = _mean_of_blocks(np.nan_to_num(regions.image.array), regions.step * step, body.shape)
    mask = body & (values > 0)
    if mask.sum() < MIN_PIXELS:
        return None
    field = bias_field(values, mask)[mask]
    return {"variation": 100.0 * float(field.std() / field.mean())}


def bias_field(values: Array, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Array:
    """Return the field that N4 finds, `(y, x)`, up to a factor."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.asarray(values, dtype=np.float32))
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(list(ITERATIONS))
    corrector.SetNumberOfControlPoints([CONTROL_POINTS, CONTROL_POINTS])
    corrector.SetNumberOfThreads(1)
    corrector.Execute(image, sitk.GetImageFromArray(mask.astype(np.uint8)))
    return np.asarray(np.exp(sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image))), dtype=np.float32)


def _mean_of_blocks(array: Array, side: int, shape: tuple[int, ...]) -> Array:
    """Return means of blocks of `side` pixels, on a grid of `shape`; means keep noise from being taken for tissue."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(array, side, mode="nearest")
    rows, columns = (
        np.minimum(np.arange(size) * side + side // 2, limit - 1) for size, limit in zip(shape, array.shape, strict=True)
    )
    return np.asarray(smooth[np.ix_(rows, columns)], dtype=np.float32)


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the median over the frames, in percent.

    Raises
    ------
    NotApplicable
        `no_body` where no frame has foreground.
    """
    found = present(NAME, partials, "no_body")
    return Measurement(
        quantity=own(NAME, "Variation of the bias field"),
        value=float(np.median([partial["variation"] for partial in found])),
        unit=Unit.PERCENT,
        source=SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
