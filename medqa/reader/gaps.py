"""What the places of a stack's frames tell: slices missing, uneven steps.

A hole counts as missing slices only where it is irregular: a whole multiple of a step that the rest of the stack keeps, with
instance numbers that do not deny it. An excerpt of a series, a head in two thicknesses and blocks over several discs are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.reader.geometry import place
from medqa.series import Frame
from medqa.volume import Vector

FEWEST_STEPS: Final = 4
REGULAR_SHARE: Final = 0.7
"""At least this share of the steps must be the regular one."""
STEP_TOLERANCE: Final = 0.1
LARGEST_HOLE: Final = 20
UNEVEN: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Slices missing in one stack (`first` is the frame before the first hole), and how uneven the steps are otherwise."""

    missing: int = 0
    first: int = 0
    gap_mm: float = 0.0
    uneven: bool = False
    smallest_mm: float = 0.0
    largest_mm: float = 0.0


def gaps(frames: Sequence[Frame], axis: Vector) -> Gaps:
    """Return what the steps between the frames of one sorted stack tell."""
    places = [place(frame.header, axis) for frame in frames]
    if any(where is None for where in places) or len(places) <= FEWEST_STEPS:
        return Gaps()
    steps = np.diff(np.asarray(places, dtype=np.float64))
    regular = _regular(steps)
    holes = _holes(steps, regular, frames) if regular is not None else {}
    rest = np.asarray([step for index, step in enumerate(steps) if index not in holes])
    middle = float(np.median(rest))
    return Gaps(
        missing=sum(holes.values()),
        first=min(holes, default=0),
        gap_mm=float(steps[min(holes)]) if holes else 0.0,
        uneven=bool(np.max(np.abs(rest - middle)) > max(UNEVEN * middle, 0.05)),
        smallest_mm=float(rest.min()),
        largest_mm=float(rest.max()),
    )


def _regular(steps: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float | None:
    """Return the step that most of the stack keeps, None where there is none."""
    middle = float(np.median(steps))
    close = np.abs(steps - middle) <= STEP_TOLERANCE * middle
    return middle if middle > 0 and close.mean() >= REGULAR_SHARE else None


def _holes(steps: np.ndarray[tuple[int, ...], np.dtype[np.float64]], regular: float, frames: Sequence[Frame]) -> dict[int, int]:
    """Return, for every hole, the index of the frame before it and the number of slices that would fill it."""
    usual = _usual_jump(frames)
    found: dict[int, int] = {}
    for index, step in enumerate(steps):
        multiple = round(step / regular)
        if not 2 <= multiple <= LARGEST_HOLE or abs(step - multiple * regular) > STEP_TOLERANCE * regular:
            continue
        # Two or more equal wide steps in a row are a second, wider spacing.
        if any(0 <= near < len(steps) and abs(steps[near] - step) <= STEP_TOLERANCE * regular for near in (index - 1, index + 1)):
            continue
        jump = _jump(frames, index)
        if usual is not None and jump == usual:
            continue
        found[index] = multiple - 1
    return found


def _jump(frames: Sequence[Frame], index: int) -> int | None:
    before, after = frames[index].header.instance_number, frames[index + 1].header.instance_number
    return None if before is None or after is None else abs(after - before)


def _usual_jump(frames: Sequence[Frame]) -> int | None:
    """Return by how much the instance number changes from frame to frame, None where it follows no rule."""
    jumps = Counter(_jump(frames, index) for index in range(len(frames) - 1))
    jump, count = jumps.most_common(1)[0]
    return jump if jump and count >= REGULAR_SHARE * (len(frames) - 1) else None
