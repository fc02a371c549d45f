"""Physics that needs no model: one metric, one file, its paper in the header.

`METRICS` names the metrics of a modality; `frame_partials` computes what one frame contributes to all of them.
"""

from __future__ import annotations

from typing import Any, Final

from medqa.metrics import (
    ct_air,
    ct_bits,
    ct_compression,
    ct_contrast,
    ct_cupping,
    ct_dose,
    ct_geometry,
    ct_motion,
    ct_noise,
    ct_nps,
    ct_rings,
    ct_sharpness,
    ct_size,
    ct_snr,
    ct_streaks,
    ct_texture,
    ct_truncation,
    ct_ttf,
    frame_facts,
    mr_contrast,
    mr_efc,
    mr_fber,
    mr_ghosting,
    mr_qi1,
    mr_snr,
    mr_snr_tissue,
    pt_body_cov,
    pt_liver_cov,
)
from medqa.metrics.metric import Metric, Partial
from medqa.regions import Regions
from medqa.series import FrameImage

METRICS: Final[dict[str, tuple[Metric, ...]]] = {
    "CT": (
        ct_noise.METRIC,
        ct_air.METRIC,
        ct_nps.METRIC,
        ct_snr.METRIC,
        ct_contrast.METRIC,
        ct_size.METRIC,
        ct_dose.METRIC,
        ct_streaks.METRIC,
        ct_rings.METRIC,
        ct_motion.METRIC,
        ct_cupping.METRIC,
        ct_truncation.METRIC,
        ct_ttf.METRIC,
        ct_texture.METRIC,
        ct_sharpness.METRIC,
        ct_bits.METRIC,
        ct_compression.METRIC,
        ct_geometry.METRIC,
    ),
    "MR": (
        mr_snr.METRIC,
        mr_snr_tissue.METRIC,
        mr_contrast.METRIC,
        mr_contrast.VARIATION,
        mr_efc.METRIC,
        mr_fber.METRIC,
        mr_qi1.METRIC,
        mr_ghosting.METRIC,
    ),
    "PT": (pt_liver_cov.METRIC, pt_body_cov.METRIC),
}

__all__ = ["METRICS", "Metric", "Partial", "frame_partials"]


def frame_partials(image: FrameImage) -> dict[str, Partial]:
    """Return the partials of one frame by metric name, and its facts under `frame`; a metric with nothing to say is left out."""
    regions = Regions(image)
    partials: dict[str, Partial] = {frame_facts.NAME: frame_facts.facts(regions)}
    metrics: tuple[Metric, ...] = METRICS.get(image.frame.modality, ())
    for metric in metrics:
        partial: Any = metric.per_frame(regions)
        if partial is not None:
            partials[metric.name] = partial
    return partials
