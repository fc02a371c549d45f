"""No log line holds patient data, whatever goes wrong."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pynetdicom import _config

from dicom_node import header, telemetry
from dicom_node.arrivals import key_of
from tests.node.loopback import CT, EXPLICIT, SECRETS, Thing, captured_logs, receiving, settings_of, thing


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    structlog.reset_defaults()


def test_a_uid_is_hashed_a_path_hidden_and_a_name_dropped() -> None:
    stream = captured_logs()
    structlog.get_logger().info("x", series_uid="1.2.3", path=Path("/patients/Zanzibar/1.dcm"), patient_name="Zanzibar", count=3)
    line = json.loads(stream.getvalue())
    assert line["series"] == key_of("1.2.3")
    assert (line["path"], line["count"], line["process"], line["event"]) == (".dcm", 3, "test", "x")
    assert "Zanzibar" not in stream.getvalue()
    assert "1.2.3" not in stream.getvalue()


def test_an_exception_is_named_without_its_text() -> None:
    stream = captured_logs()
    try:
        int("Zanzibar^Quentin")
    except ValueError:
        structlog.get_logger().exception("failed")
    line = json.loads(stream.getvalue())
    assert line["error"] == "ValueError"
    assert line["at"][0].startswith(Path(__file__).name)
    assert "Zanzibar" not in stream.getvalue()


def test_a_warning_of_a_library_tells_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    captured_logs()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("Invalid value Zanzibar^Quentin", UserWarning, "x.py", 1)
    assert "Zanzibar" not in "".join(capsys.readouterr())


def test_what_is_held_back_reaches_no_terminal_and_is_told_again_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.held_back() as entries:
        structlog.get_logger().warning("heat_maps_cut_short", made=1, asked=3)
    assert "".join(capsys.readouterr()) == ""
    assert entries == [{"event": "heat_maps_cut_short", "made": 1, "asked": 3, "level": "warning"}]
    structlog.get_logger().warning("seen")
    assert "seen" in "".join(capsys.readouterr())
    assert len(entries) == 1


def test_a_log_goes_to_its_file_for_a_while(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "node.log").open("w", encoding="utf-8") as file, telemetry.written_to("node", file):
        structlog.get_logger().error("process_died", exit=1)
    assert "".join(capsys.readouterr()) == ""
    structlog.get_logger().error("afterwards")
    (line,) = (tmp_path / "node.log").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["event"] == "process_died"


def test_receiving_good_and_bad_objects_logs_no_patient_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = captured_logs("listener")
    good, bad = thing(1), thing(2).data.replace(b"1.2.3.1.2\x00", b"1.2.3.1.9\x00")

    def fail(*_: object) -> header.Header:
        raise KeyError(SECRETS[0])

    with receiving(settings_of(tmp_path / "node")) as node:
        files = [
            good.file(tmp_path),
            Thing(CT, "1.2.3.1.2", EXPLICIT, bad).file(tmp_path),
            Thing(CT, "1.2", EXPLICIT, b"PN").file(tmp_path),
        ]
        node.send([files[0], thing(1, fill=9).file(tmp_path), files[1], files[2]])
        monkeypatch.setattr(header, "scan", fail)
        assert node.send([thing(3).file(tmp_path)]) == [0x0110]
        told = json.dumps([dict(event.data) for event in node.catalogue.events_since(0)])
    logged = stream.getvalue() + "".join(capsys.readouterr()) + told
    assert "association_closed" in logged
    assert "KeyError" in logged
    for secret in (*SECRETS, *(part for name in SECRETS for part in name.split("^")), "1.2.3.1"):
        assert secret not in logged, secret
    for line in stream.getvalue().splitlines():
        assert json.loads(line)["process"] == "listener"
    assert sys.stderr is not None
