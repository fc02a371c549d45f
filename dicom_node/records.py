"""What goes into the catalogue and what comes out of it, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dicom_node.lifecycle import State


class JobKind(StrEnum):
    """What a claim is for: a READY revision is judged, a JUDGED one rendered."""

    JUDGE = "judge"
    RENDER = "render"


class Status(StrEnum):
    """Of an assessment."""

    PROVISIONAL = "PROVISIONAL"
    FINAL = "FINAL"


class Outgoing(StrEnum):
    """Where an outbox row stands."""

    HELD = "held"
    DUE = "due"
    SENT = "sent"
    WARNING = "warning"
    """Taken with a warning status (B000, B006, B007): it is stored there."""
    DEAD = "dead"
    WITHHELD = "withheld"
    """A hold rule and the verdict keep it here; a later ADEQUATE revision releases it."""
    SKIPPED = "skipped"
    """It came from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One received object whose bytes are already durable."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    path: str
    """Relative to the storage folder."""
    size: int
    """Bytes of the data set as received (without preamble and file meta)."""
    crc: int
    """CRC-32 of these bytes."""
    transfer_syntax: str
    association: int
    modality: str | None = None
    judged: bool = True
    """An image of ours to judge: CT, MR or PET image class, and not an object that medqa itself made."""
    own: bool = False
    conflict: bool = False
    copy: int = 0
    """0 for the first bytes under this SOP Instance UID, then counted up."""
    instance_number: int | None = None
    frames: int = 1
    declared: int | None = None
    """How many images the header says that `part` has: Number of Slices (PET), Images in Acquisition (CT, MR)."""
    part: str = ""
    """What `declared` counts: empty for the whole series, else its Acquisition Number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """One stored object."""

    id: int
    series_uid: str
    study_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    path: Path
    """Absolute."""
    size: int
    crc: int
    transfer_syntax: str
    received_at: float
    association: int
    revision: int
    """The revision that it joined."""
    judged: bool
    own: bool
    conflict: bool
    copy: int
    instance_number: int | None
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecord:
    """One revision of a series."""

    id: int
    series_uid: str
    study_uid: str
    key: str
    """A short hash of the UID, for logs and webhooks."""
    modality: str
    revision: int
    state: State
    judged: bool
    instances: int
    """Images to judge that the revision comprises: those of earlier revisions included, conflicting copies not."""
    others: int
    """Other objects."""
    frames: int
    """Frames of these images."""
    declared: int | None
    """How many images the headers promise: the sum over the acquisitions seen so far; None where they do not say."""
    first_received: float
    last_received: float
    last_id: int
    """Id of its newest instance: `instances_of(after_id=...)` goes on from here."""
    sender: str
    address: str
    open_associations: int
    """Associations of this sender that are open now."""
    last_released: float | None
    """When an association of this sender was last *released* (an aborted one proves nothing)."""
    noted: int
    """Attempts noted before a decode and not yet cleared."""
    completed_at: float | None
    completion_reason: str | None
    completion_evidence: Mapping[str, Any]
    reason: str | None
    """Why it is NOT_JUDGED, FAILED or UNDELIVERED."""
    conflicts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A lease on one revision."""

    kind: JobKind
    series_uid: str
    revision: int
    revision_id: int
    owner: str
    attempts: int
    """Counted when claimed: 1 on the first claim."""
    lease_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAssessment:
    """An assessment as stored."""

    id: int
    series_uid: str
    study_uid: str
    key: str
    revision: int
    status: Status
    verdict: str | None
    document: dict[str, Any]
    made_at: float
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """Something that happened; holds no patient data."""

    kind: str
    """`live_warning`, `completed`, `verdict`, `not_judged`, `rendered`, `delivered`, `dead_letter`, `late`, `conflict` ..."""
    series_uid: str | None = None
    key: str | None = None
    revision: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedObject:
    """One object of ours on disk."""

    path: Path
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One object for one destination."""

    id: int
    kind: str
    """`original` or `result`."""
    destination: str
    path: Path
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    key: str
    revision: int
    attempts: int
    state: Outgoing
    last_status: int | None
    reason: str | None
