"""Draw the report pages of three phantoms: `python -m tests.rendering.pages [FOLDER]`.

Every page of a CT, an MR (in Japanese) and a PET phantom goes to FOLDER as PNG, to be looked at; without FOLDER only
`docs/img/report_ct.png`, `report_mr.png` and `report_pet.png`, the first pages in English, are made. The bundles of this checkout
judge them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from medqa.assess import assess
from medqa.assessment import HeatMap, Scorer
from medqa.config import Settings
from medqa.errors import MedqaError
from medqa.iqa.bundle import load
from medqa.reader import read
from medqa.series import Series
from medqa.simulate.scenarios import SCENARIOS
from reports import wording
from reports.pdf import pdf

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "img"
JUDGED_AT = "2026-01-05T10:00:30+00:00"
PAGES = (
    ("ct", "CT abdomen, 1/16 of the dose", "en"),
    ("mr", "MR head, moving", "ja"),
    ("pet", "PET trunk, 1/16 of the counts", "en"),
)


def heat_maps(series: Series, scorers: tuple[Scorer, ...], worst: tuple[int, ...]) -> tuple[HeatMap, ...]:
    """Ask the frame network where it looked."""
    found: list[HeatMap] = []
    for scorer in scorers:
        if scorer.kind == "mal" and scorer.modality == series.modality:
            try:
                found += scorer.explain(series, worst)
            except MedqaError as error:
                print(error)
    return tuple(found)


def draw(name: str, scenario: str, lang: str, folder: Path) -> list[Path]:
    """Make one phantom series, judge it, and draw the pages of its report."""
    settings = Settings()
    scorers = load(settings).scorers
    with tempfile.TemporaryDirectory() as scratch:
        next(one for one in SCENARIOS if one.name == scenario).write(Path(scratch), seed=1)
        series = read(Path(scratch)).series[0]
        made = assess(series, scorers, settings, judged_at=JUDGED_AT)
        worst = next((one.worst_frames for one in made.predictions if one.kind == "mal"), ())
        document = pdf(made, series, heat_maps(series, scorers, worst), lang)
    print(f"{name}: {wording.sentence(made, lang)}")
    path = folder / f"report_{name}.pdf"
    path.write_bytes(document)
    subprocess.run(["pdftoppm", "-r", "80", "-png", str(path), str(path.with_suffix(""))], check=True)
    return sorted(folder.glob(f"report_{name}-*.png"))


def main() -> None:
    """Draw what the command line asks for."""
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for name, scenario, lang in PAGES:
            draw(name, scenario, lang, folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name, scenario, _ in PAGES:
            first = draw(name, scenario, "en", Path(scratch))[0]
            (PICTURES / first.name.replace("-1", "")).write_bytes(first.read_bytes())


if __name__ == "__main__":
    main()
