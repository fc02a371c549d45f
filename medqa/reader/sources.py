"""Where the bytes of an instance lie: a file, or a member of a zip that is read in place and never unpacked to disk."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Final, Protocol

from medqa.errors import UnreadableInstance, UnreadableSeries, UnsafePath

SMALL_FILE: Final = 32 * 1024**2
"""Up to here a file is read at once; beyond, it is mapped (a mapped file never allocates what a wrong length claims)."""
LARGEST_MEMBER: Final = 2 * 1024**3
LARGEST_RATIO: Final = 1100
"""Deflate cannot do better than about 1:1032: a member that claims more is a forgery."""
MOST_FILES: Final = 200_000

_JUNK: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})

Buffer = bytes | mmap.mmap


class Source(Protocol):
    """Bytes that can be read again and again; small and picklable."""

    @property
    def name(self) -> str:
        """Relative name, for messages."""
        ...

    def opened(self) -> AbstractContextManager[Buffer]:
        """Give the bytes for the length of a `with` block."""
        ...

    def cut(self, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`."""
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk."""

    path: Path
    name: str

    @contextmanager
    def opened(self) -> Iterator[Buffer]:
        """Give the whole file: read where it is small, mapped where it is large."""
        with self._open() as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if size <= SMALL_FILE:
                yield file.read()
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped

    def cut(self, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`."""
        with self._open() as file:
            available = file.seek(0, io.SEEK_END) - offset
            file.seek(offset)
            return file.read(max(0, min(length, available)))

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UnreadableInstance(source=self.name, reason=error.strerror or "it cannot be opened") from error


@dataclass(frozen=True, slots=True)
class ZipSource:
    """A member of a zip: where its compressed bytes lie, and how many it gives."""

    archive: Path
    name: str
    header_offset: int
    compressed: int
    size: int
    method: int
    crc: int

    @contextmanager
    def opened(self) -> Iterator[Buffer]:
        """Give the unpacked member (the last one read is kept, so that a multi-frame object is unpacked once)."""
        yield _unpacked(self)

    def cut(self, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`."""
        return _unpacked(self)[offset : offset + length]


@lru_cache(maxsize=1)
def _unpacked(member: ZipSource) -> bytes:
    """Return the bytes of a member, checked against the size and CRC that the zip's directory gives."""
    try:
        with member.archive.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(30)
            if len(local) < 30 or local[:4] != b"PK\x03\x04":
                raise UnreadableInstance(source=member.name, reason="the zip is damaged here")
            name_length, extra_length = struct.unpack("<HH", local[26:30])
            file.seek(name_length + extra_length, io.SEEK_CUR)
            packed = file.read(member.compressed)
    except OSError as error:
        raise UnreadableInstance(source=member.name, reason=error.strerror or "the zip cannot be opened") from error
    if member.method == zipfile.ZIP_DEFLATED:
        try:
            # One byte more than promised is asked for, so that a longer member shows.
            packed = zlib.decompressobj(-15).decompress(packed, member.size + 1)
        except zlib.error as error:
            raise UnreadableInstance(source=member.name, reason="the zip is damaged here") from error
    if len(packed) != member.size or zlib.crc32(packed) != member.crc:
        raise UnreadableInstance(source=member.name, reason="the zip is damaged here (size or checksum)")
    return packed


def walk(path: Path) -> Iterator[Source | UnreadableSeries]:
    """Yield every file of a folder, the file itself, or every member of a zip; for a member that is refused, the error.

    Raises
    ------
    UnreadableSeries
        Where the path does not exist, or the zip cannot be read.
    UnsafePath
        Where a zip holds a name that would leave its folder: nothing of such a zip is read.
    """
    if path.is_dir():
        yield from _folder(path)
    elif not path.exists():
        raise UnreadableSeries(source=path.name, reason="there is no such file or folder")
    elif _is_zip(path):
        yield from _members(path, "")
    else:
        yield FileSource(path, path.name)


def _folder(root: Path) -> Iterator[Source | UnreadableSeries]:
    count = 0
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        # Links may lead out of the folder, pipes and devices never end: only plain files are read.
        if path.is_symlink() or not path.is_file() or _is_junk(name):
            continue
        count += 1
        if count > MOST_FILES:
            raise UnreadableSeries(source=root.name, reason=f"it holds more than {MOST_FILES} files")
        if path.suffix.lower() == ".zip" and _is_zip(path):
            yield from _members(path, f"{name}/")
        else:
            yield FileSource(path, name)


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def _is_junk(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and (parts[-1].lower() in _JUNK or parts[-1].startswith("._") or "__MACOSX" in parts)


def _members(path: Path, prefix: str) -> Iterator[Source | UnreadableSeries]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnreadableSeries(source=path.name, reason="the zip is damaged") from error
    if len(entries) > MOST_FILES:
        raise UnreadableSeries(source=path.name, reason=f"it holds more than {MOST_FILES} files")
    for entry in entries:
        if _leaves(entry.filename):
            raise UnsafePath(source=path.name, reason="an entry points outside")
    for entry in sorted(entries, key=lambda entry: (entry.filename, entry.header_offset)):
        if _is_junk(entry.filename):
            continue
        name = prefix + entry.filename
        reason = _refused(entry)
        if reason:
            yield UnreadableInstance(source=name, reason=reason)
        else:
            yield ZipSource(path, name, entry.header_offset, entry.compress_size, entry.file_size, entry.compress_type, entry.CRC)


def _leaves(name: str) -> bool:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return posix.is_absolute() or bool(windows.drive or windows.root) or ".." in posix.parts or ".." in windows.parts


def _refused(entry: zipfile.ZipInfo) -> str | None:
    if entry.flag_bits & 0x1:
        return "it is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "the zip packs it in an unusual way"
    if entry.file_size > LARGEST_MEMBER or entry.file_size > LARGEST_RATIO * entry.compress_size + 1024:
        return "it would unpack to an absurd size"
    return None
