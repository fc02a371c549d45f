"""Where brain may lie in an MR frame: inside the skull of a head that stands free in the frame, or nowhere.

Found in one frame alone, on blocks of about two millimetres. A head seen from above or below is oval; seen from the side or the
front, its cap is as wide as a head is, and only what lies above the skull base counts. In both, air surrounds it, and bone and the
fluid over the brain are a dark ring under the rim: an abdomen, a thigh or a crop of one lacks the first or the second. Bottles and
fruit may have all of it; whether there is brain inside is left to the histogram (`mr_tissue`). Where the limits come from, of the
middle frames of the training scans: whole axial heads touch 0 to 9 % of the border and have 95.8 to 99.2 % of themselves in the
ellipse; trunks, limbs and crops touch 0 to 87 % and have 86 to 97 % in it.

Noise must not hide a head: it is sought in the mean power of the blocks, from which the power of the air around it is taken off, as
McGibney and Smith do (Med Phys 1993; 20:1077, doi 10.1118/1.597004): a skull in strong noise is as dark as without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.regions import Mask, Regions, body_mask, ring
from medqa.volume import Array

NAME: Final = "mr_head"
MIN_ELEMENTS: Final = 400
"""A smaller head on the grid of blocks leaves too little brain to count."""
MAX_TOUCH: Final = 0.1
"""Share of the frame's border that the head may reach."""
MIN_ALONE: Final = 0.8
"""Share of the foreground that is the head: mosaics and both legs fall short."""
MIN_OVAL: Final = 0.955
"""Share of the head within the ellipse of the same moments."""
MAX_LENGTH: Final = 1.6
"""Longer over shorter axis of that ellipse."""
UPRIGHT: Final = 0.7
"""Cosine to the patient's axis from which on the frame shows the head from the side or the front."""
CAP_MM: Final = 85.0
"""From the vertex down: the skull base lies 90 to 110 mm below it."""
CAP_WIDTH_MM: Final = (110.0, 240.0)
DOME_MM: Final = 8.0
MAX_DOME: Final = 0.6
"""Mean width of the topmost `DOME_MM` over the largest: 0.45 for a sphere of a head's size, 1 for a limb that is cut off there."""
SECTORS: Final = 24
SHELLS: Final = 10
SHELL_DEPTH: Final = 0.3
"""Share of the largest depth within which scalp and skull lie."""
DARK: Final = 0.6
"""Darkest shell over the brightness of the inside."""
MIN_DARK_SECTORS: Final = 0.8
MIN_AREA_CM2: Final = 80.0
"""Of the place in an axial head: 97 to 157 in the training scans away from the vertex, 50 to 72 in a neck, a knee and a pig's
heart. Infants are not measured."""
MIN_CAP_AREA_CM2: Final = 60.0
"""Of the place above the skull base: 75 to 86 in three heads, 55 in fruit."""
BRAIN_DEPTH: Final = 0.25
"""Share of the largest depth under the rim that is left out: scalp and skull are 12 to 18 mm of some 75."""
MIN_AIR: Final = 0.05
"""Share of the frame outside the foreground that tells the power of the noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where brain may be, on the grid of blocks, `(y, x)`.

    `means` and `squares` are those of the values of each block; `depth` is the share of the largest distance to the rim.
    """

    brain: Mask
    means: Array
    squares: Array
    depth: NDArray[np.float64]


def brain_place(regions: Regions) -> Place | None:
    """Return where brain may be; None where the frame shows no head that stands free."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _find(regions)
    found: Place | None = regions.shared[NAME]
    return found


def blocks(array: Array, step: int) -> tuple[Array, Array]:
    """Return the means of whole blocks of `step` by `step` pixels, and of the squares, `(y, x)`; NaN where a value is missing."""
    rows, columns = (size // step * step for size in array.shape)
    sums: Array = np.zeros((rows // step, columns // step), dtype=np.float32)
    squares: Array = np.zeros_like(sums)
    for y in range(step):
        for x in range(step):
            part = array[y:rows:step, x:columns:step]
            sums += part
            squares += part * part
    share = np.float32(1 / (step * step))
    return sums * share, squares * share


def _find(regions: Regions) -> Place | None:
    from scipy import ndimage

    means, squares = blocks(regions.image.array, regions.step)
    if not means.size:
        return None
    power = ndimage.uniform_filter(np.nan_to_num(squares, nan=0.0, posinf=0.0), 3)
    body = body_mask(np.sqrt(power), "MR")
    labels, count = ndimage.label(body)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    head: Mask = labels == 1 + int(sizes.argmax())
    if sizes.max() < max(MIN_ELEMENTS, MIN_ALONE * sizes.sum()):
        return None
    cap = _cap(regions, head)
    if cap is None and not _oval(head, regions.element_mm):
        return None
    shown = head if cap is None else cap
    if not shown.any() or float(ring(shown).mean()) > MAX_TOUCH:
        return None
    # Where the body leaves the frame there is no rim: the edge of the frame is none.
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=regions.element_mm)[1:-1, 1:-1]
    depth /= depth[shown].max()
    inside: Mask = shown & (depth > BRAIN_DEPTH)
    air = power[~body]
    floor = float(np.median(air)) if air.size > MIN_AIR * power.size else 0.0
    signal = np.sqrt(np.maximum(power - np.float32(floor), 0))
    least = MIN_AREA_CM2 if cap is None else MIN_CAP_AREA_CM2
    if inside.sum() * np.prod(regions.element_mm) < 100 * least or not _dark_ring(signal, shown, depth, inside):
        return None
    return Place(brain=inside & np.isfinite(means), means=means, squares=squares, depth=depth)


def _cap(regions: Regions, head: Mask) -> Mask | None:
    """Return the head above the skull base, empty where that is no dome of a head's width; None for axial frames."""
    header = regions.image.frame.header
    if header.orientation is None or header.spacing_mm is None:
        return None
    along = [direction[2] for direction in header.orientation]
    down = 0 if abs(along[1]) > UPRIGHT else 1
    if abs(along[1 - down]) <= UPRIGHT:
        return None
    step_mm = regions.element_mm[down]
    lines = np.flatnonzero(head.any(axis=1 - down))
    count = round(CAP_MM / step_mm)
    # Rows that run to the feet start at the vertex.
    first, last = (lines[0], lines[0] + count) if along[1 - down] < 0 else (lines[-1] - count + 1, lines[-1] + 1)
    line = np.arange(head.shape[down])
    kept = (line >= first) & (line < last)
    cap: Mask = head & (kept[:, None] if down == 0 else kept[None, :])
    widths = cap.sum(axis=1 - down)[kept]
    widths = widths if along[1 - down] < 0 else widths[::-1]
    top = widths[: max(1, round(DOME_MM / step_mm))].mean()
    fits = CAP_WIDTH_MM[0] <= widths.max() * regions.element_mm[1 - down] <= CAP_WIDTH_MM[1] and top <= MAX_DOME * widths.max()
    return cap if fits else np.zeros_like(head)


def _oval(head: Mask, element_mm: tuple[float, float]) -> bool:
    """Tell whether a mask fills the ellipse that has its moments."""
    at = np.stack(np.nonzero(head)) * np.array(element_mm)[:, None]
    at -= at.mean(axis=1, keepdims=True)
    spread = at @ at.T / at.shape[1]
    lengths, axes = np.linalg.eigh(spread)
    if lengths[0] <= 0 or lengths[1] > MAX_LENGTH**2 * lengths[0]:
        return False
    # A uniform ellipse has a quarter of its squared half-axes as moments.
    within = ((axes.T @ at) ** 2 / (4 * lengths[:, None])).sum(axis=0) <= 1
    return float(within.mean()) >= MIN_OVAL


def _dark_ring(values: NDArray[np.float32], shown: Mask, depth: NDArray[np.float64], inside: Mask) -> bool:
    """Tell whether most directions pass something dark, skull or the fluid under it, on their way in."""
    rim = shown & (depth <= SHELL_DEPTH)
    y, x = np.nonzero(rim)
    middle_y, middle_x = (float(at.mean()) for at in np.nonzero(shown))
    turn = (np.arctan2(y - middle_y, x - middle_x) / (2 * np.pi) + 0.5) * SECTORS
    shell = np.minimum((depth[rim] / SHELL_DEPTH * SHELLS).astype(np.int64), SHELLS - 1)
    bins = np.minimum(turn.astype(np.int64), SECTORS - 1) * SHELLS + shell
    counts = np.bincount(bins, minlength=SECTORS * SHELLS)
    sums = np.bincount(bins, weights=values[rim], minlength=SECTORS * SHELLS)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf).reshape(SECTORS, SHELLS)
    seen = counts.reshape(SECTORS, SHELLS).any(axis=1)
    dark = means.min(axis=1) < DARK * float(np.median(values[inside])) if inside.any() else np.zeros(SECTORS, dtype=bool)
    return bool(seen.any()) and float(dark[seen].mean()) >= MIN_DARK_SECTORS
