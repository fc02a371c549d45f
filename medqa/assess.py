"""From a series to an assessment: all at once from disk, or frame by frame while it arrives, with one and the same result.

What one frame yields (`FrameEvidence`) depends on that frame alone; everything that compares frames happens in `conclude`, in
the final order of the series. Who arrived when, with whom, or how often cannot change the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from medqa import __version__
from medqa.assessment import (
    Assessment,
    Finding,
    FrameEvidence,
    FrameScore,
    NotChecked,
    Prediction,
    Scalar,
    Scorer,
    SeriesReference,
)
from medqa.checks import CHECKS
from medqa.config import Settings
from medqa.errors import MedqaError, NotApplicable
from medqa.findings import NOT_CHECKED
from medqa.live import LiveWarnings
from medqa.measurement import Measurement
from medqa.metrics import METRICS, PAIRS, ct_of_pet, frame_partials
from medqa.policy import judge
from medqa.provenance import collect
from medqa.series import Frame, FrameImage, Series

__all__ = ["Accumulator", "LiveWarnings", "assess"]

Progress = Callable[[int, int], None]
Key = tuple[str, int]

PHYSICS: Final = "physics"
MADE_BY: Final = "medqa"
"""Under this name `FrameEvidence.bundles` keeps the version of medqa that computed the partials."""
FROM_DISK: Final = 4
"""Frames decoded and scored together when a series is read from disk."""


class Accumulator:
    """Turns frames into evidence, and evidence into an assessment.

    Parameters
    ----------
    scorers
        Every network at hand; those of a series' modality judge it.
    settings
        The whole tree; `settings.policy` decides.
    not_checked
        What the caller already knows will not be checked (bundles that are unusable).
    """

    def __init__(self, scorers: Sequence[Scorer], settings: Settings, not_checked: Sequence[NotChecked] = ()) -> None:
        self._scorers = tuple(scorers)
        self._settings = settings
        self._not_checked = tuple(not_checked)

    def evidence(self, images: Sequence[FrameImage]) -> list[FrameEvidence]:
        """Return what each decoded frame yields, in the order of `images`.

        A network that cannot score a frame leaves no score for it; the frame stays in everything else.
        """
        scores: dict[str, list[FrameScore | None]] = {}
        for scorer in self._scorers:
            places = [place for place, image in enumerate(images) if _scores(scorer, image.frame.modality)]
            answers = _score(scorer, [images[place] for place in places])
            row: list[FrameScore | None] = [None] * len(images)
            for place, answer in zip(places, answers, strict=True):
                row[place] = answer
            scores[scorer.name] = row
        return [self._one(image, {name: row[place] for name, row in scores.items()}) for place, image in enumerate(images)]

    def failed(self, frame: Frame, error: MedqaError) -> FrameEvidence:
        """Return the evidence of a frame that could not be decoded."""
        return FrameEvidence(
            sop_instance_uid=frame.sop_instance_uid,
            number=frame.number,
            sha256=frame.sha256,
            bundles=self._made_by(frame.modality),
            error=f"{error.code}: {error.message}",
        )

    def is_current(self, frame: Frame, evidence: FrameEvidence | None) -> bool:
        """Return whether evidence is about this very frame and was made by what is in force now."""
        return evidence is not None and evidence.sha256 == frame.sha256 and dict(evidence.bundles) == self._made_by(frame.modality)

    def conclude(
        self,
        series: Series,
        evidence: Mapping[Key, FrameEvidence],
        *,
        companions: Sequence[Series] = (),
        judged_at: str | None = None,
        progress: Progress | None = None,
    ) -> Assessment:
        """Return the assessment of a series; frames without current evidence are decoded now, and those only.

        A PET is also measured against the CT of its study. What that comes to depends on which CT is at hand, so that it is shown
        and nothing more: verdict and predictions are made without it.

        Parameters
        ----------
        series
            In its final order.
        evidence
            By SOP Instance UID and frame number; entries of other frames are ignored.
        companions
            Other series; of these a PET takes a CT of its study, and any other series none.
        judged_at
            ISO 8601 time for the provenance.
        progress
            Told the number of frames done and of all.
        """
        ordered = self._complete(series, evidence, progress)
        measurements, unmeasured = _measure(series, ordered)
        predictions, unpredicted = self._predict(series, ordered, measurements)
        findings = [one for check in CHECKS.get(series.modality, ()) for one in check(series, ordered)]
        findings += _located(series, ordered)
        judgement = judge(self._settings.policy, measurements, predictions, findings)
        beside, unmatched = _measure_pairs(series, ordered, companions)
        scorers = self._of(series.modality)
        empty = not series.frames
        return Assessment(
            series=_reference(series),
            acquisition=series.acquisition,
            verdict=None if empty else judgement.verdict,
            reason="not_judged_empty" if empty else judgement.reason,
            reason_values={} if empty else judgement.reason_values,
            provenance=collect({one.name: one.digest for one in scorers}, self._settings, series.frames, judged_at),
            measurements=(*measurements, *beside),
            predictions=tuple(predictions),
            findings=judgement.findings,
            not_checked=(*unmeasured, *unmatched, *unpredicted, *self._not_checked),
        )

    def _of(self, modality: str) -> list[Scorer]:
        return [scorer for scorer in self._scorers if scorer.modality == modality]

    def _made_by(self, modality: str) -> dict[str, str]:
        scorers = [scorer for scorer in self._scorers if _scores(scorer, modality)]
        return {MADE_BY: __version__, **{scorer.name: scorer.digest for scorer in scorers}}

    def _one(self, image: FrameImage, answers: Mapping[str, FrameScore | None]) -> FrameEvidence:
        given = {name: answer for name, answer in answers.items() if answer is not None}
        first = next(iter(given.values()), FrameScore(score=None))
        frame = image.frame
        return FrameEvidence(
            sop_instance_uid=frame.sop_instance_uid,
            number=frame.number,
            sha256=frame.sha256,
            bundles=self._made_by(frame.modality),
            scores={name: float(answer.score) for name, answer in given.items() if answer.score is not None},
            scale=first.scale,
            factor=first.factor,
            partials=frame_partials(image),
        )

    def _complete(self, series: Series, evidence: Mapping[Key, FrameEvidence], progress: Progress | None) -> list[FrameEvidence]:
        found = {frame.key: evidence[frame.key] for frame in series.frames if self.is_current(frame, evidence.get(frame.key))}
        missing = deque(frame for frame in series.frames if frame.key not in found)
        total = len(series.frames)
        while missing:
            images, group = [], [missing.popleft() for _ in range(min(FROM_DISK, len(missing)))]
            for frame in group:
                try:
                    images.append(frame.read())
                except MedqaError as error:
                    found[frame.key] = self.failed(frame, error)
            found.update({one.key: one for one in self.evidence(images)})
            if progress is not None:
                progress(total - len(missing), total)
        return [found[frame.key] for frame in series.frames]

    def _predict(
        self, series: Series, evidence: Sequence[FrameEvidence], measurements: Sequence[Measurement]
    ) -> tuple[list[Prediction], list[NotChecked]]:
        scorers = self._of(series.modality)
        predictions: list[Prediction] = []
        missing: list[NotChecked] = []
        for scorer in scorers:
            try:
                predictions.append(scorer.conclude(series, evidence, measurements))
            except MedqaError as error:
                missing.append(_unheard(scorer, error))
        if not any(one.kind != PHYSICS for one in scorers):
            missing.append(NotChecked(what="networks", reason="no_bundle", values={"modality": series.modality}))
        if predictions and not any(one.certified for one in predictions):
            missing.append(NotChecked(what="calibration", reason="no_calibration"))
        missing.append(NotChecked(what="prior", reason="no_prior"))
        return predictions, missing


def assess(
    series: Series,
    scorers: Sequence[Scorer],
    settings: Settings,
    progress: Progress | None = None,
    *,
    companions: Sequence[Series] = (),
    judged_at: str | None = None,
    not_checked: Sequence[NotChecked] = (),
) -> Assessment:
    """Return the assessment of a series that is there as a whole."""
    accumulator = Accumulator(scorers, settings, not_checked)
    return accumulator.conclude(series, {}, companions=companions, judged_at=judged_at, progress=progress)


def _scores(scorer: Scorer, modality: str) -> bool:
    """Return whether a scorer scores single frames of a modality; a `densenet` looks at its bag in `conclude`."""
    return scorer.kind == "mal" and scorer.modality == modality


def _score(scorer: Scorer, images: Sequence[FrameImage]) -> list[FrameScore | None]:
    """Score a group; where one frame refuses, each by itself, so that its neighbours keep their scores."""
    if not images:
        return []
    try:
        return list(scorer.score(images))
    except MedqaError:
        if len(images) == 1:
            return [None]
        return [answer for image in images for answer in _score(scorer, [image])]


def _measure(series: Series, evidence: Sequence[FrameEvidence]) -> tuple[list[Measurement], list[NotChecked]]:
    measurements: list[Measurement] = []
    missing: list[NotChecked] = []
    for metric in METRICS.get(series.modality, ()):
        try:
            measurements += metric.measure(series, [one.partials.get(metric.name) for one in evidence])
        except NotApplicable as error:
            missing.append(_not_measured(metric.name, error))
    return measurements, missing


def _measure_pairs(
    series: Series, evidence: Sequence[FrameEvidence], companions: Sequence[Series]
) -> tuple[list[Measurement], list[NotChecked]]:
    """Measure a PET against the CT of its study; nothing at all for any other series."""
    if series.modality != "PT" or not series.frames:
        return [], []
    ct = ct_of_pet.choose(series, companions)
    if ct is None:
        reason = "not_matched" if ct_of_pet.of_study(series, companions) else "no_ct_of_study"
        # A PET that no CT has corrected may well come without one: that is nothing to tell.
        told = reason == "not_matched" or ct_of_pet.has_used_ct(series)
        return [], [NotChecked(what=pair.name, reason=reason) for pair in PAIRS if told]
    seen, others = ct_of_pet.partials(series, ct)
    measurements: list[Measurement] = []
    missing: list[NotChecked] = []
    for pair in PAIRS:
        try:
            measurements.append(pair.combine(series, [one.partials.get(pair.name) for one in evidence], seen, others[pair.name]))
        except NotApplicable as error:
            missing.append(_not_measured(pair.name, error))
    return measurements, missing


def _not_measured(name: str, error: NotApplicable) -> NotChecked:
    return NotChecked(what=name, reason=str(error.values["reason"]), values=_told(error))


def _located(series: Series, evidence: Sequence[FrameEvidence]) -> list[Finding]:
    """Return what the metrics find that can say where."""
    return [
        one
        for metric in METRICS.get(series.modality, ())
        if metric.find is not None
        for one in metric.find(series, [frame.partials.get(metric.name) for frame in evidence])
    ]


def _told(error: MedqaError) -> dict[str, Scalar]:
    """Return the plain values of an error beside what it is about and why."""
    return {name: value for name, value in error.values.items() if name not in ("what", "reason") and isinstance(value, Scalar)}


def _unheard(scorer: Scorer, error: MedqaError) -> NotChecked:
    reason = str(error.values.get("reason", ""))
    if isinstance(error, NotApplicable) and reason in NOT_CHECKED:
        return NotChecked(what=scorer.name, reason=reason, values=_told(error))
    values: dict[str, Scalar] = {"bundle": scorer.name, "code": error.code}
    return NotChecked(what=scorer.name, reason="bundle_unusable", values=values)


def _reference(series: Series) -> SeriesReference:
    return SeriesReference(
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        part=series.part,
        modality=series.modality,
        frames=len(series.frames),
        instances=series.instances,
        source=series.source,
    )
