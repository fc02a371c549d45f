"""CT phantoms of any size, spacing, dose and kernel: water, an ACR-like cylinder, abdomen, chest and head.

`phantom.ct` stays what it is, for the demonstration and the shipped networks. Here one kernel shapes both sharpness and noise, and
what is known of the result goes with it: noise, and place, size and CT number of every test object.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate import acr as layout
from medqa.simulate import anatomy_chest, anatomy_ct, anatomy_head
from medqa.simulate.ct.dose import WATER_PER_MM
from medqa.simulate.ct_scan import Known, Scan, acquire, expected_noise_hu, painted, under_kernel
from medqa.simulate.inserts import Insert, LinePairs
from medqa.simulate.phantom import PHANTOM, Phantom
from medqa.simulate.shapes import Grid, Shape, paint
from medqa.simulate.stack import finer
from medqa.volume import Array

AIR_HU: Final = -1000.0
OBJECT_FINEST_MM: Final = 0.35
"""Test objects are painted on pixels not larger than this, so that their edges and bars are exact."""
ANATOMY_FINEST_MM: Final = 1.0
WATER_MM: Final = 200.0
MARGIN: Final = 1.25
"""Field of view over the diameter of a cylinder."""
WATER_NOISE_HU: Final = 5.0
"""At full dose, 5 mm, soft kernel, in 200 mm of water."""
ABDOMEN_NOISE_HU: Final = 9.0
CHEST_NOISE_HU: Final = 9.0
HEAD_NOISE_HU: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A phantom by name: what it shows, how it is made, and what a scanner would call the examination.

    `ctdi_mgy` is CTDIvol at full dose, for a dosimetry phantom of `dosimetry_mm`; `contrast` tells whether an agent was given.
    """

    name: str
    summary: str
    make: Callable[[np.random.Generator, Scan], Phantom]
    spacing_mm: float
    body_part: str
    ctdi_mgy: float
    dosimetry_mm: int
    contrast: bool


def make(name: str, generator: np.random.Generator, scan: Scan | None = None) -> Phantom:
    """Return the phantom of a name; without a scan, 512 pixels and the usual spacing of its kind.

    Raises
    ------
    InvalidPhantom
        Where there is no such phantom.
    """
    kind = kind_of(name)
    return kind.make(generator, scan or Scan(spacing_mm=kind.spacing_mm))


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


def water(generator: np.random.Generator, scan: Scan, *, diameter_mm: float = WATER_MM) -> Phantom:
    """Return a cylinder of water, longer than the stack; its noise grows with the root of what the water lets through."""
    grid = scan.grid(field_mm=MARGIN * diameter_mm, length_mm=100.0)
    cylinder = Insert(name="water", centre_mm=(0.0, 0.0), radius_mm=diameter_mm / 2, value=0.0)
    clean = np.repeat(_objects(grid, scan, 0.0, (cylinder,))[None], grid.slices, axis=0)
    full = WATER_NOISE_HU * math.exp(WATER_PER_MM * (diameter_mm - WATER_MM) / 2)
    return _scanned("water", clean, grid, scan, generator, full, inserts=(cylinder,))


def acr(generator: np.random.Generator, scan: Scan) -> Phantom:
    """Return the cylinder of `medqa.simulate.acr`; a slice across the border of two modules shows its share of both."""
    grid = scan.grid(field_mm=MARGIN * layout.DIAMETER_MM, length_mm=layout.LENGTH_MM)
    inserts, patterns = layout.inserts(), layout.patterns()
    clean = np.zeros((grid.slices, grid.size, grid.size), dtype=np.float32)
    beyond = (-math.inf, -layout.LENGTH_MM / 2), (layout.LENGTH_MM / 2, math.inf)
    for low, high in (*(layout.bounds_mm(module) for module in range(4)), *beyond):
        ends = (np.clip(grid.heights_mm + side * grid.spacing_mm / 2, low, high) for side in (1, -1))
        shares = np.subtract(*ends) / grid.spacing_mm
        if shares.any():
            inside = 0.5 * (low + high) if math.isfinite(low + high) else math.nan
            image = _objects(grid, scan, inside, (*inserts, *patterns))
            clean += shares[:, None, None].astype(np.float32) * image
    return _scanned("acr", clean, grid, scan, generator, WATER_NOISE_HU, inserts=inserts, patterns=patterns)


def abdomen(generator: np.random.Generator, scan: Scan) -> Phantom:
    """Return the patient that `phantom.ct` shows: upper abdomen and lung bases in the portal phase."""
    grid = scan.grid(field_mm=420.0, length_mm=160.0)
    patient = anatomy_ct.draw(generator)
    clean = painted(lambda fine, z: anatomy_ct.paint_slice(patient, fine, z, generator), grid, scan, ANATOMY_FINEST_MM)
    return _scanned("abdomen", clean, grid, scan, generator, ABDOMEN_NOISE_HU)


def chest(generator: np.random.Generator, scan: Scan, *, arms: bool = False) -> Phantom:
    """Return a chest in the venous phase, from the liver to the apices; `arms` lie beside it instead of above the head."""
    grid = scan.grid(field_mm=520.0 if arms else 400.0, length_mm=anatomy_chest.LENGTH_MM, centre_z_mm=10.0)
    patient = anatomy_chest.draw(generator, arms=arms)
    clean = painted(lambda fine, z: anatomy_chest.paint_slice(patient, fine, z), grid, scan, ANATOMY_FINEST_MM)
    return _scanned("chest-arms" if arms else "chest", clean, grid, scan, generator, CHEST_NOISE_HU)


def head(generator: np.random.Generator, scan: Scan) -> Phantom:
    """Return a head without contrast agent, from the jaw to the vertex, on its rest."""
    grid = scan.grid(field_mm=240.0, length_mm=anatomy_head.LENGTH_MM, centre_z_mm=anatomy_head.CENTRE_MM)
    patient = anatomy_head.draw(finer(grid, ANATOMY_FINEST_MM)[0], generator)
    clean = painted(lambda fine, z: anatomy_head.paint_slice(patient, fine, z), grid, scan, ANATOMY_FINEST_MM)
    return _scanned("head", clean, grid, scan, generator, HEAD_NOISE_HU)


def _objects(grid: Grid, scan: Scan, z: float, shapes: tuple[Shape, ...]) -> Array:
    fine, times = finer(grid, OBJECT_FINEST_MM)
    image = np.full((fine.size, fine.size), AIR_HU, dtype=np.float32)
    paint(image, fine, z, shapes)
    return under_kernel(image, fine, times, scan.cutoff_per_mm)


def _scanned(
    kind: str,
    clean: Array,
    grid: Grid,
    scan: Scan,
    generator: np.random.Generator,
    full_hu: float,
    *,
    inserts: tuple[Insert, ...] = (),
    patterns: tuple[LinePairs, ...] = (),
) -> Phantom:
    noise_hu = expected_noise_hu(full_hu, scan, grid)
    known = Known(
        kind=kind, dose=scan.dose, cutoff_per_mm=scan.cutoff_per_mm, noise_hu=noise_hu, inserts=inserts, patterns=patterns
    )
    return Phantom(modality="CT", array=acquire(clean, grid, scan, generator, noise_hu), grid=grid, known=known)


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            name="water",
            summary="a cylinder of water, 20 cm",
            make=water,
            spacing_mm=5.0,
            body_part=PHANTOM,
            ctdi_mgy=18.0,
            dosimetry_mm=160,
            contrast=False,
        ),
        Kind(
            name="acr",
            summary="a cylinder of solid water, 20 cm: CT numbers, low contrast, uniformity and line pairs, 4 cm of each",
            make=acr,
            spacing_mm=5.0,
            body_part=PHANTOM,
            ctdi_mgy=18.0,
            dosimetry_mm=160,
            contrast=False,
        ),
        Kind(
            name="abdomen",
            summary="the upper abdomen of an adult in the portal phase",
            make=abdomen,
            spacing_mm=5.0,
            body_part="ABDOMEN",
            ctdi_mgy=11.0,
            dosimetry_mm=320,
            contrast=True,
        ),
        Kind(
            name="chest",
            summary="the chest of an adult in the venous phase",
            make=chest,
            spacing_mm=5.0,
            body_part="CHEST",
            ctdi_mgy=7.0,
            dosimetry_mm=320,
            contrast=True,
        ),
        Kind(
            name="chest-arms",
            summary="the same with the arms beside the trunk, in a larger field of view",
            make=partial(chest, arms=True),
            spacing_mm=5.0,
            body_part="CHEST",
            ctdi_mgy=7.0,
            dosimetry_mm=320,
            contrast=True,
        ),
        Kind(
            name="head",
            summary="the head of an adult without contrast agent",
            make=head,
            spacing_mm=5.0,
            body_part="HEAD",
            ctdi_mgy=50.0,
            dosimetry_mm=160,
            contrast=False,
        ),
    )
}
