"""Which font prints which character: never a box, whatever the name.

Text is cut into runs. Latin text is set in Bitstream Vera, which reportlab carries. Any other run goes to the first face that
covers the whole of it: the configured TrueType font, then known installed ones (embedded), then Adobe's CID fonts, which every
viewer supplies and which are not embedded. A character that no face covers is written without its accents, else as its code
point, `U+1F600`.

reportlab embeds TrueType outlines only (`glyf`), so fonts with PostScript outlines (Noto CJK of Debian) are passed over.
"""

from __future__ import annotations

import functools
import hashlib
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from medqa.errors import InvalidSettings

BASE: Final = "medqa-base"
BASE_BOLD: Final = "medqa-base-bold"

_FOLDERS: Final = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
_HOME_FOLDERS: Final = (".local/share/fonts", ".fonts", "Library/Fonts")

KNOWN_FONTS: Final = (
    "DejaVuSans.ttf",
    # Japanese first: Han characters have their Japanese shapes there
    "BIZUDPGothic-Regular.ttf",
    "ipaexg.ttf",
    "ipagp.ttf",
    "ipag.ttf",
    "TakaoPGothic.ttf",
    "VL-PGothic-Regular.ttf",
    "msgothic.ttc",
    "NanumGothic.ttf",
    "malgun.ttf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "msyh.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "LiberationSans-Regular.ttf",
    "Arial Unicode.ttf",
)
"""Files with TrueType outlines that are looked for, in order of preference."""

CID_FONTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("HeiseiKakuGo-W5", ("euc_jp", "cp932")),
    ("STSong-Light", ("gb2312",)),
    ("MSung-Light", ("big5",)),
    ("HYGothic-Medium", ("euc_kr", "cp949")),
    ("STSong-Light", ("gbk",)),
)
"""Adobe's fonts and the character sets each is known to hold: JIS X 0208 with the vendors' extensions (the second forms of 高 and
崎), GB 2312, Big Five, KS X 1001 with every Hangul syllable; GBK last, since its rarer half is Chinese and Japanese at once."""


@dataclass(frozen=True, slots=True)
class Face:
    """A font that reportlab knows by `name`; `covers` says whether it has a glyph for a character."""

    name: str
    embedded: bool
    covers: Callable[[str], bool]
    path: Path | None = None
    index: int = 0


@functools.cache
def _true_type(path: Path, name: str) -> Face | None:
    """Register a TrueType file; None where reportlab cannot embed it."""
    try:
        font = TTFont(name, str(path), subfontIndex=0)
    except (TTFError, OSError):
        return None
    pdfmetrics.registerFont(font)
    table = font.face.charToGlyph
    return Face(name, embedded=True, covers=lambda character: bool(table.get(ord(character))), path=path)


def _cid(name: str, charsets: tuple[str, ...]) -> Face:
    if name not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(name))

    def covers(character: str) -> bool:
        # Below U+0100 these fonts' widths are not Latin ones, and the encodings are two-byte only.
        if not "\u0100" <= character <= "\uffff":
            return False
        return any(len(character.encode(charset, errors="ignore")) == 2 for charset in charsets)

    return Face(name, embedded=False, covers=covers)


@functools.cache
def installed() -> tuple[Path, ...]:
    """Return the known font files found on this machine, in order of preference."""
    home = Path(os.environ.get("HOME", "/nonexistent"))
    found: dict[str, Path] = {}
    for folder in (*_FOLDERS, *(home / name for name in _HOME_FOLDERS)):
        for root, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(set(files) & set(KNOWN_FONTS)):
                found.setdefault(name, Path(root, name))
    return tuple(found[name] for name in KNOWN_FONTS if name in found)


class Fonts:
    """The faces of one report.

    Parameters
    ----------
    configured
        A TrueType font that is asked before the installed ones (`report.font`).
    search
        Whether installed fonts are used; without, the report is the same on every machine.

    Raises
    ------
    InvalidSettings
        For a configured font that cannot be embedded.
    """

    def __init__(self, configured: Path | None = None, *, search: bool = True) -> None:
        own = Path(reportlab.__file__).parent / "fonts"
        base, bold = _true_type(own / "Vera.ttf", BASE), _true_type(own / "VeraBd.ttf", BASE_BOLD)
        if base is None or bold is None:
            raise InvalidSettings(name="report.font", where="the installation", reason="reportlab's own fonts are missing")
        self.base, self.bold = base, bold
        self._paths = [] if configured is None else [configured]
        if configured is not None and _true_type(configured, _name(configured)) is None:
            reason = "not a readable font with TrueType outlines"
            raise InvalidSettings(name="report.font", where="the settings", reason=reason)
        self._paths += list(installed()) if search else []
        self._last = [_cid(name, charsets) for name, charsets in CID_FONTS]
        self._faces: list[Face] = [self.base]

    def _face(self, position: int) -> Face | None:
        """Return the face at a place of the order of preference; files are opened only when a text asks for them."""
        while len(self._faces) <= position and self._paths:
            path = self._paths.pop(0)
            face = _true_type(path, _name(path))
            if face is not None:
                self._faces.append(face)
        if position < len(self._faces):
            return self._faces[position]
        position -= len(self._faces)
        return self._last[position] if position < len(self._last) else None

    def _find(self, characters: str) -> Face | None:
        position = 0
        while (face := self._face(position)) is not None:
            if all(face.covers(character) for character in characters):
                return face
            position += 1
        return None

    def runs(self, text: str) -> list[tuple[Face, str]]:
        """Cut a text into runs, each with a face that has all of its characters."""
        cut: list[tuple[Face, str]] = []
        stretch = ""
        for character in [*clean(text), ""]:
            if character and not self.base.covers(character):
                stretch += character
                continue
            if stretch:
                for face, part in self._foreign(stretch):
                    _append(cut, face, part)
                stretch = ""
            if character:
                _append(cut, self.base, character)
        return cut

    def _foreign(self, stretch: str) -> list[tuple[Face, str]]:
        whole = self._find(stretch)
        if whole is not None:
            return [(whole, stretch)]
        parts: list[tuple[Face, str]] = []
        for character in stretch:
            _append(parts, *self._single(character))
        return parts

    def _single(self, character: str) -> tuple[Face, str]:
        """Return a character in the first face that has it, else its letter without accents, else its code point."""
        bare = "".join(part for part in unicodedata.normalize("NFD", character) if unicodedata.category(part) != "Mn")
        for form in (character, bare):
            face = self._find(form) if form else None
            if face is not None:
                return face, form
        return self.base, f"U+{ord(character):04X}"

    def markup(self, text: str, *, bold: bool = False) -> str:
        """Return a text as reportlab paragraph markup, each run in its font; the text itself holds no markup."""
        pieces = []
        for face, part in self.runs(text):
            escaped = escape(part)
            if face is not self.base:
                escaped = f'<font name="{face.name}">{escaped}</font>'
            elif bold:
                escaped = f'<font name="{BASE_BOLD}">{escaped}</font>'
            pieces.append(escaped)
        return "".join(pieces)


def _append(cut: list[tuple[Face, str]], face: Face, part: str) -> None:
    if cut and cut[-1][0] is face:
        cut[-1] = (face, cut[-1][1] + part)
    else:
        cut.append((face, part))


def _name(path: Path) -> str:
    """Return a name that no other file has: two folders may hold different files of one name."""
    return f"medqa-{path.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def clean(text: str) -> str:
    """Return a text composed (NFC), with white space for control characters and without invisible format characters."""
    kept = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        # Variation selectors choose among shapes of the character before them; that character alone is read just as well.
        if category == "Cf" or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
            continue
        kept.append(" " if category in ("Cc", "Zs", "Zl", "Zp") else "\ufffd" if category == "Cs" else character)
    return "".join(kept)
