"""Coded concepts: every word that medqa writes into a DICOM object or a JSON document.

Sources: DICOM PS3.16 (context groups 7036, 6135, 6316, 6137), UCUM, RadLex, SNOMED CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

OWN_SCHEME: Final = "99MEDQA"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme designator and meaning (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str

    def to_json(self) -> dict[str, str]:
        """Return the three parts under their names."""
        return {"value": self.value, "scheme": self.scheme, "meaning": self.meaning}

    @classmethod
    def from_json(cls, document: dict[str, str]) -> Self:
        """Read what `to_json` wrote."""
        return cls(document["value"], document["scheme"], document["meaning"])


def own(value: str, meaning: str) -> Code:
    """Return a code of medqa's private scheme, for what no public scheme names."""
    return Code(value, OWN_SCHEME, meaning)


class Unit:
    """Units of measurement (UCUM)."""

    HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
    BQ_PER_ML = Code("Bq/ml", "UCUM", "Becquerels/milliliter")
    SUVBW = Code("g/ml{SUVbw}", "UCUM", "Standardized Uptake Value body weight")
    ARBITRARY = Code("{arb}", "UCUM", "arbitrary unit")
    ONE = Code("1", "UCUM", "no units")
    PERCENT = Code("%", "UCUM", "percent")
    COUNT = Code("{count}", "UCUM", "count")
    MM = Code("mm", "UCUM", "millimeter")
    DEGREE = Code("deg", "UCUM", "degree")
    MGY = Code("mGy", "UCUM", "milligray")
    PER_MM = Code("/mm", "UCUM", "per millimeter")
    SECOND = Code("s", "UCUM", "second")
    MINUTE = Code("min", "UCUM", "minute")
    MBQ_PER_KG = Code("MBq/kg", "UCUM", "megabecquerel per kilogram")
    MBQ_MIN_PER_KG = Code("MBq.min/kg", "UCUM", "megabecquerel minute per kilogram")
    KG = Code("kg", "UCUM", "kilogram")
    SCORE = Code("{0:4}", "UCUM", "score from 0 to 4")


class Quality:
    """Names and values of the verdict (CID 7036 and its concept name)."""

    ASSESSMENT = Code("111050", "DCM", "Quality Assessment")
    RATING = Code("111029", "DCM", "Image Quality Rating")
    IMAGE_QUALITY = Code("111101", "DCM", "Image Quality")
    PROBABILITY = Code("122157", "DCM", "Probability")
    ANALYSIS = Code("133887000", "SCT", "Image quality analysis")
    DIAGNOSTIC = Code("RID12", "RADLEX", "Diagnostic quality")
    NON_DIAGNOSTIC = Code("RID14", "RADLEX", "Non-diagnostic quality")


class Reason:
    """Why a series is flagged: CID 6135 (any modality), CID 6316 (MR), CID 6315, and our own."""

    ARTEFACT = Code("111215", "DCM", "Artifact(s) other than grid or detector")
    POSITIONING = Code("111209", "DCM", "Positioning")
    MOTION_BLUR = Code("111210", "DCM", "Motion blur")
    UNDER_EXPOSED = Code("111211", "DCM", "Under exposed")
    NO_IMAGE = Code("111213", "DCM", "No image")
    DETECTOR_ARTEFACT = Code("111214", "DCM", "Detector artifact(s)")
    INAPPROPRIATE_PROCESSING = Code("111219", "DCM", "Inappropriate image processing")
    OTHER_FAILURE = Code("111220", "DCM", "Other failure")
    UNKNOWN_FAILURE = Code("111221", "DCM", "Unknown failure")
    COVERAGE_INCOMPLETE = Code("130576", "DCM", "Anatomy coverage incomplete")
    POOR_SNR = Code("130578", "DCM", "Poor SNR")
    INCOMPLETE_STUDY = Code("130574", "DCM", "Incomplete study")
    MR_MOTION = Code("RID11423", "RADLEX", "Motion related artifact")
    MR_GHOST = Code("RID11426", "RADLEX", "Ghost artifact")
    MR_WRAP = Code("RID11395", "RADLEX", "Wraparound artifact")
    MR_NON_UNIFORM = Code("RID11408", "RADLEX", "Non-uniform signal intensity artifact")
    EXTRAVASATION = Code("113568", "DCM", "Extravasation visible in image")


NOISE_LIKE: Final = own("low_score", "Image quality score under the limit")
