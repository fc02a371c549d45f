"""`python -m tests.proofs.sheets`: a contact sheet of every kind of degradation, and the pages that show them.

Each sheet: the clean phantom, three of the four declared strengths, and where the truth says that the artefact is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from medqa import simulate
from medqa.simulate import phantom
from medqa.simulate.catalogue import KINDS
from medqa.simulate.degradation import Kind
from medqa.simulate.mr.k_space import PHASE_AXIS
from medqa.simulate.series_faults import FAULTS
from medqa.simulate.series_headers import HEADERS
from medqa.volume import Array
from tests.proofs import series_sheets

LEVELS: Final = (1, 2, 4)
SEED: Final = 11
SIZE: Final = 320
OUT_SERIES: Final = Path("docs/img/series")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheets:
    """How the sheets of a modality look: the clean slice and its window, and the page with the pictures' folder and its opening."""

    title: str
    opening: str
    unit: str
    colours: str
    page: Path
    pictures: Path
    clean: Callable[[], tuple[Array, float]]
    """Returns a slice `(y, x)` and the size of a pixel in mm."""
    window: Callable[[Array], tuple[float, float]]

    def shown(self, path: Path) -> str:
        """Return a picture's path as the page names it."""
        return path.relative_to(self.page.parent).as_posix()


def _middle(made: phantom.Phantom) -> tuple[Array, float]:
    return made.array[len(made.array) // 2], made.grid.pixel_mm


SHEETS: Final = {
    "CT": Sheets(
        title="CT degradations",
        opening="A phantom's slice, window W400/L40",
        unit="HU",
        colours="gray",
        page=Path("docs/simulation.md"),
        pictures=Path("docs/img/ct"),
        clean=lambda: _middle(phantom.ct(np.random.default_rng(SEED), slices=1, size=SIZE)),
        window=lambda image: (-160.0, 240.0),
    ),
    "MR": Sheets(
        title="MR degradations",
        opening="A phantom's slice, made worse in k-space; phase is encoded along the rows",
        unit="of the mean signal",
        colours="gray",
        page=Path("docs/simulation_mr.md"),
        pictures=Path("docs/img/mr"),
        clean=lambda: _middle(phantom.mr(np.random.default_rng(SEED), slices=9)),
        window=lambda image: (0.0, float(np.percentile(image, 99.5))),
    ),
    "PT": Sheets(
        title="PET degradations",
        opening="A phantom's slice through the liver",
        unit="of the mean activity",
        colours="gray_r",
        page=Path("docs/simulation_pt.md"),
        pictures=Path("docs/img/pt"),
        clean=lambda: _liver(phantom.pet(np.random.default_rng(SEED), slices=40, spacing_mm=20.0)),
        window=lambda image: (0.0, float(np.percentile(image, 99.8))),
    ),
}


def _liver(made: phantom.Phantom) -> tuple[Array, float]:
    return made.array[int(np.argmin(np.abs(made.grid.heights_mm - 20.0)))], made.grid.pixel_mm


HEAD: Final = """# {title}

Made by `make sheets` from the code itself; `medqa simulate --list` prints the same tables. {opening}, three of
the four declared strengths, and the region that the truth names (red). "Everywhere" means that it is diffuse.

The severity is measured on the result: the root mean square change in the body ({unit}).
"""
HEADERS_HEAD: Final = """
# Faults of the header

Pixels stay. The severity is how far the uptake values are off, as a share.
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
    """Draw every sheet and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modality", choices=list(SHEETS), action="append", help="which modalities; all by default")
    parser.add_argument("--kind", action="append", help="only these kinds; the pages stay as they are")
    arguments = parser.parse_args()
    for modality in arguments.modality or SHEETS:
        sheets, chosen = SHEETS[modality], arguments.kind
        sheets.pictures.mkdir(parents=True, exist_ok=True)
        clean, pixel_mm = sheets.clean()
        parts = [HEAD.format(title=sheets.title, opening=sheets.opening, unit=sheets.unit)]
        kinds = [kind for kind in KINDS[modality].values() if not chosen or kind.name in chosen]
        parts += [section(sheets, kind, sheet(sheets, kind, clean, pixel_mm), sheets.pictures) for kind in kinds]
        if modality == "PT":
            parts += [HEADERS_HEAD, *(section(sheets, kind, [], None) for kind in HEADERS.values())]
        if modality == "CT":
            parts += _series(sheets, chosen)
        if not chosen:
            sheets.page.write_text("\n".join(parts), encoding="utf-8")


def _series(sheets: Sheets, chosen: Sequence[str] | None) -> list[str]:
    """Draw the sheets of whole series, which stand on CT's page; return its parts."""
    OUT_SERIES.mkdir(parents=True, exist_ok=True)
    stack = series_sheets.stack(SEED)
    parts = [FAULTS_HEAD]
    for fault in FAULTS.values():
        if not chosen or fault.name in chosen:
            path = OUT_SERIES / f"{fault.name}.png"
            parts.append(section(sheets, fault, series_sheets.fault_sheet(fault, stack, SEED, path), OUT_SERIES))
    if not chosen:
        slabs = series_sheets.slab_sheets(stack, SEED, OUT_SERIES)
        parts += [SLAB_HEAD, *(f"![a slab alone]({sheets.shown(path)})\n" for path in slabs)]
    return parts


def sheet(sheets: Sheets, kind: Kind, image: Array, pixel_mm: float) -> list[float]:
    """Draw the sheet of a kind; return the severities of the strengths on it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(LEVELS) + 2, figsize=(12.5, 2.95), dpi=80)
    low, high = sheets.window(image)

    def show(axis: Any, array: Array, title: str) -> None:
        axis.imshow(array, cmap=sheets.colours, vmin=low, vmax=high)
        axis.set_title(title, fontsize=9)
        axis.axis("off")

    show(axes[0], image, "clean")
    severities = []
    given = {PHASE_AXIS.name: 1.0} if PHASE_AXIS in kind.others else {}
    for axis, level in zip(axes[1:], LEVELS, strict=False):
        plan = kind.plan(np.random.default_rng(SEED), pixel_mm=pixel_mm, level=level, given=given)
        done = simulate.apply(image, plan, pixel_mm=pixel_mm)
        show(axis, done.array, f"{kind.levels[level - 1]:g} {kind.strength.unit if kind.strength.unit != '1' else ''}")
        severities.append(done.severity)
    show(axes[-1], done.array, "everywhere" if done.mask is None else f"mask, {done.mask.mean():.0%} of the image")
    if done.mask is not None:
        red = np.zeros((*image.shape, 4))
        red[done.mask] = (1, 0.1, 0.1, 0.45)
        axes[-1].imshow(red)
    figure.tight_layout(pad=0.5)
    path = sheets.pictures / f"{kind.name}.png"
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
    # A palette of 128 colours shows greys and the red as well, in a third of the bytes.
    with Image.open(path) as picture:
        picture.quantize(128).save(path, optimize=True)
    return severities


def section(sheets: Sheets, kind: Kind, severities: list[float], folder: Path | None) -> str:
    """Return the part of the page about a kind, Markdown."""
    rows = [f"| `{one.name}` | {one.meaning} | {one.unit} | {one.low:g} to {one.high:g} |" for one in kind.parameters]
    levels = ", ".join(f"{value:g}" for value in kind.levels) + ("" if kind.strength.unit == "1" else f" {kind.strength.unit}")
    measured = ", ".join(f"{value:.3g}" for value in severities)
    lines = [
        f"\n## `{kind.full_name}`",
        "",
        kind.summary + (f" Source: {kind.source}." if kind.source else ""),
        "",
        *([] if folder is None else [f"![{kind.full_name}]({sheets.shown(folder / f'{kind.name}.png')})", ""]),
        f"Declared strengths of `{kind.strength.name}`: {levels}.",
        # A slice that is lost has no pixels that could have changed.
        *([f"Severity of the three that are shown: {measured} {sheets.unit}."] if any(severities) else []),
        "",
        "| parameter | meaning | unit | range |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
