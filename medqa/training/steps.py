"""The steps from scans to bundles; each reads what the one before left on disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medqa.errors import BundleMismatch
from medqa.simulate import LEFT_OUT
from medqa.training.cache import make
from medqa.training.dataset import Sample, load
from medqa.training.phantoms import phantom_scans
from medqa.training.scans import STARTS_FROM, Scan, scans, sources

if TYPE_CHECKING:
    from medqa.iqa.calibration import Logistic
    from medqa.iqa.densenet import BagDenseNet
    from medqa.iqa.mal import MalNet
    from medqa.training.train import Schedule

EPOCHS: Final = {"mal": {"MR": 22, "CT": 22, "PT": 26}, "densenet": {"MR": 10, "CT": 14, "PT": 8}}
"""Of 50 steps each."""
LEARN_ON: Final = 10
LEARN_ON_RATE: Final = 0.3
"""For a network that was trained before, where the simulation changed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where scans lie, where caches and checkpoints go, and the shelf of bundles."""

    data: Path
    runs: Path
    models: Path

    def cache(self, modality: str) -> Path:
        """Folder of the cached frames of a modality."""
        return self.runs / "cache" / modality

    def bundle(self, kind: str, modality: str) -> Path:
        """Folder of a network's bundle."""
        return self.models / f"{kind}_{modality.lower()}"


def cache_modality(place: Place, modality: str, roles: Collection[str] | None = None) -> None:
    """Degrade every scan that trains, validates, tests or is told of, and the phantoms; with `roles`, only the scans in these."""
    make(wanted_scans(all_scans(place, modality), roles), place.cache(modality))


def wanted_scans(found: Iterable[Scan], roles: Collection[str] | None = None) -> list[Scan]:
    """Return the scans that a cache holds; `roles` are those of a scan, and `told`."""
    chosen = ("train", "validation", "test", "told") if roles is None else roles
    return [scan for scan in found if scan.role in chosen or (scan.told and "told" in chosen)]


def train_network(place: Place, kind: str, modality: str, *, epochs: int | None = None, again: bool = False) -> None:
    """Train a network, or go on training it; `again` lets the bundle on the shelf learn on, for `LEARN_ON` epochs and gently."""
    from medqa.iqa.card import read_card
    from medqa.iqa.network import rebuild
    from medqa.training.train import Run

    run = Run(kind, modality, place.runs, schedule(kind, modality, epochs, again=again))
    source = modality if again else STARTS_FROM.get(modality)
    if not run.resume() and source is not None:
        # The bundle on the shelf, not a checkpoint: it is what everybody has.
        bundle = read_card(place.bundle(kind, source))
        run.start_from(rebuild(bundle))
        run.started_from = f"{bundle.name} {bundle.version}"
    run.train(samples(place, kind, modality, "train"), samples(place, kind, modality, "validation"))


def schedule(kind: str, modality: str, epochs: int | None = None, *, again: bool = False) -> Schedule:
    """Return how long a network trains, and how fast."""
    from medqa.training.train import Schedule

    if again:
        return Schedule(epochs=epochs or LEARN_ON, rate=LEARN_ON_RATE)
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
    from medqa.training.train import Run

    run = Run(kind, modality, place.runs, schedule(kind, modality))
    if not run.resume():
        raise BundleMismatch(bundle=run.name, reason="it was not trained yet; run the step `train` first")
    training = {
        "epochs": run.epoch,
        "steps_per_epoch": run.schedule.steps,
        "started_from": run.started_from,
        "sources": sources(all_scans(place, modality), place.cache(modality)),
        "stretch": 1.0,
    }
    _write_calibrated(place, run.average, kind, modality, training)


def calibrate_network(place: Place, kind: str, modality: str) -> None:
    """Calibrate the network of a bundle anew and write the bundle again, its card without test figures."""
    from medqa.iqa.card import METADATA, read_card
    from medqa.iqa.network import rebuild

    bundle = read_card(place.bundle(kind, modality))
    training = json.loads((bundle.folder / METADATA).read_text(encoding="utf-8"))["training"]
    _write_calibrated(place, rebuild(bundle), kind, modality, training, had=bundle.calibration)


def _write_calibrated(
    place: Place,
    network: MalNet | BagDenseNet,
    kind: str,
    modality: str,
    training: dict[str, Any],
    *,
    had: Logistic | None = None,
) -> None:
    from medqa.iqa.export import BundleFacts, write_bundle
    from medqa.training.calibrate import calibrate
    from medqa.training.card import DESCRIPTION, VERSION
    from medqa.training.selftest_frames import self_test_frames
    from medqa.training.votes import table

    validation = [sample for sample in samples(place, kind, modality, "validation") if sample.kind != LEFT_OUT[modality]]
    found = calibrate(network, validation, stretched=training["stretch"])
    learnt = found.facts(kind, training["stretch"])
    if had is not None:
        log.info("%s %s, validation, as it was:\n%s", kind, modality, "\n".join(table(found.before(kind, had))))
    log.info("%s %s, validation, calibrated:\n%s", kind, modality, "\n".join(table(learnt["validation"])))
    facts = BundleFacts(
        modality=modality,
        version=VERSION,
        description=DESCRIPTION[kind].format(modality=modality),
        card="# Not evaluated yet\n",
        calibration=found.curve,
        training={**training, **learnt},
    )
    write_bundle(place.models, network, facts, self_test_frames(modality))


def write_card(place: Place, kind: str, modality: str) -> None:
    """Evaluate the bundle on test subjects and write its model card; a section that other programs wrote stays."""
    from medqa.training.card import WHOLE_VERDICT, model_card, section, with_section

    folder = place.bundle(kind, modality)
    page = folder / "docs/README.md"
    verdicts = section(page.read_text(encoding="utf-8"), WHOLE_VERDICT)
    text = model_card(folder, all_scans(place, modality), place.cache(modality))
    page.write_text(text if verdicts is None else with_section(text, WHOLE_VERDICT, verdicts), encoding="utf-8")
