"""PET beside its CT: the overlap of two outlines and the shift of two domes, as they were made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset
from scipy import ndimage

from medqa.errors import NotApplicable
from medqa.metrics import PAIRS, frame_partials, pt_ct_overlap, pt_dome_mismatch
from medqa.metrics.pair import Pair
from medqa.regions import Regions
from medqa.series import Series
from tests.science.factories import make_frame, make_image, make_series
from tests.science.pt_factories import series_of

PIXEL, STEP, SIZE, SLICES = 4.0, 5.0, 112, 40
Y, X = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
Shape = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def ellipse(a: float, b: float, *, at: tuple[float, float] = (0.0, 0.0)) -> Shape:
    return lambda x, y, z: ((x - at[0]) / a) ** 2 + ((y - at[1]) / b) ** 2 < 1


def pet_of(shape: Shape, uptake: Callable[[np.ndarray, np.ndarray, float], np.ndarray] | None = None, step: float = STEP) -> Series:
    """Return a PET of SUV 0.4 (or `uptake`) in a shape, through 6 mm."""
    slices = []
    for index in range(SLICES):
        body = shape(X, Y, index * step)
        suv = body * (0.4 if uptake is None else uptake(X, Y, index * step))
        slices.append(ndimage.gaussian_filter(suv, 6 / 2.355 / PIXEL))
    return series_of(slices, pixel_mm=PIXEL, step_mm=step)


def ct_of(
    shape: Shape, lung: Shape | None = None, *, pixel: float = 1.75, step: float = STEP, first: float = 0.0, flip: bool = False
) -> Series:
    """Return a CT of soft tissue in a shape, with lung; its pixels are other ones than those of the PET."""
    size = round(SIZE * PIXEL / pixel)
    y, x = (np.mgrid[:size, :size] - size / 2) * pixel
    x = -x if flip else x
    frames = []
    for index in range(round(SLICES * STEP / step)):
        z = first + index * step
        hounsfield = np.where(shape(x, y, z), 40.0, -1000.0)
        if lung is not None:
            hounsfield[lung(x, y, z) & shape(x, y, z)] = -850.0
        corner = (size / 2 * pixel if flip else -size / 2 * pixel, -size / 2 * pixel, z)
        across = (-1.0 if flip else 1.0, 0.0, 0.0)
        frames.append(
            make_frame(
                hounsfield, index=index, position_mm=corner, spacing_mm=(pixel, pixel), orientation=(across, (0.0, 1.0, 0.0))
            )
        )
    series = make_series([], frames=frames)
    return dataclasses.replace(series, volume=dataclasses.replace(series.volume, spacing_mm=(step, pixel, pixel)))


def value(pair: Pair, pet: Series, ct: Series) -> float:
    parts = [[pair.per_frame(Regions(frame.read())) for frame in series.frames] for series in (pet, ct)]
    return pair.combine(pet, parts[0], ct, parts[1]).value


def refusal(pair: Pair, pet: Series, ct: Series) -> str:
    with pytest.raises(NotApplicable) as caught:
        value(pair, pet, ct)
    return str(caught.value.values["reason"])


def dice(first: Shape, second: Shape) -> float:
    y, x = np.mgrid[-240:240, -240:240].astype(float)
    one, two = first(x, y, 0.0), second(x, y, 0.0)
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


TRUNK = ellipse(170, 110)


@pytest.mark.parametrize(
    "other",
    [TRUNK, ellipse(170, 110, at=(20, 0)), ellipse(170, 110, at=(-10, 30)), ellipse(150, 110), ellipse(120, 90)],
)
def test_the_overlap_is_that_of_the_shapes(other: Shape) -> None:
    # The threshold of SUV 0.15 sets the border of the PET a few mm outside of the CT's.
    assert value(pt_ct_overlap.PAIR, pet_of(TRUNK), ct_of(other)) == pytest.approx(dice(TRUNK, other), abs=0.03)


def test_a_larger_shift_overlaps_less() -> None:
    pet = pet_of(TRUNK)
    found = [value(pt_ct_overlap.PAIR, pet, ct_of(ellipse(170, 110, at=(shift, 0)))) for shift in (0, 15, 30, 60)]
    assert found[0] > 0.96
    assert found == sorted(found, reverse=True)
    assert found[0] - found[3] == pytest.approx(1 - dice(TRUNK, ellipse(170, 110, at=(60, 0))), abs=0.03)


def test_arms_that_the_ct_cuts_off_lower_it() -> None:
    def arms(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        return ellipse(150, 100)(x, y, z) | (np.hypot(np.abs(x) - 175, y) < 40)

    def cut(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        return arms(x, y, z) & (np.hypot(x, y) < 160)

    pet = pet_of(arms)
    assert value(pt_ct_overlap.PAIR, pet, ct_of(arms)) > 0.95
    assert value(pt_ct_overlap.PAIR, pet, ct_of(cut)) == pytest.approx(dice(arms, cut), abs=0.06)


def test_how_either_is_stored_does_not_matter() -> None:
    shifted = ellipse(150, 100, at=(25, 10))
    straight = value(pt_ct_overlap.PAIR, pet_of(TRUNK), ct_of(shifted))
    assert value(pt_ct_overlap.PAIR, pet_of(TRUNK), ct_of(shifted, flip=True)) == pytest.approx(straight, abs=0.01)
    assert value(pt_ct_overlap.PAIR, pet_of(TRUNK), ct_of(shifted, pixel=3.5, step=2.5)) == pytest.approx(straight, abs=0.02)


def test_series_that_do_not_belong_together_have_no_overlap() -> None:
    pet, ct = pet_of(TRUNK), ct_of(TRUNK)
    assert refusal(pt_ct_overlap.PAIR, pet, ct_of(TRUNK, first=900.0)) == "not_matched"
    named = []
    for series, uid in ((pet, "1.2.3.4"), (ct, "1.2.3.5")):
        header = Dataset()
        header.FrameOfReferenceUID = uid
        named.append(dataclasses.replace(series, header=header))
    for pair in PAIRS:
        assert refusal(pair, *named) == "not_matched"


def liver_dome(top_mm: float) -> Shape:
    """Return the lung above a dome whose top is at `top_mm`: a sphere of 90 mm in the right half, or the rest from there on."""

    def lung(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        side = ((np.abs(x) - 85) / 60) ** 2 + (y / 80) ** 2 < 1
        surface = top_mm - 90 + np.sqrt(np.maximum(90.0**2 - (np.abs(x) - 80) ** 2 - y**2, 0))
        return side & (z > surface)

    return lung


def breathing(top_mm: float, liver: float = 2.0, travel_mm: float = 0.0) -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """Return an uptake of `liver` below the dome and 0.4 above, averaged over a breath."""

    def uptake(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        phases = np.linspace(-travel_mm / 2, travel_mm / 2, 7) if travel_mm else [0.0]
        right = (x < 0) & (((np.abs(x) - 85) / 60) ** 2 + (y / 80) ** 2 < 1)
        mean = np.mean(
            [np.where(liver_dome(top_mm + phase)(x, y, z), 0.4, np.where(right, liver, 0.9)) for phase in phases], axis=0
        )
        return np.asarray(mean)

    return uptake


@pytest.mark.parametrize("shift", [-20.0, -10.0, 0.0, 5.0, 15.0, 30.0])
def test_the_shift_of_the_dome_is_what_was_made(shift: float) -> None:
    ct = ct_of(TRUNK, liver_dome(110.0))
    found = value(pt_dome_mismatch.PAIR, pet_of(TRUNK, breathing(110.0 + shift)), ct)
    assert found == pytest.approx(shift, abs=2.5)  # half a slice


def test_breathing_leaves_the_middle_of_its_travel() -> None:
    ct = ct_of(TRUNK, liver_dome(105.0))
    assert value(pt_dome_mismatch.PAIR, pet_of(TRUNK, breathing(115.0, travel_mm=16.0)), ct) == pytest.approx(10, abs=3)


def test_the_unit_is_that_of_the_patient_and_not_of_the_slice() -> None:
    pet = pet_of(TRUNK, breathing(120.0))
    for step in (2.5, 7.5):
        ct = ct_of(TRUNK, liver_dome(105.0), step=step, pixel=3.5)
        assert value(pt_dome_mismatch.PAIR, pet, ct) == pytest.approx(15, abs=4)


def test_the_liver_s_uptake_hardly_matters() -> None:
    ct = ct_of(TRUNK, liver_dome(105.0))
    found = [value(pt_dome_mismatch.PAIR, pet_of(TRUNK, breathing(115.0, liver)), ct) for liver in (1.2, 2.0, 4.0)]
    assert found == pytest.approx([10, 10, 10], abs=2.5)


def test_without_a_dome_there_is_no_mismatch() -> None:
    dome = liver_dome(110.0)
    assert refusal(pt_dome_mismatch.PAIR, pet_of(TRUNK), ct_of(TRUNK, dome)) == "no_dome"
    assert refusal(pt_dome_mismatch.PAIR, pet_of(TRUNK, breathing(110.0)), ct_of(TRUNK)) == "no_dome"
    assert refusal(pt_dome_mismatch.PAIR, pet_of(TRUNK, breathing(110.0)), ct_of(TRUNK, liver_dome(190.0))) == "no_dome"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_bad_frames_have_no_partial(pair: Pair, modality: str) -> None:
    empty = -1000.0 if modality == "CT" else 0.0
    for array in (np.full((64, 64), empty), np.full((64, 64), np.nan), np.full((4, 4), empty)):
        assert pair.per_frame(Regions(make_image(array, modality=modality, suv_factor=1.0))) is None
    body = np.where(np.hypot(X, Y) < 100, 40.0, empty)
    for header in ({"position_mm": None}, {"orientation": None}, {"orientation": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))}):
        assert pair.per_frame(Regions(make_image(body, modality=modality, suv_factor=1.0, **header))) is None


def test_a_pet_keeps_little_of_what_the_pairs_need_and_a_ct_nothing() -> None:
    partials = frame_partials(pet_of(TRUNK).frames[5].read())
    assert {pair.name for pair in PAIRS} <= set(partials)
    for pair in PAIRS:
        assert sum(len(part) if isinstance(part, list) else 1 for part in partials[pair.name].values()) <= 100
    assert not {pair.name for pair in PAIRS} & set(frame_partials(ct_of(TRUNK).frames[5].read()))


def test_the_top_of_a_head_is_no_dome() -> None:
    """Brain ends in air: within the reach of a border means of skull and air look like lung, but air does not stay lung."""
    heights = [4.0 * index for index in range(60)]
    head = [(z, 40.0 if z < 120 else 300.0 if z < 126 else -700.0 if z < 132 else -1000.0) for z in heights]
    dome = [(z, 40.0 if z < 120 else -800.0) for z in heights]

    def is_dome(liver: float, lung: float) -> float:
        return liver - lung if liver > -100 and lung < -500 else 0.0

    limits = pt_dome_mismatch.CT_LUNG_HU
    assert pt_dome_mismatch.border(head, is_dome, above=limits) is None
    assert pt_dome_mismatch.border(head, is_dome) is not None
    assert pt_dome_mismatch.border(dome, is_dome, above=limits) == pytest.approx(118, abs=2)


def test_an_empty_partner_has_no_overlap() -> None:
    pet = pet_of(TRUNK)
    air = ct_of(lambda x, y, z: np.zeros(x.shape, dtype=bool))
    assert refusal(pt_ct_overlap.PAIR, pet, air) == "no_body"
    assert refusal(pt_dome_mismatch.PAIR, pet, air) == "no_dome"
