"""The demonstration and the sender, over real DICOM: phantoms in, verdicts out, and an honest word on every file."""

from __future__ import annotations

import dataclasses
import io
import json
import socket
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pynetdicom import AE, _config, evt
from rich.console import Console
from typer.testing import CliRunner

from dicom_node.catalogue import Catalogue
from dicom_node.node import Node
from medqa.cli import app, demo, send
from medqa.config import load
from medqa.errors import InvalidSettings, NothingToRead, ReceiverUnreachable, UnreadableSeries
from medqa.simulate import phantom, study
from medqa.simulate.scenarios import SCENARIOS, Scenario
from tests.node.small_series import fake_load
from tests.node.wire import Wire

CT, EXPLICIT, IMPLICIT, DEFLATED = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
)


# ---- the demonstration -----------------------------------------------------------------------------------------------------


def small(scenario: Scenario) -> Scenario:
    """The same scenario on a coarser phantom."""

    def make(generator: np.random.Generator) -> phantom.Phantom:
        made = phantom.ct(generator, slices=12, size=128, spacing_mm=10.0, realisations=2)
        if "blank" in scenario.name:
            made.array[6] = -1000
        return made

    lost = range(5, 8) if scenario.lost else range(0)
    return dataclasses.replace(scenario, make=make, lost=lost)


def test_phantoms_sent_by_dicom_end_in_verdicts_that_agree_with_how_they_were_made(tmp_path: Path) -> None:
    chosen = [small(one) for one in SCENARIOS if "blank" in one.name or "lost" in one.name]
    assert len(chosen) == 2
    node = Node(demo.settings_for(load(environment={}), tmp_path / "node", "en"), fake_load)
    node.start()
    said = io.StringIO()
    try:
        catalogue = Catalogue.open(node.settings)
        console = Console(file=said, width=200, force_terminal=False)
        screen = demo.Screen(node=node, catalogue=catalogue, out=tmp_path / "out", console=console, lang="en")
        code = demo.play(chosen, screen, tmp_path)
        catalogue.close()
    finally:
        node.stop()
    assert code == 0, said.getvalue()
    assert [one.verdict for one in screen.sent.values()] == ["RESCAN", "REVIEW"]
    assert said.getvalue().count("✓ yes") == 2
    for folder in ("01-CT", "02-CT"):
        assert (tmp_path / "out" / folder / "report.pdf").read_bytes().startswith(b"%PDF-")
        document = json.loads((tmp_path / "out" / folder / "assessment.json").read_text(encoding="utf-8"))
        assert document["verdict"] in {"RESCAN", "REVIEW"}
        assert [dcmread(path).Modality for path in sorted((tmp_path / "out" / folder).glob("*.dcm"))][:2] == ["DOC", "SR"]
    assert "while 1. CT abdomen, one blank slice arrives" in said.getvalue()


def test_a_verdict_that_disagrees_or_never_comes_is_told_by_the_exit_code(tmp_path: Path) -> None:
    def code(*shown: demo.Shown) -> tuple[int, str]:
        said = io.StringIO()
        screen: Any = demo.Screen(
            node=None,  # type: ignore[arg-type]
            catalogue=None,  # type: ignore[arg-type]
            out=tmp_path,
            console=Console(file=said, width=200),
            lang="en",
            sent={str(one.number): one for one in shown},
        )
        return demo._sum_up(screen), said.getvalue()

    agrees = demo.Shown(number=1, name="a", agree=frozenset({"RESCAN"}), verdict="RESCAN", told=True)
    differs = dataclasses.replace(agrees, number=2, verdict="ADEQUATE")
    missing = dataclasses.replace(agrees, number=3, verdict=None, told=False)
    assert code(agrees)[0] == 0
    assert code(agrees, differs)[0] == 1
    assert "no: RESCAN" in code(agrees, differs)[1]
    assert code(agrees, differs, missing)[0] == 2


def test_there_is_a_good_and_a_spoiled_series_of_every_modality() -> None:
    kinds = {(one.name.split()[0], one.agree == frozenset({"ADEQUATE"})) for one in SCENARIOS}
    assert kinds == {(modality, good) for modality in ("CT", "MR", "PET") for good in (True, False)}


# ---- the sender ------------------------------------------------------------------------------------------------------------


@contextmanager
def receiver(answer: Callable[[evt.Event], int] = lambda _: 0, syntaxes: tuple[str, ...] = (EXPLICIT, IMPLICIT)) -> Iterator[Any]:
    """A storage SCP of pynetdicom on a free port; yields its port and the bytes that it took."""
    taken: dict[str, bytes] = {}

    def store(event: evt.Event) -> int:
        status = answer(event)
        if status == 0:
            taken[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return status

    entity = AE(ae_title="MEDQA")
    entity.add_supported_context(CT, list(syntaxes))
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield server.socket.getsockname()[1], taken
    finally:
        server.shutdown()


def slices(folder: Path, count: int = 4) -> tuple[Path, ...]:
    image = np.zeros((count, 16, 16), np.float32)
    return study.save(folder, image, study.Form(modality="CT", pixel_mm=1.0, spacing_mm=1.0, slices=count))


def data_set(path: Path) -> bytes:
    """What stands behind the file meta information."""
    stored = path.read_bytes()
    return stored[stored.index(b"\x08\x00\x05\x00CS") :]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["send", *arguments])


def test_a_folder_goes_out_byte_for_byte_and_other_files_are_counted(tmp_path: Path) -> None:
    paths = slices(tmp_path / "in")
    (tmp_path / "in" / "notes.txt").write_text("no image", encoding="utf-8")
    with receiver() as (port, taken):
        result = run(str(tmp_path / "in"), "--to", f"127.0.0.1:{port}")
    assert (result.exit_code, "4 of 4 stored" in result.output) == (0, True), result.output
    assert "1 files are not DICOM" in result.output
    assert sorted(taken.values()) == sorted(data_set(path) for path in paths)


def test_a_zip_goes_out_as_its_files_would(tmp_path: Path) -> None:
    paths = slices(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.name)
    items, others = send.collect(tmp_path / "in.zip")
    with receiver() as (port, taken):
        sent = send.store(items, "127.0.0.1", port)
    assert (others, [one.stored for one in sent]) == (0, [True] * 4)
    assert sorted(taken.values()) == sorted(data_set(path) for path in paths)


def test_a_file_without_meta_information_is_sent_as_implicit_little_endian(tmp_path: Path) -> None:
    whole = dcmread(slices(tmp_path / "in", 1)[0])
    del whole.file_meta
    whole.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True)
    items, _ = send.collect(tmp_path / "bare.dcm")
    assert [item.transfer_syntax_uid for item in items] == [IMPLICIT]
    with receiver() as (port, taken):
        (sent,) = send.store(items, "127.0.0.1", port)
    assert sent.stored, sent.text
    assert len(taken) == 1


def test_each_refusal_is_told_with_its_status_and_fails_the_command(tmp_path: Path) -> None:
    slices(tmp_path / "in")
    with receiver(lambda event: 0xA700 if event.message_id % 2 else 0xB000) as (port, _):
        result = run(str(tmp_path / "in"), "--to", f"127.0.0.1:{port}")
    assert result.exit_code == 2
    assert "0xA700" in result.output
    assert "failed" in result.output


def test_a_warning_counts_as_stored(tmp_path: Path) -> None:
    slices(tmp_path / "in")
    with receiver(lambda _: 0xB007) as (port, _):
        result = run(str(tmp_path / "in"), "--to", f"127.0.0.1:{port}")
    assert (result.exit_code, "4 with a warning" in result.output) == (0, True), result.output


def test_what_the_receiver_does_not_take_is_told_and_the_rest_still_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a listener that ran in this process leaves pynetdicom taking everything
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    paths = slices(tmp_path / "in")
    strange = dcmread(paths[0])
    strange.file_meta.TransferSyntaxUID = DEFLATED
    strange.save_as(paths[0], enforce_file_format=True)
    items, _ = send.collect(tmp_path / "in")
    with receiver() as (port, _):
        sent = send.store(items, "127.0.0.1", port)
    assert [one.stored for one in sent] == [False, True, True, True]
    assert "does not take" in sent[0].text


def test_a_receiver_that_aborts_is_asked_again_and_then_given_up(tmp_path: Path) -> None:
    slices(tmp_path / "in")

    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    items, _ = send.collect(tmp_path / "in")
    with receiver(abort) as (port, _):
        sent = send.store(items, "127.0.0.1", port)
    assert len(sent) == 4
    assert not any(one.stored for one in sent)


@pytest.mark.parametrize(("answered", "stored"), [(lambda number: number != 2, 4), (lambda number: number == 1, 1)])
def test_a_file_that_is_not_answered_is_sent_again_and_never_counts_as_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: Callable[[int], int], stored: int
) -> None:
    monkeypatch.setattr(send, "TIMEOUT_S", 0.5)
    slices(tmp_path / "in")
    items, _ = send.collect(tmp_path / "in")
    with receiver() as (port, taken), Wire(port, copies=answered).open() as wire:
        sent = send.store(items, "127.0.0.1", wire.port)
    assert len(sent) == len(items)
    assert [one.sop_instance_uid for one in sent if one.stored] == [item.sop_instance_uid for item in items[:stored]]
    assert set(taken) >= {one.sop_instance_uid for one in sent if one.stored}


def test_more_kinds_than_an_association_can_hold_go_in_several() -> None:
    made = [
        send.Item(source=None, sop_class_uid=f"1.2.{n}", sop_instance_uid=f"1.3.{n}", transfer_syntax_uid=EXPLICIT, complete=True)  # type: ignore[arg-type]
        for n in range(300)
    ]
    batches = list(send._batches([*made, *made]))
    assert sum(len(batch) for batch in batches) == 600
    assert all(len({item.context for item in batch}) <= 128 for batch in batches)


def test_nobody_there_nothing_to_send_and_a_wrong_address_are_clear_errors(tmp_path: Path) -> None:
    slices(tmp_path / "in", 1)
    items, _ = send.collect(tmp_path / "in")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(ReceiverUnreachable, match=r"MQ501.*refused"):
            send.store(items, "127.0.0.1", held.getsockname()[1])
    with pytest.raises(InvalidSettings, match="HOST:PORT"):
        send.parse_address("nowhere")
    with pytest.raises(UnreadableSeries, match="MQ200"):
        send.collect(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    result = run(str(tmp_path / "empty"), "--to", "127.0.0.1:1")
    assert isinstance(result.exception, NothingToRead)
    assert send.parse_address("[::1]:104") == ("::1", 104)


def test_dcmtk_takes_what_we_send(peer: Callable[[str, str], str], tmp_path: Path) -> None:
    paths = slices(tmp_path / "in")
    (tmp_path / "out").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([peer("storescp", "dcmtk"), "+B", "-od", str(tmp_path / "out"), str(port)])
    try:
        items, _ = send.collect(tmp_path / "in")
        for _ in range(50):
            try:
                sent = send.store(items, "127.0.0.1", port, aet="ANY-SCP")
                break
            except ReceiverUnreachable:
                time.sleep(0.1)
    finally:
        server.terminate()
        server.wait(10)
    assert all(one.stored for one in sent)
    received = sorted(dcmread(path).SOPInstanceUID for path in (tmp_path / "out").iterdir())
    assert received == sorted(dcmread(path).SOPInstanceUID for path in paths)
