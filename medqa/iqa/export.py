"""From a trained torch network to a bundle on disk: rounded weights, ONNX graphs checked against torch, metadata, self-test.

The same network and frames give the same bytes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from medqa.errors import BundleMismatch
from medqa.iqa.bundle import open_bundle
from medqa.iqa.calibration import Logistic
from medqa.iqa.card import BAG_GRAPH, FRAME_GRAPH, METADATA, SELF_TEST, WEIGHTS, BundleCard, file_digest
from medqa.iqa.densenet import BagDenseNet, BagHead, FrameFeatures
from medqa.iqa.mal import MalNet
from medqa.iqa.network import round_weights, save_weights
from medqa.iqa.scorer import scorer, session
from medqa.iqa.selftest import UNITS, SelfTestFrames, measured
from medqa.iqa.transforms import CHANNELS, DENSENET_SIDE

OPSET: Final = 17
PARITY: Final = 1e-4
HALF_FROM: Final = 64
"""Initialisers with at least this many values are stored as float16."""
EXPLAIN_LAYERS: Final = {
    "mal": ("views.1",),
    "densenet": ("frames.features.denseblock2",),
}
NAMES: Final = {"CT": "ct", "MR": "mr", "PT": "pt"}
_CHECKOUT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What the metadata says beside the network itself.

    `calibration` maps the series score (`mal`) or the adequate logit (`densenet`) to a probability; `training` is free:
    figures that the model card prints, such as the AUC and its interval.
    """

    modality: str
    version: str
    description: str
    card: str
    """The model card, Markdown."""
    calibration: Logistic
    variant: str = "slim"
    series_quantile: float = 0.25
    explain_layers: tuple[str, ...] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)


def write_bundle(shelf: Path, network: MalNet | BagDenseNet, facts: BundleFacts, frames: SelfTestFrames) -> Path:
    """Write a bundle and put it to its own self-test.

    Parameters
    ----------
    shelf
        The folder of bundles; the bundle becomes `shelf/mal_ct` or the like, and replaces what stands there file by file.
    network
        Its weights are rounded to float16, in place.
    frames
        Phantoms, never patients: they are published with the bundle.

    Returns
    -------
    Path
        The bundle's folder.

    Raises
    ------
    BundleMismatch
        Where a graph differs from torch by more than 1e-4, or the self-test fails.
    """
    kind = "mal" if isinstance(network, MalNet) else "densenet"
    name = f"{kind}_{NAMES[facts.modality]}"
    folder = shelf / name
    for part in ("configs", "models", "docs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    network.eval()
    round_weights(network)
    save_weights(network, folder / WEIGHTS)
    _export(network, folder, CHANNELS[facts.modality])
    card = BundleCard(
        folder=folder,
        name=name,
        kind=kind,
        modality=facts.modality,
        version=facts.version,
        variant=facts.variant,
        digests={},
        calibration=facts.calibration,
        series_quantile=facts.series_quantile,
        explain_layers=facts.explain_layers or EXPLAIN_LAYERS[kind],
    )
    _check_parity(network, card)
    found = measured(scorer(card), frames)
    np.savez_compressed(
        folder / SELF_TEST, clean=frames.clean, noisy=frames.noisy, expected_clean=found["clean"], expected_noisy=found["noisy"]
    )
    card.digests.update({path.as_posix(): file_digest(folder / path) for path in card.files})
    _write_json(folder / METADATA, _metadata(card, facts))
    _write_json(folder / "configs/inference.json", _inference(card))
    (folder / "docs/README.md").write_text(facts.card, encoding="utf-8")
    (folder / "LICENSE").write_text((_CHECKOUT / "LICENSE").read_text(encoding="utf-8"), encoding="utf-8")
    open_bundle(card)
    return folder


def write_untrained(shelf: Path, kind: str, modality: str, *, seed: int = 0) -> Path:
    """Write a bundle of random weights, which passes its self-test and knows nothing: for tests of what surrounds a network."""
    from medqa.iqa.network import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(kind, modality).eval()
    facts = BundleFacts(
        modality=modality,
        version="0.0.0",
        description="Random weights",
        card=f"# {kind} {modality}\n\nRandom weights, for tests. Its scores mean nothing.\n",
        calibration=Logistic(slope=2.0, intercept=-4.0) if kind == "mal" else Logistic(slope=1.0, intercept=0.0),
    )
    return write_bundle(shelf, network, facts, plain_frames(modality, seed))


def plain_frames(modality: str, seed: int = 0) -> SelfTestFrames:
    """Return three discs of 128 by 128 pixels in a modality's values, and the same with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :128] - 63.5
    discs = np.stack([(np.hypot(y / axis, x) < 50).astype(np.float32) for axis in (0.7, 0.85, 1.0)])
    low, high, noise = {"CT": (-1000.0, 40.0, 60.0), "MR": (0.0, 400.0, 40.0), "PT": (0.0, 3.0, 0.6)}[modality]
    clean = low + (high - low) * discs
    noisy = clean + noise * rng.standard_normal(clean.shape)
    kind = np.int16 if modality == "CT" else np.float16
    return SelfTestFrames(clean=clean.astype(kind), noisy=noisy.astype(kind))


def _export(network: MalNet | BagDenseNet, folder: Path, channels: int) -> None:
    if isinstance(network, MalNet):
        free = {"frames": {0: "batch", 2: "rows", 3: "columns"}, "score": {0: "batch"}, "opinions": {0: "batch"}}
        _write_graph(network, (torch.zeros(2, channels, 256, 320),), folder / FRAME_GRAPH, ["frames"], ["score", "opinions"], free)
        return
    frames = torch.zeros(2, channels, DENSENET_SIDE, DENSENET_SIDE)
    free = {"frames": {0: "batch"}, "features": {0: "batch"}}
    _write_graph(network.frames, (frames,), folder / FRAME_GRAPH, ["frames"], ["features"], free)
    bag = (torch.zeros(2, 5, network.frames.size), torch.ones(2, 5))
    free = {
        "features": {0: "batch", 1: "length"},
        "mask": {0: "batch", 1: "length"},
        "logit": {0: "batch"},
        "score": {0: "batch"},
        "attention": {0: "batch", 1: "length"},
    }
    _write_graph(network.bag, bag, folder / BAG_GRAPH, ["features", "mask"], ["logit", "score", "attention"], free)


def _write_graph(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    free: dict[str, dict[int, str]],
) -> None:
    import onnx

    with warnings.catch_warnings():
        # The tracing exporter says that it is the older one, and that folding is off because normalisation must stay unfolded:
        # folded weights would no longer be what float16 holds. ONNX Runtime folds them when it opens the graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=free,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
    graph = onnx.load(str(path))
    _halve(graph)
    graph.doc_string = ""
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _halve(model: Any) -> None:
    """Store large initialisers as float16 with a cast behind each: half the file, the same numbers."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for position, initialiser in enumerate(list(model.graph.initializer)):
        values = numpy_helper.to_array(initialiser)
        if values.dtype != np.float32 or values.size < HALF_FROM:
            continue
        halved = values.astype(np.float16)
        if not np.array_equal(halved.astype(np.float32), values):
            continue
        stored = numpy_helper.from_array(halved, f"{initialiser.name}.half")
        casts.append(helper.make_node("Cast", [stored.name], [initialiser.name], to=TensorProto.FLOAT))
        model.graph.initializer[position].CopyFrom(stored)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _check_parity(network: MalNet | BagDenseNet, card: BundleCard) -> None:
    generator = torch.Generator().manual_seed(0)
    if isinstance(network, MalNet):
        shapes = [(1, card.in_channels, 128, 128), (3, card.in_channels, 160, 224), (2, card.in_channels, 512, 512)]
        for shape in shapes:
            _compare(card, FRAME_GRAPH, network, [torch.rand(shape, generator=generator)])
        return
    frames: FrameFeatures = network.frames
    head: BagHead = network.bag
    for count in (1, 3):
        _compare(
            card,
            FRAME_GRAPH,
            frames,
            [torch.rand(count, card.in_channels, DENSENET_SIDE, DENSENET_SIDE, generator=generator)],
        )
    for length in (1, 24):
        _compare(card, BAG_GRAPH, head, [torch.rand(2, length, frames.size, generator=generator), torch.ones(2, length)])


def _compare(card: BundleCard, graph: Path, module: nn.Module, inputs: list[Tensor]) -> None:
    opened = session(card.folder / graph)
    names = [item.name for item in opened.get_inputs()]
    found = opened.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
    with torch.no_grad():
        expected = module(*inputs)
    answers = expected if isinstance(expected, tuple) else (expected,)
    worst = max(float(np.abs(mine - theirs.numpy()).max()) for mine, theirs in zip(found, answers, strict=True))
    if not worst <= PARITY:
        raise BundleMismatch(bundle=card.name, reason=f"{graph.name} differs from torch by {worst:.1e}")


def _metadata(card: BundleCard, facts: BundleFacts) -> dict[str, Any]:
    from importlib.metadata import version

    from medqa import __version__

    unit = UNITS[card.modality].meaning
    shape = ["32 * n", "32 * m"] if card.kind == "mal" else [DENSENET_SIDE, DENSENET_SIDE]
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": card.modality,
        "num_channels": card.in_channels,
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [0, 1] if card.modality == "CT" else [0, 2],
        "is_patch_data": False,
        "channel_def": {str(i): f"{unit}, normalised" for i in range(card.in_channels)},
    }
    answer = {
        "type": "probabilities",
        "format": "score 0 (bad) to 4 (excellent)",
        "num_channels": 1,
        "spatial_shape": [1],
        "dtype": "float32",
        "value_range": [0, 4],
        "is_patch_data": False,
        "channel_def": {"0": "score"},
    }
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": card.version,
        "changelog": {card.version: facts.description},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"medqa": __version__},
        "task": "No-reference image quality assessment",
        "description": facts.description,
        "authors": "The medqa founders",
        "copyright": "The medqa founders, Apache-2.0",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": answer}},
        "medqa": card.to_json(),
        "training": dict(facts.training),
    }


def _inference(card: BundleCard) -> dict[str, Any]:
    network: dict[str, Any] = {"in_channels": card.in_channels}
    if card.kind == "mal":
        network = {"_target_": "medqa.iqa.mal.MalNet", **network}
    else:
        network = {"_target_": "medqa.iqa.densenet.BagDenseNet", **network, "variant": card.variant}
    return {
        "bundle_root": ".",
        "network_def": network,
        "weights": WEIGHTS.as_posix(),
        "preprocessing": {"_target_": "medqa.iqa.transforms.monai_pipeline", "modality": card.modality, "kind": card.kind},
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
    }


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
