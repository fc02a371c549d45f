"""Compressed pixels: the bytes of one frame are cut out and given to the first decoder that reads them."""

from __future__ import annotations

import io
import logging
import os
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from medqa.errors import UndecodablePixels
from medqa.reader import codestream
from medqa.reader.pixels import LARGEST_RATIO, used_bits
from medqa.reader.values import HEADER_ERRORS

if TYPE_CHECKING:
    from pydicom import Dataset

    from medqa.reader import codestream
from medqa.reader.pixels import PixelFormat

RLE: Final = "1.2.840.10008.1.2.5"
JPEG_LS: Final = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
END_OF_IMAGE: Final = b"\xff\xd9"
_STDERR: Final = threading.Lock()

# Every decoder that gives up is logged with its traceback; here the next one is tried, and the last failure has a name of its own.
logging.getLogger("pydicom.pixels.decoders.base").setLevel(logging.CRITICAL)


def decode(form: PixelFormat, index: int) -> NDArray[Any]:
    """Return the stored values of frame `index`, `(y, x)`.

    Raises
    ------
    UndecodablePixels
        Where the frame is not there, or no decoder reads it.
    """
    data = _frame_bytes(form, index)
    stated = codestream.size(data)
    if stated is not None and stated != (form.rows, form.columns):
        raise UndecodablePixels(source=form.source.name, reason="the compressed image has another size than the header says")
    if form.frame_bytes > LARGEST_RATIO * len(data) + 65536:
        raise UndecodablePixels(source=form.source.name, reason="the compressed frame claims an absurd size")
    if form.transfer_syntax in JPEG_LS and data.rfind(END_OF_IMAGE, -64) < 0:
        # CharLS takes ten seconds to find out.
        raise UndecodablePixels(source=form.source.name, reason="the compressed frame is cut short")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers that disagree with the compressed stream; the values are judged below
        single = _single_frame(form, data)
        values = _by_pydicom(single, form)
        if values is None:
            values = _by_simpleitk(single)
    if values is None:
        raise UndecodablePixels(source=form.source.name, reason=f"no decoder reads transfer syntax {form.transfer_syntax[:64]}")
    if values.shape != (form.rows, form.columns):
        raise UndecodablePixels(source=form.source.name, reason="the compressed image has another size than the header says")
    return used_bits(values, form) if form.transfer_syntax == RLE else values


def _frame_bytes(form: PixelFormat, index: int) -> bytes:
    from pydicom.encaps import get_frame

    with form.source.opened() as data:
        view = memoryview(data)
        try:
            # A BytesIO or a mapped file returns what is there, whatever length an item claims.
            stream: Any = io.BytesIO(view[form.offset :]) if isinstance(data, bytes) else data
            if not isinstance(data, bytes):
                stream.seek(form.offset)
            return get_frame(stream, index, number_of_frames=form.frames)
        except HEADER_ERRORS as error:
            raise UndecodablePixels(source=form.source.name, reason="the compressed frames are damaged or too few") from error
        finally:
            view.release()


def _single_frame(form: PixelFormat, data: bytes) -> Dataset:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate

    single = Dataset()
    single.file_meta = FileMetaDataset()
    single.file_meta.TransferSyntaxUID = UID(form.transfer_syntax)
    single.Rows, single.Columns, single.SamplesPerPixel = form.rows, form.columns, 1
    single.PhotometricInterpretation = form.photometric
    single.BitsAllocated, single.BitsStored, single.HighBit = form.allocated, form.stored, form.high_bit
    single.PixelRepresentation = int(form.kind == "i")
    single.PixelData = encapsulate([data], has_bot=False)
    single["PixelData"].is_undefined_length = True
    single["PixelData"].VR = "OB"
    return single


def _by_pydicom(single: Dataset, form: PixelFormat) -> NDArray[Any] | None:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        # For RLE pydicom's own decoder: the faster one in Rust panics on damaged data, past every `except Exception`.
        plugin = "pydicom" if form.transfer_syntax == RLE else ""
        values, _ = get_decoder(UID(form.transfer_syntax)).as_array(single, raw=True, decoding_plugin=plugin)
    except (*HEADER_ERRORS, RuntimeError, MemoryError):
        return None
    return np.asarray(values)


def _by_simpleitk(single: Dataset) -> NDArray[Any] | None:
    """Return what GDCM inside SimpleITK decodes: the one that reads 12-bit JPEG (process 4)."""
    import SimpleITK as sitk

    if single.file_meta.TransferSyntaxUID.type != "Transfer Syntax":
        return None
    single.SOPClassUID, single.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.dcm"
        single.save_as(path, enforce_file_format=True)
        try:
            with _quiet_stderr():
                image = sitk.ReadImage(str(path))
        except RuntimeError:
            return None
        values = np.squeeze(sitk.GetArrayFromImage(image))
    return np.asarray(values) if values.ndim == 2 else None


class _quiet_stderr:  # noqa: N801 - used like a function
    """Send the C libraries' complaints nowhere for the length of a `with` block: they print to file descriptor 2."""

    def __enter__(self) -> None:
        _STDERR.acquire()
        self._saved = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)
        _STDERR.release()
