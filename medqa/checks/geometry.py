"""What the reader noticed about geometry and completeness, as findings."""

from __future__ import annotations

from collections.abc import Sequence

from medqa.assessment import Finding, FrameEvidence
from medqa.findings import FINDINGS, finding
from medqa.series import Series

MIN_SIDE = 32
"""Images with a shorter side are too small to judge."""


def check(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Return the reader's notes as findings, and those that follow from numbers of frames and pixels."""
    found = [
        finding(note.message, values=dict(note.values), frames=note.frames) for note in series.notes if note.message in FINDINGS
    ]
    told = {one.message for one in found}
    if len(series.frames) == 1 and "single_slice" not in told:
        found.append(finding("single_slice"))
    rows, columns = series.volume.shape[1:]
    if min(rows, columns) < MIN_SIDE and "tiny_image" not in told:
        found.append(finding("tiny_image", values={"rows": rows, "columns": columns}))
    if series.acquisition.lossy and "lossy_compression" not in told:
        found.append(finding("lossy_compression"))
    if series.acquisition.inconsistent and "inconsistent_header" not in told:
        found.append(finding("inconsistent_header", values={"keywords": ", ".join(sorted(series.acquisition.inconsistent))}))
    return found
