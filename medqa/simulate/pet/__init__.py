"""Degradations of a PET slice, made where the scanner makes them. One kind, one file.

Kinds see the slice in units of the body's mean activity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from medqa.simulate.degradation import Degraded, Kind, Plan
from medqa.simulate.pet import arms, attenuation, blur, counts, extravasation, jump, motion, thinned
from medqa.simulate.pet.scanner import VIEWS, body, osem
from medqa.volume import Array

__all__ = ["KINDS", "VIEWS", "apply", "body", "draw", "osem"]

KINDS: Final[Mapping[str, Kind]] = {
    module.KIND.name: module.KIND for module in (counts, blur, motion, thinned, attenuation, extravasation, arms, jump)
}


def draw(kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float) -> Plan:
    """Draw the parameters of a degradation; `level` 1-4 picks its declared strength."""
    return KINDS[kind].plan(generator, pixel_mm=pixel_mm, level=level)


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade a slice `(y, x)` of any activity unit, NaN where there is no value; the same plan always gives the same image."""
    kind = KINDS[plan.kind]
    inside = np.isfinite(array)
    filled = np.maximum(np.where(inside, array, np.float32(0)), 0).astype(np.float32)
    mask = body(filled)
    mean = max(float(filled[mask].mean()), 1e-12)
    shown = filled / np.float32(mean)
    change = np.asarray(kind.change(shown, plan.parameters, pixel_mm), dtype=np.float32)
    out = np.maximum(shown + change, 0) * np.float32(mean)
    severity = float(np.sqrt(np.mean((out - filled)[mask] ** 2)) / mean)
    where = None if kind.region is None else kind.region(shown, change, plan.parameters, pixel_mm) & inside
    return Degraded(array=np.where(inside, out, np.float32(np.nan)), plan=plan, severity=severity, mask=where)
