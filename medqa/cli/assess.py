"""`medqa assess PATH`: judge what lies on disk, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medqa.cli.beside import of_others

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from medqa.assessment import Assessment
    from medqa.reader import LeftOut

EXIT_CODES = {"ADEQUATE": 0, "RESCAN": 1, "REVIEW": 1, None: 0}
NO_HEAT_MAP = frozenset({"heat_maps_cut_short", "heat_map_failed"})
"""What the log says where a heat map is missing."""
COLOURS = {"ADEQUATE": "green", "RESCAN": "red", "REVIEW": "yellow", None: "dim"}


def run(
    path: Annotated[Path, typer.Argument(help="A folder, a file or a zip with CT, MR or PET images.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Write the reports and DICOM objects of each series here.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    lang: Annotated[str | None, typer.Option(help="en or ja; by default the setting report.lang.")] = None,
    value_range: Annotated[str | None, typer.Option(help="LOW,HIGH of a plain image's values, e.g. -1000,400 (HU).")] = None,
    modality: Annotated[str | None, typer.Option(help="CT, MR or PT: what a plain image (NIfTI, MHA, TIFF, PNG) shows.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None,
) -> None:
    """Judge every series in PATH; exit code 0 when nothing is wrong, 1 for RESCAN or REVIEW, 2 for an error."""
    from rich.console import Console

    from dicom_node import process, telemetry
    from medqa import reader
    from medqa.config import load
    from medqa.errors import NothingToRead
    from medqa.iqa import bundle
    from reports import wording

    settings = load(config)
    lang = _language(lang or settings.report.lang)
    console = Console(stderr=json_)
    with telemetry.held_back() as logged, _progress(console) as step:
        reading = reader.read(path, value_range=_range(value_range), modality=modality, progress=step("reading"))
        if not reading.series and not reading.left_out:
            raise NothingToRead(source=path.name, reason="no image file in it")
        shelf = bundle.load(settings)
        judged = []
        for number, series in enumerate(reading.series, start=1):
            assessment = process.assess_from_disk(
                series,
                shelf.scorers,
                settings,
                step(f"judging series {number}"),
                companions=reading.series,
                unusable=shelf.unusable,
                judged_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            folder = None if out is None else out / f"{number:02d}-{series.modality}"
            if folder is not None:
                maps = process.explain(assessment, series, shelf.scorers)
                process.write(folder, assessment, series, maps, lang, settings.report, datetime.now(UTC))
            judged.append((assessment, folder))
    left_out = of_others(reading.left_out) if judged else reading.left_out
    if json_:
        documents = [wording.document(assessment, lang) for assessment, _ in judged]
        left = [{"name": item.name, "kind": item.kind, "code": item.code, "text": item.text} for item in left_out]
        json.dump({"assessments": documents, "left_out": left}, sys.stdout, ensure_ascii=False, indent=2, sort_keys=True)
        sys.stdout.write("\n")
    else:
        _show(console, judged, left_out, lang)
    if any(entry["event"] in NO_HEAT_MAP for entry in logged):
        print(
            "Some heat maps are missing from the reports: making them took too long or failed. No verdict needs them.",
            file=sys.stderr,
        )
    if not judged and any(item.kind == "unreadable" for item in reading.left_out):
        first = next(item for item in reading.left_out if item.kind == "unreadable")
        raise NothingToRead(source=path.name, reason=f"{first.code} {first.text}")
    raise typer.Exit(max((EXIT_CODES[assessment.verdict] for assessment, _ in judged), default=0))


def _language(lang: str) -> str:
    from medqa.errors import InvalidSettings

    if lang not in {"en", "ja"}:
        raise InvalidSettings(name="lang", where="--lang", reason=f"{lang!r} is neither en nor ja")
    return lang


def _range(text: str | None) -> tuple[float, float] | None:
    from medqa.errors import InvalidSettings

    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidSettings(name="value-range", where="--value-range", reason="give two numbers, LOW,HIGH") from error
    return low, high


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], Callable[..., None]]]:
    """Yield `step(title)`, which returns a callback `(done, total)` that moves a bar of that title."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def step(title: str) -> Callable[..., None]:
            task = bar.add_task(title, total=None)

            def move(done: int, total: int | None = None) -> None:
                bar.update(task, completed=done, total=total)

            return move

        yield step


def _show(console: Console, judged: list[tuple[Assessment, Path | None]], left_out: tuple[LeftOut, ...], lang: str) -> None:
    from rich.table import Table

    from reports import wording

    table = Table("#", "", "images", "verdict", show_lines=True)
    # Japanese has no spaces to break at, and a path is there to be copied: fold both, cut neither.
    for name in ("why", "report"):
        table.add_column(name, overflow="fold")
    for number, (assessment, folder) in enumerate(judged, start=1):
        colour = COLOURS[assessment.verdict]
        word = wording.verdict_word(assessment.verdict, lang)
        cells: list[Any] = [
            str(number),
            assessment.series.modality,
            str(assessment.series.frames),
            f"[{colour}]{word}[/]",
            wording.sentence(assessment, lang),
            "" if folder is None else str(folder / "report.pdf"),
        ]
        table.add_row(*cells)
    if judged:
        console.print(table)
    if left_out:
        rest = Table("left out", "", "why", title="Not judged")
        for item in left_out:
            rest.add_row(item.name, item.kind, f"{item.code} {item.text}")
        console.print(rest)
