"""Every kind that can be given to a series, by its name on the command line, described from the code itself.

CT kinds and faults of whole series have parameters of their own; those of MR and PET go by their level alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from medqa.errors import InvalidDegradation
from medqa.simulate import ct
from medqa.simulate.degradation import LEVELS, STRENGTHS, Kind, Parameter, Plan
from medqa.simulate.series_faults import FAULTS


def described(modality: str) -> Mapping[str, Kind]:
    """Return every kind with a full description that a series of this modality may be given, by full name."""
    own = {kind.full_name: kind for kind in ct.KINDS.values()} if modality == "CT" else {}
    return {**own, **FAULTS}


def names() -> tuple[str, ...]:
    """Return the full names of all kinds: `ct-dose` …, `mr-noise` …, `dropped` …."""
    by_level = (f"{modality.lower()}-{name}" for modality in ("MR", "PT") for name in STRENGTHS[modality])
    return (*(kind.full_name for kind in ct.KINDS.values()), *by_level, *FAULTS)


def catalogue() -> list[dict[str, Any]]:
    """Return every kind as plain values: name, modality, summary, source, parameters (the strength first), levels."""
    found = [
        {
            "kind": kind.full_name,
            "modality": kind.modality,
            "summary": kind.summary,
            "source": kind.source,
            "parameters": [parameter._asdict() for parameter in kind.parameters],
            "levels": list(kind.levels),
        }
        for kind in described("CT").values()
    ]
    for modality in ("MR", "PT"):
        for name, strength in STRENGTHS[modality].items():
            found.append(
                {
                    "kind": f"{modality.lower()}-{name}",
                    "modality": modality,
                    "summary": f"{strength.quantity[0].upper()}{strength.quantity[1:]}.",
                    "source": "",
                    "parameters": [
                        {"name": "strength", "meaning": strength.quantity, "unit": strength.unit, "low": None, "high": None}
                    ],
                    "levels": list(strength.values),
                }
            )
    return found


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
    known = described("CT").get(kind)
    if known is not None and level and known.strength.name in given:
        raise InvalidDegradation(kind=kind, reason=f"a level is a value of {known.strength.name}: give one of the two")
    if known is not None:
        known.plan(np.random.default_rng(0), pixel_mm=1.0, level=level, given=given)
    elif given or not level:
        raise InvalidDegradation(kind=kind, reason="it is set by its level alone, 1 to 4")


def parameters(kind: str, plan: Plan) -> tuple[tuple[Parameter, float], ...]:
    """Return each parameter that a plan holds, described, with its value; the seed is left out."""
    modality, _, name = kind.partition("-")
    known = described("CT").get(kind)
    if known is not None:
        return tuple((one, plan.parameters[one.name]) for one in known.parameters if one.name in plan.parameters)
    strength = STRENGTHS[modality.upper()][name]
    named = {"strength": Parameter("strength", strength.quantity, strength.unit, min(strength.values), max(strength.values))}
    return tuple(
        (named.get(key, Parameter(key, key.replace("_", " "), "1", value, value)), value)
        for key, value in plan.parameters.items()
        if key != "seed"
    )
