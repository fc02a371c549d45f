"""A rendered page as a Secondary Capture image, for viewers that show nothing else of ours (PS3.3 A.8.1)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medqa.series import Series
from reports import instance

_MOST_SOURCES: Final = 64
Page = NDArray[np.uint8]


def secondary_captures(pages: Sequence[Page], series: Series, now: datetime.datetime) -> tuple[Dataset, ...]:
    """Make one instance a page, all in one new series.

    Parameters
    ----------
    pages
        RGB, `(rows, columns, 3)`.
    series
        What they show.
    now
        When they count as made.
    """
    return instance.finish(
        [_capture(page, number, series, now) for number, page in enumerate(pages, start=1)], instance.CAPTURE, series
    )


def _capture(page: Page, number: int, series: Series, now: datetime.datetime) -> Dataset:
    rows, columns, samples = page.shape
    if samples != 3 or page.dtype != np.uint8:
        message = f"a page is 8-bit RGB, not {page.dtype} of {samples} samples"
        raise ValueError(message)
    dataset = instance.common(series, instance.CAPTURE, now)
    dataset.InstanceNumber = number
    dataset.ConversionType = "WSD"
    dataset.Laterality = ""
    dataset.PatientOrientation = ""
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = "YES"
    dataset.DerivationDescription = "Heat maps of an image quality network beside the frames that they explain"
    sources = instance.source_instances(series, _MOST_SOURCES)
    if sources:
        dataset.SourceImageSequence = sources
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    pixels = np.ascontiguousarray(page).tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    return dataset
