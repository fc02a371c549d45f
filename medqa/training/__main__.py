"""`python -m medqa.training`: cache, train, export, calibrate, card, all. Every step goes on where it stopped.

`calibrate` does again what `export` does at its end, on the weights of a bundle; `all` has no need of it.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Final

KINDS: Final = ("mal", "densenet")
MODALITIES: Final = ("MR", "CT", "PT")
"""MR first: the others start from it."""
ROLES: Final = ("train", "validation", "test", "told")
"""`told`: the scans that a card lists one by one, whatever their role."""
STEPS: Final = ("cache", "train", "export", "calibrate", "card", "all")
ALL: Final = ("cache", "train", "export", "card")


def main() -> None:
    """Run one step for the chosen networks."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    # torch and the rest are imported once the arguments are known to be right.
    from medqa.training import steps

    place = steps.Place(data=arguments.data, runs=arguments.runs, models=arguments.models)
    wanted = ALL if arguments.step == "all" else (arguments.step,)
    for modality in arguments.modality or MODALITIES:
        if "cache" in wanted:
            steps.cache_modality(place, modality, arguments.role)
        for kind in arguments.kind or KINDS:
            if "train" in wanted:
                steps.train_network(place, kind, modality, epochs=arguments.epochs, again=arguments.again)
            if "export" in wanted:
                steps.export_network(place, kind, modality)
            if "calibrate" in wanted:
                steps.calibrate_network(place, kind, modality)
            if "card" in wanted:
                steps.write_card(place, kind, modality)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m medqa.training", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--kind", choices=KINDS, action="append", help="which networks; both by default")
    parser.add_argument("--modality", choices=MODALITIES, action="append", help="which modalities; all by default")
    parser.add_argument("--role", choices=ROLES, action="append", help="which scans the step `cache` makes; all by default")
    parser.add_argument("--again", action="store_true", help="let the bundle on the shelf learn on")
    parser.add_argument("--epochs", type=int, default=None, help="other than the network's own number")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")), help="folder of scans")
    parser.add_argument("--runs", type=Path, default=Path("runs/training"), help="folder of caches and checkpoints")
    parser.add_argument("--models", type=Path, default=Path("models"), help="shelf that bundles are written to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
