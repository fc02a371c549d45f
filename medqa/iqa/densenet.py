"""The series network: a MONAI DenseNet on each frame of a bag, and gated attention over the bag (multiple-instance learning).

Sources: Huang et al., Densely Connected Convolutional Networks, CVPR 2017; Ilse et al., Attention-based Deep Multiple Instance
Learning, ICML 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from medqa.iqa.mal import TOP_SCORE, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseNetSize:
    """How wide and deep the dense blocks are."""

    init_features: int
    growth_rate: int
    block_config: tuple[int, ...]


SIZES: Final[dict[str, DenseNetSize]] = {
    "slim": DenseNetSize(init_features=32, growth_rate=16, block_config=(6, 12, 24, 16)),
    "121": DenseNetSize(init_features=64, growth_rate=32, block_config=(6, 12, 24, 16)),
}


class FrameFeatures(nn.Module):
    """Frames `(N, in_channels, 256, 256)` to features `(N, size)`: mean and standard deviation of the last maps over the frame."""

    def __init__(self, in_channels: int, variant: str = "slim") -> None:
        super().__init__()
        # Importing monai takes seconds: only what builds the network pays for it.
        from monai.networks.nets import DenseNet

        shape = SIZES[variant]
        whole = DenseNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=1,
            init_features=shape.init_features,
            growth_rate=shape.growth_rate,
            block_config=shape.block_config,
            # Captum's hooks want each activation kept as it was.
            act=("relu", {"inplace": False}),
        )
        self.features = whole.features
        self.size = 2 * int(whole.class_layers.out.in_features)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the features."""
        maps = torch.relu(self.features(frames))
        mean = maps.mean(dim=(2, 3))
        variance = torch.clamp((maps * maps).mean(dim=(2, 3)) - mean * mean, min=0)
        return torch.cat([mean, torch.sqrt(variance + 1e-6)], dim=1)


class BagHead(nn.Module):
    """Features `(B, L, size)` of bags and a mask `(B, L)` (1 where a frame stands) to a logit, a score and the attention."""

    def __init__(self, size: int, inner: int = 64) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, inner), nn.GELU(), nn.Dropout(0.1))
        self.content = nn.Linear(inner, inner)
        self.gate = nn.Linear(inner, inner)
        self.weight = nn.Linear(inner, 1)
        self.logit = nn.Linear(inner, 1)
        self.score = nn.Linear(inner, 1)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return adequate logits `(B,)`, scores `(B,)` from 0 to 4, and attention `(B, L)`, 0 where the mask is."""
        inner = self.embed(features)
        weight = self.weight(torch.tanh(self.content(inner)) * torch.sigmoid(self.gate(inner))).squeeze(-1)
        attention = torch.softmax(weight + (mask - 1) * 1e4, dim=-1)
        bag = (attention.unsqueeze(-1) * inner).sum(dim=1)
        return self.logit(bag).squeeze(-1), bounded(self.score(bag).squeeze(-1) + TOP_SCORE / 2), attention


class BagDenseNet(nn.Module):
    """Bags `(B, L, in_channels, 256, 256)` with a mask `(B, L)` to adequate logits `(B,)`, scores `(B,)` and attention `(B, L)`."""

    def __init__(self, in_channels: int, variant: str = "slim") -> None:
        super().__init__()
        self.frames = FrameFeatures(in_channels, variant)
        self.bag = BagHead(self.frames.size)

    def forward(self, bags: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, scores and attention; every frame counts where no mask is given."""
        batch, length = bags.shape[:2]
        features = self.frames(bags.flatten(0, 1)).reshape(batch, length, -1)
        present = features.new_ones(batch, length) if mask is None else mask
        answer: tuple[Tensor, Tensor, Tensor] = self.bag(features, present)
        return answer
