"""PET phantoms of any size, spacing and counts: a trunk with lesions of known SUV, a NEMA-like trunk with spheres, a cylinder.

`phantom.pet` stays what it is, for the demonstration and the shipped networks. Here the detectors blur, slices are as thick as they
are apart, and what is known of the result goes with it. In the phantoms of water the background has SUV 1: their weight is their
volume, and what was injected is what they hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate import anatomy_pet, nema
from medqa.simulate.inserts import Ball, Insert
from medqa.simulate.pet_scan import Known, Paint, Scan, acquire, left
from medqa.simulate.phantom import PHANTOM, Phantom
from medqa.simulate.shapes import Grid, Shape, paint
from medqa.simulate.stack import Progress, silent
from medqa.volume import Array

BACKGROUND_BQ_PER_ML: Final = 5300.0
"""Activity in water at the start of the scan: that of NEMA NU 2."""
CYLINDER_MM, CYLINDER_LENGTH_MM = 200.0, 200.0
BODY_LENGTH_MM, BODY_CENTRE_MM, BODY_FIELD_MM = 880.0, 55.0, 512.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a lesion may lie: the middle of its place, how far it may be off in any direction, its radius and its SUV."""

    name: str
    centre_mm: tuple[float, float, float]
    off_mm: float
    radius_mm: tuple[float, float]
    suv: tuple[float, float]


SITES: Final = (
    Site(name="lesion of the right liver", centre_mm=(-95.0, -15.0, 30.0), off_mm=6.0, radius_mm=(6.0, 14.0), suv=(5.0, 10.0)),
    Site(name="lesion of the back of the liver", centre_mm=(-80.0, 40.0, -5.0), off_mm=5.0, radius_mm=(5.0, 10.0), suv=(4.0, 9.0)),
    Site(name="lesion of the right lung", centre_mm=(-74.0, 10.0, 165.0), off_mm=12.0, radius_mm=(5.0, 14.0), suv=(3.0, 12.0)),
    Site(name="lymph node", centre_mm=(0.0, 5.0, 165.0), off_mm=5.0, radius_mm=(5.0, 9.0), suv=(4.0, 10.0)),
    Site(name="lesion of the spine", centre_mm=(0.0, 62.0, -8.0), off_mm=3.0, radius_mm=(5.0, 9.0), suv=(5.0, 12.0)),
)


class Make(Protocol):
    """Makes a phantom as a scan shows it."""

    def __call__(self, generator: np.random.Generator, scan: Scan, progress: Progress = silent) -> Phantom:
        """Return the phantom; `progress` is told how many slices are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A phantom by name: what it shows, how it is made, and what a scanner would call the examination."""

    name: str
    summary: str
    make: Make
    spacing_mm: float
    body_part: str
    whole_body: bool


def make(name: str, generator: np.random.Generator, scan: Scan | None = None, progress: Progress = silent) -> Phantom:
    """Return the phantom of a name; without a scan, 128 pixels and the usual spacing of its kind.

    Raises
    ------
    InvalidPhantom
        Where there is no such phantom.
    """
    kind = kind_of(name)
    return kind.make(generator, scan or Scan(spacing_mm=kind.spacing_mm), progress)


def kind_of(name: str) -> Kind:
    """Return the kind of a name.

    Raises
    ------
    InvalidPhantom
        Where there is none.
    """
    if name not in KINDS:
        raise InvalidPhantom(phantom=name, reason=f"there are {', '.join(KINDS)}")
    return KINDS[name]


def body(generator: np.random.Generator, scan: Scan, progress: Progress = silent) -> Phantom:
    """Return the patient that `phantom.pet` shows, from the thighs to the skull, with a lesion at each of `SITES`."""
    grid = scan.grid(field_mm=BODY_FIELD_MM, length_mm=BODY_LENGTH_MM, centre_z_mm=BODY_CENTRE_MM)
    patient = anatomy_pet.draw(generator)
    lesions = tuple(lesion(site, generator) for site in SITES)
    kbq = np.float32(anatomy_pet.BQ_PER_ML_PER_SUV / 1000)

    def painted(fine: Grid, z: float) -> tuple[Array, Array]:
        suv = _painted(fine, z, (*patient.organs, *lesions))
        return suv * kbq, np.asarray(suv > 0, dtype=np.float32)

    known = _known("pet-body", scan, anatomy_pet.WEIGHT_KG, anatomy_pet.DOSE_BQ, (*patient.places, *lesions))
    return _scanned(painted, grid, scan, generator, progress, known)


def lesion(site: Site, generator: np.random.Generator) -> Ball:
    """Draw a lesion at a site."""
    x, y, z = (float(middle + generator.uniform(-site.off_mm, site.off_mm)) for middle in site.centre_mm)
    radius, suv = float(generator.uniform(*site.radius_mm)), float(generator.uniform(*site.suv))
    return Ball(name=site.name, centre_mm=(x, y, z), radius_mm=radius, value=suv)


def nemaiq(generator: np.random.Generator, scan: Scan, progress: Progress = silent) -> Phantom:
    """Return the trunk of `medqa.simulate.nema`."""
    grid = scan.grid(field_mm=400.0, length_mm=nema.LENGTH_MM + 12.0)
    active: tuple[Shape, ...] = (nema.Trunk(value=1.0), nema.lung(0.0), *nema.spheres())
    dense: tuple[Shape, ...] = (nema.Trunk(value=1.0), nema.lung(nema.LUNG_DENSITY))
    litres = (nema.AREA_MM2 - math.pi * nema.LUNG_MM**2 / 4) * nema.LENGTH_MM / 1e6
    layout = {"outline_area_mm2": nema.AREA_MM2, "lung": nema.lung(0.0).to_json("suv"), "contrast": nema.CONTRAST}
    known = _of_water("pet-nemaiq", scan, litres, (*nema.spheres(), *nema.background()), layout)
    return _scanned(_water(active, dense), grid, scan, generator, progress, known)


def cylinder(generator: np.random.Generator, scan: Scan, progress: Progress = silent) -> Phantom:
    """Return a cylinder of water with the same activity everywhere."""
    grid = scan.grid(field_mm=300.0, length_mm=CYLINDER_LENGTH_MM + 12.0)
    half = CYLINDER_LENGTH_MM / 2
    filled = Insert(name="cylinder", centre_mm=(0.0, 0.0), radius_mm=CYLINDER_MM / 2, value=1.0, low_mm=-half, high_mm=half)
    litres = math.pi * (CYLINDER_MM / 2) ** 2 * CYLINDER_LENGTH_MM / 1e6
    places = (Ball(name="middle", centre_mm=(0.0, 0.0, 0.0), radius_mm=CYLINDER_MM / 2 - 20, value=1.0),)
    known = _of_water("pet-cylinder", scan, litres, places, {"cylinder": filled.to_json("suv")})
    return _scanned(_water((filled,), (filled,)), grid, scan, generator, progress, known)


def _water(active: Sequence[Shape], dense: Sequence[Shape]) -> Paint:
    def painted(fine: Grid, z: float) -> tuple[Array, Array]:
        activity = _painted(fine, z, active) * np.float32(BACKGROUND_BQ_PER_ML / 1000)
        return activity, _painted(fine, z, dense)

    return painted


def _painted(fine: Grid, z: float, shapes: Sequence[Shape]) -> Array:
    image = np.zeros((fine.size, fine.size), dtype=np.float32)
    paint(image, fine, z, shapes)
    return image


def _of_water(kind: str, scan: Scan, litres: float, places: tuple[Ball, ...], layout: dict[str, Any]) -> Known:
    return _known(kind, scan, litres, BACKGROUND_BQ_PER_ML * litres * 1000 / left(1.0), places, layout)


def _known(
    kind: str, scan: Scan, weight_kg: float, injected_bq: float, places: tuple[Ball, ...], layout: dict[str, Any] | None = None
) -> Known:
    return Known(
        kind=kind,
        counts=scan.counts,
        resolution_mm=scan.resolution_mm,
        filter_mm=scan.filter_mm,
        iterations=scan.iterations,
        weight_kg=weight_kg,
        injected_bq=injected_bq,
        places=places,
        layout=layout or {},
    )


def _scanned(painted: Paint, grid: Grid, scan: Scan, generator: np.random.Generator, progress: Progress, known: Known) -> Phantom:
    return Phantom(modality="PT", array=acquire(painted, grid, scan, generator, progress), grid=grid, known=known)


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            name="pet-body",
            summary="an adult from the thighs to the skull, an hour after FDG, with six lesions of known SUV",
            make=body,
            spacing_mm=5.0,
            body_part="WHOLEBODY",
            whole_body=True,
        ),
        Kind(
            name="pet-nemaiq",
            summary="a trunk of water with six spheres of 10 to 37 mm, 4 to 1 over the background, around a lung",
            make=nemaiq,
            spacing_mm=3.0,
            body_part=PHANTOM,
            whole_body=False,
        ),
        Kind(
            name="pet-cylinder",
            summary="a cylinder of water, 20 cm, with the same activity everywhere",
            make=cylinder,
            spacing_mm=3.0,
            body_part=PHANTOM,
            whole_body=False,
        ),
    )
}
