"""`medqa phantom` as a newcomer runs it: DICOM of every vendor that dciodvfy accepts, with the truth of what is in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner, Result

from medqa import reader
from medqa.cli import app
from medqa.errors import InvalidPhantom, MedqaError, OutputRefused
from medqa.simulate import mr_vendors, pet_vendors, phantoms
from medqa.simulate.ct_phantoms import KINDS
from medqa.simulate.vendors import VENDORS

FEW = ("--size", 64, "--slices", 2, "--spacing", 20)


def medqa(*words: object) -> Result:
    result = CliRunner().invoke(app, ["phantom", *(str(word) for word in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("kernel", ["soft", "sharp"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_dciodvfy_finds_no_error_in_any_vendors_files(
    vendor: str, kernel: str, tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    kinds = list(KINDS)
    number = list(VENDORS).index(vendor) + (kernel == "sharp")
    for kind in {kinds[number % len(kinds)], "acr"}:
        out = tmp_path / kind
        assert medqa(kind, out, *FEW, "--vendor", vendor, "--kernel", kernel, "--tilt", number - 2).exit_code == 0
        files = sorted(out.rglob("*.dcm"))
        assert len(files) == 2
        assert {file.name: validate(file) for file in files if validate(file)} == {}
        assert not reader.read(out / "01-CT").series[0].notes


@pytest.mark.parametrize("vendor", VENDORS)
def test_dciodvfy_finds_no_error_in_slices_that_are_not_axial(
    vendor: str, tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    number = list(VENDORS).index(vendor)
    words = ("--size", 48, "--vendor", vendor, "--tilt", 15 * (number % 3))
    said = medqa("acr", tmp_path, *words, "--plane", ("coronal", "sagittal")[number % 2], "--json")
    truth = json.loads(said.stdout)
    files = sorted(tmp_path.rglob("*.dcm"))
    assert len(files) == truth["slices"]
    assert {file.name: validate(file) for file in files[:: max(1, len(files) // 3)] if validate(file)} == {}
    (series,) = reader.read(tmp_path / "01-CT").series
    assert not series.notes
    first, second = (series.frames[index].header for index in (0, 1))
    assert [cosine for side in first.orientation or () for cosine in side] == pytest.approx(truth["orientation"], abs=1e-5)
    assert first.position_mm is not None
    assert second.position_mm is not None
    step = [after - before for before, after in zip(first.position_mm, second.position_mm, strict=True)]
    assert step == pytest.approx(truth["step_mm"], abs=1e-5)
    assert (first.rows, first.columns) == (truth["rows"], truth["columns"])


MR_AND_PET = [
    *(("mr-head", vendor, ("--weighting", weighting)) for vendor in mr_vendors.VENDORS for weighting in ("t1", "t2", "flair")),
    *(("mr-acr", vendor, ("--coil", 0)) for vendor in mr_vendors.VENDORS),
    *((kind, vendor, ("--counts", 0.5)) for vendor in pet_vendors.VENDORS for kind in phantoms.KINDS["PT"]),
]


@pytest.mark.parametrize(("kind", "vendor", "words"), MR_AND_PET)
def test_dciodvfy_finds_no_error_in_any_vendors_mr_and_pet(
    kind: str, vendor: str, words: tuple[object, ...], tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    out = tmp_path / kind
    assert medqa(kind, out, "--size", 48, "--slices", 2, "--spacing", 50, "--vendor", vendor, *words).exit_code == 0
    files = sorted(out.rglob("*.dcm"))
    assert len(files) == 2
    assert {file.name: validate(file) for file in files if validate(file)} == {}
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    (series,) = reader.read(out / truth["folder"]).series
    assert not series.notes
    assert len(series.frames) == truth["slices"] == 2
    assert (out / "labels.nii.gz").exists() == (kind == "mr-head") == ("label_file" in truth)


def test_an_option_of_another_modality_is_refused(tmp_path: Path) -> None:
    said = medqa("pet-cylinder", tmp_path / "out", "--kernel", "sharp")
    assert said.exit_code == 2
    assert "--kernel is for CT phantoms" in " ".join(said.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_the_labels_lie_where_the_slices_lie(tmp_path: Path) -> None:
    out = tmp_path / "out"
    truth = json.loads(medqa("mr-head", out, "--json", "--size", 64, "--spacing", 20, "--snr", 1000, "--coil", 0).stdout)
    labels = sitk.ReadImage(str(out / truth["label_file"]))
    (series,) = reader.read(out / truth["folder"]).series
    image = series.volume.to_sitk()
    np.testing.assert_allclose(labels.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(labels.GetSpacing(), image.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(labels.GetDirection(), image.GetDirection(), atol=1e-6)
    white = sitk.GetArrayFromImage(image)[sitk.GetArrayFromImage(labels) == truth["labels"]["white"]]
    assert np.median(white) == pytest.approx(truth["signals"]["white"], rel=0.03)


def test_the_truth_tells_where_every_insert_is(tmp_path: Path) -> None:
    said = medqa("acr", tmp_path / "out", "--json", "--size", 80, "--spacing", 40, "--dose", 1000, "--seed", 3)
    truth = json.loads(said.stdout)
    assert truth == json.loads((tmp_path / "out" / "truth.json").read_text(encoding="utf-8"))
    (series,) = reader.read(tmp_path / "out" / truth["folder"]).series
    assert len(series.frames) == truth["slices"] == 4
    assert len(truth["line_pairs"]) == 8
    for insert in truth["inserts"][1:6]:
        frame = series.frames[int(((insert["low_mm"] + insert["high_mm"]) / 2 - truth["first_z_mm"]) / truth["spacing_mm"])]
        corner = frame.header.position_mm
        assert corner is not None
        column, row = (round((insert[axis] - corner[n]) / truth["pixel_mm"]) for n, axis in enumerate(("x_mm", "y_mm")))
        assert frame.decode()[row, column] == pytest.approx(insert["hu"], abs=6)


def test_the_same_command_writes_the_same_bytes_and_another_seed_another_series(tmp_path: Path) -> None:
    for name, seed in (("one", 4), ("same", 4), ("other", 5)):
        assert medqa("chest", tmp_path / name, *FEW, "--seed", seed).exit_code == 0
    one, same, other = ((tmp_path / name / "01-CT" / "0001.dcm").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


def test_the_list_names_every_phantom_and_vendor() -> None:
    listed = json.loads(medqa("--list", "--json").stdout)
    assert list(listed["phantoms"]) == [name for kinds in phantoms.KINDS.values() for name in kinds]
    assert {modality: list(vendors) for modality, vendors in listed["vendors"].items()} == {
        "CT": list(VENDORS),
        "MR": list(mr_vendors.VENDORS),
        "PT": list(pet_vendors.VENDORS),
    }
    text = medqa("--list").stdout
    assert all(summary in text for part in (listed["phantoms"], *listed["vendors"].values()) for summary in part.values())


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("spleen", "out"), InvalidPhantom, "there are water, acr, abdomen, chest, chest-arms, head, mr-head, mr-acr, pet-body"),
        (("mr-acr", "out", "--weighting", "flair"), InvalidPhantom, "there are t1"),
        (("pet-body", "out", "--vendor", "canon"), InvalidPhantom, "there are ge, siemens, philips"),
        (("acr", "out", "--vendor", "acme"), InvalidPhantom, "there are ge, siemens"),
        (("acr", "full"), OutputRefused, "it is not empty"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_code_and_leaves_nothing(
    tmp_path: Path, words: tuple[str, ...], error: type[MedqaError], said: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(error, match=r"^MQ70\d: ") as refused:
        medqa(words[0], tmp_path / words[1], *FEW, *words[2:])
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_without_a_place_or_with_an_impossible_size_the_command_says_what_it_wants(tmp_path: Path) -> None:
    assert medqa("acr").exit_code == 2
    assert medqa("acr", tmp_path / "out", "--size", 2).exit_code == 2
    assert not (tmp_path / "out").exists()
