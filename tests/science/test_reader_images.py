"""Plain images: nothing about their values is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medqa.codes import Unit
from medqa.errors import ValueRangeRequired
from medqa.reader import read
from tests.science.reader_factories import dataset, store


def write(path: Path, array: np.ndarray, spacing: tuple[float, ...] | None = None, origin: tuple[float, ...] | None = None) -> Path:
    image = sitk.GetImageFromArray(array)
    if spacing is not None:
        image.SetSpacing(spacing)
    if origin is not None:
        image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("given", [{}, {"modality": "CT"}, {"value_range": (-1000.0, 400.0)}])
def test_without_range_and_modality_a_plain_image_is_refused(tmp_path: Path, given: dict) -> None:
    path = write(tmp_path / "slice.tiff", np.zeros((32, 32), np.float32))
    with pytest.raises(ValueRangeRequired, match="MQ204"):
        read(path, **given)


@pytest.mark.parametrize(
    ("range_", "modality"), [((400.0, -1000.0), "CT"), ((float("nan"), 1.0), "CT"), ((-1000.0, 400.0), "US"), ((0.0, 0.0), "MR")]
)
def test_a_range_or_modality_without_sense_is_refused(tmp_path: Path, range_: tuple[float, float], modality: str) -> None:
    path = write(tmp_path / "slice.tiff", np.zeros((32, 32), np.float32))
    with pytest.raises(ValueRangeRequired):
        read(path, value_range=range_, modality=modality)


def test_shades_from_0_to_1_become_the_declared_range(tmp_path: Path) -> None:
    shades = np.linspace(0, 1, 32 * 40, dtype=np.float32).reshape(32, 40)
    series = read(write(tmp_path / "slice.tiff", shades), value_range=(-1000, 400), modality="CT").series[0]
    assert (series.source, series.unit, series.modality) == ("TIFF", Unit.HU, "CT")
    assert np.allclose(series.frames[0].read().array, shades * 1400 - 1000, atol=1e-3)
    assert [note.message for note in series.notes] == ["single_slice"]
    with pytest.raises(ValueRangeRequired, match="no shades"):
        read(write(tmp_path / "hu.tiff", shades * 500), value_range=(-1000, 400), modality="CT")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_integers_span_the_range_of_their_type(tmp_path: Path, kind: type) -> None:
    top = np.iinfo(kind).max
    values = np.array([[0, top // 3], [top // 3 * 2, top]], dtype=kind).repeat(16, 0).repeat(16, 1)
    series = read(write(tmp_path / "slice.png", values), value_range=(-100, 200), modality="MR").series[0]
    assert series.source == "PNG"
    array = series.frames[0].read().array
    assert np.allclose([array[0, 0], array[0, -1], array[-1, 0], array[-1, -1]], [-100, 0, 100, 200], atol=1e-3)


@pytest.mark.parametrize(("name", "source"), [("volume.nii.gz", "NIfTI"), ("volume.mha", "MHA")])
def test_native_values_stay_and_geometry_is_kept(tmp_path: Path, name: str, source: str) -> None:
    array = (np.arange(5 * 20 * 24).reshape(5, 20, 24) - 1000).astype(np.int16)
    path = write(tmp_path / name, array, (0.7, 0.8, 2.5), (-11.0, 7.0, 3.0))
    series = read(path, value_range=(-1024, 3071), modality="CT").series[0]
    assert series.source == source
    assert np.array_equal(series.volume.slab(0, 5), array)
    assert np.allclose(series.volume.spacing_mm, (2.5, 0.8, 0.7), atol=1e-5)
    assert np.allclose(series.volume.origin_mm, (-11, 7, 3), atol=1e-5)
    assert series.notes == ()
    with pytest.raises(ValueRangeRequired, match="outside"):
        read(path, value_range=(5000, 6000), modality="MR")


def test_a_file_keeps_its_uids_wherever_it_lies(tmp_path: Path) -> None:
    shades = np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32)
    one = read(write(tmp_path / "a.tiff", shades), value_range=(0, 1), modality="MR").series[0]
    (tmp_path / "b.tiff").write_bytes((tmp_path / "a.tiff").read_bytes())
    two = read(tmp_path / "b.tiff", value_range=(0, 1), modality="MR").series[0]
    assert (one.series_uid, one.study_uid, one.frames[0].key) == (two.series_uid, two.study_uid, two.frames[0].key)
    assert one.series_uid.startswith("2.25.")
    assert len({one.series_uid, one.study_uid, one.frames[0].sop_instance_uid}) == 3


def test_beside_dicom_a_plain_image_is_left_out_with_its_way_out(tmp_path: Path) -> None:
    store(tmp_path, [dataset(index=index) for index in range(2)])
    write(tmp_path / "slice.png", np.zeros((32, 32), np.uint8))
    reading = read(tmp_path)
    assert len(reading.series) == 1
    (left,) = reading.left_out
    assert (left.kind, left.code) == ("plain_image", "MQ204")
    assert "--value-range" in left.text


def test_colour_and_broken_files_have_a_code(tmp_path: Path) -> None:
    colour = sitk.GetImageFromArray(np.zeros((16, 16, 3), np.uint8), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "colour.png"))
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing of the kind")
    reading = read(tmp_path, value_range=(0, 1), modality="MR")
    assert [(item.name, item.code) for item in reading.left_out] == [("broken.nii.gz", "MQ201"), ("colour.png", "MQ201")]


def test_the_benchmark_s_own_format(data: Path) -> None:
    series = read(data / "ct" / "ldct_iqac" / "test011.tiff", value_range=(-1000, 400), modality="CT").series[0]
    array = series.frames[0].read().array
    assert array.shape == (512, 512)
    assert (array.min(), array.max()) == (-1000, 400)
