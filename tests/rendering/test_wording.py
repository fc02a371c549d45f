"""The catalogues are complete in both languages, and a sentence says what was measured and where."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from medqa.acquisition import Acquisition, CTAcquisition, MRAcquisition, PTAcquisition
from medqa.assessment import Assessment, NotChecked, Significance, Verdict
from medqa.codes import own
from medqa.findings import FINDINGS, NOT_CHECKED, REASONS, finding
from medqa.metrics import METRICS
from medqa.policy import WITNESSES
from reports import wording
from tests.rendering import factories

PARAMETERS = [
    field.name
    for kind in (Acquisition, CTAcquisition, MRAcquisition, PTAcquisition)
    for field in dataclasses.fields(kind)
    if field.name not in ("modality", "ct", "mr", "pt")
]
REQUIRED = [
    *(f"finding.{name}" for name in FINDINGS),
    *(f"reason.{name}" for name in REASONS),
    *(f"not_checked.{name}" for name in NOT_CHECKED),
    *(f"verdict.{verdict.value}" for verdict in Verdict),
    *(f"verdict_explained.{verdict.value}" for verdict in Verdict),
    "verdict.none",
    "verdict_explained.none",
    *(f"significance.{significance.value}" for significance in Significance),
    *(f"witness.{name}" for name in WITNESSES),
    *(f"metric.{name}" for metrics in METRICS.values() for metric in metrics for name in metric.quantities),
    *(f"parameter.{name}" for name in PARAMETERS),
]


@pytest.mark.parametrize("lang", wording.LANGUAGES)
def test_every_id_has_its_words(lang: str) -> None:
    assert [name for name in REQUIRED if name not in wording.catalogue(lang)] == []


def test_both_catalogues_hold_the_same_ids_and_the_same_values() -> None:
    english, japanese = wording.catalogue("en"), wording.catalogue("ja")
    assert set(english) == set(japanese)
    for name, words in english.items():
        assert words.strip(), name
        assert japanese[name].strip(), name
        assert set(re.findall(r"\{(\w+)\}", words)) == set(re.findall(r"\{(\w+)\}", japanese[name])), name


def test_japanese_is_japanese() -> None:
    own_script = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
    for group in ("finding", "not_checked", "section", "notice", "verdict"):
        for name, words in wording.catalogue("ja").items():
            if name.startswith(group + "."):
                assert own_script.search(words), name


def test_the_sentence_names_the_measured_number_and_where() -> None:
    series = factories.series("CT", frames=60)
    noise = finding("ct_noise_high", values={"value": 48.03, "limit": 30.0}, frames=(40, 57))
    made = factories.assessment(series, reason="rescan_certain", findings=(noise,), reason_values={"finding": "ct_noise_high"})
    assert wording.sentence(made) == "Re-scan: noise 48 HU over the limit of 30 HU, slices 41–58."
    assert wording.sentence(made, "ja") == "再撮像：ノイズ 48 HU が限度 30 HU を超過、スライス 41–58。"
    assert wording.sentence(made, "xx") == wording.sentence(made, "en")
    assert wording.finding_text(noise) == "Noise 48 HU over the limit of 30 HU, slices 41–58"


@pytest.mark.parametrize("lang", wording.LANGUAGES)
@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_makes_a_clean_sentence(reason: str, lang: str) -> None:
    verdicts = {"adequate": Verdict.ADEQUATE, "rescan": Verdict.RESCAN, "review": Verdict.REVIEW, "not": None}
    verdict = verdicts[reason.split("_")[0]]
    values = {"score": 3.45, "witnesses": "mal, physics", "witness": "mal", "finding": "blank_frames", "code": "MQ202"}
    values["kind"] = "localizer"
    found = (finding("blank_frames", values={"count": 2}, frames=(3, 4)), finding("missing_slices", values={"count": 1}))
    made = factories.assessment(factories.series("CT", 4), verdict, reason, findings=found, reason_values=values)
    said = wording.sentence(made, lang)
    assert said.startswith(wording.verdict_word(verdict, lang))
    assert not re.search(r"[{}\[\]?]|\s\s|: \.|：。|; ;", said), said


@pytest.mark.parametrize("lang", wording.LANGUAGES)
@pytest.mark.parametrize("message", sorted(FINDINGS))
def test_a_finding_without_its_values_is_still_clean(message: str, lang: str) -> None:
    said = wording.finding_text(finding(message), lang)
    assert not re.search(r"[{}\[\]?]|\s\s|\s[,.;)]", said), said
    assert said[0] == said[0].upper() or not said[1].isascii()


def test_a_live_warning_is_taken_back_in_words() -> None:
    said = "Warning withdrawn: the whole series is adequate (warned of: images score under the limit)"
    assert wording.withdrawal_text(["low_score_frames"]) == said
    assert "スコアが限度を下回る画像" in wording.withdrawal_text(["low_score_frames", "blank_frames"], "ja")


def test_an_id_that_is_missing_falls_back_and_never_fails() -> None:
    strange = dataclasses.replace(finding("single_slice"), message="not_in_any_catalogue", code=own("x", "Something new"))
    assert wording.finding_text(strange) == "Something new"
    assert wording.text("nowhere.some_words", "ja") == "some words"
    assert wording.not_checked_text(NotChecked(what="new_metric", reason="new_reason")) == "New metric: new reason"


def test_what_shares_a_reason_is_one_line_at_the_place_of_its_first() -> None:
    items = [
        *(NotChecked(what=name, reason="no_brain_tissue") for name in ("mr_snr_tissue", "mr_cnr")),
        NotChecked(what="prior", reason="no_prior"),
        NotChecked(what="mr_cjv", reason="no_brain_tissue"),
        NotChecked(what="pt_uptake", reason="header_silent", values={"keyword": "RadiopharmaceuticalStartTime"}),
        NotChecked(what="pt_exposure", reason="header_silent", values={"keyword": "PatientWeight"}),
    ]
    tissue = (
        "Signal-to-noise ratio within brain tissue, contrast-to-noise ratio of white and grey matter and coefficient of joint "
        "variation: no white and grey matter of a brain that could be told apart in the images"
    )
    assert wording.not_checked_lines(items) == [
        tissue,
        "Comparison with an earlier scan: no earlier scan is known",
        "Uptake time: the header does not state it (RadiopharmaceuticalStartTime)",
        "Activity × time per body weight: the header does not state it (PatientWeight)",
    ]
    assert wording.not_checked_lines(items, "ja")[0] == (
        "脳組織内の信号雑音比、白質と灰白質のコントラスト雑音比（CNR）、結合変動係数（CJV）：画像から脳の白質と灰白質を識別できません"
    )
    assert wording.not_checked_lines([]) == []


def test_a_symbol_before_japanese_keeps_its_case() -> None:
    assert wording.finding_text(finding("mr_spikes"), "ja").startswith("k空間")
    assert wording.finding_text(finding("mr_spikes")).startswith("Stripes")


def test_three_witnesses_are_listed_as_a_sentence_lists_them() -> None:
    values = {"score": 4.0, "witnesses": "mal, densenet, physics"}
    made = factories.assessment(factories.series("MR", 4), Verdict.ADEQUATE, "adequate", findings=(), reason_values=values)
    assert "for them: the frame network, the series network and the measurements; score" in wording.sentence(made)
    assert "フレームネットワーク、シリーズネットワーク、物理測定が" in wording.sentence(made, "ja")


@pytest.mark.parametrize(
    ("value", "written"),
    [(48.03, "48"), (48.27, "48.3"), (0.123456, "0.123"), (1234.5, "1234"), (-987.6, "−988"), (3, "3"), (2.0, "2"), (0.0, "0"),
     (float("nan"), "–"), (1.5e9, "1.50e+09"), (100.0, "100"), (0.5, "0.5")],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float, written: str) -> None:
    assert wording.number(value) == written


def test_document_is_the_assessment_and_its_sentences() -> None:
    made = factories.assessment(factories.series("CT", 60))
    document = wording.document(made, "ja")
    again = json.loads(json.dumps(document))
    assert Assessment.from_json(again) == made
    assert again["sentence"] == wording.sentence(made, "ja")
    assert [entry["text"] for entry in again["findings"]] == [wording.finding_text(item, "ja") for item in made.findings]
    assert again["not_checked"][0]["text"] == "患者さんの周りの空気：背景が消されているか、ノイズ以外の信号を含みます"
    assert not re.search("SECRET|Doe", json.dumps(document))


def test_a_flagged_series_names_what_is_to_be_seen_and_where_before_what_the_networks_say() -> None:
    seen = [
        finding("ct_streaks", values={"angle": 12.0, "amplitude": 20.0}, frames=(2, 2)),
        finding("ct_streaks", values={"angle": 37.0, "amplitude": 40.0}, frames=(40, 57)),
        finding("mal_against", values={"score": 1.2, "limit": 2.0}, frames=(40, 57)),
    ]
    flagged = dataclasses.replace(
        factories.assessment(factories.series()),
        verdict=Verdict.REVIEW,
        reason="review_one_against",
        reason_values={"witness": "mal"},
        findings=tuple(seen),
    )
    said = wording.sentence(flagged)
    assert "streaks along 37° (40 HU), slices 41–58; image score 1.2 of 4" in said
    assert "12°" not in said


def test_an_adequate_series_is_not_excused_by_notes() -> None:
    adequate = dataclasses.replace(
        factories.assessment(factories.series()),
        verdict=Verdict.ADEQUATE,
        reason="adequate",
        findings=(finding("ct_streaks", frames=(1, 2)),),
    )
    assert "streaks" not in wording.sentence(adequate)
