"""Which objects are judged: CT, MR and PET images. All others are named and left alone.

SOP classes: PS3.4 annex B; image types: PS3.3 C.7.6.1.1.2 and C.8.2.1.1.1.
"""

from __future__ import annotations

from typing import Final

from pydicom import Dataset

from medqa.reader.values import text, texts

CLASSIC: Final[dict[str, str]] = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
}
ENHANCED: Final[dict[str, str]] = {
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
}

_OTHER: Final[tuple[tuple[str, str, str], ...]] = (
    # prefix of the SOP class, kind, what it is; the first that matches counts
    ("1.2.840.10008.5.1.4.1.1.88.67", "dose_report", "a radiation dose report"),
    ("1.2.840.10008.5.1.4.1.1.88.73", "dose_report", "a radiopharmaceutical dose report"),
    ("1.2.840.10008.5.1.4.1.1.88.76", "dose_report", "a radiation dose report"),
    ("1.2.840.10008.5.1.4.1.1.88", "structured_report", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.7", "secondary_capture", "a secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.11", "presentation_state", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.104", "document", "an encapsulated document"),
    ("1.2.840.10008.5.1.4.1.1.66", "other_class", "raw data, a registration or a segmentation"),
    ("1.2.840.10008.5.1.4.1.1.30", "parametric_map", "a parametric map"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "other_class", "an MR spectroscopy"),
    ("1.2.840.10008.5.1.4.1.1.4.3", "colour_image", "a colour MR image"),
    ("1.2.840.10008.5.1.4.1.1.481", "radiotherapy", "a radiotherapy object"),
    ("1.2.840.10008.5.1.4.1.1.9", "waveform", "a waveform"),
    ("1.2.840.10008.5.1.4.1.1.20", "other_modality", "a nuclear medicine image"),
    ("1.2.840.10008.5.1.4.1.1.6", "other_modality", "an ultrasound image"),
    ("1.2.840.10008.5.1.4.1.1.3", "other_modality", "an ultrasound image"),
    ("1.2.840.10008.5.1.4.1.1.1", "other_modality", "a radiograph"),
    ("1.2.840.10008.5.1.4.1.1.12", "other_modality", "an X-ray angiography or fluoroscopy"),
    ("1.2.840.10008.5.1.4.1.1.13", "other_modality", "an X-ray 3D or tomosynthesis image"),
    ("1.2.840.10008.5.1.4.1.1.77", "other_modality", "a visible light image"),
    ("1.2.840.10008.1.3.10", "other_class", "a media directory"),
)

_NOT_HU: Final = frozenset(
    {
        "PERFUSION",
        "RCBF",
        "RCBV",
        "CBF",
        "CBV",
        "MTT",
        "TTP",
        "TMAX",
        "RMTT",
        "PERMEABILITY",
        "MATERIAL_FRACTION",
        "EFF_ATOMIC_NUM",
        "ELECTRON_DENSITY",
    }
)
_NOT_HU_SCALES: Final = frozenset({"OD", "MGML", "Z_EFF", "ED", "EDW", "PCT"})
"""Defined terms of Rescale Type (PS3.3 C.11.1.1.2) other than HU; free text such as `Houndsfield Unit` is believed."""

Refusal = tuple[str, str]


def modality_of(header: Dataset) -> str | None:
    """Return `CT`, `MR` or `PT` for an image that medqa judges: by SOP class, by Modality where that is empty (ACR-NEMA)."""
    sop_class = text(header, "SOPClassUID")
    if sop_class is None:
        modality = text(header, "Modality")
        return modality if modality in {"CT", "MR", "PT"} else None
    return CLASSIC.get(sop_class) or ENHANCED.get(sop_class)


def is_enhanced(header: Dataset) -> bool:
    """Return whether the object keeps its frames' attributes in functional groups."""
    return text(header, "SOPClassUID") in ENHANCED


def refusal(header: Dataset) -> Refusal | None:
    """Return the kind and the words for an object that medqa does not judge, None for one that it does."""
    sop_class = text(header, "SOPClassUID") or ""
    modality = modality_of(header)
    if modality is None:
        return _other(header, sop_class)
    image_type = tuple(value.upper() for value in texts(header, "ImageType"))
    if any(value in {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW"} for value in image_type):
        return "localizer", "it is a localizer"
    if any(value.replace("_", "").replace(" ", "") in {"DOSEINFO", "DOSEREPORT", "PATIENTINFO"} for value in image_type):
        return "dose_report", "it is a dose page"
    if (text(header, "SamplesPerPixel") or "1") != "1":
        return "colour_image", "it is a colour image, not a measured one"
    if modality == "CT":
        return _not_hounsfield(header, image_type)
    return _not_pet(header) if modality == "PT" else None


def _other(header: Dataset, sop_class: str) -> Refusal:
    for prefix, kind, words in _OTHER:
        if sop_class == prefix or sop_class.startswith(prefix + "."):
            return kind, f"it is {words}"
    named = text(header, "Modality")
    if named in {"CT", "MR", "PT"} or named is None:
        return "other_class", "its SOP class is none of CT, MR or PET image storage"
    return "other_modality", f"its modality is {named[:16]}"


def _not_hounsfield(header: Dataset, image_type: tuple[str, ...]) -> Refusal | None:
    if _NOT_HU.intersection(image_type):
        return "parametric_map", "it is a map computed from CT, its values are not HU"
    if (text(header, "RescaleType") or "").upper() in _NOT_HU_SCALES:
        return "parametric_map", "its values are not HU"
    return None


def _not_pet(header: Dataset) -> Refusal | None:
    # SPECT is sometimes stored as PET: a collimator of parallel holes and a gamma camera's window names give it away.
    if (text(header, "CollimatorType") or "").upper() in {"PARA", "PINH", "FANB", "CONE", "SLNT", "ASTG", "DIVG"}:
        return "other_modality", "it is a SPECT image stored as PET"
    if (text(header, "Manufacturer") or "").upper().endswith(" NM"):
        return "other_modality", "it is a nuclear medicine image stored as PET"
    return None
