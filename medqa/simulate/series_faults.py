"""What goes wrong with a series as a whole: thick slices, and slices that are missing, shown twice or in each other's place.

A fault never touches a pixel of a slice by itself: it says which slices of the original each slice of the result shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from medqa.errors import InvalidDegradation
from medqa.simulate.degradation import Change, Kind, Parameter, Parameters, keeps_pixels


class Shown(NamedTuple):
    """One frame of the result: the original frame whose place and header it has, and those whose pixels it shows, with weights."""

    place: int
    pixels: tuple[tuple[int, float], ...]


Slab = tuple[int, int]
"""First and last frame, counted from 0, both included."""
Arrange = Callable[[Parameters, Sequence[range], Slab], list[Shown]]
"""Takes the parameters, the frames of each stack and the slab; returns the frames that are left, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKind(Kind):
    """A kind of fault of a whole series of any modality, described like any other kind."""

    modality: str = ""
    source: str = ""
    change: Change = keeps_pixels
    arrange: Arrange

    @property
    def full_name(self) -> str:
        """The name on the command line: there is one for all modalities."""
        return self.name


def untouched(stacks: Sequence[range]) -> list[Shown]:
    """Return every frame in its place."""
    return [Shown(index, ((index, 1.0),)) for stack in stacks for index in stack]


def box(slices: float) -> list[tuple[int, float]]:
    """Return the weights of neighbours, by distance in slices, under a box `slices` wide; their sum is 1."""
    reach = int(np.ceil(slices / 2 + 0.5))
    steps = range(-reach, reach + 1)
    overlaps = [min(step + 0.5, slices / 2) - max(step - 0.5, -slices / 2) for step in steps]
    return [(step, overlap / slices) for step, overlap in zip(steps, overlaps, strict=True) if overlap > 1e-9]


def _partial_volume(parameters: Parameters, stacks: Sequence[range], slab: Slab) -> list[Shown]:
    weights = box(parameters["slices"])
    out = []
    for stack in stacks:
        for index in stack:
            near = [(index + step, weight) for step, weight in weights if index + step in stack]
            total = sum(weight for _, weight in near)
            inside = slab[0] <= index <= slab[1]
            out.append(Shown(index, tuple((place, weight / total) for place, weight in near) if inside else ((index, 1.0),)))
    return out


def _respiratory(parameters: Parameters, stacks: Sequence[range], slab: Slab) -> list[Shown]:
    # Time spent at each depth of breathing: displacement goes with cos^4 (Lujan et al., Med Phys 26:715, 1999).
    depths = parameters["slices"] * np.cos((np.arange(48) + 0.5) / 48 * np.pi) ** 4
    steps, counts = np.unique(np.rint(depths - depths.mean()).astype(int), return_counts=True)
    out = []
    for stack in stacks:
        for index in stack:
            near = [(index + int(step), float(count)) for step, count in zip(steps, counts, strict=True) if index + step in stack]
            total = sum(weight for _, weight in near)
            inside = slab[0] <= index <= slab[1] and total > 0
            out.append(Shown(index, tuple((place, weight / total) for place, weight in near) if inside else ((index, 1.0),)))
    return out


def _dropped(parameters: Parameters, stacks: Sequence[range], slab: Slab) -> list[Shown]:
    # A stack that loses its ends is shorter, not torn.
    runs = [range(max(stack.start + 1, slab[0]), min(stack.stop - 1, slab[1] + 1)) for stack in stacks]
    count = int(parameters["count"])
    generator = _generator(parameters)
    if parameters["together"]:
        starts = [start for run in runs for start in range(run.start, run.stop - count + 1)]
        _enough("dropped", count, max((len(run) for run in runs), default=0))
        first = int(generator.choice(starts))
        gone = set(range(first, first + count))
    else:
        inner = [index for run in runs for index in run]
        _enough("dropped", count, len(inner))
        gone = {int(index) for index in generator.choice(inner, size=count, replace=False)}
    return [shown for shown in untouched(stacks) if shown.place not in gone]


def _duplicated(parameters: Parameters, stacks: Sequence[range], slab: Slab) -> list[Shown]:
    followers = [index for stack in stacks for index in stack[1:] if slab[0] <= index - 1 and index <= slab[1]]
    count = int(parameters["count"])
    _enough("duplicated", count, len(followers))
    chosen = {int(index) for index in _generator(parameters).choice(followers, size=count, replace=False)}
    return [Shown(place, ((place - 1, 1.0),)) if place in chosen else shown for place, shown in enumerate(untouched(stacks))]


def _swapped(parameters: Parameters, stacks: Sequence[range], slab: Slab) -> list[Shown]:
    distance, count = int(parameters["distance"]), int(parameters["count"])
    first = [i for stack in stacks for i in stack if slab[0] <= i and i + distance <= slab[1] and i + distance in stack]
    partner: dict[int, int] = {}
    for index in _generator(parameters).permutation(np.asarray(first, dtype=np.int64)):
        one, other = int(index), int(index) + distance
        if len(partner) < 2 * count and one not in partner and other not in partner:
            partner |= {one: other, other: one}
    _enough("swapped", count, len(partner) // 2)
    return [Shown(place, ((partner.get(place, place), 1.0),)) for place, _ in untouched(stacks)]


def _generator(parameters: Parameters) -> np.random.Generator:
    return np.random.default_rng(int(parameters["seed"]))


def _enough(kind: str, wanted: int, there: int) -> None:
    if there < wanted:
        raise InvalidDegradation(kind=kind, reason=f"the slices given leave room for {there} of the {wanted} wanted")


def _draw_together(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    return {"together": float(generator.integers(2))}


def _draw_distance(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    return {"distance": float(generator.integers(1, 4))}


_COUNTS: Final = (1.0, 2.0, 4.0, 8.0)

FAULTS: Final[Mapping[str, SeriesKind]] = {
    kind.name: kind
    for kind in (
        SeriesKind(
            name="partial-volume",
            summary="Thick slices: each is the mean over its neighbours along the stack; place and header stay.",
            strength=Parameter("slices", "width of the slice profile (a box), in distances of slices", "slices", 1.0, 50.0),
            levels=(2.0, 3.0, 5.0, 8.0),
            arrange=_partial_volume,
        ),
        SeriesKind(
            name="respiratory",
            summary="Breathing along the stack: each slice is the mean over its neighbours, by the time spent at each depth.",
            source="Lujan et al., Med Phys 1999;26:715",
            strength=Parameter("slices", "travel of the breath, in distances of slices", "slices", 1.0, 50.0),
            levels=(2.0, 4.0, 6.0, 10.0),
            arrange=_respiratory,
        ),
        SeriesKind(
            name="dropped",
            summary="Slices within the stack are missing, as when the transfer lost them.",
            strength=Parameter("count", "how many slices are missing", "slices", 1, 500),
            levels=_COUNTS,
            others=(Parameter("together", "1 where they lie side by side, 0 where they are scattered", "1", 0, 1),),
            draw=_draw_together,
            arrange=_dropped,
        ),
        SeriesKind(
            name="duplicated",
            summary="A slice shows the pixels of the one before it once more, at its own place.",
            strength=Parameter("count", "how many slices show another's pixels", "slices", 1, 500),
            levels=_COUNTS,
            arrange=_duplicated,
        ),
        SeriesKind(
            name="swapped",
            summary="Two slices have each other's pixels: what they show is not where their headers say.",
            strength=Parameter("count", "how many pairs are swapped", "pairs", 1, 200),
            levels=_COUNTS,
            others=(Parameter("distance", "how far apart the two of a pair lie", "slices", 1, 50),),
            draw=_draw_distance,
            arrange=_swapped,
        ),
    )
}
