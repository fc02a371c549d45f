"""Frames that cannot be decoded or show nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from medqa.assessment import Finding, FrameEvidence, Scalar
from medqa.findings import finding
from medqa.series import Series, Stack


def undecodable(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Tell how many frames could not be decoded."""
    failed = [index for index, one in enumerate(evidence) if one.error is not None]
    if not failed:
        return []
    code = str(evidence[failed[0]].error).partition(":")[0]
    values: dict[str, Scalar] = {"count": len(failed), "total": len(series.frames), "code": code}
    return [finding("undecodable_frames", values=values, frames=(failed[0], failed[-1]))]


def blank(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Tell blank frames apart: inside the body (frames with an image before and behind), at the ends, everywhere.

    Frames that could not be decoded are neither blank nor not; they are passed over.
    """
    flags = [_blank(one) for one in evidence]
    known = [flag for flag in flags if flag is not None]
    if known and all(known):
        return [finding("blank_series", values={"count": len(known)}, frames=(0, len(flags) - 1))]
    inside: list[int] = []
    ends: list[int] = []
    for stack in series.stacks or (Stack(label="", start=0, stop=len(flags)),):
        for run, between in _blank_runs([(index, flags[index]) for index in range(stack.start, stack.stop)]):
            (inside if between else ends).extend(run)
    found = []
    for message, frames in (("blank_frames", inside), ("blank_end_frames", ends)):
        if frames:
            found.append(finding(message, values={"count": len(frames)}, frames=(frames[0], frames[-1])))
    return found


def _blank(one: FrameEvidence) -> bool | None:
    facts = one.partials.get("frame")
    return None if facts is None or one.error is not None else bool(facts["blank"])


def _blank_runs(flags: Sequence[tuple[int, bool | None]]) -> list[tuple[list[int], bool]]:
    """Return the runs of blank frames and whether each has an image on both sides."""
    known = [(index, flag) for index, flag in flags if flag is not None]
    runs = [(flag, [index for index, _ in members]) for flag, members in groupby(known, key=lambda pair: pair[1])]
    return [(run, 0 < place < len(runs) - 1) for place, (flag, run) in enumerate(runs) if flag]
