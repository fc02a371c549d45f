"""MR metrics against images whose signal, noise and ghosts are known."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import NotApplicable
from medqa.metrics import mr_snr
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head


def measure(metric, arrays, **values):
    series = make_series(arrays, modality="MR", **values)
    return metric.combine(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames])


@pytest.mark.parametrize(("signal", "noise"), [(600.0, 5.0), (600.0, 20.0), (1000.0, 100.0)])
def test_snr_is_signal_over_the_noise_of_one_channel(signal: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    measured = measure(mr_snr.METRIC, [mr_head(rng, signal, noise) for _ in range(3)])
    assert measured.value == pytest.approx(signal / noise, rel=0.06)


def test_snr_does_not_depend_on_the_scanner_s_units() -> None:
    images = [mr_head(np.random.default_rng(1), 600, 10)]
    assert measure(mr_snr.METRIC, [images[0] * 37.5]).value == pytest.approx(measure(mr_snr.METRIC, images).value, rel=1e-4)


@pytest.mark.parametrize("kind", ["zero", "constant", "half zero", "filtered"])
def test_air_that_was_masked_or_filtered_measures_nothing(kind: str) -> None:
    image = mr_head(np.random.default_rng(1), 600, 10)
    air = image < 200
    rng = np.random.default_rng(2)
    replaced = {
        "zero": np.zeros_like(image),
        "constant": np.full_like(image, 3),
        "half zero": np.where(rng.random(image.shape) < 0.5, 0, image),
        "filtered": rng.exponential(4, image.shape) ** 2,
    }[kind]
    with pytest.raises(NotApplicable) as caught:
        measure(mr_snr.METRIC, [np.where(air, replaced, image)])
    assert caught.value.values["reason"] == "background_masked"


def test_a_frame_full_of_tissue_has_no_air() -> None:
    image = np.random.default_rng(1).normal(500, 20, (128, 128))
    image[:4, :4] = 0
    with pytest.raises(NotApplicable) as caught:
        measure(mr_snr.METRIC, [image])
    assert caught.value.values["reason"] in ("no_air", "background_masked")
