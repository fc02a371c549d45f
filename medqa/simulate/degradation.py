"""What a degradation is, how strong it may be, and what is known of the result.

Chance comes first: `draw` of a modality's module turns a generator into parameters; applying them is then a pure function of image
and parameters (noise has its own seed among them), so that every image can be made again from its `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medqa.errors import InvalidDegradation
from medqa.volume import Array

Mask = NDArray[np.bool_]
Parameters = Mapping[str, float]
Draw = Callable[[np.random.Generator, float], dict[str, float]]
"""Takes the size of a pixel in mm; draws every parameter but the strength and the seed."""
Change = Callable[[Array, Parameters, float], Array]
"""Takes a slice `(y, x)` without gaps, the parameters and the size of a pixel in mm; returns what is to be added to the slice."""
Region = Callable[[Array, Array, Parameters, float], Mask]
"""Takes the slice, the change, the parameters and the size of a pixel; returns where the artefact is."""
Settle = Callable[[Array, Parameters, float], dict[str, float]]
"""Takes one slice of a series, the parameters and the size of a pixel; returns further parameters, the same for all its slices."""

LEVELS: Final = 4
"""Declared strengths of a kind; level 0 is the image as it was."""


class Strength(NamedTuple):
    """The four declared strengths of one kind of degradation, mildest first, with what the numbers mean."""

    quantity: str
    unit: str
    values: tuple[float, float, float, float]


class Parameter(NamedTuple):
    """One number that decides what a degradation does: its name, what it means, its unit, and the range it may have."""

    name: str
    meaning: str
    unit: str
    low: float
    high: float


def keeps_pixels(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return no change: the fault lies in the order of slices, or in a header."""
    return np.zeros_like(array)


def _draws_nothing(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Return no parameters: the strength says it all."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of degradation of single slices, described so that help, documentation and code cannot drift apart.

    `strength` is the parameter that makes it worse, `levels` its four declared values, mildest first; `others` are drawn by `draw`.
    Without a `region` the degradation is diffuse: it is everywhere. What depends on the anatomy but must not jump from slice to
    slice, `settle` decides on one of them. Where the seed makes noise (`noisy`), a series gives every slice a seed of its own; it
    also numbers its slices (`frame`), for kinds whose seed decides what all slices share, but whose noise is new in each.
    """

    modality: str
    name: str
    summary: str
    source: str
    strength: Parameter
    levels: tuple[float, float, float, float]
    change: Change
    others: tuple[Parameter, ...] = ()
    draw: Draw = _draws_nothing
    region: Region | None = None
    settle: Settle | None = None
    noisy: bool = False

    @property
    def full_name(self) -> str:
        """The name on the command line: `ct-dose`."""
        return f"{self.modality.lower()}-{self.name}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All that can be set: the strength first."""
        return self.strength, *self.others

    def plan(
        self,
        generator: np.random.Generator,
        *,
        pixel_mm: float,
        level: int = 0,
        given: Mapping[str, float] | None = None,
    ) -> Plan:
        """Draw the parameters; `level` 1-4 picks the declared strength, `given` overrides any parameter by name.

        Raises
        ------
        InvalidDegradation
            Where a given parameter is unknown or out of its range, or where neither a level nor the strength is given.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        drawn: dict[str, float] = {"seed": float(generator.integers(2**31)), **self.draw(generator, pixel_mm)}
        if level:
            drawn[self.strength.name] = float(self.levels[level - 1])
        for name, value in (given or {}).items():
            if name not in known:
                raise InvalidDegradation(kind=self.full_name, reason=f"it has no parameter {name}; it has {', '.join(known)}")
            if not known[name].low <= value <= known[name].high:
                span = f"{known[name].low:g} to {known[name].high:g} {known[name].unit}"
                raise InvalidDegradation(kind=self.full_name, reason=f"{name} {value:g} is out of its range, {span}")
            drawn[name] = float(value)
        if self.strength.name not in drawn:
            raise InvalidDegradation(kind=self.full_name, reason=f"it needs a level or the parameter {self.strength.name}")
        return Plan(modality=self.modality, kind=self.name, level=level, parameters=drawn)


STRENGTHS: Final[Mapping[str, Mapping[str, Strength]]] = {
    "CT": {
        "dose": Strength("dose as a fraction of the slice's own", "1", (1 / 2, 1 / 4, 1 / 8, 1 / 16)),
        "blur": Strength("full width at half maximum of the added blur", "mm", (1.8, 2.8, 4.2, 6.5)),
        "streaks": Strength("views over half a turn", "views", (180, 120, 72, 45)),
        "starvation": Strength("streak noise in the body from starved rays, standard deviation", "HU", (12, 24, 48, 96)),
        "motion": Strength("displacement between the first and the last view", "mm", (2, 4, 8, 16)),
        "rings": Strength("ring amplitude in the body, standard deviation", "HU", (8, 16, 32, 64)),
    },
    "MR": {
        "noise": Strength("factor by which the signal-to-noise ratio is divided, less in noisy images", "1", (2, 4, 8, 16)),
        "blur": Strength("share of the acquired k-space kept along each axis", "1", (0.62, 0.44, 0.3, 0.2)),
        "motion": Strength("largest displacement of the head or body during the scan", "mm", (1.5, 3, 6, 12)),
        "ghost": Strength("ghost intensity as a share of the signal", "1", (0.06, 0.12, 0.24, 0.48)),
        "zipper": Strength("interference along one line as a multiple of the mean signal", "1", (0.5, 1, 2, 4)),
    },
    "PT": {
        "counts": Strength("counts as a fraction of a scan with 12 % noise in the body", "1", (1 / 2, 1 / 4, 1 / 8, 1 / 16)),
        "blur": Strength("full width at half maximum of the added blur", "mm", (6, 9, 13, 19)),
        "motion": Strength("amplitude of the breathing-like motion within the plane", "mm", (8, 14, 22, 34)),
    },
}

LEFT_OUT: Final[Mapping[str, str]] = {"CT": "rings", "MR": "zipper", "PT": "motion"}
"""The family that training never sees: how a network judges it tells how it meets the unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that chance decided about one degradation: applying it twice gives the same image twice."""

    modality: str
    kind: str
    level: int
    parameters: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> int:
        """Quality on the 0–4 scale that the strength stands for."""
        return LEVELS - self.level


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Degraded:
    """An image with its truth.

    `severity` is measured on the result, not read from the parameters: the root mean square change within the body, in HU for CT,
    as a share of the mean signal of the body for MR and PET.
    """

    array: Array
    plan: Plan
    severity: float
    mask: Mask | None = None
    """Where the artefact is, `(y, x)`; None where it is diffuse."""
