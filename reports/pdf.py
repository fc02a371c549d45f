"""The report as a PDF: blocks flow over as many pages as they need; the same input gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

from reportlab import rl_config
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from medqa.assessment import Assessment, HeatMap
from medqa.config import ReportSettings
from medqa.series import Series
from reports import parameters, pictures, sections, wording
from reports.figures import common_top
from reports.fonts import Fonts
from reports.page import Page
from reports.theme import FOOT, HEAD, MARGIN, PAGE, RULE, SOFT, TOP, WIDTH, Theme

# A PDF may hold bytes: as text (reportlab's default) the pictures would be a quarter larger and twice as slow to write.
rl_config.useA85 = 0

_BLOCKS: Final = (
    sections.study,
    sections.verdict,
    sections.causes,
    pictures.named,
    pictures.worst,
    pictures.images,
    pictures.along,
    parameters.declared,
    parameters.acquisition,
    sections.findings,
    sections.predictions,
    sections.not_checked,
    sections.provenance,
    sections.notice,
)


def pdf(
    assessment: Assessment,
    series: Series,
    heat_maps: Sequence[HeatMap] = (),
    lang: str = wording.FALLBACK,
    settings: ReportSettings | None = None,
) -> bytes:
    """Make the report.

    Parameters
    ----------
    assessment
        Of `series`; its time of judging is the only time printed.
    series
        Its frames are read again, a few at a time, for the pictures.
    heat_maps
        Where the networks looked.
    lang
        `en` or `ja`; English for any other.
    settings
        How reports look.

    Raises
    ------
    InvalidSettings
        For a configured font that cannot be embedded.
    """
    settings = settings or ReportSettings()
    lang = lang if lang in wording.LANGUAGES else wording.FALLBACK
    theme = Theme(Fonts(settings.font))
    page = Page(
        assessment=assessment,
        series=series,
        heat_maps=heat_maps,
        lang=lang,
        settings=settings,
        theme=theme,
        top=common_top(series) if series.frames else None,
    )
    story = [flowable for block in _BLOCKS for flowable in block(page)]
    target = io.BytesIO()
    document = BaseDocTemplate(
        target,
        pagesize=PAGE,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=TOP + HEAD,
        bottomMargin=FOOT + 5,
        invariant=1,
        lang=lang,
        title=page.word("header.title"),
        author="medqa",
        subject=series.series_uid,
        creator=f"medqa {assessment.provenance.medqa_version}",
    )
    frame = Frame(
        MARGIN,
        FOOT + 10,
        WIDTH,
        PAGE[1] - FOOT - 10 - TOP - HEAD,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    document.addPageTemplates([PageTemplate(id="page", frames=[frame])])
    document.build(story, canvasmaker=_canvas(page))
    return target.getvalue()


def _canvas(page: Page) -> type[Canvas]:
    """Return a canvas that holds pages back until their number is known, then adds head and foot."""

    class Numbered(Canvas):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._held: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._held.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, state in enumerate(self._held, start=1):
                self.__dict__.update(state)
                _furnish(self, page, number, len(self._held))
                super().showPage()
            super().save()

    return Numbered


def _furnish(canvas: Canvas, page: Page, number: int, count: int) -> None:
    """Draw head and foot of one page; long names wrap within their share and are cut to two lines."""
    theme = page.theme
    top = PAGE[1] - TOP
    title = f"{page.word('header.title')} · {page.word(f'modality.{page.series.modality}')}"
    _place(canvas, theme.paragraph(title, 12, bold=True), MARGIN, top, WIDTH * 0.55)
    _place(canvas, theme.paragraph(page.site, 8.5, colour=SOFT, align="right"), MARGIN + WIDTH * 0.55, top, WIDTH * 0.45)
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN, top - HEAD + 3, MARGIN + WIDTH, top - HEAD + 3)
    canvas.line(MARGIN, FOOT + 3, MARGIN + WIDTH, FOOT + 3)
    notice = page.word("notice.quality_assurance")
    _place(canvas, theme.paragraph(notice, 7, colour=SOFT), MARGIN, FOOT + 1, WIDTH * 0.82)
    numbered = page.word("header.page", page=number, pages=count)
    _place(canvas, theme.paragraph(numbered, 7, colour=SOFT, align="right"), MARGIN + WIDTH * 0.82, FOOT + 1, WIDTH * 0.18)


def _place(canvas: Canvas, paragraph: Any, x: float, top: float, width: float) -> None:
    lines = 2 * paragraph.style.leading
    _, height = paragraph.wrapOn(canvas, width, lines)
    if height > lines:
        paragraph = paragraph.split(width, lines)[0]
        _, height = paragraph.wrapOn(canvas, width, lines)
    paragraph.drawOn(canvas, x, top - height)
