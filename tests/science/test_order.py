"""Slices in each other's place: which exchanges are seen, and what must be left alone."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.assessment import FrameEvidence, Significance
from medqa.checks import order
from medqa.metrics import frame_facts
from medqa.reader import read
from medqa.regions import Regions
from medqa.simulate.series import degrade_series
from tests.science.factories import broken, make_series

COUNT = 16


def slices(modality: str, count: int = COUNT, *, side: int = 64, seed: int = 0) -> list[np.ndarray]:
    """Return a body that widens and wanders slowly from slice to slice, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    out = []
    for z in np.arange(count) / 16:
        body = ((x - 0.05 * np.sin(2 * z)) / (0.25 + 0.12 * z / (1 + z))) ** 2 + (y / 0.3) ** 2 < 1
        organ = ((x + 0.1) / (0.06 + 0.05 * np.cos(2 * z) ** 2)) ** 2 + ((y - 0.1 * np.sin(1.5 * z)) / 0.08) ** 2 < 1
        image = np.where(organ & body, 160.0, np.where(body, 40.0, -1000.0)) + rng.normal(0, 20, x.shape)
        out.append(image if modality == "CT" else np.maximum(image + 1040, 0))
    return out


def evidence_of(series) -> list[FrameEvidence]:
    found = []
    for frame in series.frames:
        try:
            partials, error = {"frame": frame_facts.facts(Regions(frame.read()))}, None
        except Exception as failure:  # noqa: BLE001 - the factory's own
            partials, error = {}, str(failure)
        found.append(FrameEvidence(sop_instance_uid=frame.sop_instance_uid, number=1, sha256="", partials=partials, error=error))
    return found


def exchanged(arrays, **values):
    series = make_series(arrays, **values)
    return order.exchanged(series, evidence_of(series))


def swap(items: list, *pairs: tuple[int, int]) -> list:
    out = list(items)
    for one, other in pairs:
        out[one], out[other] = out[other], out[one]
    return out


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("pair", [(7, 8), (5, 7), (4, 7), (3, 12)])
def test_an_exchanged_pair_is_told_of_with_its_places(modality: str, pair: tuple[int, int]) -> None:
    arrays = slices(modality)
    assert exchanged(arrays, modality=modality) == []
    (found,) = exchanged(swap(arrays, pair), modality=modality)
    assert (found.message, found.values) == ("exchanged_slices", {"first": pair[0] + 1, "other": pair[1] + 1})
    assert (found.frames, found.significance) == (pair, Significance.DOUBT)


def test_several_pairs_are_counted_and_the_order_of_the_whole_does_not_matter() -> None:
    arrays = swap(slices("CT", 24), (3, 4), (9, 12), (18, 19))
    (found,) = exchanged(arrays)
    assert (found.values, found.frames) == ({"first": 4, "other": 5, "count": 3}, (3, 19))
    (found,) = exchanged(arrays[::-1])
    assert (found.values, found.frames) == ({"first": 5, "other": 6, "count": 3}, (4, 20))


def test_an_exchange_at_an_end_is_told_of_where_the_anatomy_changes_enough() -> None:
    course = np.arange(12)[:, None] * np.ones(100) * 10
    assert order.pairs_of(course) == []
    assert order.pairs_of(course[swap(list(range(12)), (0, 1))]) == [(0, 1)]
    assert order.pairs_of(course[swap(list(range(12)), (11, 8))]) == [(8, 11)]


def test_a_stack_with_no_end_of_exchanges_is_given_up_in_time() -> None:
    course = np.cumsum(np.random.default_rng(0).normal(0, 30, size=(400, 100)), axis=0)
    pairs = [(place, place + 3) for place in range(5, 390, 10)]
    assert len(order.pairs_of(course[swap(list(range(400)), *pairs)])) == order.MOST_PAIRS < len(pairs)


def test_brightness_of_its_own_does_not_hide_an_exchange_in_mr() -> None:
    rng = np.random.default_rng(3)
    arrays = [array * rng.uniform(0.8, 1.2) for array in slices("MR")]
    assert exchanged(arrays, modality="MR") == []
    (found,) = exchanged(swap(arrays, (7, 8)), modality="MR")
    assert found.frames == (7, 8)


@pytest.mark.parametrize("first", [0, 1, 8])
def test_interleaved_slices_that_differ_by_halves_are_left_alone(first: int) -> None:
    # The patient moved between the two halves of the acquisition, or after some of the slices.
    arrays = [np.roll(array, 6 if index >= first and index % 2 else 0, axis=0) for index, array in enumerate(slices("MR"))]
    assert exchanged(arrays, modality="MR") == []


def test_three_interleaved_parts_are_left_alone() -> None:
    arrays = [np.roll(array, 4 * (index % 3), axis=0) for index, array in enumerate(slices("MR"))]
    assert exchanged(arrays, modality="MR") == []


def test_a_slice_of_its_own_kind_and_a_step_are_no_exchange() -> None:
    arrays = slices("CT")
    odd = list(arrays)
    odd[6] = odd[6] + 400 * (np.arange(64) % 16 < 8)
    assert exchanged(odd) == []
    assert exchanged([*arrays[:8], *(np.roll(array, 10, axis=1) for array in arrays[8:])]) == []


def test_noise_alone_and_one_image_over_and_over_have_no_order() -> None:
    rng = np.random.default_rng(1)
    assert exchanged([rng.normal(0, 20, (64, 64)) for _ in range(40)]) == []
    assert exchanged([slices("CT")[0]] * 12) == []


def test_stacks_missing_places_wide_gaps_and_few_slices_are_left_alone() -> None:
    wrong = swap(slices("MR"), (7, 8))
    assert exchanged(wrong, modality="MR", stacks=2) == []
    assert exchanged(wrong, modality="MR", position_mm=None) == []
    assert exchanged(swap(slices("MR")[:5], (2, 3)), modality="MR") == []


def test_slices_that_show_nothing_are_passed_over() -> None:
    arrays = swap(slices("CT"), (7, 8))
    arrays[11] = np.full((64, 64), -1000.0)
    arrays[3] = broken()
    (found,) = exchanged(arrays)
    assert found.frames == (7, 8)


@pytest.mark.parametrize("kind", ["duplicated", "dropped", "partial-volume", "respiratory"])
def test_other_faults_of_a_series_are_no_exchange(kind: str) -> None:
    done = degrade_series(make_series(slices("CT", 24)), kind, np.random.default_rng(0), level=2)
    assert order.exchanged(done.series, evidence_of(done.series)) == []


def test_a_thumbnail_is_the_means_of_blocks() -> None:
    ramp = np.repeat(np.arange(10.0) * 100 - 450, 8)[None, :] * np.ones((40, 1))
    assert frame_facts.thumbnail(ramp, "CT") == [round(100 * column - 450) for column in range(10)] * 10
    metal = ramp.copy()
    metal[:4, :8] = 20000
    assert frame_facts.thumbnail(metal, "CT")[0] == 1000
    holes = ramp.copy()
    holes[:4, :8] = np.nan
    assert frame_facts.thumbnail(holes, "CT")[0] == -1000
    bright = np.maximum(ramp, 0)
    assert frame_facts.thumbnail(bright, "MR") == frame_facts.thumbnail(7 * bright, "MR")
    assert np.mean(frame_facts.thumbnail(bright, "MR")) == pytest.approx(1000, abs=0.5)
    assert len(frame_facts.thumbnail(ramp[:5, :7], "CT")) == 35


@pytest.mark.parametrize(
    "name", ["pt/pt_sts015_crop.zip", "mr/mr_asl_oxford.zip", "pt/ct_sts001_ge_ds_crop.zip", "mr/mr_px0000_dwi_b.zip"]
)
def test_on_a_real_scan_only_the_exchange_is_told_of(name: str, data, real_series) -> None:
    (series,) = (one for one in read(data / name).series if len(one.frames) > 6)
    real_series.append(name)
    evidence = evidence_of(series)
    assert order.exchanged(series, evidence) == []
    places = (5, 6)
    found = order.exchanged(series, swap(evidence, places))
    # Three b-values at every place: nothing is said of a series whose positions repeat.
    assert [one.frames for one in found] == ([places] if len(series.stacks) == 1 else [])
