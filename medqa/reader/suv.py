"""Standardized Uptake Value by body weight: the factor that turns Bq/ml into g/ml, or the attributes that are missing.

SUVbw = C · weight[g] / (dose · 2^(−Δt/T½)); the reference time follows the vendor-neutral recipe of the Quantitative Imaging
Biomarkers Alliance (QIBA, FDG-PET/CT profile, appendix G). Attributes: PS3.3 C.8.9.1, C.8.9.2, C.8.9.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydicom import Dataset

from medqa.reader.values import items, moment, number, parse_moment, seconds_of_day, text

_DAY: Final = timedelta(days=1)
_GE_SCAN_DATETIME: Final = (0x0009, 0x100D)
_PHILIPS_SUV: Final = (0x7053, 0x1000)
"""Multiplies counts to SUVbw; the QIBA recipe takes it before anything else."""
_PHILIPS_ACTIVITY: Final = (0x7053, 0x1009)
_LARGEST_UPTAKE: Final = timedelta(hours=24)
BODY_WEIGHT_TYPES: Final = frozenset({"", "BW"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptake:
    """From injection to image: the SUV factor (None with the missing keywords) and the minutes between."""

    factor: float | None
    missing: tuple[str, ...]
    injection: datetime | None
    uptake_min: float | None


def activity_scale(header: Dataset) -> tuple[str, float]:
    """Return what the rescaled values mean (`BQML`, `SUVBW` or `OTHER`) and the factor that brings them there.

    Philips stores counts with its own activity factor (7053,1009), its own SUV factor (7053,1000), or both; without them, counts
    stay counts.
    """
    units = (text(header, "Units") or "").upper()
    if units == "BQML":
        return "BQML", 1.0
    if units == "GML" and (text(header, "SUVType") or "").upper() in BODY_WEIGHT_TYPES:
        return "SUVBW", 1.0
    if units == "CNTS":
        for kind, place in (("BQML", _PHILIPS_ACTIVITY), ("SUVBW", _PHILIPS_SUV)):
            if (factor := number(header, place)) is not None and factor > 0:
                return kind, factor
    return "OTHER", 1.0


def _philips_suv(header: Dataset) -> float | None:
    """Return Philips' own factor from Bq/ml to SUVbw, None where counts have not both of its factors.

    It knows the time to which the scanner corrected the decay: in a real scan the acquisition's, 47 s (0.5 %) after the series'.
    """
    suv, activity = number(header, _PHILIPS_SUV), number(header, _PHILIPS_ACTIVITY)
    if (text(header, "Units") or "").upper() != "CNTS" or suv is None or activity is None or suv <= 0 or activity <= 0:
        return None
    return suv / activity


def uptake(header: Dataset) -> Uptake:
    """Return the SUV factor of one PET image, from its own header alone."""
    kind, _ = activity_scale(header)
    stated = 1.0 if kind == "SUVBW" else _philips_suv(header)
    drug = next(iter(items(header, "RadiopharmaceuticalInformationSequence")), Dataset())
    weight, dose, half_life = (
        number(header, "PatientWeight"),
        number(drug, "RadionuclideTotalDose"),
        number(drug, "RadionuclideHalfLife"),
    )
    scan = scan_start(header, half_life)
    injected = injection(drug, scan)
    minutes = None if scan is None or injected is None else (scan - injected).total_seconds() / 60
    if stated is not None:
        return Uptake(factor=stated, missing=(), injection=injected, uptake_min=minutes)
    correction = decay_correction(header)
    missing = [] if kind == "BQML" else ["Units"]
    missing += ["PatientWeight"] if weight is None or weight <= 0 else []
    missing += ["RadionuclideTotalDose"] if dose is None or dose <= 0 else []
    missing += ["DecayCorrection"] if correction not in {"START", "ADMIN"} else []
    if correction != "ADMIN":
        missing += ["RadionuclideHalfLife"] if half_life is None or half_life <= 0 else []
        missing += ["RadiopharmaceuticalStartDateTime"] if injected is None else []
        missing += ["AcquisitionTime"] if scan is None else []
    if missing or weight is None or dose is None:
        return Uptake(factor=None, missing=tuple(missing), injection=injected, uptake_min=minutes)
    remaining = dose if correction == "ADMIN" else dose * 2 ** (-60 * (minutes or 0.0) / (half_life or 1.0))
    return Uptake(factor=weight * 1000 / remaining, missing=(), injection=injected, uptake_min=minutes)


def decay_correction(header: Dataset) -> str:
    """Return `START`, `ADMIN`, `NONE` or nothing; an enhanced object that states a time to which it corrected counts as `START`."""
    classic = (text(header, "DecayCorrection") or "").upper()
    corrected = (text(header, "DecayCorrected") or "").upper() == "YES" and text(header, "DecayCorrectionDateTime") is not None
    return classic or ("START" if corrected else "")


def scan_start(header: Dataset, half_life_s: float | None) -> datetime | None:
    """Return the time to which START decay correction refers.

    That is what an enhanced object states; else the series time, unless post-processing made it later than the acquisition;
    then GE's private scan time; then the acquisition time led back through this frame's own decay factor, so that all frames
    of a series give the same answer.
    """
    stated = text(header, "DecayCorrectionDateTime")
    if stated is not None and (reference := parse_moment(stated)) is not None:
        return reference
    acquired = moment(header, "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime")
    series = moment(header, None, "SeriesDate", "SeriesTime")
    if acquired is None or (series is not None and series <= acquired):
        return series or acquired
    private = text(header, _GE_SCAN_DATETIME)
    if private is not None and (scan := parse_moment(private)) is not None and scan <= acquired:
        return scan
    factor, duration_ms = number(header, "DecayFactor"), number(header, "ActualFrameDuration")
    if half_life_s is None or half_life_s <= 0 or factor is None or factor < 1 or decay_correction(header) != "START":
        return acquired
    rate = math.log(2) / half_life_s
    return acquired - timedelta(seconds=math.log(factor) / rate - _mean_decay_time_s(rate, (duration_ms or 0.0) / 1000))


def _mean_decay_time_s(rate: float, duration_s: float) -> float:
    """Return the time within a frame at which the activity equals its mean over the frame."""
    decays = rate * duration_s
    return 0.0 if decays < 1e-9 else math.log(decays / -math.expm1(-decays)) / rate


def injection(drug: Dataset, scan: datetime | None) -> datetime | None:
    """Return the time of injection, brought to within 24 hours before the scan where only the date disagrees.

    De-identification shifts dates unevenly, and the old attribute has a time of day only: midnight may lie between.
    """
    stamp = text(drug, "RadiopharmaceuticalStartDateTime")
    full = parse_moment(stamp) if stamp else None
    if full is not None and (scan is None or timedelta(0) <= scan - full <= _LARGEST_UPTAKE):
        return full
    if scan is None:
        return None
    seconds = None
    if full is not None:
        seconds = (full - full.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    elif (time := text(drug, "RadiopharmaceuticalStartTime")) is not None:
        seconds = seconds_of_day(time)
    if seconds is None:
        return None
    same_day = scan.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(seconds=seconds)
    if full is not None and full.date() == scan.date():
        return full  # an injection after the scan on the same day is a defect that the checks must see
    if same_day <= scan:
        return same_day
    # Shortly after the scan on the clock is a wrong clock; long after it, midnight lies between.
    return same_day - _DAY if same_day - scan > timedelta(hours=12) else same_day
