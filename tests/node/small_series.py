"""Small series as a scanner would send them, scorers that need no network, and a sender: what the node tests share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_node.connection import Requests
from medqa.assessment import FrameEvidence, FrameScore, HeatMap, Prediction
from medqa.config import Settings
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.series import FrameImage, Series

CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}
SIDE = 64


def series(modality: str, count: int = 24, *, seed: int = 0, side: int = SIDE, noise: float = 0.02) -> list[Dataset]:
    """Return the instances of one series in their order in space."""
    return list(instances(modality, count, seed=seed, side=side, noise=noise))


def instances(modality: str, count: int, *, seed: int = 0, side: int = SIDE, noise: float = 0.02) -> Iterator[Dataset]:
    """Yield what `series` returns, one after the other: a long series need not fit into memory."""
    uids = {name: generate_uid(entropy_srcs=[name, modality, str(seed)]) for name in ("study", "series", "frame of reference")}
    for index in range(count):
        yield _instance(modality, index, count, uids, np.random.default_rng([seed, index]), side, noise)


def _instance(
    modality: str, index: int, count: int, uids: dict[str, str], chance: np.random.Generator, side: int, noise: float
) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CLASSES[modality]
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[uids["series"], str(index)])
    dataset.StudyInstanceUID = uids["study"]
    dataset.SeriesInstanceUID = uids["series"]
    dataset.FrameOfReferenceUID = uids["frame of reference"]
    dataset.Modality = modality
    dataset.PatientName, dataset.PatientID = "Phantom^Small", "SMALL-1"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientWeight = "19700101", "O", "70"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20260102"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "110000"
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "A1", "1", ""
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 1, index + 1, 1
    dataset.Manufacturer, dataset.ManufacturerModelName = "medqa", "phantom"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient = [-side, -side, 3.0 * index]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [2.0, 2.0], 3.0
    _pixels(dataset, _shape(side), chance, modality, noise)
    {"CT": _ct, "MR": _mr, "PT": _pt}[modality](dataset, count)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _shape(side: int) -> np.ndarray:
    """A round body with a brighter organ, 0 outside, 1 in the body, 1.5 in the organ."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    body = (np.hypot(y / 0.8, x) < 0.42 * side).astype(float)
    return body + 0.5 * (np.hypot(y, x - 0.15 * side) < 0.12 * side)


def _pixels(dataset: Dataset, shape: np.ndarray, chance: np.random.Generator, modality: str, noise: float) -> None:
    offset, scale = {"CT": (24.0, 1040.0), "MR": (20.0, 600.0), "PT": (50.0, 8000.0)}[modality]
    values = offset + scale * np.minimum(shape, 1.0) + 0.1 * scale * np.maximum(shape - 1.0, 0.0)
    values += noise * scale * chance.standard_normal(shape.shape)
    dataset.Rows, dataset.Columns = shape.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = np.clip(np.rint(values), 0, 65535).astype("<u2").tobytes()


def _ct(dataset: Dataset, count: int) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.KVP, dataset.ConvolutionKernel, dataset.PatientPosition = 120, "B30f", "HFS"
    dataset.XRayTubeCurrent, dataset.ExposureTime, dataset.Exposure, dataset.CTDIvol = 200, 500, 100, 8.0


def _mr(dataset: Dataset, count: int) -> None:
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.MRAcquisitionType = "SE", "NONE", "2D"
    dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle, dataset.MagneticFieldStrength = 500, 10, 90, 1.5
    dataset.PatientPosition, dataset.ScanOptions, dataset.EchoTrainLength = "HFS", "", 1


def _pt(dataset: Dataset, count: int) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.Units = 1, 0, "BQML"
    dataset.SeriesType, dataset.NumberOfSlices, dataset.ImageIndex = ["WHOLE BODY", "IMAGE"], count, dataset.InstanceNumber
    dataset.CorrectedImage, dataset.DecayCorrection, dataset.CountsSource = ["DECY", "ATTN", "SCAT"], "START", "EMISSION"
    dataset.ActualFrameDuration, dataset.FrameReferenceTime, dataset.DecayFactor = "120000", "0", "1"
    drug = Dataset()
    drug.Radiopharmaceutical, drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = "FDG", "245000000", "6586.2"
    drug.RadiopharmaceuticalStartTime = "100000"
    dataset.RadiopharmaceuticalInformationSequence = [drug]


def encoded(dataset: Dataset) -> bytes:
    """Return an instance as a DICOM file."""
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def write(folder: Path, datasets: Iterable[Dataset]) -> list[Path]:
    """Write instances as files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in datasets:
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(encoded(dataset))
        paths.append(path)
    return paths


def associate(port: int, ae_title: str = "SCANNER") -> Association:
    """Open an association for every class that `series` makes."""
    ae = AE(ae_title)
    ae.dimse_timeout = ae.network_timeout = 180  # a machine that does much else answers late
    for uid in CLASSES.values():
        ae.add_requested_context(uid, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title="MEDQA")
    assert association.is_established
    return association


def send(port: int, datasets: Iterable[Dataset], ae_title: str = "SCANNER") -> None:
    """Send over one association; every instance must be taken."""
    requests = Requests(associate(port, ae_title))
    for dataset in datasets:
        assert requests.store(dataset).get("Status") == 0x0000
    requests.release()


@dataclass(frozen=True)
class FakeMal:
    """Scores a frame by how even its body is: a function of its pixels alone, as a network's score is."""

    modality: str
    name: str = ""
    kind: str = "mal"
    digest: str = "fake"

    def score(self, images: Sequence[FrameImage]) -> list[FrameScore]:
        return [FrameScore(score=_evenness(image.array)) for image in images]

    def conclude(self, series: Series, evidence: Sequence[FrameEvidence], measurements: Sequence[Measurement] = ()) -> Prediction:
        scores = [one.scores.get(self.name) for one in evidence]
        known = [score for score in scores if score is not None]
        if not known:
            raise NotApplicable(what=self.name, reason="too_few_frames")
        score = float(np.mean(known))
        worst = sorted((value, place) for place, value in enumerate(scores) if value is not None)[:3]
        return Prediction(
            model=self.name,
            kind=self.kind,
            digest=self.digest,
            score=score,
            adequate=score / 4,
            frame_scores=tuple(scores),
            worst_frames=tuple(place for _, place in worst),
        )

    def explain(self, series: Series, frames: Sequence[int]) -> list[HeatMap]:
        return []


def _evenness(array: np.ndarray) -> float:
    side = array.shape[0]
    middle = array[side // 2 - 8 : side // 2 + 8, side // 2 - 16 : side // 2]
    spread = float(np.nanstd(middle)) / (abs(float(np.nanmean(middle))) + 0.2 * float(np.nanmax(array) - np.nanmin(array)) + 1e-6)
    return float(np.clip(4 - 20 * spread, 0, 4))


@dataclass(frozen=True)
class FakeShelf:
    scorers: tuple[FakeMal, ...]
    unusable: tuple[object, ...] = ()


def fake_load(settings: Settings) -> FakeShelf:
    """Stand in for `medqa.iqa.bundle.load`; importable in the node's processes."""
    return FakeShelf(tuple(FakeMal(modality, f"mal_{modality.lower()}") for modality in CLASSES))
