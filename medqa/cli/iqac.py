"""`medqa iqac OUT`: a training set in the form of the low-dose CT image quality challenge, from phantoms or one's own CT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from medqa.simulate.iqac import Item, Source


def run(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder for the set; new, or empty.", show_default=False)],
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="IN", help="CT series to start from, once or more; phantoms without it.", show_default=False
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Number of images.", min=1, max=10_000)] = 100,
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn by chance.", min=0)] = 0,
) -> None:
    """Make a set of CT slices with fewer photons and fewer views, scored 0 to 4 by five simulated readers.

    OUT gets LDCTIQAG2023_train/ with image/0000.tif ..., train.json (scores), groups.json (patients, to be kept together in a
    split) and truth.json (how each was made). Noise and streaks come on top of what the slices have: give clean ones.
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from medqa.errors import OutputRefused
    from medqa.simulate.iqac import make

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputRefused(folder=out, reason="it is not empty" if out.is_dir() else "it is a file")
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading" if source else "drawing", total=count)
        sources = _sources(source or [], count, seed)
        bar.update(task, description="images")
        items = make(out, sources, count=count, generator=np.random.default_rng(seed), progress=lambda: bar.advance(task))
    _show(console, items, out)


def _sources(paths: Sequence[Path], count: int, seed: int) -> list[Source]:
    from medqa import reader
    from medqa.simulate.iqac import IMAGES_A_SLICE, phantoms, scans

    slices = -(-count // IMAGES_A_SLICE)
    if not paths:
        return phantoms(slices, seed)
    return scans([series for path in paths for series in reader.read(path).series], slices)


def _show(console: Console, items: Sequence[Item], out: Path) -> None:
    from rich.table import Table

    from medqa.simulate.iqac import FOLDER, distance

    table = Table("score", "images", "", title=f"{len(items)} images of {len({item.patient for item in items})} patients")
    for whole in range(5):
        here = sum(round(item.label) == whole for item in items)
        table.add_row(f"about {whole}", str(here), "#" * round(40 * here / len(items)))
    console.print(table)
    apart = distance(item.label for item in items)
    console.print(f"Largest distance of the cumulative scores from the 1,000 published ones: {apart:.3f}")
    console.print(f"The set: {out / FOLDER}; keep the patients of groups.json together in a split.", soft_wrap=True)
