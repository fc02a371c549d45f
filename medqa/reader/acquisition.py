"""How a scan was made, from coded attributes: CT (PS3.3 C.8.2), MR (C.8.3), PET (C.8.9).

Enhanced objects keep the same facts in functional groups; `flat` brings those to the top level first.
"""

from __future__ import annotations

from typing import Final

from pydicom import Dataset

from medqa.acquisition import Acquisition, CTAcquisition, MRAcquisition, PTAcquisition
from medqa.reader.frame_header import spacing
from medqa.reader.suv import Uptake
from medqa.reader.values import code_meaning, integer, items, moment, number, numbers, raw, text, texts

_CTDI_PHANTOM_MM: Final = {"113690": 160.0, "113691": 320.0}
"""IEC head and body dosimetry phantom (CID 4052); the other phantoms come in both sizes under one code."""
_ALWAYS_LOSSY: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})


def acquisition(header: Dataset, modality: str, transfer_syntax: str, suv: Uptake | None) -> Acquisition:
    """Return what the header says; attributes that are absent or malformed are None."""
    acquired = moment(header, "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime")
    return Acquisition(
        modality=modality,
        manufacturer=text(header, "Manufacturer"),
        model=text(header, "ManufacturerModelName"),
        station=text(header, "StationName"),
        software=text(header, "SoftwareVersions"),
        protocol=text(header, "ProtocolName"),
        body_part=text(header, "BodyPartExamined") or code_meaning(header, "AnatomicRegionSequence"),
        series_description=text(header, "SeriesDescription"),
        acquisition_datetime=None if acquired is None else acquired.isoformat(),
        image_type=tuple(value.upper() for value in texts(header, "ImageType")),
        slice_thickness_mm=number(header, "SliceThickness"),
        spacing_between_slices_mm=number(header, "SpacingBetweenSlices"),
        rows=integer(header, "Rows") or 0,
        columns=integer(header, "Columns") or 0,
        pixel_spacing_mm=spacing(header),
        bits_stored=integer(header, "BitsStored"),
        lossy=text(header, "LossyImageCompression") == "01" or transfer_syntax in _ALWAYS_LOSSY,
        transfer_syntaxes=(transfer_syntax,),
        patient_position=text(header, "PatientPosition"),
        ct=_ct(header) if modality == "CT" else None,
        mr=_mr(header) if modality == "MR" else None,
        pt=_pt(header, suv) if modality == "PT" else None,
    )


def _ct(header: Dataset) -> CTAcquisition:
    collimation = number(header, "TotalCollimationWidth")
    return CTAcquisition(
        kvp_kv=number(header, "KVP"),
        exposure_mas=_exposure_mas(header),
        tube_current_ma=number(header, "XRayTubeCurrent") or number(header, "XRayTubeCurrentInmA"),
        exposure_time_ms=number(header, "ExposureTime") or number(header, "ExposureTimeInms"),
        ctdivol_mgy=number(header, "CTDIvol"),
        ctdi_phantom_mm=_ctdi_phantom_mm(header),
        dlp_mgycm=number(header, "DoseLengthProduct"),
        kernel=text(header, "ConvolutionKernel"),
        pitch=number(header, "SpiralPitchFactor"),
        gantry_tilt_deg=number(header, "GantryDetectorTilt"),
        reconstruction_diameter_mm=number(header, "ReconstructionDiameter"),
        collimation_mm=collimation,
        iterative_reconstruction=_iterative(header),
        contrast_agent=text(header, "ContrastBolusAgent") or code_meaning(header, "ContrastBolusAgentSequence"),
    )


def _ctdi_phantom_mm(header: Dataset) -> float | None:
    """Return the diameter of the phantom that CTDIvol refers to."""
    named = next(iter(items(header, "CTDIPhantomTypeCodeSequence")), Dataset())
    return _CTDI_PHANTOM_MM.get(text(named, "CodeValue") or "")


def _exposure_mas(header: Dataset) -> float | None:
    whole = number(header, "Exposure")
    if whole is not None:
        return whole
    fine = number(header, "ExposureInuAs")
    return number(header, "ExposureInmAs") if fine is None else fine / 1000


def _iterative(header: Dataset) -> str | None:
    """Return the name of the reconstruction where the header has one: algorithm, or GE's private ASIR text."""
    return text(header, "ReconstructionAlgorithm") or code_meaning(header, "ReconstructionAlgorithmSequence")


def _mr(header: Dataset) -> MRAcquisition:
    axis = text(header, "InPlanePhaseEncodingDirection")
    reduction = number(header, "ParallelReductionFactorInPlane")
    technique = text(header, "ParallelAcquisitionTechnique")
    acceleration = None if reduction is None or reduction <= 1 else f"{technique or 'parallel imaging'} {reduction:g}"
    options = set(texts(header, "ScanOptions"))
    suppression = text(header, "SpectrallySelectedSuppression") or ("FS" if options & {"FS", "FAT_SAT", "FATSAT"} else None)
    return MRAcquisition(
        field_strength_t=_tesla(number(header, "MagneticFieldStrength")),
        sequence=text(header, "SequenceName") or text(header, "PulseSequenceName"),
        scanning_sequence=text(header, "ScanningSequence"),
        sequence_variant=text(header, "SequenceVariant"),
        acquisition_type=text(header, "MRAcquisitionType"),
        repetition_time_ms=number(header, "RepetitionTime"),
        echo_time_ms=number(header, "EchoTime") or number(header, "EffectiveEchoTime"),
        inversion_time_ms=number(header, "InversionTime") or None,
        flip_angle_deg=number(header, "FlipAngle"),
        acquisition_matrix=_matrix(header),
        bandwidth_hz_per_px=number(header, "PixelBandwidth"),
        coil=text(header, "ReceiveCoilName"),
        acceleration=acceleration,
        phase_encoding_direction={"ROW": "ROW", "COL": "COL", "COLUMN": "COL"}.get(axis or ""),
        phase_encoding_order=text(header, "RectilinearPhaseEncodeReordering"),
        averages=number(header, "NumberOfAverages"),
        echo_train_length=integer(header, "EchoTrainLength"),
        fat_suppression=suppression,
    )


def _tesla(value: float | None) -> float | None:
    # Some scanners write gauss (15000 for 1.5 T).
    return value / 10000 if value is not None and value > 100 else value


def _matrix(header: Dataset) -> tuple[int, ...] | None:
    found = numbers(header, "AcquisitionMatrix", 4)
    if found is None:
        # enhanced: frequency and phase encoding steps
        steps = integer(header, "MRAcquisitionFrequencyEncodingSteps"), integer(header, "MRAcquisitionPhaseEncodingStepsInPlane")
        return None if steps[0] is None or steps[1] is None else (steps[0], steps[1])
    return tuple(int(value) for value in found if value > 0) or None


def _pt(header: Dataset, suv: Uptake | None) -> PTAcquisition:
    drug = next(iter(items(header, "RadiopharmaceuticalInformationSequence")), Dataset())
    duration_ms = number(header, "ActualFrameDuration")
    injected = None if suv is None else suv.injection
    return PTAcquisition(
        tracer=text(drug, "Radiopharmaceutical") or code_meaning(drug, "RadiopharmaceuticalCodeSequence"),
        radionuclide=code_meaning(drug, "RadionuclideCodeSequence"),
        half_life_s=number(drug, "RadionuclideHalfLife"),
        injected_dose_bq=number(drug, "RadionuclideTotalDose"),
        injection_time=None if injected is None else injected.isoformat(),
        uptake_min=None if suv is None else suv.uptake_min,
        weight_kg=number(header, "PatientWeight"),
        height_m=number(header, "PatientSize"),
        units=text(header, "Units"),
        suv_type=text(header, "SUVType"),
        decay_correction=text(header, "DecayCorrection"),
        corrections=texts(header, "CorrectedImage"),
        time_per_bed_s=None if duration_ms is None else duration_ms / 1000,
        reconstruction=text(header, "ReconstructionMethod"),
        iterations=_from_text(header, "i"),
        subsets=_from_text(header, "s"),
        filter=text(header, "ConvolutionKernel"),
        attenuation_correction=text(header, "AttenuationCorrectionMethod"),
        scatter_correction=text(header, "ScatterCorrectionMethod"),
        number_of_slices=integer(header, "NumberOfSlices"),
        suv_factor=None if suv is None else suv.factor,
        suv_missing=() if suv is None else suv.missing,
    )


def _from_text(header: Dataset, letter: str) -> int | None:
    """Return the iterations (`i`) or subsets (`s`): the attribute, else what the method's name says (`OSEM3D 4i8s`)."""
    import re

    keyword = {"i": "NumberOfIterations", "s": "NumberOfSubsets"}[letter]
    found = integer(header, keyword)
    method = text(header, "ReconstructionMethod") or ""
    if found is not None or raw(header, "ReconstructionMethod") is None:
        return found
    match = re.search(rf"(\d+)\s*{letter}", method)
    return None if match is None else int(match.group(1))
