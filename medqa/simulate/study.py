"""Arrays to valid DICOM files: classic CT, MR and PET images with the header that a scanner would give them.

Modules: PS3.3 A.3 (CT), A.4 (MR), A.21 (PET). UIDs are hashed from the seed, so that the same phantom is the same study again.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medqa import __version__, dicom_values
from medqa.simulate.anatomy_pet import DOSE_BQ, HALF_LIFE_S, UPTAKE_S, WEIGHT_KG
from medqa.simulate.phantom import Phantom
from medqa.simulate.placement import Placement, tilted
from medqa.simulate.stored import WHOLE, Stored
from medqa.volume import Array

SOP_CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
WHEN: Final = datetime.datetime(2026, 1, 5, 10, 0, 0)  # noqa: DTZ001 - DICOM times without an offset are local times
MR_LARGEST: Final = 4095
_IMPLEMENTATION: Final = dicom_values.own_uid("implementation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a series of slices is written.

    `label` tells series of one seed apart and becomes the Series Description; `values` overrides attributes by keyword, and None
    leaves one out; `slices` is the number that a PET header declares. `tilt_deg` leans the slices of a CT about the x axis, as a
    tilted gantry does while the table still moves along z; a `placement` goes before it. `stored` holds for CT.
    `finish` is called for every instance with its number from 0, before the pixels, and may change it.
    """

    modality: str
    pixel_mm: float
    spacing_mm: float
    slices: int
    seed: int = 0
    label: str = "phantom"
    number: int = 1
    first_z_mm: float = 0.0
    tilt_deg: float = 0.0
    placement: Placement | None = None
    stored: Stored = WHOLE
    when: datetime.datetime = WHEN
    values: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[Dataset, int], None] = lambda dataset, index: None

    @property
    def placed(self) -> Placement:
        """How the slices lie in the patient."""
        return self.placement or tilted(first_z_mm=self.first_z_mm, spacing_mm=self.spacing_mm, tilt_deg=self.tilt_deg)

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return dicom_values.own_uid("phantom series", self.modality, str(self.seed), self.label)

    @property
    def study_uid(self) -> str:
        """Study Instance UID: one of each modality and seed."""
        return dicom_values.own_uid("phantom study", self.modality, str(self.seed))


def form_of(phantom: Phantom, **values: Any) -> Form:
    """Return the form that fits a phantom; `values` are fields of `Form`."""
    grid = phantom.grid
    return Form(
        modality=phantom.modality,
        pixel_mm=grid.pixel_mm,
        spacing_mm=grid.spacing_mm,
        slices=grid.slices,
        first_z_mm=float(grid.heights_mm[0]),
        **values,
    )


def save(folder: Path, images: Iterable[Array], form: Form) -> tuple[Path, ...]:
    """Write the images as `0001.dcm` … into a folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in instances(images, form):
        path = folder / f"{int(dataset.InstanceNumber):04}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return tuple(paths)


def instances(images: Iterable[Array], form: Form) -> Iterator[Dataset]:
    """Yield an instance for each slice `(y, x)` in its place; NaN becomes the padding or lowest value of CT, else 0.

    One dataset is changed and yielded again: keep a copy, or be done with it before the next.
    """
    dataset = _common(form)
    HEADERS[form.modality](dataset, form)
    for keyword, value in form.values.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    placed = form.placed
    for index, image in enumerate(images):
        uid = dicom_values.own_uid("phantom instance", form.series_uid, str(index))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        dataset.InstanceNumber = index + 1
        rows, columns = dataset.Rows, dataset.Columns = image.shape
        corner = placed.corner_mm(index, rows, columns, form.pixel_mm)
        dataset.ImagePositionPatient = [_decimal(place) for place in corner]
        dataset.SliceLocation = _decimal(placed.location_mm(index))
        if form.modality == "PT":
            dataset.ImageIndex = index + 1
        form.finish(dataset, index)
        _put_pixels(dataset, image, form)
        yield dataset


def _put_pixels(dataset: Dataset, image: Array, form: Form) -> None:
    stored: NDArray[np.integer[Any]]
    if form.modality == "CT":
        stored = form.stored.values(image)
    elif form.modality == "MR":
        stored = np.clip(np.rint(np.nan_to_num(image)), 0, MR_LARGEST).astype("<u2")
    else:
        top = max(float(np.nanmax(image)), 1e-3)
        # The decimal string is what a reader multiplies by: the stored values must be made for it, not for the float behind it.
        slope = f"{top / 32767:.8g}"
        stored = np.clip(np.rint(np.nan_to_num(image) / float(slope)), 0, 32767).astype("<i2")
        dataset.RescaleSlope = slope
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"


def _common(form: Form) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = SOP_CLASSES[form.modality]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = form.study_uid, form.series_uid
    dataset.FrameOfReferenceUID = dicom_values.own_uid("phantom frame of reference", form.study_uid)
    dataset.PatientName = f"PHANTOM^{form.modality}"
    dataset.PatientID = f"PHANTOM-{form.modality}-{form.seed}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19660101", "O", "060Y"
    dataset.PatientWeight, dataset.PatientSize = WEIGHT_KG, 1.74
    date, time = form.when.strftime("%Y%m%d"), form.when.strftime("%H%M%S")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = date
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = time
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = str(form.seed), "", ""
    dataset.StudyDescription = "medqa phantom"
    dataset.SeriesDescription, dataset.ProtocolName = form.label[:64], form.label[:64]
    dataset.Modality, dataset.SeriesNumber, dataset.AcquisitionNumber = form.modality, form.number, 1
    dataset.Manufacturer, dataset.ManufacturerModelName = "Phantom Works", f"Simulated {form.modality}"
    dataset.StationName, dataset.InstitutionName, dataset.SoftwareVersions = "PHANTOM", "Simulation", __version__
    dataset.DeviceSerialNumber = "0"
    dataset.PatientPosition, dataset.PositionReferenceIndicator = "HFS", ""
    dataset.PatientOrientation = list(form.placed.letters)
    dataset.ImageOrientationPatient = [_decimal(cosine) for cosine in form.placed.cosines]
    dataset.PixelSpacing = [_decimal(form.pixel_mm)] * 2
    dataset.SliceThickness = dataset.SpacingBetweenSlices = _decimal(form.spacing_mm)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    return dataset


def _ct(dataset: Dataset, form: Form) -> None:
    del dataset.SpacingBetweenSlices  # no attribute of the CT IOD
    stored = form.stored
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = stored.bits, stored.bits - 1, int(stored.signed)
    if stored.padding is not None and stored.declared:
        dataset.PixelPaddingValue = stored.padding
    _set(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        BodyPartExamined="ABDOMEN",
        ScanOptions="HELICAL MODE",
        KVP=120,
        XRayTubeCurrent=220,
        ExposureTime=500,
        Exposure=110,
        CTDIvol=8.4,
        CTDIPhantomTypeCodeSequence=[code("113691", "DCM", "IEC Body Dosimetry Phantom")],
        ExposureModulationType="XYZ_EC",
        FilterType="BODY",
        GeneratorPower=26,
        FocalSpots=1.2,
        ConvolutionKernel="STANDARD",
        SpiralPitchFactor=0.984,
        SingleCollimationWidth=0.625,
        TotalCollimationWidth=40,
        TableSpeed=78.7,
        TableFeedPerRotation=39.4,
        RevolutionTime=0.5,
        DataCollectionDiameter=500,
        ReconstructionDiameter=420,
        DistanceSourceToDetector=949,
        DistanceSourceToPatient=541,
        GantryDetectorTilt=_decimal(form.tilt_deg),
        TableHeight=150,
        RotationDirection="CW",
        ContrastBolusAgent="Iodine 350",
        RescaleIntercept=stored.intercept,
        RescaleSlope=1,
        RescaleType="HU",
        WindowCenter=40,
        WindowWidth=400,
    )


def _mr(dataset: Dataset, form: Form) -> None:
    _set(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY", "M", "ND"],
        BodyPartExamined="BRAIN",
        ScanningSequence="GR",
        SequenceVariant="SP",
        ScanOptions="",
        MRAcquisitionType="2D",
        SequenceName="*fl2d1",
        RepetitionTime=250,
        EchoTime=2.49,
        EchoNumbers=1,
        EchoTrainLength=1,
        FlipAngle=70,
        NumberOfAverages=1,
        ImagingFrequency=123.2,
        ImagedNucleus="1H",
        MagneticFieldStrength=3,
        NumberOfPhaseEncodingSteps=256,
        PercentSampling=100,
        PercentPhaseFieldOfView=100,
        PixelBandwidth=330,
        TransmitCoilName="Body",
        ReceiveCoilName="HeadNeck_20",
        AcquisitionMatrix=[256, 0, 0, 256],
        InPlanePhaseEncodingDirection="ROW",
        VariableFlipAngleFlag="N",
        SAR=0.4,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        WindowCenter=450,
        WindowWidth=900,
    )


def _pt(dataset: Dataset, form: Form) -> None:
    del dataset.PatientPosition  # said by the two code sequences below
    injected = form.when - datetime.timedelta(seconds=UPTAKE_S)
    tracer = Dataset()
    _set(
        tracer,
        Radiopharmaceutical="FDG -- fluorodeoxyglucose",
        RadiopharmaceuticalVolume=3,
        RadiopharmaceuticalRoute="Intravenous route",
        RadiopharmaceuticalStartTime=injected.strftime("%H%M%S"),
        RadiopharmaceuticalStartDateTime=injected.strftime("%Y%m%d%H%M%S"),
        RadionuclideTotalDose=DOSE_BQ,
        RadionuclideHalfLife=HALF_LIFE_S,
        RadionuclidePositronFraction=0.9673,
        RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine")],
        RadiopharmaceuticalCodeSequence=[code("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
    )
    _set(
        dataset,
        ImageType=["ORIGINAL", "PRIMARY"],
        BodyPartExamined="WHOLEBODY",
        SeriesType=["WHOLE BODY", "IMAGE"],
        Units="BQML",
        SUVType="BW",
        CountsSource="EMISSION",
        NumberOfSlices=form.slices,
        CorrectedImage=["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"],
        DecayCorrection="START",
        DecayFactor=1,
        RandomsCorrectionMethod="DLYD",
        AttenuationCorrectionMethod="measured, CT",
        ScatterCorrectionMethod="Model-based",
        ReconstructionMethod="OSEM 2i8s",
        ConvolutionKernel="Gaussian 5.0 mm",
        CollimatorType="NONE",
        ReconstructionDiameter=640,
        ActualFrameDuration=180_000,
        FrameReferenceTime=0,
        ScatterFractionFactor=0.35,
        DeadTimeFactor=1.05,
        DoseCalibrationFactor=1,
        RescaleIntercept=0,
        WindowCenter=10_000,
        WindowWidth=20_000,
        RadiopharmaceuticalInformationSequence=[tracer],
        EnergyWindowRangeSequence=[_set(Dataset(), EnergyWindowLowerLimit=435, EnergyWindowUpperLimit=650)],
        PatientOrientationCodeSequence=[
            _set(
                code("102538003", "SCT", "recumbent"),
                PatientOrientationModifierCodeSequence=[code("40199007", "SCT", "supine")],
            )
        ],
        PatientGantryRelationshipCodeSequence=[code("102540008", "SCT", "headfirst")],
    )


HEADERS: Final[Mapping[str, Callable[[Dataset, Form], None]]] = {"CT": _ct, "MR": _mr, "PT": _pt}


def _set(dataset: Dataset, **values: Any) -> Dataset:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a coded concept."""
    return _set(Dataset(), CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _decimal(value: float) -> str:
    # Rounded first, and a zero added, so that nothing is written as -0.
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")
