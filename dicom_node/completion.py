"""When a series is provisionally and when it is finally complete: a pure function of what the catalogue knows about its arrival.

Evidence comes before timers, and what proved it is returned with the answer, to be recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dicom_node.records import SeriesRecord
from medqa.config import CompletionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Which judgement is due, and what proves it.

    `reason` is `arriving`, `expected_count`, `association_released`, `settled`, `settled_with_gap` or `settled_after_abort`.
    """

    provisional: bool
    final: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def completion(record: SeriesRecord, settings: CompletionSettings, now: float, *, gap: bool = False) -> Completion:
    """Decide whether a revision that gathers objects is complete.

    Final: the declared count has arrived (CT and MR declare it per acquisition, another of which may follow, so there no
    association may be open), or there was no new object and no open association for the settle time of the modality, `gap_factor`
    times that while the geometry has a gap or the last association was not released (an abort proves nothing).
    Provisional: final, or `provisional_s` after the last association was released.

    Parameters
    ----------
    record
        The revision.
    settings
        The times.
    now
        Seconds, on the catalogue's clock.
    gap
        Whether the frames that are here leave a gap.
    """
    counted = {"instances": record.instances, "declared": record.declared}
    if record.declared is not None and record.instances == record.declared:
        certain = record.modality == "PT" or not record.open_associations
        return Completion(provisional=True, final=certain, reason="expected_count", evidence=counted)
    if record.open_associations:
        return Completion(provisional=False, final=False, reason="arriving")
    released = record.last_released is not None and record.last_released >= record.last_received
    quiet_s = now - max(record.last_received, record.last_released or 0.0)
    settle_s = {"CT": settings.settle_ct_s, "MR": settings.settle_mr_s}.get(record.modality, settings.settle_pt_s)
    if gap or not released:
        settle_s *= settings.gap_factor
    evidence = counted | {"quiet_s": round(quiet_s, 3), "settle_s": settle_s, "released": released, "gap": gap}
    if quiet_s >= settle_s:
        reason = "settled_with_gap" if gap else "settled" if released else "settled_after_abort"
        return Completion(provisional=True, final=True, reason=reason, evidence=evidence)
    if released and quiet_s >= settings.provisional_s:
        return Completion(provisional=True, final=False, reason="association_released", evidence=evidence)
    return Completion(provisional=False, final=False, reason="arriving")
