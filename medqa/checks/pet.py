"""What a PET header alone tells: dose, uptake, weight, units and corrections.

Bands for FDG: EANM procedure guidelines for tumour PET imaging, version 2.0 (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;
42:328) ask for an uptake of 60 minutes, acceptable 55-75; usual doses reach from 2 (long bed times, digital detectors) to 10
MBq/kg (American practice of 370-740 MBq). SUV: DICOM PS3.3 C.8.9.1 and its attributes. Half-lives: Decay Data Evaluation Project,
Table of Radionuclides (Monographie BIPM-5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from medqa.acquisition import PTAcquisition
from medqa.assessment import Finding, FrameEvidence, Scalar
from medqa.findings import finding
from medqa.series import Series

FDG_MBQ_PER_KG: Final = (1.5, 12.0)
"""A little wider than any guideline: a note should mean something."""
ANY_MBQ_PER_KG: Final = (0.05, 40.0)
"""Outside this the unit of the dose is wrong (MBq written as Bq), or the weight; holds for every tracer (15O water included)."""
FDG_UPTAKE_MIN: Final = (55.0, 75.0)
FDG_BRAIN_UPTAKE_MIN: Final = (30.0, 75.0)
WEIGHT_KG: Final = (1.0, 300.0)
KNOWN_UNITS: Final = ("BQML", "GML")
HALF_LIVES_S: Final = {
    ("18", "F", "FLUORINE"): 6586.2,
    ("11", "C", "CARBON"): 1221.8,
    ("13", "N", "NITROGEN"): 597.9,
    ("15", "O", "OXYGEN"): 122.2,
    ("64", "CU", "COPPER"): 45720.0,
    ("68", "GA", "GALLIUM"): 4062.6,
    ("82", "RB", "RUBIDIUM"): 75.5,
    ("89", "ZR", "ZIRCONIUM"): 282276.0,
    ("124", "I", "IODINE"): 360800.0,
}
"""By mass, symbol and name."""
MAX_HALF_LIFE: Final = 0.03
"""Makers round: 6582 to 6588 s are written for fluorine, 75 to 76.4 s for rubidium."""


def check(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Return what is worth telling about tracer, timing, units and corrections."""
    made = series.acquisition.pt
    if made is None:
        return []
    return [*_dose(made), *_times(made, _is_brain(series)), *_weight(made), *_half_life(made), *_units(made), *_corrections(made)]


def _is_brain(series: Series) -> bool:
    told = " ".join(
        text or "" for text in (series.acquisition.body_part, series.acquisition.protocol, series.acquisition.series_description)
    )
    return any(word in told.upper() for word in ("BRAIN", "HEAD", "CEREBR", "NEURO"))


def _dose(made: PTAcquisition) -> list[Finding]:
    if made.injected_dose_bq is None or not made.weight_kg or made.weight_kg <= 0:
        return []
    value = made.injected_dose_bq / 1e6 / made.weight_kg
    low, high = FDG_MBQ_PER_KG if made.is_fdg else ANY_MBQ_PER_KG
    if value < low:
        return [finding("pt_dose_low", values={"value": value, "low": low})]
    return [finding("pt_dose_high", values={"value": value, "high": high})] if value > high else []


def _times(made: PTAcquisition, brain: bool) -> list[Finding]:
    if made.uptake_min is None:
        return []
    if made.uptake_min < 0:
        return [finding("pt_time_order")]
    low, high = FDG_BRAIN_UPTAKE_MIN if brain else FDG_UPTAKE_MIN
    if made.is_fdg and not low <= made.uptake_min <= high:
        values: dict[str, Scalar] = {"value": made.uptake_min, "low": low, "high": high}
        return [finding("pt_uptake_out_of_band", values=values)]
    return []


def _weight(made: PTAcquisition) -> list[Finding]:
    if made.weight_kg is None or WEIGHT_KG[0] <= made.weight_kg <= WEIGHT_KG[1]:
        return []
    return [finding("pt_weight_implausible", values={"value": made.weight_kg})]


def _half_life(made: PTAcquisition) -> list[Finding]:
    told = made.radionuclide or ("18F" if made.is_fdg else "")
    # `18F`, `^18^Fluorine`, `F-18`, `Fluorine F^18^`
    words = set(re.findall(r"[A-Z]+|[0-9]+", told.upper()))
    known = next((value for (mass, *names), value in HALF_LIVES_S.items() if mass in words and words & set(names)), None)
    if known is None or made.half_life_s is None or abs(made.half_life_s / known - 1) <= MAX_HALF_LIFE:
        return []
    return [finding("pt_half_life_wrong", values={"value": made.half_life_s, "known": known})]


def _units(made: PTAcquisition) -> list[Finding]:
    found = []
    if made.units is not None and made.units not in KNOWN_UNITS:
        found.append(finding("pt_units_unusual", values={"units": made.units}))
    if made.suv_missing:
        found.append(finding("pt_suv_unavailable", values={"keywords": ", ".join(made.suv_missing)}))
    return found


def _corrections(made: PTAcquisition) -> list[Finding]:
    # An empty list of corrections means that the header is silent: nothing follows from it.
    found = []
    if made.corrections and "ATTN" not in made.corrections:
        found.append(finding("pt_attenuation_missing"))
    corrected = made.decay_correction in ("START", "ADMIN")
    if made.corrections and made.decay_correction is not None and corrected != ("DECY" in made.corrections):
        found.append(finding("pt_decay_inconsistent", values={"decay_correction": made.decay_correction}))
    return found
