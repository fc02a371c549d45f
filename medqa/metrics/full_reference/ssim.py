"""Structural similarity: 1 for the same image, less the more mean, contrast and structure differ locally.

Source: Wang Z, Bovik AC, Sheikh HR, Simoncelli EP. Image quality assessment: from error visibility to structural similarity. IEEE
Trans Image Process 2004; 13:600-612 (10.1109/TIP.2003.819861): Gaussian window of 11 pixels and a deviation of 1.5, K1 0.01,
K2 0.03. Computed by MONAI; only windows that lie wholly in the image count.
"""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.full_reference.pair import DataRange, pair
from medqa.regions import Mask

NAME: Final = "ssim"
SOURCE: Final = "Wang et al., IEEE TIP 2004;13:600"
WINDOW: Final = 11
DEVIATION: Final = 1.5


def ssim(image: NDArray[Any], reference: NDArray[Any], *, data_range: DataRange, mask: Mask | None = None) -> Measurement:
    """Return the mean similarity of the windows whose middle is in the mask.

    Raises
    ------
    ValueError
        Where the shapes differ, or the range is empty.
    NotApplicable
        `too_small` where no window fits.
    """
    import torch
    from monai.metrics import compute_ssim_and_cs

    both = pair(NAME, image, reference, data_range, mask)
    edge = WINDOW // 2
    where = both.mask[edge : both.mask.shape[0] - edge, edge : both.mask.shape[1] - edge]
    if min(both.mask.shape) < WINDOW or not where.any():
        raise NotApplicable(what=NAME, reason="too_small")
    tensors = [torch.from_numpy(one)[None, None].float() for one in (both.image, both.reference)]
    window, deviation = (WINDOW, WINDOW), (DEVIATION, DEVIATION)
    similarity, _ = compute_ssim_and_cs(*tensors, spatial_dims=2, kernel_size=window, kernel_sigma=deviation, data_range=1.0)
    value = float(similarity[0, 0].numpy()[where].mean(dtype="float64"))
    return Measurement(quantity=own(NAME, "Structural similarity"), value=value, unit=Unit.ONE, source=SOURCE)
