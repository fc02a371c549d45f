"""MobileNet-V3 (Large) as a pyramid of five stages, strides 2, 4, 8, 16 and 32; own blocks, torch alone.

Source: Howard et al., Searching for MobileNetV3, ICCV 2019, table 1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn


class BlockSpec(NamedTuple):
    """One row of the paper's table 1, at width 1."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int


STEM_CHANNELS: Final = 16
LARGE: Final[tuple[BlockSpec, ...]] = (
    BlockSpec(3, 16, 16, False, False, 1),
    BlockSpec(3, 64, 24, False, False, 2),
    BlockSpec(3, 72, 24, False, False, 1),
    BlockSpec(5, 72, 40, True, False, 2),
    BlockSpec(5, 120, 40, True, False, 1),
    BlockSpec(5, 120, 40, True, False, 1),
    BlockSpec(3, 240, 80, False, True, 2),
    BlockSpec(3, 200, 80, False, True, 1),
    BlockSpec(3, 184, 80, False, True, 1),
    BlockSpec(3, 184, 80, False, True, 1),
    BlockSpec(3, 480, 112, True, True, 1),
    BlockSpec(3, 672, 112, True, True, 1),
    BlockSpec(5, 672, 160, True, True, 2),
    BlockSpec(5, 960, 160, True, True, 1),
    BlockSpec(5, 960, 160, True, True, 1),
)


def scaled(channels: int, width: float) -> int:
    """Return `channels * width` rounded to a multiple of 8, never more than 10 % below it (as the paper's models do)."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded


class SqueezeExcite(nn.Module):
    """Weigh channels by what the whole image shows: `(B, C, H, W)` to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = scaled(channels, 0.25)
        self.reduce = nn.Conv2d(channels, inner, 1)
        self.expand = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with its channels weighed."""
        weight = torch.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        weighed: Tensor = x * nn.functional.hardsigmoid(self.expand(weight))
        return weighed


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """Convolution, batch normalisation and, where given, an activation; `H` and `W` shrink by `stride` alone."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
    ]
    if act is not None:
        layers.append(act)
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand, filter channel by channel, weigh, project; with a short cut where the shape stays."""

    def __init__(self, inputs: int, spec: BlockSpec, width: float) -> None:
        super().__init__()
        expanded, outputs = scaled(spec.expanded, width), scaled(spec.out, width)
        self.short_cut = spec.stride == 1 and inputs == outputs

        def act() -> nn.Module:
            return nn.Hardswish() if spec.hard_swish else nn.ReLU()

        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(convolution(inputs, expanded, 1, act=act()))
        layers.append(convolution(expanded, expanded, spec.kernel, stride=spec.stride, groups=expanded, act=act()))
        if spec.squeeze:
            layers.append(SqueezeExcite(expanded))
        layers.append(convolution(expanded, outputs, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outputs, H / stride, W / stride)`."""
        y: Tensor = self.layers(x)
        return x + y if self.short_cut else y


class MobileNetV3(nn.Module):
    """The backbone: `(B, in_channels, H, W)` to the last features of each of five strides; H and W are multiples of 32.

    Attributes
    ----------
    channels
        Numbers of channels of the five outputs.
    """

    def __init__(self, in_channels: int, width: float = 0.5) -> None:
        super().__init__()
        inputs = scaled(STEM_CHANNELS, width)
        stages: list[list[nn.Module]] = [[convolution(in_channels, inputs, 3, stride=2, act=nn.Hardswish())]]
        channels: list[int] = []
        for spec in LARGE:
            if spec.stride == 2:
                channels.append(inputs)
                stages.append([])
            stages[-1].append(InvertedResidual(inputs, spec, width))
            inputs = scaled(spec.out, width)
        channels.append(inputs)
        self.channels = tuple(channels)
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return five feature maps, finest first."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs
