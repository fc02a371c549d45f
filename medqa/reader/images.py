"""Plain images without a DICOM header: NIfTI, MHA, TIFF and PNG, through SimpleITK, with the meaning of their values declared.

What the declared range `LOW,HIGH` does, and nothing is guessed beyond:

- TIFF and PNG hold shades. Floating point values 0 to 1 become LOW to HIGH (LDCT-IQAC: 0 to 1 means -1000 to 400 HU), integers
  do so from the lowest to the highest value of their type (0 and 255, 0 and 65535).
- NIfTI and MHA hold values in their own unit and stay as they are: the range says between which values that unit makes sense.
  A file none of whose values lies there is refused.
- CT values are HU; MR and PET values are in no known unit (no SUV can be computed).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.acquisition import Acquisition, CTAcquisition, MRAcquisition, PTAcquisition
from medqa.codes import Code, Unit
from medqa.errors import UndecodablePixels, UnreadableInstance, ValueRangeRequired
from medqa.reader.assemble import assemble
from medqa.reader.pixels import OUTSIDE_CIRCLE_HU
from medqa.reader.reading import Instance
from medqa.reader.sources import FileSource
from medqa.reader.uids import hashed_uid
from medqa.series import Frame, FrameHeader, Series
from medqa.volume import Array

if TYPE_CHECKING:
    import SimpleITK
    from pydicom import Dataset

FORMATS: Final[dict[str, str]] = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".mha": "MHA",
    ".mhd": "MHA",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".png": "PNG",
}
SHADES: Final = frozenset({"TIFF", "PNG"})
LARGEST_VOLUME: Final = 2 * 1024**3
"""Bytes of the largest image that is loaded."""

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_EMPTY: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
)
Range = tuple[float, float]


def format_of(name: str) -> str | None:
    """Return `NIfTI`, `MHA`, `TIFF` or `PNG` by the end of a file's name, None for anything else."""
    lower = name.lower()
    return next((kind for suffix, kind in FORMATS.items() if lower.endswith(suffix)), None)


def required(source: str, value_range: Range | None, modality: str | None) -> tuple[Range, str]:
    """Return range and modality, both given and sensible.

    Raises
    ------
    ValueRangeRequired
        Where one of them is missing or makes no sense.
    """
    if value_range is None or modality is None:
        raise ValueRangeRequired(source=source, reason="it has no DICOM header")
    low, high = value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueRangeRequired(source=source, reason="the range given is empty")
    if modality not in {"CT", "MR", "PT"}:
        raise ValueRangeRequired(source=source, reason=f"{modality[:16]} is none of CT, MR, PT")
    return value_range, modality


def read_image(source: FileSource, value_range: Range | None, modality: str | None) -> Series:
    """Read one plain image: each file is a series of its own, its slices (and time points) are the frames.

    Raises
    ------
    ValueRangeRequired
        Where the meaning of the values is not declared, or the values contradict it.
    UnreadableInstance
        Where SimpleITK cannot read the file, or it is in colour, or larger than `LARGEST_VOLUME`.
    """
    declared, kind_of_scan = required(source.name, value_range, modality)
    kind = format_of(source.name) or "MHA"
    with source.opened() as data:
        digest = hashlib.sha256(data).hexdigest()
    image = _load(source.path, source.name)
    scale = _scale(image.array, kind, declared, source.name)
    unit = Unit.HU if kind_of_scan == "CT" else Unit.ARBITRARY
    series_uid, study_uid, uid = (hashed_uid(word, digest) for word in ("image series", "image study", "image"))
    frames = tuple(
        Frame(
            sop_instance_uid=uid,
            number=number,
            modality=kind_of_scan,
            unit=unit,
            header=header,
            sha256=digest,
            decode=PlainPixels(source.path, source.name, number - 1, scale, kind_of_scan == "CT"),
        )
        for number, header in enumerate(_headers(image, kind), start=1)
    )
    instance = Instance(
        sop_instance_uid=uid,
        sop_class_uid=_SECONDARY_CAPTURE,
        series_uid=series_uid,
        study_uid=study_uid,
        modality=kind_of_scan,
        sha256=digest,
        frames=frames,
        header=_header(uid, series_uid, study_uid, kind_of_scan),
        acquisition=_acquisition(frames[0], unit),
        part_key=(_SECONDARY_CAPTURE, unit.value),
        name=source.name,
        number_of_frames=len(frames),
    )
    return replace(assemble([instance]).series[0], source=kind)


@dataclass(frozen=True, slots=True)
class PlainPixels:
    """The decoder of one frame of a plain image: calling it gives `(y, x)` float32."""

    path: Path
    name: str
    index: int
    scale: tuple[float, float]
    hounsfield: bool

    def __call__(self) -> Array:
        """Decode.

        Raises
        ------
        UndecodablePixels
            Where the file can no longer be read.
        """
        try:
            array = _load(self.path, self.name).array
        except UnreadableInstance as error:
            raise UndecodablePixels(source=self.name, reason="it can no longer be read") from error
        slope, intercept = self.scale
        out = array.reshape(-1, *array.shape[-2:])[self.index].astype(np.float32) * np.float32(slope) + np.float32(intercept)
        out[~np.isfinite(out)] = np.nan
        if self.hounsfield:
            out[out <= OUTSIDE_CIRCLE_HU] = np.nan
        return np.ascontiguousarray(out, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    array: NDArray[Any]
    """`(t, z, y, x)`"""
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


@lru_cache(maxsize=1)
def _load(path: Path, name: str) -> _Loaded:
    """Return the whole image; the last one is kept, because compressed NIfTI cannot be read slice by slice."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        if math.prod(size) * 8 > LARGEST_VOLUME:
            raise UnreadableInstance(source=name, reason="it is larger than medqa loads")
        if reader.GetNumberOfComponents() != 1 or not 2 <= len(size) <= 4:
            raise UnreadableInstance(source=name, reason="it is in colour or has no two to four dimensions")
        image = reader.Execute()
    except RuntimeError as error:
        raise UnreadableInstance(source=name, reason="SimpleITK cannot read it") from error
    array = sitk.GetArrayFromImage(image)
    array.setflags(write=False)
    return _Loaded(array.reshape((1,) * (4 - array.ndim) + array.shape), *_geometry(image))


def _geometry(image: SimpleITK.Image) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return spacing, origin and direction of the three axes of space."""
    size = image.GetDimension()
    direction = np.eye(3)
    count = min(size, 3)
    direction[:count, :count] = np.asarray(image.GetDirection()).reshape(size, size)[:count, :count]
    spacing = (*image.GetSpacing(), 1.0)[:3]
    origin = (*image.GetOrigin(), 0.0)[:3]
    return spacing, origin, tuple(direction.ravel())


def _scale(array: NDArray[Any], kind: str, declared: Range, name: str) -> tuple[float, float]:
    """Return slope and intercept from the file's values to the declared ones."""
    low, high = declared
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if finite.size == 0:
        raise UnreadableInstance(source=name, reason="it holds no number")
    smallest, largest = float(finite.min()), float(finite.max())
    if kind not in SHADES:
        if largest < low or smallest > high:
            raise ValueRangeRequired(source=name, reason=f"its values, {smallest:g} to {largest:g}, lie outside the range given")
        return 1.0, 0.0
    if array.dtype.kind == "f":
        if smallest < 0 or largest > 1:
            raise ValueRangeRequired(source=name, reason=f"its values, {smallest:g} to {largest:g}, are no shades from 0 to 1")
        return high - low, low
    limits = np.iinfo(array.dtype)
    slope = (high - low) / (float(limits.max) - float(limits.min))
    return slope, low - slope * float(limits.min)


def _headers(image: _Loaded, kind: str) -> list[FrameHeader]:
    times, slices, rows, columns = image.array.shape
    direction = np.asarray(image.direction).reshape(3, 3)
    x, y, z = (tuple(float(value) for value in direction[:, axis]) for axis in range(3))
    out: list[FrameHeader] = []
    for time in range(times):
        for index in range(slices):
            # Shades carry no geometry: the resolution in a TIFF is one of print. One page needs no place.
            placed = kind not in SHADES or slices == 1
            where = np.asarray(image.origin) + index * image.spacing[2] * np.asarray(z)
            out.append(
                FrameHeader(
                    rows=rows,
                    columns=columns,
                    position_mm=(float(where[0]), float(where[1]), float(where[2])) if placed else None,
                    orientation=((x[0], x[1], x[2]), (y[0], y[1], y[2])) if kind not in SHADES else None,
                    spacing_mm=(image.spacing[1], image.spacing[0]) if kind not in SHADES else None,
                    slice_thickness_mm=image.spacing[2] if kind not in SHADES else None,
                    instance_number=len(out) + 1,
                    temporal_position=str(time + 1) if times > 1 else None,
                )
            )
    return out


def _acquisition(frame: Frame, unit: Code) -> Acquisition:
    header = frame.header
    missing = ("Units", "PatientWeight", "RadionuclideTotalDose")
    return Acquisition(
        modality=frame.modality,
        slice_thickness_mm=header.slice_thickness_mm,
        rows=header.rows,
        columns=header.columns,
        pixel_spacing_mm=header.spacing_mm,
        ct=CTAcquisition() if frame.modality == "CT" else None,
        mr=MRAcquisition() if frame.modality == "MR" else None,
        pt=PTAcquisition(suv_missing=missing if unit == Unit.ARBITRARY else ()) if frame.modality == "PT" else None,
    )


def _header(uid: str, series_uid: str, study_uid: str, modality: str) -> Dataset:
    """Return the identity that reports need, with empty patient attributes."""
    from pydicom import Dataset

    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = _SECONDARY_CAPTURE, uid
    header.SeriesInstanceUID, header.StudyInstanceUID = series_uid, study_uid
    header.Modality = modality
    for keyword in _EMPTY:
        setattr(header, keyword, "")
    return header
