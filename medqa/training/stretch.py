"""Set a trained network's scale: 3 is what nearly all clean validation subjects reach, 2 is what nearly all spoiled ones miss.

Squared error on hard examples pulls every answer towards the middle, and the verdict's cuts (2 and 3) would then never be passed.
Where both groups overlap the two points change places: the network is silent between them, and a network that knows little is
silent nearly everywhere. The last layer is linear, so stretching it changes no order among scores, and no AUC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from medqa.config import PolicySettings
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import TOP_SCORE, MalNet, bounded
from medqa.training.evaluation import Item

ODD_SHARE: Final = 0.1
"""Of the clean subjects this share may fall short of the upper point, of the spoiled ones it may exceed the lower one."""
SMALLEST_GAIN, LARGEST_GAIN = 0.2, 8.0
"""Of all stretching since the network was trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What was folded into the last layer: `gain` and `offset`, and what they were taken from.

    `clean` is the score that a tenth of the clean subjects fall short of, `spoiled` the one that a tenth of the clearly spoiled
    subjects exceed, both before the stretch.
    """

    clean: float
    spoiled: float
    gain: float
    offset: float


def scale_of(items: Sequence[Item], *, stretched: float = 1.0) -> Scale:
    """Return the stretch that puts the lower of both tenths on the cut `against` and the higher one on the cut `for`.

    Parameters
    ----------
    items
        Validation series; each subject counts once, by the median of its scores.
    stretched
        Gain of the stretches before this one, so that the limits hold for all of them together.
    """
    clean, spoiled = tenths(items)
    low, high = unbounded(min(clean, spoiled)), unbounded(max(clean, spoiled))
    policy = PolicySettings()
    wanted_low, wanted_high = unbounded(policy.mal_against), unbounded(policy.mal_for)
    wanted = (wanted_high - wanted_low) / max(high - low, 1e-6)
    gain = float(np.clip(wanted, SMALLEST_GAIN / stretched, LARGEST_GAIN / stretched))
    # Where the gain is at its limit, the middle between both still lands in the middle.
    offset = (wanted_high + wanted_low) / 2 - gain * (high + low) / 2
    return Scale(clean=clean, spoiled=spoiled, gain=gain, offset=offset)


def stretch(network: MalNet | BagDenseNet, items: Sequence[Item], *, stretched: float = 1.0) -> Scale:
    """Fold the stretch into the network's last layer, in place, and return it."""
    scale = scale_of(items, stretched=stretched)
    last = network.score[-1] if isinstance(network, MalNet) else network.bag.score
    assert isinstance(last, nn.Linear)  # noqa: S101 - tells mypy what both networks end with
    with torch.no_grad():
        # The networks add half the scale behind this layer.
        half = TOP_SCORE / 2
        last.weight.mul_(scale.gain)
        last.bias.copy_(scale.gain * (last.bias + half) + scale.offset - half)
    return scale


def tenths(items: Sequence[Item]) -> tuple[float, float]:
    """Return the score that a tenth of the clean subjects fall short of, and the one that a tenth of the spoiled ones exceed."""
    clean = subject_medians(item for item in items if item.clean)
    spoiled = subject_medians(item for item in items if item.clearly_spoiled)
    return float(np.quantile(clean, ODD_SHARE)), float(np.quantile(spoiled, 1 - ODD_SHARE))


def subject_medians(items: Iterable[Item]) -> list[float]:
    """Return the median score of each subject."""
    subjects: dict[str, list[float]] = {}
    for item in items:
        subjects.setdefault(item.subject, []).append(item.score)
    return [float(np.median(scores)) for scores in subjects.values()]


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
