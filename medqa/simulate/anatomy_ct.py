"""The upper abdomen and the lung bases in HU: what a CT of the portal phase shows of an adult, simplified.

Typical HU: Kalender, Computed Tomography (2011), and values of the portal phase at 120 kV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medqa.simulate.shapes import Ellipsoid, Grid, Rod, Shape, paint, soft
from medqa.volume import Array

AIR, FAT, SKIN, MUSCLE, GAS, FLUID = -1000.0, -102.0, 20.0, 58.0, -930.0, 12.0
LUNG, MARROW, CORTICAL, DISC, BLOOD = -855.0, 190.0, 620.0, 85.0, 165.0
LIVER, SPLEEN, PANCREAS, CORTEX, MEDULLA = 108.0, 118.0, 92.0, 185.0, 135.0
VERTEBRA_MM = 34.0
WALL_MM = 11.0
RIBS_FROM_MM = -45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What chance decided: radii of the trunk, thickness of its fat, and every organ."""

    radius_x_mm: float
    radius_y_mm: float
    fat_mm: float
    organs: tuple[Shape, ...]


def draw(generator: np.random.Generator) -> Patient:
    """Draw a patient."""
    scale = float(generator.uniform(0.95, 1.05))
    organs = (*_lungs(generator), *_abdomen(generator), *_bowel(generator), *_great_vessels(), *_heart())
    return Patient(radius_x_mm=168 * scale, radius_y_mm=116 * scale, fat_mm=float(generator.uniform(13, 20)), organs=organs)


def paint_slice(patient: Patient, grid: Grid, z: float, generator: np.random.Generator) -> Array:
    """Return the slice at height `z`, `(y, x)` in HU, without noise and blur; the generator adds the texture of parenchyma."""
    from scipy import ndimage

    y, x = grid.plane()
    rx = patient.radius_x_mm * (1 - 0.04 * np.sin(z / 90))
    ry = patient.radius_y_mm * (1 + 0.03 * np.cos(z / 70))
    r = (np.abs(x / rx) ** 2.3 + np.abs(y / ry) ** 2.3) ** (1 / 2.3)
    depth = np.asarray((1 - r) * ry, dtype=np.float32)
    angle = np.arctan2(y, x)
    fat = patient.fat_mm * (1 + 0.25 * np.cos(2 * angle) + 0.06 * np.sin(5 * angle + z / 40))
    image = np.full((grid.size, grid.size), AIR, dtype=np.float32)
    _table(image, grid, ry)
    for inset, value in ((0.0, SKIN), (2.0, FAT), (fat, MUSCLE), (fat + WALL_MM, FAT)):
        image += soft(depth - inset, grid.pixel_mm) * (np.float32(value) - image)
    inside = soft(depth - fat - WALL_MM, grid.pixel_mm)
    cavity = np.full_like(image, FAT)
    paint(cavity, grid, z, patient.organs)
    image += inside * (cavity - image)
    paint(image, grid, z, _ribs(patient, z))
    paint(image, grid, z, spine(z))
    texture = ndimage.gaussian_filter(generator.standard_normal(image.shape, dtype=np.float32), 2.2 / grid.pixel_mm)
    tissue = (image > -130) & (image < 260)
    image[tissue] += np.float32(4.0) * (texture / texture.std())[tissue]
    return image


def _table(image: Array, grid: Grid, radius_y_mm: float) -> None:
    y, x = grid.plane()
    below = np.asarray(y - (radius_y_mm + 14 - x * x / 1500), dtype=np.float32)
    within = soft(205 - np.abs(x), grid.pixel_mm)
    for low, high, value in ((-13.0, -1.5, -965.0), (0.0, 22.0, -925.0), (0.0, 2.0, 90.0), (20.0, 22.0, 90.0)):
        image += within * soft(below - low, grid.pixel_mm) * soft(high - below, grid.pixel_mm) * (np.float32(value) - image)


def _lungs(generator: np.random.Generator) -> list[Shape]:
    shapes: list[Shape] = []
    for side in (-1.0, 1.0):
        shapes.append(Ellipsoid((side * 72, 4, 150), (60, 84, 168), LUNG, power=2.4))
        hilum = np.array([side * 30, 10, 130])
        for _ in range(110):
            direction = generator.standard_normal(3) * (1, 1, 1.4)
            direction /= np.linalg.norm(direction)
            near, far = sorted(generator.uniform(15, 125, size=2))
            start, end = hilum + direction * near, hilum + direction * far + generator.standard_normal(3) * 6
            if side * start[0] > 18 and side * end[0] > 18:
                radius = float(generator.uniform(0.8, 1.0) * (3.4 - far / 55))
                shapes.append(Rod(_vector(start), _vector(end), max(radius, 0.8), 30.0))
    # Below the left dome of the diaphragm lies fat until the organs are painted.
    shapes.append(Ellipsoid((66, 10, -70), (74, 92, 105), FAT))
    shapes.append(Ellipsoid((0, 10, -20), (40, 100, 400), FAT))
    return shapes


def _abdomen(generator: np.random.Generator) -> list[Shape]:
    shift = generator.normal(0, 2.5, size=(6, 3))

    def at(index: int, x: float, y: float, z: float) -> tuple[float, float, float]:
        return _vector(np.array([x, y, z]) + shift[index])

    liver = at(0, -66, 2, -2)
    shapes: list[Shape] = [
        Ellipsoid(liver, (70, 82, 82), LIVER, turn_deg=-8, power=2.3),
        Ellipsoid(at(0, -8, -48, 8), (66, 32, 46), LIVER, turn_deg=-6),
        Ellipsoid(at(0, -22, 18, -12), (18, 15, 30), LIVER),  # caudate
    ]
    porta = np.array([-30.0, 0.0, -8.0]) + shift[0]
    for _ in range(42):
        direction = generator.standard_normal(3) - (0.9, 0.1, 0)
        direction /= np.linalg.norm(direction)
        reach = float(generator.uniform(25, 62))
        shapes.append(Rod(_vector(porta + direction * 12), _vector(porta + direction * reach), 4.2 - reach / 22, 148.0))
    shapes += [
        Ellipsoid(at(1, -40, -46, -34), (14, 18, 26), 8.0),  # gall bladder
        Ellipsoid(at(2, 62, -34, 14), (48, 40, 50), 62.0),
        Ellipsoid(at(2, 62, -34, 14), (44, 36, 46), FLUID + 10),
        Ellipsoid(at(2, 60, -54, 14), (32, 15, 32), GAS),
        Ellipsoid(at(3, 100, 38, 8), (27, 44, 48), SPLEEN, turn_deg=18),
        Rod(at(4, -26, -6, -34), at(4, 8, -12, -24), 12, PANCREAS),
        Rod(at(4, 8, -12, -24), at(4, 70, 16, -6), 9, PANCREAS),
        Rod(at(4, -20, -2, -28), at(4, 74, 24, -2), 4, 150.0),  # splenic vein
    ]
    for side in (-1.0, 1.0):
        x, y, z = at(5, side * 66, 46, -58)
        shapes += [
            Ellipsoid((x, y, z), (36, 32, 66), FAT),
            Ellipsoid((x, y, z), (27, 25, 54), CORTEX, turn_deg=side * 30),
            Ellipsoid((x - side * 3, y - 2, z), (18, 15, 44), MEDULLA, turn_deg=side * 30),
            Ellipsoid((x - side * 9, y - 4, z), (13, 9, 30), -60.0, turn_deg=side * 30),
            Ellipsoid((x - side * 14, y - 6, z), (8, 5, 16), 10.0),
            Rod((side * 20, 52, 24), (side * 26, 42, 30), 5, 60.0),  # crus, adrenal
        ]
    return shapes


def _bowel(generator: np.random.Generator) -> list[Shape]:
    shapes: list[Shape] = []
    for _ in range(70):
        x, y, z = generator.uniform((-60, -74, -220), (98, 14, -42))
        rx, ry, rz = generator.uniform(10, 18, size=3)
        centre = (float(x), float(y), float(z))
        shapes.append(Ellipsoid(centre, (rx, ry, rz), 70.0))
        shapes.append(Ellipsoid(centre, (rx - 2.5, ry - 2.5, rz - 2.5), float(generator.choice([FLUID, 25.0, 35.0]))))
        if generator.random() < 0.35:
            shapes.append(Ellipsoid((centre[0], centre[1] - 3, centre[2]), (rx - 4, ry - 6, rz - 4), GAS))
    for side in (-1.0, 1.0):  # ascending and descending colon
        shapes += [
            Rod((side * 112, 18, -220), (side * 108, 10, -62), 20, 60.0),
            Rod((side * 112, 18, -220), (side * 108, 10, -62), 17, 20.0),
            Rod((side * 112, 12, -220), (side * 108, 3, -64), 10, GAS),
        ]
    return shapes


def _great_vessels() -> list[Shape]:
    return [
        Ellipsoid((14, 38, 0), (11, 11, 1e4), BLOOD + 10),
        Ellipsoid((-22, 30, 0), (13, 11, 1e4), BLOOD - 20),
        Rod((14, 30, -20), (12, 8, -34), 4.5, BLOOD),  # superior mesenteric artery
        *(Rod((side * 10, 36, -48), (side * 48, 44, -54), 4, BLOOD - 10) for side in (-1.0, 1.0)),
        *(Ellipsoid((side * 42, 62, -150), (19, 25, 130), MUSCLE + 4) for side in (-1.0, 1.0)),  # psoas
    ]


def _heart() -> list[Shape]:
    return [
        Ellipsoid((18, -26, 112), (66, 56, 62), FAT, turn_deg=20),
        Ellipsoid((20, -24, 112), (58, 48, 56), 110.0, turn_deg=20),
        Ellipsoid((38, -16, 110), (24, 22, 42), BLOOD, turn_deg=20),
        Ellipsoid((-6, -40, 112), (26, 20, 42), BLOOD, turn_deg=20),
        Ellipsoid((6, 22, 150), (12, 10, 130), 60.0),  # oesophagus
    ]


def _ribs(patient: Patient, z: float) -> list[Shape]:
    shapes: list[Shape] = []
    if z < RIBS_FROM_MM:
        return shapes
    rx, ry = (radius - patient.fat_mm - 5 for radius in (patient.radius_x_mm, patient.radius_y_mm))
    for side in (-1.0, 1.0):
        for rib in range(8):
            # A rib runs down and forward: at a given height each is cut at another angle.
            angle = np.radians(78 - 30 * rib + (z % 30))
            if -75 < np.degrees(angle) < 75:
                place = (float(side * rx * np.cos(angle)), float(ry * np.sin(angle)), z)
                turn = float(np.degrees(np.arctan2(ry * np.cos(angle), -side * rx * np.sin(angle))))
                shapes.append(Ellipsoid(place, (11, 4.6, 1e4), CORTICAL, turn_deg=turn))
                shapes.append(Ellipsoid(place, (8.5, 2.6, 1e4), MARROW, turn_deg=turn))
    return shapes


def spine(z: float) -> list[Shape]:
    """Return vertebra or disc, arch and muscles of the back at height `z`."""
    level = z % VERTEBRA_MM
    disc = level < 8
    body = [
        Ellipsoid((0, 62, z), (24, 18, 1e4), DISC if disc else CORTICAL, power=2.2),
        Ellipsoid((0, 62, z), (22, 16, 1e4), DISC if disc else MARROW, power=2.2),
    ]
    arch = [
        Ellipsoid((0, 84, z), (15, 13, 1e4), CORTICAL - 200),
        Ellipsoid((0, 83, z), (10, 9, 1e4), FLUID),
        Ellipsoid((0, 83, z), (5.5, 4.5, 1e4), 38.0),
    ]
    muscles = [Ellipsoid((side * 34, 84, z), (27, 15, 1e4), MUSCLE) for side in (-1.0, 1.0)]
    processes: list[Shape] = []
    if 10 < level < 26:
        processes.append(Rod((0, 94, z), (0, 104, z), 4, CORTICAL - 150))
    if 18 < level < 30:
        processes += [Rod((side * 14, 80, z), (side * 36, 76, z), 3.5, CORTICAL - 200) for side in (-1.0, 1.0)]
    return [*muscles, *arch, *body, *processes]


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
