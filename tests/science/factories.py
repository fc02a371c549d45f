"""Series made by hand for the tests of the science: arrays in, a `Series` out, no DICOM file in between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydicom import Dataset

from medqa.acquisition import Acquisition, CTAcquisition, MRAcquisition, PTAcquisition
from medqa.assessment import FrameScore, Prediction
from medqa.codes import Unit
from medqa.errors import UndecodablePixels
from medqa.series import Frame, FrameHeader, FrameImage, InstanceReference, Series, Stack
from medqa.volume import Volume

UNITS = {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.BQ_PER_ML}


def make_frame(
    array: Any, *, modality: str = "CT", index: int = 0, z_mm: float | None = None, uid: str | None = None, **header: Any
) -> Frame:
    """Return a frame at `z_mm` (default 3 mm per index); an exception instead of an array is raised on decoding."""

    def decode() -> np.ndarray:
        if isinstance(array, Exception):
            raise array
        return np.asarray(array, dtype=np.float32)

    rows, columns = (64, 64) if isinstance(array, Exception) else np.shape(array)
    content = b"broken" if isinstance(array, Exception) else np.ascontiguousarray(array).tobytes()
    values = {
        "position_mm": (0.0, 0.0, 3.0 * index if z_mm is None else z_mm),
        "orientation": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
        "spacing_mm": (0.75, 0.75),
        "slice_thickness_mm": 3.0,
        "instance_number": index + 1,
    } | header
    return Frame(
        sop_instance_uid=uid or f"1.2.3.{index + 1}",
        number=1,
        modality=modality,
        unit=UNITS[modality],
        header=FrameHeader(rows=rows, columns=columns, **values),
        sha256=hashlib.sha256(content + str(index).encode()).hexdigest(),
        decode=decode,
    )


def make_image(array: Any, **values: Any) -> FrameImage:
    return make_frame(array, **values).read()


def make_series(
    arrays: Sequence[Any],
    *,
    modality: str = "CT",
    acquisition: Acquisition | None = None,
    stacks: int = 1,
    frames: Sequence[Frame] | None = None,
    **values: Any,
) -> Series:
    """Return a series of these frames in this order."""
    headers = {name: values.pop(name) for name in list(values) if name in FrameHeader.__dataclass_fields__}
    if frames is None:
        frames = [make_frame(array, modality=modality, index=index, **headers) for index, array in enumerate(arrays)]
    per_stack = len(frames) // stacks
    rows, columns = (frames[0].header.rows, frames[0].header.columns) if frames else (0, 0)
    part = {"CT": {"ct": CTAcquisition(kernel="B30f")}, "MR": {"mr": MRAcquisition()}, "PT": {"pt": PTAcquisition()}}[modality]
    return Series(
        study_uid="1.2.3",
        series_uid="1.2.3.0",
        part="",
        modality=modality,
        acquisition=acquisition or Acquisition(modality=modality, rows=rows, columns=columns, slice_thickness_mm=3.0, **part),
        frames=tuple(frames),
        stacks=tuple(Stack(label=str(n), start=n * per_stack, stop=(n + 1) * per_stack) for n in range(stacks)),
        volume=Volume(
            shape=(per_stack, rows, columns),
            spacing_mm=(3.0, 0.75, 0.75),
            origin_mm=(0.0, 0.0, 0.0),
            direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
            unit=UNITS[modality],
            read=lambda z: frames[z].decode(),
        ),
        instances=tuple(InstanceReference(sop_class_uid="1.2", sop_instance_uid=frame.sop_instance_uid) for frame in frames),
        header=Dataset(),
        **values,
    )


def broken() -> UndecodablePixels:
    return UndecodablePixels(source="a frame", reason="made to fail")


def ct_body(rng: np.random.Generator, noise: float = 10.0, size: int = 256) -> np.ndarray:
    """Return an ellipse of soft tissue (50 HU) in air (-1000 HU) with white noise of `noise` HU everywhere."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    image = np.where((x / 0.42) ** 2 + (y / 0.3) ** 2 < 1, 50.0, -1000.0)
    return (image + rng.normal(0, noise, image.shape)).astype(np.float32)


def mr_head(rng: np.random.Generator, signal: float = 600.0, noise: float = 10.0, size: int = 256) -> np.ndarray:
    """Return the magnitude of an ellipse of `signal` with complex Gaussian noise: Rayleigh in the air."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    image = np.where((x / 0.3) ** 2 + (y / 0.36) ** 2 < 1, signal, 0.0)
    real, imaginary = rng.normal(0, noise, (2, size, size))
    return np.hypot(image + real, imaginary).astype(np.float32)


class FakeScorer:
    """Scores a frame by a rule of its pixels; counts what it was shown."""

    kind = "mal"
    digest = "fake"

    def __init__(
        self,
        rule: Callable[[np.ndarray], float | None] = lambda array: 4.0,
        *,
        kind: str = "mal",
        modality: str = "CT",
        name: str | None = None,
    ) -> None:
        self.rule, self.kind, self.modality = rule, kind, modality
        self.name = name or f"{kind}_{modality.lower()}"
        self.groups: list[int] = []

    def score(self, images):
        self.groups.append(len(images))
        return [FrameScore(score=self.rule(image.array)) for image in images]

    def conclude(self, series, evidence, measurements=()):
        if self.kind == "densenet":
            score = float(np.mean([self.rule(frame.read().array) for frame in series.frames]))
            return Prediction(model=self.name, kind=self.kind, digest=self.digest, score=score, adequate=score / 4)
        scores = tuple(one.scores.get(self.name) for one in evidence)
        score = float(np.mean([one for one in scores if one is not None]))
        return Prediction(model=self.name, kind=self.kind, digest=self.digest, score=score, adequate=score / 4, frame_scores=scores)

    def explain(self, series, frames):
        return []
