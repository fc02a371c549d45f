"""Set a trained network's scale: clean validation series to the top of the scale, clearly spoiled ones to its bottom.

Squared error on hard examples pulls every answer towards the middle, and the verdict's cuts (2 and 3) would then never be passed.
The last layer is linear, so stretching it changes no order among scores, and no AUC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import nn

from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import TOP_SCORE, MalNet, bounded
from medqa.training.evaluation import CLEARLY_SPOILED, Item

CLEAN_AT, SPOILED_AT = 3.5, 1.0
"""Where the medians of clean and of clearly spoiled validation series are put."""
LARGEST_GAIN: Final = 8.0


def stretch(network: MalNet | BagDenseNet, items: Sequence[Item]) -> tuple[float, float]:
    """Fold the stretch into the network's last layer, in place; return its gain and offset.

    Each subject counts once: medians are taken over the subjects' medians.
    """
    clean = _median([item for item in items if item.clean])
    spoiled = _median([item for item in items if item.level > 0 and item.label <= CLEARLY_SPOILED])
    low, high = unbounded(spoiled), unbounded(clean)
    wanted_low, wanted_high = unbounded(SPOILED_AT), unbounded(CLEAN_AT)
    gain = float(np.clip((wanted_high - wanted_low) / max(high - low, 1e-6), 0.2, LARGEST_GAIN))
    # Where the gain is at its limit, the middle between both groups still lands in the middle.
    offset = (wanted_high + wanted_low) / 2 - gain * (high + low) / 2
    last = network.score[-1] if isinstance(network, MalNet) else network.bag.score
    assert isinstance(last, nn.Linear)  # noqa: S101 - tells mypy what both networks end with
    with torch.no_grad():
        # The networks add half the scale behind this layer.
        half = TOP_SCORE / 2
        last.weight.mul_(gain)
        last.bias.copy_(gain * (last.bias + half) + offset - half)
    return gain, offset


def unbounded(score: float) -> float:
    """Invert `bounded`: the number that it maps onto a score (found by bisection)."""
    low, high = -10.0, TOP_SCORE + 10
    for _ in range(60):
        middle = (low + high) / 2
        if float(bounded(torch.tensor(middle))) < score:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _median(items: Sequence[Item]) -> float:
    subjects: dict[str, list[float]] = {}
    for item in items:
        subjects.setdefault(item.subject, []).append(item.score)
    return float(np.median([np.median(scores) for scores in subjects.values()]))
