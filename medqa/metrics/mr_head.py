"""Where brain may lie in an MR frame: inside the skull of a head that stands free in the frame, or nowhere.

Found in one frame alone, on the decimated grid. A head seen from above or below is oval; seen from the side or the front, its cap
is as wide as a head is, and only what lies above the skull base counts. In both, air surrounds it, and bone and the fluid over the
brain are a dark ring under the rim: an abdomen, a thigh or a crop of one lacks the first or the second. Bottles and fruit may have
all of it; whether there is brain inside is left to the histogram (`mr_tissue`). Where the limits come from, of the middle frames
of the training scans: whole axial heads touch 0 to 9 % of the border and have 95.8 to 99.2 % of themselves in the ellipse; trunks,
limbs and crops touch 0 to 87 % and have 86 to 97 % in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.regions import Mask, Regions, ring

NAME: Final = "mr_head"
MIN_ELEMENTS: Final = 400
"""A smaller head on the decimated grid leaves too little brain to count."""
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
BRAIN_DEPTH: Final = 0.25
"""Share of the largest depth under the rim that is left out: scalp and skull are 12 to 18 mm of some 75."""


def brain_place(regions: Regions) -> Mask | None:
    """Return where brain may be, `(y, x)` on the decimated grid; None where the frame shows no head that stands free."""
    if NAME not in regions.shared:
        regions.shared[NAME] = _find(regions)
    found: Mask | None = regions.shared[NAME]
    return found


def _find(regions: Regions) -> Mask | None:
    from scipy import ndimage

    labels, count = ndimage.label(regions.body)
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
    return inside if _dark_ring(regions.values, shown, depth, inside) else None


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
    sums = np.bincount(bins, weights=np.nan_to_num(values[rim]), minlength=SECTORS * SHELLS)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf).reshape(SECTORS, SHELLS)
    seen = counts.reshape(SECTORS, SHELLS).any(axis=1)
    dark = means.min(axis=1) < DARK * float(np.nanmedian(values[inside])) if inside.any() else np.zeros(SECTORS, dtype=bool)
    return bool(seen.any()) and float(dark[seen].mean()) >= MIN_DARK_SECTORS
