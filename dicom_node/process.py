"""Paths, scorers, settings -> Assessments -> Deliverables: pure steps, the same on disk, on a worker and on a cluster.

One Series Instance UID may hold several parts, each judged by itself; what is stored of it is one document whose verdict is the
worst of them.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from medqa import assess
from medqa.acquisition import Acquisition
from medqa.assessment import Assessment, FrameEvidence, HeatMap, NotChecked, Provenance, Scorer, SeriesReference, Verdict
from medqa.codes import Unit
from medqa.config import ReportSettings, Settings
from medqa.errors import MedqaError
from medqa.findings import finding
from medqa.reader import LeftOut, Reading
from medqa.series import ReadingNote, Series
from medqa.volume import Array, Volume
from reports import wording
from reports.deliverables import Deliverables, render
from reports.figures import worst_shown

if TYPE_CHECKING:
    from medqa.iqa.bundle import Unusable

MODALITIES: Final = ("CT", "MR", "PT")
Key = tuple[str, int]
Companions = Callable[[Series], Sequence[Series]]
"""Finds what else of the study of a series it may be measured against."""
EXPLAIN_FRAMES: Final = 3
EXPLAIN_WITHIN_S: Final = 8.0
_SR_FILES: Final = "*-SR.dcm"
_IDENTITY: Final = ["StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"]
_RANK: Final = {None: 0, Verdict.ADEQUATE: 1, Verdict.REVIEW: 2, Verdict.RESCAN: 3}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the instances of one Series Instance UID came to: each part with its assessment, and what was left out and why."""

    series: tuple[Series, ...]
    assessments: tuple[Assessment, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """The worst of the parts' verdicts; None where there was nothing to judge."""
        return worst(assessment.verdict for assessment in self.assessments)

    def document(self) -> dict[str, Any]:
        """Return what the catalogue stores."""
        return document(self.assessments, self.left_out)


def worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """Return the verdict that asks for most."""
    return max(verdicts, key=_RANK.__getitem__, default=None)


def document(assessments: Sequence[Assessment], left_out: Sequence[LeftOut] = ()) -> dict[str, Any]:
    """Return the assessments of one series as one document of plain values."""
    verdict = worst(assessment.verdict for assessment in assessments)
    return {
        "verdict": None if verdict is None else verdict.value,
        "assessments": [assessment.to_json() for assessment in assessments],
        "left_out": [{"kind": item.kind, "code": item.code, "text": item.text} for item in left_out],
    }


def assessments_of(stored: Mapping[str, Any]) -> tuple[Assessment, ...]:
    """Read the assessments back from what `document` wrote."""
    return tuple(Assessment.from_json(part) for part in stored["assessments"])


class Judges:
    """The accumulators of an installation: each modality has its own, with its networks and the list of those that are unusable."""

    def __init__(self, scorers: Sequence[Scorer], unusable: Sequence[Unusable], settings: Settings) -> None:
        self._by_modality = {modality: _accumulator(modality, scorers, unusable, settings) for modality in MODALITIES}
        self._any = _accumulator(None, scorers, unusable, settings)

    def of(self, modality: str) -> assess.Accumulator:
        """Return the accumulator of a modality; a series whose header names another one is judged by what its frames are."""
        return self._by_modality.get(modality, self._any)


def by_itself(series: Series) -> Sequence[Series]:
    """Return nothing: a series that is judged by itself."""
    return ()


def judge(
    reading: Reading,
    evidence: Mapping[Key, FrameEvidence],
    accumulator: assess.Accumulator,
    refused: Sequence[LeftOut] = (),
    judged_at: str | None = None,
    companions: Companions = by_itself,
) -> Judged:
    """Judge the parts of one Series Instance UID.

    Parameters
    ----------
    reading
        What `assemble` made of the instances that could be read.
    evidence
        What is known of their frames: it saves time and changes nothing, what is missing is scored now.
    accumulator
        The scorers and settings in force.
    refused
        What could not be read, with its reason: unreadable images put a doubt on the series.
    judged_at
        ISO 8601.
    companions
        Asked for the CT of the study of a PET, and of nothing else.
    """
    left_out = tuple(sorted((*reading.left_out, *refused), key=lambda item: (item.name, item.kind)))
    lost = [item for item in left_out if item.kind == "unreadable"]
    series = tuple(_with_lost(part, lost) for part in reading.series)
    assessments = tuple(
        accumulator.conclude(part, evidence, companions=companions(part) if part.modality == "PT" else (), judged_at=judged_at)
        for part in series
    )
    return Judged(series=series, assessments=assessments, left_out=left_out)


def _with_lost(series: Series, lost: Sequence[LeftOut]) -> Series:
    if not lost:
        return series
    values: dict[str, float | int | str] = {"count": len(lost), "total": len(series.frames) + len(lost), "code": lost[0].code}
    note = ReadingNote(message="undecodable_frames", values=values)
    return dataclasses.replace(series, notes=(*series.notes, note))


def _accumulator(
    modality: str | None, scorers: Sequence[Scorer], unusable: Sequence[Unusable], settings: Settings
) -> assess.Accumulator:
    others = {f"_{other.lower()}" for other in MODALITIES if modality not in {None, other}}
    missing = [
        NotChecked(what=bundle.name, reason="bundle_unusable", values={"bundle": bundle.name, "code": bundle.code})
        for bundle in unusable
        if not bundle.name.endswith(tuple(others))
    ]
    return assess.Accumulator([scorer for scorer in scorers if modality in {None, scorer.modality}], settings, missing)


def assess_from_disk(
    series: Series,
    scorers: Sequence[Scorer],
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    *,
    companions: Sequence[Series] = (),
    unusable: Sequence[Unusable] = (),
    judged_at: str | None = None,
) -> Assessment:
    """Judge one series whose files are all there; `companions` are the other series beside it."""
    accumulator = _accumulator(series.modality, scorers, unusable, settings)
    return accumulator.conclude(series, {}, companions=companions, judged_at=judged_at, progress=progress)


def unreadable(
    *, study_uid: str, series_uid: str, modality: str, code: str, settings: Settings, judged_at: str | None = None
) -> Assessment:
    """Return the assessment of a series that could not be read safely: REVIEW, and why."""
    from medqa import __version__

    return Assessment(
        series=SeriesReference(study_uid=study_uid, series_uid=series_uid, part="", modality=modality, frames=0),
        acquisition=Acquisition(modality=modality),
        verdict=Verdict.REVIEW,
        reason="review_unreadable",
        reason_values={"code": code},
        findings=(finding("unreadable_series", evidence=(code,)),),
        provenance=Provenance(medqa_version=__version__, settings_digest=settings.digest(), judged_at=judged_at),
    )


def imageless(assessment: Assessment, paths: Sequence[Path]) -> Series:
    """Return a series without frames, for the report on one that could not be read: patient and study from any header there is."""
    header = next((found for path in paths if (found := _any_header(path)) is not None), Dataset())
    header.StudyInstanceUID, header.SeriesInstanceUID = assessment.series.study_uid, assessment.series.series_uid
    return Series(
        study_uid=assessment.series.study_uid,
        series_uid=assessment.series.series_uid,
        part="",
        modality=assessment.series.modality,
        acquisition=assessment.acquisition,
        frames=(),
        stacks=(),
        volume=Volume(
            shape=(0, 0, 0),
            spacing_mm=(1.0, 1.0, 1.0),
            origin_mm=(0.0, 0.0, 0.0),
            direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
            unit=Unit.ARBITRARY,
            read=_nothing,
        ),
        instances=(),
        header=header,
    )


def _any_header(path: Path) -> Dataset | None:
    try:
        found = dcmread(path, stop_before_pixels=True, defer_size=1024)
    except (InvalidDicomError, OSError, EOFError, ValueError, struct.error, AttributeError, NotImplementedError, KeyError):
        return None
    return found if "PatientID" in found else None


def _nothing(z: int) -> Array:
    raise IndexError(z)


def explain(
    assessment: Assessment,
    series: Series,
    scorers: Sequence[Scorer],
    within_s: float = EXPLAIN_WITHIN_S,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[HeatMap, ...]:
    """Return heat maps of the worst frames of a flagged series, as many as the time allows; none for an adequate one.

    A map that cannot be made is left out and logged: the report says so, the verdict stands.
    """
    if assessment.verdict in {None, Verdict.ADEQUATE}:
        return ()
    asked = _worth_explaining(assessment, scorers)
    started = clock()
    maps: list[HeatMap] = []
    for scorer, frame in asked:
        if clock() - started > within_s:
            log.warning("heat_maps_cut_short", made=len(maps), asked=len(asked))
            break
        try:
            maps.extend(scorer.explain(series, [frame]))
        except MedqaError as error:
            log.warning("heat_map_failed", code=error.code, model=scorer.name)
    return tuple(maps)


def _worth_explaining(assessment: Assessment, scorers: Sequence[Scorer]) -> list[tuple[Scorer, int]]:
    """Return the worst frames of the network that scores frames; where only the other kind spoke, frames along the series."""
    by_name = {scorer.name: scorer for scorer in scorers}
    heard = [(by_name[one.model], one) for one in assessment.predictions if one.model in by_name]
    worst_frames = [(scorer, frame) for scorer, one in heard for frame in worst_shown(assessment, one)[:EXPLAIN_FRAMES]]
    if worst_frames or not heard:
        return worst_frames
    count = assessment.series.frames
    along = sorted({count * part // (EXPLAIN_FRAMES + 1) for part in range(1, EXPLAIN_FRAMES + 1)})
    return [(heard[0][0], frame) for frame in along]


def write(
    folder: Path,
    assessment: Assessment,
    series: Series,
    heat_maps: Sequence[HeatMap],
    lang: str,
    settings: ReportSettings,
    now: datetime | None = None,
    predecessors: Sequence[Dataset] = (),
) -> tuple[Deliverables, list[Path]]:
    """Render, and write `report.pdf`, `assessment.json` and the DICOM objects into `folder`; return the objects' paths too."""
    made = render(assessment, series, tuple(heat_maps), lang=lang, settings=settings, now=now, predecessors=predecessors)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.pdf").write_bytes(made.pdf)
    write_json(folder / "assessment.json", wording.document(made.assessment, lang))
    paths = [folder / f"{number:02d}-{instance.Modality}.dcm" for number, instance in enumerate(made.instances, start=1)]
    for path, instance in zip(paths, made.instances, strict=True):
        instance.save_as(path, enforce_file_format=True)
    return made, paths


def structured_reports(folder: Path, part: str) -> list[Dataset]:
    """Return the identity of the SRs about one part of a series that `write` left in the folder of a revision, or below it.

    A part without a name is the whole series, whatever the other revision calls its parts.
    """
    found: list[Dataset] = []
    for document in sorted(folder.rglob("assessment.json")):
        other = json.loads(document.read_text(encoding="utf-8"))["series"]["part"]
        if other == part or not other or not part:
            found += [dcmread(path, specific_tags=_IDENTITY) for path in sorted(document.parent.glob(_SR_FILES))]
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document in the one form that this project uses: UTF-8, sorted keys, indented."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")
