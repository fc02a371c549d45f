"""`medqa doctor`: what is installed, what is missing, is the port free, do the weights match."""

from __future__ import annotations

import importlib.metadata
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from medqa.config import Settings

NEEDED = (
    "pydicom",
    "pynetdicom",
    "SimpleITK",
    "monai",
    "torch",
    "numpy",
    "reportlab",
    "captum",
    "onnxruntime",
    "highdicom",
    "SQLAlchemy",
)
DECODERS = ("pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls", "python-gdcm")
PEERS = {"dciodvfy": "dicom3tools", "storescu": "dcmtk", "Orthanc": "orthanc", "pdftoppm": "poppler-utils"}


class Check(NamedTuple):
    """One line: `state` is `ok`, `note` (medqa works without) or `fault`."""

    state: str
    what: str
    says: str


def run(config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None) -> None:
    """Check this installation, line by line; exit code 1 when something that medqa needs is missing."""
    from rich.console import Console
    from rich.table import Table

    from medqa.config import load

    settings = load(config)
    checks = [check for examine in EXAMINATIONS for check in examine(settings)]
    table = Table("", "what", "says")
    marks = {"ok": "[green]✓ ok", "note": "[yellow]– note", "fault": "[red]✗ fault"}
    for check in checks:
        table.add_row(marks[check.state], check.what, check.says)
    Console().print(table)
    raise typer.Exit(1 if any(check.state == "fault" for check in checks) else 0)


def _packages(_: Settings) -> Iterator[Check]:
    for name in (*NEEDED, *DECODERS):
        try:
            yield Check("ok", name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check("fault", name, "not installed; run `make` or `pip install medqa`")


def _peers(_: Settings) -> Iterator[Check]:
    for program, package in PEERS.items():
        found = shutil.which(program)
        yield Check("ok" if found else "note", program, "found" if found else f"not found; only tests need it (Debian: {package})")


def _port(settings: Settings) -> Iterator[Check]:
    node = settings.node
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((node.host, node.port))
        except OSError as error:
            yield Check("fault", f"port {node.port}", f"{error.strerror}; is a node running? choose another with MEDQA_NODE__PORT")
        else:
            yield Check("ok", f"port {node.port}", "free")


def _storage(settings: Settings) -> Iterator[Check]:
    folder = settings.node.storage.absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free // 2**20
    state = "ok" if free > settings.node.disk_reserve_mb else "fault"
    yield Check(state, "storage", f"{folder.name}: {free} MiB free, {settings.node.disk_reserve_mb} MiB kept in reserve")


def _bundles(settings: Settings) -> Iterator[Check]:
    from medqa.iqa import bundle

    shelf = bundle.load(settings)
    for scorer in shelf.scorers:
        yield Check("ok", scorer.name, f"weights match ({scorer.digest[:12]}…), self-test passed")
    for lost in shelf.unusable:
        yield Check("fault", lost.name, f"{lost.code} {lost.text}")
    if not shelf.scorers and not shelf.unusable:
        yield Check("fault", "models", "no bundle found; set `models` to their folder")


def _destinations(settings: Settings) -> Iterator[Check]:
    for name, place in settings.routing.destinations.items():
        try:
            socket.create_connection((place.host, place.port), timeout=3).close()
        except OSError as error:
            yield Check("note", f"destination {name}", f"does not answer ({error}); objects for it will wait")
        else:
            yield Check("ok", f"destination {name}", "answers")
    if not settings.routing.destinations:
        yield Check("note", "destinations", "none set: reports stay in the storage folder; see [routing] in `medqa config show`")


EXAMINATIONS: tuple[Callable[[Settings], Iterator[Check]], ...] = (_packages, _peers, _storage, _port, _destinations, _bundles)
