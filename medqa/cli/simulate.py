"""`medqa simulate IN OUT --kind KIND`: a series spoiled in a known way, as derived DICOM with its truth."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from medqa.cli.beside import MASKS, TRUTH, of_others

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console
    from rich.progress import Progress, TaskID

    from medqa.errors import MedqaError
    from medqa.series import Series
    from medqa.simulate.truth import Truth

PARAMETERS: Final = "medqa.parameters"
"""Where the options that name a kind's parameters are kept until the kind is known."""
EXAMPLE: Final = "medqa simulate scan/ quarter/ --kind ct-dose --dose 0.25"


class COMMAND(TyperCommand):
    """A command that takes any `--name value`: which parameters there are is known to the kind alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put aside the options that are not this command's own."""
        own = {name for option in self.get_params(ctx) for name in (*option.opts, *option.secondary_opts)}
        given: dict[str, str] = ctx.meta.setdefault(PARAMETERS, {})
        rest, words = [], iter(args)
        for word in words:
            name, equals, value = word.partition("=")
            if not re.match(r"--[a-z]", word) or name in own:
                rest.append(word)
                continue
            said = value if equals else next(words, None)
            if said is None:
                message = f"{name} wants a value, as in: {EXAMPLE}"
                raise typer.BadParameter(message)
            given[name.removeprefix("--").replace("-", "_")] = said
        return super().parse_args(ctx, rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done to every series."""

    kind: str
    given: Mapping[str, float]
    level: int
    slab: tuple[int, int] | None
    seed: int


def run(
    ctx: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(metavar="IN", help="A folder, a file or a zip with DICOM images.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="A folder for the result; new, or empty.", show_default=False)
    ] = None,
    kind: Annotated[str, typer.Option(help="What to do to the images, e.g. ct-dose.", show_default=False)] = "",
    level: Annotated[int, typer.Option(help="A declared strength, 1 (mild) to 4 (severe).", show_default=False)] = 0,
    slab: Annotated[
        str, typer.Option(help="FIRST-LAST: only these slices, counted from 1 as in the reports.", show_default=False)
    ] = "",
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn by chance.", min=0)] = 0,
    list_: Annotated[bool, typer.Option("--list", help="Describe every kind with its parameters and levels.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else: the list, or the truth.")] = False,
) -> None:
    """Spoil every fitting series in IN in a known way; OUT gets derived DICOM series, truth.json and masks.npz.

    Every parameter of a kind is an option of its own: --kind ct-dose --dose 0.25, --kind ct-blur --fwhm-mm 3. What is not given is
    drawn by chance, once for the whole series. Exit code 0 when all was done, 1 when a series could not be, 2 for an error.
    """
    if list_:
        _list(json_)
        return
    if source is None or out is None or not kind:
        message = f"Give IN, OUT and --kind, as in: {EXAMPLE}\n`medqa simulate --list` describes every kind."
        raise typer.BadParameter(message)
    order = Order(
        kind=kind,
        given=_numbers(kind, ctx.meta.get(PARAMETERS, {})),
        level=level,
        slab=_slab(kind, slab) if slab else None,
        seed=seed,
    )
    _simulate(source, out, order, json_)


def _simulate(source: Path, out: Path, order: Order, json_: bool) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from medqa import reader
    from medqa.errors import MedqaError, NotDerivable, ValueRangeRequired
    from medqa.simulate.derived import mask_archive

    _check(order, out)
    console = Console(stderr=json_)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    done: list[tuple[Truth, Path]] = []
    refused: dict[str, list[MedqaError]] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        reading_bar = bar.add_task("reading", total=None)
        try:
            reading = reader.read(source, progress=lambda count: bar.update(reading_bar, completed=count))
        except ValueRangeRequired as error:
            raise NotDerivable(source=source.name, reason="it is a plain image without a DICOM header") from error
        fitting = _fitting(reading.series, order.kind)
        if not fitting:
            raise _nothing(source, order.kind, reading.series)
        out.mkdir(parents=True, exist_ok=True)
        with mask_archive(out / MASKS) as keep:
            for number, series in enumerate(fitting, start=1):
                task = bar.add_task(f"series {number} of {len(fitting)}", total=len(series.frames))
                folder = out / f"{number:02d}-{series.modality}"
                try:
                    done.append((_one(series, order, folder, keep, _mover(bar, task)), folder))
                except MedqaError as error:
                    shutil.rmtree(folder, ignore_errors=True)
                    refused.setdefault(str(error), []).append(error)
    if not done:
        out.rmdir()
        raise next(iter(refused.values()))[0]
    document = {"seed": order.seed, "series": [truth.to_json() | {"folder": folder.name} for truth, folder in done]}
    text = json.dumps(document, indent=1, sort_keys=True)
    (out / TRUTH).write_text(text + "\n", encoding="utf-8")
    if json_:
        sys.stdout.write(text + "\n")
    else:
        unread = sum(item.kind == "unreadable" for item in of_others(reading.left_out))
        _show(console, done, out, len(reading.series) - len(fitting), unread)
    for why, errors in refused.items():
        print(f"Left out: {len(errors)} series. {why}", file=sys.stderr)
    raise typer.Exit(1 if refused else 0)


def _mover(bar: Progress, task: TaskID) -> Callable[[int, int], None]:
    return lambda count, total: bar.update(task, completed=count, total=total)


def _one(series: Series, order: Order, folder: Path, keep: Any, progress: Callable[[int, int], None]) -> Truth:
    import numpy as np

    from medqa.simulate.derived import write
    from medqa.simulate.series import degrade_series

    # A series has the same chance whatever lies beside it.
    own = int.from_bytes(hashlib.sha256(f"{series.series_uid} {series.part}".encode()).digest()[:8], "big")
    degraded = degrade_series(
        series, order.kind, np.random.default_rng([order.seed, own]), level=order.level, given=order.given, slab=order.slab
    )
    return write(degraded, folder, keep=keep, progress=progress)


def _check(order: Order, out: Path) -> None:
    from medqa.errors import OutputRefused
    from medqa.simulate.catalogue import check

    check(order.kind, order.level, order.given)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputRefused(folder=out, reason="it is not empty" if out.is_dir() else "it is a file")


def _nothing(source: Path, kind: str, found: Sequence[Series]) -> MedqaError:
    from medqa.errors import InvalidDegradation, NothingToRead

    if not found:
        return NothingToRead(source=source.name, reason="no DICOM image in it")
    modalities = " and ".join(sorted({series.modality for series in found}))
    return InvalidDegradation(kind=kind, reason=f"{source.name} holds {modalities} only")


def _fitting(found: Sequence[Series], kind: str) -> list[Series]:
    from medqa.simulate.series_faults import FAULTS

    return [series for series in found if kind in FAULTS or kind.startswith(f"{series.modality.lower()}-")]


def _numbers(kind: str, given: Mapping[str, str]) -> dict[str, float]:
    from medqa.errors import InvalidDegradation

    out = {}
    for name, text in given.items():
        try:
            out[name] = float(text)
        except ValueError as error:
            raise InvalidDegradation(kind=kind, reason=f"{name} wants a number, not {text!r}") from error
    return out


def _slab(kind: str, text: str) -> tuple[int, int]:
    from medqa.errors import InvalidDegradation

    found = re.fullmatch(r"(\d+)(?:[-–](\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise InvalidDegradation(kind=kind, reason=f"--slab {text!r} is no FIRST-LAST counted from 1, such as 41-58")
    return first - 1, last - 1


def _list(json_: bool) -> None:
    from medqa.simulate.catalogue import catalogue

    kinds = catalogue()
    if json_:
        json.dump(kinds, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
        return
    for kind in kinds:
        print(f"{kind['kind']}  ({kind['modality'] or 'CT, MR, PT'})\n    {kind['summary']}")
        strength, *others = kind["parameters"]
        levels = ", ".join(f"{value:g}" for value in kind["levels"])
        print(f"    {_option(strength)}\n        levels 1 to 4: {levels}")
        for parameter in others:
            print(f"    {_option(parameter)}")
        if kind["source"]:
            print(f"    after {kind['source']}")
        print()
    print(f"Give --level 1 to 4, or the first parameter; the others are drawn by chance unless given. Example:\n    {EXAMPLE}")


def _option(parameter: Mapping[str, Any]) -> str:
    if parameter["low"] is None:
        unit = f", in {parameter['unit']}" if parameter["unit"] != "1" else ""
        return f"set by --level alone: {parameter['meaning']}{unit}"
    span = f"{parameter['low']:g} to {parameter['high']:g}{_unit(parameter)}"
    return f"--{parameter['name'].replace('_', '-')}  {span}: {parameter['meaning']}"


def _unit(parameter: Mapping[str, Any]) -> str:
    return "" if parameter["unit"] == "1" else f" {parameter['unit']}"


def _show(console: Console, done: list[tuple[Truth, Path]], out: Path, others: int, unread: int) -> None:
    from rich.table import Table

    from medqa.simulate.truth import SEVERITY

    table = Table("", "what was done", "median change", show_lines=True)
    table.add_column("derived series", overflow="fold")
    for truth, folder in done:
        unit = SEVERITY[truth.modality].unit
        change = f"{truth.severity:.1f} HU" if unit == "HU" else f"{100 * truth.severity:.1f} % of the signal"
        if truth.lost:
            change = f"{len(truth.lost)} of {truth.source_frames} slices gone"
        table.add_row(truth.modality, truth.text, change, str(folder))
    console.print(table)
    masks = f"; where the artefacts are: {out / MASKS}" if (out / MASKS).exists() else ""
    lines = [f"Truth: {out / TRUTH}{masks}", f"Judge it: medqa assess {done[0][1]}"]
    if others:
        lines.insert(0, f"Of another modality and left out: {others} series.")
    if unread:
        lines.insert(0, f"Not readable: {unread} of the files; `medqa assess` says why.")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
