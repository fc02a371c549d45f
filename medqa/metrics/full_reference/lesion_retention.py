"""How much of a known lesion's contrast is left: 1 all of it, 0 none, below 0 turned round.

Processing that smooths noise away may take faint lesions with it, which noise measures praise. The lesion is known, drawn or
segmented: its mean less that of its surroundings is compared in the image and in the clean reference. Contrast as in AAPM TG-233
(Samei et al., Med Phys 2019, 10.1002/mp.13763).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.regions import Mask

NAME: Final = "lesion_retention"
SOURCE: Final = "contrast as in AAPM TG-233"
GAP_MM: Final = 2.0
"""Clear of the lesion's blurred edge."""
RING_MM: Final = 4.0
LEAST_PIXELS: Final = 4
LEAST_SHARE: Final = 1e-6
"""A clean contrast under this share of the values is none."""


def lesion_retention(
    image: NDArray[Any],
    reference: NDArray[Any],
    *,
    lesion: Mask,
    spacing_mm: tuple[float, float],
    surroundings: Mask | None = None,
) -> Measurement:
    """Return the lesion's contrast in the image over that in the reference.

    Parameters
    ----------
    image, reference
        `(y, x)`, in one unit.
    lesion
        Where the lesion is.
    spacing_mm
        Distance of rows and of columns.
    surroundings
        What the lesion stands out against; by default the ring from 2 to 6 mm around it.

    Raises
    ------
    ValueError
        Where the shapes differ.
    NotApplicable
        `too_small` where lesion or surroundings are, `constant_image` where the clean lesion has no contrast.
    """
    if len({image.shape, reference.shape, lesion.shape, *(() if surroundings is None else (surroundings.shape,))}) != 1:
        message = "images and masks are to have one shape"
        raise ValueError(message)
    around = ring(lesion, spacing_mm) if surroundings is None else surroundings & ~lesion
    if lesion.sum() < LEAST_PIXELS or around.sum() < LEAST_PIXELS:
        raise NotApplicable(what=NAME, reason="too_small")
    left, whole = (contrast(one, lesion, around) for one in (image, reference))
    if not np.isfinite((left, whole)).all():
        raise NotApplicable(what=NAME, reason="not_finite")
    if abs(whole) <= LEAST_SHARE * float(np.abs(reference[lesion | around]).max()):
        raise NotApplicable(what=NAME, reason="constant_image")
    return Measurement(quantity=own(NAME, "Retained lesion contrast"), value=left / whole, unit=Unit.ONE, source=SOURCE)


def contrast(array: NDArray[Any], lesion: Mask, around: Mask) -> float:
    """Return the mean in the lesion less the mean around it."""
    return float(array[lesion].mean(dtype=np.float64) - array[around].mean(dtype=np.float64))


def ring(lesion: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """Return the ring from 2 to 6 mm around a lesion."""
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(~lesion, sampling=spacing_mm)
    return np.asarray((distance > GAP_MM) & (distance <= GAP_MM + RING_MM))
