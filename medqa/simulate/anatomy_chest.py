"""The chest in HU: lungs with their vessels, heart and great vessels, ribs, spine and shoulder blades, from liver to apices.

The surfaces of chest wall, lungs and diaphragm are depths in mm that each slice is cut from; ribs are rings that fall from the
spine to the front, so that a slice cuts each of them at another place. Contrast agent as in the venous phase.

Typical HU: Kalender, Computed Tomography (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.anatomy_ct import AIR, BLOOD, CORTICAL, FAT, LIVER, LUNG, MARROW, MUSCLE, SKIN, SPLEEN, spine
from medqa.simulate.shapes import Ellipsoid, Grid, Rod, Shape, paint, paint_depth, soft
from medqa.volume import Array, Vector

Point = NDArray[np.float64]

LENGTH_MM: Final = 280.0
APEX_MM: Final = 150.0
"""Height of the apices; the domes of the diaphragm lie near -70 mm."""
CAVITY_MM: Final = (132.0, 92.0)
"""Radii of the thoracic cavity along x and y where it is widest."""
PITCH_MM: Final = 27.0
"""Distance of the ribs along z."""
CARTILAGE: Final = 110.0
MYOCARDIUM: Final = 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What chance decided: size, fat, where the ribs begin, the heights of the domes (right, left), every vessel."""

    scale: float
    fat_mm: float
    rib_mm: float
    domes_mm: tuple[float, float]
    vessels: tuple[Shape, ...]
    organs: tuple[Shape, ...]
    arms: bool


def draw(generator: np.random.Generator, *, arms: bool = False) -> Patient:
    """Draw a patient; `arms` lie beside the trunk, else they are raised out of the field of view."""
    right = float(generator.uniform(-78, -62))
    return Patient(
        scale=float(generator.uniform(0.95, 1.05)),
        fat_mm=float(generator.uniform(9, 16)),
        rib_mm=float(generator.uniform(0, PITCH_MM)),
        domes_mm=(right, right - float(generator.uniform(8, 16))),
        vessels=tuple(vessel for side in (-1.0, 1.0) for vessel in _lung_vessels(side, generator)),
        organs=(*_mediastinum(), *_heart(generator)),
        arms=arms,
    )


def paint_slice(patient: Patient, grid: Grid, z: float) -> Array:
    """Return the slice at height `z`, `(y, x)` in HU, without noise and blur."""
    y, x = (axis / patient.scale for axis in grid.plane())
    image = np.full((grid.size, grid.size), AIR, dtype=np.float32)
    _table(image, grid)
    if patient.arms:
        paint(image, grid, z, _arms(patient))
    cavity = cavity_depth(y, x, z)
    _wall(image, grid, z, patient, (y, x), cavity)
    inside = np.full_like(image, FAT)
    above = _above_domes(patient, (y, x), z)
    _under_the_diaphragm(inside, grid, z, (y, x), cavity, above)
    _lungs(inside, grid, z, patient, (y, x), cavity, above)
    paint(inside, grid, z, patient.organs)
    image += soft(cavity, grid.pixel_mm) * (inside - image)
    _ribs(image, grid, z, patient, (y, x), cavity)
    paint(image, grid, z, spine(z))
    return image


def cavity_depth(y: Array, x: Array, z: float) -> Array:
    """Return how deep a point lies in the thoracic cavity, in mm; it narrows to the apices, and the spine bulges into it."""
    rise = min(max((z + 10) / (APEX_MM + 10), 0.0), 1.0)
    share = max((1 - rise**2.4) ** 0.5, 0.05)
    rx, ry = CAVITY_MM[0] * share, CAVITY_MM[1] * (0.35 + 0.65 * share)
    r = (np.abs(x / rx) ** 2.4 + np.abs((y + 2 - 12 * rise) / ry) ** 2.4) ** (1 / 2.4)
    return np.asarray((1 - r) * min(rx, ry), dtype=np.float32)


def _table(image: Array, grid: Grid) -> None:
    y, x = grid.plane()
    below = np.asarray(y - (132 - x * x / 1800), dtype=np.float32)
    within = soft(205 - np.abs(x), grid.pixel_mm)
    for low, high, value in ((-9.0, -1.0, -960.0), (0.0, 22.0, -925.0), (0.0, 2.0, 90.0), (20.0, 22.0, 90.0)):
        image += within * soft(below - low, grid.pixel_mm) * soft(high - below, grid.pixel_mm) * (np.float32(value) - image)


def _wall(image: Array, grid: Grid, z: float, patient: Patient, plane: tuple[Array, Array], cavity: Array) -> None:
    """Paint skin, fat, the muscles of the wall and the shoulder blades."""
    y, x = plane
    shoulder = np.clip((z - 40) / 110, 0, 1)
    rx, ry = 168 + 14 * shoulder, 119 - 16 * shoulder
    r = (np.abs(x / rx) ** 2.5 + np.abs((y - 4) / ry) ** 2.5) ** (1 / 2.5)
    depth = np.asarray((1 - r) * ry, dtype=np.float32)
    fat = patient.fat_mm * (1 + 0.3 * np.cos(2 * np.arctan2(y, x)) + 0.1 * np.sin(z / 35))
    for inset, value in ((0.0, SKIN), (2.0, FAT), (fat, MUSCLE)):
        paint_depth(image, np.asarray(depth - inset, dtype=np.float32), value, grid)
    # Layers of fat part the muscles of the wall.
    for level in (-16.0, -26.0):
        angle = np.arctan2(y, np.abs(x))
        sheet = 1.6 * np.cos(2 * angle + z / 90 + level) - np.abs(cavity - level - 4 * np.sin(3 * angle + z / 30)) - shoulder
        paint_depth(image, np.minimum(sheet, depth - fat - 1).astype(np.float32), FAT, grid)
    paint(image, grid, z, _shoulder_blades())


def _shoulder_blades() -> list[Shape]:
    """Thin plates that lie on the ribs, with their spines; above them the clavicles."""
    shapes: list[Shape] = []
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 128, 0, 92), (16, 34, 44), FAT, turn_deg=-side * 20),  # armpit
            Ellipsoid((side * 124, 10, 96), (3.5, 3.5, 60), BLOOD - 30),
            Ellipsoid((side * 106, 74, 75), (38, 10, 85), MUSCLE + 4, turn_deg=-side * 42),
            Ellipsoid((side * 106, 74, 75), (33, 3.2, 78), CORTICAL - 100, turn_deg=-side * 42),
            Ellipsoid((side * 106, 74, 75), (31, 1.2, 76), MARROW, turn_deg=-side * 42),
            Rod((side * 92, 92, 95), (side * 140, 48, 128), 5.0, CORTICAL - 100),
            Rod((side * 92, 92, 95), (side * 140, 48, 128), 3.0, MARROW),
            Rod((side * 22, -70, 112), (side * 140, -10, 138), 6.5, CORTICAL),
            Rod((side * 22, -70, 112), (side * 140, -10, 138), 4.2, MARROW),
        ]
    return shapes


def _ribs(image: Array, grid: Grid, z: float, patient: Patient, plane: tuple[Array, Array], cavity: Array) -> None:
    """Paint what the slice cuts of every rib, cartilage in front, and the breastbone."""
    y, x = plane
    around = np.arctan2(np.abs(x), y - 20)  # 0 at the spine, pi in front
    fall = 62 * (1 - np.cos(np.clip(around - 0.25, 0, 2.5))) / (1 - np.cos(2.5))
    along = np.mod(z - patient.rib_mm + fall + PITCH_MM / 2, PITCH_MM) - PITCH_MM / 2
    # In front of the chest the lower ribs end; below the arch there are none.
    there = np.where(around > 1.9, z - (-120 + 70 * (around - 1.9)), 100.0)
    radial = (cavity + 6.5) / 4.2
    share = np.asarray(1 - np.sqrt(radial**2 + (along / 6.2) ** 2), dtype=np.float32) * 4.2
    depth = np.minimum(share, np.minimum(there, 14 * (around - 0.2))).astype(np.float32)
    bone = np.minimum(depth, 12 * (2.45 - around)).astype(np.float32)
    paint_depth(image, depth, CARTILAGE, grid)
    paint_depth(image, bone, CORTICAL, grid)
    paint_depth(image, bone - np.float32(1.5), MARROW, grid)
    if z > -75:
        front = -(CAVITY_MM[1] + 10) + 22 * max(z, 0) / APEX_MM
        half = 17.0 + 9 * float(np.clip((z - 60) / 20, 0, 1))
        paint(
            image,
            grid,
            z,
            [
                Ellipsoid((0, front, z), (half, 6.5, 1e4), CORTICAL - 150, power=2.6),
                Ellipsoid((0, front, z), (half - 1.6, 5.0, 1e4), MARROW - 40, power=2.6),
            ],
        )


def _under_the_diaphragm(inside: Array, grid: Grid, z: float, plane: tuple[Array, Array], cavity: Array, above: Array) -> None:
    """Paint liver, stomach and spleen; the lungs are painted over what lies above the domes."""
    y, x = plane
    r = np.sqrt(((x + 46) / 100) ** 2 + ((y + 4) / 96) ** 2)
    liver = np.minimum(np.minimum((1 - r) * 90, cavity - 4), -5 - above)
    paint_depth(inside, liver.astype(np.float32), LIVER, grid)
    organs: list[Shape] = [
        Ellipsoid((60, -34, -122), (50, 44, 62), 62.0),
        Ellipsoid((60, -34, -122), (46, 40, 58), 22.0),
        Ellipsoid((60, -52, -118), (36, 20, 44), -930.0),
        Ellipsoid((92, 40, -125), (34, 40, 52), SPLEEN, turn_deg=20),
    ]
    paint(inside, grid, z, organs)


def _above_domes(patient: Patient, plane: tuple[Array, Array], z: float) -> Array:
    """Return how far above its diaphragm a point lies, in mm; the two domes meet in a saddle."""
    y, x = plane
    right, left = patient.domes_mm
    bow = 0.5 * (((np.abs(x) - 66) / 62) ** 2 + ((y + 8) / 84) ** 2)
    return np.asarray(z - right - (left - right) * np.clip(x / 30 + 0.5, 0, 1) + 62 * bow, dtype=np.float32)


def _lungs(inside: Array, grid: Grid, z: float, patient: Patient, plane: tuple[Array, Array], cavity: Array, above: Array) -> None:
    """Paint both lungs above their domes, the dependent parts denser, with their vessels."""
    y, x = plane
    # Between the lungs: narrow in front and behind the heart, where they nearly meet.
    middle = 20 + 14 * np.exp(-(((y - 34) / 26) ** 2)) - 13 * np.exp(-(((y + 74) / 22) ** 2))
    depth = np.minimum(np.minimum(cavity - 2, above), np.abs(x) - middle).astype(np.float32)
    lung = np.empty_like(inside)
    lung[:] = LUNG + 35 * np.clip(y / CAVITY_MM[1], -1, 1)
    paint(lung, grid, z, patient.vessels)
    inside += soft(depth, grid.pixel_mm) * (lung - inside)


def _lung_vessels(side: float, generator: np.random.Generator) -> list[Shape]:
    """Return a tree that leaves the hilum and forks until its branches are finer than a millimetre, and the first bronchi."""
    shapes: list[Shape] = []
    hilum = np.array([side * 34.0, 14.0, 24.0])
    for number in range(20):
        lean = (0.7, 0.0, 0.0) if number < 14 else (0.45, 0.35, -1.6)  # the others go to the base
        direction = generator.standard_normal(3) * (0.8, 1.0, 1.3) * (1.0 if number < 14 else 0.5) + np.multiply(lean, (side, 1, 1))
        _branch(shapes, hilum, direction, float(generator.uniform(4.6, 6.0)), float(generator.uniform(26, 40)), generator)
    for _ in range(5):
        direction = generator.standard_normal(3) * (0.5, 0.7, 1.0) + (side * 0.9, 0.1, 0)
        end = hilum + direction / np.linalg.norm(direction) * 34
        shapes += [Rod(_vector(hilum), _vector(end), 4.2, 20.0), Rod(_vector(hilum), _vector(end), 3.1, AIR + 20)]
    return shapes


def _branch(
    shapes: list[Shape], start: Point, direction: Point, radius: float, length: float, generator: np.random.Generator
) -> None:
    unit = direction / np.linalg.norm(direction)
    end = start + unit * length
    shapes.append(Rod(_vector(start), _vector(end), radius, BLOOD - 20 if radius > 2 else 40.0))
    if radius < 0.95:
        return
    for turn in generator.standard_normal((2, 3)) * 0.55:
        share = float(generator.uniform(0.62, 0.76))
        _branch(shapes, end, unit + turn, radius * share, length * 0.82, generator)


def _mediastinum() -> list[Shape]:
    """Return fat, airways, gullet and the great vessels; the heart comes after them."""
    pulmonary, aorta, cava = BLOOD - 10, BLOOD, BLOOD + 25
    shapes: list[Shape] = [
        Ellipsoid((0, -10, 70), (34, 52, 105), FAT, power=2.6),
        # the arch, from the ascending to the descending part
        Rod((-14, -34, 10), (-10, -30, 62), 15.5, aorta),
        Rod((-10, -30, 66), (12, -4, 76), 14.0, aorta),
        Rod((12, -4, 76), (26, 34, 62), 13.0, aorta),
        Rod((26, 36, 62), (18, 38, -220), 12.0, aorta),
        Rod((-14, -12, 84), (-20, -6, 190), 6.5, aorta),
        Rod((4, -8, 86), (10, 2, 190), 4.5, aorta),
        Rod((16, 2, 84), (26, 12, 190), 5.0, aorta),
        # pulmonary trunk and arteries
        Rod((14, -48, 8), (10, -26, 36), 14.0, pulmonary),
        Rod((10, -22, 36), (-36, 4, 34), 10.0, pulmonary),
        Rod((12, -20, 40), (38, 10, 44), 10.0, pulmonary),
        Rod((-27, -18, 0), (-24, -24, 92), 9.0, cava),
        Rod((-24, -26, 92), (28, -44, 118), 6.0, cava),
        Rod((-24, -22, 92), (-30, -22, 190), 7.0, cava),
        Ellipsoid((2, 34, 0), (8, 6, 1e4), 45.0),
        Ellipsoid((2, 33, 0), (3, 1.5, 1e4), -400.0),
        Rod((0, 10, 50), (0, 6, 200), 10.0, 40.0),
        Rod((0, 10, 50), (0, 6, 200), 8.2, AIR + 10),
    ]
    for side, steep in ((-1.0, 22.0), (1.0, 30.0)):
        shapes += [
            Rod((0, 10, 50), (side * 40, 17, 50 - steep), 7.4, 40.0),
            Rod((0, 10, 50), (side * 40, 17, 50 - steep), 5.8, AIR + 10),
            Ellipsoid((side * 24, -6, 128), (10, 13, 26), 130.0),  # thyroid and muscles of the neck
        ]
    return shapes


def _heart(generator: np.random.Generator) -> list[Shape]:
    shift = generator.normal(0, 2, size=3)

    def at(x: float, y: float, z: float) -> Vector:
        return _vector(np.array([x, y, z]) + shift)

    return [
        Ellipsoid(at(22, -28, -44), (67, 52, 58), FAT, turn_deg=28),
        Ellipsoid(at(23, -26, -44), (61, 46, 53), MYOCARDIUM, turn_deg=28),
        Ellipsoid(at(44, -12, -50), (27, 17, 36), BLOOD, turn_deg=38),  # left ventricle
        Ellipsoid(at(14, -50, -48), (34, 15, 36), BLOOD + 5, turn_deg=24),  # right ventricle
        Ellipsoid(at(-24, -22, -36), (21, 25, 38), BLOOD + 10),
        Ellipsoid(at(4, 12, -14), (32, 17, 24), BLOOD, turn_deg=8),  # left atrium
        Rod(at(-26, 2, -60), (-28, 6, -220), 12.0, BLOOD - 15),  # inferior vena cava
    ]


def _arms(patient: Patient) -> list[Shape]:
    shapes: list[Shape] = []
    for side in (-1.0, 1.0):
        x = side * (168 * patient.scale + 42)
        shapes += [
            Ellipsoid((x, 30, 0), (38, 44, 1e4), SKIN),
            Ellipsoid((x, 30, 0), (36, 42, 1e4), FAT),
            Ellipsoid((x, 30, 0), (30, 35, 1e4), MUSCLE),
            Ellipsoid((x, 32, 0), (12, 12, 1e4), CORTICAL + 500),
            Ellipsoid((x, 32, 0), (7, 7, 1e4), -40.0),
        ]
    return shapes


def _vector(values: Point) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
