"""The blocks of a report in words and tables: each takes a `Page` and returns flowables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from reportlab.platypus import Spacer, Table

from medqa.assessment import Prediction
from reports import wording
from reports.charts import score_bar, verdict_symbol
from reports.page import Page, brief, date_text, header_value, in_columns, pseudonym
from reports.theme import RULE, VERDICT_GROUND, VERDICT_INK, WIDTH

_MOST_FINDINGS: Final = 60
_MOST_NOT_CHECKED: Final = 40
_DIGEST: Final = 16
_SHORT: Final = 8
"""Tables of at most so many rows are not cut in two."""


def study(page: Page) -> list[Any]:
    """Show site and study; patient and accession number only where the settings ask for names."""
    header, made = page.series.header, page.series.acquisition
    device = " ".join(part for part in (made.manufacturer, made.model) if part)
    if page.settings.show_names:
        person = [
            ("patient", header_value(header, "PatientName")),
            ("patient_id", header_value(header, "PatientID")),
            ("accession", header_value(header, "AccessionNumber")),
        ]
    else:
        person = [("pseudonym", pseudonym(page.series))]
    entries = [
        ("site", page.site),
        *person,
        ("study_date", date_text(header_value(header, "StudyDate"))),
        ("modality", page.word(f"modality.{page.series.modality}")),
        ("study", header_value(header, "StudyDescription")),
        ("series", made.series_description or header_value(header, "SeriesDescription")),
        ("body_part", made.body_part),
        ("protocol", made.protocol),
        ("device", device),
        ("station", made.station),
        ("images", str(page.assessment.series.frames)),
        ("part", page.assessment.series.part),
        ("source", page.series.source if page.series.source != "DICOM" else ""),
    ]
    pairs = [(page.word(f"study.{name}"), brief(value)) for name, value in entries if value]
    uids = [
        (page.word("study.study_uid"), page.series.study_uid),
        (page.word("study.series_uid"), page.series.series_uid),
    ]
    table = page.theme.table(in_columns(pairs, 2), (18, 32, 18, 32), labels=(0, 2), size=7.8)
    return [table, page.theme.table(uids, (18, 82), labels=(0,), size=7.0)]


def verdict(page: Page) -> list[Any]:
    """Show the verdict by colour, word and symbol, and the sentence that says why."""
    given = page.assessment.verdict
    ink = VERDICT_INK[given]
    paragraph = page.theme.paragraph
    key = "none" if given is None else given.value
    words = [
        paragraph(wording.verdict_word(given, page.lang), 17, bold=True, colour=ink, after=1),
        paragraph(wording.sentence(page.assessment, page.lang), 10, after=1.5),
        paragraph(page.word(f"verdict_explained.{key}"), 8.5, colour=ink),
    ]
    symbol = 15.0 * 2.8346
    table = Table([[verdict_symbol(given, symbol), words]], colWidths=[symbol + 20, WIDTH - symbol - 20], splitInRow=1)
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), VERDICT_GROUND[given]),
            ("LINEBEFORE", (0, 0), (0, -1), 4, ink),
            ("VALIGN", (0, 0), (0, -1), "MIDDLE"),
            ("VALIGN", (1, 0), (1, -1), "MIDDLE"),
            ("LEFTPADDING", (0, 0), (0, -1), 12),
            ("TOPPADDING", (0, 0), (-1, -1), 6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
        ]
    )
    return [Spacer(1, 6), table, Spacer(1, 2)]


def causes(page: Page) -> list[Any]:
    """List the named causes with their measured numbers; nothing where nothing speaks against the series."""
    found = wording.causes(page.assessment)
    if not found:
        return []
    rows = [
        [
            wording.finding_text(item, page.lang),
            page.word(f"significance.{item.significance.value}"),
            f"{item.code.meaning} ({item.code.value}, {item.code.scheme})",
        ]
        for item in found
    ]
    titles = [page.word(f"header.{name}") for name in ("finding", "significance", "code")]
    return page.theme.block(page.word("section.causes"), [page.theme.table(rows, (54, 14, 32), header=titles)])


def findings(page: Page) -> list[Any]:
    """List everything that was found, notes included."""
    items = page.assessment.findings
    title = page.word("section.findings")
    if not items:
        return page.theme.block(title, [page.theme.paragraph(page.word("word.none_found"))], together=True)
    rows = [
        [
            wording.finding_text(item, page.lang),
            page.word(f"significance.{item.significance.value}"),
            _numbers(item.frames),
            f"{item.code.meaning} ({item.code.value})",
        ]
        for item in items[:_MOST_FINDINGS]
    ]
    titles = [page.word(f"header.{name}") for name in ("finding", "significance", "slices", "code")]
    table = page.theme.table(rows, (48, 14, 11, 27), header=titles)
    return page.theme.block(title, [table, *_more(page, len(items) - _MOST_FINDINGS)], together=len(rows) <= _SHORT)


def _numbers(frames: tuple[int, int] | None) -> str:
    if frames is None:
        return ""
    first, last = frames[0] + 1, frames[1] + 1
    return str(first) if first == last else f"{first}–{last}"


def predictions(page: Page) -> list[Any]:
    """Show what each network says, with the bar of its score; a probability without calibration is marked as such."""
    title = page.word("section.predictions")
    items = page.assessment.predictions
    if not items:
        return page.theme.block(title, [page.theme.paragraph(page.word("word.no_prediction"))], together=True)
    rows = [[_network(page, item), score_bar(item.score, item.interval), *_figures(page, item)] for item in items]
    titles = [page.word("header.network"), page.word("header.score"), ""]
    titles += [page.word("header.probability"), page.word("header.certified")]
    return page.theme.block(title, [page.theme.table(rows, (30, 20, 17, 10, 23), header=titles)], together=len(rows) <= _SHORT)


def _network(page: Page, item: Prediction) -> str:
    return f"{page.word(f'kind_of_network.{item.kind}')} ({item.model})"


def _figures(page: Page, item: Prediction) -> list[str]:
    score = wording.number(round(item.score, 2))
    if item.interval is not None:
        low, high = (wording.number(round(end, 2)) for end in item.interval)
        score += f" ({page.word('word.interval', low=low, high=high)})"
    certified = page.word("word.certified" if item.certified else "word.not_certified")
    labels = page.word("word.no_conformal") if item.labels is None else ", ".join(item.labels)
    return [score, f"{round(100 * item.adequate)}%", f"{certified}; {labels}"]


def not_checked(page: Page) -> list[Any]:
    """List what was not looked at, and why."""
    title = page.word("section.not_checked")
    items = page.assessment.not_checked
    if not items:
        return page.theme.block(title, [page.theme.paragraph(page.word("word.everything_checked"))], together=True)
    said = wording.not_checked_lines(items, page.lang)
    lines = [page.theme.paragraph("• " + line, 8) for line in said[:_MOST_NOT_CHECKED]]
    return page.theme.block(title, [*lines, *_more(page, len(said) - _MOST_NOT_CHECKED)], together=len(lines) <= _SHORT)


def provenance(page: Page) -> list[Any]:
    """Say by what and from what the verdict was made."""
    made = page.assessment.provenance
    told = sorted({measurement.source for measurement in page.assessment.measurements})
    # Several quantities may share a paper, and one may rest on two.
    sources = dict.fromkeys(source for one in told for source in one.split("; "))
    entries = [
        ("medqa_version", made.medqa_version),
        ("judged_at", made.judged_at or page.word("word.not_stated")),
        ("bundles", _listed((name, digest[:_DIGEST]) for name, digest in made.bundles.items())),
        ("settings_digest", made.settings_digest[:_DIGEST]),
        ("input_digest", made.input_digest),
        ("packages", _listed(made.packages.items())),
        ("replaced_values", ", ".join(made.replaced_values)),
        ("sources", "; ".join(sources)),
    ]
    rows = [(page.word(f"provenance.{name}"), value) for name, value in entries if value]
    table = page.theme.table(rows, (20, 80), labels=(0,), size=7.2)
    return page.theme.block(page.word("section.provenance"), [table], together=True)


def notice(page: Page) -> list[Any]:
    """Say what this report is not."""
    text = f"{page.word('notice.quality_assurance')} {page.word('notice.original')}"
    table = Table([[page.theme.paragraph(text, 8.5, bold=True)]], colWidths=[WIDTH])
    table.setStyle(
        [("BOX", (0, 0), (-1, -1), 0.8, RULE), ("TOPPADDING", (0, 0), (-1, -1), 4), ("BOTTOMPADDING", (0, 0), (-1, -1), 5)]
    )
    return [Spacer(1, 8), table]


def _listed(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(pairs))


def _more(page: Page, count: int) -> list[Any]:
    return [page.theme.note(page.word("word.more_rows", count=count))] if count > 0 else []
