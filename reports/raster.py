"""The heat-map page as pixels, for viewers that show images only."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medqa.assessment import Assessment, HeatMap, Verdict
from medqa.config import ReportSettings
from medqa.errors import MedqaError
from medqa.series import Series
from reports import figures, wording
from reports.figures import Grey
from reports.fonts import Fonts

_WIDTH: Final = 1280
_MARGIN: Final = 28
_PANEL: Final = 384
_GAP: Final = 14
_BAR: Final = 18
_MOST_ROWS: Final = 3
_INK: Final = (235, 235, 235)
_SOFT: Final = (165, 170, 175)
_GROUND: Final = (16, 18, 20)
_INKS: Final[dict[Verdict | None, tuple[int, int, int]]] = {
    Verdict.ADEQUATE: (86, 196, 160),
    Verdict.REVIEW: (240, 186, 82),
    Verdict.RESCAN: (244, 128, 112),
    None: (170, 175, 180),
}


class _Pen:
    """Draws text run by run, each in a font that has its characters."""

    def __init__(self, fonts: Fonts) -> None:
        self._fonts = fonts

    def can_draw(self, text: str) -> bool:
        return all(face.path is not None for face, _ in self._fonts.runs(text))

    def width(self, text: str, size: int) -> float:
        return float(sum(_font(face.path, size).getlength(part) for face, part in self._fonts.runs(text) if face.path))

    def draw(self, image: Image.Image, place: tuple[int, int], text: str, size: int, ink: tuple[int, int, int] = _INK) -> None:
        pencil, x = ImageDraw.Draw(image), float(place[0])
        for face, part in self._fonts.runs(text):
            if face.path is not None:
                # "ls": every font's baseline at the same height, whatever its ascent.
                pencil.text((x, place[1] + size), part, font=_font(face.path, size), fill=ink, anchor="ls")
                x += _font(face.path, size).getlength(part)

    def wrapped(self, text: str, size: int, width: int) -> list[str]:
        lines = [""]
        for piece in _pieces(text):
            if lines[-1] and self.width(lines[-1] + piece.rstrip(), size) > width:
                lines.append("")
            lines[-1] += piece if lines[-1] else piece.lstrip()
        return lines


def _pieces(text: str) -> list[str]:
    """Cut a text where a line may end: behind a space, and around every East Asian character."""
    pieces = [""]
    for character in text:
        if "\u3001" <= character <= "\uffef":
            pieces += [character, ""]
        else:
            pieces[-1] += character
            if character == " ":
                pieces.append("")
    return [piece for piece in pieces if piece]


@functools.lru_cache(maxsize=32)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    # The basic layout is the same on every machine; the other depends on an installed library.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def heat_map_page(
    assessment: Assessment, series: Series, heat_maps: Sequence[HeatMap], lang: str, settings: ReportSettings
) -> Grey:
    """Draw the page, `(rows, columns, 3)` uint8; `reports.figures.heat_map_page` says what is on it."""
    pen = _Pen(Fonts(settings.font))
    if not pen.can_draw(wording.sentence(assessment, lang) + wording.text("figure.heat_map_note", lang)):
        lang = wording.FALLBACK
    chosen = figures.worst_first(heat_maps, assessment, _MOST_ROWS)
    bright = figures.common_top(series) if chosen else None
    rows = [_row(pen, assessment, series, found, bright, lang) for found in chosen]
    parts = [_head(pen, assessment, lang), *rows, _foot(pen, lang)]
    page = Image.new("RGB", (_WIDTH, sum(part.height for part in parts)), _GROUND)
    top = 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    return np.asarray(page, dtype=np.uint8)


def _head(pen: _Pen, assessment: Assessment, lang: str) -> Image.Image:
    lines = pen.wrapped(wording.sentence(assessment, lang), 20, _WIDTH - 2 * _MARGIN)
    image = Image.new("RGB", (_WIDTH, 112 + 28 * len(lines)), _GROUND)
    modality = wording.text(f"modality.{assessment.series.modality}", lang)
    title = f"{wording.text('figure.page_title', lang)} · {modality}"
    pen.draw(image, (_MARGIN, 22), title, 18, _SOFT)
    word = f"{wording.SYMBOLS[assessment.verdict]} {wording.verdict_word(assessment.verdict, lang)}"
    if not pen.can_draw(word):
        word = wording.verdict_word(assessment.verdict, lang)
    pen.draw(image, (_MARGIN, 54), word, 32, _INKS[assessment.verdict])
    for number, line in enumerate(lines):
        pen.draw(image, (_MARGIN, 100 + 28 * number), line, 20)
    return image


def _row(pen: _Pen, assessment: Assessment, series: Series, found: HeatMap, top: float | None, lang: str) -> Image.Image:
    """Draw a frame, the frame under its heat map, the heat map, and the colour bar."""
    frame = series.frames[found.frame]
    words = figures.caption(assessment, series, found.frame, lang)
    try:
        image = frame.read()
    except MedqaError as error:
        strip = Image.new("RGB", (_WIDTH, 48), _GROUND)
        pen.draw(strip, (_MARGIN, 10), f"{words}: {wording.text('figure.undecodable', lang)} ({error.code})", 18)
        return strip
    array, window = figures.frame_shown(series, found.frame, image.array, top)
    grey = figures.grey(array, window)
    panels = [grey]
    if found.localisable:
        panels += [figures.overlay(grey, found), figures.colours(figures.heat(found))]
    pictures = [figures.picture(panel, image.spacing_mm, _PANEL).convert("RGB") for panel in panels]
    row = Image.new("RGB", (_WIDTH, pictures[0].height + 62), _GROUND)
    pen.draw(row, (_MARGIN, 4), figures.titled(words, window, lang), 17)
    x = _MARGIN
    for picture in pictures:
        row.paste(picture, (x, 36))
        x += _PANEL + _GAP
    if found.localisable:
        bar = figures.colours(np.linspace(1.0, 0.0, pictures[0].height, dtype=np.float32))[:, None].repeat(_BAR, axis=1)
        row.paste(Image.fromarray(bar), (x, 36))
        pen.draw(row, (x, 12), wording.number(found.limits[1]), 14, _SOFT)
        pen.draw(row, (x, 38 + pictures[0].height), wording.number(found.limits[0]), 14, _SOFT)
    else:
        pen.draw(row, (x, 36 + pictures[0].height // 2), wording.text("figure.not_localisable", lang), 17, _SOFT)
    return row


def _foot(pen: _Pen, lang: str) -> Image.Image:
    notes = [wording.text("figure.heat_map_note", lang), wording.text("notice.quality_assurance", lang)]
    lines = [line for note in notes for line in pen.wrapped(note, 15, _WIDTH - 2 * _MARGIN)]
    image = Image.new("RGB", (_WIDTH, 24 * len(lines) + 24), _GROUND)
    for number, line in enumerate(lines):
        pen.draw(image, (_MARGIN, 6 + 24 * number), line, 15, _SOFT)
    return image
