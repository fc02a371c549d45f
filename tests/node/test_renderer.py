"""The renderer: prepared while provisional, shown only when final, and a report for every verdict."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
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
def renderer(receiver: Receiver) -> Renderer:
    return Renderer(receiver.settings, receiver.catalogue, (), receiver.clock)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Count how often a report is really made."""
    folders: list[Path] = []
    write = module.write

    def counting(folder: Path, *arguments: object, **named: object) -> object:
        folders.append(folder)
        return write(folder, *arguments, **named)

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


def _predecessors(receiver: Receiver, revision: int) -> list[tuple[str, str, str, str]]:
    report = dcmread(_reports(receiver) / f"revision-{revision}" / "02-SR.dcm")
    return [
        (study.StudyInstanceUID, one.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for study in report.get("PredecessorDocumentsSequence", ())
        for one in study.ReferencedSeriesSequence
        for item in one.ReferencedSOPSequence
    ]


def _identity(receiver: Receiver, revision: int) -> tuple[str, str, str, str]:
    report = dcmread(_reports(receiver) / f"revision-{revision}" / "02-SR.dcm")
    return report.StudyInstanceUID, report.SeriesInstanceUID, report.SOPClassUID, report.SOPInstanceUID


def _send_in_pieces(receiver: Receiver, renderer: Renderer, *ends: int, prepare: bool = True) -> None:
    """Send an MR series, the rest always too late; report each revision."""
    mr, start = series("MR", max(ends)), 0
    for end in ends:
        receiver.send(mr[start:end])
        receiver.after(0.5)
        receiver.after(0.5)
        if prepare:
            assert renderer.step()
        receiver.after(20.0)
        assert renderer.step()
        start = end


def test_the_report_of_each_revision_names_the_one_that_it_supersedes(
    receiver: Receiver, renderer: Renderer, peer: Callable[[str, str], str]
) -> None:
    _send_in_pieces(receiver, renderer, 8, 10, 12)
    assert [_predecessors(receiver, number) for number in (1, 2, 3)] == [[], [_identity(receiver, 1)], [_identity(receiver, 2)]]
    path = _reports(receiver) / "revision-3" / "02-SR.dcm"
    said = subprocess.run([peer("dciodvfy", "dicom3tools"), str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []


def test_a_second_report_is_the_same_to_the_byte_whether_prepared_or_not(receiver: Receiver, tmp_path: Path) -> None:
    hurried = Receiver(tmp_path / "hurried")
    for one, prepare in ((receiver, True), (hurried, False)):
        _send_in_pieces(one, Renderer(one.settings, one.catalogue, (), one.clock), 8, 12, prepare=prepare)
    reports = [_reports(one) / "revision-2" / "02-SR.dcm" for one in (receiver, hurried)]
    hurried.follower.stop()
    hurried.catalogue.close()
    assert reports[0].read_bytes() == reports[1].read_bytes()


def test_a_revision_without_a_report_is_passed_over(
    receiver: Receiver, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _send_in_pieces(receiver, renderer, 8)
    with monkeypatch.context() as patched:
        patched.setattr(module, "explain", lambda *_: 1 / 0)
        mr = series("MR", 12)
        receiver.send(mr[8:10])
        receiver.after(0.5)
        receiver.after(20.0)
        assert renderer.step()
    receiver.send(mr[10:])
    receiver.after(0.5)
    receiver.after(20.0)
    assert renderer.step()
    assert [record.state for record in receiver.revisions()] == [State.DELIVERED, State.FAILED, State.DELIVERED]
    assert _predecessors(receiver, 3) == [_identity(receiver, 1)]


def test_a_report_prepared_before_its_predecessor_was_there_is_made_again(
    receiver: Receiver, renderer: Renderer, written: list[Path]
) -> None:
    mr = series("MR", 12)
    receiver.send(mr[:8])
    receiver.after(0.5)
    receiver.after(20.0)
    elsewhere = receiver.catalogue.claim(module.JobKind.RENDER, "another", 60.0)
    assert elsewhere is not None
    receiver.send(mr[8:])
    receiver.after(0.5)
    receiver.after(0.5)
    assert renderer.step()
    receiver.catalogue.release(elsewhere)
    assert renderer.step()
    receiver.after(20.0)
    assert renderer.step()
    assert len(written) == 3
    assert _predecessors(receiver, 2) == [_identity(receiver, 1)]


def test_a_report_that_could_not_be_prepared_is_made_when_it_is_due(
    receiver: Receiver, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.send(series("MR", 12))
    receiver.after(0.5)
    receiver.after(0.5)
    with monkeypatch.context() as patched:
        patched.setattr(module, "explain", lambda *_: 1 / 0)
        assert renderer.step()
    receiver.after(20.0)
    assert renderer.step()
    assert receiver.revisions()[0].state is State.DELIVERED


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
    def fail(*_: object, **__: object) -> None:
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
