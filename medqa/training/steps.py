"""The steps from scans to bundles; each reads what the one before left on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from medqa.errors import BundleMismatch
from medqa.simulate import LEFT_OUT
from medqa.training.cache import make
from medqa.training.dataset import Sample, load
from medqa.training.phantoms import phantom_scans
from medqa.training.scans import STARTS_FROM, Scan, scans

if TYPE_CHECKING:
    from medqa.training.train import Schedule

EPOCHS: Final = {"mal": {"MR": 22, "CT": 22, "PT": 26}, "densenet": {"MR": 10, "CT": 14, "PT": 8}}
"""Of 50 steps each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where scans lie, where caches and checkpoints go, and the shelf of bundles."""

    data: Path
    runs: Path
    models: Path

    def cache(self, modality: str) -> Path:
        """Folder of the cached frames of a modality."""
        return self.runs / "cache" / modality


def cache_modality(place: Place, modality: str) -> None:
    """Degrade every scan that trains, validates or tests, and the phantoms."""
    wanted = [scan for scan in all_scans(place, modality) if scan.role != "unused" or scan.told]
    make(wanted, place.cache(modality))


def train_network(place: Place, kind: str, modality: str, *, epochs: int | None = None) -> None:
    """Train a network, or go on training it."""
    from medqa.training.train import Run

    run = Run(kind, modality, place.runs, schedule(kind, modality, epochs))
    source = STARTS_FROM.get(modality)
    if not run.resume() and source is not None:
        other = Run(kind, source, place.runs, schedule(kind, source))
        if not other.resume():
            raise BundleMismatch(bundle=run.name, reason=f"it starts from the network for {source}, which was not trained yet")
        run.start_from(other)
    run.train(samples(place, kind, modality, "train"), samples(place, kind, modality, "validation"))


def schedule(kind: str, modality: str, epochs: int | None = None) -> Schedule:
    """Return how long a network trains."""
    from medqa.training.train import Schedule

    return Schedule(epochs=epochs or EPOCHS[kind][modality])


def all_scans(place: Place, modality: str) -> list[Scan]:
    """Return real scans and phantoms."""
    return [*scans(place.data, modality), *phantom_scans(modality)]


def samples(place: Place, kind: str, modality: str, role: str) -> list[Sample]:
    """Return the cached images of the scans in a role, as inputs of a network."""
    chosen = [scan for scan in all_scans(place, modality) if scan.role == role]
    return load(place.cache(modality), chosen, kind)


def export_network(place: Place, kind: str, modality: str) -> None:
    """Calibrate a trained network on validation subjects and write its bundle, with a card that holds no test figures yet."""
    from medqa.iqa.export import BundleFacts, write_bundle
    from medqa.iqa.network import round_weights
    from medqa.training.card import DESCRIPTION, VERSION
    from medqa.training.evaluation import calibrate, series_items
    from medqa.training.selftest_frames import self_test_frames
    from medqa.training.stretch import stretch
    from medqa.training.train import Run

    run = Run(kind, modality, place.runs, schedule(kind, modality))
    if not run.resume():
        raise BundleMismatch(bundle=run.name, reason="it was not trained yet; run the step `train` first")
    validation = [sample for sample in samples(place, kind, modality, "validation") if sample.kind != LEFT_OUT[modality]]
    gain, _ = stretch(run.average, series_items(run.average, validation))
    round_weights(run.average)
    items = series_items(run.average, validation)
    facts = BundleFacts(
        modality=modality,
        version=VERSION,
        description=DESCRIPTION[kind].format(modality=modality),
        card="# Not evaluated yet\n",
        calibration=calibrate(items),
        training={
            "epochs": run.epoch,
            "steps_per_epoch": run.schedule.steps,
            "started_from": STARTS_FROM.get(modality, ""),
            "stretch": round(gain, 3),
        },
    )
    write_bundle(place.models, run.average, facts, self_test_frames(modality))


def write_card(place: Place, kind: str, modality: str) -> None:
    """Evaluate the bundle on test subjects and write its model card."""
    from medqa.iqa.export import NAMES
    from medqa.training.card import model_card

    folder = place.models / f"{kind}_{NAMES[modality]}"
    text = model_card(folder, all_scans(place, modality), place.cache(modality))
    (folder / "docs/README.md").write_text(text, encoding="utf-8")
