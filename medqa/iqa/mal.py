"""The frame network: MobileNet-V3, local statistics per stage (LDA), and multi-view attention learning (MAL) with K opinions.

Idea: Chen et al., MobileIQA, arXiv 2409.01212; written anew. Shapes are corrected: attention keeps each token in its place, a
channel token gathers one channel of every view, low-rank projections and a LayerNorm keep it small and steady, and the standard
deviation of a cell is pooled beside its mean, since noise dies in a mean.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from medqa.iqa.backbones import MobileNetV3

GRID: Final = 16
"""Cells along each side; fixed, since weights of the channel attention depend on it."""
TOP_SCORE: Final = 4.0
_STD_FLOOR: Final = 0.01


def area_weights(pixels: int, cells: int, like: Tensor) -> Tensor:
    """Return `(cells, pixels)`: the share of each pixel in each of `cells` equal intervals; rows sum to 1.

    Exact area pooling for any ratio: where pixels outnumber cells it averages, where cells outnumber pixels it repeats. It is
    plain arithmetic on the shape, so that it exports to ONNX with free sizes, which adaptive pooling does not.
    """
    step = pixels / cells
    cell = torch.arange(cells, dtype=like.dtype, device=like.device)[:, None] * step
    pixel = torch.arange(pixels, dtype=like.dtype, device=like.device)[None, :]
    overlap = torch.minimum(cell + step, pixel + 1) - torch.maximum(cell, pixel)
    return torch.clamp(overlap, min=0) / step


def cell_statistics(x: Tensor, grid: int = GRID) -> Tensor:
    """Pool `(B, C, H, W)` to `(B, 2 C, grid, grid)`: the mean of each cell and the logarithm of its standard deviation.

    The logarithm because a halved dose is then an equal step wherever it happens.
    """
    rows = area_weights(x.shape[2], grid, x)
    columns = area_weights(x.shape[3], grid, x).transpose(0, 1)
    mean = rows @ x @ columns
    square = rows @ (x * x) @ columns
    deviation = torch.sqrt(torch.clamp(square - mean * mean, min=0) + 1e-8)
    return torch.cat([mean, torch.log(deviation + _STD_FLOOR)], dim=1)


class LocalDistortion(nn.Module):
    """LDA: one backbone stage `(B, C, H, W)` to a view `(B, channels, grid, grid)`; channels are expanded after pooling only."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2 * inputs, channels, 1), nn.GELU(), nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the view."""
        view: Tensor = self.layers(cell_statistics(x))
        return view


class TokenAttention(nn.Module):
    """Self-attention among tokens `(B, T, D)` with projections of rank `rank`; permuting tokens permutes the result alike."""

    def __init__(self, size: int, rank: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.project = nn.Linear(size, 3 * rank)
        self.out = nn.Linear(rank, size)
        self.rank = rank

    def forward(self, tokens: Tensor) -> Tensor:
        """Return `(B, T, D)`, without the residual."""
        query, key, value = self.project(self.norm(tokens)).split(self.rank, dim=-1)
        attention = torch.softmax(query @ key.transpose(1, 2) * self.rank**-0.5, dim=-1)
        mixed: Tensor = self.out(attention @ value)
        return mixed


class ViewAttention(nn.Module):
    """Self-attention among the cells of each view by itself: `(B, n, C, P)` to the same shape, residual included."""

    def __init__(self, views: int, channels: int) -> None:
        super().__init__()
        self.inner = channels // 8
        self.project = nn.Conv1d(views * channels, views * (2 * self.inner + channels), 1, groups=views)
        self.gain = nn.Parameter(torch.zeros(views, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` plus what its cells tell each other."""
        batch, views, channels, cells = x.shape
        projected = self.project(x.reshape(batch, views * channels, cells))
        query, key, value = projected.reshape(batch, views, -1, cells).split([self.inner, self.inner, channels], dim=2)
        attention = torch.softmax(query.transpose(2, 3) @ key * self.inner**-0.5, dim=-1)
        told: Tensor = x + self.gain * (value @ attention.transpose(2, 3))
        return told


class MultiViewAttention(nn.Module):
    """MAL: n views of one image `(B, n, C, P)` to one opinion `(B, C, P)`.

    Views attend to themselves; then channel tokens (one channel of all views at all cells) and position tokens (one cell with all
    channels of all views) attend among their like; the mean of both joins the residual, is normalised over channels, and the views
    are averaged.
    """

    def __init__(self, views: int, channels: int, cells: int, rank: int) -> None:
        super().__init__()
        self.views = ViewAttention(views, channels)
        self.channel = TokenAttention(views * cells, rank)
        self.position = TokenAttention(views * channels, rank)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the opinion."""
        batch, views, channels, cells = x.shape
        x = self.views(x)
        by_channel = self.channel(x.permute(0, 2, 1, 3).reshape(batch, channels, views * cells))
        by_channel = by_channel.reshape(batch, channels, views, cells).permute(0, 2, 1, 3)
        by_position = self.position(x.permute(0, 3, 1, 2).reshape(batch, cells, views * channels))
        by_position = by_position.reshape(batch, cells, views, channels).permute(0, 2, 3, 1)
        mixed = x + 0.5 * (by_channel + by_position)
        normal: Tensor = self.norm(mixed.transpose(2, 3)).transpose(2, 3)
        return normal.mean(dim=1)


def bounded(raw: Tensor) -> Tensor:
    """Map any number onto 0 to 4: the identity in the middle, bending smoothly at both ends (a sigmoid would bend everywhere)."""
    return 0.5 * (nn.functional.softplus(2 * raw) - nn.functional.softplus(2 * (raw - TOP_SCORE)))


class MalNet(nn.Module):
    """Frames `(B, in_channels, H, W)`, sides multiples of 32, to scores `(B,)` and opinions `(B, K)`, both 0 to 4."""

    def __init__(self, in_channels: int, *, width: float = 0.5, channels: int = 64, opinions: int = 3, rank: int = 64) -> None:
        super().__init__()
        self.backbone = MobileNetV3(in_channels, width)
        self.views = nn.ModuleList(LocalDistortion(inputs, channels) for inputs in self.backbone.channels)
        count, cells = len(self.backbone.channels), GRID * GRID
        self.opinions = nn.ModuleList(MultiViewAttention(count, channels, cells, rank) for _ in range(opinions))
        self.fusion = MultiViewAttention(opinions, channels, cells, rank)
        self.cells = nn.Sequential(nn.Linear(channels, channels), nn.GELU())
        self.score = nn.Sequential(nn.Linear(2 * channels, channels), nn.GELU(), nn.Dropout(0.1), nn.Linear(channels, 1))

    def opinion_maps(self, x: Tensor) -> Tensor:
        """Return what each opinion thinks of each cell: `(B, K, channels, cells)`."""
        views = [view(stage) for view, stage in zip(self.views, self.backbone(x), strict=True)]
        stacked = torch.stack(views, dim=1).flatten(3)
        return torch.stack([opinion(stacked) for opinion in self.opinions], dim=1)

    def judge(self, maps: Tensor) -> Tensor:
        """Score maps `(..., channels, cells)`: `(...)`, 0 to 4."""
        cells = self.cells(maps.transpose(-1, -2))
        mean = cells.mean(dim=-2)
        deviation = torch.sqrt(torch.clamp((cells * cells).mean(dim=-2) - mean * mean, min=0) + 1e-6)
        raw: Tensor = self.score(torch.cat([mean, deviation], dim=-1)).squeeze(-1)
        return bounded(raw + TOP_SCORE / 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and opinions; the spread of the opinions is no error bar until it was checked against errors."""
        return self.with_maps(x)[:2]

    def with_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, opinions and opinion maps: training needs the maps for `diversity`."""
        maps = self.opinion_maps(x)
        return self.judge(self.fusion(maps)), self.judge(maps), maps


def diversity(maps: Tensor) -> Tensor:
    """Return 1 minus the mean absolute correlation between two opinions' maps `(B, K, channels, cells)`: 0 collapsed, 1 unrelated.

    Training watches it every epoch and may add its negative to the loss; with one opinion it is 1.
    """
    flat = maps.flatten(2)
    flat = flat - flat.mean(dim=-1, keepdim=True)
    flat = flat / (flat.norm(dim=-1, keepdim=True) + 1e-6)
    correlation: Tensor = (flat @ flat.transpose(1, 2)).abs()
    count = maps.shape[1]
    if count == 1:
        return correlation.new_ones(())
    others: Tensor = correlation.sum(dim=(1, 2)) - correlation.diagonal(dim1=1, dim2=2).sum(dim=-1)
    return 1 - others.mean() / (count * (count - 1))
