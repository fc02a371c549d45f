"""The zipper metric finds one line of known strength across anything, and no edge of anatomy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_zipper
from medqa.regions import Regions
from medqa.volume import Array
from tests.science.factories import make_image, make_series

SIZE = 160
Y, X = np.meshgrid(*(np.arange(SIZE) - SIZE // 2,) * 2, indexing="ij")


def head(noise: float = 4.0, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    body = (np.hypot(Y / 60, X / 46) < 1) * 400.0
    channels = noise * generator.standard_normal((2, SIZE, SIZE))
    return np.hypot(body + channels[0], channels[1]).astype(np.float32)


def percent(array: Array) -> float:
    found = mr_zipper.per_frame(Regions(make_image(array, modality="MR")))
    assert found is not None
    return float(found["percent"])


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("strength", [80.0, 160.0, 320.0])
def test_a_line_of_dashes_is_told_by_its_strength(strength: float, across: bool) -> None:
    image = head()
    dashes = strength * (np.arange(SIZE) % 2)
    image[:, 50] += dashes + strength
    shown = np.ascontiguousarray(image.T) if across else image
    # Every pixel of the line stands out by its strength at least, half of them by twice as much.
    assert percent(shown) == pytest.approx(100 * strength / 400, rel=0.15)


def test_anatomy_and_noise_are_no_line() -> None:
    assert percent(head()) == 0
    assert percent(head(noise=60.0)) < 2
    box = np.where((np.abs(Y) < 40) & (np.abs(X) < 40), 400, 0).astype(np.float32) + head(noise=4.0) * 0.01
    # The straight edge of a box fills half of a line, and a zipper nearly all of it.
    assert percent(box) < 1


def test_lines_that_are_not_alone_are_texture() -> None:
    one = head()
    one[:, 60] += 200
    many = head()
    for column in range(40, 120, 5):
        many[:, column] += 200
    assert percent(one) > 40
    assert percent(many) < 1


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.01, 1000), turns=st.integers(0, 3), column=st.integers(20, 140))
def test_gain_and_orientation_do_not_matter(gain: float, turns: int, column: int) -> None:
    image = head(seed=3)
    image[:, column] += 100
    assert percent(np.ascontiguousarray(np.rot90(image * np.float32(gain), turns))) == pytest.approx(percent(image), rel=1e-3)


def test_a_masked_background_hides_no_line() -> None:
    image = head()
    image[np.hypot(Y / 62, X / 48) > 1] = 0
    clean = percent(image)
    image[:, 70] += 200
    assert clean < 2
    assert percent(image) > 40


@pytest.mark.parametrize(
    "array", [np.zeros((64, 64)), np.full((64, 64), 7.0), np.full((64, 64), np.nan), np.ones((20, 20)), head()[:30, :30]]
)
def test_what_shows_nothing_has_no_value(array: Array) -> None:
    made = np.asarray(array, dtype=np.float32)
    assert mr_zipper.per_frame(Regions(make_image(made, modality="MR"))) is None
    with pytest.raises(NotApplicable):
        mr_zipper.combine(make_series([made], modality="MR"), [None])


def test_the_slices_with_a_line_are_named() -> None:
    frames = [head(seed=index) for index in range(5)]
    for frame in frames[1:4]:
        frame[:, 60] += 200
    series = make_series(frames, modality="MR")
    partials = [mr_zipper.per_frame(Regions(make_image(frame, modality="MR"))) for frame in frames]
    (found,) = mr_zipper.find(series, partials)
    assert found.frames == (1, 3)
    assert mr_zipper.combine(series, partials).value > 30


def measured(frames: list[Array]) -> float:
    partials = [mr_zipper.per_frame(Regions(make_image(frame, modality="MR"))) for frame in frames]
    return float(mr_zipper.combine(make_series(frames, modality="MR"), partials).value)


def test_one_frequency_lies_at_the_same_line_of_every_slice() -> None:
    same, elsewhere = ([head(seed=index) for index in range(5)] for _ in range(2))
    for index in range(5):
        same[index][:, 60 + index % 2] += 200
        elsewhere[index][:, 40 + 15 * index] += 200
    assert measured(same) == pytest.approx(50, rel=0.15)
    assert measured(elsewhere) == 0
    assert all(percent(frame) > 40 for frame in elsewhere)


def test_faint_lines_add_up_over_slices_to_what_they_are() -> None:
    frames = [head(noise=20.0, seed=index) for index in range(5)]
    assert measured(frames) == 0
    for frame in frames:
        frame[:, 60] += 60
    assert 5 < measured(frames) < 15
