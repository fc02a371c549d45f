"""The door: `medqa COMMAND`. One file a command; what is heavy is imported by a command when it runs."""

from __future__ import annotations

import sys
import traceback

import typer

from medqa.cli import assess, config, demo, doctor, iqac, models, phantom, send, serve, simulate
from medqa.errors import MedqaError

app = typer.Typer(
    name="medqa",
    help="Judges the image quality of CT, MR and PET series between the scanner and the archive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _name, _module in {
    "serve": serve,
    "assess": assess,
    "send": send,
    "demo": demo,
    "simulate": simulate,
    "iqac": iqac,
    "phantom": phantom,
    "models": models,
    "doctor": doctor,
}.items():
    app.command(_name, cls=getattr(_module, "COMMAND", None))(_module.run)
app.add_typer(config.app, name="config")


def main() -> None:
    """Run a command; an error ends it with exit code 2 and its code on stderr."""
    try:
        app()
    except MedqaError as error:
        print(str(error), file=sys.stderr)
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the rim of the process: whatever ends a command is told with a code
        traceback.print_exc()
        print("MQ999: medqa met an error it did not expect; please report it with the lines above.", file=sys.stderr)
        sys.exit(2)
