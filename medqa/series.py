"""A series of images as medqa sees it: identity, frames, geometry, and how it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medqa.acquisition import Acquisition
from medqa.codes import Code
from medqa.volume import Array, Vector, Volume

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """What one frame's header says, compact: a series of thousands of frames keeps one of these each.

    Positions and directions are LPS, in mm; None where the header is silent. `orientation` holds the unit vectors along a row
    (x) and along a column (y). `stack` names what the frame belongs to beside its place: an echo, a b-value, a time point.
    """

    rows: int
    columns: int
    position_mm: Vector | None = None
    orientation: tuple[Vector, Vector] | None = None
    spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    instance_number: int | None = None
    acquisition_number: int | None = None
    echo: str | None = None
    b_value: float | None = None
    temporal_position: str | None = None
    trigger_time_ms: float | None = None
    frame_duration_ms: float | None = None
    decay_factor: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    exposure_mas: float | None = None
    tube_current_ma: float | None = None
    ctdivol_mgy: float | None = None
    collection_centre_mm: Vector | None = None
    """CT: where the axis of rotation passes through the plane (Data Collection Center (Patient)), LPS."""
    acquisition_datetime: str | None = None
    image_type: tuple[str, ...] = ()
    suv_factor: float | None = None
    """PET: multiplies Bq/ml to SUVbw; None where the header does not allow it."""
    phase_encoding_axis: str | None = None
    """`ROW` or `COL` (InPlanePhaseEncodingDirection)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image plane. `decode` gives its pixels, `(y, x)` float32 in `unit`, NaN where the scanner stored no value."""

    sop_instance_uid: str
    number: int
    """Frame number within the instance, from 1."""
    modality: str
    unit: Code
    header: FrameHeader
    sha256: str
    """Digest of the instance's data set as stored (without file meta information, which every store writes anew), hexadecimal."""
    decode: Callable[[], Array] = field(repr=False, compare=False)

    @property
    def key(self) -> tuple[str, int]:
        """SOP Instance UID and frame number: unique within a series."""
        return self.sop_instance_uid, self.number

    def read(self) -> FrameImage:
        """Decode the pixels.

        Raises
        ------
        UndecodablePixels
            Where they cannot be decoded.
        """
        return FrameImage(frame=self, array=self.decode())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameImage:
    """A frame with its pixels: decoded once, then shown to every witness."""

    frame: Frame
    array: Array

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Distance of rows and of columns; 1 mm where the header is silent."""
        return self.frame.header.spacing_mm or (1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReference:
    """What a DICOM object needs to point at an instance."""

    sop_class_uid: str
    sop_instance_uid: str
    number_of_frames: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Frames `start` to `stop` (exclusive) of a series: one pass through space, e.g. one echo or one b-value."""

    label: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingNote:
    """Something the reader noticed: a message id of `medqa.findings`, its values, the frames it touches."""

    message: str
    values: dict[str, float | int | str] = field(default_factory=dict)
    frames: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Frames of one acquisition and one geometry, in their final order (stack by stack, along the normal).

    One Series Instance UID may hold several of these; `part` then tells them apart, empty otherwise. `header` is the dataset of
    the first instance without its pixels: the source of patient and study attributes.
    """

    study_uid: str
    series_uid: str
    part: str
    modality: str
    acquisition: Acquisition
    frames: tuple[Frame, ...]
    stacks: tuple[Stack, ...]
    volume: Volume
    """The first stack."""
    instances: tuple[InstanceReference, ...]
    header: Dataset = field(repr=False, compare=False)
    notes: tuple[ReadingNote, ...] = ()
    source: str = "DICOM"
    """`DICOM`, or the format of a plain image file (`NIfTI`, `MHA`, `TIFF`, `PNG`)."""

    @property
    def unit(self) -> Code:
        """What the pixel values mean."""
        return self.volume.unit
