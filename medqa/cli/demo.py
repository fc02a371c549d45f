"""`medqa demo`: phantoms, good and spoiled, sent over real DICOM to a node that this command starts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from dicom_node.catalogue import Catalogue
    from dicom_node.node import Node
    from dicom_node.records import SeriesRecord
    from medqa.config import Settings
    from medqa.simulate.scenarios import Scenario

SETTLE_S: Final = 1.5
POLL_S: Final = 0.25
LONGEST_WAIT_S: Final = 240.0
ENDED: Final = frozenset({"RENDERED", "DELIVERED", "NOT_JUDGED", "FAILED", "UNDELIVERED"})
COLOURS: Final = {"ADEQUATE": "green", "RESCAN": "red", "REVIEW": "yellow"}
SYMBOLS: Final = {"ADEQUATE": "✓", "RESCAN": "✗", "REVIEW": "?"}


@dataclass(slots=True, kw_only=True)
class Shown:
    """A series that was sent, and how far it has been told."""

    number: int
    name: str
    agree: frozenset[str] = frozenset()
    verdict: str | None = None
    told: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the verdict is one that was to be expected."""
        return self.told and self.verdict in self.agree


@dataclass(slots=True, kw_only=True)
class Screen:
    """Tells what the catalogue of a node says of the series that were sent, and copies their reports to `out`."""

    node: Node
    catalogue: Catalogue
    out: Path
    console: Console
    lang: str
    sent: dict[str, Shown] = field(default_factory=dict)
    last_event: int = 0

    def tell(self) -> int:
        """Print live warnings and the series that have ended since the last time; return how many have."""
        for event in self.catalogue.events_since(self.last_event):
            self.last_event = event.id
            one = self.sent.get(event.series_uid or "")
            if one is not None and event.kind == "live_warning":
                self._print(f"\n   while {one.number}. {one.name} arrives: {event.data.get('text', '')}", style="yellow")
        ended = 0
        for series_uid, one in self.sent.items():
            record = None if one.told else self.catalogue.series(series_uid)
            if record is not None and record.state in ENDED:
                self._tell_one(record, one)
                one.told = True
                ended += 1
        return ended

    def _tell_one(self, record: SeriesRecord, one: Shown) -> None:
        from dicom_node.process import assessments_of
        from medqa.assessment import Verdict
        from reports import wording

        stored = self.catalogue.assessment(record.series_uid)
        one.verdict = None if stored is None else stored.verdict
        word = wording.verdict_word(None if one.verdict is None else Verdict(one.verdict), self.lang)
        colour, symbol = COLOURS.get(one.verdict or "", "dim"), SYMBOLS.get(one.verdict or "", "–")
        self.console.print(f"\n[bold]{one.number}. {one.name}[/]  [{colour} bold]{symbol} {word}[/]", highlight=False)
        assessments = () if stored is None else assessments_of(stored.document)
        for sentence in dict.fromkeys(wording.sentence(assessment, self.lang) for assessment in assessments):
            self._print(f"   {sentence}")
        if record.reason:
            self._print(f"   {record.reason}")
        reports = self.node.settings.node.storage / "reports" / record.key / f"revision-{record.revision}"
        if reports.is_dir():
            place = self.out / f"{one.number:02d}-{record.modality}"
            shutil.copytree(reports, place, dirs_exist_ok=True)
            self._print(f"   {place / 'report.pdf'}")

    def _print(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def run(
    once: Annotated[bool, typer.Option("--once", help="End when the last verdict has fallen.")] = False,
    out: Annotated[Path, typer.Option(help="Leave the reports here.")] = Path("medqa-demo"),
    lang: Annotated[str | None, typer.Option(help="en or ja; by default the setting report.lang.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None,
) -> None:
    """Send phantoms to a node and show each verdict as it falls; exit code 0 when all agree with how the series were made."""
    from rich.console import Console

    from dicom_node.catalogue import Catalogue
    from dicom_node.node import Node
    from medqa.config import load
    from medqa.errors import InvalidSettings
    from medqa.simulate.scenarios import SCENARIOS

    settings = load(config)
    lang = lang or settings.report.lang
    if lang not in {"en", "ja"}:
        raise InvalidSettings(name="lang", where="--lang", reason=f"{lang!r} is neither en nor ja")
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="medqa-demo-") as folder, _log_to(out / "node.log"):
        node = Node(settings_for(settings, Path(folder) / "node", lang))
        node.start()
        try:
            catalogue = Catalogue.open(node.settings)
            try:
                screen = Screen(node=node, catalogue=catalogue, out=out, console=console, lang=lang)
                code = play(SCENARIOS, screen, Path(folder))
                if not once:
                    _stay(screen)
            finally:
                catalogue.close()
        finally:
            node.stop()
    raise typer.Exit(code)


def settings_for(settings: Settings, storage: Path, lang: str) -> Settings:
    """Return settings for the node of a demo: a free port on this machine only, its own storage, short settling times."""
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


def play(scenarios: Sequence[Scenario], screen: Screen, folder: Path) -> int:
    """Make, send and follow every scenario; return the exit code: 0 all agree, 1 one does not, 2 one never came to its end."""
    from medqa.cli import send

    port = screen.node.port
    screen.console.print(f"A node listens on 127.0.0.1:{port}; {len(scenarios)} phantoms go to it by DICOM.", highlight=False)
    for number, scenario in enumerate(scenarios, start=1):
        files = folder / f"{number}"
        series_uid = scenario.write(files, number)
        screen.sent[series_uid] = Shown(number=number, name=scenario.name, agree=scenario.agree)
        items, _ = send.collect(files)
        send.store(items, "127.0.0.1", port, aet=screen.node.settings.node.ae_title)
        shutil.rmtree(files)
        screen.tell()
    last = time.monotonic()
    while not all(one.told for one in screen.sent.values()) and time.monotonic() - last < LONGEST_WAIT_S:
        time.sleep(POLL_S)
        if screen.tell():
            last = time.monotonic()
    return _sum_up(screen)


def _sum_up(screen: Screen) -> int:
    from rich.table import Table

    table = Table("#", "how it was made", "verdict", "agrees", title="\nDo the verdicts agree with how the series were made?")
    shown = list(screen.sent.values())
    for one in shown:
        verdict = one.verdict or ("not judged" if one.told else "none yet")
        agrees = "[green]✓ yes[/]" if one.agrees else f"[red]✗ no: {' or '.join(sorted(one.agree))}[/]"
        table.add_row(str(one.number), one.name, f"[{COLOURS.get(verdict, 'dim')}]{verdict}[/]", agrees)
    screen.console.print(table)
    where = f"Reports, assessments and DICOM objects: {screen.out}; the node's log: {screen.out / 'node.log'}"
    screen.console.print(where, highlight=False, soft_wrap=True)
    if not all(one.told for one in shown):
        screen.console.print("[red]Not every series came to its end.[/]")
        return 2
    return 0 if all(one.agrees for one in shown) else 1


def _stay(screen: Screen) -> None:
    """Go on receiving until Ctrl-C, and tell what becomes of each new series."""
    port, title = screen.node.port, screen.node.settings.node.ae_title
    screen.console.print(
        f"\nThe node goes on. Send it images of your own:\n   medqa send FOLDER --to 127.0.0.1:{port}\n"
        f"   storescu -aec {title} 127.0.0.1 {port} FILES\nCtrl-C ends it.",
        highlight=False,
        markup=False,
    )
    seen = max((record.id for record in screen.catalogue.all_series()), default=0)
    number = len(screen.sent)
    try:
        while True:
            for record in screen.catalogue.all_series(after_id=seen):
                seen, number = record.id, number + 1
                screen.sent[record.series_uid] = Shown(number=number, name=f"{record.modality} series {record.key}")
            screen.tell()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        screen.console.print("Ending what is under way …")


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send what the node's processes write on standard error to a file, for they inherit the descriptor, and what this one logs."""
    from dicom_node import telemetry

    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        with path.open("a", encoding="utf-8", buffering=1) as log, telemetry.written_to("node", log):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
