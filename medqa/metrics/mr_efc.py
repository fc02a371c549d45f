"""MR entropy focus criterion: 0 when all energy sits in one voxel, 1 when it is spread evenly (ghosts, blur, noise).

Source: Atkinson D, Hill DLG, Stoyle PNR, Summers PE, Keevil SF. Automatic correction of motion artifacts in magnetic resonance
images using an entropy focus criterion. IEEE Trans Med Imaging 1997; 16:903-910; normalised as in MRIQC (Esteban et al.,
PLoS ONE 2017; 12:e0184661): sum of x/m ln(x/m) over sqrt(n) ln(1/sqrt(n)), with m the root of the sum of squares and n the number
of voxels. Three sums per frame give the criterion of the whole stack exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics import mr_formulae
from medqa.metrics.metric import Metric, Partial, present
from medqa.regions import Regions
from medqa.series import Series, Stack

NAME: Final = "mr_efc"
SOURCE: Final = "Atkinson et al., IEEE Trans Med Imaging 1997;16:903"


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return n and the sums of x, of its square and of x ln x, over the pixels with a value."""
    values = np.abs(regions.image.array)
    if not regions.finite.all():
        values = values[regions.finite]
    if values.size == 0:
        return None
    entropy = values * np.log(np.maximum(values, np.finfo(np.float32).tiny))
    return {
        "n": int(values.size),
        "sum": float(values.sum(dtype=np.float64)),
        "squares": float(np.square(values).sum(dtype=np.float64)),
        "entropy": float(entropy.sum(dtype=np.float64)),
    }


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the criterion of each stack; of several stacks (echoes, b-values), the median.

    Raises
    ------
    NotApplicable
        `constant_image` where there is no signal.
    """
    present(NAME, partials, "constant_image")
    stacks = series.stacks or (Stack(label="", start=0, stop=len(partials)),)
    values = [_focus([one for one in partials[stack.start : stack.stop] if one is not None]) for stack in stacks]
    known = [value for value in values if value is not None]
    if not known:
        raise NotApplicable(what=NAME, reason="constant_image")
    return Measurement(
        quantity=own(NAME, "Entropy focus criterion"),
        value=float(np.median(known)),
        unit=Unit.ONE,
        source=SOURCE,
    )


def _focus(partials: Sequence[Partial]) -> float | None:
    count = sum(int(partial["n"]) for partial in partials)
    total, squares, entropy = (math.fsum(partial[name] for partial in partials) for name in ("sum", "squares", "entropy"))
    return None if count < 2 or squares == 0.0 else mr_formulae.efc(count, total, squares, entropy)


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine)
