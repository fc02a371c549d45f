"""What training minimises: squared error, pairwise rank, cross-entropy on `adequate`, a floor under the opinions' diversity."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

RANK_WEIGHT: Final = 0.3
ADEQUATE_WEIGHT: Final = 0.5
OPINION_WEIGHT: Final = 0.3
DIVERSITY_FLOOR: Final = 0.3
DIVERSITY_WEIGHT: Final = 0.1
RANKED_FROM: Final = 0.5
"""Two labels nearer than this are no order."""
STEEPNESS: Final = 2.0
ADEQUATE_FROM, INADEQUATE_BELOW = 3.0, 2.0


def rank_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean logistic loss over pairs whose labels differ: `(B,)` scores and labels to a scalar.

    Source: Burges et al., Learning to rank using gradient descent, ICML 2005.
    """
    difference = labels[:, None] - labels[None, :]
    ordered = difference >= RANKED_FROM
    if not bool(ordered.any()):
        return scores.sum() * 0
    gain = scores[:, None] - scores[None, :]
    return torch.nn.functional.softplus(-STEEPNESS * gain[ordered]).mean()


def adequate_target(labels: Tensor) -> Tensor:
    """Return 1 for labels from 3, 0 below 2, and a straight line between."""
    return torch.clamp((labels - INADEQUATE_BELOW) / (ADEQUATE_FROM - INADEQUATE_BELOW), 0, 1)


def mal_loss(scores: Tensor, opinions: Tensor, variety: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of a MAL batch: scores `(B,)`, opinions `(B, K)`, the diversity of the opinion maps, labels `(B,)`."""
    squared = ((scores - labels) ** 2).mean()
    each = ((opinions - labels[:, None]) ** 2).mean()
    collapsed = torch.relu(DIVERSITY_FLOOR - variety)
    return squared + RANK_WEIGHT * rank_loss(scores, labels) + OPINION_WEIGHT * each + DIVERSITY_WEIGHT * collapsed


def bag_loss(logits: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of a batch of bags: adequate logits, scores and labels `(B,)`."""
    squared = ((scores - labels) ** 2).mean()
    adequate = torch.nn.functional.binary_cross_entropy_with_logits(logits, adequate_target(labels))
    return squared + RANK_WEIGHT * rank_loss(scores, labels) + ADEQUATE_WEIGHT * adequate
