"""`medqa serve`: receive series over DICOM, judge them while they arrive, and send the results on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dicom_node.node import Node


def run(
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Listen here; 0 lets the system choose. Wins over node.port.")
    ] = None,
    storage: Annotated[Path | None, typer.Option(help="Keep objects and catalogue here. Wins over node.storage.")] = None,
) -> None:
    """Receive CT, MR and PET series, judge each while it arrives, and send report and verdict to the archive."""
    from dicom_node import telemetry
    from dicom_node.node import Node
    from medqa.config import load

    settings = load(config)
    given = {"port": port, "storage": storage}
    node_settings = settings.node.model_copy(update={name: value for name, value in given.items() if value is not None})
    settings = settings.model_copy(update={"node": node_settings})
    telemetry.configure("node")
    node = Node(settings)

    def ask_to_end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ask_to_end)
    try:
        node.start()
        _greet(node)
        node.wait()
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("Ending what is under way …", flush=True)
        node.stop()


def _greet(node: Node) -> None:
    """Say where it listens, what it judges with, and how to end it."""
    settings = node.settings
    facts = node.facts("scorer")
    results = settings.routing.results
    lines = [
        f"medqa listens as {settings.node.ae_title} on port {node.port} (C-ECHO, C-STORE).",
        f"Objects, catalogue and reports: {settings.node.storage}",
        f"Bundles: {', '.join(facts.get('usable', ())) or 'none: every series ends in REVIEW'}",
        *(f"Unusable bundle {name}: {code} {text}" for name, code, text in facts.get("unusable", ())),
        f"Results go to {results}." if results else "Results stay here: set routing.results to send them to an archive.",
        "Ctrl-C ends it; nothing that was acknowledged is lost.",
    ]
    print("\n".join(lines), flush=True)
