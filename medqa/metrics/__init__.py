"""Physics that needs no model: one metric, one file, its paper in the header.

`METRICS` names the metrics of a modality, `PAIRS` those of a PET with its CT; `frame_partials` computes what one frame contributes
to all of them.
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
    mr_bias,
    mr_contrast,
    mr_efc,
    mr_fber,
    mr_ghosting,
    mr_gradient_entropy,
    mr_jumps,
    mr_noise,
    mr_qi1,
    mr_qi1_share,
    mr_sharpness,
    mr_snr,
    mr_snr_tissue,
    mr_spikes,
    mr_wrap,
    mr_zipper,
    pt_bed_steps,
    pt_blood_suv,
    pt_body_cov,
    pt_body_suv,
    pt_ct_overlap,
    pt_dome_mismatch,
    pt_exposure,
    pt_extravasation,
    pt_liver_cov,
    pt_liver_suv,
    pt_texture,
    pt_uptake,
)
from medqa.metrics.metric import Metric, Partial
from medqa.metrics.pair import Pair
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
        mr_noise.METRIC,
        mr_contrast.METRIC,
        mr_contrast.VARIATION,
        mr_efc.METRIC,
        mr_fber.METRIC,
        mr_qi1.METRIC,
        mr_qi1_share.METRIC,
        mr_ghosting.METRIC,
        mr_gradient_entropy.METRIC,
        mr_sharpness.METRIC,
        mr_bias.METRIC,
        mr_spikes.METRIC,
        mr_wrap.METRIC,
        mr_zipper.METRIC,
        mr_jumps.METRIC,
    ),
    "PT": (
        pt_liver_cov.METRIC,
        pt_body_cov.METRIC,
        pt_liver_suv.METRIC,
        pt_body_suv.METRIC,
        pt_blood_suv.METRIC,
        pt_exposure.METRIC,
        pt_uptake.METRIC,
        pt_extravasation.METRIC,
        pt_bed_steps.METRIC,
        pt_texture.METRIC,
    ),
}

PAIRS: Final[tuple[Pair, ...]] = (pt_ct_overlap.PAIR, pt_dome_mismatch.PAIR)
"""Quantities of a PET and its CT. A PET's frames keep their partials; those of a CT are measured when a PET asks (`ct_of_pet`)."""
PAIRED: Final = "PT"

__all__ = ["METRICS", "PAIRS", "Metric", "Pair", "Partial", "frame_partials"]


def frame_partials(image: FrameImage) -> dict[str, Partial]:
    """Return the partials of one frame by metric name, and its facts under `frame`; a metric with nothing to say is left out."""
    regions = Regions(image)
    partials: dict[str, Partial] = {frame_facts.NAME: frame_facts.facts(regions)}
    metrics: tuple[Metric | Pair, ...] = tuple(one for one in METRICS.get(image.frame.modality, ()) if one.looks_at(image.frame))
    if image.frame.modality == PAIRED:
        metrics += PAIRS
    for metric in metrics:
        partial: Any = metric.per_frame(regions)
        if partial is not None:
            partials[metric.name] = partial
    return partials
