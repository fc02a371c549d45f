"""The renderer: prepared while provisional, shown only when final, and a report for every verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node import renderer as module
from dicom_node.lifecycle import State
from dicom_node.renderer import Renderer
from medqa.errors import RenderingFailed
from tests.node.receiving import Receiver
from tests.node.small_series import series


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    one = Receiver(tmp_path)
    yield one
    one.follower.stop()
    one.catalogue.close()


@pytest.fixture
def renderer(receiver: Receiver) -> Renderer:
    return Renderer(receiver.settings, receiver.catalogue, (), receiver.clock)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Count how often a report is really made."""
    folders: list[Path] = []
    write = module.write

    def counting(folder: Path, *arguments: object) -> object:
        folders.append(folder)
        return write(folder, *arguments)

    monkeypatch.setattr(module, "write", counting)
    return folders


def _reports(receiver: Receiver) -> Path:
    return receiver.folder / "reports" / receiver.revisions()[0].key


def test_a_report_is_made_while_provisional_and_shown_when_final(
    receiver: Receiver, renderer: Renderer, written: list[Path]
) -> None:
    receiver.send(series("MR", 12))
    receiver.after(0.5)
    assert not renderer.step()
    receiver.after(0.5)
    assert renderer.step()
    assert len(written) == 1
    assert not (_reports(receiver) / "revision-1").exists()
    receiver.after(20.0)
    assert renderer.step()
    assert len(written) == 1
    assert receiver.revisions()[0].state is State.DELIVERED
    shown = _reports(receiver) / "revision-1"
    assert {path.name for path in shown.iterdir()} == {"report.pdf", "assessment.json", "01-DOC.dcm", "02-SR.dcm"}
    assert json.loads((shown / "assessment.json").read_text(encoding="utf-8"))["verdict"] == "ADEQUATE"
    assert [path.name for path in _reports(receiver).iterdir()] == ["revision-1"]


def test_what_was_prepared_too_early_is_made_again(receiver: Receiver, renderer: Renderer, written: list[Path]) -> None:
    mr = series("MR", 12)
    receiver.send(mr[:8])
    receiver.after(0.5)
    receiver.after(0.5)
    assert renderer.step()
    receiver.send(mr[8:])
    receiver.after(0.5)
    receiver.after(20.0)
    assert renderer.step()
    assert len(written) == 2
    document = json.loads((_reports(receiver) / "revision-1" / "assessment.json").read_text(encoding="utf-8"))
    assert document["series"]["frames"] == 12


def test_a_report_made_at_once_and_one_prepared_are_the_same_to_the_byte(receiver: Receiver, tmp_path: Path) -> None:
    hurried = Receiver(tmp_path / "hurried")
    patient = Renderer(receiver.settings, receiver.catalogue, (), receiver.clock)
    late = Renderer(hurried.settings, hurried.catalogue, (), hurried.clock)
    for one in (receiver, hurried):
        one.send(series("MR", 12))
        one.after(0.5)
        one.after(0.5)
    assert patient.step()
    for one in (receiver, hurried):
        one.after(20.0)
    assert patient.step()
    assert late.step()
    for name in ("report.pdf", "assessment.json", "01-DOC.dcm", "02-SR.dcm"):
        assert (_reports(receiver) / "revision-1" / name).read_bytes() == (_reports(hurried) / "revision-1" / name).read_bytes(), (
            name
        )
    hurried.follower.stop()
    hurried.catalogue.close()


def test_a_series_that_could_not_be_read_gets_a_report_too(receiver: Receiver, renderer: Renderer) -> None:
    association = receiver.open()
    for one in series("CT", 3):
        receiver.receive_bytes(one, b"nothing of the kind", association)
    receiver.close(association)
    receiver.after(0.5)
    receiver.after(20.0)
    assert renderer.step()
    assert receiver.revisions()[0].state is State.DELIVERED
    report = dcmread(_reports(receiver) / "revision-1" / "02-SR.dcm")
    assert report.StudyInstanceUID == series("CT", 3)[0].StudyInstanceUID


def test_a_report_that_cannot_be_made_leaves_the_verdict_and_its_reason(
    receiver: Receiver, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RenderingFailed(reason="no ink")

    monkeypatch.setattr(module, "write", fail)
    receiver.send(series("MR", 12))
    receiver.after(0.5)
    receiver.after(20.0)
    assert renderer.step()
    record = receiver.revisions()[0]
    assert (record.state, receiver.catalogue.verdicts()[0].verdict) == (State.FAILED, "ADEQUATE")
    assert record.reason is not None
    assert record.reason.startswith("MQ600")


def test_attempts_that_end_with_the_process_are_counted_and_end(receiver: Receiver, renderer: Renderer) -> None:
    receiver.send(series("MR", 12))
    receiver.after(0.5)
    receiver.after(20.0)
    for _ in range(receiver.settings.node.attempts):
        assert receiver.catalogue.claim(module.JobKind.RENDER, module.OWNER, 60.0) is not None
        receiver.catalogue.end_leases(module.OWNER)
    assert renderer.step()
    assert receiver.revisions()[0].state is State.FAILED
