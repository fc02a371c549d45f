"""Names for the parts of a Series Instance UID that holds several series: what tells them apart, in a word each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from medqa.reader.geometry import cross
from medqa.series import Frame, FrameHeader

_PLANES: Final = ("sagittal", "coronal", "axial")
_STRAIGHT: Final = 0.9


_PROCESSING_FLAGS: Final = frozenset({"ND", "NORM", "DIS2D", "DIS3D", "MFSPLIT", "FM", "FIL", "HEADER_CORRECTED", "NONE", ""})


def kind(frame: Frame) -> str:
    """Return what kind of picture a frame is, from its image type: what differs here makes another series.

    CT says how it was scanned in the fourth value and beyond (`HELIX`, GE's `ADD`), which may change along a head: three
    values count. MR tells magnitude from phase there: all count but the flags of processing.
    """
    values = frame.header.image_type
    if frame.modality != "MR":
        return "\\".join(values[:3])
    return "\\".join(value for value in values if value not in _PROCESSING_FLAGS)


def plane(header: FrameHeader) -> str:
    """Return `axial`, `coronal`, `sagittal`, `oblique`, or `unoriented`."""
    if header.orientation is None:
        return "unoriented"
    along = [abs(value) for value in cross(*header.orientation)]
    return _PLANES[along.index(max(along))] if max(along) > _STRAIGHT else "oblique"


def part_labels(parts: Sequence[tuple[Frame, int]]) -> list[str]:
    """Return a label a part, all different; `[""]` for a single part.

    Parameters
    ----------
    parts
        One frame of each, and the number of the copy where one SOP Instance UID has several contents at one place.
    """
    if len(parts) == 1:
        return [""]
    columns = [
        [plane(frame.header) for frame, _ in parts],
        [f"{frame.header.columns}x{frame.header.rows}" for frame, _ in parts],
        [kind(frame).replace("\\", " ").strip() or "no image type" for frame, _ in parts],
        ["" if copy == 0 else f"copy {copy + 1}" for _, copy in parts],
    ]
    telling = [column for column in columns if len(set(column)) > 1]
    names = [" ".join(word for word in words if word) for words in zip(*telling, strict=True)] if telling else [""] * len(parts)
    counts, seen = Counter(names), Counter[str]()
    labels = []
    for name in names:
        seen[name] += 1
        numbered = f"{name} {seen[name]}".strip() if counts[name] > 1 else name
        labels.append(numbered or "first")
    return labels
