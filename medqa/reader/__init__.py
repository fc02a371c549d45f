"""Files into series: DICOM (classic, enhanced, compressed), and NIfTI, MHA, TIFF and PNG with a declared range of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medqa.errors import MedqaError, UnreadableInstance, ValueRangeRequired
from medqa.reader.assemble import assemble
from medqa.reader.images import format_of, read_image
from medqa.reader.instance import Refused, read_header, read_instance, read_source
from medqa.reader.reading import Instance, LeftOut, Reading
from medqa.reader.sources import FileSource, Source, walk
from medqa.series import Series

__all__ = ["Instance", "LeftOut", "Reading", "assemble", "read", "read_header", "read_instance"]

Progress = Callable[[int], object]


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
        The series in a fixed order, and the files that are in none of them. No DICOM pixel has been decoded yet.

    Raises
    ------
    UnreadableSeries
        Where there is nothing at `path`, or the zip is damaged or unsafe.
    ValueRangeRequired
        Where there are only plain images, and what their values mean was not declared.
    """
    path = Path(path)
    files = _Files(value_range, modality, progress)
    reading = assemble(files.instances(path))
    if not reading.series and not files.images and files.undeclared is not None:
        raise files.undeclared
    images = sorted(files.images, key=lambda series: series.series_uid)
    left_out = sorted((*files.left_out, *reading.left_out), key=lambda item: (item.name, item.kind))
    return Reading(series=(*reading.series, *images), left_out=tuple(left_out))


@dataclass(slots=True)
class _Files:
    """One pass over the files: DICOM instances are yielded, plain images and what cannot be read are put aside."""

    value_range: tuple[float, float] | None
    modality: str | None
    progress: Progress | None
    left_out: list[LeftOut] = field(default_factory=list)
    images: list[Series] = field(default_factory=list)
    undeclared: ValueRangeRequired | None = None

    def instances(self, path: Path) -> Iterator[Instance]:
        """Yield the DICOM instances under `path`."""
        for count, source in enumerate(walk(path), start=1):
            if isinstance(source, MedqaError):
                self._leave_out(str(source.values.get("source", "")), source)
            elif format_of(source.name) is not None:
                self._image(source)
            else:
                try:
                    yield read_source(source)
                except MedqaError as error:
                    self._leave_out(source.name, error)
            if self.progress is not None:
                self.progress(count)

    def _image(self, source: Source) -> None:
        try:
            if not isinstance(source, FileSource):
                raise UnreadableInstance(source=source.name, reason="plain images are not read from within a zip; unpack it first")
            self.images.append(read_image(source, self.value_range, self.modality))
        except ValueRangeRequired as error:
            self.undeclared = self.undeclared or error
            self._leave_out(source.name, error)
        except MedqaError as error:
            self._leave_out(source.name, error)

    def _leave_out(self, name: str, error: MedqaError) -> None:
        kind = "plain_image" if isinstance(error, ValueRangeRequired) else "unreadable"
        series_uid = None
        if isinstance(error, Refused):
            kind, series_uid = error.kind, error.series_uid
        self.left_out.append(LeftOut(name=name, kind=kind, code=error.code, text=error.message, series_uid=series_uid))
