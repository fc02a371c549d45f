"""What the pictures of a report show and how they are named."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from medqa.assessment import Verdict
from medqa.codes import Unit
from medqa.findings import finding
from reports import figures, wording
from reports.pdf import pdf
from tests.rendering import factories

SERIES = factories.series("PT")
SCORED = dataclasses.replace(
    factories.prediction("mal", SERIES, 3.0, 0.9),
    frame_scores=tuple(2 + abs(frame - 37) / 20 for frame in range(40)),
    worst_frames=(37, 36, 38),
)


def with_blank_ends(count: int, frames: tuple[int, int]):
    return factories.assessment(
        SERIES, predictions=(SCORED,), findings=(finding("blank_end_frames", values={"count": count}, frames=frames),)
    )


def test_blank_frames_at_an_end_are_not_shown_as_the_worst() -> None:
    assert figures.worst_shown(factories.assessment(SERIES, findings=()), SCORED) == (37, 36, 38)
    assert figures.worst_shown(with_blank_ends(3, (37, 39)), SCORED) == (36, 35, 34)


def test_blank_frames_at_both_ends_hide_nothing_between_them() -> None:
    assert figures.worst_shown(with_blank_ends(2, (0, 39)), SCORED) == (37, 36, 38)


def test_a_network_that_names_no_frame_shows_none() -> None:
    assert figures.worst_shown(with_blank_ends(3, (37, 39)), factories.prediction("densenet", SERIES, 1.0, 0.1)) == ()


@pytest.mark.parametrize(("lang", "expected"), [("en", "Slice 3, score 2.1"), ("ja", "スライス 3、スコア 2.1")])
def test_a_caption_joins_its_parts_as_the_language_does(lang: str, expected: str) -> None:
    scored = dataclasses.replace(SCORED, frame_scores=(2.1,) * 40)
    words = figures.caption(factories.assessment(SERIES, predictions=(scored,)), SERIES, 2, lang)
    assert words == expected
    window = figures.Window(low=0.0, high=7.0, unit=Unit.SUVBW)
    joint = {"en": ", ", "ja": "、"}[lang]
    assert figures.titled(words, window, lang) == f"{expected}{joint}SUV 0–7"


def test_how_a_heat_map_was_made_is_told_in_either_language() -> None:
    name = "Grad-CAM of the negative score"
    assert wording.method_name(name, "en") == name
    assert wording.method_name(name, "ja") == "スコア低下に対する Grad-CAM"
    assert wording.method_name("LayerGradCam", "ja") == "LayerGradCam"


@pytest.mark.parametrize(("lang", "told"), [("en", "high body noise (COV), low SUV of the liver"), ("ja", "が高い、")])
def test_measurements_that_speak_against_tell_their_side(lang: str, told: str) -> None:
    against = finding("physics_against", values={"adequate": 0.1, "limit": 0.5, "quantities": "pt_body_cov:high, pt_liver_suv:low"})
    assert told in wording.finding_text(against, lang)


def test_measurements_that_speak_against_are_listed_in_japanese_as_in_japanese() -> None:
    against = finding("physics_against", values={"adequate": 0.1, "limit": 0.5, "quantities": "mr_zipper,mr_sharpness"})
    told = wording.finding_text(against, "ja")
    names = [wording.text(f"metric.{name}", "ja") for name in ("mr_zipper", "mr_sharpness")]
    assert "、".join(names) in told
    assert ", " not in told


def read_back(made, series, folder: Path, peer) -> str:
    (folder / "report.pdf").write_bytes(pdf(made, series))
    command = [peer("pdftotext", "poppler-utils"), "-layout", str(folder / "report.pdf"), "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_slices_that_a_finding_names_are_shown_with_their_neighbours(tmp_path: Path, peer) -> None:
    series = factories.series("MR", 24)
    found = finding("exchanged_slices", values={"first": 18, "other": 20}, frames=(17, 19))
    made = factories.assessment(
        series, Verdict.REVIEW, "review_doubt", findings=(found,), predictions=(), reason_values={"finding": "exchanged_slices"}
    )
    told = read_back(made, series, tmp_path, peer)
    assert "slices 18 and 20 seem to be in each other's place" in told
    block = told.split("Slices named above")[1].split("Representative images")[0]
    assert re.findall(r"Slice (\d+)", block)[:4] == ["17", "18", "20", "21"]


def test_a_paper_of_several_quantities_is_named_once(tmp_path: Path, peer) -> None:
    measurements = tuple(
        dataclasses.replace(factories.measurement("pt_liver_cov", 12.0), source=source)
        for source in ("EANM guidelines 2015", "QIBA profile; EANM guidelines 2015")
    )
    told = read_back(factories.assessment(SERIES, measurements=measurements), SERIES, tmp_path, peer)
    assert "QIBA profile" in told
    assert told.count("EANM guidelines 2015") == 1
