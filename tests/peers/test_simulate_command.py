"""`medqa simulate` as a newcomer runs it: derived DICOM that dciodvfy accepts, that reads back as made, with its truth."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner, Result

from medqa import reader
from medqa.cli import app
from medqa.errors import InvalidDegradation, MedqaError, NotDerivable, OutputRefused
from medqa.simulate import phantom, phantoms, study
from medqa.simulate.catalogue import described
from medqa.simulate.series_headers import HEADERS

SLICES = 6
FEW = 24
"""So many files of a real scan are enough."""
CARRIED = (
    "PatientName",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "KVP",
    "PixelSpacing",
    "SliceThickness",
    "WindowCenter",
)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom's CT series with what a scanner leaves in it: private attributes, an overlay, values without a meaning."""
    folder = tmp_path_factory.mktemp("scan")
    made = phantom.ct(np.random.default_rng(3), slices=SLICES, size=128)
    made.array[:, :6, :6] = np.nan
    values = {
        "PixelPaddingValue": -1024,
        "PatientIdentityRemoved": "NO",
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    }
    for file in study.save(folder, made.array, study.form_of(made, values=values)):
        dataset = pydicom.dcmread(file)
        dataset.private_block(0x0019, "A SCANNER", create=True).add_new(0x10, "LO", "of the maker")
        dataset.add_new(0x60003000, "OW", b"\0" * 2048)
        dataset.save_as(file)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few small slices of a head in MR and of a trunk in PET, with the headers that two makers write."""
    made = {}
    asked = {"slices": SLICES, "size": 64, "spacing_mm": 6.0}
    for modality, name, vendor in (("MR", "mr-head", "siemens"), ("PT", "pet-cylinder", "ge")):
        made[modality] = tmp_path_factory.mktemp(modality)
        scanned = phantoms.scanned(name, np.random.default_rng(3), asked, lambda done, total: None)
        phantoms.save(made[modality], scanned, vendor, seed=3)
    return made


def medqa(*words: object) -> Result:
    result = CliRunner().invoke(app, ["simulate", *(str(word) for word in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def instances(folder: Path) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(file) for file in sorted(folder.rglob("*.dcm"))]


def test_a_quarter_of_the_dose_is_a_valid_derived_series_with_its_truth(
    scan: Path, tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    out = tmp_path / "quarter"
    assert medqa(scan, out, "--kind", "ct-dose", "--dose", "0.25").exit_code == 0
    files = sorted(out.rglob("*.dcm"))
    assert {file.name: validate(file) for file in files if validate(file)} == {}
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))["series"][0]
    assert (truth["kind"], truth["parameters"][0]["value"], len(truth["frames"])) == ("ct-dose", 0.25, SLICES)
    originals = {str(one.SOPInstanceUID): one for one in instances(scan)}
    for one, facts in zip(instances(out), truth["frames"], strict=True):
        before = originals[one.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert list(one.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert "ct-dose (dose 0.25)" in one.DerivationDescription
        assert one.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert [one.get(name) for name in CARRIED] == [before.get(name) for name in CARRIED]
        assert one.PatientIdentityRemoved == "NO"
        assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID == facts["sop_instance_uid"]
        assert before.SOPInstanceUID == facts["source_sop_instance_uid"]
        assert one.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert not [tag for tag in one if tag.tag.is_private or tag.tag.group == 0x6000]
        assert one.SeriesInstanceUID == truth["series_uid"] != before.SeriesInstanceUID
    # What the reader makes of it agrees with what the truth says, to the rounding of whole HU.
    series, original = reader.read(out / "01-CT").series[0], reader.read(scan).series[0]
    for frame, clean, facts in zip(series.frames, original.frames, truth["frames"], strict=True):
        spoiled, array = frame.decode(), clean.decode()
        inside = np.nan_to_num(array, nan=-1000.0) > -500
        assert np.sqrt(np.mean((spoiled - array)[inside] ** 2)) == pytest.approx(facts["severity"], rel=0.02)


@pytest.mark.parametrize(("modality", "kind"), [(modality, kind) for modality in ("MR", "PT") for kind in described(modality)])
def test_dciodvfy_finds_no_error_in_any_kind_of_mr_and_pet(
    modality: str, kind: str, scans: dict[str, Path], tmp_path: Path, validate: Callable[[Path], list[str]]
) -> None:
    out = tmp_path / "out"
    whole = kind in HEADERS
    said = medqa(scans[modality], out, "--kind", kind, "--level", 1, "--json", *(() if whole else ("--slab", "2-5")))
    (truth,) = json.loads(said.stdout)["series"]
    files = sorted(out.rglob("*.dcm"))
    assert len(files) == len(truth["frames"]) == SLICES - len(truth["lost_source_frames"])
    assert (kind == "dropped") == (len(files) < SLICES)
    # Of what was spoiled the middle slices, of what was left as it was the first.
    assert {file.name: validate(file) for file in (files[0], *files[2:4]) if validate(file)} == {}
    (series,) = reader.read(out / truth["folder"]).series
    assert [frame.sop_instance_uid for frame in series.frames] == [frame["sop_instance_uid"] for frame in truth["frames"]]
    spoiled = [frame for frame in truth["frames"] if frame["affected"]]
    assert bool(spoiled) == (kind != "dropped")
    assert all(frame["severity"] > 0 for frame in spoiled)


def test_a_wrong_weight_is_refused_where_the_makers_own_factor_gives_the_suv(tmp_path: Path) -> None:
    asked = {"slices": 2, "size": 32, "spacing_mm": 6.0}
    scanned = phantoms.scanned("pet-cylinder", np.random.default_rng(3), asked, lambda done, total: None)
    phantoms.save(tmp_path / "scan", scanned, "philips", seed=3)
    with pytest.raises(InvalidDegradation, match="a factor of the maker"):
        medqa(tmp_path / "scan", tmp_path / "out", "--kind", "pt-weight", "--level", 2)
    assert not (tmp_path / "out").exists()


def test_the_same_command_writes_the_same_bytes_and_another_seed_other_uids(scan: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 4), ("same", 4), ("other", 5)):
        assert medqa(scan, tmp_path / name, "--kind", "ct-rings", "--level", 3, "--seed", seed).exit_code == 0
    one, same = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
        for name in ("one", "same")
    )
    assert one == same
    uids = [{str(dataset.SOPInstanceUID) for dataset in instances(tmp_path / name)} for name in ("one", "other")]
    assert len(uids[0]) == SLICES
    assert not uids[0] & uids[1]


def test_a_slab_of_metal_has_masks_by_uid_and_leaves_the_other_slices_as_they_were(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "metal"
    assert medqa("--kind=ct-metal", "--diameter-mm=8", scan, out, "--slab", "3-4").exit_code == 0
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))["series"][0]
    assert [frame["affected"] for frame in truth["frames"]] == [False, False, True, True, False, False]
    assert (truth["slab"], truth["extent"]) == ([2, 3], "local")
    with np.load(out / "masks.npz") as masks:
        assert set(masks) == {frame["sop_instance_uid"] for frame in truth["frames"] if frame["affected"]}
        for frame in truth["frames"][2:4]:
            mask = masks[frame["sop_instance_uid"]]
            assert mask.dtype == bool
            assert mask.mean() == pytest.approx(frame["mask"]["share"], abs=1e-4)
            assert mask[frame["mask"]["rows"][0]].any()
    for index, (one, before) in enumerate(zip(instances(out), instances(scan), strict=True)):
        same = np.array_equal(reader_values(one), reader_values(before))
        assert same is (index not in (2, 3))


def reader_values(dataset: pydicom.Dataset) -> np.ndarray:
    """Return the values in HU, without those that stand for none."""
    values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return values[values > -1024]


def test_dropped_slices_are_missing_and_said_so(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "dropped"
    said = medqa(scan, out, "--kind", "dropped", "--count", 1, "--json")
    truth = json.loads(said.stdout)["series"][0]
    assert len(instances(out)) == SLICES - 1
    assert len(truth["lost_source_frames"]) == 1
    assert "missing_slices" in {note.message for note in reader.read(out / "01-CT").series[0].notes}
    assert not (out / "masks.npz").exists()


def test_the_list_comes_from_the_code(scan: Path) -> None:
    listed = {one["kind"]: one for one in json.loads(medqa("--list", "--json").stdout)}
    dose = listed["ct-dose"]["parameters"][0]
    assert (dose["name"], dose["unit"], listed["ct-dose"]["levels"]) == ("dose", "1", [0.5, 0.25, 0.125, 0.0625])
    text = medqa("--list").stdout
    for kind, one in listed.items():
        assert f"\n{kind}  (" in f"\n{text}"
        for parameter in one["parameters"]:
            assert parameter["meaning"] in text


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--kind", "ct-dose"), InvalidDegradation, "needs a level or the parameter dose"),
        (("--kind", "ct-dose", "--doze", "1"), InvalidDegradation, "has no parameter doze"),
        (("--kind", "ct-dose", "--dose", "low"), InvalidDegradation, "wants a number, not 'low'"),
        (("--kind", "ct-dose", "--dose", "0.5", "--slab", "4-9"), InvalidDegradation, "slices 4-9 are not all there"),
        (("--kind", "ct-dose", "--dose", "0.5", "--slab", "4-2"), InvalidDegradation, "is no FIRST-LAST"),
        (("--kind", "mr-noise", "--level", "2"), InvalidDegradation, "holds CT only"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    scan: Path, tmp_path: Path, words: tuple[str, ...], error: type[MedqaError], said: str
) -> None:
    with pytest.raises(error, match=r"^MQ\d{3}: ") as refused:
        medqa(scan, tmp_path / "out", *words)
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_in_it_is_not_written_to(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputRefused, match="MQ702"):
        medqa(scan, tmp_path, "--kind", "ct-dose", "--level", 1)


def test_what_medqa_phantom_laid_beside_its_slices_is_not_complained_of(tmp_path: Path) -> None:
    made = tmp_path / "made"
    words = ("phantom", "mr-head", made, "--size", 48, "--slices", 2, "--spacing", 50)
    assert CliRunner().invoke(app, [str(word) for word in words]).exit_code == 0
    assert {file.name for file in made.iterdir()} == {"01-MR", "truth.json", "labels.nii.gz"}
    said = medqa(made, tmp_path / "one", "--kind", "mr-noise", "--level", 2, "--slab", 2)
    assert "Not readable" not in said.stdout
    assert json.loads((tmp_path / "one" / "truth.json").read_text())["series"][0]["text"].endswith("in slice 2 of 2")
    (made / "notes.txt").write_text("no image")
    assert "Not readable: 1 of the files" in medqa(made, tmp_path / "two", "--kind", "mr-noise", "--level", 2).stdout


def test_a_file_with_several_frames_is_refused_by_name(tmp_path: Path) -> None:
    made = phantom.ct(np.random.default_rng(3), slices=2, size=64)
    file = study.save(tmp_path / "multi", made.array, study.form_of(made))[0]
    dataset = pydicom.dcmread(file)
    dataset.NumberOfFrames, dataset.PixelData = 2, dataset.PixelData * 2
    dataset.save_as(file)
    with pytest.raises(NotDerivable, match=r"MQ701: 0001.dcm .* several frames"):
        medqa(file, tmp_path / "out", "--kind", "ct-blur", "--level", 1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ct/lidc_0001.zip", "ct-blur"),
        ("ct/supria_head.zip", "ct-blur"),
        ("ct/curiosities/ts_1_2_2.zip", "ct-blur"),
        ("mr/mr_px0000_t2tra.zip", "mr-drift"),
        ("mr/mr_px0000_t2tra.zip", "duplicated"),
        ("pt/pt_sts001_ge_ds_fdg_wb.zip", "pt-blur"),
        ("pt/pt_sts001_ge_ds_fdg_wb.zip", "pt-weight"),
    ],
)
def test_a_real_scan_gets_no_error_that_it_did_not_have(
    data: Path, tmp_path: Path, validate: Callable[[Path], list[str]], real_series: list[str], name: str, kind: str
) -> None:
    archive = data / name
    if not archive.exists():
        pytest.skip(f"{name} is not among the scans")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "scan", opened.namelist()[:FEW])
    out = tmp_path / "out"
    assert medqa(tmp_path / "scan", out, "--kind", kind, "--level", 1).exit_code == 0
    before = {str(pydicom.dcmread(file).SOPInstanceUID): file for file in (tmp_path / "scan").rglob("*") if file.is_file()}
    pairs = [(file, before[pydicom.dcmread(file).SourceImageSequence[0].ReferencedSOPInstanceUID]) for file in out.rglob("*.dcm")]
    assert pairs
    assert {file.name: set(validate(file)) - set(validate(source)) for file, source in pairs[:3]} == {
        file.name: set() for file, _ in pairs[:3]
    }
    (series,), original = reader.read(out).series, reader.read(tmp_path / "scan").series[0]
    assert len(series.frames) == len(original.frames)
    assert [frame.header.position_mm for frame in series.frames] == [frame.header.position_mm for frame in original.frames]
    real_series.append(name)
