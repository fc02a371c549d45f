"""The head in HU, without contrast agent: skull with its diploe, folded brain, ventricles, sinuses, eyes, jaw, on a head rest.

The brain is that of `anatomy_mr` with CT numbers. Typical HU: Kalender, Computed Tomography (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medqa.simulate.anatomy_mr import BRAIN, Tissues, brain, cerebellum, folds_of
from medqa.simulate.shapes import Ellipsoid, Grid, Rod, Shape, paint, soft
from medqa.volume import Array

AIR, SKIN, FAT, MUSCLE, DURA = -1000.0, 30.0, -95.0, 58.0, 60.0
CORTICAL, DIPLOE, TEETH, THIN_BONE = 1150.0, 520.0, 1900.0, 480.0
VITREOUS, LENS, SCLERA = 12.0, 75.0, 42.0
BRAIN_HU: Final = Tissues(csf=8.0, grey=38.0, white=29.0)
LENGTH_MM: Final = 190.0
CENTRE_MM: Final = 0.0
HULLS: Final = (BRAIN, ((0.0, 42.0, -35.0), (52.0, 37.0, 29.0)))
"""What the skull is wrapped around: the hemispheres and the posterior fossa, centre and radii."""
LAYERS: Final = ((13.0, SKIN), (11.2, FAT), (9.2, MUSCLE), (7.8, CORTICAL), (5.8, DIPLOE), (3.9, CORTICAL), (1.9, DURA), (1.1, 8.0))
"""Scalp, skull and dura: distance from the brain in mm, and HU."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """What chance decided: the folds of cortex and cerebellum on a grid, `(z, y, x)`, the width of the ventricles, air cells."""

    folds: Array
    folia: Array
    ventricles: float
    cells: tuple[Shape, ...]
    lowest_mm: float
    spacing_mm: float

    def index(self, z: float) -> int:
        """Return the slice at height `z`."""
        return round((z - self.lowest_mm) / self.spacing_mm)


def draw(grid: Grid, generator: np.random.Generator) -> Patient:
    """Draw a patient for the grid that is to be painted."""
    return Patient(
        folds=folds_of(grid, generator, 4.6),
        folia=folds_of(grid, generator, 2.6),
        ventricles=float(generator.uniform(0.85, 1.15)),
        cells=tuple(_air_cells(generator)),
        lowest_mm=float(grid.heights_mm[0]),
        spacing_mm=grid.spacing_mm,
    )


def paint_slice(patient: Patient, grid: Grid, z: float) -> Array:
    """Return the slice at height `z`, `(y, x)` in HU, without noise and blur; `grid` is the one that the patient was drawn for."""
    image = np.full((grid.size, grid.size), AIR, dtype=np.float32)
    index = patient.index(z)
    _head_rest(image, grid)
    paint(image, grid, z, _neck_and_face())
    paint(image, grid, z, _skull())
    brain(image, grid, z, patient.folds[index], BRAIN_HU)
    paint(image, grid, z, _base())
    cerebellum(image, grid, z, patient.folia[index], BRAIN_HU)
    paint(image, grid, z, _deep(patient.ventricles))
    paint(image, grid, z, _face())
    paint(image, grid, z, patient.cells)
    return image


def _head_rest(image: Array, grid: Grid) -> None:
    """Paint a cup of foam with a thin shell under the head."""
    y, x = grid.plane()
    distance = np.hypot(x, y + 4)
    within = soft(np.minimum(y - 30, 82 - np.abs(x)), grid.pixel_mm)
    for low, high, value in ((97.0, 109.0, -965.0), (109.0, 112.0, -250.0)):
        image += within * soft(np.minimum(distance - low, high - distance), grid.pixel_mm) * (np.float32(value) - image)


def _neck_and_face() -> list[Shape]:
    shapes: list[Shape] = []
    for more, value in ((0.0, SKIN), (-2.0, FAT), (-8.0, MUSCLE)):
        shapes += [
            Ellipsoid((0, 24, -120), (62 + more, 62 + more, 100), value),
            Ellipsoid((0, -36, -52), (60 + more, 60 + more, 72), value, power=2.6),
            Ellipsoid((0, -92, -44), (11 + more / 2, 18 + more / 2, 20), value),  # nose
            *(Ellipsoid((side * 50, 26, -42), (23 + more, 27 + more, 25), value) for side in (-1.0, 1.0)),  # behind the ears
        ]
    # fat of the cheeks and between the muscles of the neck
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 42, -52, -72), (10, 20, 22), FAT),
            Ellipsoid((side * 34, 44, -100), (5, 26, 40), FAT, turn_deg=side * 30),
            Ellipsoid((side * 30, 0, -100), (8, 10, 40), FAT),
        ]
    return shapes


def _skull() -> list[Shape]:
    return [
        Ellipsoid(centre, (radii[0] + more, radii[1] + more, radii[2] + more), value)
        for more, value in LAYERS
        for centre, radii in HULLS
    ]


def _base() -> list[Shape]:
    """Return the bones under the brain: petrous bones, clivus, sphenoid, roofs of the orbits, and the falx above."""
    shapes: list[Shape] = [
        Ellipsoid((0, -24, -62), (54, 42, 15), MUSCLE),  # below the base, not in it
        Ellipsoid((0, 28, -64), (15, 17, 14), 8.0),  # foramen magnum
        Rod((0, -2, -44), (0, 12, -60), 9, CORTICAL - 500),
        Rod((0, -22, -36), (0, 0, -36), 9, THIN_BONE),
        Ellipsoid((0, -18, -22), (8, 8, 6), 60.0),  # pituitary
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Rod((side * 18, 2, -34), (side * 60, 30, -32), 8.0, CORTICAL),
            Rod((side * 10, -28, -26), (side * 54, -34, -18), 3.2, CORTICAL - 200),
            Ellipsoid((side * 57, 26, -40), (12, 17, 20), CORTICAL - 200),  # mastoid
        ]
    return shapes


def _deep(ventricles: float) -> list[Shape]:
    csf, grey, white = BRAIN_HU
    wide = ventricles
    shapes: list[Shape] = [
        Ellipsoid((0, 10, 24), (6, 40, 8), white),  # corpus callosum
        Ellipsoid((0, 8, -34), (13, 12, 40), white + 2),  # brain stem
        Ellipsoid((0, 25, -38), (6 * wide, 6, 12), csf),
        Ellipsoid((0, -10, -16), (12, 11, 6), csf),  # cisterns
        Ellipsoid((0, 30, 0), (10, 6, 7), csf),
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 11, -20, 19), (6.5 * wide, 20, 10), csf, turn_deg=side * 16),
            Ellipsoid((side * 15, 8, 27), (6 * wide, 26, 7), csf, turn_deg=-side * 10),
            Ellipsoid((side * 24, 34, 14), (6.5 * wide, 19, 11), csf, turn_deg=-side * 14),
            Ellipsoid((side * 17, -18, 14), (6, 13, 13), grey, turn_deg=side * 16),  # caudate
            Ellipsoid((side * 27, -4, 6), (7, 18, 12), grey - 1, turn_deg=-side * 14),  # putamen
            Ellipsoid((side * 11, 12, 8), (8.5, 14, 11), grey - 2, turn_deg=-side * 22),  # thalamus
            Rod((side * 30, 34, 6), (side * 36, 4, -14), 3 * wide, csf),
            Ellipsoid((side * 24, 38, 14), (2.5, 4, 3), 130.0),  # plexus
        ]
    shapes += [Ellipsoid((0, 6, 6), (2.2 * wide, 14, 9), csf), Ellipsoid((0, 31, 7), (2, 2, 2.5), 220.0)]  # pineal body
    shapes += [Rod((0, -78, 30), (0, -34, 62), 0.9, DURA), Rod((0, 72, 20), (0, 26, 62), 0.9, DURA)]  # falx
    shapes.append(Rod((0, 82, 6), (0, 52, 70), 3.0, 62.0))  # sagittal sinus
    return shapes


def _face() -> list[Shape]:
    """Return orbits, nose, sinuses, jaws, ears and the upper vertebrae; cavities have walls of thin bone."""
    shapes: list[Shape] = [
        Ellipsoid((0, -84, -6), (20, 8, 13), CORTICAL - 200),
        Ellipsoid((0, -84, -6), (17, 5.5, 11), AIR),  # frontal sinus
        Ellipsoid((0, -62, -40), (17, 30, 30), THIN_BONE),
        Ellipsoid((0, -62, -40), (15.5, 28, 28), AIR),  # nose and ethmoid
        Rod((0, -92, -42), (0, -36, -40), 1.0, THIN_BONE),
        Ellipsoid((0, -26, -33), (12, 10, 9), THIN_BONE),
        Ellipsoid((0, -26, -33), (10.5, 8.5, 7.5), AIR),  # sphenoid sinus
        Ellipsoid((0, -16, -80), (13, 11, 36), AIR),  # pharynx
        Ellipsoid((0, -54, -84), (24, 28, 12), MUSCLE),  # tongue
        Rod((0, -88, -50), (0, -98, -32), 3.0, THIN_BONE),
        Ellipsoid((0, 14, -90), (15, 11, 24), CORTICAL - 550),  # vertebrae
        Ellipsoid((0, 34, -92), (20, 14, 22), CORTICAL - 450),
        Ellipsoid((0, 30, -110), (14, 11, 50), 8.0),
        Ellipsoid((0, 30, -110), (6.5, 5.5, 60), 32.0),
    ]
    for x in (-9.0, -5.0, 5.0, 9.0):  # walls of the ethmoid cells
        shapes += [Rod((x, -84, -26), (x, -44, -26), 0.6, 200.0), Rod((x - 3, -70, -26), (x + 3, -64, -26), 0.6, 200.0)]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 32, -60, -28), (22, 27, 20.5), CORTICAL - 350, turn_deg=side * 12),
            Ellipsoid((side * 32, -62, -28), (19.5, 28, 18.5), FAT + 15, turn_deg=side * 12),  # orbit
            Rod((side * 31, -58, -28), (side * 14, -30, -26), 2.2, 40.0),
            Rod((side * 47, -62, -28), (side * 20, -34, -27), 2.0, MUSCLE),
            Rod((side * 19, -70, -28), (side * 15, -36, -27), 2.0, MUSCLE),
            Ellipsoid((side * 32, -75, -28), (12.4, 12.4, 12.4), SCLERA),
            Ellipsoid((side * 32, -75, -28), (11.2, 11.2, 11.2), VITREOUS),
            Ellipsoid((side * 32, -84, -28), (5, 2.2, 5), LENS),
            Ellipsoid((side * 31, -56, -57), (16.5, 18.5, 18.5), THIN_BONE + 100),
            Ellipsoid((side * 31, -56, -57), (14.8, 16.8, 16.8), AIR),  # maxillary sinus
            Ellipsoid((side * 8, -58, -52), (4.5, 22, 6), 50.0),  # turbinates
            Rod((side * 48, -60, -46), (side * 62, -22, -42), 4.0, CORTICAL - 300),  # zygomatic arch
            Rod((side * 62, -22, -42), (side * 66, 4, -40), 3.2, CORTICAL - 200),
            Rod((side * 52, -8, -46), (side * 46, -22, -96), 5.5, CORTICAL),  # jaw
            Rod((side * 46, -22, -96), (side * 8, -76, -104), 6.5, CORTICAL),
            Ellipsoid((side * 52, -24, -68), (6, 13, 24), MUSCLE + 6),
            *(
                Rod((side * (6 + 5 * n), -80 + 5.4 * n, -76), (side * (6 + 5 * n), -80 + 5.4 * n, -94), 3.2, TEETH)
                for n in range(5)
            ),
            Ellipsoid((side * 81, 14, -28), (3, 16, 22), 10.0, turn_deg=side * 20),  # ear
            Rod((side * 78, 8, -34), (side * 46, 10, -34), 3.0, AIR),  # ear canal
        ]
    return shapes


def _air_cells(generator: np.random.Generator) -> list[Shape]:
    """Return the cells of the mastoids."""
    shapes: list[Shape] = []
    for side in (-1.0, 1.0):
        for _ in range(60):
            x, y, z = generator.uniform((50, 14, -54), (65, 39, -28))
            radius = float(generator.uniform(1.0, 2.4))
            shapes.append(Ellipsoid((side * float(x), float(y), float(z)), (radius, radius, radius), -850.0))
    return shapes
