"""Every kind of finding, reason and not-checked note, in one table: its id, what it does to the verdict, its code.

The sentence of an id, in every language, stands in `reports/locale/`; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from medqa.assessment import Finding, Scalar, Significance
from medqa.codes import NOISE_LIKE, Code, Reason, own


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A row of the table: what a finding of this kind does, and its code."""

    significance: Significance
    code: Code


_NOTE, _DOUBT, _AGAINST, _CERTAIN = Significance.NOTE, Significance.DOUBT, Significance.AGAINST, Significance.CERTAIN

# Behind a row: the names of the values that its sentence may use; `worst` is a score, `keywords` a list joined by commas.
FINDINGS: Final[dict[str, FindingKind]] = {
    # geometry and completeness (every modality)
    "missing_slices": FindingKind(_DOUBT, Reason.COVERAGE_INCOMPLETE),  # count, gap_mm
    "missing_frames_declared": FindingKind(_DOUBT, Reason.COVERAGE_INCOMPLETE),  # declared, found
    "uneven_spacing": FindingKind(_NOTE, own("uneven_spacing", "Uneven slice spacing")),  # low_mm, high_mm
    "duplicate_positions": FindingKind(_NOTE, own("duplicate_positions", "Several frames at one position")),  # count
    "duplicate_instances": FindingKind(_NOTE, own("duplicate_instances", "The same frame twice")),  # count
    "uid_conflict": FindingKind(_DOUBT, own("uid_conflict", "One SOP Instance UID, different contents")),  # count
    "mixed_geometry": FindingKind(_NOTE, own("mixed_geometry", "Several geometries under one Series Instance UID")),  # parts
    "no_position": FindingKind(_DOUBT, own("no_position", "Slice position missing")),  # count
    "single_slice": FindingKind(_NOTE, own("single_slice", "A single slice")),
    "tiny_image": FindingKind(_DOUBT, own("tiny_image", "Image too small to judge")),  # rows, columns
    "inconsistent_header": FindingKind(
        _NOTE, own("inconsistent_header", "Acquisition parameters change within the series")
    ),  # keywords
    # pixels (every modality)
    "undecodable_frames": FindingKind(_DOUBT, own("undecodable_frames", "Pixels that cannot be decoded")),  # count, total, code
    "unreadable_series": FindingKind(_DOUBT, own("unreadable_series", "The series could not be read safely")),  # code
    "invalid_rescale": FindingKind(_DOUBT, own("invalid_rescale", "Rescale slope is zero or not a number")),  # count
    "blank_frames": FindingKind(_CERTAIN, Reason.NO_IMAGE),  # count
    "blank_series": FindingKind(_CERTAIN, Reason.NO_IMAGE),  # count
    "blank_end_frames": FindingKind(_NOTE, own("blank_end_frames", "Blank frames at an end of the series")),  # count
    "repeated_pixels": FindingKind(_DOUBT, own("repeated_pixels", "Slices with the same pixels")),  # first, other, count
    "exchanged_slices": FindingKind(_DOUBT, own("exchanged_slices", "Slices in each other's place")),  # first, other, count
    "lossy_compression": FindingKind(_NOTE, own("lossy_compression", "Lossy compression")),
    # CT
    "ct_noise_high": FindingKind(_AGAINST, Reason.UNDER_EXPOSED),  # value, limit
    "ct_air_implausible": FindingKind(_AGAINST, own("ct_air_implausible", "HU of air implausible")),  # value, low, high
    "ct_noise_uneven": FindingKind(_NOTE, own("ct_noise_uneven", "Noise uneven along the series")),  # factor, value (HU)
    "ct_fat_implausible": FindingKind(_NOTE, own("ct_fat_implausible", "HU of fat implausible")),  # value, low, high
    "ct_oversmoothed": FindingKind(_NOTE, own("ct_oversmoothed", "Texture missing at sharp edges")),  # value, low
    "ct_coarse_steps": FindingKind(_NOTE, own("ct_coarse_steps", "Coarse steps between grey values")),  # value (HU)
    "ct_saturated": FindingKind(_NOTE, own("ct_saturated", "Values cut off")),  # value (percent), level (HU)
    "ct_blocks": FindingKind(_NOTE, own("ct_blocks", "Blocks of a compression with loss")),  # value, limit
    "ct_slices_apart": FindingKind(_NOTE, own("ct_slices_apart", "Slices do not touch")),  # thickness_mm, spacing_mm
    "ct_tilt_differs": FindingKind(_NOTE, own("ct_tilt_differs", "Gantry tilt contradicts orientation")),  # declared, found (deg)
    "ct_position_contradicts": FindingKind(
        _NOTE, own("ct_position_contradicts", "Patient position contradicts orientation")
    ),  # position
    "ct_slope_varies": FindingKind(_NOTE, own("ct_slope_varies", "Rescale varies within the series")),
    "ct_streaks": FindingKind(_NOTE, own("ct_streaks", "Streaks")),  # angle (degrees), amplitude (HU)
    "ct_rings": FindingKind(_NOTE, own("ct_rings", "Rings about the isocentre")),  # radius_mm, amplitude (HU)
    "ct_motion": FindingKind(_NOTE, Reason.MOTION_BLUR),  # extent_mm
    "ct_truncation": FindingKind(_NOTE, own("ct_truncation", "Body cut off by the field of view")),  # share (percent), rim (HU)
    # MR
    "mr_snr_low": FindingKind(_AGAINST, Reason.POOR_SNR),  # value, limit
    "mr_ghosting_high": FindingKind(_AGAINST, Reason.MR_GHOST),  # value, limit (percent)
    "mr_zipper": FindingKind(_NOTE, own("mr_zipper", "Line across the image")),  # percent
    "mr_jumps": FindingKind(_NOTE, own("mr_jumps", "Slices of another brightness")),  # percent
    "mr_spikes": FindingKind(_NOTE, own("mr_spikes", "Stripes from spikes in k-space")),  # percent
    # PET
    "pt_liver_cov_high": FindingKind(_AGAINST, Reason.POOR_SNR),  # value, limit (percent)
    "pt_body_cov_high": FindingKind(_AGAINST, Reason.POOR_SNR),  # value, limit (percent)
    "pt_dose_low": FindingKind(_NOTE, own("pt_dose_low", "Injected dose per kilogram low")),  # value, low (MBq/kg)
    "pt_dose_high": FindingKind(_NOTE, own("pt_dose_high", "Injected dose per kilogram high")),  # value, high (MBq/kg)
    "pt_uptake_out_of_band": FindingKind(_NOTE, own("pt_uptake_out_of_band", "Uptake time out of band")),  # value, low, high (min)
    "pt_time_order": FindingKind(_DOUBT, own("pt_time_order", "Injection after acquisition")),
    "pt_weight_implausible": FindingKind(_DOUBT, own("pt_weight_implausible", "Patient weight implausible")),  # value (kg)
    "pt_half_life_wrong": FindingKind(_DOUBT, own("pt_half_life_wrong", "Half-life is not the nuclide's")),  # value, known (s)
    "pt_suv_unavailable": FindingKind(_NOTE, own("pt_suv_unavailable", "SUV cannot be computed from the header")),  # keywords
    "pt_units_unusual": FindingKind(_NOTE, own("pt_units_unusual", "Unusual PET units")),  # units
    "pt_attenuation_missing": FindingKind(_NOTE, own("pt_attenuation_missing", "Not corrected for attenuation")),
    "pt_decay_inconsistent": FindingKind(_DOUBT, own("pt_decay_inconsistent", "Decay correction inconsistent")),  # decay_correction
    "pt_liver_suv_implausible": FindingKind(
        _NOTE, own("pt_liver_suv_implausible", "SUV of the liver implausible")
    ),  # value, low, high
    "pt_body_suv_implausible": FindingKind(
        _NOTE, own("pt_body_suv_implausible", "SUV of the body implausible")
    ),  # value, low, high
    "pt_blood_suv_implausible": FindingKind(
        _NOTE, own("pt_blood_suv_implausible", "SUV of the blood pool implausible")
    ),  # value, low, high
    "pt_extravasation": FindingKind(_NOTE, Reason.EXTRAVASATION),  # value (percent)
    "pt_bed_step": FindingKind(_NOTE, own("pt_bed_step", "Noise jumps from bed to bed")),  # factor
    # networks
    "low_score_frames": FindingKind(_NOTE, NOISE_LIKE),  # count, limit, worst
    "mal_against": FindingKind(_NOTE, NOISE_LIKE),  # score, limit
    "densenet_against": FindingKind(_NOTE, own("densenet_against", "Not adequate by the series network")),  # adequate, limit
    "physics_against": FindingKind(
        _NOTE, own("physics_against", "Not adequate by its measurements")
    ),  # adequate, limit, quantities
}

ARTEFACTS: Final = (
    "ct_motion",
    "ct_streaks",
    "ct_rings",
    "ct_truncation",
    "ct_oversmoothed",
    "ct_noise_uneven",
    "ct_saturated",
    "ct_blocks",
)
"""Notes that name what is to be seen in the images, and where: they say why a series was flagged, but flag none themselves."""

REASONS: Final[frozenset[str]] = frozenset(
    {
        "adequate",  # values: score, witnesses
        "rescan_two_witnesses",  # values: witnesses
        "rescan_certain",  # values: finding
        "review_one_against",  # values: witness
        "review_both_sides",  # values: witness
        "review_doubt",  # values: finding
        "review_no_witness",  # values: -
        "review_silent",  # no network clearly for; values: -
        "review_unreadable",  # values: code
        "not_judged_class",  # values: kind
        "not_judged_empty",
    }
)
"""Ids of the one sentence that says why a verdict fell."""

NOT_CHECKED: Final[frozenset[str]] = frozenset(
    {
        "no_bundle",  # values: modality
        "bundle_unusable",  # values: bundle, code
        "foreign_acquisition",
        "background_masked",
        "no_air",
        "not_axial",
        "no_body",
        "no_soft_tissue",
        "no_skin",
        "no_fat",
        "coarse_pixels",
        "body_truncated",
        "no_brain_tissue",
        "no_liver",
        "no_blood_pool",
        "no_dome",
        "too_few_frames",
        "too_few_measurements",
        "too_small",
        "constant_image",
        "unit_unknown",
        "header_silent",  # values: keyword
        "header_contradicts",
        "not_matched",
        "no_ct_of_study",
        "not_localisable",
        "no_calibration",
        "no_prior",
    }
)
"""Ids of the reasons for which something was not checked."""


def finding(
    message: str,
    *,
    values: dict[str, Scalar] | None = None,
    evidence: tuple[str, ...] = (),
    frames: tuple[int, int] | None = None,
) -> Finding:
    """Return a finding of a kind in the table (KeyError for one that is not there)."""
    kind = FINDINGS[message]
    return Finding(
        message=message,
        code=kind.code,
        significance=kind.significance,
        values=values or {},
        evidence=evidence,
        frames=frames,
    )
