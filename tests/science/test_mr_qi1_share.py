"""The share of air with artefacts, against patches of known size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_qi1_share
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

NOISE = 10.0
ARTEFACT = 150.0
"""Over the threshold (7.8 times the noise), under what counts as foreground."""


def measured(arrays, **values) -> float:
    series = make_series(arrays, modality="MR", **values)
    return mr_qi1_share.combine(series, [mr_qi1_share.per_frame(Regions(frame.read())) for frame in series.frames]).value


def reason(arrays) -> str:
    with pytest.raises(NotApplicable) as caught:
        measured(arrays)
    return caught.value.values["reason"]


def image(height: int = 0, width: int = 0, value: float = ARTEFACT, size: int = 256) -> np.ndarray:
    made = mr_head(np.random.default_rng(1), 600, NOISE, size=size)
    made[4 : 4 + height, 4 : 4 + width] = value
    return made


def air(array: np.ndarray) -> int:
    found = Regions(make_series([array], modality="MR").frames[0].read())
    return int(found.full(found.outer_air).sum())


@pytest.mark.parametrize(("height", "width"), [(3, 3), (10, 20), (12, 30)])
@pytest.mark.parametrize("size", [128, 256])
def test_the_share_is_that_of_the_patch(height: int, width: int, size: int) -> None:
    made = image(height, width, size=size)
    assert mr_qi1_share.per_frame(Regions(make_series([made], modality="MR").frames[0].read()))["artefacts"] == pytest.approx(
        # A cross takes the corners of a square off.
        height * width,
        abs=4,
    )
    assert measured([made]) == pytest.approx(height * width / air(made), abs=4.1 / air(made))


def mriqc_qi1(volume: np.ndarray, air: np.ndarray) -> float:
    """MRIQC's index of one plane with this air: robust deviations over ten, what a cross opens, over all the air."""
    sample = volume[air]
    deviation = np.median(np.abs(sample - np.median(sample))) / 0.6744898
    flagged = np.pad(air & ((volume - np.median(sample)) / deviation > 10), 1)
    shifts = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    eroded = np.all([np.roll(flagged, shift, (0, 1)) for shift in shifts], axis=0)
    opened = np.any([np.roll(eroded, shift, (0, 1)) for shift in shifts], axis=0)
    return float(opened.sum() / air.sum())


@pytest.mark.parametrize("seed", range(3))
def test_it_is_mriqc_s_in_the_same_air(seed: int) -> None:
    generator = np.random.default_rng(seed)
    made = mr_head(generator, 600, NOISE, size=128)
    for _ in range(6):
        row, column = generator.integers(2, 118, 2)
        made[row : row + generator.integers(1, 9), column : column + generator.integers(1, 9)] += 100
    found = Regions(make_series([made], modality="MR").frames[0].read())
    assert measured([made]) > 0
    assert measured([made]) == pytest.approx(mriqc_qi1(made.astype(np.float64), found.outer_air), rel=1e-6)


@pytest.mark.parametrize("noise", [2.0, 10.0, 40.0])
def test_noise_alone_is_no_artefact(noise: float) -> None:
    assert measured([mr_head(np.random.default_rng(seed), 600, noise) for seed in range(2)]) == 0


def test_stray_pixels_are_no_artefact() -> None:
    made = image()
    made[4:40:3, 4:200:3] = ARTEFACT
    assert measured([made]) == 0


def test_the_threshold_lies_ten_robust_deviations_over_the_median() -> None:
    # Of Rayleigh noise: median 1.1774, median absolute deviation 0.4485 of a channel.
    threshold = (1.1774 + 10 * 1.4826 * 0.4485) * NOISE
    assert measured([image(20, 40, 0.95 * threshold)]) == 0
    assert measured([image(20, 40, 1.05 * threshold)]) > 0


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 3))
def test_units_and_turns_change_nothing(gain: float, turns: int) -> None:
    plain, changed = image(12, 50), np.ascontiguousarray(np.rot90(image(12, 50) * gain, turns))
    # A step that is small against the noise: coarse ones are quantisation, which the air's noise is not measured by.
    assert measured([changed], slope=gain) == pytest.approx(measured([plain]), rel=0.02)


def test_frames_are_summed_by_their_air() -> None:
    arrays = [image(12, 50), image(), image()]
    assert measured(arrays) == pytest.approx(measured([arrays[0]]) / 3, rel=0.01)
    assert measured(arrays) == measured(arrays[::-1])


def smeared(width: int) -> np.ndarray:
    """Something that pulsates, smeared along the columns through head and air."""
    made = mr_head(np.random.default_rng(1), 600, 3)
    made[:, 120 : 120 + width] += 50
    return made


def test_what_is_smeared_along_the_phase_encoding_axis_counts_by_its_width() -> None:
    none, narrow, wide = (measured([smeared(width)]) for width in (0, 8, 16))
    assert none == 0
    assert narrow > 0.005
    assert wide == pytest.approx(2 * narrow, rel=0.15)


def dim_patch() -> np.ndarray:
    """Tissue up to the border, with something dim inside it."""
    made = np.random.default_rng(1).normal(500, 20, (256, 256))
    made[60:120, 60:120] = np.random.default_rng(2).normal(70, 20, (60, 60))
    return made


@pytest.mark.parametrize("air_is", [np.zeros((256, 256)), np.full((256, 256), 3.0)], ids=["zero", "constant"])
def test_masked_air_has_none(air_is: np.ndarray) -> None:
    made = image()
    assert reason([np.where(made < 200, air_is, made)]) == "background_masked"


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((64, 64)), "no_body"),
        (np.full((64, 64), np.nan), "no_body"),
        (np.ones((1, 1)), "no_body"),
        (dim_patch(), "no_air"),
        (np.random.default_rng(1).normal(0, 300, (128, 128)), "unit_unknown"),
    ],
    ids=["empty", "no values", "one pixel", "no air", "phase"],
)
def test_bad_input_has_a_reason(array: np.ndarray, why: str) -> None:
    assert reason([array]) == why
