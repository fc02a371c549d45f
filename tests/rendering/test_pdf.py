"""The report, read back: its words, its places, its bytes; and the pictures against values that are known."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import subprocess
import sys
import tracemalloc
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont
from pydicom.dataelem import DataElement

from medqa.acquisition import CTAcquisition
from medqa.assessment import Assessment, HeatMap, NotChecked, Verdict
from medqa.codes import Unit
from medqa.config import ReportSettings
from medqa.errors import InvalidSettings, RenderingFailed, UndecodablePixels
from medqa.findings import FINDINGS, finding
from medqa.series import Series
from reports import figures, fonts, parameters, planes, wording
from reports.fonts import Fonts
from reports.pdf import pdf
from tests.rendering import factories

Peer = Callable[[str, str], str]
Case = tuple[Assessment, Series, tuple[HeatMap, ...], ReportSettings | None]
LONG = "Abdomen^Oberbauch_mit_sehr_langem_Namen_ohne_Leerzeichen_" * 6 + " und noch viel mehr Worte " * 10
NAMES = {
    "Japanese": "山田 太郎 やまだ タロウ 髙橋 山﨑",
    "Chinese": "王伟 張國榮 李喆",
    "Korean": "김철수 똠",
    "Greek": "Ελένη Παπαδοπούλου",
    "Cyrillic": "Иван Сергеевич Щукин",
    "Latin": "Łukasz Żółć Müller Šimić",
}


def _ct() -> Case:
    series = factories.series("CT")
    return factories.assessment(series), series, factories.heat_maps(series), None


def _mr() -> Case:
    series = factories.series("MR", 24)
    values = {"score": 3.5, "witnesses": "mal, densenet"}
    measured = (factories.measurement("mr_snr", 31.2, None),)
    made = factories.assessment(series, Verdict.ADEQUATE, "adequate", reason_values=values, measurements=measured)
    return made, series, (), None


def _pt() -> Case:
    series = factories.series("PT", 60, 64)
    found = (finding("pt_liver_cov_high", values={"value": 18.2, "limit": 15.0}, frames=(24, 40)),)
    measured = (factories.measurement("pt_liver_cov", 18.2, 15.0),)
    made = factories.assessment(
        series,
        Verdict.REVIEW,
        "review_one_against",
        findings=found,
        reason_values={"witness": "physics"},
        measurements=measured,
    )
    return made, series, factories.heat_maps(series, (30, 31)), None


def _bare() -> Case:
    series = factories.series("CT", 1)
    made = factories.assessment(
        series, None, "not_judged_class", findings=(), predictions=(), measurements=(), reason_values={"kind": "localizer"}
    )
    return made, series, (), None


def _undecodable() -> Case:
    def decode(_: int) -> np.ndarray:
        raise UndecodablePixels(source="x", reason="truncated")

    series = factories.series("CT", 20, decode=decode)
    found = (finding("undecodable_frames", values={"count": 20, "total": 20, "code": "MQ202"}, frames=(0, 19)),)
    made = factories.assessment(
        series, Verdict.REVIEW, "review_unreadable", findings=found, predictions=(), reason_values={"code": "MQ202"}
    )
    return made, series, (), None


def _long() -> Case:
    series = factories.series(
        "MR", 12, header_values={"PatientName": "Y" * 64}, protocol=LONG, series_description=LONG, station=LONG, software=LONG
    )
    values: dict[str, Any] = {"keywords": LONG, "value": 1.5, "limit": 2, "count": 3, "score": 1.0, "adequate": 0.1}
    found = tuple(finding(name, values=values, frames=(1, 10)) for name in FINDINGS)
    made = factories.assessment(series, reason="rescan_certain", findings=found, reason_values={"finding": "blank_frames"})
    unchecked = NotChecked(what=LONG[:150], reason="bundle_unusable", values={"bundle": LONG, "code": "MQ400"})
    made = dataclasses.replace(made, not_checked=(unchecked,) * 3)
    return made, series, (), ReportSettings(site=LONG, show_names=True)


CASES: dict[str, Callable[[], Case]] = {
    "ct": _ct,
    "mr": _mr,
    "pt": _pt,
    "bare": _bare,
    "undecodable": _undecodable,
    "long": _long,
}


def _read(document: bytes, folder: Path, peer: Peer, *options: str) -> str:
    path = folder / "report.pdf"
    path.write_bytes(document)
    program = peer("pdftotext", "poppler-utils")
    return subprocess.run([program, *options, str(path), "-"], check=True, capture_output=True, text=True).stdout


def _flat(text: str) -> str:
    """Text without white space: where a line ends is not what is tested."""
    return re.sub(r"\s+", "", text)


def _pages(document: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", document))


@pytest.mark.parametrize("lang", wording.LANGUAGES)
@pytest.mark.parametrize("case", ["ct", "mr", "pt"])
def test_the_page_says_what_was_judged_and_why(case: str, lang: str, tmp_path: Path, peer: Peer) -> None:
    made, series, maps, chosen = CASES[case]()
    document = pdf(made, series, maps, lang, chosen)
    said = _flat(_read(document, tmp_path, peer))
    sections = {"causes": made.verdict is not Verdict.ADEQUATE, "worst": bool(maps), "worst_alone": False, "named": False}
    for name in [name.removeprefix("section.") for name in wording.catalogue("en") if name.startswith("section.")]:
        if sections.get(name, True):
            assert _flat(wording.text(f"section.{name}", lang)) in said, name
    for words in (
        wording.sentence(made, lang),
        wording.verdict_word(made.verdict, lang),
        wording.text("notice.quality_assurance", lang),
        wording.text("word.not_certified", lang),
        wording.text("header.page", lang, page=1, pages=_pages(document)),
        *(wording.finding_text(item, lang) for item in made.findings),
        *wording.not_checked_lines(made.not_checked, lang),
        series.series_uid,
        made.provenance.input_digest,
    ):
        assert _flat(words) in said, words
    numbers = {
        "ct": ["120kV", "85mAs", "5.72mGy", "231mGy·cm", "B30f", "0.984", "48HU(46.5", "W350L40HU"],
        "mr": ["*tir2d1_16", "9000ms", "81ms", "2500ms", "150°", "320×224", "289Hz/px", "Head_32", "3T"],
        "pt": ["Fluorodeoxyglucose", "271MBq", "2026-01-0209:15:00", "62min", "71.5kg", "150s", "4×8", "XYZGauss5.00", "SUV0–7"],
    }
    for number in numbers[case]:
        assert number in said, number
    assert 1 <= _pages(document) <= 4


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("lang", wording.LANGUAGES)
def test_no_word_leaves_the_page_or_lies_on_another(case: str, lang: str, tmp_path: Path, peer: Peer) -> None:
    made, series, maps, chosen = CASES[case]()
    boxes = _read(pdf(made, series, maps, lang, chosen), tmp_path, peer, "-bbox")
    root = ElementTree.fromstring(boxes)
    space = "{http://www.w3.org/1999/xhtml}"
    for page in root.iter(f"{space}page"):
        wide, high = float(page.attrib["width"]), float(page.attrib["height"])
        words = [word.text for word in page]
        assert words, "an empty page"
        left, top, right, bottom = (
            np.array([float(word.attrib[side]) for word in page]) for side in ("xMin", "yMin", "xMax", "yMax")
        )
        out = (left < 40) | (right > wide - 40) | (top < 20) | (bottom > high - 5)
        assert not out.any(), [words[index] for index in np.flatnonzero(out)]
        across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
        down = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
        lying = (across > 1.0) & (down > 0.35 * np.minimum.outer(bottom - top, bottom - top))
        np.fill_diagonal(lying, False)
        assert not lying.any(), [(words[one], words[other]) for one, other in np.argwhere(lying)]


@pytest.mark.parametrize("case", ["ct", "mr", "pt"])
def test_no_page_is_empty_when_it_is_drawn(case: str, tmp_path: Path, peer: Peer) -> None:
    made, series, maps, chosen = CASES[case]()
    (tmp_path / "report.pdf").write_bytes(pdf(made, series, maps, "en", chosen))
    program = peer("pdftoppm", "poppler-utils")
    subprocess.run([program, "-r", "40", "-png", "report.pdf", "page"], check=True, cwd=tmp_path)
    for path in sorted(tmp_path.glob("page*.png")):
        grey = np.asarray(Image.open(path).convert("L"))
        assert np.count_nonzero(grey[: grey.shape[0] // 3] < 128) > 150, path.name
        edge = grey.shape[1] // 20
        assert grey[:, :edge].min() == 255
        assert grey[:, -edge:].min() == 255


def test_the_same_input_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from tests.rendering import test_pdf;"
        "made, series, maps, settings = test_pdf.CASES['pt']();"
        "print(hashlib.sha256(test_pdf.pdf(made, series, maps, 'ja', settings)).hexdigest())"
    )
    root = Path(__file__).resolve().parents[2]
    outside = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=root).stdout
    made, series, maps, chosen = _pt()
    assert hashlib.sha256(pdf(made, series, maps, "ja", chosen)).hexdigest() == outside.strip()


def test_names_are_off_by_default(tmp_path: Path, peer: Peer) -> None:
    made, series, maps, _ = _ct()
    said = _read(pdf(made, series, maps), tmp_path, peer)
    assert not re.search("Doe|Jane|4711|SECRET|ACC-99", said)
    assert re.search("P-[0-9A-F]{10}", said)
    said = _read(pdf(made, series, maps, "en", ReportSettings(show_names=True, site="Our site")), tmp_path, peer)
    for words in ("Doe Jane", "4711-SECRET", "ACC-99", "Our site"):
        assert words in said


def test_both_forms_of_a_name_are_printed(tmp_path: Path, peer: Peer) -> None:
    series = factories.series("CT", 1, header_values={"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"})
    said = _read(pdf(factories.assessment(series), series, (), "en", ReportSettings(show_names=True)), tmp_path, peer)
    assert "Yamada Tarou (山田 太郎)" in said


def test_language_and_a_silent_clock_are_in_the_file() -> None:
    made, series, _, _ = _mr()
    assert b"/Lang (ja)" in pdf(made, series, (), "ja")
    assert pdf(made, series, (), "xx") == pdf(made, series, (), "en")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=st.text(max_size=300),
    value=st.floats(allow_nan=True, allow_infinity=True),
    pixel=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
)
def test_no_header_keeps_a_report_from_being_made(words: str, value: float, pixel: tuple[float, float]) -> None:
    series = factories.series(
        "CT",
        1,
        16,
        protocol=words,
        series_description=words,
        station=words,
        software=words,
        pixel_spacing_mm=pixel,
        slice_thickness_mm=value,
        ct=CTAcquisition(kvp_kv=value, pitch=value, kernel=words, contrast_agent=words),
    )
    for keyword, vr, raw in (("PatientName", "PN", words), ("StudyDate", "DA", "not a date"), ("StudyDescription", "LO", words)):
        series.header.add(DataElement(keyword, vr, raw, validation_mode=pydicom.config.IGNORE))
    document = pdf(factories.assessment(series), series, (), "ja", ReportSettings(show_names=True, site=words))
    assert document.startswith(b"%PDF")
    assert document.rstrip().endswith(b"%%EOF")


def test_a_series_without_images_has_a_report_too() -> None:
    series = factories.series("CT", 1)
    volume = dataclasses.replace(series.volume, shape=(0, 0, 0))
    series = dataclasses.replace(series, frames=(), stacks=(), instances=(), volume=volume)
    made = factories.assessment(series, None, "not_judged_empty", findings=(), predictions=(), measurements=(), reason_values={})
    assert pdf(made, series).startswith(b"%PDF")


def test_a_configured_font_must_be_one_that_can_be_embedded(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"not a font")
    made, series, _, _ = _bare()
    with pytest.raises(InvalidSettings, match=r"report\.font"):
        pdf(made, series, (), "en", ReportSettings(font=broken))


@pytest.mark.parametrize("search", [True, False])
@pytest.mark.parametrize("script", sorted(NAMES))
def test_every_character_of_a_name_has_a_glyph(script: str, search: bool) -> None:
    """By character map, and for embedded fonts by drawing: the glyph is not the one of a character that no font has."""
    runs = Fonts(search=search).runs(NAMES[script])
    joined = "".join(part for _, part in runs)
    assert "U+" not in joined
    if search or script not in ("Greek", "Latin"):  # Adobe's fonts hold these two without some of the accents
        assert joined == NAMES[script]
    for face, part in runs:
        assert all(face.covers(character) for character in part), (face.name, part)
        if face.path is None:
            continue
        font = ImageFont.truetype(str(face.path), 32, layout_engine=ImageFont.Layout.BASIC)
        missing = bytes(font.getmask("\U0010ffff"))
        assert all(bytes(font.getmask(character)) != missing for character in part if not character.isspace()), part


def test_names_are_read_back_from_the_page(tmp_path: Path, peer: Peer) -> None:
    for name in NAMES.values():
        if not all(face.embedded for face, _ in Fonts().runs(name)):
            continue  # a viewer's own font; whether pdftotext knows its encoding depends on the machine
        series = factories.series("CT", 1, header_values={"PatientName": name})
        said = _read(pdf(factories.assessment(series), series, (), "en", ReportSettings(show_names=True)), tmp_path, peer)
        assert _flat(name) in _flat(said)


def test_a_character_without_a_glyph_is_written_as_its_code_point() -> None:
    runs = Fonts(search=False).runs("a\U000e0100\U00012000b\ud800\x07c")
    assert "".join(part for _, part in runs) == "aU+12000bU+FFFD c"
    assert fonts.clean("e\u0301\u200b") == "é"
    assert "<" not in re.sub(r"</?font[^>]*>|&lt;", "", Fonts(search=False).markup("<b>山</b>"))


def test_ct_windows_show_soft_tissue_or_lungs() -> None:
    image = np.array([[-135.0, 40.0, 215.0], [np.nan, -1000.0, 3000.0]], dtype=np.float32)
    array, window = figures.shown(image, Unit.HU, "CT")
    assert window.label("en") == "W 350 L 40 HU"
    assert figures.grey(array, window).tolist() == [[0, 128, 255], [0, 0, 255]]
    lungs = np.full((8, 8), -800, dtype=np.float32)
    assert figures.shown(lungs, Unit.HU, "CT")[1].label("en") == "W 1500 L −600 HU"


def test_pet_is_black_on_white_in_suv() -> None:
    image = np.array([[0.0, 14000.0, 28000.0, np.nan]], dtype=np.float32)
    array, window = figures.shown(image, Unit.BQ_PER_ML, "PT", 2.5e-4)
    assert window.label("ja") == "SUV 0–7"
    assert np.allclose(figures.grey(array, window), [[255, 127.5, 0, 0]], atol=0.5)
    brain = np.full((16, 16), 12 / 2.5e-4, dtype=np.float32)
    assert figures.shown(brain, Unit.BQ_PER_ML, "PT", 2.5e-4)[1].high == 12
    assert figures.shown(brain, Unit.BQ_PER_ML, "PT", None)[1].label("en") == "0–48000 Bq/ml"


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_an_image_without_values_is_black_and_no_error(modality: str) -> None:
    unit = {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.BQ_PER_ML}[modality]
    array, window = figures.shown(np.full((4, 4), np.nan, dtype=np.float32), unit, modality)
    assert not figures.grey(array, window).any()


def test_the_colours_grow_evenly_in_lightness() -> None:
    scale = figures.colours(np.linspace(0, 1, 65, dtype=np.float32)) / 255
    linear = np.where(scale <= 0.04045, scale / 12.92, ((scale + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert steps.std() < 0.35 * steps.mean()


def test_a_heat_map_lies_on_its_frame() -> None:
    grey = np.full((6, 8), 100, dtype=np.uint8)
    array = np.zeros((6, 8), dtype=np.float32)
    array[2, 3] = 5.0
    found = HeatMap(
        frame=0, sop_instance_uid="1", number=1, model="m", method="LayerGradCam", array=array, limits=(0.0, 5.0), localisable=True
    )
    laid = figures.overlay(grey, found)
    cold = np.ones((6, 8), dtype=bool)
    cold[2, 3] = False
    assert (laid[cold] == 100).all()
    assert laid[2, 3].tolist() == [round(0.3 * 100 + 0.7 * value) for value in (0xFC, 0xFF, 0xA4)]
    with pytest.raises(RenderingFailed):
        figures.overlay(grey[:, :-1], found)


def test_pictures_have_square_pixels_and_carry_no_metadata() -> None:
    image = figures.picture(np.zeros((10, 100), dtype=np.uint8), (5.0, 1.0), 200)
    assert image.size == (200, 100)
    chunks = figures.png(image)[8:]
    kinds = []
    stream = io.BytesIO(chunks)
    while head := stream.read(8):
        kinds.append(head[4:])
        stream.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def _ramp(z: int) -> np.ndarray:
    """100 z + 10 y + x on a 10 x 8 grid."""
    y, x = np.mgrid[0:10, 0:8]
    return (100 * z + 10 * y + x).astype(np.float32)


def test_planes_are_hung_as_radiologists_hang_them() -> None:
    series = factories.series("MR", 9, 10, decode=_ramp)
    volume = dataclasses.replace(series.volume, shape=(9, 10, 8), spacing_mm=(5.0, 4.0, 3.0))
    coronal, sagittal = planes.reformats(dataclasses.replace(series, volume=volume))
    assert (coronal.name, coronal.spacing_mm) == ("coronal", (5.0, 3.0))
    assert (sagittal.name, sagittal.spacing_mm) == ("sagittal", (5.0, 4.0))
    # head up: the last slice is the first row; patient's right and front on the left
    assert coronal.array[0].tolist() == [850 + x for x in range(8)]
    assert sagittal.array[-1].tolist() == [10 * y + 4 for y in range(10)]


def test_planes_of_a_sagittal_stack_are_turned() -> None:
    series = factories.series("MR", 9, 10, decode=_ramp)
    # x runs to the back, y to the feet, z to the patient's right
    direction = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0))
    volume = dataclasses.replace(series.volume, shape=(9, 10, 8), spacing_mm=(5.0, 4.0, 3.0), direction=direction)
    axial, coronal = planes.reformats(dataclasses.replace(series, volume=volume))
    assert (axial.name, axial.spacing_mm, axial.array.shape) == ("axial", (3.0, 5.0), (8, 9))
    assert axial.array[0].tolist() == [100 * z + 50 for z in reversed(range(9))]
    assert (coronal.name, coronal.spacing_mm, coronal.array.shape) == ("coronal", (4.0, 5.0), (10, 9))
    assert coronal.array[0, 0] == 804  # head and right: first row, last slice


def test_projections_are_the_maximum_and_survive_a_bad_frame() -> None:
    def decode(z: int) -> np.ndarray:
        if z == 3:
            raise UndecodablePixels(source="x", reason="truncated")
        frame = np.zeros((16, 16), dtype=np.float32)
        frame[5, 7] = 4000.0 * (z + 1)
        frame[0, 0] = np.nan
        return frame

    series = factories.series("PT", 10, 16, decode=decode)
    coronal, sagittal = planes.projections(series)
    assert coronal.unit == Unit.SUVBW
    assert np.allclose(coronal.array[:, 7], [(10 - row) if row != 6 else np.nan for row in range(10)], equal_nan=True)
    assert np.allclose(sagittal.array[0, 5], 10.0)
    assert coronal.array[0, 0] == 0.0


def test_only_a_stack_is_cut_across() -> None:
    assert planes.is_stack(factories.series("CT", 8, 32))
    assert not planes.is_stack(factories.series("CT", 7, 32))
    moving = factories.series("MR", 12, 32)
    first = moving.frames[0].header
    still = tuple(dataclasses.replace(frame, header=first) for frame in moving.frames)
    assert not planes.is_stack(dataclasses.replace(moving, frames=still))


@pytest.mark.parametrize(("modality", "most"), [("CT", 220), ("PT", 2020)])
def test_a_series_of_two_thousand_slices_needs_no_more_memory(modality: str, most: int) -> None:
    plane = factories.picture(modality, 0.5, 96)
    read = []

    def decode(z: int) -> np.ndarray:
        read.append(z)
        return plane.copy()

    series = factories.series(modality, 2000, 96, decode=decode)
    volume = dataclasses.replace(series.volume, spacing_mm=(0.5, *series.volume.spacing_mm[1:]))
    series = dataclasses.replace(series, volume=volume)
    made = factories.assessment(series)
    tracemalloc.start()
    document = pdf(made, series, factories.heat_maps(series))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - 60 < len(read) <= most
    assert peak < 2000 * plane.nbytes / 2
    assert 1 <= _pages(document) <= 4


@pytest.mark.parametrize("lang", wording.LANGUAGES)
def test_the_heat_map_page_is_an_image_without_the_patient(lang: str) -> None:
    made, series, maps, _ = _ct()
    page = figures.heat_map_page(made, series, maps, lang)
    assert page.dtype == np.uint8
    assert page.shape[2] == 3
    assert page.shape[0] > 3 * 384
    assert np.array_equal(page, figures.heat_map_page(made, series, maps, lang, ReportSettings(show_names=True)))
    renamed = factories.series("CT", header_values={"PatientName": "Somebody^Else", "PatientID": "1"})
    assert np.array_equal(page, figures.heat_map_page(made, renamed, maps, lang))
    flat = tuple(dataclasses.replace(found, localisable=False) for found in maps)
    assert not np.array_equal(page, figures.heat_map_page(made, series, flat, lang))


def test_a_radionuclide_is_written_without_the_marks_of_its_code() -> None:
    assert parameters.parameter_text("radionuclide", "^18^Fluorine", "en") == "Fluorine-18"
    assert parameters.parameter_text("radionuclide", "^99m^Technetium", "ja") == "Technetium-99m"
    assert parameters.parameter_text("tracer", "FDG -- fluorodeoxyglucose", "en") == "FDG -- fluorodeoxyglucose"


@pytest.mark.parametrize("maps", [True, False])
def test_worst_images_lie_side_by_side_where_no_heat_map_can_be_shown(maps: bool, tmp_path: Path, peer: Peer) -> None:
    series = factories.series("CT", 24)
    made = factories.assessment(series)
    worst = [frame for one in made.predictions for frame in one.worst_frames]
    nowhere = tuple(
        dataclasses.replace(factories.heat_maps(series)[0], frame=frame, localisable=False) for frame in dict.fromkeys(worst)
    )
    shown = _read(pdf(made, series, nowhere if maps else (), "en"), tmp_path, peer, "-layout", "-l", "1")
    assert ("Heat map: not localisable" in shown) is maps
    line = next(line for line in shown.partition("Worst images")[2].splitlines() if "Slice" in line)
    assert set(re.findall(r"Slice (\d+)", line)) == {str(frame + 1) for frame in list(dict.fromkeys(worst))[:3]}
    assert line.count("Slice") > 1


def test_the_worst_frame_comes_first_and_once() -> None:
    made, _, maps, _ = _ct()
    other = tuple(dataclasses.replace(found, model="densenet_ct") for found in maps)
    order = [found.frame for found in figures.worst_first((*other, *maps), made, 3)]
    assert order == [14, 16, 18]
    assert [figures.frame_score(made, frame) for frame in order] == sorted(figures.frame_score(made, frame) for frame in order)
