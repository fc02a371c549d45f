"""How a CT scanner stores its numbers: intercept, sign, bits, and what stands where nothing was reconstructed.

Source: PS3.3 C.7.6.3 (pixels), C.7.5.1.1.2 (padding), C.8.2.1 (rescale of CT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.volume import Array

HU_LIMITS: Final = (-1024, 3071)
"""What 12 bits hold; scanners keep to it where there are more, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How CT numbers are stored: `HU - intercept`, clipped to `bits`; what has no value becomes `padding`, or the lowest value.

    `declared` tells whether the header says what the padding is (Pixel Padding Value); some scanners do not.
    """

    intercept: int = 0
    signed: bool = True
    bits: int = 16
    padding: int | None = None
    declared: bool = True

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest stored value of a CT number."""
        lowest = -(2 ** (self.bits - 1)) if self.signed else 0
        highest = lowest + 2**self.bits - 1
        return max(lowest, HU_LIMITS[0] - self.intercept), min(highest, HU_LIMITS[1] - self.intercept)

    def values(self, image: Array) -> NDArray[np.integer[Any]]:
        """Return the stored values of a slice in HU, `(y, x)`, 16 bits each."""
        low, high = self.limits
        known = np.isfinite(image)
        stored: NDArray[np.float32] = np.clip(np.rint(np.where(known, image, 0)) - self.intercept, low, high)
        stored[~known] = low if self.padding is None else self.padding
        out: NDArray[np.integer[Any]] = stored.astype("<i2" if self.signed else "<u2")
        return out


WHOLE: Final = Stored()
"""HU as they are, 16 bits and signed."""
