"""Frames that cannot be decoded, show nothing, or show what another shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from medqa.assessment import Finding, FrameEvidence, Scalar
from medqa.findings import finding
from medqa.series import Series

FAINT: Final = 1 / 30


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
    stacks = [(stack, _flags(series, evidence[stack.start : stack.stop])) for stack in series.stacks]
    known = [flag for _, flags in stacks for flag in flags if flag is not None]
    if known and all(known):
        return [finding("blank_series", values={"count": len(known)}, frames=(0, len(evidence) - 1))]
    inside: list[int] = []
    ends: list[int] = []
    for stack, flags in stacks:
        for run, between in _blank_runs(flags):
            (inside if between else ends).extend(stack.start + index for index in run)
    found = []
    for message, frames in (("blank_frames", inside), ("blank_end_frames", ends)):
        if frames:
            found.append(finding(message, values={"count": len(frames)}, frames=(frames[0], frames[-1])))
    return found


def repeated(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Tell of frames with exactly the pixels of an earlier one, in whatever place: noise never comes twice.

    Blank frames all look alike and do not count.
    """
    first: dict[tuple[int, float], int] = {}
    pairs = []
    for index, one in enumerate(evidence):
        facts = one.partials.get("frame", {})
        if one.error is not None or facts.get("pixels") is None:
            continue
        # The mean as well: in a series of thousands two check sums of 32 bits may agree by chance.
        earlier = first.setdefault((facts["pixels"], facts["mean"]), index)
        if earlier != index:
            pairs.append((earlier, index))
    if not pairs:
        return []
    values: dict[str, Scalar] = {"first": pairs[0][0] + 1, "other": pairs[0][1] + 1}
    values |= {"count": len(pairs)} if len(pairs) > 1 else {}
    frames = (min(one for one, _ in pairs), max(other for _, other in pairs))
    return [finding("repeated_pixels", values=values, frames=frames)]


def _flags(series: Series, evidence: Sequence[FrameEvidence]) -> list[bool | None]:
    """Return which frames of a stack are blank, None where the pixels are not known.

    A frame of MR or PET without signal still holds noise: it is blank when it varies by less than a thirtieth of what is usual in
    its stack. CT says it in Hounsfield units already.
    """
    facts = [None if one.error is not None else one.partials.get("frame") for one in evidence]
    spread = sorted(float(one["deviation"]) for one in facts if one is not None and not one["blank"])
    usual = 0.0 if series.modality == "CT" or not spread else spread[len(spread) // 2]
    return [None if one is None else bool(one["blank"]) or float(one["deviation"]) < FAINT * usual for one in facts]


def _blank_runs(flags: Sequence[bool | None]) -> list[tuple[list[int], bool]]:
    """Return the runs of blank frames and whether each has an image on both sides."""
    known = [(index, flag) for index, flag in enumerate(flags) if flag is not None]
    runs = [(flag, [index for index, _ in members]) for flag, members in groupby(known, key=lambda pair: pair[1])]
    return [(run, 0 < place < len(runs) - 1) for place, (flag, run) in enumerate(runs) if flag]
