"""The physics witness: a weighted sum that can be checked by hand, and a bundle that defends itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from medqa.codes import Unit, own
from medqa.config import Settings
from medqa.errors import NotApplicable
from medqa.iqa import bundle
from medqa.iqa.card import file_digest
from medqa.iqa.physics import Feature, LogisticModel, PhysicsScorer
from medqa.measurement import Measurement
from tests.science import factories

NOISE = Feature(quantity="ct_noise", logarithm=True, low=1.0, high=100.0, centre=math.log(10), scale=math.log(2), weight=-2.0)
RINGS = Feature(quantity="ct_rings", logarithm=False, low=0.0, high=1.0, centre=0.2, scale=0.1, weight=-1.0)
MODEL = LogisticModel(features=(NOISE, RINGS), intercept=1.0)


def measured(**values: float) -> list[Measurement]:
    return [Measurement(quantity=own(name, name), value=value, unit=Unit.ONE, source="") for name, value in values.items()]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A shelf with one physics bundle."""
    folder = tmp_path / "physics_ct"
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    values = {"ct_noise": 20.0, "ct_rings": 0.3}
    document = {**MODEL.to_json(), "selftest": [{"values": values, "adequate": MODEL.probability(values)}]}
    (folder / "models/model.json").write_text(json.dumps(document))
    metadata: dict[str, Any] = {
        "version": "0.1.0",
        "medqa": {
            "name": "physics_ct",
            "kind": "physics",
            "modality": "CT",
            "variant": "logistic",
            "digests": {"models/model.json": file_digest(folder / "models/model.json")},
            "calibration": {"slope": 1.0, "intercept": 0.0},
            "series_quantile": 0.5,
            "explain_layers": [],
        },
    }
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    return tmp_path


def conclude(scorer: PhysicsScorer, **values: float) -> Any:
    return scorer.conclude(factories.make_series([]), [], measured(**values))


def test_the_probability_is_the_logistic_of_the_weighted_sum() -> None:
    # Twice the usual noise is one step up: 1 - 2 * 1 - 1 * 1 = -2.
    assert MODEL.probability({"ct_noise": 20.0, "ct_rings": 0.3}) == pytest.approx(1 / (1 + math.exp(2)))


def test_values_are_cut_at_the_range_of_the_training_scans() -> None:
    assert MODEL.probability({"ct_noise": 1e6, "ct_rings": 0.2}) == MODEL.probability({"ct_noise": 100.0, "ct_rings": 0.2})


def test_what_could_not_be_measured_counts_as_usual() -> None:
    assert MODEL.probability({"ct_rings": 0.3}) == pytest.approx(1 / (1 + math.exp(0)))


def test_a_bundle_is_loaded_and_names_what_speaks_most_against(shelf: Path) -> None:
    loaded = bundle.load(Settings(models=shelf))
    assert loaded.unusable == ()
    (scorer,) = loaded.scorers
    prediction = conclude(scorer, ct_noise=40.0, ct_rings=0.3)
    assert prediction.artefacts == ("ct_noise:high", "ct_rings:high")
    assert prediction.adequate == pytest.approx(1 / (1 + math.exp(4)), abs=1e-4)
    assert conclude(scorer, ct_noise=10.0, ct_rings=0.1).artefacts == ()
    # 1.06 times the usual noise takes 2 log2(1.06) = 0.17 off the logit, 1.03 times takes 0.09.
    assert conclude(scorer, ct_noise=10.6, ct_rings=0.1).artefacts == ("ct_noise:high",)
    assert conclude(scorer, ct_noise=10.3, ct_rings=0.1).artefacts == ()


def test_it_is_silent_where_too_little_could_be_measured(shelf: Path) -> None:
    (scorer,) = bundle.load(Settings(models=shelf)).scorers
    with pytest.raises(NotApplicable) as caught:
        conclude(scorer, ct_rings=0.3)
    assert caught.value.values["reason"] == "too_few_measurements"


@pytest.mark.parametrize("damage", ["digest", "selftest", "garbage"])
def test_a_damaged_bundle_is_listed_unusable(shelf: Path, damage: str) -> None:
    path = shelf / "physics_ct/models/model.json"
    document = json.loads(path.read_text())
    if damage == "selftest":
        document["intercept"] += 0.5
    path.write_text("no json" if damage == "garbage" else json.dumps(document, indent=1))
    if damage != "digest":
        metadata = shelf / "physics_ct/configs/metadata.json"
        told = json.loads(metadata.read_text())
        told["medqa"]["digests"]["models/model.json"] = file_digest(path)
        metadata.write_text(json.dumps(told))
    loaded = bundle.load(Settings(models=shelf))
    assert loaded.scorers == ()
    assert [one.code for one in loaded.unusable] == ["MQ400"]
