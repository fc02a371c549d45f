"""What the checks need to know of a frame's pixels: extremes, spread, how much is body. No measurement, only a partial."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from medqa.regions import Regions

NAME: Final = "frame"
CT_EMPTY_HU: Final = -500.0


def facts(regions: Regions) -> dict[str, Any]:
    """Return what the checks need to know of a frame.

    Returns
    -------
    dict
        `min`, `max`, `mean` and `deviation` of the values that are there (None where there are none); `empty`, the share of pixels
        without a value; `body`, the share of body; `constant`, whether all values are one; `blank`, whether it shows nothing:
        it is constant, or a CT of which not one pixel on the decimated grid reaches -500 HU; `pixels`, a check sum (CRC-32) over
        all of them, None where it is blank.
    """
    values = regions.image.array
    finite = regions.finite
    share = float(finite.mean())
    if share == 0.0:
        return {
            "min": None,
            "max": None,
            "mean": None,
            "deviation": None,
            "empty": 1.0,
            "body": 0.0,
            "blank": True,
            "constant": True,
            "pixels": None,
        }
    there = values if share == 1.0 else values[finite]
    low, high = float(there.min()), float(there.max())
    constant = high - low <= 1e-6 * max(abs(low), abs(high))
    sample = regions.values[np.isfinite(regions.values)]
    body = 0.0 if constant else regions.body_share
    blank = constant or (regions.image.frame.modality == "CT" and sample.size > 0 and float(sample.max()) < CT_EMPTY_HU)
    return {
        "min": low,
        "max": high,
        "mean": float(there.mean(dtype=np.float64)),
        "deviation": float(sample.std(dtype=np.float64)) if sample.size else 0.0,
        "empty": 1.0 - share,
        "body": body,
        "blank": blank,
        "constant": constant,
        "pixels": None if blank else zlib.crc32(np.ascontiguousarray(values).data),
    }


def is_blank(partials: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Return whether a frame with these partials is blank; None where its pixels are not known."""
    found = partials.get(NAME)
    return None if found is None else bool(found["blank"])
