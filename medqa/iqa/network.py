"""From a bundle's card to the torch network: for heat maps, export and training; scoring needs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from medqa.errors import BundleMismatch
from medqa.iqa.card import WEIGHTS, BundleCard
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import MalNet
from medqa.iqa.transforms import CHANNELS

if TYPE_CHECKING:
    from pathlib import Path


def build(kind: str, modality: str, variant: str = "slim") -> MalNet | BagDenseNet:
    """Return a network with fresh weights for a modality's input; `variant` is the DenseNet's size."""
    return MalNet(CHANNELS[modality]) if kind == "mal" else BagDenseNet(CHANNELS[modality], variant)


def round_weights(network: nn.Module) -> None:
    """Round every weight and statistic to what float16 holds, in place: torch, safetensors and ONNX then compute the same."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data.copy_(tensor.data.half().float())


def save_weights(network: nn.Module, path: Path) -> None:
    """Write rounded weights as float16 safetensors; the same weights give the same bytes."""
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, metadata={"format": "pt"})


def rebuild(card: BundleCard) -> MalNet | BagDenseNet:
    """Return the network of a bundle, in evaluation mode.

    Raises
    ------
    BundleMismatch
        Where the weights cannot be read or do not fit the network.
    """
    network = build(card.kind, card.modality, card.variant)
    try:
        state = load_file(card.folder / WEIGHTS)
        network.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleMismatch(bundle=card.name, reason=f"{WEIGHTS} does not fit the network ({type(error).__name__})") from error
    return network.eval()
