"""PET degradations do what physics says: each against a truth that is known without them."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.simulate import Plan, pet
from medqa.simulate.pet import arms, attenuation, extravasation
from medqa.simulate.pet.scanner import WATER_PER_MM, outline
from medqa.simulate.projector import beam_for, project
from medqa.volume import Array

SIZE, PIXEL_MM = 72, 5.0
Y, X = np.meshgrid(*(np.arange(SIZE) - SIZE // 2,) * 2, indexing="ij")
NEW = ("thinned", "attenuation", "extravasation", "arms", "jump")


def trunk() -> Array:
    """A body 300 mm wide and 220 mm high with a liver of three times its activity on the left of the image."""
    body = (Y / 22) ** 2 + (X / 30) ** 2 < 1
    liver = np.hypot(Y, X + 12) < 10
    return (body * 1000 + (liver & body) * 2000).astype(np.float32)


def plan(kind: str, **parameters: float) -> Plan:
    return pet.KINDS[kind].plan(np.random.default_rng(5), pixel_mm=PIXEL_MM, given=parameters)


def change(kind: str, image: Array | None = None, **parameters: float) -> Array:
    image = trunk() if image is None else image
    return pet.apply(image, plan(kind, **parameters), pixel_mm=PIXEL_MM).array - image


@pytest.mark.parametrize("kind", NEW)
def test_every_kind_gets_worse_level_by_level_repeats_exactly_and_holds_no_negative_activity(kind: str) -> None:
    severities = []
    # Fewer counts of a slice without noise are still without noise.
    image = noisy(1, 0.1) if kind == "thinned" else trunk()
    for level in (1, 2, 3, 4):
        made = pet.draw(kind, level, np.random.default_rng(3), pixel_mm=PIXEL_MM)
        first, again = (pet.apply(image, made, pixel_mm=PIXEL_MM) for _ in range(2))
        assert np.array_equal(first.array, again.array)
        assert (first.array >= 0).all()
        severities.append(first.severity)
    assert severities == sorted(severities)
    assert severities[3] > 1.5 * severities[0] > 0


def noisy(seed: int, noise: float) -> Array:
    flat = ((Y / 22) ** 2 + (X / 30) ** 2 < 1).astype(np.float32)
    made = plan("counts", counts=1 / (1 + (noise / 0.12) ** 2), filter_mm=5.0)
    again = Plan(modality="PT", kind="counts", level=0, parameters={**made.parameters, "seed": float(seed)})
    return pet.apply(flat * 1000, again, pixel_mm=PIXEL_MM).array


def test_half_of_the_counts_has_root_two_of_the_noise_whatever_the_noise_was() -> None:
    middle = (np.abs(Y) < 12) & (np.abs(X) < 18)
    for noise in (0.06, 0.15):
        ratios = []
        for seed in range(4):
            image = noisy(seed, noise)
            made = plan("thinned", share=0.5)
            own = Plan(modality="PT", kind="thinned", level=0, parameters={**made.parameters, "seed": 50.0 + seed})
            after = pet.apply(image, own, pixel_mm=PIXEL_MM).array
            ratios.append(after[middle].std() / image[middle].std())
        assert np.mean(ratios) == pytest.approx(np.sqrt(2), rel=0.1)


def test_the_whole_of_the_counts_changes_nothing() -> None:
    assert np.abs(change("thinned", noisy(1, 0.1), share=1.0)).max() < 1e-3


def test_what_is_taken_for_lung_reads_too_low_by_what_all_rays_through_it_lack() -> None:
    missing = 0.1
    done = pet.apply(trunk(), plan("attenuation", missing=missing, diameter_mm=50.0), pixel_mm=PIXEL_MM)
    made = plan("attenuation", missing=missing, diameter_mm=50.0)
    row, column = attenuation.place(trunk() / 1500, PIXEL_MM)
    assert np.hypot(row - SIZE // 2, column - (SIZE // 2 - 12)) < 6
    wrong = attenuation.lung(trunk() / 1500, made.parameters, PIXEL_MM)
    # Every ray lacks missing x mu x (its way through the region) of its whole integral: the projection of a region with that value.
    beam = beam_for(trunk().shape, PIXEL_MM, views=60)
    lines = project(trunk(), beam, PIXEL_MM)
    through = lines[project(wrong.astype(np.float32), beam, PIXEL_MM) > 40]
    expected = missing * WATER_PER_MM * through.mean() / trunk()[wrong].mean()
    assert 1 - done.array[wrong].mean() / trunk()[wrong].mean() == pytest.approx(expected, rel=0.25)
    far = (np.hypot(Y, X - 18) < 6) & (trunk() > 0)
    assert done.array[far].mean() == pytest.approx(trunk()[far].mean(), rel=0.06)
    assert done.mask is not None
    assert done.mask[wrong].mean() > 0.8
    assert done.mask.mean() < 0.35


def test_arms_that_the_ct_lacks_read_low_and_the_middle_less() -> None:
    made = plan("arms", cut=0.15)
    after = change("arms", cut=0.15) / 1000
    outside = outline(trunk()) & ~arms.seen(trunk(), made.parameters)
    middle = np.hypot(Y, X - 4) < 4
    assert after[outside].mean() < -0.15
    assert after[outside].mean() < 2 * after[middle].mean() < 0


def test_extravasation_takes_from_everywhere_what_lies_in_the_arm() -> None:
    after = change("extravasation", lost=0.2, side=1.0, spot_mm=12.0)
    assert abs(float(after.sum())) < 0.01 * float(trunk().sum())
    far = trunk() > 0
    far &= X < 15
    assert (after[far] / trunk()[far]).mean() == pytest.approx(-0.2, abs=0.01)
    row, column = np.unravel_index(int(np.argmax(after)), after.shape)
    edge = np.flatnonzero(trunk()[SIZE // 2] > 0)[-1]
    assert abs(row - SIZE // 2) <= 2
    assert (edge - column) * PIXEL_MM == pytest.approx(extravasation.DEPTH_MM, abs=2 * PIXEL_MM)


def test_a_jump_moves_the_slice_as_far_as_declared() -> None:
    from scipy import ndimage

    after = trunk() + change("jump", displacement_mm=20.0, direction_rad=0.0)
    moved = np.subtract(ndimage.center_of_mass(after), ndimage.center_of_mass(trunk())) * PIXEL_MM
    assert moved == pytest.approx((0, 20), abs=1)


@pytest.mark.parametrize("kind", list(pet.KINDS))
def test_empty_and_constant_slices_are_degraded_without_an_error(kind: str) -> None:
    for image in (np.zeros((50, 50), dtype=np.float32), np.full((50, 50), 3, dtype=np.float32)):
        made = pet.draw(kind, 2, np.random.default_rng(0), pixel_mm=PIXEL_MM)
        assert np.isfinite(pet.apply(image, made, pixel_mm=PIXEL_MM).array).all()
