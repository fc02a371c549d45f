"""Lines of Japanese: none begins with what closes, none ends with what opens, and nothing of the text is lost."""

from __future__ import annotations

import pytest
from reportlab.lib.textsplit import ALL_CANNOT_END, ALL_CANNOT_START

from reports.fonts import Fonts
from reports.paragraphs import wrong_line
from reports.theme import Theme

TEXT = "測定値を総合すると適正な画像とは考えにくい：画像を横切る線（ジッパー）、体幹のノイズ（COV）（確率 0.0704、限度 0.5）"


def lines_of(text: str, width: float) -> list[str]:
    paragraph = Theme(Fonts()).paragraph(text)
    paragraph.wrap(width, 1000)
    lines = paragraph.blPara.lines
    return ["".join(line[1]) if isinstance(line, tuple) else "".join(word.text for word in line.words) for line in lines]


@pytest.mark.parametrize("width", range(60, 400, 7))
def test_no_line_begins_or_ends_with_what_may_not_stand_there(width: int) -> None:
    lines = lines_of(TEXT, width)
    assert "".join(lines).replace(" ", "") == TEXT.replace(" ", "")
    assert all(line[-1] not in ALL_CANNOT_END for line in lines[:-1])
    assert all(line.lstrip()[0] not in ALL_CANNOT_START for line in lines)


def test_the_first_wrong_line_is_found() -> None:
    assert wrong_line(["あい", "うえ", "）お"]) == 1
    assert wrong_line(["あ（", "い）"]) == 0
    assert wrong_line(["あ（い）", "う"]) is None
