"""Reconstruction kernels: the windows that the ramp filter is multiplied by.

Each is a function of the frequency as a share `u` of its cut-off; above the cut-off nothing passes. `ram-lak` is the bare ramp.

Source: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.3; Shepp and Logan, IEEE TNS 21:21 (1974).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Window = Callable[[NDArray[np.float64]], NDArray[np.float64]]

KERNELS: Final[Mapping[str, Window]] = {
    "ram-lak": np.ones_like,
    "shepp-logan": lambda u: np.asarray(np.sinc(u / 2), dtype=np.float64),
    "cosine": lambda u: np.asarray(np.cos(np.pi / 2 * u), dtype=np.float64),
    "hamming": lambda u: np.asarray(0.54 + 0.46 * np.cos(np.pi * u), dtype=np.float64),
    "hann": lambda u: np.asarray(0.5 + 0.5 * np.cos(np.pi * u), dtype=np.float64),
}


def window(kernel: str, frequency: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """Return the weight of each frequency under a kernel, 0 from the cut-off on; both in the same unit, cycles per length."""
    weights = np.where(frequency < cutoff, KERNELS[kernel](np.minimum(frequency / cutoff, 1.0)), 0.0)
    return np.asarray(weights, dtype=np.float64)
