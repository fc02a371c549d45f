"""How a scan was made: classic, enhanced and legacy converted objects say the same in different places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from medqa.codes import Unit
from medqa.reader import read
from medqa.series import Series
from tests.science.reader_factories import dataset, enhanced, ramp, store


def item(**attributes: Any) -> Items:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return Items([made])


def only(folder: Path, made: Dataset) -> Series:
    store(folder, [made])
    (series,) = read(folder).series
    return series


def test_a_classic_ct(tmp_path: Path) -> None:
    made = dataset(ExposureInuAs=35500, XRayTubeCurrent=210, CTDIvol=7.5, SpiralPitchFactor=0.9, GantryDetectorTilt=-12)
    made.ConvolutionKernel, made.Manufacturer, made.LossyImageCompression = ["Br38f", "3"], "ACME", "01"
    series = only(tmp_path, made)
    ct = series.acquisition.ct
    assert ct is not None
    assert (ct.kvp_kv, ct.exposure_mas, ct.tube_current_ma, ct.ctdivol_mgy) == (120, 35.5, 210, 7.5)
    assert (ct.kernel, ct.pitch, ct.gantry_tilt_deg) == ("Br38f\\3", 0.9, -12)
    assert series.acquisition.lossy
    assert [note.message for note in series.notes] == ["single_slice", "lossy_compression"]


def test_gauss_are_tesla(tmp_path: Path) -> None:
    mr = only(tmp_path, dataset("MR", MagneticFieldStrength=15000)).acquisition.mr
    assert mr is not None
    assert mr.field_strength_t == 1.5


@pytest.mark.parametrize("value", ["", "abc", "1\\2", "9" * 400])
def test_a_malformed_number_is_silence(tmp_path: Path, value: str) -> None:
    made = dataset()
    made.KVP = "7777"
    path = tmp_path / "odd.dcm"
    data = store(tmp_path, [made])[0].read_bytes()
    (tmp_path / "0000.dcm").unlink()
    path.write_bytes(data.replace(b"7777", value[:4].encode().ljust(4)))
    (series,) = read(tmp_path).series
    assert series.acquisition.ct is not None
    assert series.acquisition.ct.kvp_kv in (None, 1.0, 9999.0)


def test_an_enhanced_ct_keeps_its_exposure_in_functional_groups(tmp_path: Path) -> None:
    made = enhanced("enhanced CT", np.stack([ramp(0), ramp(1)]), [{"z": 0}, {"z": 3}])
    del made.KVP
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.CTXRayDetailsSequence = item(KVP=100, FocalSpots=1.2)
    shared.CTReconstructionSequence = item(ConvolutionKernel="B30", ReconstructionAlgorithm="ITERATIVE", ReconstructionDiameter=350)
    shared.CTExposureSequence = item(ExposureInmAs=42.0, XRayTubeCurrentInmA=180.0, CTDIvol=3.25)
    series = only(tmp_path, made)
    ct = series.acquisition.ct
    assert ct is not None
    assert (ct.kvp_kv, ct.exposure_mas, ct.tube_current_ma, ct.ctdivol_mgy) == (100, 42, 180, 3.25)
    assert (ct.kernel, ct.iterative_reconstruction, ct.reconstruction_diameter_mm) == ("B30", "ITERATIVE", 350)
    assert series.frames[1].header.tube_current_ma == 180


def test_an_enhanced_mr_keeps_its_timing_in_functional_groups(tmp_path: Path) -> None:
    made = enhanced("enhanced MR", np.stack([ramp(0)]), [{"z": 0, "echo_time": 30.5}])
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.MRTimingAndRelatedParametersSequence = item(RepetitionTime=2000, FlipAngle=90)
    shared.MRFOVGeometrySequence = item(
        InPlanePhaseEncodingDirection="COLUMN", MRAcquisitionFrequencyEncodingSteps=128, MRAcquisitionPhaseEncodingStepsInPlane=96
    )
    made.RectilinearPhaseEncodeReordering = "REVERSE_LINEAR"
    series = only(tmp_path, made)
    mr = series.acquisition.mr
    assert mr is not None
    assert mr.phase_encoding_order == "REVERSE_LINEAR"
    assert (mr.echo_time_ms, mr.repetition_time_ms, mr.flip_angle_deg) == (30.5, 2000, 90)
    assert (mr.phase_encoding_direction, mr.acquisition_matrix) == ("COL", (128, 96))
    assert series.frames[0].header.phase_encoding_axis == "COL"


def test_a_legacy_converted_pet_is_read_like_the_classic_one(tmp_path: Path) -> None:
    classic = only(tmp_path / "classic", dataset("PT"))
    made = enhanced("enhanced PT", np.stack([ramp(0)]), [{"z": 0, "slope": 2}], SOPClassUID="1.2.840.10008.5.1.4.1.1.128.1")
    left_over = {keyword: made[keyword].value for keyword in ("Units", "DecayCorrection", "SeriesTime", "AcquisitionTime")}
    for keyword in left_over:
        del made[keyword]
    made.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence = item(**left_over)
    converted = only(tmp_path / "converted", made)
    assert converted.unit == Unit.BQ_PER_ML
    assert converted.frames[0].header.suv_factor == classic.frames[0].header.suv_factor
    assert np.array_equal(converted.frames[0].read().array, classic.frames[0].read().array)
