"""Structured logs without patient data: one JSON object a line.

A UID is written as its short hash, a path not at all, an exception as its kind and where it was raised: its text may hold a
value from a header. Warnings of libraries are told by their kind only, for the same reason.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Final, TextIO

import structlog

from dicom_node.arrivals import key_of

PRIVATE: Final = frozenset(
    {"patient", "patient_name", "patient_id", "birth_date", "accession", "name_of_patient", "dataset", "header"}
)
"""Keys that are never written."""
_LAST_FRAMES: Final = 6

Entry = MutableMapping[str, Any]


def configure(process: str, stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Set up logging for one process of the node.

    Parameters
    ----------
    process
        Its name, written with every line.
    stream
        Where to; standard error by default.
    level
        The least severe level that is written.
    """
    structlog.configure(
        processors=[
            lambda _logger, _method, entry: {"process": process, **entry},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_exception_text,
            without_patient_data,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    warnings.showwarning = _tell_warning
    for library in ("pynetdicom", "pydicom", "highdicom"):
        quiet = logging.getLogger(library)
        quiet.handlers = [logging.NullHandler()]
        quiet.propagate = False


@contextmanager
def written_to(process: str, stream: TextIO) -> Iterator[None]:
    """Write the log of this process to a file for a while; then all is as it was before."""
    before, shown = structlog.get_config(), warnings.showwarning
    configure(process, stream)
    try:
        yield
    finally:
        structlog.configure(**before)
        warnings.showwarning = shown


@contextmanager
def held_back() -> Iterator[list[Entry]]:
    """Yield a list that takes what is logged instead of the terminal: a command tells a person in words of its own."""
    before = structlog.get_config()
    entries: list[Entry] = []

    def hold(_logger: object, _method: str, entry: Entry) -> Entry:
        entries.append(dict(entry))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.add_log_level, hold])
    try:
        yield entries
    finally:
        structlog.configure(**before)


def without_exception_text(_logger: object, _method: str, entry: Entry) -> Entry:
    """Replace an exception by its kind, its code where it has one, and where it was raised."""
    given = entry.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()[1]
    elif isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        frames = traceback.extract_tb(given.__traceback__)[-_LAST_FRAMES:]
        entry["error"] = type(given).__name__
        entry["code"] = getattr(given, "code", None)
        entry["at"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return entry


def without_patient_data(_logger: object, _method: str, entry: Entry) -> Entry:
    """Drop private keys, hash UIDs, hide paths."""
    for key in list(entry):
        value = entry[key]
        if key in PRIVATE:
            del entry[key]
        elif key.endswith("uid") and isinstance(value, str):
            del entry[key]
            entry[key.removesuffix("_uid") or "object"] = key_of(value)
        elif isinstance(value, PurePath):
            entry[key] = value.suffix
    return entry


def _tell_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    del message, file, line  # its text may hold a value from a header
    structlog.get_logger(__name__).debug("library_warning", kind=category.__name__, at=f"{Path(filename).name}:{lineno}")
