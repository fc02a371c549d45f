"""One stored DICOM file: its digest, its header's facts and its frames, read in one pass without decoding a pixel."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydicom import Dataset

from medqa.codes import Code, Unit
from medqa.errors import RefusedObject, UndecodablePixels, UnreadableInstance
from medqa.reader import enhanced, frame_header
from medqa.reader.acquisition import acquisition
from medqa.reader.dataset import Parsed, data_set, parse, settle, slim
from medqa.reader.mosaic import Tile, tile_headers, tiles
from medqa.reader.pixels import TISSUE_HU, UNDEFINED_LENGTH, FramePixels, PixelFormat, Rescale
from medqa.reader.reading import Instance
from medqa.reader.sop_classes import is_enhanced, modality_of, refusal
from medqa.reader.sources import FileSource, Source
from medqa.reader.suv import Uptake, activity_scale, uptake
from medqa.reader.uids import hashed_uid
from medqa.reader.values import HEADER_ERRORS, integer, number, text
from medqa.series import Frame, FrameHeader, ReadingNote

MOST_FRAMES: Final = 100_000
TINY: Final = 16
"""An image with a side below this many pixels shows nothing that could be judged."""

_UNITS: Final[dict[str, Code]] = {"BQML": Unit.BQ_PER_ML, "SUVBW": Unit.SUVBW, "OTHER": Unit.ARBITRARY}


class Refused(RefusedObject):
    """{source} is not judged: {reason}. medqa judges CT, MR and PET images only; the object itself is left as it is."""

    def __init__(self, *, kind: str, series_uid: str | None, **values: object) -> None:
        super().__init__(kind=kind, series_uid=series_uid, **values)
        self.kind = kind
        self.series_uid = series_uid


def read_instance(path: Path, *, name: str | None = None) -> Instance:
    """Read the header of one DICOM file; its frames decode themselves later, from the same file.

    Parameters
    ----------
    path
        The file.
    name
        What to call it in messages; by default the file's own name.

    Raises
    ------
    UnreadableInstance
        Where it is no DICOM file, or its header is damaged.
    UndecodablePixels
        Where it is a CT, MR or PET image without pixels, or of an impossible size.
    RefusedObject
        Where it is something else than a CT, MR or PET image.
    """
    return read_source(FileSource(Path(path), name or Path(path).name))


def read_header(path: Path) -> Dataset:
    """Return the header of one DICOM image as a `Series` keeps it: without pixels, every element converted.

    Raises
    ------
    UnreadableInstance, UndecodablePixels, RefusedObject
        As `read_instance`.
    """
    return settle(read_instance(path).header)


def read_source(source: Source) -> Instance:
    """Read the header of one DICOM file, wherever its bytes lie (see `read_instance`)."""
    with warnings.catch_warnings():
        # pydicom warns of every value that bends a rule, when it is first looked at; real headers are full of them.
        warnings.simplefilter("ignore")
        return _read(source)


def _read(source: Source) -> Instance:
    with source.opened() as data:
        digest = hashlib.sha256(data_set(data)).hexdigest()
        parsed = parse(data, source.name)
    header = parsed.header
    refused = refusal(header)
    if refused is not None:
        raise Refused(source=source.name, reason=refused[1], kind=refused[0], series_uid=text(header, "SeriesInstanceUID"))
    modality = modality_of(header)
    if modality is None:
        raise UnreadableInstance(source=source.name, reason="it says neither class nor modality")
    form = _pixel_format(parsed, source)
    try:
        return _instance(header, modality, form, digest, source.name)
    except HEADER_ERRORS as error:
        # Deep inside a sequence a damaged element can still raise; single attributes never do (`values`).
        raise UnreadableInstance(source=source.name, reason=f"its header is damaged ({type(error).__name__})") from error


def _instance(header: Dataset, modality: str, form: PixelFormat, digest: str, name: str) -> Instance:
    flat = enhanced.flat(header) if is_enhanced(header) else header
    suv = uptake(flat) if modality == "PT" else None
    uid = text(header, "SOPInstanceUID") or hashed_uid("instance", digest)
    unit, scale = _unit(flat, modality)
    frames: list[Frame] = []
    invalid = False
    for place, (frame, own, index, tile) in enumerate(_frame_headers(header, modality, form, suv), start=1):
        slope, intercept = frame.slope * scale, frame.intercept * scale
        if not math.isfinite(slope) or slope == 0 or not math.isfinite(intercept):
            invalid, slope, intercept = True, 1.0, 0.0
            frame = replace(frame, slope=slope, intercept=intercept)
        padding = _padding(own, form, slope, intercept, modality)
        rescale = Rescale(slope=slope, intercept=intercept, padding=padding, hounsfield=modality == "CT")
        frames.append(
            Frame(
                sop_instance_uid=uid,
                number=place,
                modality=modality,
                unit=unit,
                header=frame,
                sha256=digest,
                decode=FramePixels(form, index, rescale, tile),
            )
        )
    made = acquisition(flat, modality, form.transfer_syntax, suv)
    return Instance(
        sop_instance_uid=uid,
        sop_class_uid=text(header, "SOPClassUID") or _classic_class(modality),
        series_uid=text(header, "SeriesInstanceUID") or _series_uid(header),
        study_uid=text(header, "StudyInstanceUID") or hashed_uid("study", text(header, "StudyID"), text(header, "StudyDate")),
        modality=modality,
        sha256=digest,
        frames=tuple(frames),
        header=slim(header),
        acquisition=made,
        part_key=(text(header, "SOPClassUID") or "", unit.value),
        name=name,
        number_of_frames=form.frames,
        notes=_own_notes(form, invalid=invalid),
    )


def _own_notes(form: PixelFormat, *, invalid: bool) -> tuple[ReadingNote, ...]:
    notes = [ReadingNote(message="invalid_rescale", values={"count": 1})] if invalid else []
    if min(form.rows, form.columns) < TINY:
        notes.append(ReadingNote(message="tiny_image", values={"rows": form.rows, "columns": form.columns}))
    return tuple(notes)


def _frame_headers(
    header: Dataset, modality: str, form: PixelFormat, suv: Uptake | None
) -> Iterator[tuple[FrameHeader, Dataset, int, Tile | None]]:
    """Yield each frame's header, the dataset where its padding stands, its stored frame (from 0), and its tile in a mosaic."""
    factor = None if suv is None else suv.factor
    if is_enhanced(header):
        for index, (own, group) in enumerate(enhanced.frame_headers(header, form.frames, modality, factor)):
            yield own, group, index, None
        return
    single = frame_header.classic(header, rows=form.rows, columns=form.columns, suv_factor=factor, modality=modality)
    places = tiles(header, form.rows, form.columns) if modality == "MR" and form.frames == 1 else []
    if places:
        slices = tile_headers(single, places, number(header, "SpacingBetweenSlices"))
        for own, tile in zip(slices, places, strict=True):
            yield own, header, 0, tile
        return
    for index in range(form.frames):
        yield single, header, index, None


def _unit(header: Dataset, modality: str) -> tuple[Code, float]:
    if modality == "CT":
        return Unit.HU, 1.0
    if modality == "MR":
        return Unit.ARBITRARY, 1.0
    kind, scale = activity_scale(header)
    return _UNITS[kind], scale


def _pixel_format(parsed: Parsed, source: Source) -> PixelFormat:
    header = parsed.header
    if parsed.pixels is None or parsed.length == 0:
        raise UndecodablePixels(source=source.name, reason="there are none")
    rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
    if rows <= 0 or columns <= 0:
        raise UndecodablePixels(source=source.name, reason="the header gives no rows and columns")
    frames = integer(header, "NumberOfFrames") or 1
    if not 0 < frames <= MOST_FRAMES or (parsed.length != UNDEFINED_LENGTH and frames > parsed.length):
        raise UndecodablePixels(source=source.name, reason=f"{frames} frames are not in these bytes")
    allocated = {"float": 32, "double": 64}.get(parsed.pixels) or integer(header, "BitsAllocated") or 16
    stored = integer(header, "BitsStored") or allocated
    signed = integer(header, "PixelRepresentation") == 1
    return PixelFormat(
        source=source,
        transfer_syntax=parsed.transfer_syntax,
        offset=parsed.offset,
        length=parsed.length,
        kind="f" if parsed.pixels != "integer" else "i" if signed else "u",
        big_endian=parsed.big_endian_pixels,
        rows=rows,
        columns=columns,
        allocated=allocated,
        stored=stored,
        high_bit=raw_high_bit if (raw_high_bit := integer(header, "HighBit")) is not None else stored - 1,
        photometric=text(header, "PhotometricInterpretation") or "MONOCHROME2",
        frames=frames,
        inflated=parsed.inflated,
    )


def _padding(header: Dataset, form: PixelFormat, slope: float, intercept: float, modality: str) -> tuple[float, float] | None:
    """Return the range of stored values that stand for no value, None where there is none or it cannot be meant."""
    value = number(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(header, "PixelPaddingRangeLimit")
    low, high = sorted(_as_stored(item, form) for item in (value, value if limit is None else limit))
    if modality != "CT":
        # Zero is a measured intensity of MR and PET: GE declares it as padding although dark tissue has it too.
        return None if low <= 0 <= high else (low, high)
    in_hu = sorted((low * slope + intercept, high * slope + intercept))
    return None if in_hu[0] <= TISSUE_HU[1] and in_hu[1] >= TISSUE_HU[0] else (low, high)


def _as_stored(value: float, form: PixelFormat) -> float:
    """Return a value written as unsigned where the pixels are signed (63536 for -2000), or the other way round."""
    span = float(2**form.allocated)
    if form.kind == "i" and value >= span / 2:
        return value - span
    return value + span if form.kind == "u" and value < 0 else value


def _classic_class(modality: str) -> str:
    return {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}[modality]


def _series_uid(header: Dataset) -> str:
    """Return a UID for files whose own was removed: the same for all that share what usually tells series apart."""
    names = ("FrameOfReferenceUID", "StudyDate", "SeriesDate", "SeriesTime", "SeriesNumber", "SeriesDescription", "Modality")
    return hashed_uid("series", *(text(header, name) for name in names))
