"""`medqa demo`: phantoms, good and spoiled, sent over real DICOM to a node that this command starts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from dicom_node.catalogue import Catalogue
    from dicom_node.node import Node
    from dicom_node.records import SeriesRecord
    from medqa.config import Settings
    from medqa.simulate.phantom import Phantom

SETTLE_S: Final = 1.5
POLL_S: Final = 0.25
LONGEST_WAIT_S: Final = 240.0
FLAGGED: Final = frozenset({"RESCAN", "REVIEW"})
ENDED: Final = frozenset({"RENDERED", "DELIVERED", "NOT_JUDGED", "FAILED", "UNDELIVERED"})
COLOURS: Final = {"ADEQUATE": "green", "RESCAN": "red", "REVIEW": "yellow"}
SYMBOLS: Final = {"ADEQUATE": "✓", "RESCAN": "✗", "REVIEW": "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A series of the demo: how it is made, and the verdicts that agree with that.

    `make` returns the phantom; `values` are header attributes that go with it; `lost` slices never get sent.
    """

    name: str
    make: Callable[[np.random.Generator], Phantom]
    agree: frozenset[str]
    values: dict[str, Any] = field(default_factory=dict)
    lost: range = range(0)


def _ct(generator: np.random.Generator) -> Phantom:
    from medqa.simulate import phantom

    return phantom.ct(generator)


def _ct_low_dose(generator: np.random.Generator) -> Phantom:
    from medqa.simulate import phantom

    return phantom.ct(generator, dose=1 / 16)


def _ct_blank(generator: np.random.Generator) -> Phantom:
    made = _ct(generator)
    made.array[len(made.array) // 2] = -1000
    return made


def _mr(generator: np.random.Generator) -> Phantom:
    from medqa.simulate import phantom

    return phantom.mr(generator)


def _mr_moved(generator: np.random.Generator) -> Phantom:
    from medqa.simulate import mr

    made = _mr(generator)
    pixel_mm = made.grid.pixel_mm
    for image in made.array:
        plan = mr.draw("motion", 4, generator, pixel_mm=pixel_mm, phase_axis=1)
        image[:] = mr.apply(image, plan, pixel_mm=pixel_mm).array
    return made


def _pet(generator: np.random.Generator) -> Phantom:
    from medqa.simulate import phantom

    return phantom.pet(generator)


def _pet_few_counts(generator: np.random.Generator) -> Phantom:
    from medqa.simulate import phantom

    return phantom.pet(generator, counts=1 / 16)


GOOD: Final = frozenset({"ADEQUATE"})
SCENARIOS: Final = (
    Scenario(name="CT abdomen, full dose", make=_ct, agree=GOOD),
    Scenario(
        name="CT abdomen, 1/16 of the dose",
        make=_ct_low_dose,
        agree=FLAGGED,
        values={"XRayTubeCurrent": 14, "Exposure": 7, "CTDIvol": 0.53},
    ),
    Scenario(name="CT abdomen, one blank slice", make=_ct_blank, agree=frozenset({"RESCAN"})),
    Scenario(name="CT abdomen, three slices lost", make=_ct, agree=frozenset({"REVIEW"}), lost=range(14, 17)),
    Scenario(name="MR head, still", make=_mr, agree=GOOD),
    Scenario(name="MR head, moving", make=_mr_moved, agree=FLAGGED),
    Scenario(name="PET trunk, full counts", make=_pet, agree=GOOD),
    Scenario(name="PET trunk, 1/16 of the counts", make=_pet_few_counts, agree=FLAGGED, values={"ActualFrameDuration": 11_250}),
)


@dataclass(slots=True)
class Shown:
    """A series that was sent: its place in the table, and how far it has been told."""

    number: int
    name: str
    agree: frozenset[str]
    verdict: str | None = None
    told: bool = False


def run(
    once: Annotated[bool, typer.Option("--once", help="End when the last verdict has fallen.")] = False,
    out: Annotated[Path, typer.Option(help="Leave the reports here.")] = Path("medqa-demo"),
    lang: Annotated[str | None, typer.Option(help="en or ja; by default the setting report.lang.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None,
) -> None:
    """Send phantoms to a node and show each verdict as it falls; exit code 0 when every one agrees with how its series was made."""
    from rich.console import Console

    from dicom_node.catalogue import Catalogue
    from dicom_node.node import Node
    from medqa.config import load
    from medqa.errors import InvalidSettings

    settings = load(config)
    lang = lang or settings.report.lang
    if lang not in {"en", "ja"}:
        raise InvalidSettings(name="lang", where="--lang", reason=f"{lang!r} is neither en nor ja")
    out.mkdir(parents=True, exist_ok=True)
    console = Console(file=sys.stdout)
    with tempfile.TemporaryDirectory(prefix="medqa-demo-") as folder, _log_to(out / "node.log"):
        node = Node(settings_for(settings, Path(folder) / "node", lang))
        node.start()
        try:
            catalogue = Catalogue.open(node.settings)
            try:
                complete = _play(node, catalogue, Path(folder), out, console, lang)
                if not once:
                    _stay(node, catalogue, out, console, lang)
            finally:
                catalogue.close()
        finally:
            node.stop()
    raise typer.Exit(complete)


def settings_for(settings: Settings, storage: Path, lang: str) -> Settings:
    """Return settings for a node of a demo: a free port on this machine only, its own storage, a series complete after a moment."""
    node = {"host": "127.0.0.1", "port": 0, "storage": storage, "disk_reserve_mb": 64}
    completion = {"settle_ct_s": SETTLE_S, "settle_mr_s": SETTLE_S, "settle_pt_s": SETTLE_S}
    return settings.model_copy(
        update={
            "node": settings.node.model_copy(update=node),
            "completion": settings.completion.model_copy(update=completion),
            "routing": type(settings.routing).model_validate({}),
            "report": settings.report.model_copy(update={"lang": lang}),
        }
    )


def _play(node: Node, catalogue: Catalogue, folder: Path, out: Path, console: Console, lang: str) -> int:
    """Make, send and follow every scenario; return the exit code."""
    console.print(f"A node listens on 127.0.0.1:{node.port}; {len(SCENARIOS)} phantoms go to it by DICOM.", highlight=False)
    sent: dict[str, Shown] = {}
    for number, scenario in enumerate(SCENARIOS, start=1):
        series_uid = _make_and_send(scenario, number, folder / f"{number}", node.port)
        sent[series_uid] = Shown(number=number, name=scenario.name, agree=scenario.agree)
        _tell(catalogue, node, sent, out, console, lang)
    last = time.monotonic()
    while not all(one.told for one in sent.values()) and time.monotonic() - last < LONGEST_WAIT_S:
        time.sleep(POLL_S)
        if _tell(catalogue, node, sent, out, console, lang):
            last = time.monotonic()
    return _sum_up(list(sent.values()), out, console)


def _make_and_send(scenario: Scenario, number: int, folder: Path, port: int) -> str:
    import numpy as np

    from medqa.cli import send
    from medqa.simulate import study

    made = scenario.make(np.random.default_rng(number))
    form = study.form_of(made, seed=number, label=scenario.name, number=number, values=scenario.values)
    for index, path in enumerate(study.save(folder, made.array, form)):
        if index in scenario.lost:
            path.unlink()
    items, _ = send.collect(folder)
    send.store(items, "127.0.0.1", port)
    shutil.rmtree(folder)
    return form.series_uid


def _tell(catalogue: Catalogue, node: Node, sent: dict[str, Shown], out: Path, console: Console, lang: str) -> int:
    """Print what has ended since the last time, and copy its report; return how many."""
    told = 0
    for series_uid, one in sent.items():
        record = None if one.told else catalogue.series(series_uid)
        if record is not None and record.state in ENDED:
            _tell_one(catalogue, node, record, one, out, console, lang)
            one.told = True
            told += 1
    return told


def _tell_one(catalogue: Catalogue, node: Node, record: SeriesRecord, one: Shown, out: Path, console: Console, lang: str) -> None:
    from dicom_node.process import assessments_of
    from reports import wording

    stored = catalogue.assessment(record.series_uid)
    assessments = () if stored is None else assessments_of(stored.document)
    one.verdict = None if stored is None else stored.verdict
    if one.verdict is None:
        word, colour, symbol = "not judged", "dim", "–"
    else:
        word, colour, symbol = one.verdict, COLOURS[one.verdict], SYMBOLS[one.verdict]
    console.print(f"\n[bold]{one.number}. {one.name}[/]  [{colour} bold]{symbol} {word}[/]", highlight=False)
    for sentence in dict.fromkeys(wording.sentence(assessment, lang) for assessment in assessments):
        console.print(f"   {sentence}", highlight=False, markup=False)
    if record.reason:
        console.print(f"   {record.reason}", highlight=False, markup=False)
    place = out / f"{one.number:02d}-{record.modality}"
    reports = node.settings.node.storage / "reports" / record.key / f"revision-{record.revision}"
    if reports.is_dir():
        shutil.copytree(reports, place, dirs_exist_ok=True)
        console.print(f"   {place / 'report.pdf'}", highlight=False, markup=False)


def _sum_up(shown: Sequence[Shown], out: Path, console: Console) -> int:
    from rich.table import Table

    table = Table("#", "how it was made", "verdict", "agrees", title="\nDo the verdicts agree with how the series were made?")
    for one in shown:
        verdict = one.verdict or ("not judged" if one.told else "none yet")
        colour = COLOURS.get(verdict, "dim")
        agrees = one.verdict in one.agree
        expected = " or ".join(sorted(one.agree))
        table.add_row(
            str(one.number),
            one.name,
            f"[{colour}]{verdict}[/]",
            "[green]✓ yes[/]" if agrees else f"[red]✗ no, expected {expected}[/]",
        )
    console.print(table)
    console.print(f"Reports, assessments and DICOM objects: {out}; the node's log: {out / 'node.log'}", highlight=False)
    if not all(one.told for one in shown):
        console.print("[red]Not every series came to its end.[/]")
        return 2
    return 0 if all(one.verdict in one.agree for one in shown) else 1


def _stay(node: Node, catalogue: Catalogue, out: Path, console: Console, lang: str) -> None:
    """Go on receiving until Ctrl-C, and tell what becomes of each new series."""
    title = node.settings.node.ae_title
    console.print(
        f"\nThe node goes on. Send it images of your own:\n   medqa send FOLDER --to 127.0.0.1:{node.port}\n"
        f"   storescu -aec {title} 127.0.0.1 {node.port} FILES\nCtrl-C ends it.",
        highlight=False,
        markup=False,
    )
    seen = max((record.id for record in catalogue.all_series()), default=0)
    waiting: dict[str, Shown] = {}
    number = len(SCENARIOS)
    try:
        while True:
            for record in catalogue.all_series(after_id=seen):
                seen, number = record.id, number + 1
                waiting[record.series_uid] = Shown(number=number, name=f"{record.modality} series {record.key}", agree=frozenset())
            _tell(catalogue, node, waiting, out, console, lang)
            waiting = {uid: one for uid, one in waiting.items() if not one.told}
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        console.print("Ending what is under way …")


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send what the node's processes write on standard error to a file: they inherit the descriptor."""
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
