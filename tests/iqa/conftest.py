from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom import Dataset

from medqa.acquisition import Acquisition
from medqa.codes import Code, Unit
from medqa.iqa.export import write_untrained
from medqa.series import Frame, FrameHeader, FrameImage, Series, Stack
from medqa.volume import Volume

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


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with a MAL bundle for CT and a DenseNet bundle for MR, of random weights; tests that spoil it copy it first."""
    shelf = tmp_path_factory.mktemp("shelf")
    write_untrained(shelf, "mal", "CT")
    write_untrained(shelf, "densenet", "MR")
    return shelf


@pytest.fixture
def shelf(untrained: Path, tmp_path: Path) -> Path:
    """A copy of `untrained` to spoil."""
    copy = tmp_path / "models"
    shutil.copytree(untrained, copy)
    return copy


@pytest.fixture
def series() -> Callable[..., Series]:
    """Make a series of decoded frames; an exception in place of an array is raised when that frame is decoded."""

    def make(arrays: Sequence[np.ndarray | Exception], modality: str) -> Series:
        frames = tuple(_frame(item, index, modality) for index, item in enumerate(arrays))
        rows, columns = next(item.shape for item in arrays if isinstance(item, np.ndarray))
        volume = Volume(
            shape=(len(frames), rows, columns),
            spacing_mm=(1, 1, 1),
            origin_mm=(0, 0, 0),
            direction=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
            unit=UNITS[modality],
            read=lambda z: frames[z].decode(),
        )
        return Series(
            study_uid="1.2",
            series_uid="1.2.3",
            part="",
            modality=modality,
            acquisition=Acquisition(modality=modality),
            frames=frames,
            stacks=(Stack(label="", start=0, stop=len(frames)),),
            volume=volume,
            instances=(),
            header=Dataset(),
        )

    return make


def _frame(item: np.ndarray | Exception, index: int, modality: str) -> Frame:
    def decode() -> np.ndarray:
        if isinstance(item, Exception):
            raise item
        return item.astype(np.float32)

    shape = item.shape if isinstance(item, np.ndarray) else (1, 1)
    return Frame(
        sop_instance_uid=f"1.2.3.{index + 1}",
        number=1,
        modality=modality,
        unit=UNITS[modality],
        header=FrameHeader(rows=shape[0], columns=shape[1]),
        sha256=f"{index:064d}",
        decode=decode,
    )
