"""Bias and spread of every metric by Monte Carlo: series of known truth are drawn many times and measured.

Run by `make bias`; writes for each modality a page, `docs/bias.md` (CT), `docs/bias_mr.md` and `docs/bias_pt.md`.

python -m tests.proofs.bias [--draws 20] [--only CT]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from medqa.errors import NotApplicable
from medqa.metrics import METRICS, PAIRS, Metric, Pair, ct_dose, ct_size
from medqa.regions import Regions
from tests.proofs import drawn, drawn_artefacts, drawn_levels, drawn_mr, drawn_mr_faults, drawn_pet, drawn_study, drawn_texture
from tests.proofs.drawn import FRAMES, Condition, Drawn

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A modality: its title and page, what is drawn, its size in words, and how often unless told otherwise."""

    title: str
    page: Path
    conditions: tuple[Callable[[], Iterator[Condition]], ...]
    size: str
    draws: int = 100


PARTS: Final = {
    "CT": Part(
        title="CT",
        page=DOCS / "bias.md",
        conditions=(drawn_levels.conditions, drawn_artefacts.conditions, drawn_texture.conditions),
        size=f"{FRAMES} frames of {drawn.SIDE} x {drawn.SIDE} pixels of {drawn.PIXEL_MM} mm (slices and stacks: more)",
    ),
    "MR": Part(
        title="MR",
        page=DOCS / "bias_mr.md",
        conditions=(drawn_mr.conditions, drawn_mr_faults.conditions),
        size=f"{FRAMES} frames of {drawn_mr.SIDE} x {drawn_mr.SIDE} pixels of {drawn_mr.PIXEL_MM:g} mm (heads: 128; slices: more)",
        draws=50,
    ),
    "PT": Part(
        title="PET",
        page=DOCS / "bias_pt.md",
        conditions=(drawn_pet.conditions, drawn_study.conditions),
        size="bodies of 40 to 90 slices",
        draws=40,
    ),
}
NAMES = {ct_size.DIAMETER.value: ct_size.NAME, ct_dose.ESTIMATE.value: ct_dose.NAME}
"""Metrics whose quantities bear a code of DICOM."""
ANGLES = ("ct_streaks angle", "ct_tilt")
"""Of an angle no percentage is told."""
BADLY = 10.0
"""A bias over this percentage is told above the table."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A quantity under a condition: its mean truth, and what each draw that had a value was off by."""

    quantity: str
    drawn: str
    truth: float
    errors: tuple[float, ...]
    draws: int

    @property
    def bias(self) -> float:
        """Mean error."""
        return float(np.mean(self.errors))

    @property
    def percent(self) -> float | None:
        """Bias in percent of the truth; None without a value, of an angle, and where the truth is zero."""
        if not self.errors or self.quantity in ANGLES or self.truth == 0:
            return None
        return 100 * self.bias / abs(self.truth)

    def __str__(self) -> str:
        """Return a line of the table."""
        told = f"{self.bias:+.2g} | {np.std(self.errors):.2g}" if self.errors else "– | –"
        percent = "–" if self.percent is None else f"{self.percent:+.1f}"
        return f"| {self.quantity} | {self.drawn} | {self.truth:.4g} | {told} | {percent} | {len(self.errors)}/{self.draws} |"


def conditions(modality: str) -> Iterator[Condition]:
    """Yield everything that is drawn of a modality."""
    for some in PARTS[modality].conditions:
        yield from some()


def quantities(modality: str) -> list[str]:
    """Return the names of all quantities of a modality, in the order of its metrics; PET has those of a PET with its CT beside."""
    named = [NAMES.get(one, one) for metric in METRICS[modality] for one in metric.quantities]
    return named + [pair.name for pair in PAIRS if modality == "PT"]


def measure(one: Drawn, metrics: Sequence[Metric | Pair]) -> dict[str, float]:
    """Return what metrics measure of a draw, by name, and the median over the frames of each number that their findings tell."""
    series, ct = one.series, one.ct
    regions, beside = ([] if some is None else [Regions(frame.read()) for frame in some.frames] for some in (series, ct))
    values: dict[str, float] = {}
    for metric in metrics:
        partials = [metric.per_frame(frame) for frame in regions]
        try:
            if isinstance(metric, Metric):
                made = metric.measure(series, partials)
            elif ct is None:
                continue
            else:
                made = (metric.combine(series, partials, ct, [metric.per_frame(frame) for frame in beside]),)
        except NotApplicable:
            continue
        values |= {NAMES.get(told.quantity.value, told.quantity.value): told.value for told in made}
        known = [partial for partial in partials if partial is not None]
        for key in ("angle", "radius", "extent"):
            if found := [part[key] for part in known if key in part]:
                values[f"{metric.name} {key}"] = float(np.median(found))
    return values


def rows(condition: Condition, draws: int, number: int = 0) -> list[Row]:
    """Draw and measure; every draw of every condition (`number`) has a generator of its own."""
    truths: list[Mapping[str, float]] = []
    found: list[dict[str, float]] = []
    for draw in range(draws):
        one = condition.draw(np.random.default_rng([number, draw]))
        truths.append(one.truths)
        found.append(measure(one, condition.metrics))
    return [
        Row(
            quantity=name,
            drawn=condition.name,
            truth=float(np.mean([one[name] for one in truths])),
            errors=tuple(values[name] - one[name] for values, one in zip(found, truths, strict=True) if name in values),
            draws=draws,
        )
        for name in truths[0]
    ]


def page(table: Sequence[Row], draws: int, modality: str = "CT") -> str:
    """Return the document."""
    biased = [row for row in table if row.percent is not None and abs(row.percent) > BADLY]
    silent = [row for row in table if len(row.errors) < row.draws]
    place = {name: index for index, name in enumerate(quantities(modality))}
    ordered = sorted(table, key=lambda row: place[row.quantity.split()[0]])
    part = PARTS[modality]
    lines = [
        f"# Bias and spread of the {part.title} metrics",
        "",
        f"Written by `make bias`: {draws} draws of every condition, {part.size}, measured by",
        "the metrics that ship. The truth is calculated from what was drawn, not measured; `tests/proofs/drawn*.py` hold",
        "the formulas. Bias is the mean error and spread its standard deviation, in the unit of the quantity; the bias",
        "itself is known to the spread over the root of the draws. The percentage is the bias over the truth. *Draws* counts",
        "those in which the metric had a value at all.",
        "",
        f"## Off by more than {BADLY:g} %",
        "",
        *([f"- {row.quantity}: {row.percent:+.0f} % ({row.drawn})" for row in biased] or ["None."]),
        "",
        "## Without a value in some draws",
        "",
        *([f"- {row.quantity}: {len(row.errors)} of {row.draws} ({row.drawn})" for row in silent] or ["None."]),
        "",
        "## All",
        "",
        "| quantity | drawn | truth | bias | spread | bias % | draws |",
        "|---|---|---|---|---|---|---|",
        *map(str, ordered),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, help="of each condition")
    parser.add_argument("--only", choices=PARTS, help="one modality")
    given = parser.parse_args()
    for modality in [given.only] if given.only else PARTS:
        draws = given.draws or PARTS[modality].draws
        table = [row for number, one in enumerate(conditions(modality)) for row in rows(one, draws, number)]
        PARTS[modality].page.write_text(page(table, draws, modality), encoding="utf-8")
        print(PARTS[modality].page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
