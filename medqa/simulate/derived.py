"""A degraded series as valid DICOM: the original's header around new pixels, under UIDs of ours, marked as derived.

Whatever spoke of the old pixels goes: private attributes, overlays, icons, look-up tables, extremes, signatures. Sources: PS3.3
C.7.6.1.1.2 (Image Type), C.7.6.1.1.3 (derivation), C.7.5.1.1.2 (padding), C.11.1 (rescale); PS3.16 CID 7202.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medqa import __version__
from medqa.dicom_values import kept_uid, own_uid
from medqa.errors import NotDerivable
from medqa.reader.dataset import parse
from medqa.reader.pixels import FramePixels
from medqa.reader.values import HEADER_ERRORS, integer, text, texts
from medqa.simulate.degradation import Degraded, Mask
from medqa.simulate.series import DegradedPixels, DegradedSeries, derived_image_type
from medqa.simulate.series_headers import HEADERS
from medqa.simulate.truth import Truth
from medqa.volume import Array

if TYPE_CHECKING:
    from medqa.series import Frame, Series

SERIES_NUMBERS: Final = 940_000
"""Numbers of simulated series begin here, behind the scanner's own and those of the reports."""
PADDING_HU: Final = -2000
"""Stands where a CT has no value: no tissue, no air is that low."""
LARGEST: Final = 32767

_OF_OLD_PIXELS: Final = (
    "DerivationCodeSequence",
    "DigitalSignaturesSequence",
    "EncryptedAttributesSequence",
    "HistogramSequence",
    "IconImageSequence",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "LargestImagePixelValue",
    "LargestPixelValueInSeries",
    "MACParametersSequence",
    "ModalityLUTSequence",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "RealWorldValueMappingSequence",
    "SmallestImagePixelValue",
    "SmallestPixelValueInSeries",
    "VOILUTSequence",
)
_GONE: Final = frozenset(tag_for_keyword(keyword) for keyword in _OF_OLD_PIXELS)
_OVERLAYS_AND_CURVES: Final = (range(0x5000, 0x5100), range(0x6000, 0x6100))

Progress = Callable[[int, int], object]
Keep = Callable[[str, Mask], None]


class Stored(NamedTuple):
    """Pixels as they are stored, with what turns them into values again."""

    values: NDArray[Any]
    slope: str
    intercept: str
    padding: int | None = None


def write(degraded: DegradedSeries, folder: Path, *, keep: Keep | None = None, progress: Progress | None = None) -> Truth:
    """Write a degraded series as `0001.dcm` … in its own order, one frame in memory at a time, and return its truth.

    Parameters
    ----------
    degraded
        What is written; its original must have come from DICOM files of one image each.
    folder
        Made where it is not there.
    keep
        Is given the SOP Instance UID and the mask of each frame that has one.
    progress
        Called with the number of frames done and of all.

    Raises
    ------
    NotDerivable
        Where the original is no such series.
    UndecodablePixels
        Where a frame cannot be decoded.
    """
    total = len(degraded.series.frames)
    for index in range(total):
        _single(degraded.pixels(index).place)
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for index, image in enumerate(degraded.images()):
        frames.append(degraded.frame_truth(index, image))
        dataset = instance(degraded, index, image)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(folder / f"{index + 1:04}.dcm", enforce_file_format=True)
        if keep is not None and image.mask is not None and image.mask.any():
            keep(dataset.SOPInstanceUID, image.mask)
        if progress is not None:
            progress(index + 1, total)
    return degraded.truth(frames)


@contextmanager
def mask_archive(path: Path) -> Iterator[Keep]:
    """Give a function that puts masks into a compressed npz, one array a SOP Instance UID; without any there is no file."""
    kept = 0

    def keep(uid: str, mask: Mask) -> None:
        nonlocal kept
        kept += 1
        # An entry without a time of its own: the same masks make the same file.
        entry = zipfile.ZipInfo(f"{uid}.npy")
        entry.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(entry, "w") as file:
            np.lib.format.write_array(file, mask, allow_pickle=False)

    with zipfile.ZipFile(path, "w") as archive:
        yield keep
    if not kept:
        path.unlink()


def instance(degraded: DegradedSeries, index: int, image: Degraded) -> Dataset:
    """Return one frame of a degraded series as a finished dataset with its file meta information."""
    frame, pixels = degraded.series.frames[index], degraded.pixels(index)
    with warnings.catch_warnings():
        # Real headers bend rules, and pydicom warns of each as it is looked at.
        warnings.simplefilter("ignore")
        dataset = _original(pixels.place)
    _identify(dataset, degraded, frame)
    _derive(dataset, degraded, pixels)
    if degraded.kind in HEADERS:
        HEADERS[degraded.kind].edit(dataset, degraded.plan.parameters)
    _put_pixels(dataset, stored(image.array, pixels.place))
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(own_uid("implementation"))
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    return dataset


def stored(array: Array, place: Frame) -> Stored:
    """Return values as 16-bit integers: CT in whole HU, MR and PET in steps of the original, PET's widened where it must be."""
    if place.modality == "CT":
        values = np.clip(np.rint(np.nan_to_num(array, nan=PADDING_HU)), -LARGEST, LARGEST).astype("<i2")
        return Stored(values, "1", "0", None if np.isfinite(array).all() else PADDING_HU)
    pixels = _single(place)
    header = np.nan_to_num(array)
    if place.modality == "PT":
        # What the frame's unit is apart from the header's unit is in the decoder's slope alone.
        header = header * np.float32(place.header.slope / pixels.rescale.slope)
        top = max(float(np.abs(header).max()), 1e-3)
        step = f"{max(top / LARGEST, abs(place.header.slope)):.8g}"
        return Stored(np.clip(np.rint(header / np.float64(step)), -LARGEST, LARGEST).astype("<i2"), step, "0")
    slope, intercept = place.header.slope, place.header.intercept
    signed = pixels.format.kind == "i"
    low, high = (-(2.0**15), 2.0**15 - 1) if signed else (0.0, 2.0**16 - 1)
    values = np.clip(np.rint((header.astype(np.float64) - intercept) / slope), low, high)
    return Stored(values.astype("<i2" if signed else "<u2"), f"{slope:.10g}", f"{intercept:.10g}")


def _single(place: Frame) -> FramePixels:
    """Return the decoder of an original frame that is an instance of its own."""
    decode = place.decode
    if not isinstance(decode, FramePixels):
        raise NotDerivable(source="the series", reason="it is a plain image without a DICOM header")
    if decode.format.frames != 1 or decode.tile is not None:
        raise NotDerivable(source=decode.format.source.name, reason="it holds several frames")
    return decode


def _original(place: Frame) -> Dataset:
    source = _single(place).format.source
    with source.opened() as data:
        return _kept(parse(data, source.name).header)


def _kept(header: Dataset) -> Dataset:
    """Return a header without what would not be true of new pixels, what only its maker can read, and what nobody can.

    It is built anew, so that nothing of the old file's byte order or representation is left in it.
    """
    out = Dataset()
    for tag in list(header.keys()):
        # Group lengths count what is no longer there.
        if tag.is_private or tag.element == 0 or tag in _GONE or any(tag.group in groups for groups in _OVERLAYS_AND_CURVES):
            continue
        try:
            element = header[tag]
            value = [_kept(item) for item in element.value] if element.VR == "SQ" else element.value
            out.add_new(tag, element.VR, value)
        except HEADER_ERRORS:
            continue
    return out


def _identify(dataset: Dataset, degraded: DegradedSeries, frame: Frame) -> None:
    series = degraded.series
    dataset.StudyInstanceUID = kept_uid(series.study_uid)
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = series.series_uid, frame.sop_instance_uid
    dataset.SOPClassUID = _class(series, frame)
    number = max(integer(dataset, "SeriesNumber") or 0, 0)
    dataset.SeriesNumber = SERIES_NUMBERS + min(number, 9999)
    dataset.SeriesDescription = f"simulated {degraded.kind}: {text(dataset, 'SeriesDescription') or ''}"[:64].rstrip(" :")


def _derive(dataset: Dataset, degraded: DegradedSeries, pixels: DegradedPixels) -> None:
    """Say, in place, that the image is derived, how, and from which images."""
    dataset.ImageType = list(derived_image_type(degraded.series.modality, texts(dataset, "ImageType")))
    what = degraded.text if pixels.affected else f"unchanged slice of a series with {degraded.text}"
    dataset.DerivationDescription = f"Simulated by medqa {__version__}, not acquired so: {what}"[:1024]
    dataset.SourceImageSequence = [_source(degraded, frame) for frame in pixels.shown]
    maker = Dataset()
    maker.PurposeOfReferenceCodeSequence = [_code("109103", "Modifying Equipment")]
    maker.Manufacturer, maker.ManufacturerModelName, maker.SoftwareVersions = "medqa", "medqa simulate", __version__
    dataset.ContributingEquipmentSequence = [*(dataset.get("ContributingEquipmentSequence") or []), maker]


def _source(degraded: DegradedSeries, frame: Frame) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = _class(degraded.original, frame)
    item.ReferencedSOPInstanceUID = kept_uid(frame.sop_instance_uid)
    item.PurposeOfReferenceCodeSequence = [_code("121322", "Source image for image processing operation")]
    return item


def _class(series: Series, frame: Frame) -> str:
    """Return the SOP class of a frame; where two files share a UID, one of them goes by a name that no reference has."""
    named = (one.sop_class_uid for one in series.instances if one.sop_instance_uid == frame.sop_instance_uid)
    return next(named, series.instances[0].sop_class_uid)


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _put_pixels(dataset: Dataset, pixels: Stored) -> None:
    signed = pixels.values.dtype.kind == "i"
    dataset.Rows, dataset.Columns = pixels.values.shape
    dataset.SamplesPerPixel = 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(signed)
    if (pixels.slope, pixels.intercept) != ("1", "0") or "RescaleSlope" in dataset or dataset.Modality == "CT":
        dataset.RescaleSlope, dataset.RescaleIntercept = pixels.slope, pixels.intercept
    if pixels.padding is not None:
        dataset.add_new("PixelPaddingValue", "SS" if signed else "US", pixels.padding)
    dataset.add_new("PixelData", "OW", pixels.values.tobytes())
