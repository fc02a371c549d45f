"""MR contrast of white and grey matter: contrast-to-noise ratio, and coefficient of joint variation.

CNR = |mu_WM - mu_GM| / sqrt(s_air^2 + s_WM^2 + s_GM^2): Magnotta VA, Friedman L. Measurement of signal-to-noise and
contrast-to-noise in the fBIRN multicenter imaging study. J Digit Imaging 2006; 19:140-147, doi 10.1007/s10278-006-0264-x.
CJV = (s_WM + s_GM) / |mu_WM - mu_GM|: Ganzetti M, Wenderoth N, Mantini D. Intensity inhomogeneity correction of structural MR
images: a data-driven approach to define input algorithm parameters. Front Neuroinform 2016; 10:10, doi 10.3389/fninf.2016.00010.
Both as MRIQC writes them (`mr_formulae`), on the tissues of `mr_tissue`. Where the air is masked there is a CJV, but no CNR.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from medqa.codes import Unit, own
from medqa.measurement import Measurement
from medqa.metrics import mr_formulae, mr_tissue
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.mr_air import foreground_level, frame_air, median_over_frames
from medqa.regions import Regions
from medqa.series import Series

NAME: Final = "mr_cnr"
VARIATION_NAME: Final = "mr_cjv"
SOURCE: Final = "Magnotta and Friedman, J Digit Imaging 2006;19:140"
VARIATION_SOURCE: Final = "Ganzetti et al., Front Neuroinform 2016;10:10"


def per_frame(regions: Regions) -> dict[str, Any] | None:
    """Return the sums of `mr_tissue` with the noise of the air, or the reason why there is none."""
    counts = mr_tissue.per_frame(regions)
    if counts is None:
        return None
    air = frame_air(regions)
    noise = {"reason": air.reason} if air.reason is not None else {"air": air.deviation}
    return {**counts, "level": foreground_level(regions), **noise}


def contrast(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the contrast-to-noise ratio; of several stacks in which tissue is found, the median.

    Raises
    ------
    NotApplicable
        `no_brain_tissue`; `no_air` or `background_masked` where the noise of the air cannot be measured.
    """
    found = mr_tissue.tissues(NAME, series, partials)
    air = median_over_frames(NAME, partials, "air")
    values = [
        mr_formulae.cnr((one.white.mean, one.white.deviation), (one.grey.mean, one.grey.deviation), air_deviation=air)
        for one in found
    ]
    return Measurement(
        quantity=own(NAME, "Contrast-to-noise ratio of white and grey matter"),
        value=float(np.median(values)),
        unit=Unit.ONE,
        source=SOURCE,
    )


def variation(series: Series, partials: Sequence[Partial | None]) -> Measurement:
    """Return the coefficient of joint variation; of several stacks in which tissue is found, the median.

    Raises
    ------
    NotApplicable
        `no_brain_tissue`.
    """
    values = [
        mr_formulae.cjv((one.white.mean, one.white.deviation), (one.grey.mean, one.grey.deviation))
        for one in mr_tissue.tissues(VARIATION_NAME, series, partials)
    ]
    return Measurement(
        quantity=own(VARIATION_NAME, "Coefficient of joint variation"),
        value=float(np.median(values)),
        unit=Unit.ONE,
        source=VARIATION_SOURCE,
    )


METRIC: Final = Metric(name=NAME, per_frame=per_frame, combine=contrast)
VARIATION: Final = Metric(name=VARIATION_NAME, per_frame=mr_tissue.per_frame, combine=variation)
