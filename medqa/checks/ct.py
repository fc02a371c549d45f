"""What a CT header alone tells."""

from __future__ import annotations

from collections.abc import Sequence

from medqa.assessment import Finding, FrameEvidence
from medqa.findings import finding
from medqa.series import Series


def rescale(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Tell where slope or intercept change from slice to slice (allowed, and each slice uses its own; worth knowing)."""
    if any(note.message == "ct_slope_varies" for note in series.notes):
        return []
    scales = {(frame.header.slope, frame.header.intercept) for frame in series.frames}
    return [finding("ct_slope_varies")] if len(scales) > 1 else []
