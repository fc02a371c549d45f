"""Multi-scale structural similarity: contrast and structure at five scales, the mean at the coarsest; 1 for the same image.

Source: Wang Z, Simoncelli EP, Bovik AC. Multiscale structural similarity for image quality assessment. Asilomar Conference on
Signals, Systems and Computers 2003:1398-1402 (10.1109/ACSSC.2003.1292216). Computed by MONAI's `MultiScaleSSIMMetric`. There is no
mask: at the coarsest scale a window is 176 pixels wide.
"""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.full_reference.pair import DataRange, pair

NAME: Final = "ms_ssim"
SOURCE: Final = "Wang et al., Asilomar 2003:1398"
LEAST_SIDE: Final = 176


def ms_ssim(image: NDArray[Any], reference: NDArray[Any], *, data_range: DataRange) -> Measurement:
    """Return the similarity over five scales.

    Raises
    ------
    ValueError
        Where the shapes differ, or the range is empty.
    NotApplicable
        `too_small` where a side has fewer than 176 pixels.
    """
    import torch
    from monai.metrics import MultiScaleSSIMMetric

    both = pair(NAME, image, reference, data_range, None)
    if min(both.mask.shape) < LEAST_SIDE:
        raise NotApplicable(what=NAME, reason="too_small")
    tensors = [torch.from_numpy(one)[None, None].float() for one in (both.image, both.reference)]
    value = float(MultiScaleSSIMMetric(spatial_dims=2, data_range=1.0)(*tensors))
    return Measurement(quantity=own(NAME, "Multi-scale structural similarity"), value=value, unit=Unit.ONE, source=SOURCE)
