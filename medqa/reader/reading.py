"""What reading gives: instances, then series, and what was left out with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medqa.acquisition import Acquisition
from medqa.series import Frame, ReadingNote, Series

if TYPE_CHECKING:
    from pydicom import Dataset

PartKey = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored DICOM image: the facts of its header, and frames whose pixels are decoded when asked for.

    `header` is the dataset without pixels and without large private elements. `part_key` holds what all instances of one
    `Series` agree in beside what their frames say (SOP class, unit); `name` is a relative file name, without patient data where
    the caller gave one.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    modality: str
    sha256: str
    frames: tuple[Frame, ...]
    header: Dataset = field(repr=False, compare=False)
    acquisition: Acquisition
    part_key: PartKey
    name: str
    number_of_frames: int = 1
    """As stored; a Siemens mosaic is one stored frame that gives many."""
    notes: tuple[ReadingNote, ...] = ()
    """What is odd about this instance alone (`invalid_rescale`, `tiny_image`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that is not part of any series, and why.

    `name` is relative to what was read; `kind` one word (`localizer`, `secondary_capture`, `dose_report`, `structured_report`,
    `presentation_state`, `other_class`, `other_modality`, `parametric_map`, `unreadable`, `not_dicom`, `duplicate`, …);
    `code` a medqa error code; `text` a sentence without patient data.
    """

    name: str
    kind: str
    code: str
    text: str
    series_uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The series found, in a fixed order, and what was left out."""

    series: tuple[Series, ...]
    left_out: tuple[LeftOut, ...] = ()
