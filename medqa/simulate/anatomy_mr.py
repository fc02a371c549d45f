"""A head as a T1-weighted gradient echo at 3 T shows it: scalp, skull, folded cortex, ventricles, deep nuclei, eyes, neck."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from medqa.simulate.shapes import Ellipsoid, Grid, Rod, Shape, paint, paint_depth
from medqa.volume import Array

WHITE_MATTER, GREY_MATTER, CSF, FAT, MUSCLE, BONE, VITREOUS = 720.0, 530.0, 170.0, 980.0, 430.0, 60.0, 150.0
BRAIN = ((0.0, -2.0, 12.0), (66.0, 82.0, 66.0))
"""Centre and radii along (x, y, z)."""


class Tissues(NamedTuple):
    """What the parts of the brain are painted with."""

    csf: float
    grey: float
    white: float


T1: Final = Tissues(CSF, GREY_MATTER, WHITE_MATTER)
CORTEX_MM, SULCUS_MM = 3.6, 0.9
DEEPEST_SULCUS_MM = 20.0


def head(grid: Grid, generator: np.random.Generator) -> Array:
    """Return the head without noise, `(z, y, x)`."""
    folds = folds_of(grid, generator, 4.6)
    folia = folds_of(grid, generator, 2.6)
    out = np.zeros((grid.slices, grid.size, grid.size), dtype=np.float32)
    for index, z in enumerate(grid.heights_mm):
        image = out[index]
        paint(image, grid, float(z), _outside())
        brain(image, grid, float(z), folds[index])
        cerebellum(image, grid, float(z), folia[index])
        paint(image, grid, float(z), _deep())
        paint(image, grid, float(z), _face())
    out *= 1 + 0.02 * folds_of(grid, generator, 5.0)
    return np.maximum(out, 0)


def receive_profile(grid: Grid, generator: np.random.Generator) -> Array:
    """Return the smooth sensitivity of a head coil, `(z, y, x)`, about 1 in the middle and higher at the rim."""
    tilt = generator.uniform(-0.07, 0.07, size=3)
    y, x = grid.plane()
    z = grid.heights_mm[:, None, None]
    rim = 0.14 * ((x / 90) ** 2 + (y / 105) ** 2)
    return np.asarray(0.96 + rim + (tilt[0] * x + tilt[1] * y + tilt[2] * z) / 90, dtype=np.float32).clip(0.5, 1.5)


def folds_of(grid: Grid, generator: np.random.Generator, scale_mm: float) -> Array:
    """Return smooth Gaussian noise of unit deviation; its zeros are the sheets along which the cortex folds in."""
    from scipy import ndimage

    noise = generator.standard_normal((grid.slices, grid.size, grid.size), dtype=np.float32)
    sigma = (scale_mm / grid.spacing_mm, scale_mm / grid.pixel_mm, scale_mm / grid.pixel_mm)
    smooth = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def sheet_distance(folds: Array, pixel_mm: float) -> Array:
    """Return about how far a pixel is from the nearest zero of `folds`, in mm."""
    slope = np.hypot(*np.gradient(folds, pixel_mm))
    return np.asarray(np.abs(folds) / np.maximum(slope, 0.02), dtype=np.float32)


def brain(image: Array, grid: Grid, z: float, folds: Array, tissues: Tissues = T1) -> None:
    """Paint the hemispheres at height `z`, their cortex folded along the zeros of `folds`, `(y, x)`."""
    y, x = grid.plane()
    (cx, cy, cz), (rx, ry, rz) = BRAIN
    r = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
    depth = np.asarray((1 - r) * rx, dtype=np.float32)
    # Sulci end in the depth; the cleft between the hemispheres is one more.
    to_sheet = sheet_distance(folds, grid.pixel_mm) + np.maximum(depth - DEEPEST_SULCUS_MM + 8 * np.abs(folds), 0)
    to_cleft = np.abs(x) + np.maximum(12 - (np.abs(y) + z - 8) / 2, 0)
    distance = np.minimum(np.minimum(depth - 1.5, to_sheet), to_cleft)
    paint_depth(image, depth + 2.0, tissues.csf, grid)
    paint_depth(image, np.minimum(distance - SULCUS_MM, depth), tissues.grey, grid)
    paint_depth(image, np.minimum(distance - SULCUS_MM - CORTEX_MM, depth), tissues.white, grid)


def cerebellum(image: Array, grid: Grid, z: float, folia: Array, tissues: Tissues = T1) -> None:
    """Paint the cerebellum at height `z`, its leaves along the zeros of `folia`, `(y, x)`."""
    y, x = grid.plane()
    r = np.sqrt((x / 50) ** 2 + ((y - 44) / 34) ** 2 + ((z + 36) / 26) ** 2)
    depth = np.asarray((1 - r) * 28, dtype=np.float32)
    if depth.max() <= 0:
        return
    distance = np.minimum(depth, sheet_distance(folia, grid.pixel_mm) + np.maximum(depth - 16, 0))
    paint_depth(image, depth + 2, tissues.csf, grid)
    paint_depth(image, np.minimum(distance - 0.3, depth), tissues.grey, grid)
    paint_depth(image, np.minimum(distance - 2.4, depth), tissues.white, grid)


def _outside() -> list[Shape]:
    """Return scalp, skull and dura around the brain and the posterior fossa, and the face and neck they stand on."""
    base: list[Shape] = [
        Ellipsoid((0, 20, -120), (64, 66, 80), FAT),
        Ellipsoid((0, 20, -120), (58, 60, 78), MUSCLE),
        Ellipsoid((0, -38, -66), (62, 60, 70), FAT, power=2.4),
        Ellipsoid((0, -36, -66), (56, 55, 68), MUSCLE, power=2.4),
    ]
    hulls = (BRAIN, ((0.0, 40.0, -34.0), (56.0, 40.0, 36.0)))
    rings = ((12.0, 300.0), (10.8, FAT), (7.2, BONE), (6.0, 330.0), (4.8, BONE), (2.2, CSF))
    shells: list[Shape] = [
        Ellipsoid(centre, (radii[0] + more, radii[1] + more, radii[2] + more), value)
        for more, value in rings
        for centre, radii in hulls
    ]
    return [*base, *shells]


def _deep() -> list[Shape]:
    shapes: list[Shape] = [
        Ellipsoid((0, 10, 20), (5, 40, 9), WHITE_MATTER),  # corpus callosum
        Ellipsoid((0, 8, -34), (14, 13, 40), 660.0),  # brain stem
        Ellipsoid((0, 26, -38), (6, 6, 12), CSF),  # fourth ventricle
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 12, -18, 18), (8, 20, 11), CSF, turn_deg=side * 14),  # lateral ventricle
            Ellipsoid((side * 20, 30, 16), (8, 24, 12), CSF, turn_deg=-side * 16),
            Ellipsoid((side * 17, -20, 14), (6, 14, 14), 590.0, turn_deg=side * 14),  # caudate
            Ellipsoid((side * 27, -6, 6), (8, 19, 13), 585.0, turn_deg=-side * 12),  # putamen
            Ellipsoid((side * 12, 10, 6), (9, 15, 11), 610.0, turn_deg=-side * 22),  # thalamus
            Rod((side * 26, 34, 8), (side * 36, 4, -14), 4, CSF),  # temporal horn
        ]
    shapes.append(Ellipsoid((0, 6, 6), (2.5, 15, 9), CSF))  # third ventricle
    return shapes


def _face() -> list[Shape]:
    shapes: list[Shape] = [
        Ellipsoid((0, -66, -42), (13, 20, 26), 20.0),  # nasal cavity
        Rod((0, -90, -46), (0, -50, -40), 1.6, 420.0),  # septum
        Ellipsoid((0, -76, -8), (16, 8, 11), 15.0),  # frontal sinus
        Ellipsoid((0, -30, -96), (14, 10, 40), 10.0),  # airway
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 32, -66, -30), (19, 26, 18), FAT * 0.85),  # orbit
            Rod((side * 32, -58, -30), (side * 16, -34, -28), 2.4, 470.0),  # optic nerve
            Rod((side * 45, -62, -30), (side * 24, -36, -28), 2.2, MUSCLE),
            Rod((side * 20, -70, -30), (side * 17, -38, -28), 2.2, MUSCLE),
            Ellipsoid((side * 32, -74, -30), (12.5, 12.5, 12.5), 360.0),
            Ellipsoid((side * 32, -74, -30), (11.2, 11.2, 11.2), VITREOUS),
            Ellipsoid((side * 32, -83, -30), (5, 2.4, 5), 400.0),  # lens
            Ellipsoid((side * 31, -58, -56), (15, 16, 16), 15.0),  # maxillary sinus
            Ellipsoid((side * 52, 16, -34), (12, 12, 10), 90.0),  # petrous bone
            Ellipsoid((side * 77, 10, -24), (7, 17, 24), 450.0, turn_deg=side * 18),  # ear
        ]
    return shapes
