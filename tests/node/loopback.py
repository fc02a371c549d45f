"""Small objects in any transfer syntax, a listener on a free port, senders, and a destination that misbehaves on demand."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from dicom_node.catalogue import Catalogue
from dicom_node.connection import Requests
from dicom_node.listener import Listener
from dicom_node.storage import Storage, file_meta
from medqa.config import Settings, load

CT, MR, PT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"
EXPLICIT, IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K, RLE = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.5",
)
refused = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
"""pynetdicom leaves a socket whose connection was refused to the garbage collector."""
SECRETS = ("Zanzibar^Quentin", "PAT-4711-X", "19341224", "ACC-90210", "Doktor^Seltsam")
"""Patient data of every object here; no log may hold any of it."""


@dataclass(frozen=True)
class Thing:
    """One encoded object."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes

    def file(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.sop_instance_uid}.{zlib.crc32(self.data):08x}.dcm"
        path.write_bytes(file_meta(self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax) + self.data)
        return path


def thing(
    number: int,
    *,
    series: str = "1.2.3.1",
    study: str = "1.2.3",
    sop_class: str = CT,
    syntax: str = EXPLICIT,
    fill: int = 7,
    size: int = 64,
    **attributes: Any,
) -> Thing:
    """Make an object; `fill` changes its pixels and nothing else."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"{series}.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.AccessionNumber, dataset.ReferringPhysicianName = (
        SECRETS
    )
    dataset.Modality = {MR: "MR", PT: "PT"}.get(sop_class, "CT")
    dataset.InstanceNumber = number
    item = Dataset()
    item.CodeMeaning = "nested"
    item.SeriesInstanceUID = "9.9.9"  # must not be mistaken for the object's own
    dataset.ProcedureCodeSequence = DicomSequence([item])
    dataset["ProcedureCodeSequence"].is_undefined_length = True
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = size, size, 16, 12, 11
    dataset.SamplesPerPixel, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests want values that no standard allows
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
    pixels = bytes([fill, 1]) * (size * size)
    uid = UID(syntax)
    dataset.PixelData = encapsulate([pixels]) if uid.is_encapsulated else pixels
    dataset["PixelData"].VR = "OB" if uid.is_encapsulated else "OW"
    if uid.is_encapsulated:
        dataset["PixelData"].is_undefined_length = True
    return Thing(sop_class, str(dataset.SOPInstanceUID), syntax, _encoded(dataset, uid))


def _encoded(dataset: Dataset, syntax: UID) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(buffer, dataset)
    data = buffer.getvalue()
    if not syntax.is_deflated:
        return data
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


def settings_of(folder: Path, **environment: str) -> Settings:
    given = {"MEDQA_NODE__STORAGE": str(folder), "MEDQA_NODE__PORT": "0", "MEDQA_NODE__HOST": "127.0.0.1"}
    return load(None, given | {"MEDQA_NODE__DISK_RESERVE_MB": "0"} | environment)


@dataclass
class Receiving:
    """A listener that listens."""

    settings: Settings
    catalogue: Catalogue
    storage: Storage
    listener: Listener

    @property
    def port(self) -> int:
        return self.listener.port

    def send(self, files: Sequence[Path], *, ae_title: str = "SCANNER", abort: bool = False) -> list[int | None]:
        """Send files as they are over one association; return the status of each."""
        association = associate(self.port, files, ae_title=ae_title)
        requests = Requests(association)
        statuses = [requests.store(path).get("Status") for path in files]
        association.abort() if abort else association.release()
        return statuses


@contextlib.contextmanager
def receiving(settings: Settings, free: Any = None) -> Iterator[Receiving]:
    catalogue = Catalogue.open(settings)
    storage = Storage(settings.node.storage, settings.node.disk_reserve_mb, free)
    listener = Listener(settings, catalogue, storage)
    listener.start()
    try:
        yield Receiving(settings, catalogue, storage, listener)
    finally:
        listener.stop()
        catalogue.close()


def associate(port: int, files: Sequence[Path], *, ae_title: str = "SCANNER") -> Any:
    """Open an association with a context for each kind of file."""
    pairs = dict.fromkeys(_pair(path) for path in files)
    entity = AE(ae_title=ae_title)
    association = entity.associate("127.0.0.1", port, contexts=[build_context(*pair) for pair in pairs])
    assert association.is_established
    return association


def _pair(path: Path) -> tuple[str, str]:
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(path)
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


@dataclass
class Archive:
    """A destination; what it answers, and when it breaks off, is the test's choice."""

    statuses: Mapping[str, int] = field(default_factory=dict)
    abort_at: str | None = None
    contexts: Sequence[tuple[str, str]] = ((CT, EXPLICIT),)
    ae_title: str = "ARCHIVE"
    taken: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    port: int = 0

    @contextlib.contextmanager
    def open(self) -> Iterator[Archive]:
        entity = AE(ae_title=self.ae_title)
        for pair in self.contexts:
            entity.add_supported_context(*pair)
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        assert server is not None
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            entity.shutdown()

    def environment(self, name: str = "archive") -> dict[str, str]:
        destination = {"ae_title": self.ae_title, "host": "127.0.0.1", "port": self.port}
        return {"MEDQA_ROUTING__DESTINATIONS": json.dumps({name: destination}), "MEDQA_ROUTING__RESULTS": name}

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.seen.append(uid)
        if uid == self.abort_at:
            event.assoc.abort()
            return 0x0000
        status = self.statuses.get(uid, 0x0000)
        if status >> 12 in (0x0, 0xB):
            self.taken[uid] = event.encoded_dataset(include_meta=False)
        return status


def captured_logs(process: str = "test") -> io.StringIO:
    from dicom_node import telemetry

    stream = io.StringIO()
    telemetry.configure(process, stream)
    return stream
