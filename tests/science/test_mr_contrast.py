"""Contrast and signal of white and grey matter, against heads whose levels and noise are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_contrast, mr_formulae, mr_snr_tissue, mr_tissue
from medqa.metrics.metric import Metric
from medqa.metrics.mr_air import frame_air
from medqa.regions import Regions
from tests.science.factories import make_series
from tests.science.mr_factories import T1, T2, heads

METRICS = {"mr_cnr": mr_contrast.METRIC, "mr_cjv": mr_contrast.VARIATION, "mr_snr_tissue": mr_snr_tissue.METRIC}
ALL = list(METRICS)


def measured(name: str, arrays, **values) -> float:
    metric: Metric = METRICS[name]
    series = make_series(arrays, modality="MR", spacing_mm=(1.7, 1.7), **values)
    (made,) = metric.measure(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames])
    assert made.quantity.value == name
    assert made.limits is None
    return made.value


def reason(name: str, arrays, **values) -> str:
    with pytest.raises(NotApplicable) as caught:
        measured(name, arrays, **values)
    return caught.value.values["reason"]


def expected(name: str, levels, noise: float) -> float:
    """By hand from what the head was made with; the deviation of Rayleigh noise in air is 0.6551 of a channel's."""
    contrast = abs(levels["white"] - levels["grey"])
    return {
        "mr_cnr": contrast / (noise * np.sqrt(0.6551**2 + 2)),
        "mr_cjv": 2 * noise / contrast,
        "mr_snr_tissue": (levels["white"] + levels["grey"]) / 2 / noise,
    }[name]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("levels", [T1, T2], ids=["T1", "T2"])
@pytest.mark.parametrize("noise", [10.0, 30.0])
def test_values_are_those_of_the_construction(name: str, levels, noise: float) -> None:
    assert measured(name, heads(levels=levels, noise=noise)) == pytest.approx(expected(name, levels, noise), rel=0.06)


@pytest.mark.parametrize("name", ALL)
def test_values_are_the_formulae_in_the_tissue_masks(name: str) -> None:
    volume = np.stack(heads(noise=25.0)).astype(np.float64)
    clean = np.stack(heads(noise=1e-3))
    white, grey = (np.abs(clean - T1[tissue]) < 1 for tissue in ("white", "grey"))
    air = np.stack([Regions(frame.read()).outer_air for frame in make_series(list(volume), modality="MR").frames])
    known = {
        "mr_cnr": mr_formulae.volume_cnr(volume, white, grey, air),
        "mr_cjv": mr_formulae.volume_cjv(volume, white, grey),
        "mr_snr_tissue": np.mean([mr_formulae.volume_snr(volume, mask) for mask in (white, grey)]),
    }
    assert measured(name, list(volume)) == pytest.approx(known[name], rel=0.05)


def test_streamed_ratios_are_the_formulae_of_the_tissues_found() -> None:
    arrays = heads(noise=25.0)
    series = make_series(arrays, modality="MR", spacing_mm=(1.7, 1.7))
    regions = [Regions(frame.read()) for frame in series.frames]
    (found,) = mr_tissue.tissues("x", series, [mr_tissue.per_frame(one) for one in regions])
    white, grey = ((one.mean, one.deviation) for one in (found.white, found.grey))
    air = float(np.median([frame_air(one).deviation for one in regions]))
    contrast = abs(white[0] - grey[0])
    assert measured("mr_cnr", arrays) == pytest.approx(contrast / np.sqrt(air**2 + white[1] ** 2 + grey[1] ** 2), rel=1e-6)
    assert measured("mr_cjv", arrays) == pytest.approx((white[1] + grey[1]) / contrast, rel=1e-6)
    pixels = (found.white.pixels, found.grey.pixels)
    each = [mean / (dev * np.sqrt(n / (n - 1))) for (mean, dev), n in zip((white, grey), pixels, strict=True)]
    assert measured("mr_snr_tissue", arrays) == pytest.approx(np.mean(each), rel=1e-6)


@pytest.mark.parametrize(("name", "power"), [("mr_cnr", -1), ("mr_cjv", 1), ("mr_snr_tissue", -1)])
def test_twice_the_noise(name: str, power: int) -> None:
    once, twice = (measured(name, heads(noise=noise)) for noise in (15.0, 30.0))
    assert twice == pytest.approx(once * 2.0**power, rel=0.07)


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(ALL), st.floats(0.02, 300.0))
def test_the_scanner_s_units_change_nothing(name: str, gain: float) -> None:
    arrays = heads(2)
    assert measured(name, [array * gain for array in arrays], slope=gain) == pytest.approx(measured(name, arrays), rel=0.05)


def test_a_coil_s_profile_joins_the_variations() -> None:
    values = [measured("mr_cjv", heads(noise=10.0, shading=shading)) for shading in (0.0, 0.08, 0.16, 0.3, 0.6)]
    assert np.diff(values).min() > 0


def test_half_the_contrast_doubles_the_variation() -> None:
    half = T1 | {"grey": 600.0}
    assert measured("mr_cjv", heads(levels=half, noise=10.0)) == pytest.approx(2 * measured("mr_cjv", heads(noise=10.0)), rel=0.07)


def test_masked_air_leaves_what_needs_no_air() -> None:
    plain = heads()
    masked = [np.where(array < 90, 0, array) for array in plain]
    assert reason("mr_cnr", masked) == "background_masked"
    for name in ("mr_cjv", "mr_snr_tissue"):
        assert measured(name, masked) == pytest.approx(measured(name, plain), rel=0.02)


@pytest.mark.parametrize("name", ALL)
def test_of_several_echoes_the_median_counts(name: str) -> None:
    arrays = [heads(2, levels=levels) for levels in (T1, T2)]
    each = [measured(name, array) for array in arrays]
    assert measured(name, [*arrays[0], *arrays[1]], stacks=2) == pytest.approx(np.mean(each), rel=0.01)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("array", [np.zeros((128, 128)), np.full((128, 128), np.nan), np.ones((2, 2)), np.full((64, 64), 9.0)])
def test_bad_input_has_a_reason(name: str, array: np.ndarray) -> None:
    assert reason(name, [array]) == mr_tissue.REASON
