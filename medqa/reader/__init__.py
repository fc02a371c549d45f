"""Files into series: DICOM (classic, enhanced, compressed), and NIfTI, MHA, TIFF and PNG with a declared range of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from medqa.errors import MedqaError
from medqa.reader.assemble import assemble
from medqa.reader.instance import Refused, read_instance, read_source
from medqa.reader.reading import Instance, LeftOut, Reading
from medqa.reader.sources import sources

__all__ = ["Instance", "LeftOut", "Reading", "assemble", "read", "read_instance"]

Progress = Callable[[int], None]


def read(
    path: Path,
    *,
    value_range: tuple[float, float] | None = None,
    modality: str | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Read a folder, a file or a zip.

    Parameters
    ----------
    path
        What to read. A zip is read in place, nothing is unpacked to disk.
    value_range, modality
        For NIfTI, MHA, TIFF and PNG, whose numbers say nothing of themselves: see `medqa.reader.images`. DICOM needs neither.
    progress
        Called with the number of files read so far.

    Returns
    -------
    Reading
        The series in a fixed order, and the files that are in none of them. No pixel has been decoded yet.

    Raises
    ------
    UnreadableSeries
        Where there is nothing at `path`, or the zip is damaged or unsafe.
    """
    path = Path(path)
    left_out: list[LeftOut] = []
    reading = assemble(_instances(path, left_out, progress))
    return Reading(
        series=reading.series, left_out=tuple(sorted((*left_out, *reading.left_out), key=lambda item: (item.name, item.kind)))
    )


def _instances(path: Path, left_out: list[LeftOut], progress: Progress | None) -> Iterator[Instance]:
    for count, source in enumerate(sources(path), start=1):
        if isinstance(source, MedqaError):
            left_out.append(_unread(str(source.values.get("source", "")), source))
        else:
            try:
                yield read_source(source)
            except MedqaError as error:
                left_out.append(_unread(source.name, error))
        if progress is not None:
            progress(count)


def _unread(name: str, error: MedqaError) -> LeftOut:
    if isinstance(error, Refused):
        return LeftOut(name=name, kind=error.kind, code=error.code, text=error.message, series_uid=error.series_uid)
    return LeftOut(name=name, kind="unreadable", code=error.code, text=error.message)
