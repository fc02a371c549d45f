"""The contract of a quantity that takes two series of a study: a PET and the CT that was made with it.

As with single series, each frame of either modality yields a small partial by itself (`medqa.metrics.PAIRS` names the pairs,
`frame_partials` stores the partials under the pair's name); `combine` sees both series in their final order. Heights are those of
the patient (LPS z, mm): both series must share one frame of reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from medqa.errors import NotApplicable
from medqa.measurement import Measurement
from medqa.metrics.metric import Partial
from medqa.regions import Regions
from medqa.series import Series


@dataclass(frozen=True, slots=True)
class Pair:
    """A quantity of a PET and its CT.

    Attributes
    ----------
    name
        Name of the quantity, and of the partials in both modalities.
    per_frame
        Returns what one frame of either modality contributes, JSON-ready; None where it has nothing to say.
    combine
        Takes the PET with its partials and the CT with its partials, each in the order of their frames, None where a frame has
        none.
    """

    name: str
    per_frame: Callable[[Regions], dict[str, Any] | None]
    combine: Callable[[Series, Sequence[Partial | None], Series, Sequence[Partial | None]], Measurement]


def matched(name: str, pet: Series, ct: Series) -> None:
    """Make sure that both series count from one point.

    Raises
    ------
    NotApplicable
        `not_matched` where both name a frame of reference and it is not the same one.
    """
    told = {str(uid) for one in (pet, ct) if (uid := one.header.get("FrameOfReferenceUID"))}
    if len(told) > 1:
        raise NotApplicable(what=name, reason="not_matched")
