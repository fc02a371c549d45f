"""Small DICOM files made by hand for the tests of the reader: every value in them is known."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "enhanced CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "enhanced PT": "1.2.840.10008.5.1.4.1.1.130",
}
AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def ramp(index: int = 0, rows: int = 32, columns: int = 40) -> np.ndarray:
    """Return stored values that are different in every pixel and every slice, `(y, x)` int16."""
    return (np.arange(rows * columns, dtype=np.int16).reshape(rows, columns) + np.int16(100 * index)).astype(np.int16)


def dataset(kind: str = "CT", index: int = 0, pixels: np.ndarray | None = None, **attributes: Any) -> Dataset:
    """Return a classic slice: 3 mm apart along z, 0.5 × 0.75 mm pixels, `HU = stored - 1024` for CT."""
    pixels = ramp(index) if pixels is None else pixels
    made = Dataset()
    made.SOPClassUID, made.Modality = CLASSES[kind], kind[-2:]
    made.SOPInstanceUID, made.SeriesInstanceUID, made.StudyInstanceUID = f"1.2.3.1.{index + 1}", "1.2.3.9", "1.2.3.8"
    made.PatientName, made.PatientID, made.StudyDate, made.SeriesDate = "Phantom^Hand", "H1", "20240102", "20240102"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.InstanceNumber = index + 1
    made.ImagePositionPatient, made.ImageOrientationPatient = [-10.0, -20.0, 3.0 * index], AXIAL
    made.PixelSpacing, made.SliceThickness = [0.5, 0.75], 3.0
    made.Rows, made.Columns = pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored = 8 * pixels.dtype.itemsize, 8 * pixels.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    if kind[-2:] == "CT":
        made.RescaleSlope, made.RescaleIntercept, made.KVP = 1, -1024, 120
    if kind[-2:] == "PT":
        pet(made)
    for keyword, value in attributes.items():
        if value is None:
            del made[keyword]
        else:
            setattr(made, keyword, value)
    return made


def pet(made: Dataset) -> None:
    """Add a PET scan one hour after the injection of 370 MBq of fluorine-18 into 70 kg."""
    made.Units, made.DecayCorrection, made.PatientWeight = "BQML", "START", 70
    made.RescaleSlope, made.RescaleIntercept = 2, 0
    made.SeriesTime, made.AcquisitionTime, made.AcquisitionDate = "110000", "110000", "20240102"
    made.ActualFrameDuration, made.FrameReferenceTime = 120000, 0
    drug = Dataset()
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife, drug.RadiopharmaceuticalStartTime = 370e6, 6586.2, "100000"
    made.RadiopharmaceuticalInformationSequence = Items([drug])


def encoded(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the bytes of a DICOM file in an uncompressed or deflated transfer syntax."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made["PixelData"].VR = "OB" if made.BitsAllocated == 8 else "OW"
    stream = io.BytesIO()
    dcmwrite(stream, made, enforce_file_format=True)
    return stream.getvalue()


def store(folder: Path, instances: Sequence[Dataset], syntax: str = ExplicitVRLittleEndian) -> list[Path]:
    """Write one file an instance, named by their place in the sequence."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, made in enumerate(instances):
        path = folder / f"{number:04d}.dcm"
        path.write_bytes(encoded(made, syntax))
        paths.append(path)
    return paths


def enhanced(kind: str, pixels: np.ndarray, frames: Sequence[dict[str, Any]], **attributes: Any) -> Dataset:
    """Return an enhanced object; each of `frames` may give `z`, `slope`, `intercept`, `b`, `echo_time`, `time`, `frame_type`."""
    made = dataset(kind, 0, pixels[0])
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        if keyword in made:
            del made[keyword]
    made.NumberOfFrames, made.PixelData = len(pixels), pixels.tobytes()
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 3.0
    orientation = Dataset()
    orientation.ImageOrientationPatient = AXIAL
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([orientation])
    made.SharedFunctionalGroupsSequence = Items([shared])
    made.PerFrameFunctionalGroupsSequence = Items([_group(kind, values) for values in frames])
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def _group(kind: str, values: dict[str, Any]) -> Dataset:
    def item(**attributes: Any) -> Items:
        made = Dataset()
        for keyword, value in attributes.items():
            setattr(made, keyword, value)
        return Items([made])

    group = Dataset()
    group.PlanePositionSequence = item(ImagePositionPatient=[-10.0, -20.0, float(values["z"])])
    group.PixelValueTransformationSequence = item(
        RescaleSlope=values.get("slope", 1),
        RescaleIntercept=values.get("intercept", -1024 if "CT" in kind else 0),
        RescaleType="US",
    )
    content = {"FrameAcquisitionDateTime": "20240102110000", "FrameAcquisitionNumber": 1}
    if "time" in values:
        content["TemporalPositionIndex"] = values["time"]
    group.FrameContentSequence = item(**content)
    if "b" in values:
        group.MRDiffusionSequence = item(DiffusionBValue=values["b"])
    if "echo_time" in values:
        group.MREchoSequence = item(EffectiveEchoTime=values["echo_time"])
    if "frame_type" in values:
        group.MRImageFrameTypeSequence = item(FrameType=values["frame_type"])
    return group
