"""The series of the demonstration: phantoms, good and spoiled in ways that the truth is known of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.simulate import mr, phantom, study
from medqa.simulate.phantom import Phantom

GOOD: Final = frozenset({"ADEQUATE"})
FLAGGED: Final = frozenset({"RESCAN", "REVIEW"})
LITTLE: Final = 1 / 16
"""Share of dose, or of counts, that counts as far too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A series: how it is made, and the verdicts that agree with that.

    `make` returns the phantom; `values` are header attributes that go with it; `lost` slices are never sent.
    """

    name: str
    make: Callable[[np.random.Generator], Phantom]
    agree: frozenset[str]
    values: Mapping[str, Any] = field(default_factory=dict)
    lost: range = range(0)

    def write(self, folder: Path, seed: int) -> str:
        """Make the series and write it into a folder; return its Series Instance UID."""
        made = self.make(np.random.default_rng(seed))
        form = study.form_of(made, seed=seed, label=self.name, number=seed, values=self.values)
        for index, path in enumerate(study.save(folder, made.array, form)):
            if index in self.lost:
                path.unlink()
        return form.series_uid


def _blank(generator: np.random.Generator) -> Phantom:
    made = phantom.ct(generator)
    made.array[len(made.array) // 2] = -1000
    return made


def _moved(generator: np.random.Generator) -> Phantom:
    made = phantom.mr(generator)
    pixel_mm = made.grid.pixel_mm
    for image in made.array:
        plan = mr.draw("motion", 4, generator, pixel_mm=pixel_mm, phase_axis=1)
        image[:] = mr.apply(image, plan, pixel_mm=pixel_mm).array
    return made


def _pet(generator: np.random.Generator, counts: float = 1.0) -> Phantom:
    return phantom.pet(generator, slices=60, spacing_mm=14.0, counts=counts)


SCENARIOS: Final = (
    Scenario(name="CT abdomen, full dose", make=phantom.ct, agree=GOOD),
    Scenario(
        name="CT abdomen, 1/16 of the dose",
        make=lambda generator: phantom.ct(generator, dose=LITTLE),
        agree=FLAGGED,
        values={"XRayTubeCurrent": 14, "Exposure": 7, "CTDIvol": 0.53},
    ),
    Scenario(name="CT abdomen, one blank slice", make=_blank, agree=frozenset({"RESCAN"})),
    Scenario(name="CT abdomen, three slices lost", make=phantom.ct, agree=frozenset({"REVIEW"}), lost=range(14, 17)),
    Scenario(name="MR head, still", make=phantom.mr, agree=GOOD),
    Scenario(name="MR head, moving", make=_moved, agree=FLAGGED),
    Scenario(name="PET trunk, full counts", make=_pet, agree=GOOD),
    Scenario(
        name="PET trunk, 1/16 of the counts",
        make=lambda generator: _pet(generator, counts=LITTLE),
        agree=FLAGGED,
        values={"ActualFrameDuration": 11_250},
    ),
)
