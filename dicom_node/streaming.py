"""One revision of a series while it arrives: what was read of it, which frames wait to be scored, and what they yielded.

Memory holds compact headers and evidence, never pixels: a series of thousands of frames costs a few megabytes.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from dicom_node.gathered import Gathered
from dicom_node.process import Companions, Judged, Key, by_itself, judge
from dicom_node.records import SeriesRecord, StoredInstance
from medqa.assess import Accumulator, LiveWarnings
from medqa.assessment import Finding, FrameEvidence
from medqa.config import Settings
from medqa.errors import MedqaError
from medqa.series import Frame, FrameImage

FIRST_OF: Final = 4
"""While the scorer is behind, every fourth position goes first."""
BEHIND_S: Final = 2.0
GAPS: Final = frozenset({"missing_slices", "missing_frames_declared"})


@dataclasses.dataclass(frozen=True, slots=True)
class _Waiting:
    frame: Frame
    received_at: float


class Stream:
    """A series being followed.

    Parameters
    ----------
    record
        The revision as first seen.
    accumulator
        The scorers and settings in force.
    settings
        For the live warnings.
    remembered
        Evidence of an earlier life of the scorer, by SOP Instance UID, frame number and digest.
    """

    def __init__(
        self,
        record: SeriesRecord,
        accumulator: Accumulator,
        settings: Settings,
        remembered: Mapping[tuple[str, int, str], FrameEvidence],
    ) -> None:
        self.record = record
        self.last_id = 0
        self.noted = False
        self.document: dict[str, Any] | None = None
        """What the newest judgement came to, None again as soon as something arrives after it."""
        self.gap = False
        self._accumulator = accumulator
        self._remembered = dict(remembered)
        self._live = LiveWarnings(settings)
        self._gathered = Gathered()
        self._evidence: dict[Key, FrameEvidence] = {}
        self._first: deque[_Waiting] = deque()
        self._rest: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """How many frames wait to be scored."""
        return len(self._first) + len(self._rest)

    def waiting_since(self) -> float | None:
        """When the frame that waits longest was received, None where nothing waits."""
        return min((queue[0].received_at for queue in (self._first, self._rest) if queue), default=None)

    def add(self, stored: StoredInstance) -> list[Finding]:
        """Read the header of a stored object and queue its frames; returns live warnings of frames whose evidence is known."""
        self.last_id = max(self.last_id, stored.id)
        if not stored.judged:
            return []
        self.document = None
        instance = self._gathered.add(stored)
        if instance is None:
            return []
        warnings = []
        for frame in instance.frames:
            known = self._remembered.pop((*frame.key, frame.sha256), None)
            if known is not None and self._accumulator.is_current(frame, known):
                warnings += self._learn(frame, known)
            else:
                self._queue(_Waiting(frame, stored.received_at), (frame.header.instance_number or 0) + frame.number)
        return warnings

    def score(self, limit: int, *, behind: bool) -> tuple[list[FrameEvidence], list[Finding]]:
        """Decode and score up to `limit` waiting frames; return their evidence and the live warnings that it raises."""
        frames = [self._next(behind).frame for _ in range(min(limit, self.waiting))]
        images: list[FrameImage] = []
        evidence: list[FrameEvidence] = []
        for frame in frames:
            try:
                images.append(frame.read())
            except MedqaError as error:
                evidence.append(self._accumulator.failed(frame, error))
        evidence += self._accumulator.evidence(images)
        by_key = {frame.key: frame for frame in frames}
        warnings = [warning for one in evidence for warning in self._learn(by_key[one.key], one)]
        return evidence, warnings

    def conclude(self, judged_at: str, companions: Companions = by_itself) -> Judged:
        """Judge what is here now."""
        reading, refused = self._gathered.reading(), self._gathered.refused
        judged = judge(reading, self._evidence, self._accumulator, refused, judged_at, companions)
        messages = {finding.message for assessment in judged.assessments for finding in assessment.findings}
        self.gap = bool(messages & GAPS)
        return judged

    def _queue(self, waiting: _Waiting, place: int) -> None:
        (self._first if place % FIRST_OF == 0 else self._rest).append(waiting)

    def _next(self, behind: bool) -> _Waiting:
        if not self._first or not self._rest:
            return (self._first or self._rest).popleft()
        early = behind or self._first[0].received_at <= self._rest[0].received_at
        return (self._first if early else self._rest).popleft()

    def _learn(self, frame: Frame, evidence: FrameEvidence) -> list[Finding]:
        self._evidence[frame.key] = evidence
        return self._live.add(frame, evidence)
