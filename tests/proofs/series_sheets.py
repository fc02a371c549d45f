"""Contact sheets of what happens along a stack: faults of whole series, and every kind in a slab alone, as coronal cuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.series import Series
from medqa.simulate import ct, ct_phantoms
from medqa.simulate.ct.tissue import patient
from medqa.simulate.ct_scan import Scan
from medqa.simulate.series import DegradedSeries, degrade_series
from medqa.simulate.series_faults import FAULTS, SeriesKind, Slab
from tests.science.factories import make_frame, make_series

PHANTOM: Final = "chest"
SIZE: Final = 256
SPACING_MM: Final = 5.0
LEVELS: Final = (1, 2, 4)
SLAB_LEVEL: Final = 4
COLUMNS: Final = 5
ROWS: Final = 2
DOSE: Final = 0.02
"""Low, so that the noise is seen in so coarse a picture, and where it was smoothed away."""
WINDOW: Final = (-300.0, 300.0)
"""Soft tissue, with the borders of the lung."""
NEARLY: Final = 0.3
"""Of the largest change of a row: with as much, the middle one is shown."""
BAR: Final = 0.04
"""Width of the bars beside slices that are meant, as a share of the picture's."""
RED: Final = (0.9, 0.1, 0.1)


def stack(seed: int) -> Series:
    """Return the phantom whose series are spoiled, from the feet up."""
    made = ct_phantoms.make(PHANTOM, np.random.default_rng(seed), Scan(size=SIZE, spacing_mm=SPACING_MM, dose=DOSE))
    pixel_mm = (made.grid.pixel_mm, made.grid.pixel_mm)
    frames = [
        make_frame(array, index=index, z_mm=float(z), spacing_mm=pixel_mm, slice_thickness_mm=SPACING_MM)
        for index, (array, z) in enumerate(zip(made.array, made.grid.heights_mm, strict=True))
    ]
    return make_series([], frames=frames)


def fault_sheet(kind: SeriesKind, series: Series, seed: int, path: Path) -> list[float]:
    """Draw a fault in three strengths in the left half, and which slices the last of them touches; return the severities, in HU."""
    clean = np.stack([frame.decode() for frame in series.frames])
    rows = body_rows(clean)
    row = int(rows[len(rows) // 2])
    half = clean.shape[2] // 2
    figure, axes = sheet(1, len(LEVELS) + 2, high=4.0)
    show(axes[0], clean[:, row, half:], series, "clean")
    severities = []
    for axis, level in zip(axes[1:], LEVELS, strict=False):
        done = degrade_series(series, kind.full_name, np.random.default_rng(seed), level=level)
        show(axis, placed(done)[:, row, half:], series, f"{kind.strength.name} {kind.levels[level - 1]:g}")
        severities.append(done.truth().severity)
    show(axes[-1], placed(done)[:, row, half:], series, "slices that are touched")
    mark(axes[-1], touched(done))
    finish(figure, path)
    return severities


def slab_sheets(series: Series, seed: int, folder: Path) -> list[Path]:
    """Draw every kind at full strength in the middle half of the stack alone; return the pictures."""
    clean = np.stack([frame.decode() for frame in series.frames])
    slab = middle_half(series)
    names = [kind.full_name for kind in (*ct.KINDS.values(), *FAULTS.values())]
    paths = []
    for start in range(0, len(names), COLUMNS * ROWS):
        figure, axes = sheet(ROWS, COLUMNS, high=2.2)
        for axis, name in zip(axes, names[start : start + COLUMNS * ROWS], strict=False):
            after = placed(degrade_series(series, name, np.random.default_rng(seed), level=SLAB_LEVEL, slab=slab))
            row = worst_row(clean, after)
            show(axis, after[:, row], series, name)
            mark(axis, list(range(slab[0], slab[1] + 1)))
        for axis in axes:
            axis.axis("off")
        paths.append(folder / f"slab-{len(paths) + 1}.png")
        finish(figure, paths[-1])
    return paths


def middle_half(series: Series) -> Slab:
    """Return the first and last of the slices that are spoiled where only a slab is."""
    quarter = len(series.frames) // 4
    return quarter, len(series.frames) - quarter - 1


def placed(done: DegradedSeries) -> np.ndarray:
    """Return the frames at their places in the original stack, `(z, y, x)`; NaN where one was lost."""
    first = done.original.frames[0].header
    out = np.full((len(done.original.frames), first.rows, first.columns), np.nan, dtype=np.float32)
    for index, image in enumerate(done.images()):
        out[done.pixels(index).numbers.place] = image.array
    return out


def touched(done: DegradedSeries) -> list[int]:
    """Return the places whose slice is lost or shows something else."""
    truth = done.truth()
    return [*truth.lost, *(done.pixels(one.frame).numbers.place for one in truth.frames if one.affected)]


def body_rows(clean: np.ndarray) -> np.ndarray:
    """Return the rows through the inner half of the body, in the middle slice."""
    rows = np.flatnonzero(patient(clean[len(clean) // 2]).any(axis=1))
    return rows[len(rows) // 4 : 3 * len(rows) // 4]


def worst_row(clean: np.ndarray, after: np.ndarray) -> int:
    """Return the row through the body that differs most; the middle one where it is nearly as bad."""
    rows = body_rows(clean)
    square = np.nansum((after[:, rows] - clean[:, rows]) ** 2, axis=(0, 2))
    middle = len(rows) // 2
    return int(rows[middle if square[middle] >= NEARLY * square.max() else square.argmax()])


def sheet(rows: int, columns: int, *, high: float) -> tuple[Any, Any]:
    """Return a figure and its axes, row by row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, columns, figsize=(12.5, high * rows), dpi=80, squeeze=False)
    return figure, axes.ravel()


def show(axis: Any, image: np.ndarray, series: Series, title: str) -> None:
    """Draw a coronal cut `(z, x)`, the head up, in millimetres; what is missing is blue."""
    from matplotlib import colormaps

    spacing = series.frames[0].header.spacing_mm or (1.0, 1.0)
    grey = colormaps["gray"].with_extremes(bad=(0.15, 0.3, 0.6))
    axis.imshow(
        image, cmap=grey, vmin=WINDOW[0], vmax=WINDOW[1], origin="lower", aspect=SPACING_MM / spacing[1], interpolation="nearest"
    )
    axis.set_title(title, fontsize=9)
    axis.axis("off")


def mark(axis: Any, places: list[int]) -> None:
    """Draw a red bar beside every slice that is meant."""
    for place in places:
        axis.axhspan(place - 0.5, place + 0.5, xmax=BAR, color=RED, linewidth=0)


def finish(figure: Any, path: Path) -> None:
    """Write a figure, without a word on what wrote it."""
    from matplotlib import pyplot

    figure.tight_layout(pad=0.5)
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
