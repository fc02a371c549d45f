"""`medqa phantom KIND OUT`: a CT, MR or PET phantom as DICOM, with a maker's way of writing headers and the truth of it."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from medqa.cli.beside import LABELS, TRUTH

if TYPE_CHECKING:
    from rich.console import Console

    from medqa.simulate.phantom import Phantom
    from medqa.simulate.reformat import Planes

EXAMPLE: Final = "medqa phantom acr out/ --vendor ge --kernel sharp"
OWN: Final = {"CT": ("dose", "kernel", "plane", "tilt"), "MR": ("weighting", "snr", "coil"), "PT": ("counts",)}
"""Options that only phantoms of one modality have."""


class Plane(StrEnum):
    """How the slices can lie."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


class Kernel(StrEnum):
    """The kernels that can be asked for by name."""

    SOFT = "soft"
    SHARP = "sharp"


class Weighting(StrEnum):
    """The contrasts of MR."""

    T1 = "t1"
    T2 = "t2"
    FLAIR = "flair"


def run(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Which phantom; --list describes all.", show_default=False)] = "",
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="A folder for the result; new, or empty.", show_default=False)
    ] = None,
    vendor: Annotated[str, typer.Option(help="Whose way of writing headers to follow; --list describes all.")] = "ge",
    size: Annotated[
        int | None,
        typer.Option(help="Rows and columns; by default 512 (CT), 256 (MR), 128 (PET).", min=16, max=4096, show_default=False),
    ] = None,
    slices: Annotated[
        int | None, typer.Option(help="Number of slices; by default the whole phantom.", min=1, max=9999, show_default=False)
    ] = None,
    spacing: Annotated[
        float | None,
        typer.Option(
            help="Distance of slices in mm; by default 3 to 10, as usual for it.", min=0.05, max=200.0, show_default=False
        ),
    ] = None,
    pixel: Annotated[
        float | None, typer.Option(help="Size of a pixel in mm; by default all is seen.", min=0.02, max=20.0, show_default=False)
    ] = None,
    dose: Annotated[
        float | None, typer.Option(help="CT: dose as a share of a full one, 1.", min=0.001, max=1000.0, show_default=False)
    ] = None,
    kernel: Annotated[Kernel | None, typer.Option(help="CT: kernel, soft.", show_default=False)] = None,
    plane: Annotated[Plane | None, typer.Option(help="CT: axial slices, or others made from them.", show_default=False)] = None,
    tilt: Annotated[
        float | None,
        typer.Option(
            help="CT: tilt of the gantry in degrees, 0; what is made from axial slices leans by it.",
            min=-45.0,
            max=45.0,
            show_default=False,
        ),
    ] = None,
    weighting: Annotated[Weighting | None, typer.Option(help="MR: contrast of the head, t1.", show_default=False)] = None,
    snr: Annotated[
        float | None,
        typer.Option(
            help="MR: signal of white matter or fluid over the noise of a channel, 50.", min=0.1, max=1e6, show_default=False
        ),
    ] = None,
    coil: Annotated[
        float | None,
        typer.Option(help="MR: unevenness of the coil as a share of a head coil's, 1.", min=0.0, max=3.0, show_default=False),
    ] = None,
    counts: Annotated[
        float | None,
        typer.Option(help="PET: counts as a share of three minutes a bed, 1.", min=0.001, max=1000.0, show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn by chance.", min=0)] = 0,
    list_: Annotated[bool, typer.Option("--list", help="Describe every phantom and vendor.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else: the list, or the truth.")] = False,
) -> None:
    """Make a phantom with CT (water, ACR-like, abdomen, chest, head), MR (head, ACR-like) or PET (body, NEMA-like, cylinder).

    OUT gets the DICOM files in a folder and truth.json: noise, and place, size and value of every test object, tissue or lesion.
    """
    if list_:
        _list(json_)
        return
    if not kind or out is None:
        message = f"Give KIND and OUT, as in: {EXAMPLE}\n`medqa phantom --list` describes every phantom and vendor."
        raise typer.BadParameter(message)
    from medqa.simulate.phantoms import modality_of

    modality = modality_of(kind)
    told = {"dose": dose, "kernel": kernel, "plane": plane, "tilt": tilt, "weighting": weighting, "snr": snr, "coil": coil}
    given = {name: value for name, value in (told | {"counts": counts}).items() if value is not None}
    for name in given:
        if name not in OWN[modality]:
            owner = next(of for of, names in OWN.items() if name in names)
            message = f"--{name} is for {owner} phantoms, and {kind} is one of {modality}."
            raise typer.BadParameter(message)
    stack = {"slices": slices, "size": size, "spacing_mm": spacing, "pixel_mm": pixel}
    asked = {name: value for name, value in stack.items() if value is not None}
    _make(kind, out, vendor, asked | given, seed, json_)


def _make(name: str, out: Path, vendor: str, asked: dict[str, Any], seed: int, json_: bool) -> None:
    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from medqa.simulate import phantoms, reformat
    from medqa.simulate.ct_scan import SHARP_PER_MM, SOFT_PER_MM

    tilt_deg, plane = asked.pop("tilt", 0.0), asked.pop("plane", Plane.AXIAL)
    if "kernel" in asked:
        asked["cutoff_per_mm"] = SHARP_PER_MM if asked.pop("kernel") is Kernel.SHARP else SOFT_PER_MM
    phantoms.check_vendor(name, vendor)
    _check(out)
    console = Console(stderr=json_)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        making = bar.add_task("scanning", total=None)
        generator = np.random.default_rng(seed)
        made = phantoms.scanned(name, generator, asked, lambda done, total: bar.update(making, completed=done, total=total))
        bar.update(making, total=len(made.array), completed=len(made.array))
        wanted = None if plane is Plane.AXIAL else reformat.planes(plane, made.grid, lean_deg=tilt_deg)
        writing = bar.add_task("writing", total=len(made.array) if wanted is None else wanted.slices)
        phantoms.save(
            out / _folder(made),
            made,
            vendor,
            seed=seed,
            tilt_deg=tilt_deg,
            wanted=wanted,
            progress=lambda done: bar.update(writing, completed=done),
        )
    truth = _truth(made, vendor, seed, tilt_deg, wanted)
    if phantoms.save_labels(out / LABELS, made):
        truth["label_file"] = LABELS
    text = json.dumps(truth, indent=1)
    (out / TRUTH).write_text(text + "\n", encoding="utf-8")
    if json_:
        sys.stdout.write(text + "\n")
    else:
        _show(console, truth, out)


def _folder(made: Phantom) -> str:
    return f"01-{made.modality}"


def _check(out: Path) -> None:
    from medqa.errors import OutputRefused

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputRefused(folder=out, reason="it is not empty" if out.is_dir() else "it is a file")


def _truth(made: Phantom, vendor: str, seed: int, tilt_deg: float, wanted: Planes | None) -> dict[str, Any]:
    from medqa.simulate.placement import tilted

    grid = made.grid
    first_z_mm = float(grid.heights_mm[0])
    if wanted is None:
        placed = tilted(first_z_mm=first_z_mm, spacing_mm=grid.spacing_mm, tilt_deg=tilt_deg)
        shape = (grid.slices, grid.size, grid.size)
    else:
        placed = wanted.placement
        shape = (wanted.slices, wanted.rows, wanted.columns)
    place = {
        "vendor": vendor,
        "seed": seed,
        "plane": Plane.AXIAL if wanted is None else wanted.name,
        "slices": shape[0],
        "rows": shape[1],
        "columns": shape[2],
        "pixel_mm": grid.pixel_mm,
        "spacing_mm": grid.spacing_mm,
        "first_z_mm": first_z_mm,
        "tilt_deg": tilt_deg,
        # A tilted gantry leans the phantom as well: what is in it is told in the slices' own directions, from their middle.
        "in_slices": wanted is None and tilt_deg != 0,
        "orientation": list(placed.cosines),
        "first_centre_mm": list(placed.first_mm),
        "step_mm": list(placed.step_mm),
        "folder": _folder(made),
    }
    known = {} if made.known is None else made.known.to_json()
    if wanted is not None and "noise_hu" in known:
        # Interpolation and the mean over the thickness leave less of it.
        known["axial_noise_hu"] = known.pop("noise_hu")
    return place | known


def _show(console: Console, truth: dict[str, Any], out: Path) -> None:
    size = f"{truth['slices']} slices of {truth['rows']} x {truth['columns']} pixels of {truth['pixel_mm']:.3g} mm"
    lines = [
        f"{truth['kind']}, {truth['plane']}: {size}, {truth['spacing_mm']:g} mm apart, {_noise(truth)}",
        f"Truth: {out / TRUTH}",
        f"Judge it: medqa assess {out / truth['folder']}",
    ]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _noise(truth: dict[str, Any]) -> str:
    for name, said in (
        ("noise_hu", "noise {:.1f} HU"),
        ("axial_noise_hu", "noise {:.1f} HU before"),
        ("snr", "signal to noise {:g}"),
        ("counts", "{:g} of full counts"),
    ):
        if name in truth:
            return said.format(truth[name])
    return "noise not known"


def _list(json_: bool) -> None:
    from medqa.simulate.phantoms import KINDS, VENDORS

    if json_:
        phantoms = {name: summary for kinds in KINDS.values() for name, summary in kinds.items()}
        json.dump({"phantoms": phantoms, "vendors": VENDORS}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for title, families in (("Phantoms", KINDS), ("Vendors", VENDORS)):
        for modality, entries in families.items():
            print(f"{title} of {modality}")
            for name, summary in entries.items():
                print(f"    {name:<12} {summary}")
    print(f"Example:\n    {EXAMPLE}")
