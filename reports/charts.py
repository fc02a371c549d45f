"""Vector drawings of a report: the verdict's symbol, the bar of a score, quality along the series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect
from reportlab.lib import colors

from medqa.assessment import Verdict
from reports.theme import ACCENT, INK, SOFT, STRIPE, VERDICT_INK

_FULL: Final = 4.0
_MOST_POINTS: Final = 500
_WHITE: Final = colors.white


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
