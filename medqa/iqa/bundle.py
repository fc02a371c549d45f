"""The shelf of model bundles: where it stands, and which bundles on it can be trusted today.

Each is a folder in the layout that `monai.bundle` reads: `configs/metadata.json`, `configs/inference.json`,
`models/model.safetensors`, `models/model.onnx`, `docs/README.md`, `LICENSE`; and `selftest.npz`. A `physics` bundle has
`models/model.json` instead of weights and graphs, and its self-test in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from medqa.assessment import Scorer
from medqa.config import Settings
from medqa.errors import BundleMismatch
from medqa.iqa.card import METADATA, BundleCard, read_card
from medqa.iqa.physics import PhysicsScorer
from medqa.iqa.scorer import DenseNetScorer, MalScorer, scorer
from medqa.iqa.selftest import self_test

_PACKAGE: Final = Path(__file__).resolve().parent.parent


class Unusable(NamedTuple):
    """A bundle that is listed but not used: its name, and the error's code and text."""

    name: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What `load` found: scorers that passed their self-test, and the rest with the reason."""

    folder: Path
    scorers: tuple[Scorer, ...]
    unusable: tuple[Unusable, ...] = ()


def shelf(settings: Settings) -> Path:
    """Return the folder of bundles: the configured one, else the installed one, else the checkout's."""
    if settings.models is not None:
        return settings.models
    installed = _PACKAGE / "models"
    return installed if installed.is_dir() else _PACKAGE.parent / "models"


def cards(folder: Path) -> tuple[tuple[BundleCard, ...], tuple[Unusable, ...]]:
    """Read the metadata of every bundle in a folder, in the order of their names; a folder that is not there holds none."""
    found: list[BundleCard] = []
    unusable: list[Unusable] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not (path / METADATA.parent).is_dir():
            continue
        try:
            found.append(read_card(path))
        except BundleMismatch as error:
            unusable.append(Unusable(name=path.name, code=error.code, text=error.message))
    return tuple(found), tuple(unusable)


def open_bundle(card: BundleCard, threads: int = 1) -> MalScorer | DenseNetScorer:
    """Check a network's files, open its graphs, and put it to its self-test.

    Raises
    ------
    BundleMismatch
        Where a file is not the one the metadata names, cannot run here, or fails the self-test.
    """
    card.check_digests()
    opened = scorer(card, threads)
    self_test(opened)
    return opened


def open_physics(card: BundleCard) -> PhysicsScorer:
    """Check a physics model's file, read it, and put it to its self-test.

    Raises
    ------
    BundleMismatch
        Where the file is not the one the metadata names, cannot be read, or fails the self-test.
    """
    card.check_digests()
    opened = PhysicsScorer(card)
    opened.self_test()
    return opened


def load(settings: Settings, *, threads: int = 1) -> Shelf:
    """Open every bundle on the shelf; one that fails is listed unusable, and the others are used."""
    folder = shelf(settings)
    found, unusable = cards(folder)
    scorers: list[Scorer] = []
    failed = list(unusable)
    for card in found:
        try:
            scorers.append(open_physics(card) if card.kind == "physics" else open_bundle(card, threads))
        except BundleMismatch as error:
            failed.append(Unusable(name=card.name, code=error.code, text=error.message))
    return Shelf(folder=folder, scorers=tuple(scorers), unusable=tuple(failed))
