"""The CT that a PET is measured against: which series of the study, which of its slices, and what these contribute.

Of several the one that covers most of the PET is taken, and of those that cover as much the widest: a reconstruction for reading
often leaves out the arms that the one for attenuation correction shows. At most `MOST` of its slices are decoded, evenly spaced and
one at a time, so that the cost is bounded whatever the CT has.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.errors import MedqaError
from medqa.metrics import PAIRS
from medqa.metrics.metric import Partial
from medqa.regions import Regions
from medqa.series import FrameHeader, Series

MOST: Final = 96
"""Slices of the CT that are decoded. From head to thigh they lie 10 mm apart, and the dome is found within 2 mm of where all slices
show it (64 slices: 4 mm; fewer than 50: not at all)."""
STEP_MM: Final = 10.0
"""Two CTs whose cover differs by less than about this cover as much."""
BEYOND_MM: Final = 5.0
"""So far beyond the ends of the PET a slice of the CT may still lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where a series lies along the patient (LPS z, mm), how wide its rows are, and the point from which it counts."""

    low_mm: float
    high_mm: float
    width_mm: float
    frame_of_reference: str | None

    def shared_mm(self, other: Extent) -> float:
        """Return how much of the patient both show; 0 where they do not count from one point."""
        told = {self.frame_of_reference, other.frame_of_reference} - {None}
        return 0.0 if len(told) > 1 else max(0.0, min(self.high_mm, other.high_mm) - max(self.low_mm, other.low_mm))


def extent_of(headers: Sequence[FrameHeader], frame_of_reference: str | None) -> Extent | None:
    """Return where frames lie; None where none of them has a place."""
    heights = [one.position_mm[2] for one in headers if one.position_mm is not None]
    if not heights:
        return None
    width = max(one.columns * (one.spacing_mm or (0.0, 0.0))[1] for one in headers)
    return Extent(low_mm=min(heights), high_mm=max(heights), width_mm=width, frame_of_reference=frame_of_reference)


def extent(series: Series) -> Extent | None:
    """Return where a series lies; None where none of its frames has a place."""
    uid = series.header.get("FrameOfReferenceUID")
    return extent_of([frame.header for frame in series.frames], str(uid) if uid else None)


def best(pet: Extent, candidates: Sequence[Extent | None]) -> int | None:
    """Return which candidate covers most of a PET, the widest of those, the first of those; None where none shares any of it."""
    shared = [0.0 if one is None else pet.shared_mm(one) for one in candidates]
    able = [
        (-round(shared[index] / STEP_MM), -one.width_mm, index) for index, one in enumerate(candidates) if one and shared[index]
    ]
    return min(able)[-1] if able else None


def slices(pet: Extent, heights: Sequence[float | None]) -> list[int]:
    """Return which slices at these heights are wanted, from the feet up: one a height, evenly spaced, at most `MOST`.

    Of what it chose it chooses all again, so that the choice may be made before the slices are read.
    """
    low, high = pet.low_mm - BEYOND_MM, pet.high_mm + BEYOND_MM
    at = {round(z, 2): index for index, z in reversed(list(enumerate(heights))) if z is not None and low <= z <= high}
    found = [at[height] for height in sorted(at)]
    if len(found) <= MOST:
        return found
    return [found[place] for place in np.linspace(0, len(found) - 1, MOST).round().astype(int)]


def choose(pet: Series, companions: Sequence[Series]) -> Series | None:
    """Return the CT of the same study that a PET is to be measured against; None where there is none."""
    place = extent(pet)
    candidates = sorted(of_study(pet, companions), key=lambda one: (one.series_uid, one.part))
    chosen = None if place is None else best(place, [extent(one) for one in candidates])
    return None if chosen is None else candidates[chosen]


def of_study(pet: Series, companions: Sequence[Series]) -> list[Series]:
    """Return the CTs among them that are of the same study."""
    return [one for one in companions if one.modality == "CT" and one.study_uid == pet.study_uid]


def partials(pet: Series, ct: Series) -> tuple[Series, dict[str, list[Partial | None]]]:
    """Decode the slices of a CT that are wanted, one at a time.

    Returns
    -------
    tuple
        The CT as those slices alone, and for each of `PAIRS` what they contribute, None where one cannot be decoded. The distance
        of its slices along z is their thickness: a slice speaks for no more, however many between it and the next are left out.
    """
    place = extent(pet)
    stack = ct.frames[: ct.stacks[0].stop]
    wanted = [] if place is None else slices(place, [(one.header.position_mm or (None,) * 3)[2] for one in stack])
    frames = tuple(stack[index] for index in wanted)
    found: dict[str, list[Partial | None]] = {pair.name: [] for pair in PAIRS}
    for frame in frames:
        try:
            regions = Regions(frame.read())
        except MedqaError:
            regions = None
        for pair in PAIRS:
            found[pair.name].append(None if regions is None else pair.per_frame(regions))
    thickness = next((frame.header.slice_thickness_mm for frame in frames if frame.header.slice_thickness_mm), 0.0)
    volume = dataclasses.replace(ct.volume, spacing_mm=(thickness, *ct.volume.spacing_mm[1:]))
    return dataclasses.replace(ct, frames=frames, volume=volume), found


def has_used_ct(pet: Series) -> bool:
    """Return whether the header says that a CT corrected the PET for attenuation (Attenuation Correction Method)."""
    made = pet.acquisition.pt
    return made is not None and re.search(r"\b(AC)?CT", made.attenuation_correction or "", re.IGNORECASE) is not None
