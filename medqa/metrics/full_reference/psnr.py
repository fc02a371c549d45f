"""Peak signal-to-noise ratio: the range of values over the root mean square error, in dB; higher is better.

Computed by MONAI's `PSNRMetric`. Without any error it is infinite, which is no number to write down: `NotApplicable`.
"""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from medqa.codes import Code, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.full_reference.pair import DataRange, pair
from medqa.regions import Mask

NAME: Final = "psnr"
SOURCE: Final = "MONAI PSNRMetric"
DECIBEL: Final = Code("dB", "UCUM", "decibel")


def psnr(image: NDArray[Any], reference: NDArray[Any], *, data_range: DataRange, mask: Mask | None = None) -> Measurement:
    """Return the ratio in dB within a mask.

    Raises
    ------
    ValueError
        Where the shapes differ, or the range is empty.
    NotApplicable
        `identical` where there is no error at all.
    """
    import torch
    from monai.metrics import PSNRMetric

    both = pair(NAME, image, reference, data_range, mask)
    if (both.image[both.mask] == both.reference[both.mask]).all():
        raise NotApplicable(what=NAME, reason="identical")
    # The metric averages over all but the first axis: the mask may be taken as a line of pixels. Double precision is kept.
    lines = [torch.from_numpy(one[both.mask]).reshape(1, 1, 1, -1) for one in (both.image, both.reference)]
    value = float(PSNRMetric(max_val=1.0)(*lines))
    return Measurement(quantity=own(NAME, "Peak signal-to-noise ratio"), value=value, unit=DECIBEL, source=SOURCE)
