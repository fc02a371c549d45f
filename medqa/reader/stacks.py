"""Frames of one series sorted into stacks: one pass through space each (an echo, a b-value, a time point, a phase)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from medqa.reader.geometry import MANY_PLANES, SAME_PLACE_MM, normal, place, plane_numbers
from medqa.series import Frame
from medqa.volume import Vector

NO_NUMBER: Final = 2**31
MANY: Final = 0.5
"""At least this share of places must hold several frames before they count as time points rather than as duplicates."""

Order = tuple[float, int, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Stacks with their labels, in order, and how many frames lie where another already lies without saying why."""

    stacks: tuple[tuple[str, tuple[Frame, ...]], ...]
    repeated: int
    unplaced: int


def sort(frames: Sequence[Frame]) -> Sorted:
    """Return the frames stack by stack, each along the normal of its planes; the same whatever the order given."""
    contrasts: dict[str, list[Frame]] = defaultdict(list)
    labels = _contrast_labels(frames)
    for frame, label in zip(frames, labels, strict=True):
        contrasts[label].append(frame)
    stacks: list[tuple[str, tuple[Frame, ...]]] = []
    repeated = 0
    for label in sorted(contrasts, key=_natural):
        axis = normal(sorted(contrasts[label], key=arrival))
        for own, group in _timed(contrasts[label], axis):
            passes = _passes(group, axis)
            if len(passes) > 1:
                extra = sum(len(single) for single in passes[1:])
                repeated += extra if len(passes[1]) < MANY * len(passes[0]) else 0
            for number, single in enumerate(passes, start=1):
                words = [word for word in (label, own, f"pass {number}" if len(passes) > 1 else "") if word]
                stacks.append((", ".join(words), single))
    unplaced = sum(frame.header.position_mm is None for frame in frames)
    return Sorted(stacks=tuple(stacks), repeated=repeated, unplaced=unplaced)


def arrival(frame: Frame) -> Order:
    """Return a key that orders frames without their place: trigger time, instance number, acquisition time, UID, frame."""
    header = frame.header
    number = NO_NUMBER if header.instance_number is None else header.instance_number
    return (header.trigger_time_ms or 0.0, number, header.acquisition_datetime or "", frame.sop_instance_uid, frame.number)


def b_shell(value: float) -> float:
    """Return the b-value as a label: to 5 s/mm² below 100, else to 50 (scanners report what each direction really had)."""
    return 5.0 * round(value / 5) if value < 97.5 else 50.0 * round(value / 50)


def _contrast_labels(frames: Sequence[Frame]) -> list[str]:
    """Return what makes a frame another picture: its plane (of many around an axis), echo and b-value, where they vary."""
    planes = plane_numbers([frame.header for frame in frames])
    turning = max(planes.values()) >= MANY_PLANES
    echoes = {frame.header.echo for frame in frames}
    shells = {None if frame.header.b_value is None else b_shell(frame.header.b_value) for frame in frames}
    out = []
    for frame in frames:
        words = [f"plane {planes[frame.header.orientation] + 1}"] if turning else []
        if len(echoes) > 1:
            words.append(f"echo {frame.header.echo or '?'}")
        if len(shells) > 1:
            words.append("no b" if frame.header.b_value is None else f"b {b_shell(frame.header.b_value):g}")
        out.append(", ".join(words))
    return out


_TIMES: Final[tuple[tuple[str, Callable[[Frame], object]], ...]] = (
    ("time", lambda frame: frame.header.temporal_position),
    ("acquisition", lambda frame: frame.header.acquisition_number),
)


def _timed(frames: list[Frame], axis: Vector) -> list[tuple[str, list[Frame]]]:
    """Split by the first attribute that explains why several frames lie at one place, if one does."""
    before = _crowded(frames, axis)
    if before == 0:
        return [("", frames)]
    for name, attribute in _TIMES:
        groups: dict[object, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[attribute(frame)].append(frame)
        if len(groups) > 1 and sum(_crowded(group, axis) for group in groups.values()) == 0:
            return [(f"{name} {key}", groups[key]) for key in sorted(groups, key=lambda key: _natural(str(key)))]
    return [("", frames)]


def _crowded(frames: Sequence[Frame], axis: Vector) -> int:
    """Return how many frames lie where another lies."""
    counts = Counter(_cell(frame, axis) for frame in frames if frame.header.position_mm is not None)
    return sum(count - 1 for count in counts.values())


def _cell(frame: Frame, axis: Vector) -> int | None:
    where = place(frame.header, axis)
    return None if where is None else round(where / SAME_PLACE_MM / 10)


def _passes(frames: list[Frame], axis: Vector) -> list[tuple[Frame, ...]]:
    """Return the frames as passes through space: the n-th frame of each place (by `arrival`) makes the n-th pass."""
    ordered = sorted(frames, key=arrival)
    seen: Counter[int] = Counter()
    passes: dict[int, list[Frame]] = defaultdict(list)
    for frame in ordered:
        cell = _cell(frame, axis)
        if cell is None:
            passes[0].append(frame)
            continue
        passes[seen[cell]].append(frame)
        seen[cell] += 1
    return [tuple(sorted(passes[number], key=lambda frame: _along(frame, axis))) for number in sorted(passes)]


def _along(frame: Frame, axis: Vector) -> tuple[bool, float, Order]:
    where = place(frame.header, axis)
    return (where is None, 0.0 if where is None else where, arrival(frame))


def _natural(label: str) -> tuple[tuple[bool, float, str], ...]:
    """Return a key that sorts `echo 2` before `echo 10`."""
    out = []
    for word in label.replace("/", " ").replace(",", " ").split():
        try:
            out.append((False, float(word), ""))
        except ValueError:
            out.append((True, 0.0, word))
    return tuple(out)
