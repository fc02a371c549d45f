"""Tissues of the head as MR sees them: a signal for each part under T1, T2 and FLAIR weighting, and the class it is labelled with.

The T1 signals are chosen for a spoiled gradient echo. T2 and FLAIR follow the signal equations of spin echo and inversion recovery;
T1 and T2 of grey and white matter at 3 T are those of Wansapura et al., JMRI 9:531 (1999), those of CSF nearly free water's. The
others are set so that they look alike; the long T2 of fat is what many refocusing pulses leave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

Signals = Mapping[str, float]
"""Signal of each part by name, in arbitrary units."""


class Label(IntEnum):
    """Classes of the label map; what is neither brain nor CSF but gives signal, or could, is other."""

    AIR = 0
    CSF = 1
    GREY = 2
    WHITE = 3
    OTHER = 4


class Tissue(NamedTuple):
    """Class, signal of a T1-weighted gradient echo, proton density as a share of water's, T1 and T2 in ms."""

    label: Label
    t1_weighted: float
    density: float
    t1_ms: float
    t2_ms: float


TISSUES: Final[Mapping[str, Tissue]] = {
    "csf": Tissue(Label.CSF, 170.0, 1.0, 4000, 2000),
    "grey": Tissue(Label.GREY, 530.0, 0.82, 1331, 110),
    "white": Tissue(Label.WHITE, 720.0, 0.70, 832, 80),
    "stem": Tissue(Label.WHITE, 660.0, 0.72, 900, 82),
    "caudate": Tissue(Label.GREY, 590.0, 0.82, 1280, 96),
    "putamen": Tissue(Label.GREY, 585.0, 0.80, 1220, 88),
    "thalamus": Tissue(Label.GREY, 610.0, 0.78, 1150, 90),
    "skin": Tissue(Label.OTHER, 300.0, 0.70, 900, 45),
    "fat": Tissue(Label.OTHER, 980.0, 0.90, 380, 130),
    "orbit": Tissue(Label.OTHER, 980.0 * 0.85, 0.80, 400, 120),
    "muscle": Tissue(Label.OTHER, 430.0, 0.80, 1412, 50),
    "bone": Tissue(Label.OTHER, 60.0, 0.10, 500, 50),
    "petrous": Tissue(Label.OTHER, 90.0, 0.10, 700, 60),
    "meninges": Tissue(Label.OTHER, 330.0, 0.70, 1200, 40),
    "septum": Tissue(Label.OTHER, 420.0, 0.60, 1000, 60),
    "nerve": Tissue(Label.OTHER, 470.0, 0.70, 900, 80),
    "sclera": Tissue(Label.OTHER, 360.0, 0.60, 1200, 35),
    "vitreous": Tissue(Label.OTHER, 150.0, 1.0, 4000, 1500),
    "lens": Tissue(Label.OTHER, 400.0, 0.60, 1300, 30),
    "ear": Tissue(Label.OTHER, 450.0, 0.70, 900, 45),
    "nose": Tissue(Label.AIR, 20.0, 0.0, 1000, 50),
    "sinus": Tissue(Label.AIR, 15.0, 0.0, 1000, 50),
    "airway": Tissue(Label.AIR, 10.0, 0.0, 1000, 50),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """Times of a sequence in ms and its flip angle in degrees; `gain` brings the signals to the numbers that scanners store.

    `technique` is `gradient echo`, `spin echo`, `turbo spin echo` or `inversion recovery`.
    """

    name: str
    technique: str
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None = None
    flip_deg: float = 90.0
    gain: float = 1.0

    @property
    def signals(self) -> Signals:
        """Signal of each part of the head."""
        if self.technique == "gradient echo":
            return {name: tissue.t1_weighted for name, tissue in TISSUES.items()}
        return {name: self.gain * self._echo(tissue) for name, tissue in TISSUES.items()}

    def _echo(self, tissue: Tissue) -> float:
        saturated = math.exp(-self.repetition_ms / tissue.t1_ms)
        inverted = None if self.inversion_ms is None else math.exp(-self.inversion_ms / tissue.t1_ms)
        recovered = 1 - saturated if inverted is None else 1 - 2 * inverted + saturated
        return abs(recovered) * tissue.density * math.exp(-self.echo_ms / tissue.t2_ms)


WEIGHTINGS: Final = {
    weighting.name: weighting
    for weighting in (
        Weighting(name="t1", technique="gradient echo", repetition_ms=250, echo_ms=2.49, flip_deg=70),
        Weighting(name="t2", technique="turbo spin echo", repetition_ms=5000, echo_ms=90, flip_deg=150, gain=1500),
        Weighting(
            name="flair", technique="inversion recovery", repetition_ms=9000, echo_ms=90, inversion_ms=2370, flip_deg=150, gain=3000
        ),
    )
}


def only(label: Label) -> Signals:
    """Return signals of 1 for the parts of a class and 0 for the others: painted with them, the head is the share of that class."""
    return {name: float(tissue.label is label) for name, tissue in TISSUES.items()}


T1: Final = WEIGHTINGS["t1"].signals
