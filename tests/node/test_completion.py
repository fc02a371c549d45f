"""When a series counts as complete: evidence first, timers last, and an aborted association proves nothing."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import pytest

from dicom_node.completion import completion
from dicom_node.lifecycle import State
from dicom_node.records import SeriesRecord
from medqa.config import CompletionSettings

SETTINGS = CompletionSettings(settle_ct_s=5, settle_mr_s=20, settle_pt_s=60, gap_factor=3, provisional_s=0.5)


def record(**values: Any) -> SeriesRecord:
    """Ten instances, the last at 100 s, whose association was released at 101 s."""
    standard = {field.name: None for field in dataclasses.fields(SeriesRecord)} | {
        "modality": "CT",
        "state": State.RECEIVING,
        "instances": 10,
        "last_received": 100.0,
        "last_released": 101.0,
        "open_associations": 0,
        "completion_evidence": MappingProxyType({}),
    }
    return SeriesRecord(**(standard | values))


@pytest.mark.parametrize(("modality", "settle_s"), [("CT", 5), ("MR", 20), ("PT", 60)])
def test_each_modality_settles_in_its_own_time_after_the_release(modality: str, settle_s: float) -> None:
    one = record(modality=modality)
    assert completion(one, SETTINGS, 101.4).reason == "arriving"
    early = completion(one, SETTINGS, 101.5)
    assert (early.provisional, early.final, early.reason) == (True, False, "association_released")
    assert not completion(one, SETTINGS, 101 + settle_s - 0.1).final
    done = completion(one, SETTINGS, 101 + settle_s)
    assert (done.provisional, done.final, done.reason) == (True, True, "settled")
    assert done.evidence["quiet_s"] == pytest.approx(settle_s)


def test_an_open_association_keeps_a_series_open_however_quiet_it_is() -> None:
    assert completion(record(open_associations=1), SETTINGS, 1e6).reason == "arriving"


def test_an_aborted_association_gives_no_provisional_answer_and_takes_three_times_as_long() -> None:
    one = record(last_released=None)
    assert completion(one, SETTINGS, 114.9).reason == "arriving"
    assert completion(one, SETTINGS, 115.0).reason == "settled_after_abort"


def test_a_release_before_the_last_object_proves_nothing_about_it() -> None:
    assert completion(record(last_released=99.0), SETTINGS, 106.0).reason == "arriving"


def test_a_gap_takes_three_times_as_long() -> None:
    assert not completion(record(), SETTINGS, 106.0, gap=True).final
    assert completion(record(), SETTINGS, 106.0, gap=True).provisional
    assert completion(record(), SETTINGS, 116.0, gap=True).reason == "settled_with_gap"


def test_a_declared_pet_series_is_final_with_its_last_slice() -> None:
    done = completion(record(modality="PT", declared=10, open_associations=1), SETTINGS, 100.0)
    assert (done.final, done.reason, done.evidence["declared"]) == (True, "expected_count", 10)


def test_a_declared_ct_acquisition_may_be_followed_by_another_while_the_association_is_open() -> None:
    during = completion(record(declared=10, open_associations=1), SETTINGS, 100.0)
    assert (during.provisional, during.final) == (True, False)
    assert completion(record(declared=10), SETTINGS, 101.0).final


@pytest.mark.parametrize("declared", [9, 11])
def test_a_count_that_does_not_match_leaves_it_to_the_timer(declared: int) -> None:
    assert completion(record(modality="PT", declared=declared), SETTINGS, 101.0).reason == "arriving"
    assert completion(record(modality="PT", declared=declared), SETTINGS, 161.0).reason == "settled"
