"""Where a network sees bad quality: Grad-CAM of the negative score, on the frame's own grid.

Source: Selvaraju et al., Grad-CAM, ICCV 2017, as Captum's LayerGradCam. The layers lie early in the network, since the last one of
a DenseNet holds one cell per 32 pixels, which is useless for streaks and noise; the maps of several layers are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from medqa.assessment import HeatMap
from medqa.errors import NotApplicable, UnreadableSeries
from medqa.iqa.card import BundleCard
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import MalNet
from medqa.iqa.network import rebuild
from medqa.iqa.transforms import densenet_input, mal_input
from medqa.series import FrameImage, Series
from medqa.volume import Array

if TYPE_CHECKING:
    from medqa.iqa.transforms import NetworkInput

METHOD: Final = "Grad-CAM of the negative score"
FLAT_CONCENTRATION: Final = 0.35
"""A map is flat, and names no place, where its strongest tenth of the frame holds less of its sum than this (uniform: 0.10)."""


def explain(card: BundleCard, series: Series, frames: Sequence[int]) -> list[HeatMap]:
    """Return a heat map for each frame index that can be decoded and is large enough.

    Raises
    ------
    BundleMismatch
        Where the torch network cannot be rebuilt.
    """
    network = rebuild(card)
    maps = []
    for index in frames:
        try:
            image = series.frames[index].read()
            array = badness(network, image, card.explain_layers)
        except (NotApplicable, UnreadableSeries):
            continue
        top = float(array.max())
        maps.append(
            HeatMap(
                frame=index,
                sop_instance_uid=image.frame.sop_instance_uid,
                number=image.frame.number,
                model=card.name,
                method=METHOD,
                array=array / np.float32(top) if top > 0 else array,
                limits=(0.0, 1.0),
                localisable=concentration(array) >= FLAT_CONCENTRATION,
            )
        )
    return maps


def badness(network: MalNet | BagDenseNet, image: FrameImage, layers: Sequence[str]) -> Array:
    """Return the map of one frame, `(y, x)` on its own grid, not negative, in units of no meaning.

    Raises
    ------
    NotApplicable
        For a frame too small to score.
    """
    prepared: NetworkInput = mal_input(image) if isinstance(network, MalNet) else densenet_input(image)
    batch = torch.from_numpy(prepared.array[None])
    total = np.zeros(image.array.shape, dtype=np.float32)
    for name in layers:
        layer = network.get_submodule(name)
        one = prepared.geometry.back(_grad_cam(network, layer, batch))
        mean = float(one.mean())
        if mean > 0:
            total += one / np.float32(mean * len(layers))
    return total


def concentration(array: Array) -> float:
    """Return the share of a map's sum that its strongest tenth of pixels holds: 0.10 for a uniform map, 1 for a spot."""
    total = float(array.sum(dtype=np.float64))
    if total <= 0:
        return 0.0
    count = max(1, array.size // 10)
    strongest = np.partition(array, array.size - count, axis=None)[-count:]
    return float(strongest.sum(dtype=np.float64)) / total


def _grad_cam(network: MalNet | BagDenseNet, layer: nn.Module, batch: Tensor) -> Array:
    # Captum imports matplotlib: only what draws maps pays for it.
    from captum.attr import LayerGradCam

    def bad(frames: Tensor) -> Tensor:
        score: Tensor = network(frames)[0] if isinstance(network, MalNet) else network(frames[:, None])[1]
        return -score

    attribution = LayerGradCam(bad, layer).attribute(batch, relu_attributions=True)
    array: Array = attribution.detach()[0, 0].numpy()
    return array
