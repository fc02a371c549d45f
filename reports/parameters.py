"""How the scan was made and whether it is as declared: the tables of numbers of a report."""

from __future__ import annotations

import re
from typing import Any, Final

from medqa.acquisition import Acquisition
from medqa.assessment import Assessment
from reports import wording
from reports.page import Page, brief, date_text, in_columns

_BLANK: Final = "–"

# Always printed, "not stated" where the header is silent; the other fields of the modality only where it speaks.
_ALWAYS: Final[dict[str, tuple[str, ...]]] = {
    "CT": ("kvp_kv", "exposure_mas", "ctdivol_mgy", "dlp_mgycm", "kernel", "slice_thickness_mm", "pitch"),
    "MR": (
        "sequence",
        "repetition_time_ms",
        "echo_time_ms",
        "inversion_time_ms",
        "flip_angle_deg",
        "acquisition_matrix",
        "bandwidth_hz_per_px",
        "coil",
        "acceleration",
        "field_strength_t",
        "slice_thickness_mm",
    ),
    "PT": (
        "tracer",
        "injected_dose_bq",
        "injection_time",
        "uptake_min",
        "weight_kg",
        "time_per_bed_s",
        "reconstruction",
        "iterations_subsets",
        "filter",
        "corrections",
        "slice_thickness_mm",
    ),
}
_SHARED: Final = (
    "spacing_between_slices_mm",
    "pixel_spacing_mm",
    "acquisition_datetime",
    "patient_position",
    "bits_stored",
    "image_type",
    "software",
    "inconsistent",
)
_TIMES: Final = frozenset({"injection_time", "acquisition_datetime"})
_HIDDEN: Final = frozenset({"iterations", "subsets"})
_ISOTOPE: Final = re.compile(r"\^(\d+m?)\^(\w+)")
"""A radionuclide as the code's meaning writes it, `^18^Fluorine` (PS3.16 CID 4020)."""
_UNITS: Final[dict[str, tuple[str, float]]] = {
    "kvp_kv": ("kV", 1.0),
    "exposure_mas": ("mAs", 1.0),
    "tube_current_ma": ("mA", 1.0),
    "exposure_time_ms": ("ms", 1.0),
    "ctdivol_mgy": ("mGy", 1.0),
    "ctdi_phantom_mm": ("mm", 1.0),
    "dlp_mgycm": ("mGy·cm", 1.0),
    "gantry_tilt_deg": ("°", 1.0),
    "reconstruction_diameter_mm": ("mm", 1.0),
    "collimation_mm": ("mm", 1.0),
    "field_strength_t": ("T", 1.0),
    "repetition_time_ms": ("ms", 1.0),
    "echo_time_ms": ("ms", 1.0),
    "inversion_time_ms": ("ms", 1.0),
    "flip_angle_deg": ("°", 1.0),
    "bandwidth_hz_per_px": ("Hz/px", 1.0),
    "half_life_s": ("s", 1.0),
    "injected_dose_bq": ("MBq", 1e-6),
    "uptake_min": ("min", 1.0),
    "weight_kg": ("kg", 1.0),
    "height_m": ("m", 1.0),
    "time_per_bed_s": ("s", 1.0),
    "slice_thickness_mm": ("mm", 1.0),
    "spacing_between_slices_mm": ("mm", 1.0),
    "pixel_spacing_mm": ("mm", 1.0),
}
"""Unit printed behind a field, and what its value is multiplied by."""


def parameter_values(made: Acquisition) -> list[tuple[str, Any]]:
    """Return `(field, value)` of everything that is printed for a modality, in the order of printing; None where not stated."""
    part = {"CT": made.ct, "MR": made.mr, "PT": made.pt}.get(made.modality)
    own = {} if part is None else {name: getattr(part, name) for name in type(part).__slots__}
    if made.pt is not None:
        counts = (made.pt.iterations, made.pt.subsets)
        own["iterations_subsets"] = counts if any(count is not None for count in counts) else None
    shared = {name: getattr(made, name) for name in (*_SHARED, "slice_thickness_mm")}
    always = _ALWAYS.get(made.modality, ())
    rows = [(name, own[name] if name in own else shared.get(name)) for name in always]
    rest = [name for name in (*own, *_SHARED) if name not in always and name not in _HIDDEN]
    return [
        *((name, value if value not in ((), "") else None) for name, value in rows),
        *((name, value) for name in rest if (value := own.get(name, shared.get(name))) not in (None, (), "", False)),
    ]


def parameter_text(name: str, value: object, lang: str) -> str:
    """Write the value of a field with its unit."""
    if value is None:
        return wording.text("word.not_stated", lang)
    if isinstance(value, bool):
        return wording.text("word.yes" if value else "word.no", lang)
    unit, factor = _UNITS.get(name, ("", 1.0))
    if name in ("pixel_spacing_mm", "iterations_subsets") and isinstance(value, tuple):
        written = " × ".join(_BLANK if one is None else wording.number(one) for one in value)
    elif name == "acquisition_matrix" and isinstance(value, tuple):
        # Frequency rows, frequency columns, phase rows, phase columns: two of the four are 0 (PS3.3 C.8.3.1.1.5).
        written = " × ".join(wording.number(one) for one in value if one)
    elif isinstance(value, tuple | list):
        written = ", ".join(str(one) for one in value)
    elif isinstance(value, int | float):
        written = wording.number(value * factor if factor != 1.0 else value)
    elif name in _TIMES:
        written = date_text(str(value))
    else:
        written = _ISOTOPE.sub(r"\2-\1", str(value))
    written = brief(written)
    return f"{written}{'' if unit == '°' else ' '}{unit}" if unit else written


def acquisition(page: Page) -> list[Any]:
    """Show how the scan was made and reconstructed."""
    values = parameter_values(page.series.acquisition)
    pairs = [(page.word(f"parameter.{name}"), parameter_text(name, value, page.lang)) for name, value in values]
    if not pairs:
        return []
    table = page.theme.table(in_columns(pairs, 2), (20, 30, 20, 30), labels=(0, 2), size=7.8)
    return page.theme.block(page.word("section.acquisition"), [table], together=True)


def declared(page: Page) -> list[Any]:
    """Show what the header declares, or what a limit asks, beside what was measured."""
    rows = [*_geometry(page), *_measurements(page.assessment, page)]
    if not rows:
        return []
    titles = [page.word(f"header.{name}") for name in ("quantity", "declared", "measured", "in_order")]
    table = page.theme.table(rows, (40, 23, 25, 12), header=titles)
    return page.theme.block(page.word("section.declared"), [table], together=True)


def _geometry(page: Page) -> list[list[str]]:
    made, volume, lang = page.series.acquisition, page.series.volume, page.lang
    rows: list[list[str]] = []

    def add(name: str, declared: object, measured: object, unit: str = "") -> None:
        if declared is None or measured is None:
            return
        texts = [parameter_text(unit, value, lang) for value in (declared, measured)]
        agree = texts[0] == texts[1]
        rows.append([page.word(f"declared.{name}"), *texts, page.word("word.yes" if agree else "word.no")])

    number = None if made.pt is None else made.pt.number_of_slices
    add("slices", number, len(page.series.frames))
    if volume.shape[0] > 1:
        add("spacing", made.spacing_between_slices_mm, volume.spacing_mm[0], "spacing_between_slices_mm")
    add("pixel", made.pixel_spacing_mm, volume.spacing_mm[1:], "pixel_spacing_mm")
    if made.rows and made.columns:
        add("matrix", f"{made.rows} × {made.columns}", f"{volume.shape[1]} × {volume.shape[2]}")
    return rows


def _measurements(assessment: Assessment, page: Page) -> list[list[str]]:
    rows = []
    for item in assessment.measurements:
        measured = wording.quantity_text(item.value, item.unit)
        if item.interval is not None:
            low, high = (wording.number(end) for end in item.interval)
            measured += f" ({page.word('word.interval', low=low, high=high)})"
        kept = item.within_limits
        order = _BLANK if kept is None else page.word("word.yes" if kept else "word.no")
        limits = wording.limits_text(item) or _BLANK
        rows.append([wording.measurement_name(item, page.lang), limits, measured, order])
    return rows
