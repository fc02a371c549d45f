"""`medqa models`: the networks on the shelf, and whether each passes its self-test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None) -> None:
    """List the model bundles, and test each with its own frames."""
    from rich.console import Console
    from rich.table import Table

    from medqa.config import load
    from medqa.iqa import bundle

    shelf = bundle.load(load(config))
    table = Table("bundle", "modality", "kind", "weights (SHA-256)", "state")
    for scorer in shelf.scorers:
        table.add_row(scorer.name, scorer.modality, scorer.kind, scorer.digest[:16], "passes its self-test")
    for lost in shelf.unusable:
        table.add_row(lost.name, "", "", "", f"unusable: {lost.code} {lost.text}")
    console = Console()
    console.print(table)
    if not shelf.scorers:
        console.print("No usable network: every series would end in REVIEW. Is the folder `models` where `medqa doctor` looks?")
    raise typer.Exit(1 if shelf.unusable or not shelf.scorers else 0)
