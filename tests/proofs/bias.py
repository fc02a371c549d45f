"""Bias and spread of every CT metric by Monte Carlo: series of known truth are drawn many times and measured.

Run by `make bias`; writes `docs/bias.md`.

python -m tests.proofs.bias [--draws 100]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medqa.errors import NotApplicable
from medqa.metrics import METRICS, Metric, ct_dose, ct_size
from medqa.regions import Regions
from medqa.series import Series
from tests.proofs import drawn_artefacts, drawn_levels, drawn_texture
from tests.proofs.drawn import FRAMES, PIXEL_MM, SIDE, Condition

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bias.md"
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


def conditions() -> Iterator[Condition]:
    """Yield everything that is drawn."""
    for module in (drawn_levels, drawn_artefacts, drawn_texture):
        yield from module.conditions()


def measure(series: Series, metrics: Sequence[Metric]) -> dict[str, float]:
    """Return what metrics measure of a series, by name, and the median over the frames of each number that their findings tell."""
    regions = [Regions(frame.read()) for frame in series.frames]
    values: dict[str, float] = {}
    for metric in metrics:
        partials = [metric.per_frame(frame) for frame in regions]
        try:
            made = metric.measure(series, partials)
        except NotApplicable:
            continue
        values |= {NAMES.get(one.quantity.value, one.quantity.value): one.value for one in made}
        known = [partial for partial in partials if partial is not None]
        for key in ("angle", "radius", "extent"):
            if found := [one[key] for one in known if key in one]:
                values[f"{metric.name} {key}"] = float(np.median(found))
    return values


def rows(condition: Condition, draws: int, number: int = 0) -> list[Row]:
    """Draw and measure; every draw of every condition (`number`) has a generator of its own."""
    truths: list[Mapping[str, float]] = []
    found: list[dict[str, float]] = []
    for draw in range(draws):
        one = condition.draw(np.random.default_rng([number, draw]))
        truths.append(one.truths)
        found.append(measure(one.series, condition.metrics))
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


def page(table: Sequence[Row], draws: int) -> str:
    """Return the document."""
    biased = [row for row in table if row.percent is not None and abs(row.percent) > BADLY]
    silent = [row for row in table if len(row.errors) < row.draws]
    order = [name for metric in METRICS["CT"] for name in (NAMES.get(one, one) for one in metric.quantities)]
    place = {name: index for index, name in enumerate(order)}
    ordered = sorted(table, key=lambda row: place[row.quantity.split()[0]])
    lines = [
        "# Bias and spread of the CT metrics",
        "",
        f"Written by `make bias`: {draws} draws of every condition, each of {FRAMES} frames of {SIDE} x {SIDE} pixels of",
        f"{PIXEL_MM} mm (where it says slices or stack, of more), measured by the metrics that ship. The truth is calculated from",
        "what was drawn, not measured; `tests/proofs/drawn_*.py` hold the formulas. Bias is the mean error and spread its standard",
        "deviation, in the unit of the quantity; the bias itself is known to the spread over the root of the draws. The percentage",
        "is the bias over the truth. *Draws* counts those in which the metric had a value at all.",
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
    parser.add_argument("--draws", type=int, default=100)
    draws = parser.parse_args().draws
    table = [row for number, condition in enumerate(conditions()) for row in rows(condition, draws, number)]
    PAGE.write_text(page(table, draws), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
