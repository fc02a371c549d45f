"""The formulae of MRIQC, once more in plain numpy, on images that are known by construction; and the metrics that stream them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.metrics import mr_efc, mr_fber, mr_formulae, mr_snr
from medqa.metrics.mr_background import outlined
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head

SHAPE = (6, 40, 48)
PRECISION = 1e-6


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, int(np.prod(SHAPE))).reshape(SHAPE)


def two_values(mean: float, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
    """Half the pixels one deviation over the mean, half under it: mean and population deviation are exact."""
    return mean + deviation * (1 - 2 * (np.arange(np.prod(shape)).reshape(shape) % 2))


def phantom(
    *, white: tuple[float, float] = (700, 30), grey: tuple[float, float] = (500, 40), air: tuple[float, float] = (12, 6)
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """White matter, grey matter and air side by side, each with a mean and a deviation known by construction."""
    blocks = [two_values(mean, deviation, (SHAPE[0], SHAPE[1], 16)) for mean, deviation in (white, grey, air)]
    place = np.repeat(np.arange(3), 16)[None, None, :] * np.ones(SHAPE)
    return np.concatenate(blocks, axis=2), {name: place == k for k, name in enumerate(("white", "grey", "air"))}


# MRIQC's formulae (mriqc/qc/anatomical.py, 2026), each as one line of numpy.
def mriqc_snr(mean, deviation, count):
    return mean / (deviation * np.sqrt(count / (count - 1)))


def mriqc_dietrich(mean, air_deviation):
    return 0.6551364 * mean / air_deviation


def mriqc_cnr(mu_wm, mu_gm, sigma_air, sigma_wm, sigma_gm):
    return abs(mu_wm - mu_gm) / np.sqrt(sigma_air**2 + sigma_wm**2 + sigma_gm**2)


def mriqc_cjv(mu_wm, mu_gm, sigma_wm, sigma_gm):
    return (sigma_wm + sigma_gm) / abs(mu_wm - mu_gm)


def mriqc_fber(volume, foreground, background):
    return np.median(np.abs(volume[foreground]) ** 2) / np.median(np.abs(volume[background]) ** 2)


def mriqc_efc(volume):
    count = volume.size
    most = count * (1 / np.sqrt(count)) * np.log(1 / np.sqrt(count))
    norm = np.sqrt((volume**2).sum())
    return (1 / most) * np.sum((volume / norm) * np.log((volume + 1e-16) / norm))


VOLUMES = {
    "ramp": ramp(0, 1000),
    "steep ramp": ramp(1, 3) ** 6,
    "phantom": phantom()[0],
    "one voxel": np.where(np.arange(np.prod(SHAPE)).reshape(SHAPE) == 77, 5.0, 0.0),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_efc_is_mriqc_s(name: str) -> None:
    volume = VOLUMES[name]
    assert mr_formulae.volume_efc(volume) == pytest.approx(mriqc_efc(volume), rel=PRECISION, abs=PRECISION)
    if name != "one voxel":
        series = make_series(list(volume.astype(np.float32)), modality="MR")
        streamed = mr_efc.METRIC.combine(series, [mr_efc.METRIC.per_frame(Regions(frame.read())) for frame in series.frames])
        assert streamed.value == pytest.approx(mriqc_efc(volume), rel=PRECISION)


def test_efc_of_an_even_image_is_one() -> None:
    assert mr_formulae.volume_efc(np.full(SHAPE, 3.7)) == pytest.approx(1, rel=PRECISION)


def test_fber_is_mriqc_s() -> None:
    volume = ramp(10, 500)
    foreground = volume > 200
    assert mr_formulae.volume_fber(volume, foreground, ~foreground) == pytest.approx(
        mriqc_fber(volume, foreground, ~foreground), rel=PRECISION
    )
    # Medians of ramps are their middles.
    assert mr_formulae.volume_fber(volume, foreground, ~foreground) == pytest.approx((350 / 105) ** 2, rel=1e-3)


@pytest.mark.parametrize(("white", "grey", "air"), [((700, 30), (500, 40), (12, 6)), ((90, 7), (130, 1), (2, 2))])
def test_contrast_and_snr_are_mriqc_s_and_those_of_the_construction(white, grey, air) -> None:
    volume, at = phantom(white=white, grey=grey, air=air)
    count = int(at["white"].sum())
    pairs = [
        (mr_formulae.volume_snr(volume, at["white"]), mriqc_snr(*white, count)),
        (mr_formulae.volume_dietrich(volume, at["white"], at["air"]), mriqc_dietrich(white[0], air[1])),
        (
            mr_formulae.volume_cnr(volume, at["white"], at["grey"], at["air"]),
            mriqc_cnr(white[0], grey[0], air[1], white[1], grey[1]),
        ),
        (mr_formulae.volume_cjv(volume, at["white"], at["grey"]), mriqc_cjv(white[0], grey[0], white[1], grey[1])),
    ]
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, rel=PRECISION)


def test_cnr_and_cjv_of_a_hand_reckoned_phantom() -> None:
    volume, at = phantom(white=(700, 30), grey=(500, 40), air=(12, 120))
    assert mr_formulae.volume_cnr(volume, at["white"], at["grey"], at["air"]) == pytest.approx(200 / 130, rel=PRECISION)
    assert mr_formulae.volume_cjv(volume, at["white"], at["grey"]) == pytest.approx(70 / 200, rel=PRECISION)


def test_dietrich_s_factor_turns_the_deviation_of_air_into_that_of_a_channel() -> None:
    air = np.hypot(*np.random.default_rng(5).normal(0, 10, (2, 400_000)))
    assert mr_formulae.dietrich(600, float(air.std())) == pytest.approx(60, rel=0.01)


def test_the_streamed_ratios_are_the_formulae_in_the_same_masks() -> None:
    image = mr_head(np.random.default_rng(3), 600, 10, size=128)
    series = make_series([image], modality="MR")
    (partials,) = [
        [metric.per_frame(Regions(frame.read())) for metric in (mr_fber.METRIC, mr_snr.METRIC)] for frame in series.frames
    ]
    seen = outlined(Regions(series.frames[0].read()))
    bright, outline, air = seen.bright, seen.outline, seen.air
    volume = image.astype(np.float64)
    fber = mr_fber.METRIC.combine(series, [partials[0]]).value
    assert fber == pytest.approx(mriqc_fber(volume, bright, air), rel=PRECISION)
    assert fber == pytest.approx(mr_formulae.volume_fber(volume, bright, air), rel=PRECISION)
    # The deviation of the air from second differences, in its blocks of 8 by 8.
    detail = volume
    for axis in (0, 1):
        detail = np.roll(detail, 2, axis) - 2 * detail + np.roll(detail, -2, axis)
    places = [np.s_[y : y + 8, x : x + 8] for y in range(8, 120, 8) for x in range(8, 120, 8) if air[y : y + 8, x : x + 8].all()]
    deviation = np.sqrt(np.median([np.square(detail[place] / 6).mean() for place in places]))
    assert deviation == pytest.approx(0.6551 * 10, rel=0.05)
    assert mr_snr.METRIC.combine(series, [partials[1]]).value == pytest.approx(
        mriqc_dietrich(volume[ndimage.binary_erosion(outline)].mean(), deviation), rel=PRECISION
    )
