from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from medqa.codes import Code, Unit
from medqa.series import Frame, FrameHeader, FrameImage

UNITS = {"CT": Unit.HU, "MR": Unit.ARBITRARY, "PT": Unit.BQ_PER_ML}


@pytest.fixture(autouse=True)
def _one_thread_and_fixed_chance() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def image() -> Callable[..., FrameImage]:
    """Wrap an array as a decoded frame."""

    def make(
        array: np.ndarray, modality: str = "CT", *, uid: str = "1.2.3", unit: Code | None = None, suv_factor: float | None = None
    ) -> FrameImage:
        pixels = np.asarray(array, dtype=np.float32)
        header = FrameHeader(rows=pixels.shape[0], columns=pixels.shape[1], suv_factor=suv_factor)
        frame = Frame(
            sop_instance_uid=uid,
            number=1,
            modality=modality,
            unit=unit or UNITS[modality],
            header=header,
            sha256="0" * 64,
            decode=lambda: pixels,
        )
        return FrameImage(frame=frame, array=pixels)

    return make
