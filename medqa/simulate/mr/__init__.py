"""Degradations of an MR magnitude image, made in k-space; the magnitude is taken at the very end. One kind, one file.

Kinds see the image in units of its mean signal. Where phase is encoded along, the header says or chance: `phase_axis` is 0 down the
columns (`COL`), 1 along the rows (`ROW`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from medqa.simulate.degradation import Degraded, Kind, Plan
from medqa.simulate.mr import (
    bias,
    blur,
    chemical_shift,
    coil_noise,
    drift,
    dropout,
    ghost,
    gibbs,
    motion,
    noise,
    nyquist,
    spike,
    undersampling,
    wrap,
    zipper,
)
from medqa.simulate.mr.k_space import PHASE_AXIS, foreground
from medqa.volume import Array

__all__ = ["KINDS", "apply", "draw", "foreground"]

KINDS: Final[Mapping[str, Kind]] = {
    module.KIND.name: module.KIND
    for module in (
        noise,
        blur,
        motion,
        ghost,
        zipper,
        drift,
        spike,
        wrap,
        gibbs,
        coil_noise,
        bias,
        undersampling,
        dropout,
        chemical_shift,
        nyquist,
    )
}


def draw(kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float, phase_axis: int | None = None) -> Plan:
    """Draw the parameters of a degradation; `level` 1-4 picks its declared strength, a known `phase_axis` goes before chance."""
    known = KINDS[kind]
    given = {} if phase_axis is None or PHASE_AXIS not in known.others else {PHASE_AXIS.name: float(phase_axis)}
    return known.plan(generator, pixel_mm=pixel_mm, level=level, given=given)


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade an image `(y, x)` of any unit, NaN where there is no value; the same plan always gives the same image."""
    kind = KINDS[plan.kind]
    inside = np.isfinite(array)
    filled = np.where(inside, array, np.float32(0)).astype(np.float32)
    mask = foreground(filled)
    signal = max(float(np.abs(filled[mask]).mean()), 1e-12)
    shown = filled / np.float32(signal)
    change = np.asarray(kind.change(shown, plan.parameters, pixel_mm), dtype=np.float32)
    out = (shown + change) * np.float32(signal)
    severity = float(np.sqrt(np.mean((out - filled)[mask] ** 2)) / signal)
    where = None if kind.region is None else kind.region(shown, change, plan.parameters, pixel_mm) & inside
    return Degraded(array=np.where(inside, out, np.float32(np.nan)), plan=plan, severity=severity, mask=where)
