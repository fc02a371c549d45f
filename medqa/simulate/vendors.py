"""CT headers such as the big makers write: what differs between them and what a reader must cope with.

Each maker has its own way to store HU, to fill what lies outside the circle of reconstruction, and to name kernels and options. The
header says what was simulated (dose, kernel, field of view) and names no real maker: Manufacturer is `Phantom Works`.

Source: the makers' DICOM conformance statements, simplified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate import study
from medqa.simulate.ct_phantoms import Kind, kind_of
from medqa.simulate.ct_scan import SHARP_PER_MM, SOFT_PER_MM, Known
from medqa.simulate.phantom import PHANTOM, Phantom
from medqa.simulate.reformat import Planes, reformatted
from medqa.simulate.series import derived_image_type
from medqa.simulate.stored import Stored
from medqa.simulate.study import Form
from medqa.volume import Array

MAS_PER_MGY: Final = {160: 7.0, 320: 14.0}
"""Exposure that gives 1 mGy in the dosimetry phantom of a diameter in mm, at 120 kV and pitch 1: typical."""
ROTATION_MS: Final = 500
DOSIMETRY: Final = {160: ("113690", "IEC Head Dosimetry Phantom"), 320: ("113691", "IEC Body Dosimetry Phantom")}
KERNEL_BORDER_PER_MM: Final = (SOFT_PER_MM * SHARP_PER_MM) ** 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A way to write headers: kernels are soft and sharp, `circle` tells whether only a circle is reconstructed.

    `filters` are the names of the filters of the beam for body and head.
    """

    name: str
    summary: str
    stored: Stored
    circle: bool
    kernels: tuple[str | list[str], str | list[str]]
    filters: tuple[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)


VENDORS: Final = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            name="ge",
            summary="signed with intercept -1024, padding -2000 outside the circle, said in the header; STANDARD, BONE",
            stored=Stored(intercept=-1024, padding=-2000),
            circle=True,
            kernels=("STANDARD", "BONE"),
            filters=("BODY FILTER", "HEAD FILTER"),
            values={"ScanOptions": "HELICAL MODE", "FocalSpots": 1.2},
        ),
        Vendor(
            name="siemens",
            summary="12 bits, unsigned with intercept -1024, the circle filled with the lowest value; B30f, B70f",
            stored=Stored(intercept=-1024, signed=False, bits=12),
            circle=True,
            kernels=("B30f", "B70f"),
            filters=("FLAT", "WEDGE_2"),
            values={"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], "ScanOptions": None, "RescaleType": None},
        ),
        Vendor(
            name="siemens-new",
            summary="the same, with two values for the kernel and intercept -8192; Br40d, Br69d",
            stored=Stored(intercept=-8192, signed=False),
            circle=True,
            kernels=(["Br40d", "3"], ["Br69d", "3"]),
            filters=("FLAT", "WEDGE_2"),
            values={"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM7 SPI"]},
        ),
        Vendor(
            name="philips",
            summary="12 bits, unsigned with intercept -1024, the whole square reconstructed; B, D",
            stored=Stored(intercept=-1024, signed=False, bits=12),
            circle=False,
            kernels=("B", "D"),
            filters=("B", "A"),
            values={"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "HELIX"], "ScanOptions": "HELIX", "FocalSpots": None},
        ),
        Vendor(
            name="canon",
            summary="signed without intercept, -2048 outside the circle, not said in the header; FC18, FC81",
            stored=Stored(padding=-2048, declared=False),
            circle=True,
            kernels=("FC18", "FC81"),
            filters=("LARGE", "MEDIUM"),
            values={"ScanOptions": "HELICAL_CT", "FocalSpots": [0.9, 0.8]},
        ),
    )
}


def vendor_of(name: str) -> Vendor:
    """Return the vendor of a name.

    Raises
    ------
    InvalidPhantom
        Where there is none.
    """
    if name not in VENDORS:
        raise InvalidPhantom(phantom=f"with the header of {name}", reason=f"there are {', '.join(VENDORS)}")
    return VENDORS[name]


def form(
    phantom: Phantom, vendor: Vendor, *, seed: int = 0, tilt_deg: float = 0.0, number: int = 1, wanted: Planes | None = None
) -> Form:
    """Return the form that a CT phantom is written with.

    `tilt_deg` is what the gantry's geometry says; the phantom itself leans with its slices. `wanted` are slices made
    from the axial ones.

    Raises
    ------
    InvalidPhantom
        Where it is no phantom of `medqa.simulate.ct_phantoms`.
    """
    if not isinstance(phantom.known, Known):
        raise InvalidPhantom(phantom=phantom.modality, reason="nothing is known of its dose and kernel")
    kind = kind_of(phantom.known.kind)
    grid = phantom.grid
    known = phantom.known
    # All that was chosen stands in the label, from which the UIDs are made: another dose is another series.
    label = (
        f"{kind.name} {vendor.name} {grid.size}x{grid.slices} {grid.pixel_mm:.4g}x{grid.spacing_mm:.4g}"
        f" dose {known.dose:.4g} kernel {known.cutoff_per_mm:.4g} tilt {tilt_deg:.4g}"
    )
    values = _examination(known, kind, vendor) | {"ReconstructionDiameter": grid.size * grid.pixel_mm} | dict(vendor.values)
    if wanted is not None:
        label = f"{wanted.name} {label}"
        values["ImageType"] = list(derived_image_type("CT", values.get("ImageType", ())))
    return study.form_of(
        phantom,
        seed=seed,
        number=number,
        label=label,
        tilt_deg=0.0 if wanted else tilt_deg,
        placement=None if wanted is None else wanted.placement,
        stored=vendor.stored,
        values=values,
    )


def images(phantom: Phantom, vendor: Vendor) -> Iterator[Array]:
    """Yield the slices as the vendor reconstructs them: NaN where there is no value."""
    y, x = phantom.grid.plane()
    outside = np.hypot(y, x) > phantom.grid.size * phantom.grid.pixel_mm / 2
    for image in phantom.array:
        yield np.where(outside, np.float32(np.nan), image) if vendor.circle else image


def save(
    folder: Path,
    phantom: Phantom,
    vendor: Vendor,
    *,
    seed: int = 0,
    tilt_deg: float = 0.0,
    wanted: Planes | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Path, ...]:
    """Write a CT phantom as DICOM files `0001.dcm` … into a folder, axial or as the `wanted` slices.

    `progress` is told how many slices are on their way.
    """

    def told(slices: Iterable[Array]) -> Iterator[Array]:
        for done, image in enumerate(slices, start=1):
            yield image
            progress(done)

    axial = images(phantom, vendor)
    slices = axial if wanted is None else reformatted(axial, wanted)
    return study.save(folder, told(slices), form(phantom, vendor, seed=seed, tilt_deg=tilt_deg, wanted=wanted))


def _examination(known: Known, kind: Kind, vendor: Vendor) -> dict[str, Any]:
    """Return what dose, kernel and kind of examination say in the header; None leaves an attribute out."""
    mgy = kind.ctdi_mgy * known.dose
    mas = mgy * MAS_PER_MGY[kind.dosimetry_mm]
    code, meaning = DOSIMETRY[kind.dosimetry_mm]
    sharp = known.cutoff_per_mm > KERNEL_BORDER_PER_MM
    return {
        "Manufacturer": "Phantom Works",
        "ManufacturerModelName": f"Simulated CT, {vendor.name}-like",
        "BodyPartExamined": kind.body_part,
        # Type 2C: nothing says that a phantom is no paired structure.
        "Laterality": "" if kind.body_part == PHANTOM else None,
        "XRayTubeCurrent": max(1, round(mas / ROTATION_MS * 1000)),
        "ExposureTime": ROTATION_MS,
        "Exposure": max(1, round(mas)),
        "CTDIvol": float(f"{mgy:.4g}"),
        "CTDIPhantomTypeCodeSequence": [study.code(code, "DCM", meaning)],
        "SpiralPitchFactor": 1.0,
        "ConvolutionKernel": vendor.kernels[sharp],
        "FilterType": vendor.filters[kind.dosimetry_mm == min(DOSIMETRY)],
        "ContrastBolusAgent": "Iodine 350" if kind.contrast else None,
    }
