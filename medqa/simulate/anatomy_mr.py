"""A head as MR shows it: scalp, skull, folded cortex, ventricles, deep nuclei, eyes, neck; by default T1-weighted at 3 T."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medqa.simulate.mr_tissues import T1, Label, Signals, only
from medqa.simulate.shapes import Ellipsoid, Grid, Rod, Shape, paint, paint_depth
from medqa.volume import Array

WHITE_MATTER, FAT = T1["white"], T1["fat"]
BRAIN = ((0.0, -2.0, 12.0), (66.0, 82.0, 66.0))
"""Centre and radii along (x, y, z)."""


class Tissues(NamedTuple):
    """What the parts of the brain are painted with."""

    csf: float
    grey: float
    white: float


CORTEX_MM, SULCUS_MM = 3.6, 0.9
DEEPEST_SULCUS_MM = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """What chance decided: the folds of cortex and cerebellum, and how each tissue varies in itself, `(z, y, x)`."""

    folds: Array
    folia: Array
    texture: Array


def draw(grid: Grid, generator: np.random.Generator) -> Patient:
    """Draw a patient for the grid that is to be painted."""
    folds, folia, texture = (folds_of(grid, generator, scale_mm) for scale_mm in (4.6, 2.6, 5.0))
    return Patient(folds=folds, folia=folia, texture=1 + 0.02 * texture)


def head(grid: Grid, generator: np.random.Generator) -> Array:
    """Return the T1-weighted head without noise, `(z, y, x)`."""
    patient = draw(grid, generator)
    return np.stack([paint_slice(patient, grid, index) for index in range(grid.slices)])


def paint_slice(patient: Patient, grid: Grid, index: int, signals: Signals = T1) -> Array:
    """Return a slice without noise, `(y, x)`; `grid` is the one that the patient was drawn for."""
    image = _painted(patient, grid, index, signals)
    image *= patient.texture[index]
    return np.maximum(image, 0)


def shares(patient: Patient, grid: Grid, index: int) -> Array:
    """Return how much of each pixel of a slice every class of `Label` takes, air first, `(labels, y, x)`."""
    tissues = [_painted(patient, grid, index, only(label)) for label in Label if label is not Label.AIR]
    return np.stack([1 - np.sum(tissues, axis=0), *tissues])


def _painted(patient: Patient, grid: Grid, index: int, signals: Signals) -> Array:
    image = np.zeros((grid.size, grid.size), dtype=np.float32)
    z = float(grid.heights_mm[index])
    tissues = Tissues(csf=signals["csf"], grey=signals["grey"], white=signals["white"])
    paint(image, grid, z, _outside(signals))
    brain(image, grid, z, patient.folds[index], tissues)
    cerebellum(image, grid, z, patient.folia[index], tissues)
    paint(image, grid, z, _deep(signals))
    paint(image, grid, z, _face(signals))
    return image


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


def brain(image: Array, grid: Grid, z: float, folds: Array, tissues: Tissues) -> None:
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


def cerebellum(image: Array, grid: Grid, z: float, folia: Array, tissues: Tissues) -> None:
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


def _outside(signals: Signals) -> list[Shape]:
    """Return scalp, skull and dura around the brain and the posterior fossa, and the face and neck they stand on."""
    base: list[Shape] = [
        Ellipsoid((0, 20, -120), (64, 66, 80), signals["fat"]),
        Ellipsoid((0, 20, -120), (58, 60, 78), signals["muscle"]),
        Ellipsoid((0, -38, -66), (62, 60, 70), signals["fat"], power=2.4),
        Ellipsoid((0, -36, -66), (56, 55, 68), signals["muscle"], power=2.4),
    ]
    hulls = (BRAIN, ((0.0, 40.0, -34.0), (56.0, 40.0, 36.0)))
    rings = (
        (12.0, signals["skin"]),
        (10.8, signals["fat"]),
        (7.2, signals["bone"]),
        (6.0, signals["meninges"]),
        (4.8, signals["bone"]),
        (2.2, signals["csf"]),
    )
    shells: list[Shape] = [
        Ellipsoid(centre, (radii[0] + more, radii[1] + more, radii[2] + more), value)
        for more, value in rings
        for centre, radii in hulls
    ]
    return [*base, *shells]


def _deep(signals: Signals) -> list[Shape]:
    shapes: list[Shape] = [
        Ellipsoid((0, 10, 20), (5, 40, 9), signals["white"]),  # corpus callosum
        Ellipsoid((0, 8, -34), (14, 13, 40), signals["stem"]),
        Ellipsoid((0, 26, -38), (6, 6, 12), signals["csf"]),  # fourth ventricle
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 12, -18, 18), (8, 20, 11), signals["csf"], turn_deg=side * 14),  # lateral ventricle
            Ellipsoid((side * 20, 30, 16), (8, 24, 12), signals["csf"], turn_deg=-side * 16),
            Ellipsoid((side * 17, -20, 14), (6, 14, 14), signals["caudate"], turn_deg=side * 14),
            Ellipsoid((side * 27, -6, 6), (8, 19, 13), signals["putamen"], turn_deg=-side * 12),
            Ellipsoid((side * 12, 10, 6), (9, 15, 11), signals["thalamus"], turn_deg=-side * 22),
            Rod((side * 26, 34, 8), (side * 36, 4, -14), 4, signals["csf"]),  # temporal horn
        ]
    shapes.append(Ellipsoid((0, 6, 6), (2.5, 15, 9), signals["csf"]))  # third ventricle
    return shapes


def _face(signals: Signals) -> list[Shape]:
    shapes: list[Shape] = [
        Ellipsoid((0, -66, -42), (13, 20, 26), signals["nose"]),  # nasal cavity
        Rod((0, -90, -46), (0, -50, -40), 1.6, signals["septum"]),
        Ellipsoid((0, -76, -8), (16, 8, 11), signals["sinus"]),  # frontal sinus
        Ellipsoid((0, -30, -96), (14, 10, 40), signals["airway"]),
    ]
    for side in (-1.0, 1.0):
        shapes += [
            Ellipsoid((side * 32, -66, -30), (19, 26, 18), signals["orbit"]),
            Rod((side * 32, -58, -30), (side * 16, -34, -28), 2.4, signals["nerve"]),
            Rod((side * 45, -62, -30), (side * 24, -36, -28), 2.2, signals["muscle"]),
            Rod((side * 20, -70, -30), (side * 17, -38, -28), 2.2, signals["muscle"]),
            Ellipsoid((side * 32, -74, -30), (12.5, 12.5, 12.5), signals["sclera"]),
            Ellipsoid((side * 32, -74, -30), (11.2, 11.2, 11.2), signals["vitreous"]),
            Ellipsoid((side * 32, -83, -30), (5, 2.4, 5), signals["lens"]),
            Ellipsoid((side * 31, -58, -56), (15, 16, 16), signals["sinus"]),  # maxillary sinus
            Ellipsoid((side * 52, 16, -34), (12, 12, 10), signals["petrous"]),
            Ellipsoid((side * 77, 10, -24), (7, 17, 24), signals["ear"], turn_deg=side * 18),
        ]
    return shapes
