"""Scaling laws: phantoms made by other code, from projections and k-space, measured here."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.assess import assess
from medqa.config import Settings
from medqa.simulate import mr, phantom
from tests.science.factories import make_series


def values(arrays, modality: str, pixel_mm: float, **header) -> dict[str, float]:
    series = make_series(list(arrays), modality=modality, spacing_mm=(pixel_mm, pixel_mm), **header)
    return {one.quantity.value: one.value for one in assess(series, [], Settings()).measurements}


def test_noise_grows_with_the_inverse_root_of_the_dose() -> None:
    measured = {}
    for dose in (1.0, 1 / 4, 1 / 16):
        made = phantom.ct(np.random.default_rng(7), slices=3, size=256, realisations=3, dose=dose)
        measured[dose] = values(made.array, "CT", made.grid.pixel_mm)
    noise = {dose: found["ct_noise"] for dose, found in measured.items()}
    assert noise[1 / 4] / noise[1.0] == pytest.approx(2, rel=0.15)
    assert noise[1 / 16] / noise[1.0] == pytest.approx(4, rel=0.2)
    assert all(found["ct_air"] == pytest.approx(-1000, abs=20) for found in measured.values())


def test_noise_falls_when_slices_are_averaged() -> None:
    made = phantom.ct(np.random.default_rng(7), slices=8, spacing_mm=0.5, size=256, realisations=8)
    thin = values(made.array, "CT", made.grid.pixel_mm)["ct_noise"]
    thick = values([made.array[:4].mean(axis=0), made.array[4:].mean(axis=0)], "CT", made.grid.pixel_mm)["ct_noise"]
    assert thin / thick == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize(("axis", "direction"), [(0, "COL"), (1, "ROW")])
def test_motion_makes_ghosts_along_phase_encoding_and_spreads_the_energy(axis: int, direction: str) -> None:
    rng = np.random.default_rng(3)
    made = phantom.mr(rng, slices=6)
    pixel_mm = made.grid.pixel_mm
    plan = mr.draw("motion", 4, rng, pixel_mm=pixel_mm, phase_axis=axis)
    moved = [mr.apply(image, plan, pixel_mm=pixel_mm).array for image in made.array]
    still = values(made.array, "MR", pixel_mm, phase_encoding_axis=direction)
    shaken = values(moved, "MR", pixel_mm, phase_encoding_axis=direction)
    assert still["mr_ghosting"] == pytest.approx(0, abs=0.5)
    assert shaken["mr_ghosting"] > still["mr_ghosting"] + 1
    assert shaken["mr_efc"] > still["mr_efc"] + 0.02
