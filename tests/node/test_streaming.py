"""A series while it arrives: scored once, in any order, remembered over a restart, and never held as pixels."""

from __future__ import annotations

import gc
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pydicom import Dataset

from dicom_node.gathered import Gathered
from dicom_node.process import Judges
from dicom_node.records import SeriesRecord, StoredInstance
from dicom_node.streaming import BEHIND_S, Stream
from medqa import reader
from medqa.assessment import FrameEvidence
from medqa.config import Settings
from medqa.series import Frame, FrameImage
from tests.node.receiving import Receiver
from tests.node.small_series import FakeMal, FakeShelf, fake_load, series, write

JUDGED_AT = "2026-01-02T12:00:00+00:00"


def stored(paths: list[Path]) -> list[StoredInstance]:
    """What the catalogue says of files, as far as a stream asks."""
    return [
        cast(
            "StoredInstance",
            SimpleNamespace(id=number, path=path, sop_instance_uid=path.stem, copy=0, judged=True, series_uid="", received_at=0.0),
        )
        for number, path in enumerate(paths, start=1)
    ]


def stream(modality: str, remembered: dict[Any, FrameEvidence] | None = None) -> Stream:
    settings = Settings()
    shelf = fake_load(settings)
    judge = Judges(shelf.scorers, (), settings).of(modality)
    return Stream(cast("SeriesRecord", None), judge, settings, remembered or {})


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_any_order_and_any_grouping_come_to_the_same_document(modality: str, tmp_path: Path) -> None:
    paths = write(tmp_path, series(modality, 20))
    documents = []
    for seed in range(4):
        chance = random.Random(seed)
        one = stream(modality)
        for item in stored(chance.sample(paths, len(paths))):
            one.add(item)
            if chance.random() < 0.5:
                one.score(chance.randint(1, 6), behind=chance.random() < 0.5)
        documents.append(one.conclude(JUDGED_AT).document())
    assert documents[1:] == documents[:1] * 3


def test_while_it_is_behind_every_fourth_position_goes_first(tmp_path: Path) -> None:
    one = stream("MR")
    for item in stored(write(tmp_path, series("MR", 24))):
        one.add(item)
    evidence, _ = one.score(6, behind=True)
    places = {frame.key: frame.header.instance_number for frame in one.conclude(JUDGED_AT).series[0].frames}
    numbers = sorted(places[item.key] or 0 for item in evidence)
    assert np.diff(numbers).tolist() == [4] * 5
    assert BEHIND_S == 2.0


def test_a_scorer_that_keeps_up_takes_frames_as_they_come(tmp_path: Path) -> None:
    one = stream("MR")
    items = stored(write(tmp_path, series("MR", 12)))
    for item in items:
        one.add(item)
        evidence, _ = one.score(1, behind=False)
        assert [single.sop_instance_uid for single in evidence] == [item.sop_instance_uid]


class Counting(FakeMal):
    """Counts the frames that it scores."""

    seen: list[str] = []  # noqa: RUF012 - shared on purpose

    def score(self, images: Any) -> Any:
        self.seen.extend(image.frame.sop_instance_uid for image in images)
        return super().score(images)


def counting_load(settings: Settings) -> FakeShelf:
    return FakeShelf((Counting("MR", "mal_mr"),))


def test_after_an_orderly_restart_no_frame_is_scored_twice(tmp_path: Path) -> None:
    Counting.seen.clear()
    receiver = Receiver(tmp_path, load=counting_load)
    mr = series("MR", 16)
    association = receiver.open()
    receiver.receive(mr[:10], association)
    receiver.work()
    receiver.follower.stop()
    receiver.follower = receiver.new_follower()
    receiver.receive(mr[10:], association)
    receiver.close(association)
    receiver.after(0.5)
    receiver.after(20.0)
    assert [one.verdict for one in receiver.catalogue.verdicts()] == ["ADEQUATE"]
    assert sorted(Counting.seen) == sorted(one.SOPInstanceUID for one in mr)
    receiver.follower.stop()
    receiver.catalogue.close()


def test_no_pixels_and_no_whole_headers_stay_in_memory(tmp_path: Path) -> None:
    paths = write(tmp_path, series("CT", 40))
    before = alive()
    one = stream("CT")
    for item in stored(paths):
        one.add(item)
        one.score(1, behind=False)
    new = [item for key, item in alive().items() if key not in before]
    assert sum(isinstance(item, FrameImage) for item in new) == 0
    assert sum(isinstance(item, Frame) for item in new) >= 40
    assert sum(isinstance(item, Dataset) and "PatientID" in item for item in new) == 0


def alive() -> dict[int, object]:
    """Return what is alive of the kinds that matter here, by identity; other tests of this process may have left some."""
    gc.collect()
    # By type, not isinstance: asking a foreign object for its class can wake a deprecation of its own.
    return {id(item): item for item in gc.get_objects() if issubclass(type(item), (FrameImage, Frame, Dataset))}


def test_the_header_that_speaks_for_a_series_is_the_one_that_reading_from_disk_takes(tmp_path: Path) -> None:
    paths = write(tmp_path, list(reversed(series("MR", 8))))
    (from_disk,) = reader.read(tmp_path).series
    (gathered,) = Gathered.of(stored(paths)).reading().series
    assert gathered.header == from_disk.header
    assert gathered.header.PatientID == "SMALL-1"
