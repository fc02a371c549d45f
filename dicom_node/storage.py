"""Objects on disk, byte for byte as received, under names that nobody outside chose.

part file -> fsync -> rename -> fsync of every folder that changed: when `write` returns, the bytes survive a power cut. A name
is a hash of the object's UIDs, so that neither a UID nor a patient's name can become a path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from medqa import __version__, dicom_values

OBJECTS: Final = "objects"
INCOMING: Final = "incoming"
_PREAMBLE: Final = bytes(128) + b"DICM"
_IMPLEMENTATION_UID: Final = dicom_values.own_uid("implementation")
_IMPLEMENTATION_NAME: Final = f"MEDQA_{__version__}"[:16]
_NAME_LENGTH: Final = 32
_FOLDERS_REMEMBERED: Final = 10_000
_MEGABYTE: Final = 1024 * 1024


class Storage:
    """The storage folder of one node.

    Parameters
    ----------
    root
        It, and every path that is given or returned is relative to it.
    reserve_mb
        Free space that receiving never uses up: when it would, the object is refused before the disk is full.
    free
        Bytes free at a path.
    """

    def __init__(self, root: Path, reserve_mb: int = 0, free: Callable[[Path], int] | None = None) -> None:
        self.root = root.resolve()
        self._reserve = reserve_mb * _MEGABYTE
        self._free = free or _free
        self._durable: set[Path] = set()
        self._making = threading.Lock()

    def prepare(self) -> None:
        """Make the folders, and remove the part files of a process that died: nobody was told that they were stored."""
        for name in (OBJECTS, INCOMING):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for part in (self.root / INCOMING).glob("*.part"):
            part.unlink(missing_ok=True)
        _sync_folder(self.root)

    def has_room(self, size: int) -> bool:
        """Tell whether `size` more bytes leave the reserve untouched."""
        return self._free(self.root) - size >= self._reserve

    @staticmethod
    def name(study_uid: str, series_uid: str, sop_instance_uid: str, copy: int = 0) -> str:
        """Return where an object belongs, relative to the root; `copy` counts other bytes under the same UID."""
        study, series, instance = (_hash(uid) for uid in (study_uid, series_uid, sop_instance_uid))
        return f"{OBJECTS}/{study}/{series}/{instance}{f'.{copy}' if copy else ''}.dcm"

    def write(self, name: str, parts: Sequence[bytes | memoryview]) -> None:
        """Write a file durably; a file of this name that nobody was told of is replaced.

        Raises
        ------
        OSError
            It could not be made durable; no file of this name was added.
        """
        target = self.root / name
        part = self.root / INCOMING / f"{uuid.uuid4().hex}.part"
        try:
            with part.open("xb", buffering=0) as file:
                for piece in parts:
                    _write_all(file.fileno(), piece)
                os.fsync(file.fileno())
            self._make_durable(target.parent)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def holds(self, path: Path, data: bytes | memoryview) -> bool | None:
        """Tell whether a stored file's data set is these bytes; None where the file is gone."""
        try:
            with path.open("rb") as file:
                start = data_set_start(file.read(4096))
                file.seek(start)
                rest = memoryview(data)
                while chunk := file.read(_MEGABYTE):
                    if rest[: len(chunk)] != chunk:
                        return False
                    rest = rest[len(chunk) :]
                return not len(rest)
        except FileNotFoundError:
            return None

    def _make_durable(self, folder: Path) -> None:
        if folder in self._durable and folder.is_dir():
            return
        with self._making:
            folder.mkdir(parents=True, exist_ok=True)
            for parent in (folder.parent, folder.parent.parent):
                _sync_folder(parent)
            if len(self._durable) >= _FOLDERS_REMEMBERED:
                self._durable.clear()
            self._durable.add(folder)


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Return preamble, prefix and file meta information (PS3.10 section 7.1) for a data set in this transfer syntax."""
    elements = (
        _element(0x0001, b"OB", b"\x00\x01"),
        _element(0x0002, b"UI", sop_class_uid.encode("ascii", "replace")),
        _element(0x0003, b"UI", sop_instance_uid.encode("ascii", "replace")),
        _element(0x0010, b"UI", transfer_syntax.encode("ascii", "replace")),
        _element(0x0012, b"UI", _IMPLEMENTATION_UID.encode()),
        _element(0x0013, b"SH", _IMPLEMENTATION_NAME.encode()),
    )
    group = b"".join(elements)
    return _PREAMBLE + _element(0x0000, b"UL", struct.pack("<I", len(group))) + group


def data_set_start(head: bytes) -> int:
    """Return where the data set of a file made with `file_meta` begins."""
    length: int = struct.unpack_from("<I", head, len(_PREAMBLE) + 8)[0]
    return len(_PREAMBLE) + 12 + length


def _element(element: int, representation: bytes, value: bytes) -> bytes:
    value += (b" " if representation == b"SH" else b"\0") * (len(value) % 2)
    head = struct.pack("<HH2s", 0x0002, element, representation)
    return head + (struct.pack("<HI", 0, len(value)) if representation == b"OB" else struct.pack("<H", len(value))) + value


def _hash(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:_NAME_LENGTH]


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(path: Path) -> int:
    return shutil.disk_usage(path).free
