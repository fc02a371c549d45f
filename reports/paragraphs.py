"""Paragraphs of East Asian text whose lines neither begin nor end with what may not stand there.

reportlab lets one character that may not begin a line hang in the margin, but not two in a row, and does not mind a bracket that
opens at the end of a line. Such a line is made narrower here until it breaks elsewhere. The rules: JIS X 4051 (kinsoku shori).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from reportlab.lib.textsplit import ALL_CANNOT_END, ALL_CANNOT_START
from reportlab.platypus import Paragraph

_STEP: Final = 0.5
"""By how much a line is made narrower, in heights of a character."""
_MOST_STEPS: Final = 40


class WideParagraph(Paragraph):  # type: ignore[misc]
    """A paragraph that is broken between any two characters, but for those that belong together."""

    def breakLinesCJK(self, maxWidths: float | Sequence[float]) -> Any:  # noqa: N802, N803 - the names are reportlab's
        """Return the lines of a paragraph, as reportlab keeps them."""
        given = list(maxWidths) if isinstance(maxWidths, list | tuple) else [maxWidths]
        widths = list(given)
        broken = super().breakLinesCJK(list(widths))
        for _ in range(_MOST_STEPS):
            bad = wrong_line([_text(line) for line in broken.lines])
            # What is left of a paragraph that was split over two pages is broken already.
            if bad is None or hasattr(self, "_splitpara"):
                return broken
            # One width more than is made narrower: the last one counts for all lines behind it.
            widths += [given[-1]] * (bad + 2 - len(widths))
            widths[bad] -= _STEP * self.style.fontSize
            broken = super().breakLinesCJK(list(widths))
        return super().breakLinesCJK(list(given))


def wrong_line(lines: Sequence[str]) -> int | None:
    """Return the first line that ends where it may not; None where all are well."""
    for index, (line, following) in enumerate(pairwise(lines)):
        if (line and line[-1] in ALL_CANNOT_END) or (following and following[0] in ALL_CANNOT_START):
            return index
    return None


def _text(line: Any) -> str:
    if isinstance(line, tuple):
        return "".join(line[1])
    return "".join(word.text for word in line.words)
