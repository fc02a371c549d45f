"""How a report looks: colours, sizes, paragraph and table styles, in one place."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, KeepTogether, Paragraph, Table

from medqa.assessment import Verdict
from reports.fonts import BASE, Fonts
from reports.paragraphs import WideParagraph

PAGE: Final = A4
MARGIN: Final = 15 * mm
TOP: Final = 11 * mm
HEAD: Final = 9 * mm
FOOT: Final = 13 * mm
WIDTH: Final = PAGE[0] - 2 * MARGIN

INK: Final = colors.HexColor("#1b1f24")
SOFT: Final = colors.HexColor("#57606a")
RULE: Final = colors.HexColor("#c9d1d9")
STRIPE: Final = colors.HexColor("#f4f6f8")
ACCENT: Final = colors.HexColor("#1f4e79")

# Told apart by lightness and hue in every common form of colour vision (after Okabe and Ito, 2008), and never by colour alone.
VERDICT_INK: Final[dict[Verdict | None, Any]] = {
    Verdict.ADEQUATE: colors.HexColor("#00614a"),
    Verdict.REVIEW: colors.HexColor("#8a5a00"),
    Verdict.RESCAN: colors.HexColor("#a8291c"),
    None: colors.HexColor("#57606a"),
}
VERDICT_GROUND: Final[dict[Verdict | None, Any]] = {
    Verdict.ADEQUATE: colors.HexColor("#e3f4ee"),
    Verdict.REVIEW: colors.HexColor("#fdf1d8"),
    Verdict.RESCAN: colors.HexColor("#fbe6e2"),
    None: colors.HexColor("#eef0f2"),
}

_ALIGN: Final = {"left": TA_LEFT, "center": TA_CENTER, "right": TA_RIGHT}


class Theme:
    """Makes paragraphs and tables whose every run of text has a font that can print it.

    Parameters
    ----------
    fonts
        The faces of this report.
    """

    def __init__(self, fonts: Fonts) -> None:
        self.fonts = fonts

    def paragraph(
        self,
        text: str,
        size: float = 8.5,
        *,
        bold: bool = False,
        colour: Any = INK,
        align: str = "left",
        after: float = 0.0,
        before: float = 0.0,
    ) -> Paragraph:
        """Return a paragraph that wraps anywhere it must: words, long identifiers and East Asian text alike."""
        style = ParagraphStyle(
            "text",
            fontName=BASE,
            fontSize=size,
            leading=size * 1.32,
            textColor=colour,
            alignment=_ALIGN[align],
            spaceBefore=before,
            spaceAfter=after,
            wordWrap="CJK" if _is_wide(text) else None,
            splitLongWords=1,
        )
        kind = WideParagraph if style.wordWrap else Paragraph
        return kind(self.fonts.markup(text, bold=bold), style)

    def block(self, title: str, content: Sequence[Any], *, together: bool = False) -> list[Any]:
        """Return a titled block whose title never stands alone at the foot of a page.

        Parameters
        ----------
        title
            Of the block.
        content
            Flowables.
        together
            Whether all of it stays on one page where one page can hold it.
        """
        heading = self.paragraph(title, 10.5, bold=True, colour=ACCENT, before=7, after=2.5)
        if together:
            return [KeepTogether([heading, *content])]
        return [CondPageBreak(24 * mm), heading, *content]

    def note(self, text: str, *, after: float = 0.0) -> Paragraph:
        """Return a small grey remark."""
        return self.paragraph(text, 7.5, colour=SOFT, after=after)

    def table(
        self,
        rows: Sequence[Sequence[Any]],
        shares: Sequence[float],
        *,
        header: Sequence[str] | None = None,
        labels: Sequence[int] = (),
        width: float = WIDTH,
        size: float = 8.0,
    ) -> Table:
        """Return a table that splits across pages and repeats its header.

        Parameters
        ----------
        rows
            Cells: text, or flowables.
        shares
            Of the width, a column each.
        header
            The head of every column.
        labels
            Columns that hold names, not values: grey.
        width, size
            In points.
        """
        total = sum(shares)
        widths = [width * share / total for share in shares]
        body: list[list[Any]] = [
            [
                self.paragraph(cell, size, colour=SOFT if column in labels else INK) if isinstance(cell, str) else cell
                for column, cell in enumerate(row)
            ]
            for row in rows
        ]
        if header is not None:
            body.insert(0, [self.paragraph(name, size, bold=True, colour=INK) for name in header])
        table = Table(body, colWidths=widths, repeatRows=0 if header is None else 1, splitInRow=1)
        style: list[tuple[Any, ...]] = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
            ("LINEBELOW", (0, 0), (-1, -1), 0.25, RULE),
        ]
        if header is not None:
            style += [("BACKGROUND", (0, 0), (-1, 0), STRIPE), ("LINEBELOW", (0, 0), (-1, 0), 0.6, SOFT)]
        table.setStyle(style)
        return table


def _is_wide(text: str) -> bool:
    return any(unicodedata.east_asian_width(character) in "WF" for character in text)
