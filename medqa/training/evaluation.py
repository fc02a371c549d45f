"""How a network judges cached series: clean against clearly spoiled, by subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from medqa.agreement import REPEATS, Agreement, auc, rmse, srocc
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import MalNet
from medqa.simulate import LEFT_OUT
from medqa.training.dataset import Sample

CLEARLY_SPOILED: Final = 1.0
"""Labels up to here count as clearly spoiled: the two strongest levels."""
SERIES_QUANTILE: Final = 0.25
FRAME_BATCH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One series, as it was or under one degradation at one level, and what the network says of it."""

    subject: str
    scan: str
    kind: str
    level: int
    label: float
    clean: bool
    score: float
    logit: float
    """The DenseNet's adequate logit; the score again for MAL, which has none."""

    @property
    def clearly_spoiled(self) -> bool:
        """Whether it stands for one of the two strongest levels of a degradation."""
        return self.level > 0 and self.label <= CLEARLY_SPOILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Agreement of the scores with the labels, and clean against clearly spoiled."""

    rmse: float
    srocc: float
    auc: Agreement


Judge = Callable[[list[NDArray[np.float16]]], tuple[float, float]]


def series_items(network: MalNet | BagDenseNet, samples: Sequence[Sample]) -> list[Item]:
    """Judge each series of the samples by a torch network."""
    return judged(torch_judge(network), samples)


def judged(judge: Judge, samples: Sequence[Sample], *, left_out: bool = False) -> list[Item]:
    """Judge each series, as it was and under each degradation; with `left_out`, under the family never trained on."""
    groups: dict[tuple[str, str, int], list[Sample]] = {}
    for sample in samples:
        unseen = sample.kind == LEFT_OUT[sample.scan.modality]
        if sample.kind and unseen != left_out:
            continue
        groups.setdefault((sample.scan.key, sample.kind, sample.level), []).append(sample)
    items = []
    for (scan, degradation, level), members in groups.items():
        first = members[0]
        logit, score = judge([member.array for member in members])
        items.append(
            Item(
                subject=first.scan.subject,
                scan=scan,
                kind=degradation,
                level=level,
                label=first.label,
                clean=first.scan.clean and level == 0,
                score=score,
                logit=logit,
            )
        )
    return items


def torch_judge(network: MalNet | BagDenseNet) -> Judge:
    """Return what turns the inputs of a series into its logit and score, as the bundle's scorer does."""
    if isinstance(network, MalNet):
        return lambda arrays: _mal(network, arrays)
    return lambda arrays: _bag(network, arrays)


@torch.no_grad()
def _mal(network: MalNet, arrays: list[NDArray[np.float16]]) -> tuple[float, float]:
    scores = []
    for start in range(0, len(arrays), FRAME_BATCH):
        part = arrays[start : start + FRAME_BATCH]
        same = all(array.shape == part[0].shape for array in part)
        batches = [np.stack(part)] if same else [array[None] for array in part]
        scores += [float(score) for batch in batches for score in network(torch.from_numpy(batch.astype(np.float32)))[0]]
    score = float(np.quantile(scores, SERIES_QUANTILE))
    return score, score


@torch.no_grad()
def _bag(network: BagDenseNet, arrays: list[NDArray[np.float16]]) -> tuple[float, float]:
    frames = torch.from_numpy(np.stack(arrays).astype(np.float32))
    features = torch.cat([network.frames(frames[start : start + FRAME_BATCH]) for start in range(0, len(frames), FRAME_BATCH)])
    logit, score, _ = network.bag(features[None], torch.ones(1, len(features)))
    return float(logit[0]), float(score[0])


def clean_against_spoiled(items: Sequence[Item], *, repeats: int = REPEATS) -> Findings:
    """Return the AUC of clean series against clearly spoiled ones, and how scores follow labels over all items."""
    labels, scores = [item.label for item in items], [item.score for item in items]
    kept = [item for item in items if item.clean or item.clearly_spoiled]
    return Findings(
        rmse=rmse(labels, scores, repeats=0).value,
        srocc=srocc(labels, scores, repeats=0).value,
        auc=auc([item.clean for item in kept], [item.score for item in kept], [item.subject for item in kept], repeats=repeats),
    )
