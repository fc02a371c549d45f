"""The report as a DICOM Encapsulated PDF (PS3.3 A.45.1, C.24.1, C.24.2)."""

from __future__ import annotations

import datetime
from typing import Final

from pydicom.dataset import Dataset

from medqa.codes import Code
from medqa.series import Series
from reports import instance

_TITLE: Final = Code("126000", "DCM", "Imaging Measurement Report")
_MOST_SOURCES: Final = 200


def encapsulated_pdf(pdf: bytes, series: Series, now: datetime.datetime) -> Dataset:
    """Wrap a PDF about a series.

    Parameters
    ----------
    pdf
        The file's bytes, as they are.
    series
        What the report is about.
    now
        When it counts as made.
    """
    dataset = instance.common(series, instance.PDF, now)
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = instance.PDF.title
    dataset.ConceptNameCodeSequence = [instance.code_item(_TITLE)]
    sources = instance.source_instances(series, _MOST_SOURCES)
    if sources:
        dataset.SourceInstanceSequence = sources
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    return instance.finish([dataset], instance.PDF, series)[0]
