"""Slices that have each other's pixels: two images that fit between their neighbours better the other way round.

Neighbouring slices look alike, and the less alike the further apart they are. Every frame keeps a thumbnail
(`medqa.metrics.frame_facts`); how far apart two frames are is the mean square of the difference of theirs. Two frames are taken for
exchanged where each lies further from the neighbours of its place than the other does: by `NEAR` together, by `EACH` singly, and by
`FAR` from the frames two places off on the outer side of both. That keeps interleaved stacks out whose even and odd slices differ:
there the frame two places off is the one that fits. The frames around must have a course (`COURSE`), which keeps out what no order
would put right. At an end of the stack one side has nothing to say, so that the other must say it louder (`AT_END`).

Left alone: series of several stacks (echoes, b-values, time points), fewer than `MIN_FRAMES`, slices without a position or more
than `MAX_SPACING_MM` apart (each shows organs of its own, and a phantom its next module), and stacks in which more than half
of the slices would have to move.

Measured on the training scans of one stack, six slices or more and at most 15 mm apart (CT 4, MR 9, PET 33), with one pair
exchanged at a time: the share of the pairs that is found and named rightly, mean over scans, by the distance of the two. `inner`
pairs do not touch the first or last two slices, `end` pairs do:

    slices apart        1     2     3     5    10    20
    inner   CT       0.90  0.83  0.83  1.00     -     -
            MR       0.80  0.73  0.67  0.71  0.90  0.77
            PET      0.89  0.90  0.93  0.96  0.95  0.95
    end     CT       0.88  0.50  0.85  0.38     -     -
            MR       0.56  0.36  0.62  0.60  0.55  0.62
            PET      0.71  0.45  0.89  0.92  0.91  0.86

The CT are four, of 6 to 12 slices. None of the 46 has a finding as it is, nor has one of the 24 such test scans. What is missed
lies where a phantom or a limb is the same from slice to slice. Of series with four pairs exchanged at once 0.74 (PET) and 0.38 (MR)
have the finding, but not every pair is named. Of the three Catphans whose slices lie 16 to 24 mm apart one would have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding, FrameEvidence, Scalar
from medqa.findings import finding
from medqa.series import Series, Stack

NEAR: Final = 1.5
EACH: Final = 1.2
FAR: Final = 1.1
AT_END: Final = 2.0
AROUND: Final = 5
"""How many places to either side show whether the stack has a course at all."""
COURSE: Final = 1.5
"""How much further apart than neighbours the next but one must be there."""
REACH: Final = 64
"""The two of a pair may lie this many slices apart."""
MIN_FRAMES: Final = 6
MAX_SPACING_MM: Final = 15.0
MAX_SHARE: Final = 0.5
MOST_PAIRS: Final = 20
"""More are not looked for: of 2,000 slices a pair takes 50 ms to find."""
FLOOR: Final = 0.25
"""Added to every distance: thumbnails are rounded, and what rounding does is no likeness."""

Values = NDArray[np.float64]


def exchanged(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Tell which slices seem to show what belongs in each other's place."""
    if len(series.stacks) != 1 or series.volume.spacing_mm[0] > MAX_SPACING_MM:
        return []
    if any(frame.header.position_mm is None for frame in series.frames):
        return []
    places, thumbnails = _known(series.stacks[0], evidence)
    pairs = [(places[one], places[other]) for one, other in pairs_of(thumbnails)]
    if not pairs:
        return []
    values: dict[str, Scalar] = {"first": pairs[0][0] + 1, "other": pairs[0][1] + 1}
    values |= {"count": len(pairs)} if len(pairs) > 1 else {}
    return [finding("exchanged_slices", values=values, frames=(pairs[0][0], max(other for _, other in pairs)))]


def pairs_of(thumbnails: Values) -> list[tuple[int, int]]:
    """Return the pairs of frames that fit better the other way round, in order.

    Parameters
    ----------
    thumbnails
        `(frame, block)`, in the order of the stack.

    The best pair is put right first and the rest looked at again, for a swap spoils the neighbourhood of others.
    """
    count = len(thumbnails)
    if count < MIN_FRAMES:
        return []
    thumbnails = thumbnails.copy()
    pairs: list[tuple[int, int]] = []
    while len(pairs) < MOST_PAIRS and (best := _best(thumbnails)) is not None:
        pairs.append(best)
        if 2 * len(pairs) > MAX_SHARE * count:
            return []
        thumbnails[list(best)] = thumbnails[list(best)[::-1]]
    return sorted(pairs)


def _best(thumbnails: Values) -> tuple[int, int] | None:
    """Return the pair that gains most by an exchange; None where none gains enough."""
    count = len(thumbnails)
    apart = _Apart(thumbnails)
    found: list[tuple[float, int, int]] = []
    for distance in range(1, min(REACH, count - 1) + 1):
        margins = _margins(apart, distance)
        found += [(float(margins[first]), int(first), int(first) + distance) for first in np.flatnonzero(margins >= 1)]
    in_order = ((one, other) for _, one, other in sorted(found, reverse=True) if _in_order_around(apart, one, other))
    return next(in_order, None)


def _in_order_around(apart: _Apart, one: int, other: int) -> bool:
    """Return whether the frames around each of two places, these two aside, grow less alike from one to the next but one."""
    for place in (one, other):
        starts = [start for start in range(place - AROUND, place + AROUND - 1) if not {start, start + 1, start + 2} & {one, other}]
        known = [start for start in starts if 0 <= start < apart.count - 2]
        steps = sum(float(apart.of(1, start, 2).sum()) for start in known)
        double = 2 * sum(float(apart.of(2, start, 1)[0]) for start in known)
        if known and double < COURSE * steps:
            return False
    return True


class _Apart:
    """How far the frames of a stack are apart, for all that lie up to `REACH` + 2 places from one another."""

    def __init__(self, thumbnails: Values) -> None:
        self.count = len(thumbnails)
        reach = min(REACH + 2, self.count - 1)
        self._by_distance = {
            places: ((thumbnails[places:] - thumbnails[:-places]) ** 2).mean(axis=1) + FLOOR for places in range(1, reach + 1)
        }

    def of(self, places: int, start: int, number: int) -> Values:
        """Return how far frames `start`, `start` + 1, ... are from those `places` later; 0 where one of the two is not there."""
        out = np.zeros(number)
        known = self._by_distance.get(places)
        if known is not None:
            low, high = max(0, start), min(len(known), start + number)
            if high > low:
                out[low - start : high - start] = known[low:high]
        return out


def _margins(apart: _Apart, distance: int) -> Values:
    """Return, for every frame and the one `distance` places on, by how much they pass what is asked of a pair: 1 and more is one.

    Each comparison holds the distance of a frame to a neighbour of its place, then that of the other frame to the same neighbour.
    """
    number = apart.count - distance
    before = (apart.of(1, -1, number), apart.of(distance + 1, -1, number))
    after = (apart.of(1, distance, number), apart.of(distance + 1, 0, number))
    far_before = (apart.of(2, -2, number), apart.of(distance + 2, -2, number))
    far_after = (apart.of(2, distance, number), apart.of(distance + 2, 0, number))
    # What lies between the two is a neighbour of both; side by side they have only each other there.
    first, other = before, after
    if distance > 1:
        first = (before[0] + apart.of(1, 0, number), before[1] + apart.of(distance - 1, 1, number))
        other = (after[0] + apart.of(1, distance - 1, number), after[1] + apart.of(distance - 1, 0, number))
    ended = (before[0] == 0) | (after[0] == 0) | (far_before[0] == 0) | (far_after[0] == 0)
    together = (first[0] + other[0]) / (first[1] + other[1])
    margins: Values = together / np.where(ended, AT_END, NEAR)
    for own, others, least in ((*first, EACH), (*other, EACH), (*far_before, FAR), (*far_after, FAR)):
        there = others > 0
        margins = np.where(there, np.minimum(margins, own / np.where(there, others, 1.0) / least), margins)
    margins[(far_before[0] == 0) & (far_after[0] == 0)] = 0.0
    return margins


def _known(stack: Stack, evidence: Sequence[FrameEvidence]) -> tuple[list[int], Values]:
    """Return the frames of a stack that show something, and their thumbnails."""
    found: dict[int, list[float]] = {}
    for place in range(stack.start, min(stack.stop, len(evidence))):
        facts: Any = evidence[place].partials.get("frame", {})
        if evidence[place].error is None and facts.get("thumbnail") is not None:
            found[place] = facts["thumbnail"]
    return list(found), np.array(list(found.values()), dtype=np.float64)
