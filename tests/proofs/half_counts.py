"""Half of the counts of real whole-body PET: is the noise root two of what it was? The table is written to `docs/half_counts.md`.

python -m tests.proofs.half_counts --data FOLDER

The measures were written down before the test scan was measured with them. What is in discs of 50 mm has the liver's own structure
besides noise, which brings a ratio down; the difference of two slices some way apart has noise alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.metrics import pt_body_cov, pt_liver_cov
from medqa.metrics.pt_liver import liver_run
from medqa.reader import read
from medqa.regions import Regions
from medqa.series import FrameImage, Series
from medqa.simulate import pet

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "half_counts.md"
SCANS: Final = {
    "pt_sts001_ge_ds_fdg_wb": "train",
    "pt_qinhn0024_cps_fdg_wb": "train",
    "pt_anon_biograph64_fdg_wb": "test",
}
RADIUS_MM: Final = 25.0
AROUND_MM: Final = 15.0
"""To either side of the liver's widest section."""
APART_MM: Final = 10.0
COPIES: Final = 5
SHARE: Final = 0.1
"""The bar: so far the ratio may be off root two."""
WITHIN, BETWEEN, METRIC, BODY = "within discs", "between slices", "`pt_liver_cov`", "`pt_body_cov`"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")))
    data: Path = parser.parse_args().data
    rows = []
    for name, role in SCANS.items():
        (series,) = read(data / "pt" / f"{name}.zip").series
        found = ratios(series, tuple(frame.read() for frame in series.frames), COPIES)
        rows.append((name, role, {measure: [one[measure] for one in found] for measure in found[0]}))
        print(name, {measure: round(float(np.mean(values)), 3) for measure, values in rows[-1][2].items()}, flush=True)
    DOCUMENT.write_text(page(rows), encoding="utf-8")


def ratios(series: Series, images: Sequence[FrameImage], copies: int) -> list[dict[str, float]]:
    """Return the noise of copies with half of the counts over that of a scan, around the liver's widest section.

    Returns
    -------
    list of dict
        Within discs of 50 mm where the scan itself has its liver; between two slices 10 mm apart in these discs; the metric of the
        liver, which places its disc anew in the copy; and that of the body.
    """
    found: list[Mapping[str, Any] | None] = [pt_liver_cov.per_frame(Regions(image)) for image in images]
    first, run = liver_run("half counts", series, found)
    middle = first + int(np.argmax([one["radius"] for one in run]))
    depth = series.volume.spacing_mm[0]
    half, apart = round(AROUND_MM / depth), round(APART_MM / depth)
    clean = list(images[middle - half : middle + half + 1])
    discs = [_disc(image, place or {}) for image, place in zip(clean, found[middle - half : middle + half + 1], strict=True)]
    own = _measured(clean, discs, apart)
    return [
        {measure: value / own[measure] for measure, value in _measured(_copy(clean, seed), discs, apart).items()}
        for seed in range(copies)
    ]


def _measured(images: Sequence[FrameImage], discs: Sequence[NDArray[np.bool_]], apart: int) -> dict[str, float]:
    within, between = _noise([image.array for image in images], discs, apart)
    found = [pt_liver_cov.per_frame(Regions(image)) for image in images]
    liver = float(np.mean([one["sd"] / one["mean"] for one in found if one is not None]))
    bodies = [one for image in images if (one := pt_body_cov.per_frame(Regions(image))) is not None]
    return {WITHIN: within, BETWEEN: between, METRIC: liver, BODY: pt_body_cov.quantile(pt_body_cov.BINS.total(bodies))}


def _copy(clean: Sequence[FrameImage], seed: int) -> list[FrameImage]:
    rng = np.random.default_rng(seed)
    plan = pet.draw("thinned", 1, rng, pixel_mm=clean[0].spacing_mm[0])
    copies = []
    for image in clean:
        parameters = dict(plan.parameters) | {"seed": float(rng.integers(2**31))}
        made = pet.apply(image.array, dataclasses.replace(plan, parameters=parameters), pixel_mm=image.spacing_mm[0])
        copies.append(dataclasses.replace(image, array=made.array))
    return copies


def _disc(image: FrameImage, found: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return which pixels lie around the place that was found in the liver; all scans here are stored from right to left."""
    left, top, _ = image.frame.header.position_mm or (0.0, 0.0, 0.0)
    rows, columns = (np.arange(size) * spacing for size, spacing in zip(image.array.shape, image.spacing_mm, strict=True))
    inside: NDArray[np.bool_] = np.hypot(left + columns[None, :] - found["x"], top + rows[:, None] - found["y"]) <= RADIUS_MM
    return inside


def _noise(arrays: Sequence[NDArray[Any]], discs: Sequence[NDArray[np.bool_]], apart: int) -> tuple[float, float]:
    within = [array[disc].std() / array[disc].mean() for array, disc in zip(arrays, discs, strict=True)]
    pairs = zip(arrays, arrays[apart:], discs, strict=False)
    between = [(one[disc] / one[disc].mean() - other[disc] / other[disc].mean()).std() for one, other, disc in pairs]
    return float(np.mean(within)), float(np.mean(between))


def page(rows: Sequence[tuple[str, str, Mapping[str, Sequence[float]]]]) -> str:
    """Return the page, Markdown."""
    goal = np.sqrt(2)
    lines = [
        "# Half of the counts",
        "",
        "Made by `python -m tests.proofs.half_counts`: the noise of copies of real whole-body PET with half of the counts",
        f"(`pt-thinned`) over that of the scan itself, {2 * AROUND_MM:g} mm around the liver's widest section: mean and",
        f"deviation of {COPIES} copies. It should be √2 = {goal:.3f} within {100 * SHARE:g} %:",
        f"{goal * (1 - SHARE):.2f} to {goal * (1 + SHARE):.2f}.",
        "",
        f"- {WITHIN}: deviation over mean in discs of {2 * RADIUS_MM:g} mm where the scan has its liver; its structure counts,",
        f"- {BETWEEN}: deviation of the difference of two slices {APART_MM:g} mm apart in these discs: noise and chance,",
        f"- {METRIC}: the metric, whose smaller disc is placed anew where the copy is most even; {BODY}: the body's.",
        "",
        f"| scan | role | {WITHIN} | {BETWEEN} | mean of the two | within the bar | {METRIC} | {BODY} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, role, seen in rows:
        told = {measure: f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" for measure, values in seen.items()}
        both = float(np.mean([*seen[WITHIN], *seen[BETWEEN]]))
        met = "yes" if abs(both / goal - 1) <= SHARE else "no"
        lines.append(
            f"| `{name}` | {role} | {told[WITHIN]} | {told[BETWEEN]} | {both:.2f} | {met} | {told[METRIC]} | {told[BODY]} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
