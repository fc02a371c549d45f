"""The own noise of a PET slice: told from anatomy, by level and by grain, against noise that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.simulate import pet
from medqa.simulate.degradation import Plan
from medqa.simulate.pet import own_noise, thinned
from medqa.volume import Array
from tests.science.pt_factories import grain

SIZE, PIXEL_MM = 96, 4.0
Y, X = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL_MM


def anatomy() -> Array:
    """Return a trunk, brighter towards the front, with a liver, two kidneys, a cold stomach and bowel; blurred as by a scanner."""
    rng = np.random.default_rng(7)
    trunk = (X / 170) ** 2 + (Y / 115) ** 2 < 1
    shown = np.where(trunk, 1.0 - 0.002 * Y, 0.0)
    shown[trunk & (((X + 75) / 65) ** 2 + (Y / 75) ** 2 < 1)] = 2.2
    shown[np.hypot(X - 60, Y + 30) < 32] = 0.5
    for side in (-1, 1):
        shown[np.hypot(X - side * 60, Y - 70) < 22] = 4.0
    for x, y in rng.uniform((20, -50), (120, 60), size=(12, 2)):
        shown[np.hypot(X - x, Y - y) < 10] = rng.uniform(0.6, 1.8)
    return ndimage.gaussian_filter(shown, 6 / 2.355 / PIXEL_MM).astype(np.float32)


def neighbours(change: Array) -> float:
    """Return the correlation of neighbours in the liver."""
    liver = (np.abs(X + 75) < 36) & (np.abs(Y) < 40)
    return float(np.corrcoef(change[:, :-1][liver[:, :-1]], change[:, 1:][liver[:, :-1]])[0, 1])


@pytest.mark.parametrize("share", [0.6, 0.8, 1.0])
def test_windows_that_hold_anatomy_do_not_count(share: float) -> None:
    rng = np.random.default_rng(1)
    noise, own = rng.chisquare(12, size=(2, 4000))
    own[rng.random(4000) > share] *= rng.uniform(4, 40)
    assert own_noise.level(1.5**2 * own, noise) == pytest.approx(1.5, rel=0.05)
    assert share == 1.0 or np.quantile(own, 0.25) > 1.05 * np.quantile(noise, 0.25)


@pytest.mark.parametrize("deviation", [0.08, 0.2])
@pytest.mark.parametrize("fwhm_mm", [5.0, 10.0])
def test_level_and_grain_are_those_of_the_noise_that_was_put_in(deviation: float, fwhm_mm: float) -> None:
    rng = np.random.default_rng(3)
    clean = anatomy()
    levels, grains = [], []
    for _ in range(3):
        own = deviation * clean * grain(rng, clean.shape, fwhm_mm, PIXEL_MM).astype(np.float32)
        made = own_noise.like(clean + own, clean * rng.normal(size=clean.shape).astype(np.float32), PIXEL_MM)
        assert made is not None
        levels.append(made[clean > 0.5].std() / own[clean > 0.5].std())
        grains.append((neighbours(made), neighbours(own)))
    assert np.mean(levels) == pytest.approx(1, abs=0.1)
    made_grain, own_grain = np.mean(grains, axis=0)
    assert made_grain == pytest.approx(own_grain, abs=0.06)


@pytest.mark.parametrize("filter_mm", [3.5, 9.0])
def test_half_of_the_counts_has_root_two_of_the_noise_among_organs(filter_mm: float) -> None:
    clean = anatomy()
    liver = (((X + 75) / 50) ** 2 + (Y / 60) ** 2 < 1) & (clean > 0)
    before, after = [], []
    for seed in range(2):
        scan = {"counts": 0.25, "filter_mm": filter_mm, "seed": float(seed)}
        image = pet.apply(clean, Plan(modality="PT", kind="counts", level=0, parameters=scan), pixel_mm=PIXEL_MM).array
        half = Plan(modality="PT", kind="thinned", level=0, parameters={"share": 0.5, "seed": 100.0 + seed})
        before.append((image - clean)[liver].std())
        after.append((pet.apply(image, half, pixel_mm=PIXEL_MM).array - clean)[liver].std())
    assert np.mean(after) / np.mean(before) == pytest.approx(np.sqrt(2), rel=0.1)


def test_a_slice_without_noise_gets_none_and_one_without_a_body_is_not_asked() -> None:
    noise = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    flat = own_noise.like(np.ones((SIZE, SIZE), dtype=np.float32), noise, PIXEL_MM)
    assert flat is not None
    assert np.abs(flat).max() < 1e-3
    for none in (np.zeros((SIZE, SIZE), dtype=np.float32), np.ones((3, 3), dtype=np.float32)):
        assert own_noise.like(none, np.zeros_like(none), PIXEL_MM) is None


def test_where_the_body_is_too_small_noise_is_that_of_a_usual_scan() -> None:
    small = (np.hypot(X, Y) < 12).astype(np.float32)
    change = thinned.change(small, {"share": 0.5, "seed": 1.0}, PIXEL_MM)
    assert change[small > 0].std() == pytest.approx(0.12, rel=0.1)
