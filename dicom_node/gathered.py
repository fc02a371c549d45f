"""The stored objects of one series, each read once: compact headers and lazy frames, never pixels.

The dataset of an instance costs a hundred times what its compact header costs, and a series needs only one: the datasets are
dropped as they are read, and the one that speaks for a series is read again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from pydicom import Dataset

from dicom_node.records import StoredInstance
from medqa.errors import MedqaError
from medqa.reader import Instance, LeftOut, Reading, assemble, read_header, read_instance
from medqa.series import Series

_COUNTED: Final = ("ImagesInAcquisition",)
"""What `assemble` asks of every dataset, beside that of the first."""


class Gathered:
    """Instances of one Series Instance UID, and what of it could not be read."""

    def __init__(self) -> None:
        self.refused: list[LeftOut] = []
        self._instances: list[Instance] = []
        self._paths: dict[int, Path] = {}
        """By the identity of the small dataset that stands for the whole one."""

    @classmethod
    def of(cls, stored: Iterable[StoredInstance]) -> Self:
        """Read every object."""
        gathered = cls()
        for one in stored:
            gathered.add(one)
        return gathered

    def add(self, stored: StoredInstance) -> Instance | None:
        """Read one object; None where it is no readable image to judge: `refused` then says why."""
        name = _name(stored)
        try:
            instance = read_instance(stored.path, name=name)
        except MedqaError as error:
            kind = str(error.values.get("kind", "unreadable"))
            left_out = LeftOut(name=name, kind=kind, code=error.code, text=error.message, series_uid=stored.series_uid)
            self.refused.append(left_out)
            return None
        small = Dataset()
        for keyword in _COUNTED:
            if keyword in instance.header:
                small[keyword] = instance.header[keyword]
        instance = dataclasses.replace(instance, header=small)
        self._instances.append(instance)
        self._paths[id(small)] = stored.path
        return instance

    def reading(self) -> Reading:
        """Assemble what is here."""
        reading = assemble(self._instances)
        return dataclasses.replace(reading, series=tuple(self._with_header(series) for series in reading.series))

    def _with_header(self, series: Series) -> Series:
        path = self._paths[id(series.header)]
        return dataclasses.replace(series, header=read_header(path))


def _name(stored: StoredInstance) -> str:
    return stored.sop_instance_uid + (f"+{stored.copy}" if stored.copy else "")
