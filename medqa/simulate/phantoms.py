"""Every phantom by name, of CT, MR and PET: how it is scanned, and the headers that it can be written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate import (
    ct_phantoms,
    ct_scan,
    mr_phantoms,
    mr_scan,
    mr_vendors,
    pet_phantoms,
    pet_scan,
    pet_vendors,
    vendors,
)
from medqa.simulate.phantom import Phantom
from medqa.simulate.reformat import Planes
from medqa.simulate.stack import Progress

KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "CT": {kind.name: kind.summary for kind in ct_phantoms.KINDS.values()},
    "MR": {kind.name: kind.summary for kind in mr_phantoms.KINDS.values()},
    "PT": {kind.name: kind.summary for kind in pet_phantoms.KINDS.values()},
}
"""Names and summaries by modality."""
VENDORS: Final[Mapping[str, Mapping[str, str]]] = {
    "CT": {vendor.name: vendor.summary for vendor in vendors.VENDORS.values()},
    "MR": {vendor.name: vendor.summary for vendor in mr_vendors.VENDORS.values()},
    "PT": {vendor.name: vendor.summary for vendor in pet_vendors.VENDORS.values()},
}


def modality_of(name: str) -> str:
    """Return the modality of a phantom.

    Raises
    ------
    InvalidPhantom
        Where there is none of this name.
    """
    for modality, kinds in KINDS.items():
        if name in kinds:
            return modality
    raise InvalidPhantom(phantom=name, reason=f"there are {', '.join(name for kinds in KINDS.values() for name in kinds)}")


def scanned(name: str, generator: np.random.Generator, asked: Mapping[str, Any], progress: Progress) -> Phantom:
    """Return the phantom of a name; `asked` are fields of the `Scan` of its modality, others stay as usual."""
    modality = modality_of(name)
    if modality == "MR":
        mr = mr_scan.Scan(**{"spacing_mm": mr_phantoms.kind_of(name).spacing_mm} | dict(asked))
        return mr_phantoms.make(name, generator, mr, progress)
    if modality == "PT":
        pet = pet_scan.Scan(**{"spacing_mm": pet_phantoms.kind_of(name).spacing_mm} | dict(asked))
        return pet_phantoms.make(name, generator, pet, progress)
    ct = ct_scan.Scan(**{"spacing_mm": ct_phantoms.kind_of(name).spacing_mm} | dict(asked))
    return ct_phantoms.make(name, generator, ct)


def check_vendor(name: str, vendor: str) -> None:
    """Do nothing where the phantom of a name can be written with a vendor's header.

    Raises
    ------
    InvalidPhantom
        Where there is no such header.
    """
    {"CT": vendors.vendor_of, "MR": mr_vendors.vendor_of, "PT": pet_vendors.vendor_of}[modality_of(name)](vendor)


def save(
    folder: Path,
    phantom: Phantom,
    vendor: str,
    *,
    seed: int,
    tilt_deg: float = 0.0,
    wanted: Planes | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Path, ...]:
    """Write a phantom with a vendor's header as DICOM files into a folder; `tilt_deg` and `wanted` hold for CT."""
    if phantom.modality == "MR":
        return mr_vendors.save(folder, phantom, mr_vendors.vendor_of(vendor), seed=seed, progress=progress)
    if phantom.modality == "PT":
        return pet_vendors.save(folder, phantom, pet_vendors.vendor_of(vendor), seed=seed, progress=progress)
    maker = vendors.vendor_of(vendor)
    return vendors.save(folder, phantom, maker, seed=seed, tilt_deg=tilt_deg, wanted=wanted, progress=progress)


def save_labels(path: Path, phantom: Phantom) -> bool:
    """Write the class of every pixel as an image for viewers of volumes; return whether the phantom has any."""
    import SimpleITK as sitk

    known = phantom.known
    if not isinstance(known, mr_scan.Known) or known.labels is None:
        return False
    grid = phantom.grid
    image = sitk.GetImageFromArray(known.labels)
    image.SetSpacing((grid.pixel_mm, grid.pixel_mm, grid.spacing_mm))
    first = float(grid.axis_mm[0])
    image.SetOrigin((first, first, float(grid.heights_mm[0])))
    sitk.WriteImage(image, str(path), useCompression=True)
    return True
