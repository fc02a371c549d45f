"""MR phantoms of any size, spacing, contrast and noise: a head with the class of every pixel, and an ACR-like cylinder.

`phantom.mr` stays what it is, for the demonstration and the shipped networks. Here k-space ends where the matrix ends, and what is
known of the result goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate import acr_mr as layout
from medqa.simulate import anatomy_mr
from medqa.simulate.mr_scan import Known, Scan, received, sampled, sensitivity
from medqa.simulate.mr_tissues import WEIGHTINGS, Label, Weighting
from medqa.simulate.phantom import PHANTOM, Phantom
from medqa.simulate.shapes import Grid, paint
from medqa.simulate.stack import Progress, finer, per_pixel, silent
from medqa.volume import Array

OBJECT_FINEST_MM: Final = 0.25
"""Holes of 0.9 mm are painted on pixels not larger than this."""
ANATOMY_FINEST_MM: Final = 1.0
HEAD_FIELD_MM, HEAD_LENGTH_MM, HEAD_CENTRE_MM = 240.0, 140.0, 12.0
ACR_FIELD_MM: Final = 250.0
ACR_WEIGHTINGS: Final = {"t1": Weighting(name="t1", technique="spin echo", repetition_ms=500, echo_ms=20)}
"""The spin echo that the guidance prescribes."""
FLUID: Final = "fluid"


class Make(Protocol):
    """Makes a phantom as a scan shows it."""

    def __call__(self, generator: np.random.Generator, scan: Scan, weighting: Weighting, progress: Progress) -> Phantom:
        """Return the phantom; `progress` is told how many slices are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A phantom by name: what it shows, how it is made, and what a scanner would call the examination."""

    name: str
    summary: str
    make: Make
    weightings: Mapping[str, Weighting]
    spacing_mm: float
    body_part: str


def make(name: str, generator: np.random.Generator, scan: Scan | None = None, progress: Progress = silent) -> Phantom:
    """Return the phantom of a name; without a scan, 256 pixels and the usual spacing of its kind.

    Raises
    ------
    InvalidPhantom
        Where there is no such phantom, or no such contrast of it.
    """
    kind = kind_of(name)
    scan = scan or Scan(spacing_mm=kind.spacing_mm)
    if scan.weighting not in kind.weightings:
        raise InvalidPhantom(phantom=f"{name} with {scan.weighting} weighting", reason=f"there are {', '.join(kind.weightings)}")
    return kind.make(generator, scan, kind.weightings[scan.weighting], progress)


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


def head(generator: np.random.Generator, scan: Scan, weighting: Weighting, progress: Progress = silent) -> Phantom:
    """Return the head that `phantom.mr` shows, in any contrast, with the class of every pixel."""
    grid = scan.grid(field_mm=HEAD_FIELD_MM, length_mm=HEAD_LENGTH_MM, centre_z_mm=HEAD_CENTRE_MM)
    fine, times = finer(grid, ANATOMY_FINEST_MM)
    patient = anatomy_mr.draw(fine, generator)
    signals = weighting.signals
    labels = np.empty((grid.slices, grid.size, grid.size), dtype=np.uint8)
    volumes = np.zeros(len(Label))

    def painted(index: int) -> Array:
        shares = per_pixel(anatomy_mr.shares(patient, fine, index), times)
        labels[index] = shares.argmax(axis=0)
        volumes[:] += shares.sum(axis=(1, 2), dtype=np.float64)
        return sampled(anatomy_mr.paint_slice(patient, fine, index, signals), fine, times, scan.taper)

    noise = signals["white"] / scan.snr
    array = _scanned(painted, grid, scan, noise, generator, progress)
    voxel_ml = grid.pixel_mm**2 * grid.spacing_mm / 1000
    known = Known(
        kind="mr-head",
        weighting=weighting,
        thickness_mm=scan.thick_mm,
        snr=scan.snr,
        noise=noise,
        coil=scan.coil,
        taper=scan.taper,
        signals=signals,
        labels=labels,
        volumes_ml={label.name.lower(): float(volumes[label]) * voxel_ml for label in Label if label is not Label.AIR},
    )
    return Phantom(modality="MR", array=array, grid=grid, known=known)


def acr(generator: np.random.Generator, scan: Scan, weighting: Weighting, progress: Progress = silent) -> Phantom:
    """Return the cylinder of `medqa.simulate.acr_mr`; a slice across the border of two sections shows its share of both."""
    grid = scan.grid(field_mm=ACR_FIELD_MM, length_mm=layout.SLICES * layout.SLICE_MM)
    fine, times = finer(grid, OBJECT_FINEST_MM)

    def painted(index: int) -> Array:
        image = np.zeros((fine.size, fine.size), dtype=np.float32)
        for section, low, high in layout.parts(float(grid.heights_mm[index]), scan.thick_mm):
            part = np.zeros_like(image)
            paint(part, fine, (low + high) / 2, layout.shapes(section, high - low))
            image += np.float32((high - low) / scan.thick_mm) * part
        return sampled(image, fine, times, scan.taper)

    noise = layout.FLUID / scan.snr
    array = _scanned(painted, grid, scan, noise, generator, progress)
    known = Known(
        kind="mr-acr",
        weighting=weighting,
        thickness_mm=scan.thick_mm,
        snr=scan.snr,
        noise=noise,
        coil=scan.coil,
        taper=scan.taper,
        signals={FLUID: layout.FLUID},
        layout=layout.truth(grid.size * grid.pixel_mm),
    )
    return Phantom(modality="MR", array=array, grid=grid, known=known)


def _scanned(
    painted: Callable[[int], Array], grid: Grid, scan: Scan, noise: float, generator: np.random.Generator, progress: Progress
) -> Array:
    profile = sensitivity(grid, scan, generator)
    array = np.empty((grid.slices, grid.size, grid.size), dtype=np.float32)
    for index in range(grid.slices):
        array[index] = received(painted(index) * profile[index], grid, scan, noise, generator)
        progress(index + 1, grid.slices)
    return array


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            name="mr-head",
            summary="the head of an adult, with the class of every pixel: CSF, grey, white matter, other",
            make=head,
            weightings=WEIGHTINGS,
            spacing_mm=5.0,
            body_part="BRAIN",
        ),
        Kind(
            name="mr-acr",
            summary="a cylinder of fluid, 19 cm: holes, ramps and wedges, uniformity and ghosts, low-contrast spokes",
            make=acr,
            weightings=ACR_WEIGHTINGS,
            spacing_mm=layout.SLICE_MM,
            body_part=PHANTOM,
        ),
    )
}
