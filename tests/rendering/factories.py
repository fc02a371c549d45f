"""Series and assessments made by hand: synthetic arrays with known values, no reader and no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from medqa.acquisition import Acquisition, CTAcquisition, MRAcquisition, PTAcquisition
from medqa.assessment import Assessment, Finding, HeatMap, NotChecked, Prediction, Provenance, SeriesReference, Verdict
from medqa.codes import Unit, own
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.series import Frame, FrameHeader, InstanceReference, Series, Stack
from medqa.volume import Volume

SUV_FACTOR = 2.5e-4
JUDGED_AT = "2026-11-24T10:15:30+09:00"

_PARTS: dict[str, dict[str, Any]] = {
    "CT": {
        "ct": CTAcquisition(
            kvp_kv=120.0,
            exposure_mas=85.0,
            tube_current_ma=170.0,
            exposure_time_ms=500.0,
            ctdivol_mgy=5.72,
            dlp_mgycm=231.4,
            kernel="B30f",
            pitch=0.984375,
            gantry_tilt_deg=0.0,
            reconstruction_diameter_mm=360.0,
        )
    },
    "MR": {
        "mr": MRAcquisition(
            field_strength_t=3.0,
            sequence="*tir2d1_16",
            scanning_sequence="SE\\IR",
            repetition_time_ms=9000.0,
            echo_time_ms=81.0,
            inversion_time_ms=2500.0,
            flip_angle_deg=150.0,
            acquisition_matrix=(0, 320, 224, 0),
            bandwidth_hz_per_px=289.0,
            coil="Head_32",
            acceleration="2",
        )
    },
    "PT": {
        "pt": PTAcquisition(
            tracer="Fluorodeoxyglucose",
            radionuclide="18F",
            half_life_s=6586.2,
            injected_dose_bq=2.71e8,
            injection_time="20260102091500",
            uptake_min=62.0,
            weight_kg=71.5,
            units="BQML",
            corrections=("ATTN", "SCAT", "DECY", "RAN", "NORM", "DTIM"),
            time_per_bed_s=150.0,
            reconstruction="OSEM3D 4i8s",
            iterations=4,
            subsets=8,
            filter="XYZ Gauss 5.00",
            suv_factor=SUV_FACTOR,
            number_of_slices=40,
        )
    },
}
_UNITS = {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.BQ_PER_ML}


def picture(modality: str, position: float, size: int, noise: float = 1.0) -> np.ndarray:
    """A body-like ellipse with an organ; `position` from 0 (feet) to 1 (head)."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    rng = np.random.default_rng(round(position * 1e6))
    swell = 1.0 - 0.5 * (2 * position - 1) ** 2
    body = (x / 0.85) ** 2 + (y / (0.62 * swell)) ** 2 < 1
    organ = ((x + 0.35) / 0.3) ** 2 + ((y + 0.1) / 0.25) ** 2 < 1
    spine = (x / 0.1) ** 2 + ((y - 0.32) / 0.1) ** 2 < 1
    grain = noise * rng.standard_normal((size, size))
    if modality == "CT":
        image = np.where(body, 40.0, -1000.0) + 60 * organ * body + 300 * spine * body + 25 * grain
        image[x**2 + y**2 > 1] = np.nan
    elif modality == "MR":
        image = np.abs(np.where(body, 420.0, 0.0) + 260 * organ * body - 200 * spine * body + 22 * grain)
    else:
        hot = ((x - 0.3) / 0.08) ** 2 + ((y + 0.2) / 0.08) ** 2 < max(0.0, 1 - 30 * (position - 0.6) ** 2)
        image = np.where(body, 2500.0, 50.0) + 7000 * organ * body * (0.35 < position < 0.6) + 30000 * hot
        image = np.abs(image + 600 * grain * body)
    return image.astype(np.float32)


def header(**values: Any) -> Dataset:
    dataset = Dataset()
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "4711-SECRET"
    dataset.StudyDate = "20260102"
    dataset.StudyDescription = "Abdomen routine"
    dataset.InstitutionName = "Test Hospital"
    dataset.AccessionNumber = "ACC-99"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def series(
    modality: str = "CT",
    frames: int = 40,
    size: int = 96,
    *,
    decode: Callable[[int], np.ndarray] | None = None,
    suv: bool = True,
    header_values: dict[str, Any] | None = None,
    **acquisition: Any,
) -> Series:
    factor = SUV_FACTOR if modality == "PT" and suv else None
    spacing = 360.0 / size
    unit = _UNITS[modality]

    def read(z: int) -> np.ndarray:
        return picture(modality, z / max(1, frames - 1), size)

    decode = decode or read
    planes = []
    for z in range(frames):
        facts = FrameHeader(
            rows=size,
            columns=size,
            position_mm=(-180.0, -180.0, 5.0 * z),
            orientation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
            spacing_mm=(spacing, spacing),
            slice_thickness_mm=5.0,
            instance_number=z + 1,
            suv_factor=factor,
        )
        planes.append(
            Frame(
                sop_instance_uid=f"1.2.826.0.1.3680043.10.999.3.{z + 1}",
                number=1,
                modality=modality,
                unit=unit,
                header=facts,
                sha256="0" * 64,
                decode=lambda z=z: decode(z),
            )
        )
    parts = dict(_PARTS[modality])
    if not suv and "pt" in parts:
        parts["pt"] = dataclasses.replace(parts["pt"], suv_factor=None, suv_missing=("PatientWeight",))
    values: dict[str, Any] = {
        "manufacturer": "Maker",
        "model": "Scanner One",
        "station": "ROOM1",
        "software": "1.0",
        "protocol": "Routine",
        "body_part": "ABDOMEN",
        "series_description": "Axial 5.0",
        "slice_thickness_mm": 5.0,
        "spacing_between_slices_mm": 5.0,
        "rows": size,
        "columns": size,
        "pixel_spacing_mm": (spacing, spacing),
        "bits_stored": 16,
    }
    made = Acquisition(modality=modality, **{**values, **parts, **acquisition})
    return Series(
        study_uid="1.2.826.0.1.3680043.10.999.1",
        series_uid="1.2.826.0.1.3680043.10.999.2",
        part="",
        modality=modality,
        acquisition=made,
        frames=tuple(planes),
        stacks=(Stack(label="", start=0, stop=frames),),
        volume=Volume(
            shape=(frames, size, size),
            spacing_mm=(5.0, spacing, spacing),
            origin_mm=(-180.0, -180.0, 0.0),
            direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
            unit=unit,
            read=decode,
        ),
        instances=tuple(
            InstanceReference(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid=p.sop_instance_uid) for p in planes
        ),
        header=header(**(header_values or {})),
    )


def measurement(name: str = "ct_noise", value: float = 48.03, high: float | None = 30.0) -> Measurement:
    units = {"ct_noise": Unit.HU, "mr_snr": Unit.ONE, "pt_liver_cov": Unit.PERCENT}
    return Measurement(
        quantity=own(name, "Global noise level"),
        value=value,
        unit=units.get(name, Unit.ONE),
        source="Christianson et al., AJR 205 (2015)",
        interval=(value - 1.5, value + 1.5),
        limits=None if high is None else (None, high),
    )


def prediction(kind: str, of: Series, score: float, adequate: float, *, scores: bool = True) -> Prediction:
    count = len(of.frames)
    along = np.clip(score + 0.6 * np.cos(np.linspace(0, 9, count)), 0, 4)
    return Prediction(
        model=f"{kind}_{of.modality.lower()}",
        kind=kind,
        digest="ab" * 32,
        score=score,
        adequate=adequate,
        interval=(max(0.0, score - 0.4), min(4.0, score + 0.4)),
        frame_scores=tuple(float(value) for value in along) if kind == "mal" and scores else (),
        worst_frames=tuple(int(index) for index in np.argsort(along)[:3]) if kind == "mal" else (),
    )


def heat_maps(of: Series, frames: tuple[int, ...] = (16, 14, 18)) -> tuple[HeatMap, ...]:
    made = []
    for index in frames:
        facts = of.frames[index]
        y, x = np.mgrid[-1 : 1 : facts.header.rows * 1j, -1 : 1 : facts.header.columns * 1j]
        array = np.exp(-(((x - 0.3) / 0.25) ** 2 + ((y + 0.2) / 0.25) ** 2)).astype(np.float32)
        made.append(
            HeatMap(
                frame=index,
                sop_instance_uid=facts.sop_instance_uid,
                number=facts.number,
                model=f"mal_{of.modality.lower()}",
                method="LayerGradCam",
                array=array,
                limits=(0.0, 1.0),
                localisable=True,
            )
        )
    return tuple(made)


def reference(of: Series) -> SeriesReference:
    return SeriesReference(
        study_uid=of.study_uid,
        series_uid=of.series_uid,
        part=of.part,
        modality=of.modality,
        frames=len(of.frames),
        instances=of.instances,
    )


def assessment(
    of: Series,
    verdict: Verdict | None = Verdict.RESCAN,
    reason: str = "rescan_two_witnesses",
    *,
    findings: tuple[Finding, ...] | None = None,
    predictions: tuple[Prediction, ...] | None = None,
    measurements: tuple[Measurement, ...] | None = None,
    reason_values: dict[str, Any] | None = None,
) -> Assessment:
    noise = finding("ct_noise_high", values={"value": 48.03, "limit": 30.0}, frames=(40, 57))
    mal = finding("mal_against", values={"score": 1.32, "limit": 2.0}, frames=(12, 19))
    good = verdict is Verdict.ADEQUATE
    default = (
        prediction("mal", of, 3.5 if good else 1.32, 0.93 if good else 0.11),
        prediction("densenet", of, 3.3 if good else 1.6, 0.9 if good else 0.24),
    )
    return Assessment(
        series=reference(of),
        acquisition=of.acquisition,
        verdict=verdict,
        reason=reason,
        reason_values={"witnesses": "mal, physics"} if reason_values is None else reason_values,
        provenance=Provenance(
            medqa_version="0.1.0",
            packages={"numpy": "2.4.6", "onnxruntime": "1.31.1"},
            bundles={"mal_ct": "ab" * 32},
            settings_digest="cd" * 32,
            input_digest="ef" * 32,
            judged_at=JUDGED_AT,
        ),
        measurements=(measurement(),) if measurements is None else measurements,
        predictions=default if predictions is None else predictions,
        findings=(() if good else (noise, mal)) if findings is None else findings,
        not_checked=(
            NotChecked(what="ct_air", reason="background_masked"),
            NotChecked(what="calibration", reason="no_calibration"),
        ),
    )
