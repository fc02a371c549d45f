"""What the checks need to know of a frame's pixels: extremes, spread, how much is body. No measurement, only a partial."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from medqa.regions import Regions
from medqa.volume import Array

NAME: Final = "frame"
CT_EMPTY_HU: Final = -500.0
BLOCKS: Final = 10
"""Blocks of a thumbnail along rows and along columns, at most."""
CT_SHOWN_HU: Final = 1000.0
MEAN_OF_ROOTS: Final = 1000.0


def facts(regions: Regions) -> dict[str, Any]:
    """Return what the checks need to know of a frame.

    Returns
    -------
    dict
        `min`, `max`, `mean` and `deviation` of the values that are there (None where there are none); `empty`, the share of pixels
        without a value; `body`, the share of body; `constant`, whether all values are one; `blank`, whether it shows nothing:
        it is constant, or a CT of which not one pixel on the decimated grid reaches -500 HU; `pixels`, a check sum (CRC-32) over
        all of them, and `thumbnail`, both None where it is blank.
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
            "thumbnail": None,
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
        "thumbnail": None if blank else thumbnail(values, regions.image.frame.modality),
    }


def thumbnail(values: Array, modality: str) -> list[int]:
    """Return the means of up to 10 x 10 blocks of a frame, row by row: what its neighbours are compared by.

    CT in HU, cut at 1000 to either side, so that metal does not rule. MR and PT as square roots with a mean of 1000: brightness of
    its own makes no other slice, and a hot bladder does not rule. What has no value counts as air.
    """
    if modality == "CT":
        shown = np.clip(np.nan_to_num(values, nan=-CT_SHOWN_HU), -CT_SHOWN_HU, CT_SHOWN_HU)
    else:
        shown = np.sqrt(np.maximum(np.nan_to_num(values, nan=0.0, posinf=0.0), 0.0))
    starts = [np.linspace(0, size, min(BLOCKS, size) + 1).astype(int) for size in shown.shape]
    rows, columns = starts
    sums = np.add.reduceat(np.add.reduceat(shown, rows[:-1], axis=0), columns[:-1], axis=1)
    means = sums / np.outer(np.diff(rows), np.diff(columns))
    if modality != "CT":
        means *= MEAN_OF_ROOTS / max(float(means.mean()), 1e-9)
    return [round(float(mean)) for mean in means.ravel()]


def is_blank(partials: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Return whether a frame with these partials is blank; None where its pixels are not known."""
    found = partials.get(NAME)
    return None if found is None else bool(found["blank"])
