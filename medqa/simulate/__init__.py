"""Degradations with known truth, made where the scanner makes them: in projections for CT and PET, in k-space for MR.

`draw` decides by chance, `apply` obeys: the same plan gives the same image. Limits: a finished image already holds the scanner's
kernel, its own noise and its iterative reconstruction; degradations are made in parallel beams (`fan_beam` is there for phantoms),
and helix, coils and randoms are not modelled; call the results simulated.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from medqa.simulate.degradation import LEFT_OUT, LEVELS, STRENGTHS, Degraded, Plan, Strength
from medqa.volume import Array

__all__ = ["LEFT_OUT", "LEVELS", "STRENGTHS", "Degraded", "Plan", "Strength", "apply", "degrade", "draw"]


def draw(modality: str, kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float) -> Plan:
    """Draw the parameters of a degradation of `modality` (`CT`, `MR`, `PT`) at `level` 1 (mild) to 4 (severe)."""
    plan: Plan = _module(modality).draw(kind, level, generator, pixel_mm=pixel_mm)
    return plan


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade an image `(y, x)`: CT in HU, MR and PET in any unit; NaN stays NaN."""
    done: Degraded = _module(plan.modality).apply(array, plan, pixel_mm=pixel_mm)
    return done


def degrade(array: Array, modality: str, kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float) -> Degraded:
    """Draw and apply in one step."""
    return apply(array, draw(modality, kind, level, generator, pixel_mm=pixel_mm), pixel_mm=pixel_mm)


def _module(modality: str) -> ModuleType:
    # Imported here: each of them is of use alone, and `medqa --help` pays for none.
    from medqa.simulate import ct, mr, pet

    return {"CT": ct, "MR": mr, "PT": pet}[modality]
