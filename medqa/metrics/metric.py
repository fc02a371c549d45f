"""What a metric is: a value with a name and two functions, or one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from medqa.assessment import Finding
from medqa.codes import Code
from medqa.errors import NotApplicable
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.regions import Regions
from medqa.series import Frame, Series

Partial = Mapping[str, Any]
"""What one frame contributes: JSON scalars and lists under names."""


MIN_AXIAL: Final = 0.7
"""Cosine between the normal of a slice and the long axis of the patient: gantries tilt by 30 degrees (0.87)."""

Combine = Callable[[Series, Sequence[Partial | None]], Measurement | tuple[Measurement, ...]]
Find = Callable[[Series, Sequence[Partial | None]], list[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A quantity, or a few that come of the same work, measured frame by frame.

    `per_frame` looks at one frame (None where it has nothing to say about it). `combine` sums up in the order of `series.frames`
    and raises `NotApplicable` with `what` the metric's name and `reason` an id of `findings.NOT_CHECKED`. `find`, where there is
    one, tells from the same partials what is wrong and where ("streaks along 37 degrees, slices 41-58"). `more` names the
    quantities beside the one that bears the metric's own name. `axial` ones look for what only slices across the patient show (the
    axis of the scanner, its field of view, skin all round): other slices have no partial, and series of them do not apply.
    """

    name: str
    per_frame: Callable[[Regions], Partial | None]
    combine: Combine
    find: Find | None = None
    more: tuple[str, ...] = ()
    axial: bool = False

    @property
    def quantities(self) -> tuple[str, ...]:
        """Code values of everything that `measure` may return."""
        return self.name, *self.more

    def looks_at(self, frame: Frame) -> bool:
        """Return whether the metric has anything to say about slices that lie in the patient as this one."""
        orientation = frame.header.orientation
        if not self.axial or orientation is None:
            return True
        (rx, ry, _), (cx, cy, _) = orientation
        return abs(rx * cy - ry * cx) >= MIN_AXIAL

    def measure(self, series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
        """Return what `combine` returns, always as a tuple.

        Raises
        ------
        NotApplicable
            `not_axial` where the metric looks at no slice that lies as these, else what `combine` raises.
        """
        if series.frames and not any(self.looks_at(frame) for frame in series.frames):
            raise NotApplicable(what=self.name, reason="not_axial")
        made = self.combine(series, partials)
        return made if isinstance(made, tuple) else (made,)


def median_of(partials: Sequence[Partial | None], value: str, *, quantity: Code, unit: Code, source: str) -> Measurement:
    """Return the median of a value over the frames that have a partial.

    Raises
    ------
    NotApplicable
        `no_body` where none has.
    """
    found = present(quantity.value, partials, "no_body")
    middle = float(np.median([float(partial[value]) for partial in found]))
    return Measurement(quantity=quantity, value=middle, unit=unit, source=source)


def outside(message: str, band: tuple[float, float], combine: Callable[[Series, Sequence[Partial | None]], Measurement]) -> Find:
    """Return a `find` that notes a value outside a band, and nothing where there is no value."""

    def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
        try:
            value = float(combine(series, partials).value)
        except NotApplicable:
            return []
        low, high = band
        return [] if low <= value <= high else [finding(message, values={"value": round(value, 2), "low": low, "high": high})]

    return find


def runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Return first and last index of every run of frames that are flagged."""
    found: list[tuple[int, int]] = []
    for index, flag in enumerate(flags):
        if not flag:
            continue
        if found and found[-1][1] == index - 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found


def present(name: str, partials: Sequence[Partial | None], reason: str, at_least: int = 1) -> list[Partial]:
    """Return the partials that are there.

    Raises
    ------
    NotApplicable
        Where fewer than `at_least` are.
    """
    found = [partial for partial in partials if partial is not None]
    if len(found) < at_least:
        raise NotApplicable(what=name, reason=reason)
    return found
