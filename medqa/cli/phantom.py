"""`medqa phantom KIND OUT`: a CT phantom as DICOM, with a maker's way of writing headers and the truth of what is in it."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from medqa.simulate.ct_scan import Scan
    from medqa.simulate.phantom import Phantom
    from medqa.simulate.reformat import Planes

EXAMPLE: Final = "medqa phantom acr out/ --vendor ge --kernel sharp"


class Plane(StrEnum):
    """How the slices can lie."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


class Kernel(StrEnum):
    """The kernels that can be asked for by name."""

    SOFT = "soft"
    SHARP = "sharp"


def run(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Which phantom; --list describes all.", show_default=False)] = "",
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="A folder for the result; new, or empty.", show_default=False)
    ] = None,
    vendor: Annotated[str, typer.Option(help="Whose way of writing headers to follow; --list describes all.")] = "ge",
    size: Annotated[int, typer.Option(help="Rows and columns.", min=16, max=4096)] = 512,
    slices: Annotated[
        int | None, typer.Option(help="Number of slices; by default the whole phantom.", min=1, max=9999, show_default=False)
    ] = None,
    spacing: Annotated[
        float | None, typer.Option(help="Distance of slices in mm; by default 5.", min=0.05, max=200.0, show_default=False)
    ] = None,
    pixel: Annotated[
        float | None, typer.Option(help="Size of a pixel in mm; by default all is seen.", min=0.02, max=20.0, show_default=False)
    ] = None,
    dose: Annotated[float, typer.Option(help="Dose as a share of a full one.", min=0.001, max=1000.0)] = 1.0,
    kernel: Annotated[Kernel, typer.Option(help="Kernel of the reconstruction.")] = Kernel.SOFT,
    plane: Annotated[Plane, typer.Option(help="Axial slices, or others made from them.")] = Plane.AXIAL,
    tilt: Annotated[
        float, typer.Option(help="Tilt of the gantry in degrees; what is made from axial slices leans by it.", min=-45.0, max=45.0)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn by chance.", min=0)] = 0,
    list_: Annotated[bool, typer.Option("--list", help="Describe every phantom and vendor.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else: the list, or the truth.")] = False,
) -> None:
    """Make a CT phantom: water, an ACR-like cylinder, abdomen, chest or head.

    OUT gets the DICOM files in 01-CT and truth.json with noise, and place, size and CT number of every test object.
    """
    if list_:
        _list(json_)
        return
    if not kind or out is None:
        message = f"Give KIND and OUT, as in: {EXAMPLE}\n`medqa phantom --list` describes every phantom and vendor."
        raise typer.BadParameter(message)
    from medqa.simulate.ct_phantoms import kind_of
    from medqa.simulate.ct_scan import SHARP_PER_MM, SOFT_PER_MM, Scan

    scan = Scan(
        slices=slices,
        size=size,
        spacing_mm=spacing or kind_of(kind).spacing_mm,
        pixel_mm=pixel,
        dose=dose,
        cutoff_per_mm=SHARP_PER_MM if kernel is Kernel.SHARP else SOFT_PER_MM,
    )
    _make(kind, out, vendor, scan, seed, plane, tilt, json_)


def _make(name: str, out: Path, vendor_name: str, scan: Scan, seed: int, plane: Plane, tilt_deg: float, json_: bool) -> None:
    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from medqa.simulate import ct_phantoms, reformat, vendors

    vendor = vendors.vendor_of(vendor_name)
    _check(out)
    console = Console(stderr=json_)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        making = bar.add_task("scanning", total=None)
        made = ct_phantoms.make(name, np.random.default_rng(seed), scan)
        bar.update(making, total=len(made.array), completed=len(made.array))
        wanted = None if plane is Plane.AXIAL else reformat.planes(plane, made.grid, lean_deg=tilt_deg)
        writing = bar.add_task("writing", total=len(made.array) if wanted is None else wanted.slices)
        vendors.save(
            out / "01-CT",
            made,
            vendor,
            seed=seed,
            tilt_deg=tilt_deg,
            wanted=wanted,
            progress=lambda done: bar.update(writing, completed=done),
        )
    truth = _truth(made, vendor_name, seed, tilt_deg, wanted)
    text = json.dumps(truth, indent=1)
    (out / "truth.json").write_text(text + "\n", encoding="utf-8")
    if json_:
        sys.stdout.write(text + "\n")
    else:
        _show(console, truth, out)


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
        "folder": "01-CT",
    }
    known = {} if made.known is None else made.known.to_json()
    if wanted is not None and "noise_hu" in known:
        # Interpolation and the mean over the thickness leave less of it.
        known["axial_noise_hu"] = known.pop("noise_hu")
    return place | known


def _show(console: Console, truth: dict[str, Any], out: Path) -> None:
    size = f"{truth['slices']} slices of {truth['rows']} x {truth['columns']} pixels of {truth['pixel_mm']:.3g} mm"
    noise = f"noise {truth['noise_hu']:.1f} HU" if "noise_hu" in truth else f"noise {truth['axial_noise_hu']:.1f} HU before"
    lines = [
        f"{truth['kind']}, {truth['plane']}: {size}, {truth['spacing_mm']:g} mm apart, {noise}",
        f"Truth: {out / 'truth.json'}",
        f"Judge it: medqa assess {out / '01-CT'}",
    ]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _list(json_: bool) -> None:
    from medqa.simulate.ct_phantoms import KINDS
    from medqa.simulate.vendors import VENDORS

    phantoms = {kind.name: kind.summary for kind in KINDS.values()}
    makers = {vendor.name: vendor.summary for vendor in VENDORS.values()}
    if json_:
        json.dump({"phantoms": phantoms, "vendors": makers}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for title, entries in (("Phantoms", phantoms), ("Vendors", makers)):
        print(title)
        for name, summary in entries.items():
            print(f"    {name:<12} {summary}")
    print(f"Example:\n    {EXAMPLE}")
