"""Faults of a PET header: pixels stay, uptake values change by the factor that arithmetic gives, on disk as in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medqa.errors import InvalidDegradation
from medqa.reader import read
from medqa.series import Series
from medqa.simulate import phantom, study
from medqa.simulate.anatomy_pet import HALF_LIFE_S, UPTAKE_S
from medqa.simulate.derived import write
from medqa.simulate.series import degrade_series
from medqa.simulate.series_faults import FAULTS


@pytest.fixture(scope="module")
def pet(tmp_path_factory: pytest.TempPathFactory) -> Series:
    folder = tmp_path_factory.mktemp("pet")
    made = phantom.pet(np.random.default_rng(1), slices=6, spacing_mm=40.0)
    study.save(folder, made.array, study.form_of(made, seed=1))
    (series,) = read(folder).series
    return series


@pytest.mark.parametrize(
    ("kind", "given", "ratio"),
    [
        ("pt-weight", {"factor": 1.4}, 1.4),
        ("pt-injection", {"minutes": 30.0}, 2 ** (30 * 60 / HALF_LIFE_S)),
        ("pt-injection", {"minutes": -15.0}, 2 ** (-15 * 60 / HALF_LIFE_S)),
        ("pt-dose", {"factor": 0.5}, 2.0),
        # An hour lies between injection and scan: 60 / 109.8 half-lives, 60 / 68.1 of the wrong ones.
        ("pt-half-life", {"factor": 0.62}, 2 ** (UPTAKE_S / HALF_LIFE_S * (1 / 0.62 - 1))),
    ],
)
def test_uptake_values_are_wrong_by_the_factor_of_arithmetic(
    pet: Series, tmp_path: Path, kind: str, given: dict[str, float], ratio: float
) -> None:
    made = degrade_series(pet, kind, np.random.default_rng(0), given=given)
    truth = write(made, tmp_path / "out")
    (found,) = read(tmp_path / "out").series
    for series in (made.series, found):
        before, after = (one.frames[0].header.suv_factor for one in (pet, series))
        assert before is not None
        assert after is not None
        assert after / before == pytest.approx(ratio, rel=1e-4)
        assert series.acquisition.pt is not None
        assert series.acquisition.pt.suv_factor == pytest.approx(after)
    assert truth.severity == pytest.approx(abs(ratio - 1), rel=1e-3)
    assert found.frames[2].read().array == pytest.approx(pet.frames[2].read().array, rel=1e-3, abs=1.0)
    if kind == "pt-weight":
        assert pet.header.PatientWeight != found.header.PatientWeight
    assert made.series.acquisition.pt == found.acquisition.pt != pet.acquisition.pt


def test_a_header_that_lacks_what_is_to_be_wrong_is_refused(pet: Series) -> None:
    import copy
    from dataclasses import replace

    header = copy.deepcopy(pet.header)
    del header.PatientWeight
    with pytest.raises(InvalidDegradation, match="PatientWeight"):
        degrade_series(replace(pet, header=header), "pt-weight", np.random.default_rng(0), level=1)


@pytest.mark.parametrize("kind", ["pt-weight", "pt-injection", "pt-dose", "pt-half-life"])
def test_a_header_is_wrong_for_all_slices_or_none(pet: Series, kind: str) -> None:
    with pytest.raises(InvalidDegradation, match="whole series"):
        degrade_series(pet, kind, np.random.default_rng(0), level=1, slab=(1, 3))


def test_breathing_along_the_stack_keeps_the_activity_and_weighs_the_held_breath_most() -> None:
    shown = FAULTS["respiratory"].arrange({"slices": 6.0, "seed": 0.0}, [range(40)], (0, 39))
    for one in shown:
        assert sum(weight for _, weight in one.pixels) == pytest.approx(1)
    steps = {place - 20: weight for place, weight in shown[20].pixels}
    assert max(steps) - min(steps) == pytest.approx(6, abs=1)
    # The mean position stays; the breath is held at one end, where most of the time is spent.
    assert sum(step * weight for step, weight in steps.items()) == pytest.approx(0, abs=0.3)
    assert max(steps, key=lambda step: steps[step]) == min(steps)
