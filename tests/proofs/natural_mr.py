"""What the MR metrics say of faults that nobody simulated: naturally spoiled scans of the manifest, and series in a known order.

python -m tests.proofs.natural_mr --data FOLDER [--page FILE]

Nothing is fitted here. Which metric should see which remark, and what order is the right one, was written before the first run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import pi, prod, sqrt
from pathlib import Path
from statistics import median
from typing import Final

from medqa.errors import MedqaError, NotApplicable
from medqa.metrics import METRICS
from medqa.reader import read
from medqa.regions import Regions
from medqa.training.evidence import few
from medqa.training.scans import RANGES, Scan, scans

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "natural_mr.md"
FRAMES: Final = 6
WORST: Final = 0.2

SEES: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (("noisy", "noise", "low snr", "low-snr"), ("mr_snr", "mr_snr_tissue", "mr_noise")),
    (("ghost",), ("mr_ghosting", "mr_qi1")),
    (("zipper", "interference"), ("mr_zipper", "mr_spikes", "mr_efc")),
    (("blur", "low resolution"), ("mr_sharpness",)),
    (("motion",), ("mr_gradient_entropy",)),
    (("hot spot",), ("mr_bias",)),
)
"""Words of a remark, and the metrics that should see what they tell; no metric is made for distortion and drop-out."""
BY_HEAD: Final = "sharpness by head"
"""mr_sharpness times the diameter of the body, without a unit."""
GOOD_IS_HIGH: Final = frozenset({"mr_snr", "mr_snr_tissue", "mr_sharpness", BY_HEAD})
ZIPPER: Final = tuple(f"mr_hkuvol_zip_{name}.nii.gz" for name in ("raw_nocage", "raw_cage", "fixed_nocage", "fixed_cage"))
"""One volunteer, worst first."""
ZIPPER_METRICS: Final = ("mr_zipper", "mr_noise", "mr_spikes", "mr_efc", "mr_qi1", "mr_gradient_entropy", "mr_snr", "mr_snr_tissue")
PEOPLE: Final = (1, 2, 3, 5, 6)
LOW_FIELD: Final = ("fse", "flair")
PAIR_METRICS: Final = ("mr_snr", "mr_snr_tissue", "mr_noise", "mr_sharpness")
"""Of the same person: 3 T is better than 0.055 T in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of a scan, and why the rest was not."""

    scan: Scan
    values: Mapping[str, float]
    reasons: Mapping[str, str]

    def shown(self, metric: str) -> str:
        """Return the value, or the reason why there is none."""
        return f"{self.values[metric]:.3g}" if metric in self.values else f"not computable: `{self.reasons.get(metric, 'unread')}`"

    def badness(self, metric: str) -> float | None:
        """Return what is the larger the worse; None where there is no value."""
        value = self.values.get(metric)
        return value if value is None or metric not in GOOD_IS_HIGH else -value


def main() -> None:
    """Measure, rank, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")))
    parser.add_argument("--page", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    chosen = [scan for scan in scans(arguments.data, "MR") if scan.split != "format"]
    found = []
    for number, scan in enumerate(chosen, start=1):
        print(f"\r{number}/{len(chosen)} {scan.key:50.50s}", end="", flush=True)
        measured = measure(scan)
        found += [measured] if measured is not None else []
    print()
    arguments.page.write_text(document(found), encoding="utf-8")
    print(arguments.page.read_text(encoding="utf-8"))


def measure(scan: Scan) -> Measured | None:
    """Return what the metrics say of `FRAMES` frames of a scan; None where it cannot be read."""
    try:
        reading = read(scan.path, value_range=RANGES["MR"], modality="MR")
        series = [one for one in reading.series if one.modality == "MR" and one.frames]
        if not series:
            return None
        chosen = few(max(series, key=lambda one: len(one.frames)), FRAMES)
        regions = [Regions(frame.read()) for frame in chosen.frames]
    except MedqaError:
        return None
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for metric in METRICS["MR"]:
        if metric.name not in NEEDED:
            continue
        try:
            for one in metric.measure(chosen, [metric.per_frame(region) for region in regions]):
                values[str(one.quantity.value)] = float(one.value)
        except NotApplicable as error:
            reasons[metric.name] = str(error.values.get("reason"))
    if "mr_sharpness" in values:
        areas_mm2 = [float(region.body.sum()) * prod(region.element_mm) for region in regions]
        values[BY_HEAD] = values["mr_sharpness"] * 2 * sqrt(median(areas_mm2) / pi)
    return Measured(scan=scan, values=values, reasons=reasons)


NEEDED: Final = frozenset({*(name for _, names in SEES for name in names), *ZIPPER_METRICS, *PAIR_METRICS})


def should_see(remarks: str) -> list[str]:
    """Return the metrics that should see what a remark tells, in the order of the table."""
    words = remarks.lower()
    found = [name for keys, names in SEES if any(key in words for key in keys) for name in names]
    return list(dict.fromkeys(found))


def rank(one: Measured, metric: str, found: Iterable[Measured]) -> tuple[int, int] | None:
    """Return the rank of a scan, 1 the worst (half of equals count as worse), among how many; None where it has no value."""
    own = one.badness(metric)
    others = [value for other in found if other is not one and (value := other.badness(metric)) is not None]
    if own is None:
        return None
    worse = sum(value > own for value in others) + sum(value == own for value in others) / 2
    return 1 + round(worse), len(others) + 1


Places = list[tuple[str, tuple[int, int] | None]]


def spoiled_rows(found: list[Measured]) -> Iterator[tuple[Measured, Places]]:
    """Return the spoiled scans with the metrics that should see them, and their ranks."""
    for one in found:
        if one.scan.spoiled in ("mild", "severe"):
            yield one, [(metric, rank(one, metric, found)) for metric in should_see(fault(one.scan))]


def fault(scan: Scan) -> str:
    """Return what a remark says of the scan itself: behind the first semicolon stand counts and other files."""
    return scan.remarks.split(";")[0]


def is_worst(place: tuple[int, int] | None) -> bool:
    """Return whether a rank lies in the worst fifth."""
    return place is not None and place[0] <= WORST * place[1]


def document(found: list[Measured]) -> str:
    """Return the page."""
    rows = list(spoiled_rows(found))
    free = [one for one, places in rows if not places]
    seen = [one for one, places in rows if any(is_worst(place) for _, place in places)]
    lines = [
        "# Natural faults of MR",
        "",
        "Made by `python -m tests.proofs.natural_mr`: all MR scans of `train` and `test` that can be read,",
        f"{FRAMES} frames of each where there are so many. Nothing was fitted on this page.",
        "Which metric should see which remark, and what order is right, was written before the run. A first run showed that",
        "nothing saw a zipper as such, and no noise where the air is masked: `mr_zipper` and `mr_noise` were then made, on",
        "training scans alone.",
        "",
        "The remarks are a lay look at one slice, and the scans are of different regions and sequences:",
        "a rank over all of them is a hard test for quantities that are meant to be compared within a protocol.",
        "",
        f"- scans measured: {len(found)}; naturally spoiled: {len(rows)}",
        f"- of these with a remark that no metric is made for: {len(free)}",
        f"- seen (a metric that should see the fault ranks the scan in the worst fifth): {len(seen)} of {len(rows) - len(free)}",
        "",
        "| words of the remark | metrics that should see it | scans with such a word | computable | seen |",
        "|---|---|---|---|---|",
        *(words_row(keys, names, rows) for keys, names in SEES),
        "",
        "## Spoiled scans",
        "",
        "Rank 1 is the worst of those on which the metric is computable.",
        "",
        "| scan | role | spoiled | remark | metric | value | rank | worst fifth |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one, places in rows:
        head = f"| {one.scan.key} | {one.scan.role} | {one.scan.spoiled} | {fault(one.scan)}"
        lines += [] if places else [f"{head} | – | – | – | free |"]
        for metric, place in places:
            ranked = "–" if place is None else f"{place[0]} of {place[1]}"
            lines.append(f"{head} | `{metric}` | {one.shown(metric)} | {ranked} | {'yes' if is_worst(place) else 'no'} |")
    missed = [one for one, places in rows if places and one not in seen]
    lines += ["", f"Not seen: {', '.join(one.scan.key for one in missed) or 'none'}."]
    named = {one.scan.key: one for one in found}
    return "\n".join([*lines, "", *zipper(named), "", *fields(named)]) + "\n"


def words_row(keys: tuple[str, ...], names: tuple[str, ...], rows: list[tuple[Measured, Places]]) -> str:
    """Return how many scans a word asks for, on how many one of its metrics is computable, and on how many one sees the fault."""
    asked = [dict(places) for one, places in rows if any(key in fault(one.scan).lower() for key in keys)]
    computable = sum(any(places[name] is not None for name in names) for places in asked)
    seen = sum(any(is_worst(places[name]) for name in names) for places in asked)
    return f"| {', '.join(keys)} | {', '.join(f'`{name}`' for name in names)} | {len(asked)} | {computable} | {seen} |"


def ordered(better: Measured, worse: Measured, metric: str) -> str:
    """Return `right`, `wrong` or `equal`, or a dash where one has no value."""
    low, high = better.badness(metric), worse.badness(metric)
    if low is None or high is None:
        return "–"
    return "equal" if low == high else "right" if low < high else "wrong"


def zipper(named: Mapping[str, Measured]) -> list[str]:
    """Return the section on the zipper series."""
    series = [named[key] for key in ZIPPER if key in named]
    lines = [
        "## The zipper series",
        "",
        "One volunteer at 0.055 T, without and with a shield, before and after the interference was taken out.",
    ]
    if len(series) < len(ZIPPER):
        return [*lines, "", "Not all of them can be read."]
    names = [key.removeprefix("mr_hkuvol_zip_").removesuffix(".nii.gz") for key in ZIPPER]
    pairs = ((2, 0), (3, 1), (1, 0), (3, 2))
    lines += [
        "",
        f"| metric | {' | '.join(names)} | {' | '.join(f'{names[a]} better than {names[b]}' for a, b in pairs)} | whole order |",
    ]
    lines.append("|---" * (len(names) + len(pairs) + 2) + "|")
    for metric in ZIPPER_METRICS:
        shown = " | ".join(one.shown(metric) for one in series)
        each = " | ".join(ordered(series[a], series[b], metric) for a, b in pairs)
        whole = {ordered(better, worse, metric) for worse, better in pairwise(series)}
        verdict = whole.pop() if len(whole) == 1 else "wrong"
        lines.append(f"| `{metric}` | {shown} | {each} | {verdict} |")
    lines += [
        "",
        "A zipper is one frequency in the readout at all lines, not one sample of k-space: `mr_spikes` is blind to it.",
        "The whole order was written as raw before fixed. Measures of noise put the second and third the other way round;",
        "the remarks say of them too: raw with a shield has mild noise, fixed without one is noisy.",
    ]
    return lines


def fields(named: Mapping[str, Measured]) -> list[str]:
    """Return the section on the same people at 0.055 T and 3 T."""
    lines = [
        "## 0.055 T and 3 T",
        "",
        "The same person at both fields; 3 T should be the better one in each. The files state pixels of 1 mm at both fields,",
        "by which the heads at 3 T would be about twice as wide as those at 0.055 T: nothing in 1/mm can be compared.",
        "A row was therefore added after the run:",
        "the sharpness times the diameter of the head, which needs no pixel size.",
        "",
        "| person | metric | 3 T | 0.055 T | value at 3 T | value at 0.055 T | order |",
        "|---|---|---|---|---|---|---|",
    ]
    told: list[str] = []
    for person in PEOPLE:
        high = named.get(f"mr_hkup{person}_t2w3t.nii.gz")
        for sequence in LOW_FIELD:
            low = named.get(f"mr_hkup{person}_{sequence}.nii.gz")
            if high is None or low is None:
                continue
            for metric in (*PAIR_METRICS, BY_HEAD):
                order = ordered(high, low, metric)
                told.append(order)
                lines.append(
                    f"| hkup{person} | `{metric}` | t2w | {sequence} | {high.shown(metric)} | {low.shown(metric)} | {order} |"
                )
    counts = ", ".join(f"{name} {told.count(name)}" for name in ("right", "wrong", "equal"))
    return [*lines, "", f"Pairs: {counts}, not computable {told.count('–')}."]


if __name__ == "__main__":
    main()
