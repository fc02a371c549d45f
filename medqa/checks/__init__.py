"""Deterministic checks of header and geometry that need no model: a check is a function from a series to findings.

A check sees no pixels beyond what the frame facts of `medqa.metrics.frame_facts` tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from medqa.assessment import Finding, FrameEvidence
from medqa.checks import ct, geometry, order, pet, pixels
from medqa.series import Series

Check = Callable[[Series, Sequence[FrameEvidence]], list[Finding]]
"""`evidence` stands in the order of `series.frames`."""

_EVERY: Final[tuple[Check, ...]] = (geometry.check, pixels.undecodable, pixels.blank, pixels.repeated, order.exchanged)

CHECKS: Final[dict[str, tuple[Check, ...]]] = {
    "CT": (*_EVERY, ct.rescale),
    "MR": _EVERY,
    "PT": (*_EVERY, pet.check),
}
