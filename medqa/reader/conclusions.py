"""The last step of assembling: a group of frames becomes a `Series`, with the notes that only the whole can give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from medqa.acquisition import Acquisition
from medqa.reader.dataset import settle
from medqa.reader.gaps import gaps
from medqa.reader.geometry import normal, place, volume
from medqa.reader.reading import Instance
from medqa.reader.stacks import Sorted, sort
from medqa.series import Frame, InstanceReference, ReadingNote, Series, Stack

if TYPE_CHECKING:
    from pydicom import Dataset

WATCHED: Final = (
    "manufacturer",
    "model",
    "patient_position",
    "ct.kvp_kv",
    "ct.kernel",
    "mr.field_strength_t",
    "mr.repetition_time_ms",
    "mr.flip_angle_deg",
    "pt.injected_dose_bq",
    "pt.weight_kg",
    "pt.units",
    "pt.decay_correction",
    "pt.half_life_s",
    "pt.reconstruction",
)
"""What is one value throughout a series, as the acquisition names it."""

_PLACE_GRID_MM: Final = 0.1


@dataclass(slots=True)
class Facts:
    """What the instances of one series say one by one, gathered without keeping them."""

    watched: dict[str, set[object]] = field(default_factory=lambda: defaultdict(set))
    syntaxes: set[str] = field(default_factory=set)
    lossy: int = 0
    invalid_rescale: int = 0
    tiny: dict[str, float | int | str] | None = None
    declared: dict[int | None, int] = field(default_factory=dict)
    """Images in Acquisition of each acquisition number."""
    earliest: tuple[str, float | None, tuple[str, ...]] | None = None
    """PET: the first acquisition time, with the SUV factor and missing keywords of that image."""

    def add(self, instance: Instance, images_in_acquisition: int | None) -> None:
        """Take note of one instance."""
        made = instance.acquisition
        for name in WATCHED:
            group, _, attribute = name.rpartition(".")
            owner = getattr(made, group) if group else made
            if owner is not None:
                self.watched[name].add(getattr(owner, attribute))
        self.syntaxes.update(made.transfer_syntaxes)
        self.lossy += made.lossy
        for note in instance.notes:
            if note.message == "invalid_rescale":
                self.invalid_rescale += 1
            elif note.message == "tiny_image":
                self.tiny = dict(note.values)
        if images_in_acquisition is not None and images_in_acquisition > 0:
            number = instance.frames[0].header.acquisition_number
            self.declared[number] = max(images_in_acquisition, self.declared.get(number, 0))
        if made.pt is not None:
            self._note_scan((made.acquisition_datetime or "~", made.pt.suv_factor, made.pt.suv_missing))

    def merge(self, other: Facts) -> None:
        """Take over what another gathered."""
        for name, values in other.watched.items():
            self.watched[name] |= values
        self.syntaxes |= other.syntaxes
        self.lossy += other.lossy
        self.invalid_rescale += other.invalid_rescale
        self.tiny = self.tiny or other.tiny
        for number, count in other.declared.items():
            self.declared[number] = max(count, self.declared.get(number, 0))
        if other.earliest is not None:
            self._note_scan(other.earliest)

    def _note_scan(self, scan: tuple[str, float | None, tuple[str, ...]]) -> None:
        if self.earliest is None or repr(scan) < repr(self.earliest):
            self.earliest = scan


def finished(
    *,
    study_uid: str,
    series_uid: str,
    part: str,
    header: Dataset,
    acquisition: Acquisition,
    frames: Sequence[Frame],
    references: Mapping[str, InstanceReference],
    facts: Facts,
    notes: tuple[ReadingNote, ...],
) -> Series:
    """Return the series of frames that share geometry and kind, in their final order."""
    arranged = sort(frames)
    ordered = tuple(frame for _, stack in arranged.stacks for frame in stack)
    stacks, start = [], 0
    for label, stack in arranged.stacks:
        stacks.append(Stack(label=label, start=start, stop=start + len(stack)))
        start += len(stack)
    uids = dict.fromkeys(frame.sop_instance_uid for frame in ordered)
    changing = tuple(name.rpartition(".")[2] for name in WATCHED if len(facts.watched[name]) > 1)
    found = (*notes, *_notes(arranged, ordered, acquisition, facts, changing))
    return Series(
        study_uid=study_uid,
        series_uid=series_uid,
        part=part,
        modality=acquisition.modality,
        acquisition=_for_series(acquisition, facts, changing),
        frames=ordered,
        stacks=tuple(stacks),
        volume=volume(arranged.stacks[0][1]),
        instances=tuple(dict.fromkeys(references[uid] for uid in uids)),
        header=settle(header),
        notes=found,
    )


def _for_series(acquisition: Acquisition, facts: Facts, changing: tuple[str, ...]) -> Acquisition:
    pt = acquisition.pt
    if pt is not None and facts.earliest is not None:
        pt = replace(pt, suv_factor=facts.earliest[1], suv_missing=facts.earliest[2])
    return replace(
        acquisition,
        pt=pt,
        lossy=facts.lossy > 0,
        transfer_syntaxes=tuple(sorted(facts.syntaxes)),
        inconsistent=changing,
    )


def _notes(
    arranged: Sorted, ordered: tuple[Frame, ...], acquisition: Acquisition, facts: Facts, changing: tuple[str, ...]
) -> list[ReadingNote]:
    notes = []
    if facts.tiny is not None:
        notes.append(ReadingNote(message="tiny_image", values=facts.tiny))
    if arranged.unplaced:
        notes.append(ReadingNote(message="no_position", values={"count": arranged.unplaced}))
    if _is_single(ordered):
        notes.append(ReadingNote(message="single_slice"))
    notes.extend(_spatial(arranged))
    if arranged.repeated:
        notes.append(ReadingNote(message="duplicate_positions", values={"count": arranged.repeated}))
    notes.extend(_declared(ordered, acquisition, facts))
    if facts.invalid_rescale:
        notes.append(ReadingNote(message="invalid_rescale", values={"count": facts.invalid_rescale}))
    if facts.lossy:
        notes.append(ReadingNote(message="lossy_compression", values={"count": facts.lossy}))
    if acquisition.modality == "CT" and len({(frame.header.slope, frame.header.intercept) for frame in ordered}) > 1:
        notes.append(ReadingNote(message="ct_slope_varies"))
    if changing:
        notes.append(ReadingNote(message="inconsistent_header", values={"keywords": ", ".join(changing)}))
    return notes


def _spatial(arranged: Sorted) -> list[ReadingNote]:
    """Return one note on missing slices and one on uneven steps, over all stacks."""
    missing, uneven, gap_mm, at, start = 0, None, 0.0, None, 0
    for _, stack in arranged.stacks:
        found = gaps(stack, normal(stack))
        if found.missing:
            missing += found.missing
            gap_mm = gap_mm or found.gap_mm
            at = at or (start + found.first, start + found.first + 1)
        if found.uneven and uneven is None:
            uneven = {"low_mm": round(found.smallest_mm, 3), "high_mm": round(found.largest_mm, 3)}
        start += len(stack)
    notes = []
    if missing:
        notes.append(ReadingNote(message="missing_slices", values={"count": missing, "gap_mm": round(gap_mm, 3)}, frames=at))
    if uneven is not None:
        notes.append(ReadingNote(message="uneven_spacing", values=dict(uneven)))
    return notes


def _declared(ordered: tuple[Frame, ...], acquisition: Acquisition, facts: Facts) -> list[ReadingNote]:
    """Return a note where the header counts more images than there are."""
    declared = received = 0
    if acquisition.image_type[:1] != ("ORIGINAL",):
        # Who derives an excerpt or a resampled series copies the numbers of the original.
        return []
    if acquisition.pt is not None and acquisition.pt.number_of_slices:
        declared, received = acquisition.pt.number_of_slices, _places(ordered)
    elif acquisition.pt is None:
        declared = sum(facts.declared.values())
        received = sum(frame.header.acquisition_number in facts.declared for frame in ordered)
        # Less than half is an excerpt that someone made, no accident on the way.
        declared = declared if 2 * received >= declared else 0
    if received >= declared:
        return []
    return [ReadingNote(message="missing_frames_declared", values={"declared": declared, "found": received})]


def _places(frames: Sequence[Frame]) -> int:
    """Return how many different places the frames show; every frame counts where one has no position."""
    axis = normal(frames)
    places = [place(frame.header, axis) for frame in frames]
    if None in places:
        return len(frames)
    return len({round(where / _PLACE_GRID_MM) for where in places if where is not None})


def _is_single(frames: Sequence[Frame]) -> bool:
    return _places(frames) == 1
