"""Where a network sees bad quality: Grad-CAM of the negative score, on the frame's own grid.

Source: Selvaraju et al., Grad-CAM, ICCV 2017, as Captum's LayerGradCam. The last layer of a DenseNet holds one cell per 32 pixels,
which is useless for streaks and noise, so earlier ones are taken. The MAL network pools each frame to 16 by 16 cells: it is
asked tile by tile, each tile at native pixels as in training and weighed by how bad the network finds it alone. One map of
the whole frame hardly moves when only a part is noisy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from medqa.assessment import HeatMap
from medqa.errors import NotApplicable, UnreadableSeries
from medqa.iqa.card import BundleCard
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import TOP_SCORE, MalNet
from medqa.iqa.network import rebuild
from medqa.iqa.transforms import densenet_input, mal_input, resize
from medqa.series import FrameImage, Series
from medqa.volume import Array

if TYPE_CHECKING:
    from medqa.iqa.transforms import NetworkInput

METHOD: Final = "Grad-CAM of the negative score"
FLAT_BELOW: Final = 0.35
"""A map is flat, and names no place, where its strongest tenth of the frame holds less of its sum than this (uniform: 0.10).

Noise all over a head or a body gives about 0.2 with both networks, since part of the frame is air.
"""
SMALL_TILE, LARGE_TILE, SMALL_UNTIL = 128, 192, 256
STEP: Final = 0.6
"""Distance of neighbouring tiles, at most, as a share of their side."""
TILES_AT_ONCE: Final = 8


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
                localisable=concentration(array) >= FLAT_BELOW,
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
    found = _tiled(network, layers, batch) if isinstance(network, MalNet) else _grad_cam(network, layers, batch)[0]
    return prepared.geometry.back(found)


def concentration(array: Array) -> float:
    """Return the share of a map's sum that its strongest tenth of pixels holds: 0.10 for a uniform map, 1 for a spot."""
    total = float(array.sum(dtype=np.float64))
    if total <= 0:
        return 0.0
    count = max(1, array.size // 10)
    strongest = np.partition(array, array.size - count, axis=None)[-count:]
    return float(strongest.sum(dtype=np.float64)) / total


def tile_starts(side: int, tile: int) -> list[int]:
    """Return where tiles start along a side, evenly spaced, both ends covered."""
    if side <= tile:
        return [0]
    steps = math.ceil((side - tile) / (STEP * tile))
    return [round(step * (side - tile) / steps) for step in range(steps + 1)]


def _tiled(network: MalNet, layers: Sequence[str], batch: Tensor) -> Array:
    rows, columns = batch.shape[2:]
    tile = SMALL_TILE if max(rows, columns) <= SMALL_UNTIL else LARGE_TILE
    height, width = min(tile, rows), min(tile, columns)
    places = [(top, left) for top in tile_starts(rows, tile) for left in tile_starts(columns, tile)]
    # Hann windows, never quite zero: neighbouring tiles blend without a seam.
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32) + np.float32(1e-3)
    total, weight = np.zeros((rows, columns), dtype=np.float32), np.zeros((rows, columns), dtype=np.float32)
    for first in range(0, len(places), TILES_AT_ONCE):
        group = places[first : first + TILES_AT_ONCE]
        tiles = torch.cat([batch[:, :, top : top + height, left : left + width] for top, left in group])
        with torch.no_grad():
            lost = TOP_SCORE - network(tiles)[0].numpy()
        for (top, left), one, bad in zip(group, _grad_cam(network, layers, tiles), lost, strict=True):
            total[top : top + height, left : left + width] += window * one * np.float32(max(0.0, float(bad)))
            weight[top : top + height, left : left + width] += window
    return total / weight


def _grad_cam(network: MalNet | BagDenseNet, layers: Sequence[str], batch: Tensor) -> Array:
    """Return one map per image of the batch on the batch's own grid, the mean over layers, each layer's map scaled to mean 1."""
    # Captum imports matplotlib: only what draws maps pays for it.
    from captum.attr import LayerGradCam

    def bad(frames: Tensor) -> Tensor:
        score: Tensor = network(frames)[0] if isinstance(network, MalNet) else network(frames[:, None])[1]
        return -score

    total: Array = np.zeros((batch.shape[0], *batch.shape[2:]), dtype=np.float32)
    for name in layers:
        attribution = LayerGradCam(bad, network.get_submodule(name)).attribute(batch, relu_attributions=True)
        maps = resize(attribution.detach()[:, 0].numpy(), (batch.shape[2], batch.shape[3]))
        means = maps.mean(axis=(1, 2), keepdims=True)
        total += np.divide(maps, means * np.float32(len(layers)), out=np.zeros_like(maps), where=means > 0)
    return total
