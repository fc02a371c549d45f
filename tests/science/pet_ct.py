"""One patient in a PET and in a CT that lies beside it by a known amount, as files of one study and one frame of reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from medqa.simulate import anatomy_pet, study
from medqa.simulate.shapes import Grid, paint
from medqa.volume import Array

LUNG_SUV = 0.45
STUDY, PLACE = "1.2.826.0.1.3680043.10.999.7", "1.2.826.0.1.3680043.10.999.7.1"
PET = Grid(slices=50, size=128, pixel_mm=5.0, spacing_mm=8.0, centre_z_mm=60.0)
"""From the pelvis to the neck, with the dome of the liver in the middle."""
CT = Grid(slices=112, size=160, pixel_mm=3.0, spacing_mm=4.0, centre_z_mm=60.0)


def patient() -> anatomy_pet.Patient:
    return anatomy_pet.draw(np.random.default_rng(4))


def pet_slices(grid: Grid = PET) -> list[Array]:
    """Return activity through 7 mm, with a little noise, in Bq/ml."""
    rng = np.random.default_rng(5)
    one = patient()
    clean = np.stack([anatomy_pet.paint_slice(one, grid, float(z)) for z in grid.heights_mm])
    noisy = clean * (1 + 0.3 * rng.standard_normal(clean.shape))
    deviation = 7 / 2.355
    return list(ndimage.gaussian_filter(noisy, (deviation / grid.spacing_mm, deviation / grid.pixel_mm, deviation / grid.pixel_mm)))


def ct_slices(grid: Grid = CT) -> list[Array]:
    """Return lung where the PET has it, soft tissue everywhere else in the body, with noise, in HU."""
    rng = np.random.default_rng(6)
    organs = [dataclasses.replace(one, value=-850.0 if one.value == LUNG_SUV else 40.0) for one in patient().organs]  # type: ignore[type-var]
    images = []
    for z in grid.heights_mm:
        image = np.full((grid.size, grid.size), -1000, dtype=np.float32)
        paint(image, grid, float(z), organs)
        images.append(np.maximum(image + 12 * rng.standard_normal(image.shape).astype(np.float32), -1024))
    return images


def form(
    modality: str, grid: Grid, *, shift_mm: tuple[float, float] = (0.0, 0.0), label: str = "phantom", **values: Any
) -> study.Form:
    """Return the form of a series; `shift_mm` moves it to the patient's left and to the head."""

    def moved(dataset: Any, index: int) -> None:
        x, y, z = (float(one) for one in dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [round(x + shift_mm[0], 3), y, round(z + shift_mm[1], 3)]

    return study.Form(
        modality=modality,
        pixel_mm=grid.pixel_mm,
        spacing_mm=grid.spacing_mm,
        slices=grid.slices,
        first_z_mm=float(grid.heights_mm[0]),
        label=label,
        finish=moved,
        values={"StudyInstanceUID": STUDY, "FrameOfReferenceUID": PLACE, **values},
    )


def save_pet(folder: Path, grid: Grid = PET, **values: Any) -> None:
    study.save(folder, pet_slices(grid), form("PT", grid, **values))


def save_ct(folder: Path, grid: Grid = CT, **values: Any) -> None:
    study.save(folder, ct_slices(grid), form("CT", grid, **values))


def outline_overlap(shift_mm: float, grid: Grid = CT, pet: Grid = PET) -> float:
    """Return the Dice overlap of the patient's outline with itself, moved to the left."""
    one = patient()
    both = total = 0
    for z in pet.heights_mm:
        bodies = []
        for offset in (0.0, shift_mm):
            moved = np.roll(anatomy_pet.paint_slice(one, grid, float(z)) > 0, round(offset / grid.pixel_mm), axis=1)
            bodies.append(ndimage.binary_fill_holes(moved))
        both, total = both + 2 * int((bodies[0] & bodies[1]).sum()), total + int(bodies[0].sum()) + int(bodies[1].sum())
    return both / total
