"""A training set like that of the low-dose CT image quality challenge 2023, from slices that may be used freely.

The challenge (Lee et al., Med Image Anal 2025;99:103343, 10.1016/j.media.2024.103343) degraded abdominal CT by fewer photons and
fewer views and had five radiologists score it from 0 to 4. Its form is kept: `LDCTIQAG2023_train/image/0000.tif` …, float32, 512
× 512, -1000 to 400 HU mapped to 0 to 1, and `train.json` with the score of each file. Scores come from
`medqa.simulate.reader_model`. Beside them stand what the challenge does not tell: `groups.json`, which patient each file is of
(to be kept together in a split), and `truth.json`, how each file was made, what was measured on it and what each reader said.

The scores are to be distributed as the 1,000 published ones are. Each file is given a quality to aim at, from the published
distribution; views are drawn by chance, and the dose is then sought on a ladder until the reader model's opinion of the *result* is
near; both are computed from the clean slice and added. The label is what the readers say of that result, not what was aimed at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medqa.errors import NotApplicable, NothingToRead
from medqa.simulate.ct import KINDS
from medqa.simulate.reader_model import BEST, Impression, Panel, draw_panel, impression, label, opinion
from medqa.volume import Array

if TYPE_CHECKING:
    from medqa.series import Series
    from medqa.simulate.phantom import Phantom

FOLDER: Final = "LDCTIQAG2023_train"
SIDE: Final = 512
RANGE_HU: Final = (-1000.0, 400.0)
FIELD_MM: Final = 384.0
"""Readers see pixels, not millimetres: every slice is judged as if it showed a field of this width."""
GRID: Final = 0.2
PUBLISHED: Final = (25, 19, 22, 42, 48, 56, 51, 65, 65, 74, 53, 56, 60, 62, 42, 65, 35, 42, 31, 51, 36)
"""How many of the 1,000 published training scores are 0.0, 0.2, … 4.0."""
DOSES: Final = tuple(float(2 ** (-step / 4)) for step in range(25))
"""The ladder of doses, from the slice's own to a sixty-fourth."""
VIEWS: Final = (0, 120, 72, 45, 30)
"""Views over half a turn, 0 for as many as were taken."""
VIEW_SHARES: Final = (0.4, 0.15, 0.15, 0.15, 0.15)
NEAR: Final = 0.15
STEPS: Final = 4
POINTS_A_STEP: Final = 0.35
"""About how much the opinion falls from one dose of the ladder to the next."""
IMAGES_A_SLICE: Final = 4
SLICES_A_PHANTOM: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A slice to start from: of which patient it is, and how to read it, `(y, x)` in HU, with the size of its pixels in mm."""

    patient: str
    read: Callable[[], tuple[Array, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file of the set with its truth."""

    name: str
    patient: str
    aim: float
    dose: float
    views: int
    seed: int
    seen: Impression
    readers: tuple[int, ...]

    @property
    def label(self) -> float:
        """Mean of the readers."""
        return label(self.readers)

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        return {
            "patient": self.patient,
            "dose": self.dose,
            "views": self.views or None,
            "seed": self.seed,
            "aim": self.aim,
            "noise_hu": self.seen.noise_hu,
            "streaks_hu": self.seen.streaks_hu,
            "detectability": self.seen.detectability,
            "opinion": opinion(self.seen),
            "readers": list(self.readers),
            "label": self.label,
        }


def distribution(labels: Iterable[float]) -> NDArray[np.float64]:
    """Return the cumulative shares of labels at 0.0, 0.2, … 4.0."""
    steps = np.rint(np.asarray(list(labels), dtype=np.float64) / GRID).astype(np.int64)
    counts = np.bincount(steps, minlength=len(PUBLISHED))
    return np.asarray(np.cumsum(counts) / counts.sum())


def distance(labels: Iterable[float]) -> float:
    """Return the largest difference of the cumulative shares from the published ones (Kolmogorov and Smirnov's distance)."""
    published = np.cumsum(PUBLISHED) / sum(PUBLISHED)
    return float(np.abs(distribution(labels) - published).max())


def aims(count: int, generator: np.random.Generator) -> list[float]:
    """Return qualities to aim at, shuffled: evenly spaced quantiles of the published scores, spread over their steps."""
    edges = np.clip((np.arange(len(PUBLISHED) + 1) - 0.5) * GRID, 0, BEST)
    cumulative = np.concatenate([[0.0], np.cumsum(PUBLISHED)]) / sum(PUBLISHED)
    found = np.interp((np.arange(count) + 0.5) / count, cumulative, edges)
    return [float(each) for each in generator.permutation(found)]


def encode(array: Array) -> Array:
    """Return a slice in HU as the challenge stores it: float32, 0 at -1000 HU and 1 at 400 HU."""
    low, high = RANGE_HU
    return ((np.clip(array, low, high) - low) / (high - low)).astype(np.float32)


def decode(stored: Array) -> Array:
    """Return a stored image of the challenge in HU."""
    low, high = RANGE_HU
    return (np.asarray(stored, dtype=np.float32) * (high - low) + low).astype(np.float32)


def phantoms(slices: int, seed: int) -> list[Source]:
    """Return slices of patients that are drawn when they are read, five of each."""
    sources = []
    for first in range(0, slices, SLICES_A_PHANTOM):
        patient, count = first // SLICES_A_PHANTOM, min(SLICES_A_PHANTOM, slices - first)
        name = f"phantom-{patient:04d}"
        sources += [Source(patient=name, read=partial(_drawn, seed, patient, count, SIDE, index)) for index in range(count)]
    return sources


def scans(series: Iterable[Series], slices: int) -> list[Source]:
    """Return up to so many usable slices, evenly spaced over the CT series; patients get numbers in place of their names.

    Left out are slices of another size than 512 × 512, and those with too little soft tissue for the reader model.

    Raises
    ------
    NothingToRead
        Where no slice is left.
    """
    numbers: dict[str, int] = {}
    every: list[Source] = []
    for one in series:
        if one.modality != "CT" or one.volume.shape[1:] != (SIDE, SIDE):
            continue
        known = str(one.header.get("PatientID") or "") or one.study_uid
        patient = f"patient-{numbers.setdefault(known, len(numbers)):04d}"
        every += [Source(patient=patient, read=partial(_scanned, one, z)) for z in range(one.volume.shape[0])]
    spread = np.linspace(0, len(every) - 1, min(slices, len(every))).round().astype(int).tolist()
    chosen: list[int] = []
    for index in (*spread, *sorted(set(range(len(every))) - set(spread))):
        if len(chosen) == slices:
            break
        if _usable(every[index]):
            chosen.append(index)
    if not chosen:
        raise NothingToRead(source="the input", reason=f"no CT slice of {SIDE} × {SIDE} pixels with soft tissue")
    return [every[index] for index in sorted(chosen)]


def make(
    folder: Path,
    sources: Sequence[Source],
    *,
    count: int,
    generator: np.random.Generator,
    progress: Callable[[], object] = lambda: None,
) -> list[Item]:
    """Write a set of `count` files, as many from each slice, into a folder, and return what is in it, in the order of names."""
    panel = draw_panel(generator)
    qualities = aims(count, generator)
    places = generator.permutation(count)
    inside = folder / FOLDER
    (inside / "image").mkdir(parents=True, exist_ok=True)
    items: list[Item] = []
    for number, source in enumerate(sources):
        files = range(number * count // len(sources), (number + 1) * count // len(sources))
        if not files:
            continue
        clean = _Slice(*source.read())
        for index in files:
            made, image = _one(clean, source.patient, f"{places[index]:04d}.tif", qualities[index], panel, generator)
            _save(inside / "image" / made.name, encode(image))
            items.append(made)
            progress()
    items.sort(key=lambda item: item.name)
    _write(inside / "train.json", {item.name: item.label for item in items})
    _write(inside / "groups.json", {item.name: item.patient for item in items})
    readers = [{"bias": bias, "noise": noise} for bias, noise in zip(panel.bias, panel.noise, strict=True)]
    _write(inside / "truth.json", {"readers": readers, "images": {item.name: item.to_json() for item in items}})
    return items


class _Slice(NamedTuple):
    """A slice before it is degraded."""

    array: Array
    pixel_mm: float

    def seen(self, change: Array | float) -> tuple[Array, Impression]:
        """Return the slice with a change, in the range that is stored, and what a reader sees in it."""
        image = np.clip(self.array + change, *RANGE_HU).astype(np.float32)
        return image, impression(image, FIELD_MM / max(image.shape))

    def change(self, kind: str, seed: int, **given: float) -> Array:
        """Return what a kind of degradation adds to the slice."""
        plan = KINDS[kind].plan(np.random.default_rng(seed), pixel_mm=self.pixel_mm, given=given)
        return KINDS[kind].change(self.array, plan.parameters, self.pixel_mm)


def _one(clean: _Slice, patient: str, name: str, aim: float, panel: Panel, generator: np.random.Generator) -> tuple[Item, Array]:
    seed = int(generator.integers(2**31))
    views, streaks = _views(clean, int(generator.choice(len(VIEWS), p=VIEW_SHARES)), seed, aim)
    tried = {0: clean.seen(streaks)}
    off = {0: opinion(tried[0][1]) - aim}
    step = 0
    for _ in range(STEPS):
        wanted = int(np.clip(step + np.rint(off[step] / POINTS_A_STEP), 0, len(DOSES) - 1))
        if abs(off[step]) <= NEAR or wanted in tried:
            break
        step = wanted
        tried[step] = clean.seen(streaks + clean.change("dose", seed, dose=DOSES[step]))
        off[step] = opinion(tried[step][1]) - aim
    step = min(off, key=lambda each: abs(off[each]))
    image, seen = tried[step]
    readers = panel.scores(opinion(seen), generator)
    item = Item(name=name, patient=patient, aim=aim, dose=DOSES[step], views=views, seed=seed, seen=seen, readers=readers)
    return item, image


def _views(clean: _Slice, level: int, seed: int, aim: float) -> tuple[int, Array | float]:
    """Return the fewest views, from a level down, that still leave the slice as good as it is to be, and their streaks."""
    for views in VIEWS[level:0:-1]:
        streaks = clean.change("streaks", seed, views=views)
        if opinion(clean.seen(streaks)[1]) >= aim - NEAR:
            return views, streaks
    return 0, 0.0


@lru_cache(maxsize=1)
def _patient(seed: int, patient: int, slices: int, side: int) -> Phantom:
    from medqa.simulate import phantom

    return phantom.ct(np.random.default_rng([seed, patient]), slices=slices, size=side, spacing_mm=20.0)


def _drawn(seed: int, patient: int, slices: int, side: int, index: int) -> tuple[Array, float]:
    made = _patient(seed, patient, slices, side)
    return made.array[index], made.grid.pixel_mm


def _scanned(series: Series, z: int) -> tuple[Array, float]:
    return np.nan_to_num(series.volume.read(z), nan=RANGE_HU[0]), series.volume.spacing_mm[1]


def _usable(source: Source) -> bool:
    try:
        _Slice(*source.read()).seen(0.0)
    except NotApplicable:
        return False
    return True


def _save(path: Path, stored: Array) -> None:
    from PIL import Image

    Image.fromarray(stored).save(path, format="TIFF")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
