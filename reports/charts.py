"""Vector drawings of a report: the verdict's symbol, the bar of a score, quality along the series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib import colors
from reportlab.pdfbase import pdfmetrics

from medqa.assessment import Verdict
from reports.figures import colours
from reports.fonts import Fonts
from reports.theme import ACCENT, INK, RULE, SOFT, STRIPE, VERDICT_GROUND, VERDICT_INK, WIDTH
from reports.wording import number

_FULL: Final = 4.0
_MOST_POINTS: Final = 500
_WHITE: Final = colors.white
_CURVES: Final = (ACCENT, colors.HexColor("#8a5a00"), colors.HexColor("#6b4a8a"))


def verdict_symbol(verdict: Verdict | None, size: float) -> Drawing:
    """Return a tick in a disc, an exclamation mark in a triangle, a cross in an octagon, or a bar in a square."""
    drawing = Drawing(size, size)
    ink = VERDICT_INK[verdict]
    middle, reach, stroke = size / 2, size / 2, size * 0.11
    if verdict is Verdict.ADEQUATE:
        drawing.add(Circle(middle, middle, reach, fillColor=ink, strokeColor=None))
        drawing.add(_stroke([0.27, 0.50, 0.44, 0.33, 0.74, 0.66], size, stroke))
    elif verdict is Verdict.REVIEW:
        drawing.add(Polygon([0, 0.06 * size, size, 0.06 * size, middle, 0.96 * size], fillColor=ink, strokeColor=None))
        drawing.add(_stroke([0.5, 0.64, 0.5, 0.36], size, stroke))
        drawing.add(Circle(middle, 0.2 * size, stroke * 0.6, fillColor=_WHITE, strokeColor=None))
    elif verdict is Verdict.RESCAN:
        corners = [angle for k in range(8) for angle in _corner(middle, reach * 1.04, k)]
        drawing.add(Polygon(corners, fillColor=ink, strokeColor=None))
        drawing.add(_stroke([0.32, 0.32, 0.68, 0.68], size, stroke))
        drawing.add(_stroke([0.32, 0.68, 0.68, 0.32], size, stroke))
    else:
        drawing.add(Rect(0, 0, size, size, rx=size * 0.12, ry=size * 0.12, fillColor=ink, strokeColor=None))
        drawing.add(_stroke([0.28, 0.5, 0.72, 0.5], size, stroke))
    return drawing


def _corner(middle: float, reach: float, k: int) -> tuple[float, float]:
    angle = math.pi / 8 + k * math.pi / 4
    return middle + reach * math.cos(angle), middle + reach * math.sin(angle)


def _stroke(points: Sequence[float], size: float, width: float) -> PolyLine:
    scaled = [value * size for value in points]
    return PolyLine(scaled, strokeColor=_WHITE, strokeWidth=width, strokeLineCap=1, strokeLineJoin=1)


def score_bar(score: float, interval: tuple[float, float] | None, width: float = 95.0, height: float = 11.0) -> Drawing:
    """Return a bar from 0 to 4 filled to the score, with whiskers of the interval."""
    drawing = Drawing(width, height)
    low, span = 3.0, width - 6.0
    filled = low + span * min(max(score, 0.0), _FULL) / _FULL
    drawing.add(Rect(low, 3, span, height - 5, fillColor=STRIPE, strokeColor=SOFT, strokeWidth=0.4))
    drawing.add(Rect(low, 3, max(filled - low, 0.1), height - 5, fillColor=ACCENT, strokeColor=None))
    for step in range(1, 4):
        x = low + span * step / _FULL
        drawing.add(Line(x, 3, x, height - 2, strokeColor=_WHITE if x < filled else SOFT, strokeWidth=0.4))
    if interval is not None:
        ends = [low + span * min(max(end, 0.0), _FULL) / _FULL for end in interval]
        drawing.add(Line(ends[0], height / 2 + 0.5, ends[1], height / 2 + 0.5, strokeColor=INK, strokeWidth=0.9))
        for x in ends:
            drawing.add(Line(x, 4, x, height - 3, strokeColor=INK, strokeWidth=0.9))
    return drawing


def label(
    drawing: Drawing,
    fonts: Fonts,
    place: tuple[float, float],
    text: str,
    *,
    size: float = 6.5,
    anchor: str = "start",
    ink: Any = SOFT,
) -> None:
    """Write a text into a drawing, run by run in fonts that have its characters."""
    runs = fonts.runs(text)
    lengths = [pdfmetrics.stringWidth(part, face.name, size) for face, part in runs]
    x = place[0] - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * sum(lengths)
    for (face, part), length in zip(runs, lengths, strict=True):
        drawing.add(String(x, place[1], part, fontName=face.name, fontSize=size, fillColor=ink))
        x += length


def colour_bar(limits: tuple[float, float], width: float, height: float, title: str, fonts: Fonts) -> Drawing:
    """Return the scale of a heat map: its colours, the values at both ends, and what they are values of."""
    drawing = Drawing(width, height)
    steps, wide = 64, 8.0
    bar = height - 10.0
    for step, (red, green, blue) in enumerate(colours(np.linspace(0, 1, steps, dtype=np.float32))):
        ink = colors.Color(int(red) / 255, int(green) / 255, int(blue) / 255)
        # Each step reaches under the next one, so that no viewer shows a seam.
        drawing.add(Rect(0, bar * step / steps, wide, bar - bar * step / steps, fillColor=ink, strokeColor=None))
    label(drawing, fonts, (wide + 2, 0), number(limits[0]))
    label(drawing, fonts, (wide + 2, bar - 6), number(limits[1]))
    label(drawing, fonts, (0, height - 7), title, size=6.0)
    return drawing


def profile(
    curves: Sequence[Sequence[float | None]], cut: float, words: tuple[str, str, str], fonts: Fonts, height: float = 110.0
) -> Drawing:
    """Return the scores along the series: a line a network, broken where a frame has none, the lowest of many frames drawn.

    Parameters
    ----------
    curves
        Scores 0-4, one a frame.
    cut
        The limit under which a frame is flagged.
    words
        Names of the two axes and of the limit.
    fonts
        Of the report.
    height
        In points; the width is that of the page.
    """
    drawing = Drawing(WIDTH, height)
    left, bottom, right, top = 26.0, 24.0, WIDTH - 8.0, height - 6.0
    count = max(len(curve) for curve in curves)

    def at(index: float, score: float) -> tuple[float, float]:
        share = index / (count - 1) if count > 1 else 0.5
        return left + share * (right - left), bottom + min(max(score, 0.0), _FULL) / _FULL * (top - bottom)

    drawing.add(
        Rect(left, bottom, right - left, at(0, cut)[1] - bottom, fillColor=VERDICT_GROUND[Verdict.RESCAN], strokeColor=None)
    )
    for step in range(5):
        y = at(0, step)[1]
        drawing.add(Line(left, y, right, y, strokeColor=RULE, strokeWidth=0.3))
        label(drawing, fonts, (left - 4, y - 2), str(step), anchor="end")
    for index in _ticks(count):
        x = at(index, 0)[0]
        drawing.add(Line(x, bottom, x, bottom - 2.5, strokeColor=SOFT, strokeWidth=0.4))
        label(drawing, fonts, (x, bottom - 9.5), str(index + 1), anchor="middle")
    y = at(0, cut)[1]
    drawing.add(Line(left, y, right, y, strokeColor=VERDICT_INK[Verdict.RESCAN], strokeWidth=0.9, strokeDashArray=[4, 2]))
    label(drawing, fonts, (right - 2, y + 2.5), words[2], anchor="end", ink=VERDICT_INK[Verdict.RESCAN])
    for place, curve in enumerate(curves):
        for part in _segments(_lowest(curve)):
            points = [value for index, score in part for value in at(index, score)]
            if len(part) == 1:
                drawing.add(Circle(*points, 1.4, fillColor=_CURVES[place], strokeColor=None))
            else:
                drawing.add(PolyLine(points, strokeColor=_CURVES[place], strokeWidth=1.1, strokeLineJoin=1))
    label(drawing, fonts, (right, 3), words[0], anchor="end")
    label(drawing, fonts, (0, 3), f"↑ {words[1]}")
    return drawing


def _ticks(count: int) -> list[int]:
    """Return up to seven frame indices evenly spaced, both ends among them."""
    steps = min(count, 7) - 1
    return sorted({round(step * (count - 1) / steps) for step in range(steps + 1)}) if steps else [0]


def _lowest(curve: Sequence[float | None]) -> list[tuple[int, float | None]]:
    """Return `(index, score)`; of a long series the lowest score of every group, so that no bad frame is lost in drawing."""
    size = -(-len(curve) // _MOST_POINTS)
    kept: list[tuple[int, float | None]] = []
    for start in range(0, len(curve), size):
        group = [(score, index) for index, score in enumerate(curve[start : start + size], start) if score is not None]
        lowest = min(group, default=None)
        kept.append((start, None) if lowest is None else (lowest[1], lowest[0]))
    return kept


def _segments(curve: Sequence[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    parts: list[list[tuple[int, float]]] = [[]]
    for index, score in curve:
        if score is None:
            parts.append([])
        else:
            parts[-1].append((index, score))
    return [part for part in parts if part]
