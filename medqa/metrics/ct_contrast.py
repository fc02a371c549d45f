"""CT contrast of fat and soft tissue: contrast-to-noise ratio, and whether fat reads as fat.

CNR = |soft tissue - fat| / noise (Bushberg et al., The Essential Physics of Medical Imaging, on contrast-to-noise ratio). Fat has
-130 to -70 HU: adipose tissue of a usual composition has -90 to -110 HU from 80 to 140 kV (from the attenuation coefficients of
ICRU Report 44); scatter, beam hardening and blood in it take it some 20 HU further. A value outside is a note: the scale may be
displaced, or what was taken for fat is something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medqa.assessment import Finding
from medqa.codes import Unit, own
from medqa.errors import NotApplicable
from medqa.findings import finding
from medqa.measurement import Measurement
from medqa.metrics import ct_tissue
from medqa.metrics.metric import Metric, Partial, present
from medqa.series import Series

NAME: Final = "ct_cnr"
FAT: Final = "ct_fat"
SOURCE: Final = "ICRU Report 44, 1989"
FAT_BAND_HU: Final = (-130.0, -70.0)


def combine(series: Series, partials: Sequence[Partial | None]) -> tuple[Measurement, ...]:
    """Return the contrast-to-noise ratio, and the CT number of fat in HU.

    Raises
    ------
    NotApplicable
        `no_soft_tissue` or `no_fat` where there is too little of it.
    """
    found = present(NAME, partials, "no_soft_tissue")
    counts = ct_tissue.total(found)
    soft, noise, fat = ct_tissue.soft_level(counts), ct_tissue.series_noise(found), ct_tissue.fat_level(counts)
    if soft is None or noise is None:
        raise NotApplicable(what=NAME, reason="no_soft_tissue")
    if fat is None:
        raise NotApplicable(what=NAME, reason="no_fat")
    return (
        Measurement(
            quantity=own(NAME, "Contrast-to-noise ratio of soft tissue and fat"),
            value=abs(soft - fat) / noise,
            unit=Unit.ONE,
            source=SOURCE,
        ),
        Measurement(quantity=own(FAT, "CT number of fat"), value=fat, unit=Unit.HU, source=SOURCE),
    )


def find(series: Series, partials: Sequence[Partial | None]) -> list[Finding]:
    """Return a finding where fat lies outside its band."""
    found = [partial for partial in partials if partial is not None]
    counts = ct_tissue.total(found)
    if ct_tissue.soft_level(counts) is None:
        return []
    fat = ct_tissue.fat_level(counts)
    low, high = FAT_BAND_HU
    if fat is None or low <= fat <= high:
        return []
    return [finding("ct_fat_implausible", values={"value": round(fat, 1), "low": low, "high": high})]


METRIC: Final = Metric(name=NAME, per_frame=ct_tissue.per_frame, combine=combine, find=find, more=(FAT,))
