"""Steps between grey values, bits and saturation: known lattices, known shares."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import ct_bits
from medqa.reader import read
from medqa.regions import Regions
from tests.science.factories import ct_body, make_image, make_series

EIGHT_BITS = 400 / 255


def body(noise: float = 20.0) -> np.ndarray:
    return ct_body(np.random.default_rng(7), noise)


def measured(*arrays: np.ndarray) -> dict[str, float]:
    series = make_series(arrays)
    partials = [ct_bits.per_frame(Regions(frame.read())) for frame in series.frames]
    return {one.quantity.value: one.value for one in ct_bits.METRIC.measure(series, partials)}


def windowed(array: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return what 256 values between `low` and `high` leave of an image."""
    return np.round((np.clip(array, low, high) - low) / (high - low) * 255) * (high - low) / 255 + low


@pytest.mark.parametrize("step", [0.25, 1.0, EIGHT_BITS, 2.0, 16.0])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_the_step_of_a_lattice_is_its_step(step: float, offset: float) -> None:
    assert measured(np.round(body() / step) * step + offset)["ct_step"] == pytest.approx(step, rel=0.02)


@pytest.mark.parametrize("window", [350.0, 400.0, 2000.0])
def test_eight_bits_written_back_as_whole_hu_are_seen(window: float) -> None:
    array = np.round(windowed(body(), 40 - window / 2, 40 + window / 2))
    assert measured(array)["ct_step"] == pytest.approx(window / 255, rel=0.02)


def test_a_constant_does_not_matter_and_a_gain_goes_with_it() -> None:
    whole = np.round(body())
    step = measured(whole)["ct_step"]
    assert measured(whole + 30)["ct_step"] == pytest.approx(step, rel=1e-3)
    assert measured(1.5 * whole)["ct_step"] == pytest.approx(1.5 * step, rel=0.01)


def test_floating_point_values_have_no_step_to_speak_of() -> None:
    assert measured(body())["ct_step"] < 0.05


@pytest.mark.parametrize("noise", [5.0, 30.0, 90.0])
@pytest.mark.parametrize("step", [1.0, 3.0])
def test_values_that_are_missing_by_chance_are_no_steps(noise: float, step: float) -> None:
    rng = np.random.default_rng(2)
    tissue = np.concatenate([rng.normal(50, noise, 15_000), rng.normal(-100, noise, 5_000)])
    assert ct_bits.grey_step(np.round(tissue / step) * step)[0] == step


def test_every_second_value_that_is_rare_is_no_value_that_is_missing() -> None:
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(40, 15, 20_000))
    odd = (values % 2 == 1) & (rng.random(values.size) < 0.9)
    assert 1 <= ct_bits.grey_step(np.where(odd, values + 1, values))[0] < 1.1
    assert ct_bits.grey_step(np.where(values % 2 == 1, values + 1, values))[0] == 2


def test_bits_are_those_of_the_values_that_occur() -> None:
    spread = np.where(body() > -500, np.random.default_rng(0).uniform(-149, 249, (256, 256)), -1000)
    assert measured(np.round(spread))["ct_bits"] == pytest.approx(math.log2(399), abs=0.02)
    assert measured(np.round(spread / 4) * 4)["ct_bits"] == pytest.approx(math.log2(99), abs=0.05)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_pixels_does_not_matter(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    values = (np.round(rng.normal(40, 10, 3000) / step) * step).astype(np.float32)
    assert ct_bits.grey_step(values) == ct_bits.grey_step(rng.permutation(values))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize(("end", "counts"), [(400.0, True), (1023.0, True), (-300.0, True), (3071.0, False), (-1024.0, False)])
def test_the_share_at_an_end_is_the_share_put_there_but_for_metal_and_air(share: float, end: float, counts: bool) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(40, 20, 10_000)
    values[: round(share * values.size)] = end
    assert ct_bits.saturation(values) == ((pytest.approx(100 * share), end) if counts else (0.0, None))


def test_both_ends_add_up_and_the_fuller_one_is_named() -> None:
    values = np.concatenate([np.full(30, -200.0), np.linspace(-190, 390, 940), np.full(30, 400.0), [400.0]])
    share, end = ct_bits.saturation(values)
    assert share == pytest.approx(100 * 61 / values.size)
    assert end == 400.0


def test_a_peak_is_not_an_end() -> None:
    assert measured(np.round(body()))["ct_saturated"] == 0


def with_metal(highest: float, *, pixels: int = 30, at: int = 128) -> np.ndarray:
    array = np.round(body())
    block = np.round(np.random.default_rng(8).uniform(4000, 9000, (pixels, 2)))
    array[at : at + pixels, at : at + 2] = np.minimum(block, highest)
    return array


def test_metal_that_the_scale_cuts_off_is_measured_by_its_share_and_not_told_of() -> None:
    array = with_metal(3071.0)
    inside = Regions(make_image(array))
    assert measured(array)["ct_saturated"] == pytest.approx(100 * 60 / inside.full(inside.body).sum())
    assert measured(with_metal(3071.0, pixels=60))["ct_saturated"] == pytest.approx(2 * measured(array)["ct_saturated"], rel=0.02)
    series = make_series([array])
    assert ct_bits.find(series, [ct_bits.per_frame(Regions(series.frames[0].read()))]) == []


def test_metal_within_the_scale_outside_the_body_or_of_a_few_pixels_is_not_cut_off() -> None:
    for array in (with_metal(20_000.0), with_metal(3071.0, pixels=2), with_metal(3071.0, at=2)):
        assert measured(array)["ct_saturated"] == 0


def test_the_findings_name_the_slices_the_step_and_the_level() -> None:
    whole = np.round(body())
    cut = np.where(whole > 50, 50, whole)
    series = make_series([whole, windowed(whole, -160, 240), whole, cut, cut])
    partials = [ct_bits.per_frame(Regions(frame.read())) for frame in series.frames]
    found = {(one.message, one.frames): one.values for one in ct_bits.find(series, partials)}
    assert set(found) == {("ct_coarse_steps", (1, 1)), ("ct_saturated", (1, 1)), ("ct_saturated", (3, 4))}
    assert found["ct_coarse_steps", (1, 1)]["value"] == pytest.approx(EIGHT_BITS, abs=0.01)
    assert found["ct_saturated", (1, 1)]["level"] == -160
    assert found["ct_saturated", (3, 4)]["level"] == 50
    assert found["ct_saturated", (3, 4)]["value"] == pytest.approx(50, abs=3)


@pytest.mark.parametrize(
    "array", [np.full((128, 128), -1000.0), np.full((64, 64), np.nan), np.full((64, 64), 40.0), np.full((3, 7), 40.0)]
)
def test_no_tissue_or_one_value_has_no_step(array: np.ndarray) -> None:
    assert ct_bits.per_frame(Regions(make_image(array))) is None
    with pytest.raises(NotApplicable) as caught:
        measured(array)
    assert caught.value.values["reason"] == "no_soft_tissue"


def test_real_scans_have_whole_steps_but_the_one_that_was_remapped(data: Path, real_series: list[str]) -> None:
    for name, low, high in (("lidc_0314", 0.99, 1.01), ("tcga_17_z019", 1.0002, 1.01), ("rider_01xx", 1.5, 2.0)):
        (series,) = read(data / "ct" / f"{name}.zip").series
        partials = [ct_bits.per_frame(Regions(frame.read())) for frame in series.frames]
        step, _, saturated = ct_bits.METRIC.measure(series, partials)
        assert low < step.value < high
        assert saturated.value == 0
        real_series.append(name)
