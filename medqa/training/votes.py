"""How a network counts as a witness with the default policy, and how often: the shares that calibration and card print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from medqa.config import PolicySettings
from medqa.iqa.calibration import Logistic
from medqa.training.evaluation import Item

STANDS: Final = ("against", "silent", "for")
POLICY: Final = PolicySettings()

Shares = dict[str, dict[str, float]]
"""By group (`clean`, `clearly spoiled`): the share of each stand, and the number of `series` and of `subjects`."""


def vote(kind: str, score: float, adequate: float) -> str:
    """Return where a network stands."""
    value, low, high = (score, POLICY.mal_against, POLICY.mal_for)
    if kind != "mal":
        value, low, high = (adequate, POLICY.densenet_against, POLICY.densenet_for)
    return "against" if value < low else "for" if value >= high else "silent"


def shares(kind: str, items: Sequence[Item], calibration: Logistic) -> Shares:
    """Return how often a network stands where, on clean and on clearly spoiled series."""
    groups = {"clean": [item for item in items if item.clean], "clearly spoiled": [item for item in items if item.clearly_spoiled]}
    return {name: _of(kind, members, calibration) for name, members in groups.items()}


def mute(counted: Shares) -> bool:
    """Whether a network never took a side."""
    return all(group["silent"] == 1 for group in counted.values())


def table(counted: Shares) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = ["| series | against | silent | for | series | subjects |", "|---|---|---|---|---|---|"]
    for name, group in counted.items():
        parts = " | ".join(f"{100 * group[stand]:.0f} %" for stand in STANDS)
        lines.append(f"| {name} | {parts} | {group['series']:.0f} | {group['subjects']:.0f} |")
    return lines


def _of(kind: str, items: Iterable[Item], calibration: Logistic) -> dict[str, float]:
    members = list(items)
    found = Counter(vote(kind, item.score, calibration.probability(item.logit)) for item in members)
    return {
        **{stand: round(found[stand] / max(1, len(members)), 4) for stand in STANDS},
        "series": len(members),
        "subjects": len({item.subject for item in members}),
    }
