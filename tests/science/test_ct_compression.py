"""Blockiness: known for blocks that were put in, 1 without, and seen after a real JPEG round trip."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medqa.errors import NotApplicable
from medqa.metrics import ct_compression
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import ct_body, make_image, make_series

WINDOW = (-160.0, 240.0)


def blockiness(array: np.ndarray) -> float:
    series = make_series([array])
    return ct_compression.METRIC.combine(series, [ct_compression.per_frame(Regions(series.frames[0].read()))]).value


def body(noise: float = 15.0) -> np.ndarray:
    return ct_body(np.random.default_rng(4), noise, size=512)


def jpeg(array: np.ndarray, quality: int) -> np.ndarray:
    """Return what is left of a soft-tissue window after a baseline JPEG of 8 bits."""
    low, high = WINDOW
    shades = np.round((np.clip(array, low, high) - low) / (high - low) * 255).astype(np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(shades).save(file, "JPEG", quality=quality)
        file.seek(0)
        decoded = np.asarray(Image.open(file), dtype=np.float32)
    return decoded / 255 * np.float32(high - low) + np.float32(low)


def with_blocks(array: np.ndarray, deviation: float, *, shift: int = 0) -> np.ndarray:
    rng = np.random.default_rng(9)
    steps = np.kron(rng.normal(0, deviation, (66, 66)), np.ones((8, 8)))[shift : shift + 512, shift : shift + 512]
    return (array + steps).astype(np.float32)


@pytest.mark.parametrize("ratio", [0.4, 0.8, 1.2])
def test_steps_between_blocks_add_their_variance_to_that_of_the_noise(ratio: float) -> None:
    assert blockiness(with_blocks(body(10.0), 10.0 * ratio)) == pytest.approx(math.sqrt(1 + ratio**2), rel=0.06)


@pytest.mark.parametrize("noise", [2.0, 15.0, 40.0])
def test_without_blocks_it_is_one(noise: float) -> None:
    assert blockiness(body(noise)) == pytest.approx(1, abs=0.03)


def test_level_and_contrast_do_not_matter() -> None:
    array = with_blocks(body(10.0), 8.0)
    expected = blockiness(array)
    assert blockiness(array + 25) == pytest.approx(expected, rel=0.01)
    assert blockiness(np.where(array > -500, 40 + 1.7 * (array - 40), -1000)) == pytest.approx(expected, rel=0.02)
    assert blockiness(np.ascontiguousarray(array.T)) == pytest.approx(expected, rel=0.03)


def test_blocks_elsewhere_than_an_encoder_puts_them_are_not_seen() -> None:
    assert blockiness(with_blocks(body(10.0), 15.0, shift=3)) < 1


def test_edges_along_one_border_are_no_blocks() -> None:
    array = body(10.0)
    array[:, 256:] += 150
    assert blockiness(array) == pytest.approx(1, abs=0.04)


def test_a_jpeg_is_seen_the_more_the_harder_it_was_compressed() -> None:
    values = [blockiness(jpeg(body(), quality)) for quality in (100, 75, 50, 30)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(1, abs=0.05)
    assert values[1] > ct_compression.HIGH


def test_the_finding_names_the_slices() -> None:
    plain, packed = body(), jpeg(body(), 50)
    series = make_series([plain, packed, packed, plain])
    partials = [ct_compression.per_frame(Regions(frame.read())) for frame in series.frames]
    (found,) = ct_compression.find(series, partials)
    assert (found.message, found.frames) == ("ct_blocks", (1, 2))
    assert found.values["value"] == pytest.approx(blockiness(packed), abs=0.01)


def found_in(array: np.ndarray) -> list[tuple[int, int] | None]:
    series = make_series([array])
    partials = [ct_compression.per_frame(Regions(frame.read())) for frame in series.frames]
    return [one.frames for one in ct_compression.find(series, partials)]


def test_rows_interpolated_between_slices_are_no_blocks() -> None:
    # A coronal reformat with two rows to a slice: the borders of blocks always lie alike between the slices.
    axial = np.random.default_rng(2).normal(40, 15, (258, 512))
    place = np.arange(512) / 2 + 0.75
    whole = place.astype(int)
    share = (place - whole)[:, None]
    array = ((1 - share) * axial[whole] + share * axial[whole + 1]).astype(np.float32)
    assert blockiness(array) > ct_compression.HIGH
    assert found_in(array) == []
    assert found_in(jpeg(array, 30)) == [(0, 0)]


def test_ribs_that_end_on_borders_are_no_blocks() -> None:
    rng = np.random.default_rng(3)
    array = rng.normal(40, 6, (256, 512)).astype(np.float32)
    array[:, 300:] = -1000
    for row in (40, 72, 104, 136, 168):
        array[row : row + 13] += 100
    assert blockiness(array) > ct_compression.HIGH
    assert found_in(array) == []
    assert found_in(jpeg(array, 30)) == [(0, 0)]


@pytest.mark.parametrize(
    "array",
    [np.full((512, 512), -1000.0), np.full((64, 64), np.nan), np.full((512, 512), 40.0), np.full((3, 700), 40.0), body()[:64, :64]],
)
def test_too_little_to_see_blocks_in(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        blockiness(array)
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_real_scans_show_no_blocks_until_they_are_compressed(data: Path, real_series: list[str]) -> None:
    for name in ("tcga_17_z019", "nysbu_a056642_1", "qure_cq500_310"):
        (series,) = read(data / "ct" / f"{name}.zip").series
        array = np.nan_to_num(series.frames[0].read().array, nan=-1024)
        assert blockiness(array) == pytest.approx(1, abs=0.06)
        assert found_in(array) == []
        assert blockiness(jpeg(array, 75)) > ct_compression.HIGH
        assert found_in(jpeg(array, 75)) == [(0, 0)]
        real_series.append(name)


def test_a_frame_that_is_not_a_multiple_of_eight_is_looked_at_too() -> None:
    array = jpeg(body(), 30)[:509, :403]
    assert ct_compression.per_frame(Regions(make_image(array))) is not None
    assert blockiness(array) > ct_compression.HIGH
