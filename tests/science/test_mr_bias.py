"""Bias fields of known variation, against noise, tissues, and N4 run until it has converged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_bias
from medqa.regions import Regions
from tests.science.factories import make_series
from tests.science.mr_factories import head


def measured(arrays, **values) -> float:
    series = make_series(arrays, modality="MR", **values)
    return mr_bias.combine(series, [mr_bias.per_frame(Regions(frame.read())) for frame in series.frames]).value


def disc(size: int = 256, columns: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a disc, and y and x from -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, columns or size), indexing="ij")
    return np.where(np.hypot(y, x) < 0.8, 600.0, 0.0), y, x


def shaded(log_field, noise: float = 10.0, size: int = 256) -> tuple[np.ndarray, float]:
    """Return a disc under exp(log_field(y, x)) with noise, and the variation of the field within it in percent."""
    body, y, x = disc(size)
    field = np.exp(log_field(y, x))
    real, imaginary = np.random.default_rng(1).normal(0, noise, (2, *body.shape))
    inside = field[body > 0]
    return np.hypot(body * field + real, imaginary).astype(np.float32), float(100 * inside.std() / inside.mean())


FIELDS = {
    "slope": lambda y, x: 0.5 * x,
    "strong slope": lambda y, x: 1.2 * y - 0.3 * x,
    "bright middle": lambda y, x: -0.8 * (x * x + y * y),
    "saddle": lambda y, x: 0.6 * x * y + 0.3 * x,
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("noise", [2.0, 30.0])
def test_the_value_is_the_variation_of_the_field(name: str, noise: float) -> None:
    image, variation = shaded(FIELDS[name], noise)
    assert measured([image]) == pytest.approx(variation, rel=0.08)


def test_the_dark_side_of_a_strong_field_stays_in() -> None:
    values = [measured([shaded(lambda y, x, f=factor: f * x)[0]]) for factor in (0.0, 0.3, 0.6, 1.2, 1.8)]
    assert values[0] < 1
    assert (np.diff(values) > 5).all()


def test_no_field_is_none_and_tissues_are_no_field() -> None:
    assert measured([shaded(lambda y, x: 0 * x)[0]]) < 1
    assert measured([head(np.random.default_rng(1), noise=10, size=256, patch=24)]) < 1


def test_the_fit_leaves_the_rim_out_but_not_where_a_body_is_mostly_rim() -> None:
    body, _, _ = disc(32)
    round_one = mr_bias.bias_field(np.where(body > 0, 600.0, 5.0))
    assert round_one is not None
    inner = mr_bias._without_rim(round_one[1])
    assert 0.7 * round_one[1].sum() < inner.sum() < round_one[1].sum()
    fingers = (body > 0) & ((np.arange(32) % 5) < 2)
    assert (mr_bias._without_rim(fingers) == fingers).all()


def test_a_field_over_tissues_is_found() -> None:
    image = head(np.random.default_rng(1), noise=10, size=256, patch=24)
    _, _, x = disc()
    field = np.exp(0.7 * x)
    inside = field[image > 100]
    assert measured([image * field]) == pytest.approx(100 * inside.std() / inside.mean(), rel=0.2)


def test_n4_that_has_converged_finds_the_same_field() -> None:
    import SimpleITK as sitk

    values = mr_bias.means_of_blocks(shaded(FIELDS["saddle"])[0])
    found = mr_bias.bias_field(values)
    assert found is not None
    field, mask = found
    image = sitk.GetImageFromArray(values.astype(np.float32))
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([60, 60])
    corrector.SetConvergenceThreshold(1e-6)
    corrector.SetNumberOfThreads(1)
    corrector.Execute(image, sitk.GetImageFromArray(mask.astype(np.uint8)))
    known = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image))[mask]
    ours = np.log(field[mask])
    assert np.corrcoef(ours, known)[0, 1] > 0.95
    assert ours.std() == pytest.approx(known.std(), rel=0.2)


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 3))
def test_units_and_turns_change_nothing(gain: float, turns: int) -> None:
    image, _ = shaded(FIELDS["saddle"])
    turned = np.ascontiguousarray(np.rot90(image * np.float32(gain), turns))
    assert measured([turned]) == pytest.approx(measured([image]), rel=0.03)


@pytest.mark.parametrize("size", [96, 192, 512])
def test_the_matrix_does_not_matter(size: int) -> None:
    image, variation = shaded(FIELDS["slope"], size=size)
    assert measured([image]) == pytest.approx(variation, rel=0.08)


@pytest.mark.parametrize("array", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 7.0), np.ones((1, 1))])
def test_where_there_is_no_body_there_is_no_value(array: np.ndarray) -> None:
    with pytest.raises(NotApplicable) as caught:
        measured([array])
    assert caught.value.values["reason"] == "no_body"


def test_a_tiny_frame_and_holes_do_no_harm() -> None:
    assert mr_bias.bias_field(np.ones((4, 4))) is None
    image, variation = shaded(FIELDS["slope"])
    image[100:140, 100:140] = np.nan
    assert measured([image]) == pytest.approx(variation, rel=0.1)
