"""The scorer: provisional while the patient lies there, final once proven, one verdict a revision, and no bad series stops it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicom_node.lifecycle import State
from dicom_node.records import Status
from dicom_node.worker import DEATHS
from medqa.assessment import FrameScore, Verdict
from medqa.config import Settings
from medqa.series import FrameImage
from tests.node.receiving import Receiver
from tests.node.small_series import FakeMal, FakeShelf, series


def test_a_released_series_is_judged_at_once_and_becomes_final_without_a_second_judging(receiver: Receiver) -> None:
    mr = series("MR", 12)
    receiver.send(mr)
    receiver.after(0.5)
    provisional = receiver.catalogue.assessment(mr[0].SeriesInstanceUID)
    assert provisional is not None
    assert (provisional.status, provisional.verdict) == (Status.PROVISIONAL, "ADEQUATE")
    assert receiver.revisions()[0].state is State.RECEIVING
    receiver.after(20.0)
    final = receiver.catalogue.assessment(mr[0].SeriesInstanceUID)
    assert final is not None
    assert final.status is Status.FINAL
    assert final.document == provisional.document
    record = receiver.revisions()[0]
    assert (record.state, record.completion_reason, record.noted) == (State.JUDGED, "settled", 0)


def test_a_pet_series_that_declares_its_slices_is_final_with_the_last_one(receiver: Receiver) -> None:
    association = receiver.open()
    pet = series("PT", 10)
    receiver.receive(pet[:9], association)
    receiver.work()
    assert receiver.catalogue.verdicts() == []
    receiver.receive(pet[9:], association)
    receiver.work()
    assert [one.verdict for one in receiver.catalogue.verdicts()] == ["ADEQUATE"]
    assert receiver.revisions()[0].completion_reason == "expected_count"


def test_an_aborted_association_gives_no_provisional_verdict(receiver: Receiver) -> None:
    mr = series("MR", 12)
    receiver.send(mr[:6], ending="aborted")
    receiver.after(10.0)
    assert receiver.catalogue.assessment(mr[0].SeriesInstanceUID) is None
    receiver.send(mr[6:])
    receiver.after(0.5)
    assert receiver.catalogue.assessment(mr[0].SeriesInstanceUID) is not None


def test_what_arrives_after_a_provisional_verdict_is_judged_with_the_rest(receiver: Receiver) -> None:
    mr = series("MR", 12)
    receiver.send(mr[:8])
    receiver.after(0.5)
    receiver.send(mr[8:])
    receiver.after(0.5)
    receiver.after(20.0)
    verdicts = receiver.catalogue.verdicts()
    assert [(one.revision, one.instances) for one in verdicts] == [(1, 12)]
    assert verdicts[0].document["assessments"][0]["series"]["frames"] == 12


def test_late_frames_gather_into_one_second_revision_that_sees_all_frames(receiver: Receiver) -> None:
    mr = series("MR", 12)
    receiver.send(mr[:8])
    receiver.after(0.5)
    receiver.after(20.0)
    receiver.send(mr[8:])
    receiver.after(0.5)
    receiver.after(20.0)
    verdicts = receiver.catalogue.verdicts()
    assert [(one.revision, one.document["assessments"][0]["series"]["frames"]) for one in verdicts] == [(1, 8), (2, 12)]


def test_a_gap_makes_the_scorer_wait_longer_and_ask_for_a_look(receiver: Receiver) -> None:
    ct = series("CT", 20)
    receiver.send([one for place, one in enumerate(ct) if place not in {7, 8}])
    receiver.after(0.5)
    receiver.after(5.0)
    assert receiver.catalogue.verdicts() == []
    receiver.after(10.0)
    assert [one.verdict for one in receiver.catalogue.verdicts()] == ["REVIEW"]
    assert receiver.revisions()[0].completion_reason == "settled_with_gap"


def test_one_truncated_object_asks_for_a_look_and_leaves_its_neighbours_alone(receiver: Receiver) -> None:
    mr, other = series("MR", 12), series("MR", 12, seed=1)
    association = receiver.open()
    receiver.receive([*mr[:11], *other], association)
    receiver.receive_bytes(mr[11], b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0\xff", association)
    receiver.close(association)
    receiver.after(0.5)
    receiver.after(60.0)
    by_series = {one.series_uid: one for one in receiver.catalogue.verdicts()}
    assert by_series[other[0].SeriesInstanceUID].verdict == "ADEQUATE"
    spoiled = by_series[mr[0].SeriesInstanceUID]
    assert spoiled.verdict == "REVIEW"
    assert "undecodable_frames" in [one["message"] for one in spoiled.document["assessments"][0]["findings"]]


def test_a_series_of_which_nothing_can_be_read_asks_for_a_look(receiver: Receiver) -> None:
    association = receiver.open()
    for one in series("CT", 3):
        receiver.receive_bytes(one, b"nothing of the kind", association)
    receiver.close(association)
    receiver.after(0.5)
    receiver.after(20.0)
    (found,) = receiver.catalogue.verdicts()
    assert (found.verdict, found.document["assessments"][0]["reason"]) == ("REVIEW", "review_unreadable")


def test_a_localizer_is_not_judged_and_the_reason_is_kept(receiver: Receiver) -> None:
    scout = series("CT", 1)
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    receiver.send(scout)
    receiver.after(0.5)
    receiver.after(20.0)
    record = receiver.revisions()[0]
    assert (record.state, record.reason) == (State.NOT_JUDGED, "localizer")


# ---- live warnings -------------------------------------------------------------------------------------------------------


def test_a_run_of_bad_frames_is_told_once_while_the_series_arrives(receiver: Receiver) -> None:
    association = receiver.open()
    mr = series("MR", 16, noise=0.35)
    receiver.receive(mr[:8], association)
    receiver.work()
    (warning,) = receiver.events("live_warning")
    assert warning.data["cause"] == "low_score_frames"
    assert "Phantom" not in str(warning)
    receiver.receive(mr[8:], association)
    receiver.work()
    assert len(receiver.events("live_warning")) == 1


def test_a_warning_is_withdrawn_in_words_when_the_series_turns_out_adequate(receiver: Receiver) -> None:
    bad, good = series("MR", 40, noise=0.35), series("MR", 40)
    receiver.send([*bad[:5], *good[5:]])
    receiver.after(0.5)
    receiver.after(20.0)
    assert [one.verdict for one in receiver.catalogue.verdicts()] == ["ADEQUATE"]
    assert len(receiver.events("live_warning")) == 1
    assert [event.data["causes"] for event in receiver.events("live_warning_withdrawn")] == [["low_score_frames"]]
    assert all("withdrawn" in event.data["text"].lower() for event in receiver.events("live_warning_withdrawn"))


def test_a_warning_is_withdrawn_even_by_a_process_that_did_not_give_it(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    bad, good = series("MR", 40, noise=0.35), series("MR", 40)
    receiver.send(bad[:5])
    receiver.work()
    receiver.follower = receiver.new_follower()
    receiver.send(good[5:])
    receiver.after(0.5)
    receiver.after(20.0)
    _until(lambda: bool(receiver.catalogue.verdicts()), receiver)
    assert len(receiver.events("live_warning_withdrawn")) == 1
    receiver.follower.stop()
    receiver.catalogue.close()


# ---- deaths --------------------------------------------------------------------------------------------------------------


def test_after_a_death_the_series_is_judged_alone_and_comes_to_the_same_result(tmp_path: Path) -> None:
    mr = series("MR", 12)
    undisturbed, died = Receiver(tmp_path / "a"), Receiver(tmp_path / "b")
    for one in (undisturbed, died):
        one.send(mr[:6])
        one.work()
    died.follower = died.new_follower()
    for one in (undisturbed, died):
        one.send(mr[6:])
        one.after(0.5)
        one.after(20.0)
        _until(lambda one=one: bool(one.catalogue.verdicts()), one)
    first, second = (one.catalogue.verdicts()[0].document["assessments"][0] for one in (undisturbed, died))
    assert second["provenance"].pop("judged_at") >= first["provenance"].pop("judged_at")
    assert first == second
    assert died.catalogue.assessment(mr[0].SeriesInstanceUID, status=Status.PROVISIONAL) is None
    assert died.revisions()[0].noted == 0


@dataclass(frozen=True)
class Deadly(FakeMal):
    """Takes its process down, as a decoder with a memory fault does."""

    def score(self, images: Sequence[FrameImage]) -> list[FrameScore]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


@dataclass(frozen=True)
class Broken(FakeMal):
    """Raises what nobody expects."""

    def score(self, images: Sequence[FrameImage]) -> list[FrameScore]:
        message = "a defect"
        raise ZeroDivisionError(message)


def deadly_load(settings: Settings) -> FakeShelf:
    return FakeShelf((Deadly("MR", "mal_mr"),))


def broken_load(settings: Settings) -> FakeShelf:
    return FakeShelf((Broken("MR", "mal_mr"), FakeMal("CT", "mal_ct")))


def test_a_second_death_makes_the_series_unreadable(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, load=deadly_load)
    mr = series("MR", 4)
    receiver.send(mr)
    receiver.catalogue.note_attempt(mr[0].SeriesInstanceUID, 1)
    receiver.after(0.5)
    receiver.after(20.0)
    _until(lambda: bool(receiver.catalogue.verdicts()), receiver)
    (found,) = receiver.catalogue.verdicts()
    assessment = found.document["assessments"][0]
    assert (assessment["verdict"], assessment["reason"]) == (Verdict.REVIEW, "review_unreadable")
    assert [one["message"] for one in assessment["findings"]] == ["unreadable_series"]


def test_a_judging_that_more_objects_call_off_is_no_death(receiver: Receiver) -> None:
    mr = series("MR", DEATHS + 2)
    receiver.send(mr[:1], ending="aborted")
    receiver.catalogue.note_attempt(mr[0].SeriesInstanceUID, 1)  # a process died with it: it is judged alone
    for late in mr[1:-1]:
        receiver.after(200.0)
        assert receiver.revisions()[0].noted == 2
        receiver.send([late], ending="aborted")
        receiver.clock.now += receiver.settings.node.lease_s
        receiver.follower.step()
        assert receiver.revisions()[0].noted == 1
    receiver.send(mr[-1:])
    receiver.after(20.0)
    _until(lambda: bool(receiver.catalogue.verdicts()), receiver)
    (found,) = receiver.catalogue.verdicts()
    assert found.document["assessments"][0]["reason"] != "review_unreadable"
    assert found.document["assessments"][0]["series"]["frames"] == len(mr)


def test_a_defect_in_judging_one_series_neither_stops_nor_delays_another(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, load=broken_load)
    receiver.send(series("MR", 4))
    receiver.send(series("CT", 12))
    receiver.after(0.5)
    receiver.after(5.0)
    assert [one.document["assessments"][0]["series"]["modality"] for one in receiver.catalogue.verdicts()] == ["CT"]
    receiver.after(20.0)
    _until(lambda: len(receiver.catalogue.verdicts()) == 2, receiver)
    assert receiver.catalogue.verdicts()[1].document["assessments"][0]["reason"] == "review_unreadable"


def test_a_death_between_completion_and_verdict_loses_nothing(receiver: Receiver) -> None:
    mr = series("MR", 6)
    receiver.send(mr)
    receiver.after(0.5)
    record = receiver.revisions()[0]
    receiver.catalogue.mark_complete(record.series_uid, 1, reason="settled", evidence={}, last_id=record.last_id)
    receiver.follower = receiver.new_follower()
    receiver.after(1.0)
    assert [one.verdict for one in receiver.catalogue.verdicts()] == ["ADEQUATE"]


def test_an_orderly_stop_suspects_nobody(receiver: Receiver) -> None:
    receiver.send(series("MR", 6))
    receiver.work()
    assert receiver.revisions()[0].noted == 1
    receiver.follower.stop()
    assert receiver.revisions()[0].noted == 0
    receiver.follower = receiver.new_follower()
    receiver.after(0.5)
    assert receiver.catalogue.assessment(receiver.revisions()[0].series_uid) is not None


def _until(true: Callable[[], bool], receiver: Receiver) -> None:
    for _ in range(1200):
        receiver.clock.now += 0.05
        receiver.follower.step()
        if true():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")
