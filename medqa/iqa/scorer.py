"""Scoring by ONNX Runtime: a bundle's graphs behind the `Scorer` protocol of `medqa.assessment`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.assessment import FrameEvidence, FrameScore, HeatMap, Prediction
from medqa.errors import BundleMismatch, NotApplicable, UnreadableSeries
from medqa.iqa.card import BAG_GRAPH, FRAME_GRAPH, BundleCard
from medqa.iqa.transforms import densenet_input, mal_input
from medqa.measurement import Measurement
from medqa.series import FrameImage, Series

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BAG_SIZE: Final = 24
"""Frames that the DenseNet sees of a series, at most."""
WORST_FRAMES: Final = 5
DECIMALS: Final = 4
"""Scores are rounded: what differs between two processors' arithmetic must not differ in a document."""


def session(path: Path, threads: int = 1) -> InferenceSession:
    """Open a graph; `threads` compute, and none of them burns a core while it waits.

    Raises
    ------
    BundleMismatch
        For a file that ONNX Runtime cannot open.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (
        native.Fail,
        native.InvalidArgument,
        native.InvalidGraph,
        native.InvalidProtobuf,
        native.NotImplemented,
        native.NoSuchFile,
    ) as error:
        raise BundleMismatch(bundle=path.parent.parent.name, reason=f"{path.name} is no graph that can run here") from error


class OfBundle:
    """What every scorer says of itself: the words of its bundle's card."""

    def __init__(self, card: BundleCard) -> None:
        self.card = card

    @property
    def name(self) -> str:
        """Bundle name."""
        return self.card.name

    @property
    def kind(self) -> str:
        """`mal`, `densenet` or `physics`."""
        return self.card.kind

    @property
    def modality(self) -> str:
        """The modality it was made for."""
        return self.card.modality

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return self.card.digest


class _NetworkScorer(OfBundle):
    """What both kinds of network share: the graph that takes frames, and explaining."""

    def __init__(self, card: BundleCard, threads: int = 1) -> None:
        super().__init__(card)
        self._frames = session(card.folder / FRAME_GRAPH, threads)

    def explain(self, series: Series, frames: Sequence[int]) -> Sequence[HeatMap]:
        """Return a heat map for each frame index that can be decoded; builds the torch network when first asked."""
        # Torch and Captum cost seconds and hundreds of megabytes: only a renderer that draws maps pays for them.
        from medqa.iqa.saliency import explain

        return explain(self.card, series, frames)


class MalScorer(_NetworkScorer):
    """Scores every frame by itself; a series by a low quantile of its frames."""

    def frame_scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph on `(N, channels, y, x)`: scores `(N,)`."""
        scores: NDArray[np.float32] = self._frames.run(["score"], {"frames": batch})[0]
        return scores

    def score(self, images: Sequence[FrameImage]) -> Sequence[FrameScore]:
        """Score frames one by one, so that company cannot matter; the score is None for a frame too small to judge."""
        return [self._score(image) for image in images]

    def _score(self, image: FrameImage) -> FrameScore:
        try:
            prepared = mal_input(image)
        except NotApplicable:
            return FrameScore(score=None)
        score = round(float(self.frame_scores(prepared.array[None])[0]), DECIMALS)
        return FrameScore(score=score, scale=prepared.scale, factor=prepared.geometry.factor)

    def conclude(self, series: Series, evidence: Sequence[FrameEvidence], measurements: Sequence[Measurement] = ()) -> Prediction:
        """Sum up the frames' scores.

        The series score is a low quantile of the frame scores (the lower quartile by default): a series is as good as what a
        substantial part of it reaches, and a few odd frames do not decide. There is no interval: neighbouring frames are not
        independent, so that their spread says nothing about the error of the series score.

        Raises
        ------
        NotApplicable
            Where no frame could be scored.
        """
        scores = tuple(item.scores.get(self.name) for item in evidence)
        present = [(score, index) for index, score in enumerate(scores) if score is not None]
        if not present:
            raise NotApplicable(what=self.name, reason="too_few_frames")
        values = np.array([score for score, _ in present])
        score = round(float(np.quantile(values, self.card.series_quantile)), DECIMALS)
        return Prediction(
            model=self.name,
            kind=self.kind,
            digest=self.digest,
            score=score,
            adequate=round(self.card.calibration.probability(score), DECIMALS),
            frame_scores=scores,
            worst_frames=tuple(index for _, index in sorted(present)[:WORST_FRAMES]),
        )


class DenseNetScorer(_NetworkScorer):
    """Scores a series by a bag of its frames; it has nothing to say about one frame while the series arrives."""

    def __init__(self, card: BundleCard, threads: int = 1) -> None:
        super().__init__(card, threads)
        self._bag = session(card.folder / BAG_GRAPH, threads)

    def features(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the frame graph on `(N, channels, 256, 256)`: features `(N, size)`."""
        features: NDArray[np.float32] = self._frames.run(["features"], {"frames": batch})[0]
        return features

    def judge(self, features: NDArray[np.float32]) -> tuple[float, float]:
        """Run the bag graph on the features `(L, size)` of one bag: adequate logit and score."""
        mask = np.ones((1, len(features)), dtype=np.float32)
        logit, score = self._bag.run(["logit", "score"], {"features": features[None], "mask": mask})
        return float(logit[0]), float(score[0])

    def score(self, images: Sequence[FrameImage]) -> Sequence[FrameScore]:
        """Return no score for any frame: the bag is drawn from the final order, in `conclude`."""
        return [FrameScore(score=None) for _ in images]

    def conclude(self, series: Series, evidence: Sequence[FrameEvidence], measurements: Sequence[Measurement] = ()) -> Prediction:
        """Judge a bag of at most 24 readable frames, evenly spaced in the order of the series.

        Raises
        ------
        NotApplicable
            Where no frame could be decoded and scored.
        """
        readable = [index for index, item in enumerate(evidence) if item.error is None]
        collected = [feature for index in spread(readable, BAG_SIZE) if (feature := self._feature(series, index)) is not None]
        if not collected:
            raise NotApplicable(what=self.name, reason="too_few_frames")
        logit, score = self.judge(np.stack(collected))
        return Prediction(
            model=self.name,
            kind=self.kind,
            digest=self.digest,
            score=round(score, DECIMALS),
            adequate=round(self.card.calibration.probability(logit), DECIMALS),
        )

    def _feature(self, series: Series, index: int) -> NDArray[np.float32] | None:
        try:
            prepared = densenet_input(series.frames[index].read())
        except (NotApplicable, UnreadableSeries):
            return None
        feature: NDArray[np.float32] = self.features(prepared.array[None])[0]
        return feature


def spread(indices: Sequence[int], count: int) -> list[int]:
    """Choose at most `count` of `indices`, evenly spaced, both ends included."""
    if len(indices) <= count:
        return list(indices)
    last = len(indices) - 1
    return [indices[(2 * step * last + count - 1) // (2 * (count - 1))] for step in range(count)]


def scorer(card: BundleCard, threads: int = 1) -> MalScorer | DenseNetScorer:
    """Return the scorer of a bundle's kind."""
    kinds: dict[str, Any] = {"mal": MalScorer, "densenet": DenseNetScorer}
    built: MalScorer | DenseNetScorer = kinds[card.kind](card, threads)
    return built
