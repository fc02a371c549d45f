"""A PET beside the CT of its study: measured against the right one, at bounded cost, and never to the verdict's account."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medqa.assess import Accumulator, assess
from medqa.assessment import Assessment
from medqa.config import Settings
from medqa.errors import UndecodablePixels
from medqa.metrics import ct_of_pet
from medqa.metrics.ct_of_pet import MOST, Extent, best, slices
from medqa.reader import read
from medqa.series import Series
from tests.science import pet_ct
from tests.science.factories import FakeScorer

PAIR_NAMES = ("pt_ct_overlap", "pt_dome_mismatch")


@pytest.fixture(scope="module")
def pet(tmp_path_factory: pytest.TempPathFactory) -> Series:
    folder = tmp_path_factory.mktemp("pet")
    pet_ct.save_pet(folder)
    return read(folder).series[0]


@pytest.fixture(scope="module")
def evidence(pet: Series) -> dict[Any, Any]:
    found = Accumulator([FakeScorer(modality="PT")], Settings()).evidence([frame.read() for frame in pet.frames])
    return {one.key: one for one in found}


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Series:
    folder = tmp_path_factory.mktemp("ct")
    pet_ct.save_ct(folder)
    return read(folder).series[0]


def moved(ct: Series, x: float = 0.0, z: float = 0.0) -> Series:
    """Return a CT that lies elsewhere."""
    frames = []
    for frame in ct.frames:
        place = frame.header.position_mm
        assert place is not None
        header = dataclasses.replace(frame.header, position_mm=(place[0] + x, place[1], place[2] + z))
        frames.append(dataclasses.replace(frame, header=header))
    return dataclasses.replace(ct, frames=tuple(frames))


def judged(pet: Series, evidence: dict[Any, Any], *companions: Series) -> Assessment:
    return Accumulator([FakeScorer(modality="PT")], Settings()).conclude(pet, evidence, companions=companions)


def values(assessment: Assessment) -> dict[str, float]:
    return {one.quantity.value: one.value for one in assessment.measurements if one.quantity.value in PAIR_NAMES}


def reasons(assessment: Assessment) -> dict[str, str]:
    return {one.what: one.reason for one in assessment.not_checked if one.what in PAIR_NAMES}


@pytest.fixture(scope="module")
def plain(pet: Series, evidence: dict[Any, Any], ct: Series) -> dict[str, float]:
    """What is measured where nothing was moved."""
    return values(judged(pet, evidence, ct))


@pytest.mark.parametrize("shift", [0.0, 20.0, 45.0])
def test_a_ct_to_one_side_overlaps_as_much_less_as_the_outlines_do(
    pet: Series, evidence: dict[Any, Any], ct: Series, shift: float
) -> None:
    found = values(judged(pet, evidence, moved(ct, x=shift)))["pt_ct_overlap"]
    # PET's border is that of a blurred image, and between the arms and the trunk 36 radii are a coarse outline.
    assert found == pytest.approx(pet_ct.outline_overlap(shift), abs=0.045)


@pytest.mark.parametrize("shift", [0.0, 10.0, -15.0, 25.0])
def test_a_ct_in_deeper_inspiration_has_its_dome_lower(pet: Series, evidence: dict[Any, Any], ct: Series, shift: float) -> None:
    assert values(judged(pet, evidence, moved(ct, z=-shift)))["pt_dome_mismatch"] == pytest.approx(shift, abs=3)


def test_the_ct_changes_nothing_but_its_own_two_lines(pet: Series, evidence: dict[Any, Any], ct: Series) -> None:
    without, beside = judged(pet, evidence), judged(pet, evidence, moved(ct, x=80.0, z=30.0))
    assert all(one.limits is None for one in beside.measurements if one.quantity.value in PAIR_NAMES)
    assert set(values(beside)) == set(PAIR_NAMES)

    def rest(assessment: Assessment) -> dict[str, Any]:
        document = assessment.to_json()
        document["measurements"] = [one for one in document["measurements"] if one["quantity"]["value"] not in PAIR_NAMES]
        document["not_checked"] = [one for one in document["not_checked"] if one["what"] not in PAIR_NAMES]
        return document

    assert rest(beside) == rest(without)


def test_scorers_are_not_told_what_depends_on_the_company(pet: Series, evidence: dict[Any, Any], ct: Series) -> None:
    heard: list[str] = []

    class Listening(FakeScorer):
        def conclude(self, series: Series, evidence: Any, measurements: Any = ()) -> Any:
            heard.extend(one.quantity.value for one in measurements)
            return super().conclude(series, evidence, measurements)

    Accumulator([Listening(modality="PT")], Settings()).conclude(pet, evidence, companions=[ct])
    assert heard
    assert not set(heard) & set(PAIR_NAMES)


def test_no_more_than_some_slices_are_decoded_one_at_a_time_and_none_for_another_series(
    pet: Series, evidence: dict[Any, Any], ct: Series
) -> None:
    decoded: list[str] = []

    def counting(frame: Any) -> Any:
        def decode() -> Any:
            decoded.append(frame.sop_instance_uid)
            return frame.decode()

        return dataclasses.replace(frame, decode=decode)

    counted = dataclasses.replace(ct, frames=tuple(counting(frame) for frame in ct.frames))
    assert len(ct.frames) > MOST
    judged(pet, evidence, counted)
    assert len(decoded) == len(set(decoded)) == MOST
    decoded.clear()
    short = dataclasses.replace(ct, frames=ct.frames[:2], series_uid="1.2.3")
    assert not values(assess(short, [], Settings(), companions=[counted, pet]))
    assert not decoded


def test_a_slice_that_cannot_be_decoded_is_left_out(
    pet: Series, evidence: dict[Any, Any], ct: Series, plain: dict[str, float]
) -> None:
    def broken() -> np.ndarray:
        raise UndecodablePixels(source="x", reason="truncated")

    frames = tuple(dataclasses.replace(one, decode=broken) if index % 7 == 0 else one for index, one in enumerate(ct.frames))
    found = values(judged(pet, evidence, dataclasses.replace(ct, frames=frames)))
    assert found["pt_ct_overlap"] == pytest.approx(plain["pt_ct_overlap"], abs=0.01)
    lost = dataclasses.replace(ct, frames=tuple(dataclasses.replace(one, decode=broken) for one in ct.frames))
    assert reasons(judged(pet, evidence, lost)) == {"pt_ct_overlap": "no_body", "pt_dome_mismatch": "no_dome"}


def test_the_chosen_slices_alone_give_the_same_values(
    pet: Series, evidence: dict[Any, Any], ct: Series, plain: dict[str, float]
) -> None:
    place = ct_of_pet.extent(pet)
    assert place is not None
    wanted = slices(place, [(frame.header.position_mm or (0, 0, 0))[2] for frame in ct.frames])
    alone = dataclasses.replace(ct, frames=tuple(ct.frames[index] for index in wanted))
    apart = dataclasses.replace(alone.volume, spacing_mm=(9.0, *ct.volume.spacing_mm[1:]))
    assert values(judged(pet, evidence, dataclasses.replace(alone, volume=apart))) == plain


# ---- which CT ------------------------------------------------------------------------------------------------------------


def with_header(series: Series, **attributes: str) -> Series:
    header = copy.deepcopy(series.header)
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return dataclasses.replace(series, header=header)


def test_without_a_ct_it_is_told_only_where_one_has_corrected_the_pet(pet: Series, evidence: dict[Any, Any], ct: Series) -> None:
    assert reasons(judged(pet, evidence)) == dict.fromkeys(PAIR_NAMES, "no_ct_of_study")
    other_study = dataclasses.replace(ct, study_uid="1.2.3")
    assert reasons(judged(pet, evidence, other_study, pet)) == dict.fromkeys(PAIR_NAMES, "no_ct_of_study")
    assert pet.acquisition.pt is not None
    for method, told in (
        ("CT-derived mu-map", True),
        ("CTAC-SG", True),
        ("measured,ACCT Exp", True),
        ("measured,, 0.096000 cm-1,", False),
        (None, False),
    ):
        made = dataclasses.replace(pet.acquisition.pt, attenuation_correction=method)
        one = dataclasses.replace(pet, acquisition=dataclasses.replace(pet.acquisition, pt=made))
        assert bool(reasons(judged(one, evidence))) is told, method


def test_a_ct_that_counts_from_another_point_is_not_matched(pet: Series, evidence: dict[Any, Any], ct: Series) -> None:
    for other in (with_header(ct, FrameOfReferenceUID="1.2.3"), moved(ct, z=2000.0)):
        assessment = judged(pet, evidence, other)
        assert (values(assessment), reasons(assessment)) == ({}, dict.fromkeys(PAIR_NAMES, "not_matched"))


def test_the_ct_that_covers_most_is_taken_in_any_order(pet: Series, ct: Series) -> None:
    part = dataclasses.replace(ct, frames=ct.frames[40:70], series_uid="1.1")
    elsewhere = dataclasses.replace(moved(ct, z=150.0), series_uid="1.2")
    for company in ((ct, part, elsewhere), (elsewhere, part, ct)):
        assert ct_of_pet.choose(pet, company) is ct


def test_of_two_that_cover_as_much_the_wider_is_taken() -> None:
    pet = Extent(low_mm=0, high_mm=1000, width_mm=600, frame_of_reference="1")
    reading = Extent(low_mm=-2, high_mm=1003, width_mm=380, frame_of_reference="1")
    correcting = Extent(low_mm=1, high_mm=998, width_mm=700, frame_of_reference="1")
    silent = dataclasses.replace(reading, frame_of_reference=None)
    assert best(pet, [reading, correcting]) == best(pet, [silent, correcting]) == 1
    assert best(pet, [correcting, reading]) == best(pet, [reading, reading]) == 0
    assert best(pet, [None, dataclasses.replace(correcting, frame_of_reference="2")]) is None


@given(
    st.lists(st.one_of(st.none(), st.floats(-500, 1500)), max_size=300),
    st.floats(-100, 400),
    st.floats(0, 1000),
)
def test_slices_are_spread_and_are_their_own_choice(heights: list[float | None], low: float, length: float) -> None:
    pet = Extent(low_mm=low, high_mm=low + length, width_mm=600, frame_of_reference=None)
    found = slices(pet, heights)
    at = [height for index in found if (height := heights[index]) is not None]
    assert len(found) == len(at) == len(set(found)) <= MOST
    assert at == sorted(at)
    assert all(low - 5 <= height <= low + length + 5 for height in at)
    assert slices(pet, at) == list(range(len(at)))


def test_of_many_slices_an_even_share_is_taken() -> None:
    pet = Extent(low_mm=0, high_mm=1000, width_mm=600, frame_of_reference=None)
    found = slices(pet, [float(z) for z in range(1001)])
    assert len(found) == MOST
    assert set(np.diff(found)) <= {10, 11}
    assert (found[0], found[-1]) == (0, 1000)
