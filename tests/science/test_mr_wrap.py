"""Signal that enters from the borders, against discs that reach in by a known depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_wrap
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

SIZE = 256


def measured(arrays, axis: str | None = "COL", **values) -> float:
    series = make_series(arrays, modality="MR", phase_encoding_axis=axis, **values)
    return mr_wrap.combine(series, [mr_wrap.per_frame(Regions(frame.read())) for frame in series.frames]).value


def wrapped(depth: int, width: int = 128, noise: float = 10.0) -> np.ndarray:
    """Return a head with a band of signal of `depth` pixels along the upper border, over `width` columns in the middle."""
    made = mr_head(np.random.default_rng(1), 600, noise)
    made[:depth, (SIZE - width) // 2 : (SIZE + width) // 2] = 600
    return made


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("depth", [8, 12, 20])
def test_the_value_is_the_area_that_enters_as_a_share_of_the_field(depth: int, width: int) -> None:
    # A band's rim moves by less than a block of four pixels on either side.
    assert measured([wrapped(depth, width)]) == pytest.approx(
        100 * depth * width / SIZE**2, abs=100 * 4 * (width + 2 * depth) / SIZE**2
    )


def test_a_disc_that_is_folded_over_rises_with_its_shift() -> None:
    plain = mr_head(np.random.default_rng(1), 600, 10)
    values = [measured([np.roll(plain, shift, axis=0)]) for shift in (0, 50, 60, 80, 100)]
    assert values[0] == 0
    assert (np.diff(values) > 0.2).all()


def test_a_run_ends_at_a_gap_and_at_a_quarter_of_the_field() -> None:
    mask = np.zeros((40, 10), dtype=bool)
    mask[:3, 2], mask[5:9, 2], mask[:, 5], mask[-4:, 7] = True, True, True, True
    assert mr_wrap.border_runs(mask) == pytest.approx(((3 + 10) / 400, (10 + 4) / 400))


@pytest.mark.parametrize("noise", [2.0, 30.0, 100.0])
def test_a_head_in_air_lets_nothing_in(noise: float) -> None:
    assert measured([mr_head(np.random.default_rng(1), 600, noise)]) == 0


def test_blur_and_a_moderate_field_change_little() -> None:
    from scipy import ndimage

    plain = wrapped(24)
    assert measured([ndimage.gaussian_filter(plain, 2)]) == pytest.approx(measured([plain]), rel=0.1)
    assert measured([plain * np.linspace(0.8, 1.2, SIZE)[None, :]]) == pytest.approx(measured([plain]), rel=0.1)


def test_the_header_s_axis_decides_and_without_it_the_larger_one() -> None:
    rows = np.ascontiguousarray(wrapped(16).T)
    assert measured([wrapped(16)], "COL") == measured([wrapped(16)], None) == measured([rows], None) == measured([rows], "ROW") > 0
    assert measured([rows], "COL") == 0


def test_a_neck_leaves_the_field_at_one_end_of_the_readout_and_a_full_field_at_both() -> None:
    neck = np.ascontiguousarray(wrapped(20).T)
    neck[:16, 64:192] = 600
    assert measured([neck], "COL") == pytest.approx(100 * 16 * 128 / SIZE**2, abs=1)
    both = neck.copy()
    both[64:192, -20:] = 600
    assert refusal([both], "COL") == "no_air"
    # Without the axis in the header nothing says which of the two is the neck.
    assert refusal([neck], None) == "no_air"


def test_dim_tissue_is_signal_where_a_folded_body_leaves_hardly_any_air() -> None:
    values = np.repeat([10.0, 180.0, 600.0], [40, 300, 160]).astype(np.float32).reshape(20, 25)
    assert 10 * 1.5 < mr_wrap.signal_threshold(values) < 180
    # Noise is not: without a bright part there is nothing that it could be a fifth of.
    air = np.random.default_rng(1).normal(100, 2, (64, 64)).astype(np.float32)
    air[20:40, 20:40] = 300
    assert 110 < mr_wrap.signal_threshold(air) < 300


def refusal(arrays, axis: str | None = "COL") -> str:
    with pytest.raises(NotApplicable) as caught:
        measured(arrays, axis)
    return caught.value.values["reason"]


def test_a_body_that_fills_the_field_across_phase_encoding_too_tells_nothing() -> None:
    full = np.random.default_rng(1).normal(600, 20, (SIZE, SIZE))
    full[100:150, 100:150] = 20
    assert refusal([full]) == refusal([full], None) == "no_air"


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.booleans())
def test_units_and_flips_change_nothing(gain: float, flipped: bool) -> None:
    changed = wrapped(16) * np.float32(gain)
    assert measured([changed[::-1] if flipped else changed]) == pytest.approx(measured([wrapped(16)]), rel=0.02)


def test_pixel_size_changes_nothing_and_the_median_frame_counts() -> None:
    assert measured([wrapped(16)], spacing_mm=(2.0, 0.5)) == measured([wrapped(16)])
    assert measured([wrapped(8), wrapped(16), wrapped(32)]) == measured([wrapped(16)])


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 7.0), np.ones((1, 1))])
def test_where_there_is_no_body_there_is_no_value(array: np.ndarray) -> None:
    assert refusal([array]) == "no_body"
