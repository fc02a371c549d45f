"""What a metric is: a value with a name and two functions, or one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.regions import Regions
from medqa.series import Series

Partial = Mapping[str, Any]
"""What one frame contributes: JSON scalars and lists under names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A quantity measured frame by frame.

    `per_frame` looks at one frame (None where it has nothing to say about it); `combine` sums up in the order of
    `series.frames` and raises `NotApplicable` with `what` the metric's name and `reason` an id of `findings.NOT_CHECKED`.
    """

    name: str
    per_frame: Callable[[Regions], Partial | None]
    combine: Callable[[Series, Sequence[Partial | None]], Measurement]


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
