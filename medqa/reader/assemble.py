"""Instances into series: grouped, told apart, sorted and checked; the same result whatever the order of arrival."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from medqa.acquisition import Acquisition
from medqa.errors import DuplicateInstance
from medqa.reader.conclusions import Facts, finished
from medqa.reader.geometry import geometry_labels
from medqa.reader.parts import kind, part_labels
from medqa.reader.reading import Instance, LeftOut, PartKey, Reading
from medqa.reader.stacks import NO_NUMBER
from medqa.reader.uids import hashed_uid
from medqa.reader.values import integer
from medqa.series import Frame, InstanceReference, ReadingNote, Series

if TYPE_CHECKING:
    from pydicom import Dataset

Rank = tuple[int, str, str]


@dataclass(slots=True)
class _Group:
    """Instances alike in all but rounding: their frames, and of their headers only the first in rank."""

    part_key: PartKey
    frames: list[Frame] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    rank: Rank | None = None
    header: Dataset | None = None
    acquisition: Acquisition | None = None
    study_uid: str = ""


@dataclass(slots=True)
class _Gathered:
    """All instances of one Series Instance UID."""

    modality: str
    groups: dict[tuple[object, ...], _Group] = field(default_factory=dict)
    versions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """SOP Instance UID to the digests of its different data sets."""
    references: dict[str, InstanceReference] = field(default_factory=dict)
    duplicates: int = 0


def assemble(instances: Iterable[Instance]) -> Reading:
    """Return the series that the instances make, and what was left out.

    One Series Instance UID gives several series, with `part` labels, where matrix, spacing, orientation, kind of image or SOP
    class differ. Only frames are kept of an instance, and the header of the first of each series, so that memory stays small
    for any number of instances.
    """
    gathered: dict[tuple[str, str], _Gathered] = {}
    left_out: list[LeftOut] = []
    for instance in instances:
        series = gathered.setdefault((instance.series_uid, instance.modality), _Gathered(instance.modality))
        if _is_duplicate(series, instance):
            series.duplicates += 1
            error = DuplicateInstance(source=instance.name, reason="the same bytes came before")
            left_out.append(
                LeftOut(name=instance.name, kind="duplicate", code=error.code, text=error.message, series_uid=instance.series_uid)
            )
            continue
        _add(series, instance)
    found = [part for key in sorted(gathered) for part in _series(key[0], gathered[key])]
    return Reading(series=tuple(found), left_out=tuple(left_out))


def _is_duplicate(series: _Gathered, instance: Instance) -> bool:
    """Return whether the same data set is there already; take note of it where it is not."""
    known = series.versions[instance.sop_instance_uid]
    if instance.sha256 in known:
        return True
    known.add(instance.sha256)
    return False


def _add(series: _Gathered, instance: Instance) -> None:
    first = instance.frames[0].header
    key = (
        instance.part_key,
        kind(instance.frames[0]),
        first.rows,
        first.columns,
        None if first.orientation is None else tuple(round(value, 2) for vector in first.orientation for value in vector),
        first.spacing_mm,
    )
    group = series.groups.setdefault(key, _Group(instance.part_key))
    group.frames.extend(instance.frames)
    group.facts.add(instance, integer(instance.header, "ImagesInAcquisition"))
    number = NO_NUMBER if first.instance_number is None else first.instance_number
    rank = (number, instance.sop_instance_uid, instance.sha256)
    if group.rank is None or rank < group.rank:
        group.rank, group.header, group.acquisition, group.study_uid = (
            rank,
            instance.header,
            instance.acquisition,
            instance.study_uid,
        )
    series.references[instance.sop_instance_uid] = InstanceReference(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        number_of_frames=instance.number_of_frames,
    )


@dataclass(slots=True)
class _Part:
    frames: list[Frame] = field(default_factory=list)
    groups: dict[int, _Group] = field(default_factory=dict)
    copy: int = 0


def _series(series_uid: str, gathered: _Gathered) -> list[Series]:
    owned = [(frame, group) for group in gathered.groups.values() for frame in group.frames]
    labels = geometry_labels([frame.header for frame, _ in owned])
    copies = _copies([frame for frame, _ in owned], gathered)
    parts: dict[tuple[object, ...], _Part] = defaultdict(_Part)
    for (frame, group), label in zip(owned, labels, strict=True):
        copy, uid = copies.get((frame.sop_instance_uid, frame.sha256), (0, frame.sop_instance_uid))
        part = parts[(group.part_key, kind(frame), label, copy)]
        part.frames.append(frame if uid == frame.sop_instance_uid else replace(frame, sop_instance_uid=uid))
        part.groups[id(group)] = group
        part.copy = copy
    ordered = sorted(parts, key=lambda key: (min(_rank(group) for group in parts[key].groups.values()), repr(key)))
    names = part_labels([(parts[key].frames[0], parts[key].copy) for key in ordered])
    notes = []
    if len({key[:3] for key in ordered}) > 1:
        notes.append(ReadingNote(message="mixed_geometry", values={"parts": len(ordered)}))
    if gathered.duplicates:
        notes.append(ReadingNote(message="duplicate_instances", values={"count": gathered.duplicates}))
    if conflicts := sum(len(versions) > 1 for versions in gathered.versions.values()):
        notes.append(ReadingNote(message="uid_conflict", values={"count": conflicts}))
    return [_finish(series_uid, gathered, parts[key], name, tuple(notes)) for key, name in zip(ordered, names, strict=True)]


def _copies(frames: list[Frame], gathered: _Gathered) -> dict[tuple[str, str], tuple[int, str]]:
    """Return, for files that share a SOP Instance UID, the number of the copy and the UID by which it goes in the series.

    Images of different places under one UID are slices of one series that were numbered badly: they stay together, all but
    one under a UID hashed from it, because a key must be unique. Different contents at one place are told apart as copies.
    """
    places: dict[tuple[str, str], tuple[object, ...]] = {}
    for frame in frames:
        if len(gathered.versions[frame.sop_instance_uid]) > 1:
            places.setdefault((frame.sop_instance_uid, frame.sha256), (frame.header.position_mm, frame.header.orientation))
    seen: dict[tuple[object, ...], int] = defaultdict(int)
    used: set[str] = set()
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for (uid, digest), where in sorted(places.items(), key=lambda item: item[0]):
        found[(uid, digest)] = (seen[(uid, where)], uid if uid not in used else hashed_uid("instance", uid, digest))
        seen[(uid, where)] += 1
        used.add(uid)
    for uid, known in ((uid, found[(uid, digest)][1]) for uid, digest in found):
        gathered.references.setdefault(known, gathered.references[uid])
    return found


def _rank(group: _Group) -> Rank:
    return group.rank or (NO_NUMBER, "", "")


def _finish(series_uid: str, gathered: _Gathered, part: _Part, name: str, notes: tuple[ReadingNote, ...]) -> Series:
    groups = sorted(part.groups.values(), key=_rank)
    first = groups[0]
    if first.header is None or first.acquisition is None:
        message = "a group without an instance"
        raise AssertionError(message)
    facts = Facts()
    for group in groups:
        facts.merge(group.facts)
    return finished(
        study_uid=first.study_uid,
        series_uid=series_uid,
        part=name,
        header=first.header,
        acquisition=first.acquisition,
        frames=part.frames,
        references=gathered.references,
        facts=facts,
        notes=notes,
    )
