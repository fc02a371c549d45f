"""Samples of the cache and how they are drawn: crops for MAL, bags for the DenseNet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Code
from medqa.iqa.transforms import densenet_input, mal_input
from medqa.series import Frame, FrameHeader, FrameImage
from medqa.training.scans import Scan
from medqa.volume import Array

CROPS: Final = {"CT": (192, 256, 256, 384), "MR": (128, 192, 256), "PT": (128,)}
"""Sides of the square crops that MAL trains on; one in `WHOLE_EVERY` batches shows whole frames."""
WHOLE_SIDES: Final = {"CT": 512, "MR": 320, "PT": 160}
WHOLE_EVERY: Final = 3
PIXELS_PER_BATCH: Final = 12 * 256 * 256
"""Large crops come in small batches: a step costs about the same."""
VERSIONS: Final = 3
"""Versions of one frame in a batch, so that the rank loss compares like with like."""
CLEAN_SHARE: Final = 0.3
PATCHED: Final = 0.3
"""Share of the crops in which a part comes from another version of the same frame: artefacts need not be everywhere."""
BAG_LENGTH: Final = 4
BAGS: Final = 5
BAG_SIDES: Final = (256, 128, 128, 128)
"""Step by step, whole frames or a quarter of each: the features are pooled over the frame, and a quarter costs a quarter."""
PARTLY_SPOILED: Final = 0.25
"""Share of bags in which only some frames are spoiled."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One image of the cache with its truth, and the network's input made of it, `(channels, y, x)` float16."""

    scan: Scan
    frame: int
    kind: str
    """Kind of degradation, empty for the image as it was."""
    level: int
    label: float
    severity: float
    array: NDArray[np.float16]


def load(folder: Path, scans: Iterable[Scan], network: str, *, as_was: bool = False) -> list[Sample]:
    """Read the cached images of some scans as inputs of a network (`mal` or `densenet`); a scan that is not cached is left out.

    With `as_was`, only the images without a degradation.
    """
    samples = []
    for scan in scans:
        path = folder / f"{scan.key}.npz"
        if not path.exists():
            continue
        with np.load(path) as stored:
            truth = json.loads(str(stored["truth"]))
            for row in truth["rows"]:
                if as_was and row["level"] > 0:
                    continue
                image = as_image(stored[row["name"]].astype(np.float32), scan.modality, Code.from_json(truth["unit"]))
                prepared = mal_input(image) if network == "mal" else densenet_input(image)
                samples.append(
                    Sample(
                        scan=scan,
                        frame=row["frame"],
                        kind=row["kind"],
                        level=row["level"],
                        label=row["label"],
                        severity=row["severity"],
                        array=prepared.array.astype(np.float16),
                    )
                )
    return samples


def as_image(array: Array, modality: str, unit: Code) -> FrameImage:
    """Wrap bare pixels as the decoded frame that the networks' transforms take."""
    header = FrameHeader(rows=array.shape[0], columns=array.shape[1])
    frame = Frame(sop_instance_uid="", number=1, modality=modality, unit=unit, header=header, sha256="", decode=lambda: array)
    return FrameImage(frame=frame, array=array)


class _Grouped:
    """Samples by frame, and chance: a scan first, in proportion to its chosen frames, then one of them."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.frames: dict[str, dict[int, list[Sample]]] = {}
        for sample in samples:
            self.frames.setdefault(sample.scan.key, {}).setdefault(sample.frame, []).append(sample)
        weights = np.array([len(frames) for frames in self.frames.values()], dtype=np.float64)
        self.keys = list(self.frames)
        self.weights = weights / weights.sum()

    def scan(self, generator: np.random.Generator) -> dict[int, list[Sample]]:
        return self.frames[self.keys[int(generator.choice(len(self.keys), p=self.weights))]]


class Crops(_Grouped):
    """Batches for MAL: several frames, each in several versions, cut at the same place and turned the same way."""

    def batch(self, generator: np.random.Generator, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return inputs `(B, channels, side, side)` and labels `(B,)`."""
        modality = next(iter(next(iter(self.frames.values())).values()))[0].scan.modality
        whole = step % WHOLE_EVERY == 0
        side = WHOLE_SIDES[modality] if whole else int(generator.choice(CROPS[modality]))
        groups = max(2, PIXELS_PER_BATCH // (side * side) // VERSIONS)
        groups = min(groups, 6)
        inputs, labels = [], []
        for _ in range(groups):
            frames = self.scan(generator)
            versions = frames[list(frames)[int(generator.integers(len(frames)))]]
            top, left = _place(versions[0].array, side, generator)
            turn = (int(generator.integers(4)), bool(generator.integers(2)))
            gain = 1.0 if modality == "CT" else float(generator.uniform(0.85, 1.15))
            for sample in _versions(versions, generator):
                cut, label = _cut(sample.array, side, top, left), sample.label
                if generator.random() < PATCHED:
                    other = _versions(versions, generator, count=1)[0]
                    label = _patch(cut, label, _cut(other.array, side, top, left), other.label, generator)
                inputs.append(_turned(cut, turn) * np.float32(gain))
                labels.append(label)
        return np.stack(inputs), np.array(labels, dtype=np.float32)


class Bags(_Grouped):
    """Batches for the DenseNet: bags of frames of one scan under one degradation, at times only partly spoiled."""

    def batch(
        self, generator: np.random.Generator, step: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return bags `(B, L, channels, side, side)`, masks `(B, L)` and labels `(B,)`."""
        side = BAG_SIDES[step % len(BAG_SIDES)]
        bags, masks, labels = [], [], []
        for _ in range(BAGS):
            chosen, label = self._bag(generator)
            # A blank frame would enter the statistics of the batch normalisation: short scans show other parts of their frames.
            repeated = [chosen[position % len(chosen)] for position in range(BAG_LENGTH)]
            frames = []
            for sample in repeated:
                turn = (int(generator.integers(4)), bool(generator.integers(2)))
                frames.append(_turned(_cut(sample.array, side, *_place(sample.array, side, generator)), turn))
            bags.append(np.stack(frames))
            masks.append([1.0] * BAG_LENGTH)
            labels.append(label)
        return np.stack(bags), np.array(masks, dtype=np.float32), np.array(labels, dtype=np.float32)

    def _bag(self, generator: np.random.Generator) -> tuple[list[Sample], float]:
        frames = self.scan(generator)
        count = min(BAG_LENGTH, len(frames)) if generator.random() < 0.8 else 1
        indices = [list(frames)[i] for i in generator.choice(len(frames), size=count, replace=False)]
        like = _versions(frames[indices[0]], generator, count=1)[0]
        spoiled = count if generator.random() > PARTLY_SPOILED else int(generator.integers(1, count + 1))
        chosen = []
        for position, index in enumerate(indices):
            wanted = (like.kind, like.level) if position < spoiled else ("", 0)
            match = [sample for sample in frames[index] if (sample.kind, sample.level) == wanted]
            chosen.append(match[0])
        label = bag_label([sample.label for sample in chosen])
        order = generator.permutation(count)
        return [chosen[i] for i in order], label


def bag_label(labels: Sequence[float]) -> float:
    """Return the mean label of the worst third of the frames (at least one): a series is as good as its bad part."""
    ordered = sorted(labels)
    worst = ordered[: max(1, round(len(ordered) / 3))]
    return float(np.mean(worst))


def _versions(versions: Sequence[Sample], generator: np.random.Generator, count: int = VERSIONS) -> list[Sample]:
    """Choose versions of a frame: as it was with the declared share, else a kind, then a level, all alike likely."""
    clean = versions[0]
    kinds = sorted({sample.kind for sample in versions if sample.kind})
    chosen = []
    for _ in range(count):
        if not kinds or generator.random() < CLEAN_SHARE:
            chosen.append(clean)
            continue
        kind = kinds[int(generator.integers(len(kinds)))]
        of_kind = [sample for sample in versions if sample.kind == kind]
        chosen.append(of_kind[int(generator.integers(len(of_kind)))])
    return chosen


def _place(array: NDArray[np.float16], side: int, generator: np.random.Generator) -> tuple[int, int]:
    """Choose a crop that shows more than air: the fullest of three tries."""
    rows, columns = (max(0, size - side) for size in array.shape[1:])
    places = [(int(generator.integers(rows + 1)), int(generator.integers(columns + 1))) for _ in range(3)]
    return max(places, key=lambda at: float(array[0, at[0] : at[0] + side : 4, at[1] : at[1] + side : 4].mean(dtype=np.float32)))


def _cut(array: NDArray[np.float16], side: int, top: int, left: int) -> NDArray[np.float32]:
    """Cut a square; a frame that is smaller is mirrored outwards, as the networks' own transforms do."""
    cut = array[:, top : top + side, left : left + side].astype(np.float32)
    while min(cut.shape[1:]) < side:
        missing = [min(side - size, size - 1) for size in cut.shape[1:]]
        pads = [(0, 0), *[(more // 2, more - more // 2) for more in missing]]
        cut = np.pad(cut, pads, mode="reflect")
    return cut


def _patch(
    cut: NDArray[np.float32], label: float, other: NDArray[np.float32], other_label: float, generator: np.random.Generator
) -> float:
    """Paste a rectangle of `other` into `cut` (in place); return the label mixed by area."""
    side = cut.shape[1]
    height, width = (int(generator.integers(side // 4, side + 1)) for _ in range(2))
    top, left = int(generator.integers(side - height + 1)), int(generator.integers(side - width + 1))
    cut[:, top : top + height, left : left + width] = other[:, top : top + height, left : left + width]
    share = height * width / (side * side)
    return float((1 - share) * label + share * other_label)


def _turned(array: NDArray[np.float32], turn: tuple[int, bool]) -> NDArray[np.float32]:
    quarters, mirrored = turn
    turned = np.rot90(array, quarters, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned)
