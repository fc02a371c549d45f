"""`python -m tests.proofs.sheets`: a contact sheet of every kind of degradation, and the page that shows them.

Each sheet: the clean phantom, three of the four declared strengths, and where the truth says that the artefact is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from medqa.simulate import phantom
from medqa.simulate.ct import KINDS, apply
from medqa.simulate.degradation import Kind
from medqa.simulate.series_faults import FAULTS
from tests.proofs import series_sheets

LEVELS: Final = (1, 2, 4)
SEED: Final = 11
WINDOW: Final = (-160.0, 240.0)
SIZE: Final = 320
OUT: Final = Path("docs/img/ct")
OUT_SERIES: Final = Path("docs/img/series")
PAGE: Final = Path("docs/simulation.md")

HEAD: Final = """# CT degradations

Made by `make sheets` from the code itself; `medqa simulate --list` prints the same tables. A phantom's slice, window W400/L40,
three of the four declared strengths, and the region that the truth names (red). "Everywhere" means that it is diffuse.

The severity is measured on the result: the root mean square change in the body.
"""
FAULTS_HEAD: Final = """
# Faults of whole series

For any modality; what chance chose is listed slice by slice in `truth.json`. A coronal cut through the left half of a chest
phantom, slices 5 mm apart: three of the four declared strengths, and beside the last which slices it touches (red). Lost slices are
blue.
Where neighbours are alike, a slice shown twice is hard to see: look at the borders of the ribs and of the diaphragm.
"""
SLAB_HEAD: Final = """
# In a slab alone

`medqa simulate --slab` spoils some slices and leaves the others as they are. Every kind at its full strength in the slices marked
red, the middle half of the chest phantom; coronal cuts where the change is large.
"""


def main() -> None:
    """Draw every sheet and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", help="only these kinds; the page stays as it is")
    chosen = parser.parse_args().kind
    for folder in (OUT, OUT_SERIES):
        folder.mkdir(parents=True, exist_ok=True)
    clean = phantom.ct(np.random.default_rng(SEED), slices=1, size=SIZE)
    stack = series_sheets.stack(SEED)
    parts = [HEAD]
    kinds = [kind for kind in KINDS.values() if not chosen or kind.name in chosen]
    parts += [section(kind, sheet(kind, clean.array[0], clean.grid.pixel_mm), OUT) for kind in kinds]
    parts.append(FAULTS_HEAD)
    for fault in FAULTS.values():
        if not chosen or fault.name in chosen:
            path = OUT_SERIES / f"{fault.name}.png"
            parts.append(section(fault, series_sheets.fault_sheet(fault, stack, SEED, path), OUT_SERIES))
    if not chosen:
        parts.append(SLAB_HEAD)
        parts += [f"![a slab alone]({shown(path)})\n" for path in series_sheets.slab_sheets(stack, SEED, OUT_SERIES)]
        PAGE.write_text("\n".join(parts), encoding="utf-8")


def sheet(kind: Kind, image: np.ndarray, pixel_mm: float) -> list[float]:
    """Draw the sheet of a kind; return the severities of the strengths on it, in HU."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(LEVELS) + 2, figsize=(12.5, 2.95), dpi=80)
    show(axes[0], image, "clean")
    severities = []
    for axis, level in zip(axes[1:], LEVELS, strict=False):
        plan = kind.plan(np.random.default_rng(SEED), pixel_mm=pixel_mm, level=level)
        done = apply(image, plan, pixel_mm=pixel_mm)
        show(axis, done.array, f"{kind.levels[level - 1]:g} {kind.strength.unit if kind.strength.unit != '1' else ''}")
        severities.append(done.severity)
    show(axes[-1], done.array, "everywhere" if done.mask is None else f"mask, {done.mask.mean():.0%} of the image")
    if done.mask is not None:
        red = np.zeros((*image.shape, 4))
        red[done.mask] = (1, 0.1, 0.1, 0.45)
        axes[-1].imshow(red)
    figure.tight_layout(pad=0.5)
    figure.savefig(OUT / f"{kind.name}.png", metadata={"Software": None})
    pyplot.close(figure)
    return severities


def show(axis: Any, image: np.ndarray, title: str) -> None:
    """Draw a slice in the soft-tissue window."""
    axis.imshow(image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1])
    axis.set_title(title, fontsize=9)
    axis.axis("off")


def shown(path: Path) -> str:
    """Return a picture's path as the page names it."""
    return path.relative_to(PAGE.parent).as_posix()


def section(kind: Kind, severities: list[float], folder: Path) -> str:
    """Return the part of the page about a kind, Markdown."""
    rows = [f"| `{one.name}` | {one.meaning} | {one.unit} | {one.low:g} to {one.high:g} |" for one in kind.parameters]
    levels = ", ".join(f"{value:g}" for value in kind.levels)
    measured = ", ".join(f"{value:.0f}" for value in severities)
    lines = [
        f"\n## `{kind.full_name}`",
        "",
        kind.summary + (f" Source: {kind.source}." if kind.source else ""),
        "",
        f"![{kind.full_name}]({shown(folder / f'{kind.name}.png')})",
        "",
        f"Declared strengths of `{kind.strength.name}`: {levels} {kind.strength.unit}.",
        # A slice that is lost has no pixels that could have changed.
        *([f"Severity of the three that are shown: {measured} HU."] if any(severities) else []),
        "",
        "| parameter | meaning | unit | range |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
