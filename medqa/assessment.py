"""What medqa concludes about a series, as frozen values; sentences are made from them in `reports.wording`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from medqa.acquisition import Acquisition
from medqa.codes import Code
from medqa.measurement import Measurement
from medqa.series import FrameImage, InstanceReference, Series

Scalar = float | int | str


class Verdict(StrEnum):
    """The answer (DESIGN section 5)."""

    ADEQUATE = "ADEQUATE"
    REVIEW = "REVIEW"
    RESCAN = "RESCAN"


class Significance(StrEnum):
    """What a finding does to the verdict."""

    NOTE = "note"
    """Nothing; it is told."""
    DOUBT = "doubt"
    """The verdict is at least REVIEW: the transfer or the header may be at fault, not the scan."""
    AGAINST = "against"
    """A physics limit is broken: the physics witness is against."""
    CERTAIN = "certain"
    """A certain defect: RESCAN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth telling.

    `message` is an id of `medqa.findings.FINDINGS`; `frames` a range of frame indices, both inclusive.
    """

    message: str
    code: Code
    significance: Significance
    values: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    frames: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        return {
            "message": self.message,
            "code": self.code.to_json(),
            "significance": self.significance.value,
            "values": dict(self.values),
            "evidence": list(self.evidence),
            "frames": None if self.frames is None else list(self.frames),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        frames = document["frames"]
        return cls(
            message=document["message"],
            code=Code.from_json(document["code"]),
            significance=Significance(document["significance"]),
            values=document["values"],
            evidence=tuple(document["evidence"]),
            frames=None if frames is None else (frames[0], frames[1]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one network, or the physics model, says about a series.

    `score` is on 0 (bad) to 4 (excellent); `adequate` a probability, `certified` only under a calibration; `frame_scores` one
    score a frame in the series' order, None where the network did not see the frame, empty for a network that scores no frames.
    """

    model: str
    kind: str
    """`mal`, `densenet` or `physics`."""
    digest: str
    score: float
    adequate: float
    interval: tuple[float, float] | None = None
    certified: bool = False
    labels: tuple[str, ...] | None = None
    artefacts: tuple[str, ...] = ()
    """What speaks most against the series; of the physics model quantities with their side of what is usual: `mr_snr:low`."""
    frame_scores: tuple[float | None, ...] = ()
    worst_frames: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameEvidence:
    """What one frame yields, a function of its pixels and header alone.

    `scores` is keyed by bundle name, `bundles` names the digest each came from, `scale` is the intensity by which the network's
    input was divided (None where fixed), `partials` is keyed by metric name, `factor` the down-sampling of the network's input.
    """

    sop_instance_uid: str
    number: int
    sha256: str
    bundles: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    scale: float | None = None
    factor: float = 1.0
    partials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: str | None = None
    """Code and text of what kept the frame from being decoded."""

    @property
    def key(self) -> tuple[str, int]:
        """SOP Instance UID and frame number."""
        return self.sop_instance_uid, self.number

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        return {
            "sop_instance_uid": self.sop_instance_uid,
            "number": self.number,
            "sha256": self.sha256,
            "bundles": dict(self.bundles),
            "scores": dict(self.scores),
            "scale": self.scale,
            "factor": self.factor,
            "partials": {name: dict(partial) for name, partial in self.partials.items()},
            "error": self.error,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**document)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Where a network looked, on the frame's own grid; never part of an `Assessment`, since it may come later.

    `array` is `(y, x)` float32 within `limits`; `localisable` False means that the map is flat and names no place.
    """

    frame: int
    sop_instance_uid: str
    number: int
    model: str
    method: str
    array: NDArray[np.float32]
    limits: tuple[float, float]
    localisable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked:
    """Something that was not looked at, and the message id of the reason."""

    what: str
    reason: str
    values: Mapping[str, Scalar] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `Assessment.to_json` wrote, or the document with sentences that `reports.wording` makes of it."""
        return cls(what=document["what"], reason=document["reason"], values=document["values"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a verdict was made by and from; everything here but `judged_at` is the same for the same input and installation."""

    medqa_version: str
    packages: Mapping[str, str] = field(default_factory=dict)
    bundles: Mapping[str, str] = field(default_factory=dict)
    settings_digest: str = ""
    input_digest: str = ""
    replaced_values: tuple[str, ...] = ()
    judged_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReference:
    """Which series an assessment is about; no patient data."""

    study_uid: str
    series_uid: str
    part: str
    modality: str
    frames: int
    instances: tuple[InstanceReference, ...] = ()
    source: str = "DICOM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The result. `verdict` None means there was nothing to judge; `reason` is the message id of the one sentence that says why."""

    series: SeriesReference
    acquisition: Acquisition
    verdict: Verdict | None
    reason: str
    reason_values: Mapping[str, Scalar]
    provenance: Provenance
    measurements: tuple[Measurement, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return codes, message ids and values; `reports.wording.document` adds the sentences."""
        return {
            "series": dataclasses.asdict(self.series),
            "acquisition": self.acquisition.to_json(),
            "verdict": None if self.verdict is None else self.verdict.value,
            "reason": self.reason,
            "reason_values": dict(self.reason_values),
            "measurements": [measurement.to_json() for measurement in self.measurements],
            "predictions": [prediction.to_json() for prediction in self.predictions],
            "findings": [finding.to_json() for finding in self.findings],
            "not_checked": [dataclasses.asdict(item) for item in self.not_checked],
            "provenance": dataclasses.asdict(self.provenance),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote (also after a trip through JSON text)."""
        series = dict(document["series"])
        series["instances"] = tuple(InstanceReference(**reference) for reference in series["instances"])
        provenance = dict(document["provenance"])
        provenance["replaced_values"] = tuple(provenance["replaced_values"])
        return cls(
            series=SeriesReference(**series),
            acquisition=Acquisition.from_json(document["acquisition"]),
            verdict=None if document["verdict"] is None else Verdict(document["verdict"]),
            reason=document["reason"],
            reason_values=document["reason_values"],
            measurements=tuple(Measurement.from_json(item) for item in document["measurements"]),
            predictions=tuple(Prediction.from_json(item) for item in document["predictions"]),
            findings=tuple(Finding.from_json(item) for item in document["findings"]),
            not_checked=tuple(NotChecked.from_json(item) for item in document["not_checked"]),
            provenance=Provenance(**provenance),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """A scorer's answer about one frame: score 0–4 (None where it scores series only), input scale and down-sampling factor."""

    score: float | None
    scale: float | None = None
    factor: float = 1.0


class Scorer(Protocol):
    """A network, or the model that weighs measurements, behind a fixed door; `assess` knows nothing else of it."""

    @property
    def name(self) -> str:
        """Bundle name, e.g. `mal_ct`."""

    @property
    def kind(self) -> str:
        """`mal` (scores frames), `densenet` (scores a bag in `conclude`) or `physics` (weighs measurements in `conclude`)."""

    @property
    def modality(self) -> str:
        """`CT`, `MR` or `PT`: the one it was trained for."""

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""

    def score(self, images: Sequence[FrameImage]) -> Sequence[FrameScore]:
        """Score decoded frames, each by itself: the result does not depend on the company."""

    def conclude(self, series: Series, evidence: Sequence[FrameEvidence], measurements: Sequence[Measurement]) -> Prediction:
        """Sum up; `evidence` stands in the order of `series.frames`, `measurements` are all that were taken of the series.

        Raises
        ------
        NotApplicable
            Where no frame could be scored.
        """

    def explain(self, series: Series, frames: Sequence[int]) -> Sequence[HeatMap]:
        """Return a heat map for each frame index; asked by the renderer only."""
