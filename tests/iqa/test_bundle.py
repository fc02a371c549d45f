from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from monai.bundle import ConfigParser

from medqa.config import Settings
from medqa.errors import BundleMismatch
from medqa.iqa import bundle
from medqa.iqa.calibration import Logistic
from medqa.iqa.card import file_digest, read_card
from medqa.iqa.export import BundleFacts, plain_frames, write_bundle, write_untrained
from medqa.iqa.mal import MalNet
from medqa.iqa.network import build, rebuild
from medqa.iqa.selftest import self_test

LAYOUT = {
    "configs/metadata.json",
    "configs/inference.json",
    "models/model.safetensors",
    "models/model.onnx",
    "docs/README.md",
    "LICENSE",
    "selftest.npz",
}


def renew_digests(folder: Path) -> None:
    """Make the metadata agree with spoiled files, so that the self-test itself is what catches them."""
    path = folder / "configs/metadata.json"
    document = json.loads(path.read_text())
    document["medqa"]["digests"] = {name: file_digest(folder / name) for name in document["medqa"]["digests"]}
    path.write_text(json.dumps(document))


def reasons(shelf: Path) -> dict[str, str]:
    return {name: text for name, _, text in bundle.load(Settings(models=shelf)).unusable}


def test_a_shelf_loads_and_says_what_it_holds(untrained):
    loaded = bundle.load(Settings(models=untrained))
    assert [(s.name, s.kind, s.modality) for s in loaded.scorers] == [("densenet_mr", "densenet", "MR"), ("mal_ct", "mal", "CT")]
    assert loaded.unusable == ()
    weights = (untrained / "mal_ct/models/model.safetensors").read_bytes()
    assert loaded.scorers[1].digest == hashlib.sha256(weights).hexdigest()


def test_the_layout_is_the_one_monai_bundles_have(untrained):
    found = {p.relative_to(untrained / "mal_ct").as_posix() for p in (untrained / "mal_ct").rglob("*") if p.is_file()}
    assert found == LAYOUT
    found = {p.relative_to(untrained / "densenet_mr").as_posix() for p in (untrained / "densenet_mr").rglob("*") if p.is_file()}
    assert found == LAYOUT | {"models/bag.onnx"}
    for name in ("mal_ct", "densenet_mr"):
        assert sum(p.stat().st_size for p in (untrained / name).rglob("*") if p.is_file()) < 20e6


@pytest.mark.parametrize("name", ["mal_ct", "densenet_mr"])
def test_monai_builds_the_network_and_its_pipeline_from_the_bundle(untrained, name):
    parser = ConfigParser()
    parser.read_config(str(untrained / name / "configs/inference.json"))
    parser.read_meta(str(untrained / name / "configs/metadata.json"))
    network = parser.get_parsed_content("network_def")
    card = read_card(untrained / name)
    assert set(network.state_dict()) == set(rebuild(card).state_dict())
    prepared = parser.get_parsed_content("preprocessing")(np.zeros((1, 200, 180), dtype=np.float32))
    assert prepared.shape[0] == card.in_channels == parser["_meta_::network_data_format::inputs::image::num_channels"]


def test_an_empty_or_missing_shelf_is_no_error(tmp_path):
    assert bundle.load(Settings(models=tmp_path)).scorers == ()
    assert bundle.load(Settings(models=tmp_path / "nowhere")).scorers == ()


def test_the_default_shelf_is_the_checkouts_own():
    root = Path(__file__).resolve().parents[2]
    assert bundle.shelf(Settings()) == root / "models"
    assert bundle.shelf(Settings(models=root / "other")) == root / "other"


@pytest.mark.parametrize("file", ["models/model.safetensors", "models/model.onnx", "selftest.npz"])
def test_one_flipped_byte_is_caught_and_the_neighbour_still_works(shelf, file):
    path = shelf / "mal_ct" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    loaded = bundle.load(Settings(models=shelf))
    assert [s.name for s in loaded.scorers] == ["densenet_mr"]
    assert [(u.name, u.code) for u in loaded.unusable] == [("mal_ct", "MQ400")]
    assert "is not the file" in loaded.unusable[0].text


def test_a_missing_file_is_named(shelf):
    (shelf / "densenet_mr/models/bag.onnx").unlink()
    assert "models/bag.onnx cannot be read" in reasons(shelf)["densenet_mr"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"medqa": {"name": 1}}'])
def test_metadata_that_is_not_ours_is_refused(shelf, content):
    (shelf / "mal_ct/configs/metadata.json").write_text(content)
    assert "not a medqa bundle" in reasons(shelf)["mal_ct"]


def test_a_renamed_bundle_is_refused(shelf):
    (shelf / "mal_ct").rename(shelf / "mal_mr")
    assert "another kind, modality or bundle" in reasons(shelf)["mal_mr"]


def test_a_file_that_is_no_graph_is_refused_even_with_a_right_digest(shelf):
    (shelf / "mal_ct/models/model.onnx").write_bytes(b"not a graph")
    renew_digests(shelf / "mal_ct")
    assert "model.onnx" in reasons(shelf)["mal_ct"]


def test_other_weights_with_a_right_digest_are_caught_by_the_expected_scores(shelf):
    path = shelf / "mal_ct/models/model.onnx"
    graph = onnx.load(str(path))
    weight = next(w for w in graph.graph.initializer if w.name.startswith("score.0.weight"))
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    path.write_bytes(graph.SerializeToString())
    renew_digests(shelf / "mal_ct")
    assert "do not score as when it was made" in reasons(shelf)["mal_ct"]


def test_a_graph_in_training_mode_is_caught(shelf):
    path = shelf / "mal_ct/models/model.onnx"
    graph = onnx.load(str(path))
    node = next(n for n in graph.graph.node if n.op_type == "BatchNormalization")
    for attribute in node.attribute:
        if attribute.name == "training_mode":
            attribute.i = 1
    if not any(a.name == "training_mode" for a in node.attribute):
        node.attribute.append(onnx.helper.make_attribute("training_mode", 1))
    node.output.extend([f"{node.output[0]}.mean", f"{node.output[0]}.var"])
    path.write_bytes(graph.SerializeToString())
    renew_digests(shelf / "mal_ct")
    assert "training mode" in reasons(shelf)["mal_ct"]


class NoiseLover(MalNet):
    """A network whose score rises with noise."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rough = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=(1, 2, 3))
        return 4 * rough / (rough + 0.1), super().forward(x)[1]


def test_a_network_that_rewards_noise_is_refused_when_written(tmp_path):
    facts = BundleFacts(modality="CT", version="0.0.0", description="", card="", calibration=Logistic(slope=1, intercept=0))
    with pytest.raises(BundleMismatch, match="adding noise raises a score"):
        write_bundle(tmp_path, NoiseLover(2), facts, plain_frames("CT"))


class Mixer(MalNet):
    """A network whose score depends on the batch, as batch normalisation in training mode does."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        score, opinions = super().forward(x)
        return score - x.mean() + x.mean(dim=(1, 2, 3)), opinions


def test_a_network_that_looks_at_the_batch_is_refused_when_written(tmp_path):
    facts = BundleFacts(modality="CT", version="0.0.0", description="", card="", calibration=Logistic(slope=1, intercept=0))
    with pytest.raises(BundleMismatch, match="in a batch"):
        write_bundle(tmp_path, Mixer(2), facts, plain_frames("CT"))


@pytest.mark.parametrize(("kind", "modality"), [("mal", "CT"), ("densenet", "MR")])
def test_the_same_network_gives_the_same_bundle_byte_for_byte(untrained, tmp_path, kind, modality):
    again = write_untrained(tmp_path, kind, modality)
    for path in sorted(p for p in again.rglob("*") if p.is_file()):
        assert path.read_bytes() == (untrained / again.name / path.relative_to(again)).read_bytes(), path.name


def test_weights_come_back_as_they_went_and_float16_holds_them(untrained):
    network = rebuild(read_card(untrained / "mal_ct"))
    assert not network.training
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            assert torch.equal(tensor, tensor.half().float())


def test_weights_of_another_network_are_refused_in_words(shelf):
    target = shelf / "mal_ct/models/model.safetensors"
    target.write_bytes((shelf / "densenet_mr/models/model.safetensors").read_bytes())
    with pytest.raises(BundleMismatch, match="does not fit the network"):
        rebuild(read_card(shelf / "mal_ct"))


def test_a_self_test_passes_on_what_was_just_written(untrained):
    for card in bundle.cards(untrained)[0]:
        self_test(bundle.open_bundle(card))


def test_the_builder_knows_both_densenets():
    assert sum(p.numel() for p in build("densenet", "MR", "121").parameters()) > 3 * sum(
        p.numel() for p in build("densenet", "MR").parameters()
    )


def test_the_logistic_curve_is_found_again_and_stays_finite():
    rng = np.random.default_rng(0)
    truth = Logistic(slope=2.0, intercept=-5.0)
    values = rng.uniform(0, 4, 20000)
    labels = rng.random(20000) < [truth.probability(v) for v in values]
    fitted = Logistic.fit(values, labels)
    assert fitted.slope == pytest.approx(2, abs=0.15)
    assert fitted.intercept == pytest.approx(-5, abs=0.35)
    separate = Logistic.fit([0.5, 0.9, 1.0, 3.2, 3.5, 3.8], [False] * 3 + [True] * 3)
    assert 0.01 < separate.probability(0.7) < 0.35
    assert 0.65 < separate.probability(3.6) < 0.99
    assert 0.5 < Logistic.fit([3.0, 3.5], [True, True]).probability(3.2) < 0.95


def test_scoring_imports_neither_torch_nor_monai(untrained):
    program = (
        "import sys; from pathlib import Path; from medqa.config import Settings; from medqa.iqa import bundle; "
        "shelf = bundle.load(Settings(models=Path(sys.argv[1]))); "
        "print(len(shelf.scorers), sorted({'torch', 'monai', 'captum', 'matplotlib'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program, str(untrained)], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "2 []"
