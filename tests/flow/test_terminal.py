"""What a person sees on the terminal of `medqa assess`: a table and plain sentences, never a line of the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node import process
from medqa.cli import app


def cut_short(*_: object) -> tuple[()]:
    process.log.warning("heat_maps_cut_short", made=0, asked=3)
    return ()


@pytest.mark.parametrize("as_json", [False, True])
def test_heat_maps_that_took_too_long_are_told_in_a_sentence(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no models").mkdir()
    monkeypatch.setenv("MEDQA_MODELS", str(tmp_path / "no models"))
    monkeypatch.setattr(process, "explain", cut_short)
    folder = tmp_path / "made"
    assert CliRunner().invoke(app, ["phantom", "water", str(folder), "--size", "64", "--slices", "2"]).exit_code == 0
    options = ["--out", str(tmp_path / "out"), *(["--json"] if as_json else [])]
    answer = CliRunner().invoke(app, ["assess", str(folder), *options])
    assert answer.exit_code == 1
    assert "heat_maps_cut_short" not in answer.output
    assert (
        answer.stderr
        == "Some heat maps are missing from the reports: making them took too long or failed. No verdict needs them.\n"
    )
    if as_json:
        assert len(json.loads(answer.stdout)["assessments"]) == 1
