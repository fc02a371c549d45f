"""Files that medqa's own commands lay beside DICOM files: they are no images, and nobody is to be told that they are not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from medqa.reader import LeftOut

TRUTH: Final = "truth.json"
MASKS: Final = "masks.npz"
LABELS: Final = "labels.nii.gz"
OWN: Final = frozenset({TRUTH, MASKS, LABELS, "assessment.json", "report.pdf"})


def of_others(left_out: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """Return what was left out and was not laid there by `phantom`, `simulate` or `assess --out`."""
    return tuple(item for item in left_out if PurePath(item.name).name not in OWN)
