"""Degradations of a CT slice in HU, made where the scanner makes them: in the projections. One kind, one file.

`KINDS` describes them all; `draw` decides by chance, `apply` obeys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from medqa.simulate.ct import (
    bilateral,
    blur,
    breathing,
    cupping,
    dead_channels,
    dose,
    heavy_kernel,
    metal,
    motion,
    ring_arcs,
    rings,
    starvation,
    streaks,
    texture,
    total_variation,
    truncation,
)
from medqa.simulate.ct.dose import quantum_noise
from medqa.simulate.ct.tissue import body, soft_tissue, tissue_noise
from medqa.simulate.degradation import Degraded, Kind, Plan
from medqa.volume import Array

__all__ = ["KINDS", "apply", "body", "draw", "quantum_noise", "soft_tissue", "tissue_noise"]

LOWEST_HU: Final = -1024.0

KINDS: Final[Mapping[str, Kind]] = {
    module.KIND.name: module.KIND
    for module in (
        dose,
        blur,
        streaks,
        starvation,
        motion,
        rings,
        bilateral,
        total_variation,
        heavy_kernel,
        texture,
        metal,
        truncation,
        cupping,
        breathing,
        dead_channels,
        ring_arcs,
    )
}


def draw(kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float) -> Plan:
    """Draw the parameters of a degradation; `level` 1-4 picks its declared strength."""
    return KINDS[kind].plan(generator, pixel_mm=pixel_mm, level=level)


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade a slice `(y, x)` in HU, NaN where there is no value; the same plan always gives the same image."""
    kind = KINDS[plan.kind]
    inside = np.isfinite(array)
    filled = np.where(inside, array, np.float32(-1000)).astype(np.float32)
    change = kind.change(filled, plan.parameters, pixel_mm)
    out = np.maximum(filled + change, LOWEST_HU).astype(np.float32)
    severity = float(np.sqrt(np.mean((out - filled)[body(filled)] ** 2)))
    mask = None if kind.region is None else kind.region(filled, out - filled, plan.parameters, pixel_mm) & inside
    return Degraded(array=np.where(inside, out, np.float32(np.nan)), plan=plan, severity=severity, mask=mask)
