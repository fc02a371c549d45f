"""What medqa as a whole says of every scan with a natural fault, written into the model cards. Run by `make verdicts`.

python -m tests.proofs.verdicts --data FOLDER [--modality CT] [--models FOLDER]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node import process
from medqa import reader
from medqa.config import Settings, load
from medqa.errors import MedqaError
from medqa.iqa import bundle
from medqa.training.card import WHOLE_VERDICT, with_section
from medqa.training.scans import RANGES, Scan, scans
from reports import wording

MODALITIES: Final = ("MR", "CT", "PT")
SPOILED: Final = ("mild", "severe")
OPENING: Final = (
    "Written by `make verdicts`. What `medqa assess` says, with both networks, physics and checks, of every scan whose manifest "
    "says `mild` or `severe` (a lay look at one slice). Scans in the role `train` were learnt from; `unused` ones took part in "
    "nothing."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One series of a scan and what it came to."""

    scan: Scan
    frames: int
    verdict: str
    sentence: str

    def line(self) -> str:
        """Return the row of the Markdown table."""
        cells = (f"`{self.scan.key}`", self.scan.spoiled, self.scan.role, str(self.frames), self.verdict, self.sentence)
        return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def main() -> None:
    """Judge, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")))
    parser.add_argument("--modality", choices=MODALITIES, action="append")
    parser.add_argument("--models", type=Path, default=None, help="another shelf")
    arguments = parser.parse_args()
    settings = load()
    if arguments.models is not None:
        settings = settings.model_copy(update={"models": arguments.models})
    shelf = bundle.load(settings)
    for modality in arguments.modality or MODALITIES:
        rows = [row for scan in spoiled_scans(arguments.data, modality) for row in judged(scan, shelf, settings)]
        text = document(rows)
        print(f"{modality}\n\n{text}\n", flush=True)
        for page in sorted(shelf.folder.glob(f"*_{modality.lower()}/docs/README.md")):
            page.write_text(with_section(page.read_text(encoding="utf-8"), WHOLE_VERDICT, text), encoding="utf-8")


def spoiled_scans(data: Path, modality: str) -> list[Scan]:
    """Return the scans of a modality that something is known against, the mild ones first, then by role."""
    found = [scan for scan in scans(data, modality) if scan.spoiled in SPOILED]
    return sorted(found, key=lambda scan: (scan.spoiled, scan.role, scan.key))


def judged(scan: Scan, shelf: bundle.Shelf, settings: Settings) -> list[Row]:
    """Judge each series of the scan's modality in its file, as `medqa assess` does; a scan that cannot be read says why."""
    try:
        reading = reader.read(scan.path, value_range=RANGES[scan.modality], modality=scan.modality)
    except MedqaError as error:
        return [Row(scan=scan, frames=0, verdict="not judged", sentence=error.message)]
    rows = []
    for series in reading.series:
        if series.modality == scan.modality:
            assessment = process.assess_from_disk(series, shelf.scorers, settings, unusable=shelf.unusable)
            verdict = "none" if assessment.verdict is None else assessment.verdict.value
            rows.append(Row(scan=scan, frames=len(series.frames), verdict=verdict, sentence=wording.sentence(assessment, "en")))
    if not rows:
        why = "; ".join(sorted({f"{item.code} {item.text}" for item in reading.left_out})) or "no series of this modality in it"
        rows.append(Row(scan=scan, frames=0, verdict="not judged", sentence=why))
    return rows


def document(rows: Sequence[Row]) -> str:
    """Return what stands under the heading."""
    if not rows:
        return f"{OPENING}\n\nThere are none in the data."
    lines = [OPENING, "", "| scan | spoiled | role | frames | verdict | why |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(row.line() for row in rows)])


if __name__ == "__main__":
    main()
