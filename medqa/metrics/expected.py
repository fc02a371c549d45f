"""What each quantity is expected to do under each degradation, written down before anything was run.

`RISES` and `FALLS`: strictly monotone over the strengths; `BLIND`: hardly changes; what is not named is free. The names of
degradations are those of the simulation, which stands above this package and is not imported. The outcome on patients stands in
`docs/metrics*.md`, failures included: an expectation that failed is a finding about the metric, and stays here as it was declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """What a degradation does to a quantity."""

    RISES = "rises"
    FALLS = "falls"
    BLIND = "blind"
    FREE = "free"


_SMOOTHING: Final = ("bilateral", "tv", "heavy-kernel", "texture-killer")
_EVERY: Final = (
    "dose",
    "blur",
    "streaks",
    "starvation",
    "motion",
    "rings",
    *_SMOOTHING,
    "metal",
    "truncation",
    "cupping",
    "breathing",
    "dead-channels",
    "ring-arcs",
)


def _declared(*, rises: tuple[str, ...] = (), falls: tuple[str, ...] = (), blind: tuple[str, ...] = ()) -> dict[str, Effect]:
    return {
        **dict.fromkeys(blind, Effect.BLIND),
        **dict.fromkeys(rises, Effect.RISES),
        **dict.fromkeys(falls, Effect.FALLS),
    }


_NOT_THE_OUTLINE: Final = ("dose", "blur", "streaks", "starvation", "rings", *_SMOOTHING, "ring-arcs")
"""Degradations that leave the outline of the body where it is."""

CT: Final[Mapping[str, Mapping[str, Effect]]] = {
    # Noise and its colour
    "ct_noise": _declared(rises=("dose", "streaks", "starvation"), falls=("blur", *_SMOOTHING), blind=("cupping",)),
    "ct_noise_dose": _declared(rises=("dose", "streaks", "starvation"), falls=("blur", *_SMOOTHING), blind=("cupping",)),
    "ct_nps_mean": _declared(falls=("blur", "heavy-kernel"), blind=("cupping",)),
    "ct_nps_peak": _declared(blind=("cupping",)),
    "ct_snr": _declared(rises=("blur", *_SMOOTHING), falls=("dose", "streaks", "starvation")),
    "ct_cnr": _declared(rises=("blur", *_SMOOTHING), falls=("dose", "streaks", "starvation")),
    # Numbers that a scanner must hit
    "ct_air": _declared(blind=("dose", "blur", "rings", "cupping", *_SMOOTHING, "ring-arcs")),
    "ct_soft_tissue": _declared(falls=("cupping",), blind=("dose", "streaks", "rings", *_SMOOTHING, "ring-arcs")),
    "ct_fat": _declared(blind=("bilateral", "tv", "texture-killer", "ring-arcs")),
    # The patient's size and the dose
    "113980": _declared(falls=("truncation",), rises=("metal",), blind=_NOT_THE_OUTLINE),
    "113930": _declared(rises=("truncation",), blind=_NOT_THE_OUTLINE),
    # Artefacts
    "ct_streaks": _declared(rises=("starvation", "metal", "motion")),
    "ct_rings": _declared(rises=("rings", "dead-channels")),
    "ct_ring_arcs": _declared(rises=("ring-arcs",)),
    "ct_motion": _declared(rises=("motion", "breathing"), blind=("rings", "cupping")),
    "ct_truncation": _declared(rises=("truncation",), blind=(*_NOT_THE_OUTLINE, "cupping")),
    "ct_truncation_rim": _declared(rises=("truncation",)),
    # Sharpness and texture
    "ct_f50": _declared(falls=("blur", "heavy-kernel", "motion"), blind=("cupping", "bilateral", "tv", "texture-killer")),
    "ct_blur_effect": _declared(rises=("blur", *_SMOOTHING), falls=("dose",), blind=("cupping",)),
    "ct_texture": _declared(falls=("blur", *_SMOOTHING), blind=("cupping",)),
    # How the numbers were stored, and geometry
    "ct_step": _declared(blind=_EVERY),
    "ct_blockiness": _declared(blind=("blur", "cupping", "rings")),
    "ct_saturated": _declared(rises=("metal",), blind=("dose", "blur", "rings", "cupping", *_SMOOTHING)),
    "ct_coverage": _declared(blind=_EVERY),
    "ct_slice_overlap": _declared(blind=_EVERY),
    "ct_tilt": _declared(blind=_EVERY),
}
"""Quantity (code value) -> degradation -> effect."""


_NOISY: Final = ("noise", "coil-noise", "undersampling")

MR: Final[Mapping[str, Mapping[str, Effect]]] = {
    # From the air
    "mr_snr": _declared(rises=("blur", "gibbs"), falls=_NOISY, blind=("zipper", "chemical-shift")),
    "mr_fber": _declared(falls=("noise", "coil-noise", "ghost", "nyquist", "motion"), blind=("zipper", "chemical-shift")),
    "mr_qi1": _declared(rises=("ghost", "motion", "drift", "nyquist", "zipper")),
    "mr_ghosting": _declared(rises=("ghost", "nyquist", "motion"), blind=("noise", "bias", "blur", "chemical-shift")),
    # From the tissues of the brain
    "mr_snr_tissue": _declared(falls=_NOISY),
    "mr_cnr": _declared(falls=("noise", "coil-noise")),
    "mr_cjv": _declared(rises=("noise", "coil-noise", "bias", "motion")),
    # From the whole image
    "mr_noise": _declared(rises=_NOISY, falls=("blur",), blind=("bias", "zipper")),
    "mr_efc": _declared(rises=("noise", "motion", "drift", "ghost", "nyquist")),
    "mr_gradient_entropy": _declared(rises=("noise", "coil-noise", "motion", "drift", "ghost")),
    "mr_sharpness": _declared(falls=("blur", "gibbs", "drift"), blind=("bias", "zipper")),
    "mr_bias": _declared(rises=("bias",), blind=("noise", "blur", "gibbs", "zipper", "chemical-shift")),
    # From k-space and from the borders
    "mr_spikes": _declared(rises=("spike",), blind=("noise", "blur", "bias")),
    "mr_zipper": _declared(rises=("zipper",), blind=("blur", "bias", "gibbs", "noise")),
    "mr_wrap": _declared(rises=("wrap",), blind=("noise", "blur", "bias", "gibbs")),
    # From neighbouring slices
    "mr_jumps": _declared(blind=("blur", "gibbs")),
}

_EVERY_PT: Final = ("counts", "blur", "motion", "thinned", "attenuation", "extravasation", "arms", "jump")

PT: Final[Mapping[str, Mapping[str, Effect]]] = {
    # Noise and its texture
    "pt_liver_cov": _declared(rises=("counts", "thinned"), falls=("blur",)),
    "pt_body_cov": _declared(rises=("counts", "thinned"), falls=("blur",)),
    "pt_texture": _declared(rises=("blur",)),
    "pt_bed_steps": _declared(blind=("blur", "motion")),
    # Levels that a patient must have
    "pt_liver_suv": _declared(falls=("extravasation",), blind=("counts", "thinned", "blur", "motion")),
    "pt_blood_suv": _declared(falls=("extravasation",), blind=("counts", "thinned", "blur")),
    # Dose, time and the injection
    "pt_exposure": _declared(blind=_EVERY_PT),
    "pt_uptake": _declared(blind=_EVERY_PT),
    "pt_extravasation": _declared(rises=("extravasation",), blind=("counts", "blur", "motion")),
}

EXPECTED: Final[Mapping[str, Mapping[str, Mapping[str, Effect]]]] = {"CT": CT, "MR": MR, "PT": PT}
"""By modality."""


def effect(quantity: str, kind: str) -> Effect:
    """Return what was declared for a quantity under a degradation; no quantity belongs to two modalities."""
    for declared in EXPECTED.values():
        if quantity in declared:
            return declared[quantity].get(kind, Effect.FREE)
    return Effect.FREE
