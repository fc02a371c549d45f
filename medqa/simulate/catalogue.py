"""Every kind that can be given to a series, by its name on the command line, described from the code itself."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from medqa.errors import InvalidDegradation
from medqa.simulate import ct, mr, pet
from medqa.simulate.degradation import LEVELS, Kind, Parameter, Plan
from medqa.simulate.series_faults import FAULTS
from medqa.simulate.series_headers import HEADERS

KINDS: Final[Mapping[str, Mapping[str, Kind]]] = {"CT": ct.KINDS, "MR": mr.KINDS, "PT": pet.KINDS}
"""Kinds of single slices by modality and by their short name."""


def described(modality: str) -> Mapping[str, Kind]:
    """Return every kind that a series of this modality may be given, by full name."""
    return {name: kind for name, kind in all_kinds().items() if kind.modality in (modality, "")}


def all_kinds() -> Mapping[str, Kind]:
    """Return every kind by its full name: `ct-dose` …, `mr-noise` …, `pt-counts` …, `dropped` …."""
    return {**{kind.full_name: kind for kinds in KINDS.values() for kind in kinds.values()}, **HEADERS, **FAULTS}


def names() -> tuple[str, ...]:
    """Return the full names of all kinds."""
    return tuple(all_kinds())


def catalogue() -> list[dict[str, Any]]:
    """Return every kind as plain values: name, modality, summary, source, parameters (the strength first), levels."""
    return [
        {
            "kind": kind.full_name,
            "modality": kind.modality,
            "summary": kind.summary,
            "source": kind.source,
            "parameters": [parameter._asdict() for parameter in kind.parameters],
            "levels": list(kind.levels),
        }
        for kind in all_kinds().values()
    ]


def check(kind: str, level: int, given: Mapping[str, float]) -> None:
    """Refuse what no series could be given, before one is read.

    Raises
    ------
    InvalidDegradation
        Where there is no such kind or level, or a parameter is unknown, out of its range, missing or given twice.
    """
    if kind not in names():
        near = difflib.get_close_matches(kind, names(), n=1, cutoff=0.4)
        raise InvalidDegradation(kind=kind, reason=f"there is no such kind{f'; the nearest is {near[0]}' if near else ''}")
    if not 0 <= level <= LEVELS:
        raise InvalidDegradation(kind=kind, reason=f"level {level} is none of 1 to {LEVELS}")
    known = all_kinds()[kind]
    if level and known.strength.name in given:
        raise InvalidDegradation(kind=kind, reason=f"a level is a value of {known.strength.name}: give one of the two")
    known.plan(np.random.default_rng(0), pixel_mm=1.0, level=level, given=given)


def parameters(kind: str, plan: Plan) -> tuple[tuple[Parameter, float], ...]:
    """Return each parameter that a plan holds, described, with its value; the seed is left out."""
    known = all_kinds()[kind]
    return tuple((one, plan.parameters[one.name]) for one in known.parameters if one.name in plan.parameters)
