"""How a scan was made: the header's answer, typed, one value for the whole series.

Every field is None where the header is silent. Units stand in the names.
Lists of attributes: PS3.3 C.8.2 (CT), C.8.3 (MR), C.8.9 (PET).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class CTAcquisition:
    """X-ray tube, gantry and reconstruction of a CT series."""

    kvp_kv: float | None = None
    exposure_mas: float | None = None
    tube_current_ma: float | None = None
    exposure_time_ms: float | None = None
    ctdivol_mgy: float | None = None
    ctdi_phantom_mm: float | None = None
    dlp_mgycm: float | None = None
    kernel: str | None = None
    pitch: float | None = None
    gantry_tilt_deg: float | None = None
    reconstruction_diameter_mm: float | None = None
    collimation_mm: float | None = None
    iterative_reconstruction: str | None = None
    contrast_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MRAcquisition:
    """Sequence, coil and sampling of an MR series."""

    field_strength_t: float | None = None
    sequence: str | None = None
    scanning_sequence: str | None = None
    sequence_variant: str | None = None
    acquisition_type: str | None = None
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    acquisition_matrix: tuple[int, ...] | None = None
    bandwidth_hz_per_px: float | None = None
    coil: str | None = None
    acceleration: str | None = None
    phase_encoding_direction: str | None = None
    phase_encoding_order: str | None = None
    averages: float | None = None
    echo_train_length: int | None = None
    fat_suppression: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PTAcquisition:
    """Tracer, timing and reconstruction of a PET series."""

    tracer: str | None = None
    radionuclide: str | None = None
    half_life_s: float | None = None
    injected_dose_bq: float | None = None
    injection_time: str | None = None
    uptake_min: float | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    units: str | None = None
    suv_type: str | None = None
    decay_correction: str | None = None
    corrections: tuple[str, ...] = ()
    time_per_bed_s: float | None = None
    reconstruction: str | None = None
    iterations: int | None = None
    subsets: int | None = None
    filter: str | None = None
    attenuation_correction: str | None = None
    scatter_correction: str | None = None
    number_of_slices: int | None = None
    suv_factor: float | None = None
    suv_missing: tuple[str, ...] = ()
    """Keywords of the attributes without which the header allows no SUVbw."""

    @property
    def is_fdg(self) -> bool:
        """Whether the header names FDG as the tracer, in any of its spellings."""
        name = "".join(letter for letter in (self.tracer or "").lower() if letter.isalnum())
        return "fdg" in name or "deoxyglucose" in name or "desoxyglucose" in name


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """What the header says about the making of a series; `ct`, `mr` or `pt` is filled, as the modality asks."""

    modality: str
    manufacturer: str | None = None
    model: str | None = None
    station: str | None = None
    software: str | None = None
    protocol: str | None = None
    body_part: str | None = None
    series_description: str | None = None
    acquisition_datetime: str | None = None
    image_type: tuple[str, ...] = ()
    slice_thickness_mm: float | None = None
    spacing_between_slices_mm: float | None = None
    rows: int = 0
    columns: int = 0
    pixel_spacing_mm: tuple[float, float] | None = None
    bits_stored: int | None = None
    lossy: bool = False
    transfer_syntaxes: tuple[str, ...] = ()
    patient_position: str | None = None
    ct: CTAcquisition | None = None
    mr: MRAcquisition | None = None
    pt: PTAcquisition | None = None
    inconsistent: tuple[str, ...] = field(default=())
    """Keywords whose value changes within the series although it should not."""

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        parts = {"ct": CTAcquisition, "mr": MRAcquisition, "pt": PTAcquisition}
        values = {name: _tuples(value) for name, value in document.items() if name not in parts}
        for name, kind in parts.items():
            part = document.get(name)
            values[name] = None if part is None else kind(**{key: _tuples(value) for key, value in part.items()})
        return cls(**values)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
