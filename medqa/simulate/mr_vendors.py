"""MR headers such as the big makers write: what differs between them and what a reader must cope with.

Each maker has its own names for sequences and options, its own bits, and Philips scales what is stored. The header says what was
simulated (contrast, thickness) and names no real maker: Manufacturer is `Phantom Works`.

Source: the makers' DICOM conformance statements, simplified; PS3.3 C.8.3 (MR).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.errors import InvalidPhantom
from medqa.simulate import study
from medqa.simulate.mr_phantoms import kind_of
from medqa.simulate.mr_scan import Known
from medqa.simulate.phantom import PHANTOM, Phantom
from medqa.simulate.study import MR_LARGEST, Form
from medqa.volume import Array

TECHNIQUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "gradient echo": {"ScanningSequence": "GR", "SequenceVariant": "SP", "EchoTrainLength": 1},
    "spin echo": {"ScanningSequence": "SE", "SequenceVariant": "NONE", "EchoTrainLength": 1},
    "turbo spin echo": {"ScanningSequence": "SE", "SequenceVariant": "SK", "EchoTrainLength": 15},
    "inversion recovery": {"ScanningSequence": ["SE", "IR"], "SequenceVariant": "SK", "EchoTrainLength": 16},
}
SIGNED: Final = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A way to write headers: `sequences` are names by technique, `image_types` what follows ORIGINAL, PRIMARY.

    `phase` is the direction in which phase is encoded; `scaled` tells whether stored values need a slope.
    """

    name: str
    summary: str
    sequences: Mapping[str, str | None]
    image_types: Mapping[str, tuple[str, ...]]
    options: list[str]
    phase: str
    scaled: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)


VENDORS: Final = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            name="ge",
            summary="16 bits, signed; phase encoded along columns; FAST_GEMS, FILTERED_GEMS; fspgr, se, fse, flair",
            sequences={"gradient echo": "fspgr", "spin echo": "se", "turbo spin echo": "fse", "inversion recovery": "flair"},
            image_types=dict.fromkeys(TECHNIQUES, ("OTHER",)),
            options=["FAST_GEMS", "FILTERED_GEMS"],
            phase="COL",
            values=SIGNED | {"PixelBandwidth": 244.141, "ImagingFrequency": 127.737, "ReceiveCoilName": "HNS Head"},
        ),
        Vendor(
            name="siemens",
            summary="12 bits, unsigned; phase encoded along rows; *fl2d1, *tse2d1_15, *tir2d1_16",
            sequences={
                "gradient echo": "*fl2d1",
                "spin echo": "*se2d1",
                "turbo spin echo": "*tse2d1_15",
                "inversion recovery": "*tir2d1_16",
            },
            image_types=dict.fromkeys(TECHNIQUES, ("M", "ND")),
            options=[],
            phase="ROW",
            values={"PixelBandwidth": 220, "ImagingFrequency": 123.2, "ReceiveCoilName": "HeadNeck_20"},
        ),
        Vendor(
            name="philips",
            summary="12 bits, unsigned, to be scaled by a slope; phase encoded along columns; no name of the sequence",
            sequences=dict.fromkeys(TECHNIQUES),
            image_types={
                "gradient echo": ("M_FFE", "M", "FFE"),
                "spin echo": ("M_SE", "M", "SE"),
                "turbo spin echo": ("M_SE", "M", "SE"),
                "inversion recovery": ("M_IR", "M", "IR"),
            },
            options=["OTHER"],
            phase="COL",
            scaled=True,
            values={"PixelBandwidth": 217.4, "ImagingFrequency": 127.764, "ReceiveCoilName": "SENSE-Head-8"},
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
        raise InvalidPhantom(phantom=f"with the MR header of {name}", reason=f"there are {', '.join(VENDORS)}")
    return VENDORS[name]


def form(phantom: Phantom, vendor: Vendor, *, seed: int = 0, number: int = 1) -> Form:
    """Return the form that an MR phantom is written with.

    Raises
    ------
    InvalidPhantom
        Where it is no phantom of `medqa.simulate.mr_phantoms`.
    """
    known = phantom.known
    if not isinstance(known, Known):
        raise InvalidPhantom(phantom=phantom.modality, reason="nothing is known of its sequence")
    grid = phantom.grid
    # All that was chosen stands in the label, from which the UIDs are made: another noise is another series.
    label = (
        f"{known.kind} {vendor.name} {known.weighting.name} {grid.size}x{grid.slices} {grid.pixel_mm:.4g}x{grid.spacing_mm:.4g}"
        f" snr {known.snr:.4g} coil {known.coil:.4g} thick {known.thickness_mm:.4g} taper {known.taper:.4g}"
    )
    return study.form_of(phantom, seed=seed, number=number, label=label, values=_examination(phantom, known, vendor))


def save(
    folder: Path, phantom: Phantom, vendor: Vendor, *, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> tuple[Path, ...]:
    """Write an MR phantom as DICOM files `0001.dcm` … into a folder; `progress` is told how many slices are on their way."""
    written = form(phantom, vendor, seed=seed)
    slope = np.float32(float(written.values.get("RescaleSlope") or 1))

    def told() -> Iterator[Array]:
        for done, image in enumerate(phantom.array, start=1):
            yield image / slope
            progress(done)

    return study.save(folder, told(), written)


def _examination(phantom: Phantom, known: Known, vendor: Vendor) -> dict[str, Any]:
    """Return what contrast and kind of examination say in the header; None leaves an attribute out."""
    kind, weighting, size = kind_of(known.kind), known.weighting, phantom.grid.size
    technique = weighting.technique
    largest = float(phantom.array.max())
    # What the display should show: nearly all of what is there.
    top = float(np.percentile(phantom.array[:: max(1, len(phantom.array) // 8)], 99.5))
    inverted = ["IR"] if weighting.inversion_ms is not None else []
    values = {
        "Manufacturer": "Phantom Works",
        "ManufacturerModelName": f"Simulated MR, {vendor.name}-like",
        "ImageType": ["ORIGINAL", "PRIMARY", *vendor.image_types[technique]],
        "BodyPartExamined": kind.body_part,
        # Type 2C: nothing says that a phantom is no paired structure.
        "Laterality": "" if kind.body_part == PHANTOM else None,
        "SliceThickness": known.thickness_mm,
        "SpacingBetweenSlices": phantom.grid.spacing_mm,
        "SequenceName": vendor.sequences[technique],
        "ScanOptions": [*vendor.options, *inverted] or "",
        "RepetitionTime": weighting.repetition_ms,
        "EchoTime": weighting.echo_ms,
        "InversionTime": weighting.inversion_ms,
        "FlipAngle": weighting.flip_deg,
        "InPlanePhaseEncodingDirection": vendor.phase,
        "AcquisitionMatrix": [size, 0, 0, size] if vendor.phase == "ROW" else [0, size, size, 0],
        "NumberOfPhaseEncodingSteps": size,
        "WindowCenter": round(top / 2),
        "WindowWidth": max(1, round(top)),
    }
    # The decimal string is what a reader multiplies by.
    scaling = {"RescaleSlope": f"{largest / MR_LARGEST:.8g}", "RescaleIntercept": 0, "RescaleType": "normalized"}
    return values | dict(TECHNIQUES[technique]) | dict(vendor.values) | (scaling if vendor.scaled else {})
