"""Enhanced multi-frame objects: the functional groups of each frame, read as if each frame were an object of its own.

Functional groups: PS3.3 C.7.6.16 (general), C.8.13 (MR), C.8.15 (CT), C.8.22 (PET).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

from medqa.reader import frame_header
from medqa.reader.values import integer, items, number, parse_moment, raw, text
from medqa.series import FrameHeader

SHARED: Final = "SharedFunctionalGroupsSequence"
PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
_GROUP_TAGS: Final = frozenset({0x52009229, 0x52009230})

_MACROS: Final = (
    # legacy converted objects keep here what found no place; the proper macros that follow win
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "CardiacSynchronizationSequence",
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
)
"""Sequences whose one item holds plain attributes; `FrameContentSequence` is read apart."""

_RENAMED: Final = (
    # enhanced keyword, the classic one with the same meaning
    ("EffectiveEchoTime", "EchoTime"),
    ("InversionTimes", "InversionTime"),
    ("RFEchoTrainLength", "EchoTrainLength"),
    ("NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("XRayTubeCurrentInmA", "XRayTubeCurrent"),
    ("ExposureInmAs", "Exposure"),
    ("ExposureTimeInms", "ExposureTime"),
    ("FrameType", "ImageType"),
)
_FROM_TOP: Final = ("Rows", "Columns", "Manufacturer", "PixelPaddingValue", "PixelPaddingRangeLimit", "ImageType")
_UNITS: Final = {
    "BQ/ML": "BQML",
    "BQML": "BQML",
    "G/ML{SUVBW}": "GML",
    "{SUVBW}G/ML": "GML",
    "GML": "GML",
    "CNTS": "CNTS",
    "{COUNTS}": "CNTS",
}


_RANKS: Final[dict[int, int]] = {tag_for_keyword(keyword) or 0: rank for rank, keyword in enumerate(_MACROS)}
_RENAMED_TAGS: Final = tuple((tag_for_keyword(enhanced) or 0, enhanced, classic) for enhanced, classic in _RENAMED)


def flat(header: Dataset) -> Dataset:
    """Return a dataset with the attributes of the shared groups and of the first frame at the top level, as in classic objects."""
    group = next(iter(items(header, PER_FRAME)), Dataset())
    out = Dataset()
    for element in header.values():
        if element.tag not in _GROUP_TAGS:
            out[element.tag] = element
    shared = items(header, SHARED)
    for source in (*shared, group):
        _lift(out, source)
    content = next(iter(items(group, "FrameContentSequence")), Dataset())
    if (stamp := text(content, "FrameAcquisitionDateTime")) is not None:
        _put(out, "AcquisitionDateTime", stamp)
    for source in (group, *shared):
        _units(out, source)
    return _renamed(out)


def _units(out: Dataset, group: Dataset) -> None:
    """Name the unit of an enhanced PET, which says it by a code or in Rescale Type where classic objects have `Units`."""
    if text(out, "Units") is not None:
        return
    named = [text(code, "CodeValue") for mapping in items(group, "RealWorldValueMappingSequence") for code in _unit_codes(mapping)]
    for name in (*named, text(out, "RescaleType")):
        known = _UNITS.get((name or "").upper())
        if known is not None:
            _put(out, "Units", known)
            return


def _unit_codes(mapping: Dataset) -> list[Dataset]:
    return items(mapping, "MeasurementUnitsCodeSequence")


def _renamed(out: Dataset) -> Dataset:
    for tag, enhanced_name, classic_name in _RENAMED_TAGS:
        value = raw(out, enhanced_name) if tag in out else None
        if value is not None:
            _put(
                out,
                classic_name,
                value[0] if enhanced_name == "InversionTimes" and isinstance(value, (list, MultiValue)) else value,
            )
    return out


def _put(out: Dataset, keyword: str, value: Any) -> None:
    tag = tag_for_keyword(keyword)
    if tag is not None:
        out[tag] = DataElement(tag, dictionary_VR(tag), value)


def _lift(out: Dataset, group: Dataset) -> None:
    # Looked up among the few that are there: an object of thousands of frames asks this for each.
    tags = [element.tag for element in group.values()]
    for tag in sorted((tag for tag in tags if tag in _RANKS), key=lambda tag: _RANKS[tag]):
        for item in items(group, (tag.group, tag.element))[:1]:
            for element in item.values():
                out[element.tag] = element


def frame_headers(header: Dataset, frames: int, modality: str, suv_factor: float | None) -> Iterator[tuple[FrameHeader, Dataset]]:
    """Yield each frame's header, with the dataset where its padding stands."""
    groups = items(header, PER_FRAME)
    shared = Dataset()
    for keyword in _FROM_TOP:
        if keyword in header:
            shared[keyword] = header[keyword]
    for source in items(header, SHARED):
        _lift(shared, source)
    for index in range(frames):
        group = groups[index] if index < len(groups) else Dataset()
        own = Dataset()
        own.update(shared)
        _lift(own, group)
        yield _frame_header(_renamed(own), group, index, modality, suv_factor), own


def _frame_header(own: Dataset, group: Dataset, index: int, modality: str, suv_factor: float | None) -> FrameHeader:
    content = next(iter(items(group, "FrameContentSequence")), Dataset())
    stamp = text(content, "FrameAcquisitionDateTime") or text(content, "FrameReferenceDateTime")
    acquired = None if stamp is None else parse_moment(stamp)
    rows, columns = integer(own, "Rows") or 0, integer(own, "Columns") or 0
    made = frame_header.classic(own, rows=rows, columns=columns, suv_factor=suv_factor, modality=modality)
    return replace(
        made,
        instance_number=index + 1,
        acquisition_number=integer(content, "FrameAcquisitionNumber"),
        temporal_position=text(content, "TemporalPositionIndex") or made.temporal_position,
        frame_duration_ms=number(content, "FrameAcquisitionDuration"),
        acquisition_datetime=made.acquisition_datetime if acquired is None else acquired.isoformat(),
    )
