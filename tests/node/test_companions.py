"""A PET and the CT of its study in either order: two measurements depend on what has arrived, and nothing else does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicom_node import companions, gathered, process
from dicom_node.alone import judge_stored
from dicom_node.lifecycle import State
from dicom_node.process import Judges
from medqa import reader
from medqa.config import Settings
from medqa.metrics import ct_of_pet
from medqa.reader import Instance
from medqa.series import Series
from medqa.simulate.shapes import Grid
from tests.node.receiving import Receiver
from tests.node.small_series import fake_load
from tests.science import pet_ct

PAIR_NAMES = ("pt_ct_overlap", "pt_dome_mismatch")
PET = Grid(slices=28, size=80, pixel_mm=8.0, spacing_mm=9.0, centre_z_mm=80.0)
CT = Grid(slices=40, size=96, pixel_mm=5.0, spacing_mm=8.0, centre_z_mm=80.0)
MOVED = {"shift_mm": (20.0, -10.0)}
JUDGED_AT = "2026-01-02T12:00:00+00:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one study."""
    made = tmp_path_factory.mktemp("study")
    pet_ct.save_pet(made / "pet", PET)
    pet_ct.save_ct(made / "ct", CT, **MOVED)
    return made


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, dict[str, Any]]]:
    """A node that has the CT and then the PET, and what it made of that."""
    receiver = Receiver(tmp_path_factory.mktemp("node"))
    ct_arrives(receiver, folder)
    yield receiver, pet_arrives(receiver, folder)
    receiver.follower.stop()
    receiver.catalogue.close()


@pytest.fixture(scope="module")
def pet(folder: Path) -> Series:
    (found,) = reader.read(folder / "pet").series
    return found


def instances(folder: Path) -> Iterator[Dataset]:
    for path in sorted(folder.iterdir()):
        yield dcmread(path)


def ct_arrives(receiver: Receiver, folder: Path) -> None:
    receiver.send(instances(folder / "ct"))
    receiver.after(0.5)
    receiver.after(30.0)


def pet_arrives(receiver: Receiver, folder: Path) -> dict[str, Any]:
    """Send the PET, which declares its slices, and return its final assessment."""
    receiver.send(instances(folder / "pet"))
    receiver.after(0.5)
    (final,) = [one for one in receiver.catalogue.verdicts() if one.document["assessments"][0]["series"]["modality"] == "PT"]
    assessment: dict[str, Any] = final.document["assessments"][0]
    return assessment


def values(assessment: dict[str, Any]) -> dict[str, float]:
    found = {one["quantity"]["value"]: one["value"] for one in assessment["measurements"]}
    return {name: found[name] for name in PAIR_NAMES if name in found}


def reasons(assessment: dict[str, Any]) -> dict[str, str]:
    return {one["what"]: one["reason"] for one in assessment["not_checked"] if one["what"] in PAIR_NAMES}


def as_stored(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as the catalogue gives it back."""
    stored: dict[str, Any] = json.loads(json.dumps(document))
    return stored


def rest(assessment: dict[str, Any]) -> dict[str, Any]:
    """Return all that does not speak of the CT, nor of the time."""
    kept = {name: value for name, value in assessment.items() if name not in {"measurements", "not_checked", "provenance"}}
    kept["measurements"] = [one for one in assessment["measurements"] if one["quantity"]["value"] not in PAIR_NAMES]
    kept["not_checked"] = [one for one in assessment["not_checked"] if one["what"] not in PAIR_NAMES]
    return kept


def test_a_pet_after_its_ct_is_measured_as_from_disk(whole: tuple[Receiver, dict[str, Any]], folder: Path) -> None:
    reading = reader.read(folder)
    (one,) = [one for one in reading.series if one.modality == "PT"]
    scorers = fake_load(Settings()).scorers
    from_disk = as_stored(process.assess_from_disk(one, scorers, Settings(), companions=reading.series).to_json())
    assert values(whole[1]) == values(from_disk)
    # Pixels of 8 mm draw a coarse outline.
    assert values(whole[1])["pt_ct_overlap"] == pytest.approx(pet_ct.outline_overlap(20.0, CT, PET), abs=0.07)
    assert values(whole[1])["pt_dome_mismatch"] == pytest.approx(10.0, abs=4)
    assert rest(whole[1]) == rest(from_disk)


def test_a_pet_before_its_ct_is_not_measured_and_all_else_is_the_same(
    whole: tuple[Receiver, dict[str, Any]], receiver: Receiver, folder: Path
) -> None:
    before = pet_arrives(receiver, folder)
    ct_arrives(receiver, folder)
    assert (values(before), reasons(before)) == ({}, dict.fromkeys(PAIR_NAMES, "no_ct_of_study"))
    assert rest(before) == rest(whole[1])
    # The CT that came late does not reopen the PET.
    assert [one.revision for one in receiver.revisions()] == [1, 1]
    assert len(receiver.catalogue.verdicts()) == 2


def test_a_ct_that_still_arrives_is_not_waited_for(receiver: Receiver, folder: Path, pet: Series) -> None:
    association = receiver.open()
    receiver.receive(list(instances(folder / "ct"))[:20], association)
    receiver.work()
    assert companions.ct_of(receiver.catalogue, pet) == ()
    receiver.close(association)
    receiver.after(0.5)
    assert companions.ct_of(receiver.catalogue, pet) == ()  # provisional
    receiver.after(30.0)
    (found,) = companions.ct_of(receiver.catalogue, pet)
    assert ct_of_pet.choose(pet, [found]) is found


def test_only_the_slices_that_are_wanted_are_read_whole(
    whole: tuple[Receiver, dict[str, Any]], pet: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path, *, name: str) -> Instance:
        read.append(path)
        return reader.read_instance(path, name=name)

    monkeypatch.setattr(ct_of_pet, "MOST", 12)
    monkeypatch.setattr(gathered, "read_instance", counted)
    (found,) = companions.ct_of(whole[0].catalogue, pet)
    assert (found.modality, len(found.frames), len(read)) == ("CT", 12, 12)
    assert companions.ct_of(whole[0].catalogue, dataclasses.replace(pet, study_uid="1.2.3")) == ()


def test_a_series_that_is_judged_alone_has_its_ct_too(whole: tuple[Receiver, dict[str, Any]]) -> None:
    receiver, streamed = whole
    shelf = fake_load(receiver.settings)
    judge = Judges(shelf.scorers, (), receiver.settings).of("PT")
    alone = as_stored(judge_stored(receiver.catalogue, streamed["series"]["series_uid"], 1, judge, JUDGED_AT).document())
    assert values(alone["assessments"][0]) == values(streamed)
    assert rest(alone["assessments"][0]) == rest(streamed)


def test_a_ct_that_could_not_be_read_safely_is_left_alone(receiver: Receiver, folder: Path, pet: Series) -> None:
    association = receiver.open()
    for one in list(instances(folder / "ct"))[:3]:
        receiver.receive_bytes(one, b"nothing of the kind", association)
    receiver.close(association)
    receiver.after(0.5)
    receiver.after(30.0)
    assert receiver.revisions()[0].state is State.JUDGED
    assert companions.ct_of(receiver.catalogue, pet) == ()


def test_files_that_have_gone_are_no_ct(receiver: Receiver, folder: Path, pet: Series) -> None:
    receiver.send(list(instances(folder / "ct"))[:6])
    receiver.after(0.5)
    receiver.after(30.0)
    assert len(companions.ct_of(receiver.catalogue, pet)) == 1
    for path in (receiver.folder / "objects").iterdir():
        path.unlink()
    assert companions.ct_of(receiver.catalogue, pet) == ()


def test_a_ct_of_another_frame_of_reference_is_there_but_not_matched(receiver: Receiver, pet: Series, tmp_path: Path) -> None:
    apart = Grid(slices=6, size=64, pixel_mm=7.0, spacing_mm=5.0)
    pet_ct.save_ct(tmp_path / "apart" / "ct", apart, FrameOfReferenceUID="1.2.3.4")
    ct_arrives(receiver, tmp_path / "apart")
    found = companions.ct_of(receiver.catalogue, pet)
    assert ct_of_pet.of_study(pet, found)
    assert ct_of_pet.choose(pet, found) is None


def test_many_frames_in_one_object_are_read_as_they_are(
    whole: tuple[Receiver, dict[str, Any]], pet: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = whole[0].catalogue
    stored = catalogue.instances_of
    monkeypatch.setattr(
        catalogue, "instances_of", lambda *given, **more: [dataclasses.replace(one, frames=2) for one in stored(*given, **more)]
    )
    (found,) = companions.ct_of(catalogue, pet)
    assert len(found.frames) == CT.slices
    assert ct_of_pet.choose(pet, [found]) is found
