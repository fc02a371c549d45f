"""PET headers such as the big makers write: units, decay, times of the beds, and what a reader needs for the SUV.

All correct for decay to the start of the series; every bed has its own time, its own frame reference time and its own decay factor.
Philips stores counts, with factors to SUV and to Bq/ml in its private attributes. The header names no real maker: Manufacturer is
`Phantom Works`.

Source: the makers' DICOM conformance statements, simplified; PS3.3 C.8.9 (PET), C.7.6.16.2.3 for what a frame's decay refers to.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset

from medqa.errors import InvalidPhantom
from medqa.simulate import study
from medqa.simulate.anatomy_pet import HALF_LIFE_S
from medqa.simulate.pet_phantoms import kind_of
from medqa.simulate.pet_scan import Known
from medqa.simulate.phantom import PHANTOM, Phantom
from medqa.simulate.study import WHEN, Form
from medqa.volume import Array

BED_S: Final = 180.0
"""Time of a bed at the counts of a full scan."""
OVERLAP: Final = 0.25
"""Share of a bed that the next one sees again."""
DECAY_PER_S: Final = math.log(2) / HALF_LIFE_S
COUNT_BQ_PER_ML: Final = 2.134638
"""What a stored count is worth where counts are stored."""
GE_GROUP, GE_CREATOR = 0x0009, "GEMS_PETD_01"
PHILIPS_GROUP, PHILIPS_CREATOR = 0x7053, "Philips PET Private Group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A way to write headers: length of a bed, units (`BQML`, or `CNTS` with factors), and whose private attributes there are."""

    name: str
    summary: str
    bed_mm: float
    units: str = "BQML"
    creator: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


VENDORS: Final = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            name="ge",
            summary="BQML, corrected to the start of the series, which a private attribute tells as well; beds of 157 mm",
            bed_mm=157.0,
            creator=GE_CREATOR,
            values={
                "CorrectedImage": ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "RADL", "DCAL", "SLSENS", "NORM"],
                "RandomsCorrectionMethod": "SING",
                "AttenuationCorrectionMethod": "measured,, 0.096000 cm-1,",
                "ScatterCorrectionMethod": "Convolution subtraction",
                "ReconstructionMethod": "OSEM",
                "ConvolutionKernel": None,
                "CollimatorType": "RING",
                "FieldOfViewShape": "CYLINDRICAL RING",
                "FieldOfViewDimensions": [700, 157],
            },
        ),
        Vendor(
            name="siemens",
            summary="BQML, corrected to the start of the series; OSEM2D 3i8s, XYZ Gauss5.00; beds of 162 mm",
            bed_mm=162.0,
            values={
                "CorrectedImage": ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"],
                "RandomsCorrectionMethod": "DLYD",
                "AttenuationCorrectionMethod": "CT-derived mu-map",
                "ScatterCorrectionMethod": "Model-based",
                "CollimatorType": "NONE",
            },
        ),
        Vendor(
            name="philips",
            summary="CNTS, with private factors to SUV and to Bq/ml; beds of 180 mm",
            bed_mm=180.0,
            units="CNTS",
            creator=PHILIPS_CREATOR,
            values={
                "CorrectedImage": ["DECY", "RADL", "ATTN", "SCAT", "DTIM", "RAN", "NORM"],
                "RandomsCorrectionMethod": "DLYD",
                "AttenuationCorrectionMethod": "CTAC-SG",
                "ScatterCorrectionMethod": "SS-SIMUL",
                "ReconstructionMethod": "OSEM",
                "ConvolutionKernel": None,
                "SUVType": None,
                "FieldOfViewShape": "CYLINDRICAL RING",
                "FieldOfViewDimensions": [903, 180],
            },
        ),
        Vendor(
            name="philips-new",
            summary="BQML, with the same private factors",
            bed_mm=164.0,
            creator=PHILIPS_CREATOR,
            values={
                "CorrectedImage": ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"],
                "RandomsCorrectionMethod": "DLYD",
                "AttenuationCorrectionMethod": "CTAC-SG",
                "ScatterCorrectionMethod": "SS-SIMUL",
                "ReconstructionMethod": "OSEM",
                "ConvolutionKernel": None,
            },
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
        raise InvalidPhantom(phantom=f"with the PET header of {name}", reason=f"there are {', '.join(VENDORS)}")
    return VENDORS[name]


def form(phantom: Phantom, vendor: Vendor, *, seed: int = 0, number: int = 1) -> Form:
    """Return the form that a PET phantom is written with.

    Raises
    ------
    InvalidPhantom
        Where it is no phantom of `medqa.simulate.pet_phantoms`.
    """
    known = phantom.known
    if not isinstance(known, Known):
        raise InvalidPhantom(phantom=phantom.modality, reason="nothing is known of its activity")
    grid = phantom.grid
    # All that was chosen stands in the label, from which the UIDs are made: other counts are another series.
    label = (
        f"{known.kind} {vendor.name} {grid.size}x{grid.slices} {grid.pixel_mm:.4g}x{grid.spacing_mm:.4g}"
        f" counts {known.counts:.4g} filter {known.filter_mm:.4g} resolution {known.resolution_mm:.4g}"
        f" iterations {known.iterations}"
    )
    seconds = BED_S * known.counts

    def finish(dataset: Dataset, index: int) -> None:
        _time(dataset, bed(index, grid.slices, grid.spacing_mm, vendor.bed_mm) * seconds, seconds)
        tracer = dataset.RadiopharmaceuticalInformationSequence[0]
        tracer.RadionuclideTotalDose = f"{known.injected_bq:.8g}"
        _private(dataset, vendor, known)

    return study.form_of(
        phantom, seed=seed, number=number, label=label, values=_examination(phantom, known, vendor, seconds), finish=finish
    )


def save(
    folder: Path, phantom: Phantom, vendor: Vendor, *, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> tuple[Path, ...]:
    """Write a PET phantom as DICOM files `0001.dcm` … into a folder; `progress` is told how many slices are on their way."""
    unit = np.float32(COUNT_BQ_PER_ML if vendor.units == "CNTS" else 1)

    def told() -> Iterator[Array]:
        for done, image in enumerate(phantom.array, start=1):
            yield image / unit
            progress(done)

    return study.save(folder, told(), form(phantom, vendor, seed=seed))


def bed(index: int, slices: int, spacing_mm: float, bed_mm: float) -> int:
    """Return the number of the bed that a slice belongs to, from the feet up; the last has what is left over."""
    step_mm = bed_mm * (1 - OVERLAP)
    beds = max(1, math.ceil((slices * spacing_mm - bed_mm) / step_mm) + 1)
    return min(int((index + 0.5) * spacing_mm / step_mm), beds - 1)


def decay_factor(start_s: float, duration_s: float) -> float:
    """Return what the mean activity of a frame is multiplied by to get that at the start of the series."""
    decays = DECAY_PER_S * duration_s
    return math.exp(DECAY_PER_S * start_s) * decays / -math.expm1(-decays)


def _time(dataset: Dataset, start_s: float, duration_s: float) -> None:
    when = WHEN + datetime.timedelta(seconds=start_s)
    dataset.AcquisitionDate, dataset.AcquisitionTime = when.strftime("%Y%m%d"), when.strftime("%H%M%S.%f")
    factor = decay_factor(start_s, duration_s)
    dataset.DecayFactor = f"{factor:.6f}"
    # The activity has its corrected value when it has decayed by just that factor.
    dataset.FrameReferenceTime = f"{1000 * math.log(factor) / DECAY_PER_S:.1f}"


def _private(dataset: Dataset, vendor: Vendor, known: Known) -> None:
    if vendor.creator == GE_CREATOR:
        block = dataset.private_block(GE_GROUP, GE_CREATOR, create=True)
        block.add_new(0x0D, "DT", WHEN.strftime("%Y%m%d%H%M%S.00"))
    elif vendor.creator == PHILIPS_CREATOR:
        block = dataset.private_block(PHILIPS_GROUP, PHILIPS_CREATOR, create=True)
        bq_per_ml = COUNT_BQ_PER_ML if vendor.units == "CNTS" else 1.0
        block.add_new(0x00, "DS", f"{bq_per_ml / known.bq_per_ml:.8g}")
        block.add_new(0x09, "DS", f"{bq_per_ml:.8g}")


def _examination(phantom: Phantom, known: Known, vendor: Vendor, seconds: float) -> dict[str, Any]:
    """Return what units, counts and kind of examination say in the header; None leaves an attribute out."""
    kind = kind_of(known.kind)
    grid = phantom.grid
    scale = 1 / COUNT_BQ_PER_ML if vendor.units == "CNTS" else 1.0
    top = float(np.percentile(phantom.array[:: max(1, len(phantom.array) // 8)], 99.5)) * scale
    values = {
        "Manufacturer": "Phantom Works",
        "ManufacturerModelName": f"Simulated PET, {vendor.name}-like",
        "BodyPartExamined": kind.body_part,
        # Type 2C: nothing says that a phantom is no paired structure.
        "Laterality": "" if kind.body_part == PHANTOM else None,
        "PatientWeight": f"{known.weight_kg:.8g}",
        "SeriesType": ["WHOLE BODY" if kind.whole_body else "STATIC", "IMAGE"],
        "Units": vendor.units,
        "ReconstructionDiameter": grid.size * grid.pixel_mm,
        "ActualFrameDuration": max(1, round(1000 * seconds)),
        "ReconstructionMethod": f"OSEM2D {known.iterations}i8s",
        "ConvolutionKernel": f"XYZ Gauss{known.filter_mm:.2f}",
        "WindowCenter": round(top / 2),
        "WindowWidth": max(1, round(top)),
    }
    return values | ({} if kind.whole_body else {"PatientSize": None}) | dict(vendor.values)
