"""Enhanced multi-frame objects: the functional groups of each frame, read as if each frame were an object of its own.

Functional groups: PS3.3 C.7.6.16 (general), C.8.13 (MR), C.8.15 (CT), C.8.22 (PET).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pydicom import Dataset

from medqa.reader import frame_header
from medqa.reader.values import HEADER_ERRORS, integer, items, number, text
from medqa.series import FrameHeader

SHARED: Final = "SharedFunctionalGroupsSequence"
PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"

_MACROS: Final = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameAnatomySequence",
    "CTAcquisitionTypeSequence",
    "CTAcquisitionDetailsSequence",
    "CTTableDynamicsSequence",
    "CTGeometrySequence",
    "CTReconstructionSequence",
    "CTExposureSequence",
    "CTXRayDetailsSequence",
    "CTImageFrameTypeSequence",
    "CTPixelValueTransformationSequence",
    "MRTimingAndRelatedParametersSequence",
    "MRFOVGeometrySequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRImagingModifierSequence",
    "MRReceiveCoilSequence",
    "MRAveragesSequence",
    "MRDiffusionSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "PETFrameAcquisitionSequence",
    "PETFrameCorrectionFactorsSequence",
    "PETReconstructionSequence",
    "PETPositionSequence",
)
"""Sequences whose one item holds plain attributes; `FrameContentSequence` is read apart."""

_RENAMED: Final = (
    # enhanced keyword, the classic one with the same meaning
    ("EffectiveEchoTime", "EchoTime"),
    ("XRayTubeCurrentInmA", "XRayTubeCurrent"),
    ("ExposureInmAs", "Exposure"),
    ("ExposureTimeInms", "ExposureTime"),
    ("FrameType", "ImageType"),
)


def flat(header: Dataset) -> Dataset:
    """Return a dataset with the attributes of the shared groups and of the first frame at the top level, as in classic objects."""
    first = next(iter(items(header, PER_FRAME)), Dataset())
    out = _lifted(header, first)
    for item in items(header, SHARED):
        for keyword in ("RadiopharmaceuticalUsageSequence",):
            if keyword in item:
                out[keyword] = item[keyword]
    return out


def _lifted(header: Dataset, group: Dataset) -> Dataset:
    out = Dataset()
    for element in header.values():
        if element.tag not in (0x52009229, 0x52009230):
            out[element.tag] = element
    for source in (*items(header, SHARED), group):
        _lift(out, source)
    for content in items(group, "FrameContentSequence"):
        stamp = text(content, "FrameAcquisitionDateTime")
        if stamp is not None:
            out.AcquisitionDateTime = stamp
    for enhanced_name, classic_name in _RENAMED:
        if enhanced_name in out:
            try:
                setattr(out, classic_name, out[enhanced_name].value)
            except HEADER_ERRORS:
                continue
    return out


def _lift(out: Dataset, group: Dataset) -> None:
    for macro in _MACROS:
        for item in items(group, macro)[:1]:
            for element in item.values():
                out[element.tag] = element


def frame_headers(
    header: Dataset, top: Dataset, frames: int, modality: str, suv_factor: float | None
) -> Iterator[tuple[FrameHeader, Dataset]]:
    """Yield each frame's header, with the dataset where its rescale and padding stand."""
    groups = items(header, PER_FRAME)
    shared = Dataset()
    for source in items(header, SHARED):
        _lift(shared, source)
    for keyword in ("Rows", "Columns", "Manufacturer", "PixelPaddingValue", "PixelPaddingRangeLimit", "ImageType"):
        if keyword in header:
            shared[keyword] = header[keyword]
    for index in range(frames):
        group = groups[index] if index < len(groups) else Dataset()
        own = Dataset()
        own.update(shared)
        _lift(own, group)
        for enhanced_name, classic_name in _RENAMED:
            if enhanced_name in own:
                own[classic_name] = _as(own, enhanced_name, classic_name)
        yield _frame_header(own, group, top, index, modality, suv_factor), own


def _as(own: Dataset, enhanced_name: str, classic_name: str):  # type: ignore[no-untyped-def]
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import DataElement

    return DataElement(tag_for_keyword(classic_name) or 0, dictionary_VR(classic_name), own[enhanced_name].value)


def _frame_header(own: Dataset, group: Dataset, top: Dataset, index: int, modality: str, suv_factor: float | None) -> FrameHeader:
    content = next(iter(items(group, "FrameContentSequence")), Dataset())
    stamp = text(content, "FrameAcquisitionDateTime") or text(content, "FrameReferenceDateTime")
    slope, intercept = number(own, "RescaleSlope"), number(own, "RescaleIntercept")
    made = frame_header.classic(
        own,
        rows=integer(own, "Rows") or 0,
        columns=integer(own, "Columns") or 0,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        suv_factor=suv_factor,
        modality=modality,
    )
    return replace(
        made,
        instance_number=index + 1,
        acquisition_number=integer(content, "FrameAcquisitionNumber"),
        temporal_position=text(content, "TemporalPositionIndex"),
        frame_duration_ms=number(content, "FrameAcquisitionDuration"),
        acquisition_datetime=stamp or made.acquisition_datetime,
    )
