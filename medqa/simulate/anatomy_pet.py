"""Where FDG goes in an adult an hour after injection, as SUV, from the thighs to the skull.

Typical SUVbw: Zincirkeser et al., J Int Med Res 35:529 (2007); Wang et al., J Nucl Med 48:14 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medqa.simulate.inserts import Ball
from medqa.simulate.shapes import Ellipsoid, Grid, Rod, Shape, paint
from medqa.volume import Array

WEIGHT_KG = 72.0
DOSE_BQ = 288e6
UPTAKE_S = 3600.0
HALF_LIFE_S = 6586.2
BQ_PER_ML_PER_SUV = DOSE_BQ * 0.5 ** (UPTAKE_S / HALF_LIFE_S) / (WEIGHT_KG * 1000)
"""Activity concentration at the start of the scan that is SUVbw 1 (1 ml counted as 1 g)."""
LESION = Ball(name="lesion of the left lung", centre_mm=(66.0, -40.0, 178.0), radius_mm=9.0, value=7.5)
"""Every patient has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What chance decided: every organ with its SUV, the later over the earlier; `places` are balls within one value each."""

    organs: tuple[Shape, ...]
    places: tuple[Ball, ...] = ()


def draw(generator: np.random.Generator) -> Patient:
    """Draw a patient: organs in their usual places with usual uptake, each a little different."""

    def about(suv: float) -> float:
        return float(suv * generator.uniform(0.9, 1.1))

    organs: list[Shape] = [*_body(about(0.55)), *_head(about(9.0), about(4.2))]
    blood = about(1.5)
    organs += _chest(blood, about(3.8))
    liver = about(2.2)
    organs += [
        Ellipsoid((-62, 0, 18), (72, 78, 74), liver, power=2.3),
        Ellipsoid((-8, -40, 28), (60, 34, 42), liver),
        Ellipsoid((96, 36, 26), (26, 42, 46), about(1.8), turn_deg=18),
        Ellipsoid((60, -30, 30), (42, 36, 42), about(1.5)),
        Ellipsoid((60, -32, 30), (36, 30, 36), 0.4),
    ]
    kidney = about(4.0)
    for side in (-1.0, 1.0):
        organs += [
            Ellipsoid((side * 64, 46, -50), (27, 25, 52), kidney, turn_deg=side * 25),
            Ellipsoid((side * 58, 42, -50), (13, 12, 26), kidney * 2.2),
            Rod((side * 46, 40, -80), (side * 18, 20, -260), 3.5, about(4.0)),  # ureter
        ]
    for _ in range(26):
        x, y, z = generator.uniform((-95, -70, -250), (95, 0, -70))
        radii = generator.uniform(11, 18, size=3)
        organs.append(Ellipsoid((float(x), float(y), float(z)), _three(radii), float(generator.uniform(0.7, 1.9))))
    organs.append(Ellipsoid((0, -8, -300), (34, 30, 32), about(14.0)))  # bladder
    places = (
        Ball(name="liver", centre_mm=(-45.0, 5.0, 25.0), radius_mm=18.0, value=liver),
        Ball(name="blood pool", centre_mm=(13.0, 42.0, 55.0), radius_mm=6.0, value=blood),
        LESION,
    )
    return Patient(organs=tuple(organs), places=places)


def paint_slice(patient: Patient, grid: Grid, z: float) -> Array:
    """Return the activity at height `z`, `(y, x)` in Bq/ml, without noise and blur."""
    image = np.zeros((grid.size, grid.size), dtype=np.float32)
    paint(image, grid, z, patient.organs)
    return np.asarray(image * BQ_PER_ML_PER_SUV, dtype=np.float32)


def _body(muscle: float) -> list[Shape]:
    shapes: list[Shape] = [
        Ellipsoid((0, 0, -60), (172, 118, 330), 0.25, power=3.0),
        Ellipsoid((0, 4, -60), (150, 98, 318), muscle, power=3.0),
        Ellipsoid((0, 6, 250), (62, 64, 120), 0.35),  # neck
        Ellipsoid((0, 6, 250), (52, 54, 118), muscle * 1.2),
        Ellipsoid((0, 4, 230), (190, 82, 52), muscle),  # shoulders
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 88, 0, -420), (84, 88, 150), 0.25),
            Ellipsoid((side * 88, 0, -420), (72, 76, 148), muscle),
            Rod((side * 92, 4, -520), (side * 96, 4, -330), 13, 0.5),
            Ellipsoid((side * 100, 10, -300), (40, 38, 55), 0.9),
        ]
    for level in range(15):
        shapes.append(Ellipsoid((0, 62, -280 + 34 * level), (21, 17, 15), 1.7, power=3.0))
    shapes.append(Rod((0, 82, -280), (0, 72, 200), 7, 1.1))
    shapes.append(Rod((0, 40, 215), (0, 24, 330), 12, 1.4))  # cervical spine
    return shapes


def _head(grey: float, white: float) -> list[Shape]:
    return [
        Ellipsoid((0, 0, 380), (78, 96, 105), 0.7),
        Ellipsoid((0, -2, 395), (66, 82, 66), grey),
        Ellipsoid((0, -2, 395), (54, 69, 54), white),
        Ellipsoid((0, -2, 392), (25, 28, 18), grey * 0.9),
        Ellipsoid((0, 0, 398), (7, 26, 9), 0.8),
        Ellipsoid((0, 46, 346), (48, 28, 24), grey * 0.75),
        Ellipsoid((0, -78, 330), (16, 24, 26), 1.0),
    ]


def _chest(blood: float, heart: float) -> list[Shape]:
    return [
        *(Ellipsoid((side * 74, 4, 150), (58, 82, 112), 0.45, power=2.4) for side in (-1.0, 1.0)),
        Ellipsoid((0, 2, 170), (34, 60, 90), 0.9),
        Rod((12, 44, -120), (14, 40, 190), 11, blood),
        Ellipsoid((24, -26, 116), (56, 48, 48), blood * 0.9, turn_deg=20),
        Ellipsoid((42, -18, 112), (34, 32, 40), heart, turn_deg=20),
        Ellipsoid((44, -16, 116), (23, 21, 36), blood, turn_deg=20),
        Ellipsoid(LESION.centre_mm, (LESION.radius_mm,) * 3, LESION.value),
    ]


def _three(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
