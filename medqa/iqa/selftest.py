"""The self-test of a bundle: on this machine, today, it must score as it did when it was made, in the right mode.

Three of six published containers of the LDCT-IQAC challenge ran in training mode or normalised each image by itself; this is the
guard against both, and against a network that rewards noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from medqa.codes import Unit
from medqa.errors import BundleMismatch
from medqa.iqa.card import SELF_TEST, BundleCard
from medqa.iqa.scorer import DenseNetScorer, MalScorer
from medqa.iqa.transforms import densenet_input, mal_input
from medqa.series import Frame, FrameHeader, FrameImage

if TYPE_CHECKING:
    from medqa.iqa.transforms import NetworkInput

BATCH_TOLERANCE: Final = 1e-4
EXPECTED_TOLERANCE: Final = 1e-3
NOISE_TOLERANCE: Final = 0.1
UNITS: Final = {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.SUVBW}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelfTestFrames:
    """Frames of a bundle's self-test: `clean` and `noisy` `(3, y, x)`, in HU (int16), SUVbw or MR units (float16).

    Raw values, so that the normalisation is tested with the network.
    """

    clean: NDArray[np.generic]
    noisy: NDArray[np.generic]

    def images(self, modality: str, *, noisy: bool) -> list[FrameImage]:
        """Return the frames as decoded ones."""
        stack = self.noisy if noisy else self.clean
        return [_image(np.asarray(array, dtype=np.float32), modality) for array in stack]


def self_test(scorer: MalScorer | DenseNetScorer) -> None:
    """Check the graphs' mode, repeatability, independence of the batch, the direction of noise, and the expected scores.

    Raises
    ------
    BundleMismatch
        For the first check that fails.
    """
    card = scorer.card
    for path in card.graphs:
        check_mode(card.name, card.folder / path)
    try:
        with np.load(card.folder / SELF_TEST) as stored:
            frames = SelfTestFrames(clean=stored["clean"], noisy=stored["noisy"])
            expected = {"clean": stored["expected_clean"], "noisy": stored["expected_noisy"]}
    except (OSError, ValueError, KeyError) as error:
        raise BundleMismatch(bundle=card.name, reason=f"{SELF_TEST} cannot be read ({type(error).__name__})") from error
    found = measured(scorer, frames)
    _demand(card, np.array_equal(found["clean"], found["again"]), "the same frames score differently the second time")
    _demand(card, _close(found["clean"], found["batch"], BATCH_TOLERANCE), "a frame scores differently in a batch")
    rise = float(np.max(found["noisy"] - found["clean"]))
    _demand(card, rise <= NOISE_TOLERANCE, f"adding noise raises a score by {rise:.2f}")
    for name, scores in expected.items():
        _demand(
            card, _close(found[name], scores, EXPECTED_TOLERANCE), f"the {name} self-test frames do not score as when it was made"
        )


def measured(scorer: MalScorer | DenseNetScorer, frames: SelfTestFrames) -> dict[str, NDArray[np.float64]]:
    """Score the self-test frames: `clean`, `again` and `noisy` one by one, `batch` the clean ones together; `(3,)` each."""
    prepare: Callable[[FrameImage], NetworkInput] = mal_input if scorer.kind == "mal" else densenet_input
    clean, noisy = (
        np.stack([prepare(image).array for image in frames.images(scorer.modality, noisy=noise)]) for noise in (False, True)
    )
    return {
        "clean": _alone(scorer, clean),
        "again": _alone(scorer, clean),
        "noisy": _alone(scorer, noisy),
        "batch": _together(scorer, clean),
    }


def check_mode(name: str, path: Path) -> None:
    """Look for traces of training mode in a graph.

    Raises
    ------
    BundleMismatch
        Where a normalisation would use the batch's own statistics, or a dropout would drop.
    """
    import onnx

    # ONNX Runtime has opened the file by now: it is a graph.
    nodes = onnx.load(str(path)).graph.node
    for node in nodes:
        training = any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)
        dropping = node.op_type == "Dropout" and len(node.input) > 2
        if training or dropping:
            raise BundleMismatch(bundle=name, reason=f"{path.name} was exported in training mode ({node.op_type})")


def _alone(scorer: MalScorer | DenseNetScorer, batch: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.concatenate([_together(scorer, frame[None]) for frame in batch])


def _together(scorer: MalScorer | DenseNetScorer, batch: NDArray[np.float32]) -> NDArray[np.float64]:
    if isinstance(scorer, MalScorer):
        return scorer.frame_scores(batch).astype(np.float64)
    return np.array([scorer.judge(feature[None])[1] for feature in scorer.features(batch)])


def _close(left: NDArray[np.floating], right: NDArray[np.floating], tolerance: float) -> bool:
    return left.shape == right.shape and bool(np.all(np.abs(left - right) <= tolerance))


def _demand(card: BundleCard, holds: bool, reason: str) -> None:
    if not holds:
        raise BundleMismatch(bundle=card.name, reason=reason)


def _image(array: NDArray[np.float32], modality: str) -> FrameImage:
    header = FrameHeader(rows=array.shape[0], columns=array.shape[1])
    frame = Frame(
        sop_instance_uid="", number=1, modality=modality, unit=UNITS[modality], header=header, sha256="", decode=lambda: array
    )
    return FrameImage(frame=frame, array=array)
