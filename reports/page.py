"""What every block of a report is made from, and what is read from the source header for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from medqa.assessment import Assessment, HeatMap
from medqa.config import ReportSettings
from medqa.series import Series
from reports import wording
from reports.theme import Theme


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An assessment, its series and how to show them."""

    assessment: Assessment
    series: Series
    heat_maps: Sequence[HeatMap]
    lang: str
    settings: ReportSettings
    theme: Theme
    top: float | None = None
    """Upper end of the window of a PET series without SUV (`reports.figures.common_top`)."""

    def word(self, identifier: str, **values: object) -> str:
        """Return an entry of the catalogue in the report's language."""
        return wording.text(identifier, self.lang, **values)

    @property
    def site(self) -> str:
        """The site: the setting, else what the header says."""
        return brief(self.settings.site or header_value(self.series.header, "InstitutionName"))


def header_value(header: Dataset, keyword: str) -> str:
    """Return an attribute as text; empty where it is absent or not readable (headers of any quality come here)."""
    try:
        value = header.get(keyword)
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return ""
    if value is None:
        return ""
    if isinstance(value, PersonName):
        return person_name(value)
    if isinstance(value, MultiValue):
        return ", ".join(str(one).strip() for one in value)
    return str(value).strip()


def person_name(name: PersonName) -> str:
    """Return a name for people: the alphabetic group, then the ideographic one, without carets."""
    groups = [" ".join(str(group).replace("^", " ").split()) for group in (name.alphabetic, name.ideographic)]
    groups = [group for group in groups if group]
    return groups[0] + "".join(f" ({group})" for group in groups[1:]) if groups else ""


def pseudonym(series: Series) -> str:
    """Return a name for the patient that tells nothing.

    It comes from the Study Instance UID alone: a digest of a short patient number could be tried out number by number.
    """
    return "P-" + hashlib.sha256(f"medqa:{series.study_uid}".encode()).hexdigest()[:10].upper()


def date_text(text: str) -> str:
    """Write a DICOM date (DA), time (TM), both (DT) or an ISO time as people read it, to the second; others as they stand."""
    digits = text.partition(".")[0].replace("-", "").replace(":", "").replace("T", "")
    if not digits.isdigit() or len(digits) not in (6, 8, 14):
        return text
    date, time = ("", digits) if len(digits) == 6 else (digits[:8], digits[8:])
    words = [f"{date[:4]}-{date[4:6]}-{date[6:]}"] if date else []
    words += [f"{time[:2]}:{time[2:4]}:{time[4:]}"] if time else []
    return " ".join(words)


def brief(text: str, most: int = 160) -> str:
    """Cut a text that is far longer than any header value may be, so that it cannot fill a page."""
    return text if len(text) <= most else text[: most - 1] + "…"


def in_columns(pairs: Sequence[tuple[str, str]], columns: int) -> list[list[str]]:
    """Lay name-value pairs out in rows of `columns` pairs, reading down each column."""
    rows = -(-len(pairs) // columns)
    padded = [*pairs, *[("", "")] * (rows * columns - len(pairs))]
    return [[cell for column in range(columns) for cell in padded[column * rows + row]] for row in range(rows)]
