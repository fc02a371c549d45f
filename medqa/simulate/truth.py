"""What is known of a degraded series: kind, parameters with their units, which frames, how bad each of them is and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from medqa import __version__
from medqa.simulate.degradation import Mask, Parameter

SEVERITY: Final = {
    "CT": Parameter("severity", "root mean square change within the body", "HU", 0.0, float("inf")),
    "MR": Parameter("severity", "root mean square change within the body, as a share of its mean signal", "1", 0.0, float("inf")),
    "PT": Parameter("severity", "root mean square change within the body, as a share of its mean signal", "1", 0.0, float("inf")),
}
"""What the severity of a frame means in each modality; it is measured on the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFacts:
    """A mask in a few numbers: its share of the frame, and the box that holds it, in rows and columns, ends included."""

    share: float
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTruth:
    """One frame of the result: frames are counted from 0, those of the original in `source` with their weights."""

    frame: int
    sop_instance_uid: str
    source_sop_instance_uid: str
    source: tuple[tuple[int, float], ...]
    affected: bool
    severity: float
    mask: MaskFacts | None = None
    """None where the degradation is diffuse, or local and nowhere in this frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The truth of one series, as it is written to JSON."""

    kind: str
    summary: str
    source: str
    modality: str
    local: bool
    """Whether each affected frame has a mask; else the degradation is diffuse, everywhere in the frame."""
    level: int
    parameters: tuple[tuple[Parameter, float], ...]
    settled: Mapping[str, float]
    """What one slice decided for all, by name with its unit; places of metal count from the middle of the image."""
    seed: int
    slab: tuple[int, int]
    series_uid: str
    source_series_uid: str
    source_frames: int
    lost: tuple[int, ...]
    """Frames of the original that the result lacks."""
    frames: tuple[FrameTruth, ...]

    @property
    def severity(self) -> float:
        """The median over the affected frames; 0 where there are none."""
        worse = [frame.severity for frame in self.frames if frame.affected]
        return float(np.median(worse)) if worse else 0.0

    @property
    def text(self) -> str:
        """One sentence, with slices counted from 1 as reports do."""
        return sentence(self.kind, self.parameters, self.slab, self.source_frames)

    def to_json(self) -> dict[str, Any]:
        """Return what `truth.json` holds of this series."""
        severity = SEVERITY[self.modality]
        parameters = [
            {"name": parameter.name, "value": value, "unit": parameter.unit, "meaning": parameter.meaning}
            for parameter, value in self.parameters
        ]
        return {
            "made_by": f"medqa {__version__}",
            "text": self.text,
            "kind": self.kind,
            "summary": self.summary,
            "source": self.source,
            "modality": self.modality,
            "extent": "local" if self.local else "diffuse",
            "level": self.level or None,
            "parameters": parameters,
            "settled": dict(self.settled),
            "drawn_seed": self.seed,
            "frames_counted_from": 0,
            "slab": list(self.slab),
            "series_uid": self.series_uid,
            "source_series_uid": self.source_series_uid,
            "source_frames": self.source_frames,
            "lost_source_frames": list(self.lost),
            "severity": {"median": round(self.severity, 5), "unit": severity.unit, "meaning": severity.meaning},
            "frames": [asdict(frame) for frame in self.frames],
        }


def mask_facts(mask: Mask | None) -> MaskFacts | None:
    """Return a mask in a few numbers, None where there is none or nothing in it."""
    if mask is None or not mask.any():
        return None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return MaskFacts(
        share=round(float(mask.mean()), 5),
        rows=(int(rows[0]), int(rows[-1])),
        columns=(int(columns[0]), int(columns[-1])),
    )


def sentence(kind: str, parameters: Sequence[tuple[Parameter, float]], slab: tuple[int, int], frames: int) -> str:
    """Return how strongly which slices, counted from 1, were spoiled: `ct-dose (dose 0.25) in slices 3-5 of 6`."""
    strength, value = parameters[0]
    # Most names say their unit already (`displacement_mm`), and what is counted needs none (`count 2`).
    said = strength.name.endswith(strength.unit.lower().replace("/", "per_"))
    told = said or strength.unit == "1" or (strength.unit.islower() and len(strength.unit) > 3)
    unit = "" if told else f" {strength.unit}"
    first, last = slab[0] + 1, slab[1] + 1
    if (first, last) == (1, frames):
        which = f"all {frames} slices" if frames > 1 else "the only slice"
    else:
        which = f"slice {first} of {frames}" if first == last else f"slices {first}-{last} of {frames}"
    return f"{kind} ({strength.name} {value:.4g}{unit}) in {which}"
