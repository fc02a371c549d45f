"""Findings and values -> sentences, in English and Japanese: the words of the PDF, the command line, the log and the webhook.

The catalogues are `locale/<lang>.toml`; an id is the dotted path of an entry. In an entry `{name}` is a value and a part in
square brackets is left out where one of its values is not known.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from medqa.assessment import Assessment, Finding, NotChecked, Scalar, Significance, Verdict
from medqa.codes import Code, Unit
from medqa.findings import ARTEFACTS
from medqa.measurement import Measurement

LANGUAGES: Final = ("en", "ja")
FALLBACK: Final = "en"

SYMBOLS: Final[dict[Verdict | None, str]] = {
    Verdict.ADEQUATE: "✓",
    Verdict.REVIEW: "!",
    Verdict.RESCAN: "✗",
    None: "–",
}
"""One character beside the word, for terminals and logs; the PDF draws its own shapes."""

_UNIT_SYMBOLS: Final[dict[str, str]] = {
    Unit.HU.value: "HU",
    Unit.BQ_PER_ML.value: "Bq/ml",
    Unit.SUVBW.value: "SUV",
    Unit.PERCENT.value: "%",
    Unit.PER_MM.value: "1/mm",
    Unit.MBQ_MIN_PER_KG.value: "MBq·min/kg",
    Unit.ARBITRARY.value: "",
    Unit.ONE.value: "",
    Unit.DEGREE.value: "°",
    Unit.COUNT.value: "",
    Unit.SCORE.value: "",
}
_MAX_CAUSES: Final = 2
_NETWORK_CAUSES: Final = ("mal_against", "densenet_against", "physics_against")
_PART = re.compile(r"\[([^\[\]]*)\]")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(lang: str) -> Mapping[str, str]:
    """Return every entry of a language by its dotted id (an unknown language gives English)."""
    lang = lang if lang in LANGUAGES else FALLBACK
    raw = resources.files("reports").joinpath("locale", f"{lang}.toml").read_text(encoding="utf-8")
    flat: dict[str, str] = {}

    def walk(table: Mapping[str, Any], prefix: str) -> None:
        for key, value in table.items():
            if isinstance(value, Mapping):
                walk(value, f"{prefix}{key}.")
            else:
                flat[f"{prefix}{key}"] = str(value)

    walk(tomllib.loads(raw), "")
    return flat


def has(identifier: str, lang: str = FALLBACK) -> bool:
    """Say whether a catalogue holds an entry."""
    return identifier in catalogue(lang)


def text(identifier: str, lang: str = FALLBACK, **values: object) -> str:
    """Return an entry filled with values; numbers are written by `number`.

    A missing entry falls back to English, then to the id's last part in plain letters: a user sees a clumsy word, never a crash
    (a test holds the catalogues complete).
    """
    return _filled(_entry(identifier, lang, identifier.rpartition(".")[2].replace("_", " ")), values)


def _entry(identifier: str, lang: str, default: str) -> str:
    return catalogue(lang).get(identifier) or catalogue(FALLBACK).get(identifier) or default


def _filled(template: str, values: Mapping[str, object]) -> str:
    known = {name: _written(value) for name, value in values.items() if value is not None and value != ""}

    def part(match: re.Match[str]) -> str:
        names = _PLACEHOLDER.findall(match[1])
        return match[1] if all(name in known for name in names) else ""

    return _PLACEHOLDER.sub(lambda match: known.get(match[1], "?"), _PART.sub(part, template))


def _written(value: object) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def number(value: float) -> str:
    """Write a number for people: three significant digits, whole numbers in full, no trailing zeros."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    written = f"{value:.{digits}f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written).replace("-", "\N{MINUS SIGN}")


def unit_symbol(unit: Code) -> str:
    """Return how a unit is written behind a number; empty where it has none."""
    return _UNIT_SYMBOLS.get(unit.value, unit.value)


def quantity_text(value: float, unit: Code) -> str:
    """Write a number with its unit."""
    symbol = unit_symbol(unit)
    space = "" if symbol in ("%", "°") else " "
    return f"{number(value)}{space}{symbol}" if symbol else number(value)


def measurement_name(measurement: Measurement, lang: str = FALLBACK) -> str:
    """Return the name of a measured quantity; its code's meaning where the catalogue has none."""
    return code_name(measurement.quantity, lang)


def code_name(code: Code, lang: str = FALLBACK) -> str:
    """Return a quantity's code in words."""
    return _entry(f"metric.{code.value}", lang, code.meaning)


def limits_text(measurement: Measurement, lang: str = FALLBACK) -> str:
    """Write the limits of a measurement; empty where it has none."""
    low, high = measurement.limits or (None, None)
    symbol = unit_symbol(measurement.unit)
    behind = f" {symbol}" if symbol and symbol != "%" else symbol
    if low is not None and high is not None:
        return f"{number(low)}–{number(high)}{behind}" if low >= 0 else f"{number(low)} … {number(high)}{behind}"
    if low is not None:
        return f"≥ {number(low)}{behind}"
    return f"≤ {number(high)}{behind}" if high is not None else ""


def verdict_word(verdict: Verdict | None, lang: str = FALLBACK) -> str:
    """Return the verdict in one or two words."""
    return text(f"verdict.{'none' if verdict is None else verdict.value}", lang)


def frames_text(frames: tuple[int, int] | None, lang: str = FALLBACK) -> str | None:
    """Write a range of frame indices (from 0, both inclusive) as slice numbers from 1; None where there is none."""
    if frames is None:
        return None
    first, last = frames[0] + 1, frames[1] + 1
    return text("where.slice", lang, first=first) if first == last else text("where.slices", lang, first=first, last=last)


def _phrase(finding: Finding, lang: str) -> str:
    written = {name: _reason_value(name, value, lang) for name, value in finding.values.items() if name == "quantities"}
    values: dict[str, object] = {**finding.values, **written, "frames": frames_text(finding.frames, lang)}
    return _filled(_entry(f"finding.{finding.message}", lang, finding.code.meaning), values)


def finding_text(finding: Finding, lang: str = FALLBACK) -> str:
    """Return what was found, with the measured numbers and where, as it stands in a table."""
    return _capitalised(_phrase(finding, lang))


def cause_text(message: str, lang: str = FALLBACK) -> str:
    """Return what a kind of finding is called, without numbers and place."""
    return _filled(_entry(f"finding.{message}", lang, message.replace("_", " ")), {})


def withdrawal_text(messages: Iterable[str], lang: str = FALLBACK) -> str:
    """Return the words that take live warnings back, after the whole series was found adequate."""
    named = text("join.causes", lang).join(cause_text(message, lang) for message in messages)
    return text("live.withdrawn", lang, causes=named)


def not_checked_text(item: NotChecked, lang: str = FALLBACK) -> str:
    """Return what was not looked at and why."""
    what = _capitalised(what_name(item.what, lang))
    return text("not_checked_line", lang, what=what, reason=_not_checked_reason(item, lang))


def _not_checked_reason(item: NotChecked, lang: str) -> str:
    values = {name: _reason_value(name, value, lang) for name, value in item.values.items()}
    return text(f"not_checked.{item.reason}", lang, **values)


def not_checked_lines(items: Iterable[NotChecked], lang: str = FALLBACK) -> list[str]:
    """Return what was not looked at and why, with all that shares a reason in one line, at the place of its first."""
    named: dict[str, list[str]] = {}
    for item in items:
        name = what_name(item.what, lang)
        named.setdefault(_not_checked_reason(item, lang), []).append(_lowered(name) if lang == FALLBACK else name)
    return [
        text("not_checked_line", lang, what=_capitalised(listed(names, lang)), reason=reason) for reason, names in named.items()
    ]


def listed(phrases: Sequence[str], lang: str = FALLBACK) -> str:
    """Write phrases one after another as a sentence does: `a, b and c`."""
    if len(phrases) <= 2:
        return text("join.list", lang).join(phrases)
    return text("join.list_last", lang).join((text("join.list_more", lang).join(phrases[:-1]), phrases[-1]))


def method_name(method: str, lang: str = FALLBACK) -> str:
    """Return how a heat map was made; the map's own word where the catalogue has none."""
    identifier = "method." + method.lower().replace(" ", "_").replace("-", "_")
    return text(identifier, lang) if has(identifier) else method


def what_name(what: str, lang: str = FALLBACK) -> str:
    """Return the name of something that can be looked at: a metric, a check, a network."""
    for group in ("what", "metric"):
        if has(f"{group}.{what}", FALLBACK):
            return text(f"{group}.{what}", lang)
    return what.replace("_", " ")


def causes(assessment: Assessment) -> tuple[Finding, ...]:
    """Return the findings that made the verdict what it is, the gravest first; empty for ADEQUATE and for no verdict."""
    if assessment.verdict in (None, Verdict.ADEQUATE):
        return ()
    grave = (Significance.CERTAIN, Significance.AGAINST)
    chosen = [item for rank in grave for item in assessment.findings if item.significance is rank]
    if assessment.reason != "review_doubt":
        chosen += _widest(assessment.findings)
    chosen += [item for name in _NETWORK_CAUSES for item in assessment.findings if item.message == name]
    if assessment.reason == "review_silent":
        chosen += [item for item in assessment.findings if item.message == "low_score_frames"]
    if assessment.verdict is Verdict.REVIEW:
        chosen += [item for item in assessment.findings if item.significance is Significance.DOUBT]
    if assessment.reason in ("review_doubt", "rescan_certain"):
        named = assessment.reason_values.get("finding")
        chosen.sort(key=lambda item: item.message != named)
    return tuple(item for place, item in enumerate(chosen) if item not in chosen[:place])


def _widest(findings: Iterable[Finding]) -> list[Finding]:
    """Return what is to be seen in the images, of each kind the finding over most slices, in the order of `ARTEFACTS`."""
    best: dict[str, Finding] = {}
    for item in findings:
        if item.message in ARTEFACTS and (item.message not in best or _slices(item) > _slices(best[item.message])):
            best[item.message] = item
    return [best[name] for name in ARTEFACTS if name in best]


def _slices(finding: Finding) -> int:
    return 0 if finding.frames is None else finding.frames[1] - finding.frames[0] + 1


def sentence(assessment: Assessment, lang: str = FALLBACK) -> str:
    """Return the one plain sentence that says what the verdict is and why, with measured numbers and where."""
    found = causes(assessment)
    phrases = [_phrase(item, lang) for item in found[:_MAX_CAUSES]]
    more = len(found) - len(phrases)
    joined: str | None = text("join.causes", lang).join(phrases) if phrases else None
    if joined and more:
        joined += text("join.more", lang, count=more)
    values: dict[str, object] = {name: _reason_value(name, value, lang) for name, value in assessment.reason_values.items()}
    why = _filled(_entry(f"reason.{assessment.reason}", lang, assessment.reason.replace("_", " ")), {**values, "causes": joined})
    return text("sentence", lang, verdict=verdict_word(assessment.verdict, lang), why=why)


def _reason_value(name: str, value: Scalar, lang: str) -> object:
    if not isinstance(value, str):
        return value
    words = [part.strip() for part in value.split(",") if part.strip()]
    if name in ("witness", "witnesses"):
        return listed([text(f"witness.{word}", lang) for word in words], lang)
    if name == "quantities":
        return text("join.list_more", lang).join(_sided(*word.partition(":")[::2], lang) for word in words)
    if name == "finding":
        return cause_text(value, lang)
    if name == "kind":
        return text(f"kind.{value}", lang)
    if name == "modality":
        return text(f"modality.{value}", lang)
    return value


def _sided(quantity: str, side: str, lang: str) -> str:
    """Return the name of a quantity as it stands within a sentence, with the side of what is usual where one is told."""
    name = _lowered(_entry(f"metric.{quantity}", lang, quantity.replace("_", " ")))
    return text(f"side.{side}", lang, name=name) if side else name


def _lowered(phrase: str) -> str:
    """Return a name as it stands within a sentence; abbreviations (SNR, HU) stay as they are."""
    return phrase[:1].lower() + phrase[1:] if phrase[1:2].islower() else phrase


def _capitalised(phrase: str) -> str:
    """Return a phrase as a line begins; a symbol before Japanese (k空間) stays as it is."""
    return phrase[:1].upper() + phrase[1:] if phrase[1:2].isascii() else phrase


def document(assessment: Assessment, lang: str = FALLBACK) -> dict[str, Any]:
    """Return what is written as `assessment.json`: codes, message ids and values, and the sentences made of them.

    Numbers stand as they were measured; nothing in it names the patient.
    """
    made = assessment.to_json()
    made["lang"] = lang if lang in LANGUAGES else FALLBACK
    made["verdict_word"] = verdict_word(assessment.verdict, lang)
    made["sentence"] = sentence(assessment, lang)
    made["notice"] = text("notice.quality_assurance", lang)
    for entry, finding in zip(made["findings"], assessment.findings, strict=True):
        entry["text"] = finding_text(finding, lang)
    for entry, item in zip(made["not_checked"], assessment.not_checked, strict=True):
        entry["text"] = not_checked_text(item, lang)
    return made
