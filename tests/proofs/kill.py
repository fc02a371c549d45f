"""`kill -9` at twenty random moments of a 300-instance send; the table is written to `docs/kill.md`. Run by `make kill`.

python -m tests.proofs.kill [--moments 20] [--instances 300] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.node.killing import Round, kill_and_recover

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "kill.md"
AFTER_S = 10.0
SIDES = {"CT": 512, "MR": 256, "PT": 128}
"""Rows and columns, as scanners send them."""


def main() -> None:
    """Kill, recover, check, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    chance = random.Random(arguments.seed)
    moments = [chance.uniform(0.0, 2.0) for _ in range(arguments.moments)]
    with tempfile.TemporaryDirectory(prefix="medqa-kill-") as folder:
        rounds: list[Round] = []
        for one in kill_and_recover(Path(folder), moments, arguments.instances, chance, AFTER_S, SIDES):
            rounds.append(one)
            print(one, flush=True)
            DOCUMENT.write_text(document(rounds, arguments), encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


def document(rounds: Sequence[Round], arguments: argparse.Namespace) -> str:
    """Return the page."""
    lines = [
        "# Killed in the middle",
        "",
        f"Made by `make kill` (seed {arguments.seed}, {os.cpu_count()} cores): {len(rounds)} of {arguments.moments} kills.",
        f"Each time a real `medqa serve` receives {arguments.instances} instances",
        f"({', '.join(f'{modality} of {side}²' for modality, side in SIDES.items())}: three series, mixed) over DICOM.",
        "At a random moment its whole process group gets `kill -9`;",
        "it is started again, and the sender sends what was not acknowledged. After every kill, and again at the end,",
        "the sender's own list is held against the files (length and SHA-256 of each data set) and against the rows;",
        "no file without a row is left; every series has exactly one final verdict a revision, and a report.",
        "The page grows with every kill that nothing was lost by; the first failure ends the run.",
        "",
        "| # | killed at | acknowledged by then | states of all series on disk | revisions of the three series |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {number} | {one.moment} | {one.acknowledged} | {one.states} | {one.revisions} |"
        for number, one in enumerate(rounds, start=1)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
