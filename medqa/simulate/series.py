"""Whole series degraded: parameters drawn once, frames decoded one by one when asked for, and the truth of all of them.

What chance makes anew in every slice (quantum noise) gets a seed of its own a frame; what belongs to scanner or patient (rings,
motion, metal) is the same in all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom import Dataset

from medqa import __version__, simulate
from medqa.dicom_values import own_uid
from medqa.errors import InvalidDegradation
from medqa.reader.suv import uptake
from medqa.reader.values import items, number
from medqa.simulate import ct, mr, pet
from medqa.simulate.catalogue import check, described, parameters
from medqa.simulate.degradation import Degraded, Kind, Plan
from medqa.simulate.mr.k_space import CENTRIC, INTERLEAVED, LINEAR, ORDER, PHASE_AXIS, REVERSE_CENTRIC, REVERSE_LINEAR
from medqa.simulate.series_faults import FAULTS, Shown, Slab, untouched
from medqa.simulate.series_headers import HEADERS
from medqa.simulate.truth import FrameTruth, Truth, mask_facts, sentence
from medqa.volume import Array

if TYPE_CHECKING:
    from medqa.series import Frame, ReadingNote, Series

_SECOND_VALUE: Final = {"CT": "SECONDARY", "MR": "SECONDARY", "PT": "PRIMARY"}
"""PET knows no secondary images (PS3.3 C.8.9.4.1.1)."""
_PHASE_AXES: Final = {"COL": 0.0, "ROW": 1.0}
_ORDERS: Final = {
    "LINEAR": LINEAR,
    "CENTRIC": CENTRIC,
    "SEGMENTED": INTERLEAVED,
    "REVERSE_LINEAR": REVERSE_LINEAR,
    "REVERSE_CENTRIC": REVERSE_CENTRIC,
}
"""By Rectilinear Phase Encode Reordering (0018,9034)."""
_OF_FRAMES_THEMSELVES: Final = frozenset(
    {"no_position", "single_slice", "missing_slices", "uneven_spacing", "duplicate_positions", "ct_slope_varies"}
)
"""Notes of the reader that follow from the frames that are there: they are found again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradedPixels:
    """The decoder of one frame of a degraded series; `image` also tells severity and mask."""

    place: Frame
    """The original frame whose place this is."""
    numbers: Shown
    """The same frame, and those whose pixels are shown, by their number in the original series."""
    shown: tuple[Frame, ...]
    plan: Plan
    affected: bool
    suv_ratio: float = 1.0
    """By which a fault of the header multiplies every uptake value."""

    def __call__(self) -> Array:
        """Decode the original and degrade it, `(y, x)` float32 in the frame's unit."""
        return self.image().array

    def image(self) -> Degraded:
        """Decode the original and degrade it.

        Raises
        ------
        UndecodablePixels
            Where a frame that is shown cannot be decoded.
        """
        before = self.place.decode()
        if not self.affected:
            return Degraded(array=before, plan=self.plan, severity=0.0)
        if f"{self.plan.modality.lower()}-{self.plan.kind}" in HEADERS:
            return Degraded(array=before, plan=self.plan, severity=abs(self.suv_ratio - 1))
        if self.plan.kind in FAULTS:
            after = _mean(self.shown, [weight for _, weight in self.numbers.pixels], before)
            return Degraded(array=after, plan=self.plan, severity=_severity(before, after, self.place.modality))
        return simulate.apply(before, self.plan, pixel_mm=_pixel_mm(self.place))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DegradedSeries:
    """A degraded series beside its original: its frames decode to degraded arrays, one at a time."""

    original: Series
    series: Series
    kind: str
    plan: Plan
    slab: Slab
    settled: Mapping[str, float]
    """Those parameters of the plan that one slice decided for all."""

    @property
    def text(self) -> str:
        """One sentence on what was done, with slices counted from 1 as reports do."""
        return sentence(self.kind, parameters(self.kind, self.plan), self.slab, len(self.original.frames))

    def pixels(self, index: int) -> DegradedPixels:
        """Return the decoder of a frame."""
        decode = self.series.frames[index].decode
        if not isinstance(decode, DegradedPixels):
            message = "a degraded series holds frames that this module made"
            raise TypeError(message)
        return decode

    def images(self) -> Iterator[Degraded]:
        """Yield every frame with severity and mask; one is in memory at a time."""
        for index in range(len(self.series.frames)):
            yield self.pixels(index).image()

    def frame_truth(self, index: int, image: Degraded) -> FrameTruth:
        """Return what is known of one frame whose image was made."""
        pixels = self.pixels(index)
        return FrameTruth(
            frame=index,
            sop_instance_uid=self.series.frames[index].sop_instance_uid,
            source_sop_instance_uid=pixels.place.sop_instance_uid,
            source=tuple((number, round(weight, 5)) for number, weight in pixels.numbers.pixels),
            affected=pixels.affected,
            severity=round(image.severity, 5),
            mask=mask_facts(image.mask),
        )

    def truth(self, frames: Sequence[FrameTruth] | None = None) -> Truth:
        """Return the truth of the series; what is known of its frames is found by making each of them, unless it is given."""
        if frames is None:
            frames = [self.frame_truth(index, image) for index, image in enumerate(self.images())]
        kept = {self.pixels(index).numbers.place for index in range(len(self.series.frames))}
        kind = described(self.series.modality)[self.kind]
        return Truth(
            kind=self.kind,
            summary=kind.summary,
            source=kind.source,
            modality=self.series.modality,
            local=kind.region is not None,
            level=self.plan.level,
            parameters=parameters(self.kind, self.plan),
            settled=self.settled,
            seed=int(self.plan.parameters["seed"]),
            slab=self.slab,
            series_uid=self.series.series_uid,
            source_series_uid=self.original.series_uid,
            source_frames=len(self.original.frames),
            lost=tuple(number for number in range(len(self.original.frames)) if number not in kept),
            frames=tuple(frames),
        )


def degrade_series(
    series: Series,
    kind: str,
    generator: np.random.Generator,
    *,
    level: int = 0,
    given: Mapping[str, float] | None = None,
    slab: Slab | None = None,
) -> DegradedSeries:
    """Degrade a series, or the frames of a slab of it.

    Parameters
    ----------
    series
        What is degraded; nothing of it is decoded yet but, for kinds that fit the anatomy, the middle frame of the slab.
    kind
        The full name: `ct-dose`, `dropped` ….
    generator
        Draws every parameter, once for all frames.
    level, given
        The declared strength, 1 (mild) to 4 (severe), and parameters by name, which come first.
    slab
        First and last frame that are degraded, counted from 0, both included; all where None.

    Raises
    ------
    InvalidDegradation
        Where kind, level, parameters, slab and series do not go together.
    """
    last = len(series.frames) - 1
    slab = slab or (0, last)
    if not 0 <= slab[0] <= slab[1] <= last:
        reason = f"slices {slab[0] + 1}-{slab[1] + 1} are not all there: the series has {last + 1}"
        raise InvalidDegradation(kind=kind, reason=reason)
    if kind in HEADERS and slab != (0, last):
        raise InvalidDegradation(kind=kind, reason="a header's fault is the whole series': it cannot be given to some slices")
    plan = _plan(series, kind, generator, level, dict(given or {}))
    settled = _settled(series, kind, slab, plan)
    plan = replace(plan, parameters={**plan.parameters, **settled})
    stacks = [range(stack.start, stack.stop) for stack in series.stacks]
    fault = FAULTS.get(kind)
    arranged = untouched(stacks) if fault is None else fault.arrange(plan.parameters, stacks, slab)
    digest = _digest(kind, plan, slab)
    header = _header(series, kind, plan)
    frames = [_frame(series, shown, plan, kind, slab, digest) for shown in arranged]
    made = _series(series, _numbered(frames), header, digest)
    if kind in HEADERS:
        made = _other_uptake(made, kind)
    return DegradedSeries(original=series, series=made, kind=kind, plan=plan, slab=slab, settled=settled)


def known_encoding(series: Series, kind: Kind) -> dict[str, float]:
    """Return phase-encoding axis and order of the lines, as parameters, where the kind has them and the header tells them."""
    made = series.acquisition.mr
    told = {
        PHASE_AXIS: _PHASE_AXES.get(series.frames[0].header.phase_encoding_axis or ""),
        ORDER: None if made is None else _ORDERS.get(made.phase_encoding_order or ""),
    }
    return {one.name: float(value) for one, value in told.items() if one in kind.others and value is not None}


def derived_image_type(modality: str, original: Sequence[str]) -> tuple[str, ...]:
    """Return the Image Type of an image that was made from one with another: what comes behind the first two values stays."""
    return ("DERIVED", _SECOND_VALUE[modality], *(original[2:] or (("AXIAL",) if modality == "CT" else ())))


def _plan(series: Series, kind: str, generator: np.random.Generator, level: int, given: dict[str, float]) -> Plan:
    check(kind, level, given)
    modality = kind.partition("-")[0]
    if kind not in FAULTS and modality.upper() != series.modality:
        raise InvalidDegradation(kind=kind, reason=f"the series is {series.modality}")
    pixel_mm = _pixel_mm(series.frames[0])
    known = described(series.modality)[kind]
    # What the header says goes before chance, what is asked for before the header.
    return known.plan(generator, pixel_mm=pixel_mm, level=level, given={**known_encoding(series, known), **given})


def _settled(series: Series, kind: str, slab: Slab, plan: Plan) -> dict[str, float]:
    """Return the parameters that one slice decides for all, the middle one of the slab."""
    known = described(series.modality)[kind]
    if known.settle is None:
        return {}
    frame = series.frames[sum(slab) // 2]
    return known.settle(np.nan_to_num(frame.decode(), nan=-1000.0), plan.parameters, _pixel_mm(frame))


def _header(series: Series, kind: str, plan: Plan) -> Dataset:
    """Return the header of the first instance: a copy with the fault in it, or one that shares the original's elements."""
    if kind in HEADERS:
        return HEADERS[kind].edited(series.header, plan.parameters)
    header = Dataset()
    # New elements in a new dataset: those of the original are shared with it, and stay as they are.
    header.update({element.tag: element for element in series.header})
    return header


def _other_uptake(series: Series, kind: str) -> Series:
    """Return a PET series whose uptake values follow from its header as it is now.

    Raises
    ------
    InvalidDegradation
        Where they stay what they were, as with a maker's own factor.
    """
    found = uptake(series.header)
    if found.factor and all(frame.header.suv_factor == found.factor for frame in series.frames):
        raise InvalidDegradation(
            kind=kind, reason="its SUV come from a factor of the maker in the header, which this leaves as it is"
        )
    frames = []
    for frame in series.frames:
        before, pixels = frame.header.suv_factor, frame.decode
        ratio = found.factor / before if found.factor and before else 1.0
        if isinstance(pixels, DegradedPixels):
            pixels = replace(pixels, suv_ratio=ratio)
        frames.append(replace(frame, header=replace(frame.header, suv_factor=found.factor), decode=pixels))
    made = series.acquisition.pt
    if made is not None:
        injected = None if found.injection is None else found.injection.isoformat()
        drug = next(iter(items(series.header, "RadiopharmaceuticalInformationSequence")), Dataset())
        made = replace(
            made,
            weight_kg=number(series.header, "PatientWeight"),
            injected_dose_bq=number(drug, "RadionuclideTotalDose"),
            half_life_s=number(drug, "RadionuclideHalfLife"),
            injection_time=injected,
            uptake_min=found.uptake_min,
            suv_factor=found.factor,
        )
    return replace(series, frames=tuple(frames), acquisition=replace(series.acquisition, pt=made))


def _digest(kind: str, plan: Plan, slab: Slab) -> str:
    """Return what tells this degradation from any other: with another version of medqa the pixels may be others."""
    words = [__version__, kind, plan.level, sorted(plan.parameters.items()), slab]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _frame(series: Series, shown: Shown, plan: Plan, kind: str, slab: Slab, digest: str) -> Frame:
    place = series.frames[shown.place]
    moved = shown.pixels != ((shown.place, 1.0),)
    affected = moved if kind in FAULTS else slab[0] <= shown.place <= slab[1]
    seed = plan.parameters["seed"] + (shown.place if described(series.modality)[kind].noisy else 0)
    own = replace(plan, parameters={**plan.parameters, "seed": seed, "frame": float(shown.place)})
    pixels = DegradedPixels(
        place=place,
        numbers=shown,
        shown=tuple(series.frames[index] for index, _ in shown.pixels),
        plan=own,
        affected=affected,
    )
    return replace(
        place,
        sop_instance_uid=own_uid("simulated instance", place.sop_instance_uid, digest),
        header=replace(place.header, image_type=derived_image_type(place.modality, place.header.image_type)),
        sha256=hashlib.sha256(f"{place.sha256} {place.number} {digest}".encode()).hexdigest(),
        decode=pixels,
    )


def _numbered(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames numbered within their instances: where one was lost, those behind it move up."""
    own: dict[str, list[int]] = {}
    for frame in frames:
        own.setdefault(frame.sop_instance_uid, []).append(frame.number)
    places = {uid: {number: place for place, number in enumerate(sorted(numbers), start=1)} for uid, numbers in own.items()}
    return [replace(frame, number=places[frame.sop_instance_uid][frame.number]) for frame in frames]


def _series(series: Series, frames: Sequence[Frame], header: Dataset, digest: str) -> Series:
    """Return the series that these frames make, with what the reader would have noticed of it."""
    from medqa.reader.conclusions import Facts, finished

    counts: dict[str, int] = {}
    for frame in frames:
        counts[frame.sop_instance_uid] = counts.get(frame.sop_instance_uid, 0) + 1
    known = {own_uid("simulated instance", one.sop_instance_uid, digest): one for one in series.instances}
    acquisition = replace(series.acquisition, image_type=derived_image_type(series.modality, series.acquisition.image_type))
    series_uid = own_uid("simulated series", series.series_uid, series.part, digest)
    header.add_new("SeriesInstanceUID", "UI", series_uid)
    header.add_new("SOPInstanceUID", "UI", frames[0].sop_instance_uid)
    header.add_new("ImageType", "CS", list(acquisition.image_type))
    notes: tuple[ReadingNote, ...] = tuple(note for note in series.notes if note.message not in _OF_FRAMES_THEMSELVES)
    made = finished(
        study_uid=series.study_uid,
        series_uid=series_uid,
        part="",
        header=header,
        acquisition=acquisition,
        frames=frames,
        # Of two files with one UID the reader names one anew, without a reference: any other then tells the class.
        references={
            uid: replace(known.get(uid, series.instances[0]), sop_instance_uid=uid, number_of_frames=count)
            for uid, count in counts.items()
        },
        facts=Facts(),
        notes=notes,
    )
    return replace(made, acquisition=acquisition, source=series.source)


def _pixel_mm(frame: Frame) -> float:
    return float(np.mean(frame.header.spacing_mm or (1.0, 1.0)))


def _mean(shown: Sequence[Frame], weights: Sequence[float], before: Array) -> Array:
    """Return the weighted mean of frames; where one of them has no value, of the others; nowhere a value where there was none."""
    if len(shown) == 1:
        return shown[0].decode()
    total, held = np.zeros_like(before), np.zeros_like(before)
    for frame, weight in zip(shown, weights, strict=True):
        array = frame.decode()
        has = np.isfinite(array)
        total[has] += np.float32(weight) * array[has]
        held[has] += np.float32(weight)
    return np.where(np.isfinite(before), total / np.maximum(held, np.float32(1e-6)), np.float32(np.nan))


def _severity(before: Array, after: Array, modality: str) -> float:
    """Return the root mean square change within the body, in the unit of `truth.SEVERITY`."""
    both = np.isfinite(before) & np.isfinite(after)
    outside = np.float32(-1000 if modality == "CT" else 0)
    filled = np.where(both, before, outside)
    inside = {"CT": ct.body, "MR": mr.foreground, "PT": pet.body}[modality](filled) & both
    if not inside.any():
        return 0.0
    change = float(np.sqrt(np.mean((after - before)[inside] ** 2)))
    return change if modality == "CT" else change / max(float(np.abs(filled[inside]).mean()), 1e-12)
