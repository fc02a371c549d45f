"""`python -m tests.proofs.metrics`: what every metric is, and what it does, written from the code and the evidence table.

Writes for each modality a page, `docs/metrics.md` (CT), `docs/metrics_mr.md`, `docs/metrics_pt.md`, and the matrix of expected and
seen effects, `docs/img/ct_matrix.png` and so on. The evidence is made by `python -m medqa.training.physics evidence` (test subjects
for the matrix, clean training subjects for the usual ranges).
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from medqa.metrics import METRICS
from medqa.metrics.expected import EXPECTED, Effect, effect
from medqa.metrics.metric import Metric
from medqa.simulate.catalogue import KINDS
from medqa.training.evidence import FRAMES, Row
from medqa.training.physics import table
from medqa.training.scans import scans
from reports.wording import text

PAGES: Final = {"CT": Path("docs/metrics.md"), "MR": Path("docs/metrics_mr.md"), "PT": Path("docs/metrics_pt.md")}
REMEDIES: Final = Path("tests/proofs/remedies.toml")
"""What was tried for effects that do not hold."""
TITLES: Final = {"CT": "CT", "MR": "MR", "PT": "PET"}
EXPECTED_OF: Final = {quantity: effects for declared in EXPECTED.values() for quantity, effects in declared.items()}
MONOTONE: Final = 0.95
BLIND: Final = 0.10
FEWEST: Final = 3
"""Fewer patients have no spread that a movement could be held against."""
COLOURS: Final = {"kept": "#2e7d32", "failed": "#c62828", "free": "#e0e0e0", "unknown": "#ffffff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen of a quantity under a kind: the share of patients that keep a direction, or how far the median moves."""

    expected: Effect
    patients: int
    share: float
    """Of patients in which the quantity is strictly monotone in the declared direction; for a blind one, the median change at the
    strongest level as a share of the clean spread between patients."""

    @property
    def kept(self) -> bool | None:
        """Whether the expectation held; None where nothing was declared or could be measured."""
        if self.expected is Effect.FREE or not self.patients:
            return None
        return self.share < BLIND if self.expected is Effect.BLIND else self.share >= MONOTONE

    @property
    def cell(self) -> str:
        """The outcome in a few letters."""
        if self.expected is Effect.FREE:
            return ""
        if not self.patients:
            return "–"
        sign = {Effect.RISES: "↑", Effect.FALLS: "↓", Effect.BLIND: "○"}[self.expected]
        return f"{sign} {100 * self.share:.0f}"


def main() -> None:
    """Write the pages and the figures of the modalities that there is evidence of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/training"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")), help="folder of scans")
    parser.add_argument("--modality", choices=list(PAGES), action="append", help="which modalities; all by default")
    arguments = parser.parse_args()
    for modality in arguments.modality or PAGES:
        rows = table(arguments.runs / "evidence", modality)
        if not rows:
            print(f"{modality}: no evidence; `python -m medqa.training.physics evidence --modality {modality}` makes it")
            continue
        phantoms = {scan.key for scan in scans(arguments.data, modality) if scan.phantom}
        test = [row for row in rows if row.role == "test" and row.clean and row.scan not in phantoms]
        learnt = [row for row in rows if row.role == "train" and row.clean and row.level == 0]
        outcomes = {(quantity, kind): outcome(quantity, kind, test) for quantity in EXPECTED[modality] for kind in KINDS[modality]}
        draw(modality, outcomes, len({row.subject for row in test}))
        PAGES[modality].write_text(page(modality, outcomes, test, learnt), encoding="utf-8")
        held = [one.kept for one in outcomes.values() if one.kept is not None]
        print(f"{modality}: {sum(held)} of {len(held)} declared effects hold; {PAGES[modality]}")


def figure_of(modality: str) -> Path:
    """Return where the matrix of a modality is drawn."""
    return Path(f"docs/img/{modality.lower()}_matrix.png")


def outcome(quantity: str, kind: str, rows: Sequence[Row]) -> Outcome:
    """Hold a quantity's declared effect under a kind against patients; one scan a patient, the first."""
    wanted = effect(quantity, kind)
    courses = [course for course in courses_of(quantity, kind, rows).values() if len(course) > 1]
    if wanted is Effect.FREE or not courses:
        return Outcome(expected=wanted, patients=len(courses), share=0.0)
    if wanted is Effect.BLIND and len(courses) < FEWEST:
        return Outcome(expected=wanted, patients=0, share=0.0)
    if wanted is Effect.BLIND:
        clean = np.array([course[0] for course in courses])
        spread = float(np.subtract(*np.percentile(clean, [75, 25]))) / 1.349
        moved = abs(float(np.median([course[-1] - course[0] for course in courses])))
        # A quantity that is the same in all patients is blind where it does not move at all.
        share = moved / spread if spread > 0 else float(moved > 0)
        return Outcome(expected=wanted, patients=len(courses), share=share)
    sign = 1 if wanted is Effect.RISES else -1
    kept = [bool(np.all(sign * np.diff(course) > 0)) for course in courses]
    return Outcome(expected=wanted, patients=len(courses), share=float(np.mean(kept)))


def courses_of(quantity: str, kind: str, rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return by subject the values from level 0 to the strongest; subjects in whom a level lacks the quantity are left out."""
    found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    levels = set()
    for row in rows:
        if row.kind in ("", kind):
            levels.add(row.level)
            if quantity in row.values:
                found[row.subject, row.scan][row.level] = row.values[quantity]
    courses: dict[str, list[float]] = {}
    for (subject, _), values in found.items():
        if set(values) == levels and subject not in courses:
            courses[subject] = [values[level] for level in sorted(values)]
    return courses


def draw(modality: str, outcomes: dict[tuple[str, str], Outcome], patients: int) -> None:
    """Draw the matrix: green kept, red failed, grey free."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    quantities, kinds = list(EXPECTED[modality]), list(KINDS[modality])
    figure, axis = pyplot.subplots(figsize=(13, 0.36 * len(quantities) + 1.6), dpi=90)
    for y, quantity in enumerate(quantities):
        for x, kind in enumerate(kinds):
            one = outcomes[quantity, kind]
            name = "free" if one.expected is Effect.FREE else {True: "kept", False: "failed", None: "unknown"}[one.kept]
            axis.add_patch(Rectangle((x, y), 0.96, 0.94, color=COLOURS[name]))
            axis.text(
                x + 0.48,
                y + 0.5,
                one.cell,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if one.kept is not None else "black",
            )
    axis.set_xlim(0, len(kinds))
    axis.set_ylim(len(quantities), 0)
    axis.set_xticks(np.arange(len(kinds)) + 0.48, kinds, rotation=40, ha="right", fontsize=8)
    axis.set_yticks(np.arange(len(quantities)) + 0.5, quantities, fontsize=8)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    words = "% of patients strictly monotone (↑ ↓), or median change in % of the clean spread between patients (○)"
    axis.set_title(f"{patients} test patients; {words}", fontsize=9)
    figure.tight_layout()
    path = figure_of(modality)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def page(modality: str, outcomes: dict[tuple[str, str], Outcome], test: Sequence[Row], learnt: Sequence[Row]) -> str:
    """Return the page, Markdown."""
    declared = [one for one in outcomes.values() if one.expected is not Effect.FREE and one.patients]
    order = list(EXPECTED[modality])
    failed = sorted((key for key, one in outcomes.items() if one.kept is False), key=lambda key: (order.index(key[0]), key[1]))
    single, several = FRAMES[modality]
    lines = [
        f"# {TITLES[modality]} metrics",
        "",
        "Made by `make physics` from the code and from the evidence on real scans; the expected effects were declared in",
        "`medqa/metrics/expected.py` before any run.",
        "",
        f"![matrix](img/{figure_of(modality).name})",
        "",
        f"Of {len(declared)} declared effects that could be measured on {len({row.subject for row in test})} test patients (up to",
        f"{several} frames each), {sum(one.kept is True for one in declared)} hold. ↑ ↓: strictly monotone over five strengths",
        "in at least 95 % of patients; ○: the median change at the strongest level is under 10 % of the clean spread between",
        f"patients, of whom there must be {FEWEST}; phantoms are left out. These do not hold; what was tried stands with the",
        "metric below.",
        "",
        "| quantity | degradation | declared | seen | patients |",
        "|---|---|---|---|---|",
    ]
    for quantity, kind in failed:
        one = outcomes[quantity, kind]
        what = "of the clean spread" if one.expected is Effect.BLIND else "of patients"
        lines.append(f"| `{quantity}` | {kind} | {one.expected.value} | {100 * one.share:.0f} % {what} | {one.patients} |")
    lines += [
        "",
        f"Usual ranges are of training scans, up to {single} frame{'s' * (single > 1)} each. Tables are made anew with every run;",
        "the figures within a metric's own text were read on training scans when it was made.",
    ]
    tried = tomllib.loads(REMEDIES.read_text(encoding="utf-8")).get(modality, {})
    broken = {quantity for quantity, _ in failed}
    for metric in METRICS[modality]:
        lines += section(metric, learnt)
        for quantity in metric.quantities:
            if quantity in broken and quantity in tried:
                lines += ["", f"What was tried for `{quantity}`: {tried[quantity].strip()}"]
    return "\n".join(lines) + "\n"


def section(metric: Metric, learnt: Sequence[Row]) -> list[str]:
    """Return the part of the page about a metric: the head of its module, and what its quantities usually are."""
    module = sys.modules[metric.per_frame.__module__]
    lines = ["", f"## {text(f'metric.{metric.name}')} (`{metric.name}`)", "", inspect.cleandoc(module.__doc__ or ""), ""]
    rows = []
    for quantity in metric.quantities:
        values = [row.values[quantity] for row in learnt if quantity in row.values]
        if not values:
            continue
        low, middle, high = np.percentile(values, [5, 50, 95])
        moved = ", ".join(
            f"{kind} {one.value}" for kind, one in EXPECTED_OF.get(quantity, {}).items() if one in (Effect.RISES, Effect.FALLS)
        )
        rows.append(f"| `{quantity}` | {low:.3g} to {high:.3g} | {middle:.3g} | {len(values)} | {moved or '–'} |")
    if rows:
        head = [
            "| quantity | usual (5 to 95 %, clean training scans) | median | scans | declared to move with |",
            "|---|---|---|---|---|",
        ]
        lines += [*head, *rows]
    return lines


if __name__ == "__main__":
    main()
