"""Physics and checks on real scans of the training split: no false alarm on the good ones, the bad one told, any order the same."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

from medqa.assess import assess
from medqa.assessment import Significance
from medqa.config import Settings
from medqa.reader import assemble, read
from medqa.series import Series

SETTINGS = Settings()


def rows(data: Path, modality: str) -> list[dict[str, str]]:
    with (data / modality / "manifest.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "train" and row["file"].endswith(".zip")]


def series_of(data: Path, real_series: list[str], modality: str, name: str) -> tuple[Series, ...]:
    real_series.append(name)
    return read(data / modality / name).series


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_good_scans_have_no_finding_against_them(data, real_series, modality: str) -> None:
    judged = 0
    for row in rows(data, modality):
        if row["spoiled"] != "no":
            continue
        for series in series_of(data, real_series, modality, row["file"]):
            assessment = assess(series, [], SETTINGS)
            judged += 1
            loud = [one for one in assessment.findings if one.significance in (Significance.AGAINST, Significance.CERTAIN)]
            assert not loud, (row["file"], loud)
            assert all(np.isfinite(one.value) for one in assessment.measurements)
            told = {one.quantity.value for one in assessment.measurements} | {one.what for one in assessment.not_checked}
            expected = {"ct_noise", "ct_air"} if series.modality == "CT" else {"mr_snr", "mr_efc", "mr_fber", "mr_ghosting"}
            assert expected <= told
    assert judged > 10


def test_air_reads_what_air_must_read(data, real_series) -> None:
    values = []
    for row in rows(data, "ct"):
        for series in series_of(data, real_series, "ct", row["file"]):
            values += [one.value for one in assess(series, [], SETTINGS).measurements if one.quantity.value == "ct_air"]
    assert len(values) > 40
    assert min(values) > -1050
    assert max(values) < -900
    assert abs(np.median(values) + 990) < 15


def test_a_bolus_tracking_slice_is_too_noisy(data, real_series) -> None:
    (series,) = series_of(data, real_series, "ct", "tcga_34_5231.zip")
    assessment = assess(series, [], SETTINGS)
    assert [one.message for one in assessment.findings if one.significance is Significance.AGAINST] == ["ct_noise_high"]
    assert assessment.reason == "review_one_against"


def test_a_quarter_of_the_dose_doubles_the_noise_of_the_same_slice(data, real_series) -> None:
    noise = {}
    for dose in ("full", "quarter"):
        name = f"l506_{dose}_s176.nii.gz"
        (series,) = read(data / "ct" / name, value_range=(-1024, 3071), modality="CT").series
        real_series.append(name)
        (noise[dose],) = [one.value for one in assess(series, [], SETTINGS).measurements if one.quantity.value == "ct_noise"]
    assert noise["quarter"] / noise["full"] == pytest.approx(2, rel=0.1)


def test_the_liver_of_a_real_whole_body_scan_is_measured(data, real_series) -> None:
    (series,) = series_of(data, real_series, "pt", "pt_sts001_ge_ds_fdg_wb.zip")
    (liver,) = [one for one in assess(series, [], SETTINGS).measurements if one.quantity.value == "pt_liver_cov"]
    # Looked at in a projection: the discs lie in the liver. Analogue detectors of that time have 10-20 %.
    assert 12 < liver.value < 25


def test_a_real_cylinder_has_no_liver(data, real_series) -> None:
    (series,) = series_of(data, real_series, "pt", "pt_ingenuity_cylinder_suvval.zip")
    assert ("pt_liver_cov", "no_liver") in {(one.what, one.reason) for one in assess(series, [], SETTINGS).not_checked}


def test_prostates_filling_the_frame_have_no_air(data, real_series) -> None:
    for number in range(1, 7):
        for series in series_of(data, real_series, "mr", f"mr_mip0{number}_t2.zip"):
            reasons = {one.what: one.reason for one in assess(series, [], SETTINGS).not_checked}
            assert reasons["mr_snr"] in ("no_air", "background_masked")


@pytest.mark.parametrize(
    ("modality", "name"),
    [("ct", "ge_head_tilt.zip"), ("mr", "mr_px0000_dwi_b.zip"), ("pt", "pt_ingenuity_cylinder_suvval.zip")],
)
def test_instances_in_any_order_give_the_same_assessment(data, real_series, tmp_path, modality: str, name: str) -> None:
    import zipfile

    from medqa.reader import read_instance

    real_series.append(name)
    with zipfile.ZipFile(data / modality / name) as archive:
        archive.extractall(tmp_path)
    instances = [read_instance(path, name=path.name) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    documents = []
    for seed in range(3):
        shuffled = random.Random(seed).sample(instances, len(instances))
        documents.append([assess(series, [], SETTINGS).to_json() for series in assemble(shuffled).series])
    assert documents[0]
    assert documents[0] == documents[1] == documents[2]
