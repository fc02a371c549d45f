"""Live warnings: what is worth saying while the patient still lies on the table.

A warning is raised by neighbouring positions under the frame cut, or by one blank frame inside the body, once per series and
cause. Neighbours are neighbours among what has been received so far: a warning may come early, it never decides a verdict.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import numpy as np

from medqa.assessment import Finding, FrameEvidence
from medqa.config import Settings
from medqa.findings import finding
from medqa.metrics.frame_facts import is_blank
from medqa.series import Frame, FrameHeader

_StackKey = tuple[object, ...]


@dataclass(frozen=True, slots=True, order=True)
class _Seen:
    place: float
    key: tuple[str, int]
    low: bool = field(compare=False)
    blank: bool | None = field(compare=False)
    score: float | None = field(compare=False)


class LiveWarnings:
    """Watches one series as its frames are scored, in whatever order they come.

    Parameters
    ----------
    settings
        `policy.frame_cut` and `policy.live_positions` decide.
    """

    def __init__(self, settings: Settings) -> None:
        self._policy = settings.policy
        self._stacks: dict[_StackKey, list[_Seen]] = {}
        self._keys: set[tuple[str, int]] = set()
        self._told: set[str] = set()
        self._with_blank: set[_StackKey] = set()

    def add(self, frame: Frame, evidence: FrameEvidence) -> list[Finding]:
        """Take one frame's evidence and return the warnings that it raises; a frame that comes again raises none."""
        if frame.key in self._keys:
            return []
        self._keys.add(frame.key)
        score = min(evidence.scores.values(), default=None)
        seen = _Seen(
            place=_place(frame.header),
            key=frame.key,
            low=score is not None and score < self._policy.frame_cut,
            blank=is_blank(evidence.partials),
            score=score,
        )
        key = _stack_key(frame.header)
        stack = self._stacks.setdefault(key, [])
        index = bisect.bisect(stack, seen)
        stack.insert(index, seen)
        if seen.blank:
            self._with_blank.add(key)
        return [*self._low(stack, index), *(self._blank(stack) if key in self._with_blank else [])]

    def _low(self, stack: list[_Seen], index: int) -> list[Finding]:
        if "low_score_frames" in self._told or not stack[index].low:
            return []
        first = last = index
        while first > 0 and stack[first - 1].low:
            first -= 1
        while last + 1 < len(stack) and stack[last + 1].low:
            last += 1
        run = stack[first : last + 1]
        if len({seen.place for seen in run}) < self._policy.live_positions:
            return []
        self._told.add("low_score_frames")
        worst = min(seen.score for seen in run if seen.score is not None)
        return [finding("low_score_frames", values={"count": len(run), "limit": self._policy.frame_cut, "worst": worst})]

    def _blank(self, stack: list[_Seen]) -> list[Finding]:
        # A newcomer is the blank frame itself, or the image that shows that a blank neighbour lies inside.
        if "blank_frames" in self._told:
            return []
        known = [seen for seen in stack if seen.blank is not None]
        images = [place for place, seen in enumerate(known) if not seen.blank]
        if not images:
            return []
        count = sum(bool(seen.blank) for seen in known[images[0] : images[-1] + 1])
        if not count:
            return []
        self._told.add("blank_frames")
        return [finding("blank_frames", values={"count": count})]


def _place(header: FrameHeader) -> float:
    """Return the position along the slice normal in mm; the instance number where there is no position."""
    if header.position_mm is None or header.orientation is None:
        return float(header.instance_number or 0)
    normal = np.cross(*header.orientation)
    return round(float(np.dot(normal, header.position_mm)), 3)


def _stack_key(header: FrameHeader) -> _StackKey:
    """Return what keeps frames at one place apart: the grid, the direction, the echo, the b-value, the time point."""
    direction = None if header.orientation is None else tuple(round(value, 2) for axis in header.orientation for value in axis)
    return header.rows, header.columns, direction, header.echo, header.b_value, header.temporal_position, header.acquisition_number
