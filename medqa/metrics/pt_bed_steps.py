"""PET bed steps: the largest jump of the noise along z, as it is where one bed was scanned shorter or later than its neighbour.

    noise of a frame   median over its windows of 30 mm in the body of  sqrt(d2) / mean,  d2: a quarter of the mean squared
                       a - b - c + d of four neighbouring pixels (a b above c d)
    step               ratio of the medians over 48 mm behind and before a place, the larger over the smaller

Whole-body scans are put together from beds; counts, and with them noise, differ from bed to bed by time per bed, decay and
attenuation (Dahlbom et al., Whole-body positron emission tomography: part I, J Nucl Med 1992; 33:1191). Slopes of anatomy drop
out of four neighbours, noise does not. Where two beds meet, noise peaks over 26 mm (in a training scan every 43 frames, by
1.4); a median over 48 mm does not see it. Noise also changes where the body does: two training scans of whole bodies without a
faulty bed have 1.32 and, from the neck to the shoulders, 1.64. From 2.0 on (a quarter of the counts) a step is worth a note.
Where an image is smoothed until hardly any noise is left, neighbours differ by anatomy after all, and its steps show: smoothed by
19 mm these scans have 1.59 and 1.78 (with the difference of two neighbours 1.80 and 1.96).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.pt_windows import windows
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "pt_bed_steps"
SOURCE: Final = "steps of local noise along z; beds: Dahlbom et al., J Nucl Med 1992;33:1191"
MIN_WINDOWS: Final = 12
REACH_MM: Final = 48.0
MIN_REACH: Final = 3
MIN_COVERAGE_MM: Final = 250.0
"""A single bed is no longer than this; its own ends are noisier than its middle."""
TOLD_RATIO: Final = 2.0


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the noise of neighbouring pixels relative to the local mean; None where the body is too small."""
    seen = windows(regions)
    if seen.mean.size < MIN_WINDOWS:
        return None
    noise = float(np.median(np.sqrt(seen.fine) / seen.mean))
    return {"noise": noise} if noise > 0 else None


def steps(series: Series, partials: Sequence[Partial | None]) -> NDArray[np.float64]:
    """Return the logarithm of the step before each frame; NaN where too little is known around.

    Raises
    ------
    NotApplicable
        `too_few_frames` where they are one bed at most, or no place has enough of them on both sides.
    """
    stop = series.stacks[0].stop if series.stacks else len(partials)
    level = np.array([math.nan if one is None else math.log(one["noise"]) for one in partials[:stop]], dtype=np.float64)
    reach = max(MIN_REACH, round(REACH_MM / max(series.volume.spacing_mm[0], 0.1)))
    if level.size < 2 * reach or level.size * series.volume.spacing_mm[0] < MIN_COVERAGE_MM:
        raise NotApplicable(what=NAME, reason="too_few_frames")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(level, reach), axis=1)
    found = np.full(level.size, math.nan)
    found[reach : medians.size] = medians[reach:] - medians[: medians.size - reach]
    if not np.isfinite(found).any():
        raise NotApplicable(what=NAME, reason="too_few_frames")
    return found


def combine(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the largest step as a ratio, 1 where the noise is even.

    Raises
    ------
    NotApplicable
        `too_few_frames` where they are one bed at most, or no place has enough of them on both sides.
    """
    return Measurement(
        quantity=own(NAME, "Largest step of the noise along z"),
        value=float(np.exp(np.nanmax(np.abs(steps(series, partials))))),
        unit=Unit.ONE,
        source=SOURCE,
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return a note on the largest step, with the frame behind it, where it passes `TOLD_RATIO`."""
    try:
        found = np.abs(steps(series, partials))
    except NotApplicable:
        return []
    place = int(np.nanargmax(found))
    ratio = float(np.exp(found[place]))
    if ratio < TOLD_RATIO:
        return []
    return [finding("pt_bed_step", values={"factor": round(ratio, 2)}, frames=(place, place))]


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=combine, find=find, axial=True)
