"""`medqa config show`: the settings in force, and where each could be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Look at the settings.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look at the settings."""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option(help="A TOML file; by default $MEDQA_CONFIG or ./medqa.toml.")] = None,
) -> None:
    """Print the settings in force as TOML, each with the environment variable that changes it."""
    from medqa.config import load

    for line in lines(load(config).model_dump(mode="json"), ()):
        typer.echo(line)


def lines(tree: dict[str, Any], place: tuple[str, ...]) -> list[str]:
    """Return `tree` as TOML lines; what is not set stands as a comment."""
    out, tables = [], []
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            tables.append((name, value))
            continue
        variable = "MEDQA_" + "__".join((*place, name)).upper()
        unset = value is None or value == {}
        text = f"# {name} is not set" if unset else f"{name} = {_toml(value)}"
        out.append(f"{text:<44} # {variable}")
    if place:
        out.insert(0, f"\n[{'.'.join(place)}]")
    for name, value in tables:
        out.extend(lines(value, (*place, name)))
    return out


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items() if item is not None) + " }"
    return str(value)
