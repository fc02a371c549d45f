"""Training one network: resumable, on the CPU, a line an epoch; nothing is chosen or stopped by what test subjects show."""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import MalNet, diversity
from medqa.iqa.network import build
from medqa.training.dataset import Bags, Crops, Sample
from medqa.training.evaluation import clean_against_spoiled, series_items
from medqa.training.losses import bag_loss, mal_loss

PEAK_RATE: Final = {"mal": 1.5e-3, "densenet": 1e-3}
WARM_UP: Final = 60
WEIGHT_DECAY: Final = 0.02
LARGEST_GRADIENT: Final = 2.0
VALIDATE_EVERY: Final = 4
AVERAGING: Final = 0.99
"""Decay of the running average of the weights; the average is what is validated and shipped."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long to train."""

    epochs: int = 16
    steps: int = 50
    seed: int = 1
    rate: float = 1.0
    """Share of the usual learning rate: less where a trained network learns on."""

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.epochs * self.steps


class Run:
    """A network in training, with everything that a restart needs, in one checkpoint file."""

    def __init__(self, kind: str, modality: str, folder: Path, schedule: Schedule) -> None:
        torch.manual_seed(schedule.seed)
        self.kind, self.modality, self.schedule = kind, modality, schedule
        self.name = f"{kind}_{modality.lower()}"
        self.path = folder / f"{self.name}.checkpoint"
        self.network = build(kind, modality)
        self.average: MalNet | BagDenseNet = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=PEAK_RATE[kind], weight_decay=WEIGHT_DECAY)
        self.epoch = 0
        self.started_from = ""
        """Bundle and version whose weights it began with."""
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Continue from the checkpoint; return whether there was one."""
        if not self.path.exists():
            return False
        state = torch.load(self.path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.started_from = state["epoch"], state["started_from"]
        return True

    def start_from(self, other: MalNet | BagDenseNet) -> None:
        """Take the weights of a network of the same kind, trained for another modality, as the ones to begin with.

        Noise, blur and doubled contours look alike everywhere; where scans are few and the computer small, that is a start. The
        first layer, whose channels differ, gets the other's mean over channels.
        """
        mine, theirs = self.network.state_dict(), other.state_dict()
        for name, tensor in mine.items():
            found = theirs[name]
            if found.shape != tensor.shape:
                channels = tensor.shape[1]
                found = found.mean(dim=1, keepdim=True).repeat_interleave(channels, dim=1) * (theirs[name].shape[1] / channels)
            tensor.copy_(found)
        self.average.load_state_dict(mine)

    def save(self) -> None:
        """Write the checkpoint, all or nothing."""
        part = self.path.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "epoch": self.epoch,
                "started_from": self.started_from,
            },
            part,
        )
        part.rename(self.path)

    def train(self, training: list[Sample], validation: list[Sample]) -> None:
        """Train the epochs that are left."""
        source: Crops | Bags = Crops(training) if self.kind == "mal" else Bags(training)
        while self.epoch < self.schedule.epochs:
            started = time.monotonic()
            # Both kinds of chance restart with every epoch: a run that was stopped ends as one that was not.
            generator = np.random.default_rng([self.schedule.seed, self.epoch])
            torch.manual_seed(1000 * self.schedule.seed + self.epoch)
            self.network.train()
            losses, varieties = [], []
            for step in range(self.schedule.steps):
                self._set_rate(self.epoch * self.schedule.steps + step)
                loss, variety = self._loss(source.batch(generator, step))
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
                self.optimiser.step()
                self._average(self.epoch * self.schedule.steps + step)
                losses.append(float(loss.detach()))
                varieties.append(variety)
            self.epoch += 1
            self.save()
            self._report(validation, float(np.mean(losses)), float(np.mean(varieties)), time.monotonic() - started)

    def _set_rate(self, step: int) -> None:
        warm = min(1.0, (step + 1) / WARM_UP)
        fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / self.schedule.total))
        rate = self.schedule.rate * PEAK_RATE[self.kind] * warm * fall
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def _loss(self, batch: tuple[Any, ...]) -> tuple[Tensor, float]:
        tensors = [torch.from_numpy(part) for part in batch]
        if isinstance(self.network, MalNet):
            scores, opinions, maps = self.network.with_maps(tensors[0])
            variety = diversity(maps)
            return mal_loss(scores, opinions, variety, tensors[1]), float(variety.detach())
        logits, scores, _ = self.network(tensors[0], tensors[1])
        return bag_loss(logits, scores, tensors[2]), 1.0

    @torch.no_grad()
    def _average(self, step: int) -> None:
        decay = min(AVERAGING, (step + 1) / (step + 10))
        mine = self.average.state_dict()
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                mine[name].lerp_(tensor, 1 - decay)
            else:
                mine[name].copy_(tensor)

    def _report(self, validation: list[Sample], loss: float, variety: float, seconds: float) -> None:
        line = f"{self.name} epoch {self.epoch}/{self.schedule.epochs}"
        log.info("%s loss %.3f diversity %.2f, %.0f s", line, loss, variety, seconds)
        if self.epoch % VALIDATE_EVERY and self.epoch < self.schedule.epochs:
            return
        items = series_items(self.average, validation)
        found = clean_against_spoiled(items, repeats=0)
        log.info(
            "%s validation rmse %.2f srocc %.3f auc %.3f (%d items)", line, found.rmse, found.srocc, found.auc.value, len(items)
        )
