"""A folder with a PET and its CT, through the command to the report: two more lines for the PET, and the CT as it was."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from medqa.cli import app
from medqa.simulate.shapes import Grid
from tests.science import pet_ct

PET = Grid(slices=28, size=80, pixel_mm=8.0, spacing_mm=9.0, centre_z_mm=80.0)
CT = Grid(slices=40, size=96, pixel_mm=5.0, spacing_mm=8.0, centre_z_mm=80.0)
NAMES = {"pt_ct_overlap": "Overlap of PET and CT outlines", "pt_dome_mismatch": "Liver dome, PET minus CT"}


def test_a_pet_that_lies_beside_its_ct_says_so_in_the_report_and_in_the_objects(
    tmp_path: Path, peer: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no models").mkdir()
    monkeypatch.setenv("MEDQA_MODELS", str(tmp_path / "no models"))
    pet_ct.save_pet(tmp_path / "study" / "pet", PET)
    pet_ct.save_ct(tmp_path / "study" / "ct", CT, shift_mm=(0.0, -20.0))
    answer = CliRunner().invoke(app, ["assess", str(tmp_path / "study"), "--json", "--out", str(tmp_path / "out")])
    documents = {one["series"]["modality"]: one for one in json.loads(answer.stdout)["assessments"]}
    values = {one["quantity"]["value"]: one["value"] for one in documents["PT"]["measurements"]}
    assert values["pt_dome_mismatch"] == pytest.approx(20, abs=4)
    assert 0.85 < values["pt_ct_overlap"] < 1
    assert not NAMES.keys() & {one["quantity"]["value"] for one in documents["CT"]["measurements"]}
    assert not NAMES.keys() & {one["what"] for one in documents["CT"]["not_checked"]}
    (folder,) = (tmp_path / "out").glob("*-PT")
    text = subprocess.run(
        [peer("pdftotext", "poppler-utils"), "-layout", str(folder / "report.pdf"), "-"], check=True, capture_output=True, text=True
    ).stdout
    rows = {name: next(line for line in text.splitlines() if line.startswith(name)) for name in NAMES.values()}
    assert f"{values['pt_ct_overlap']:.3g}" in rows[NAMES["pt_ct_overlap"]]
    assert f"{values['pt_dome_mismatch']:.3g} mm" in rows[NAMES["pt_dome_mismatch"]]
    (report,) = folder.glob("*-SR.dcm")
    measured = {item.ConceptNameCodeSequence[0].CodeValue for item in _items(dcmread(report)) if item.ValueType == "NUM"}
    assert NAMES.keys() <= measured


def _items(content: Dataset) -> Iterator[Dataset]:
    for item in content.get("ContentSequence", ()):
        yield item
        yield from _items(item)
