"""Model observers against closed forms and against draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics.full_reference import Disc, Eye, channelized_hotelling, detectability, laguerre_gauss, prewhitened_detectability

PIXEL_MM = 0.5
NYQUIST = 0.5 / PIXEL_MM


def white(deviation: float, pixel_mm: float = PIXEL_MM):
    return lambda frequency: np.full_like(frequency, deviation**2 * pixel_mm**2)


def ramp(frequency: np.ndarray) -> np.ndarray:
    return 400.0 * frequency * np.exp(-((frequency / 0.6) ** 2))


def test_white_noise_has_a_closed_form() -> None:
    disc = Disc(diameter_mm=10.0, contrast=8.0)
    pixels = np.pi * 5.0**2 / PIXEL_MM**2
    expected = 8.0 * np.sqrt(pixels) / 20.0
    # A disc's edge has no highest frequency: the integral runs far beyond the pixels here.
    assert detectability(disc, nps=white(20.0), highest_per_mm=60.0).value == pytest.approx(expected, rel=2e-3)


def test_the_index_agrees_with_an_observer_who_looks() -> None:
    y, x = (np.mgrid[:64, :64] - 31.5) * PIXEL_MM
    template = (np.hypot(y, x) <= 5.0).astype(float)
    generator = np.random.default_rng(2)
    noise = generator.normal(0, 20, (400, 64, 64))
    responses = (noise * template).sum(axis=(1, 2))
    looked = 8.0 * template.sum() / responses.std(ddof=1)
    index = detectability(Disc(diameter_mm=10.0, contrast=8.0), nps=white(20.0), highest_per_mm=NYQUIST).value
    assert index == pytest.approx(looked, rel=0.12)  # three deviations of the spread of 400 draws, and the pixels' band limit


@given(contrast=st.floats(1, 100), noise=st.floats(1, 100), diameter=st.floats(2, 20))
def test_it_grows_with_contrast_and_falls_with_noise_in_proportion(contrast: float, noise: float, diameter: float) -> None:
    def index(contrast: float, noise: float) -> float:
        return detectability(
            Disc(diameter_mm=diameter, contrast=contrast), nps=white(noise), highest_per_mm=NYQUIST, eye=Eye()
        ).value

    assert index(2 * contrast, noise) == pytest.approx(2 * index(contrast, noise))
    assert index(contrast, 2 * noise) == pytest.approx(index(contrast, noise) / 2)


def test_in_white_noise_no_eye_sees_better_than_the_matched_filter() -> None:
    disc = Disc(diameter_mm=6.0, contrast=10.0)
    plain = detectability(disc, nps=white(20.0), highest_per_mm=NYQUIST).value
    assert detectability(disc, nps=white(20.0), highest_per_mm=NYQUIST, eye=Eye()).value < plain


def test_blur_makes_small_discs_harder_than_large_ones() -> None:
    def kept(diameter: float) -> float:
        disc = Disc(diameter_mm=diameter, contrast=10.0)
        sharp = detectability(disc, nps=ramp, highest_per_mm=NYQUIST).value
        return detectability(disc, nps=ramp, highest_per_mm=NYQUIST, ttf=lambda f: np.exp(-((f / 0.3) ** 2))).value / sharp

    assert kept(2.0) < kept(5.0) < 1.02


def test_the_eye_sees_best_at_four_cycles_a_degree() -> None:
    frequency = np.linspace(0.001, 2, 20001)
    response = Eye(viewing_mm=500, magnification=1.0).response(frequency)
    assert response.max() == pytest.approx(1)
    assert frequency[response.argmax()] * 500 * np.pi / 180 == pytest.approx(4.03, abs=0.01)


def test_without_noise_there_is_no_index() -> None:
    with pytest.raises(NotApplicable, match="constant_image"):
        detectability(Disc(diameter_mm=5, contrast=5), nps=np.zeros_like, highest_per_mm=NYQUIST)


def test_the_prewhitening_observer_has_the_same_closed_form_in_white_noise() -> None:
    disc = Disc(diameter_mm=10.0, contrast=8.0)
    expected = 8.0 * np.sqrt(np.pi * 5.0**2 / PIXEL_MM**2) / 20.0
    assert prewhitened_detectability(disc, nps=white(20.0), highest_per_mm=60.0).value == pytest.approx(expected, rel=2e-3)


def test_noise_of_the_discs_own_colour_leaves_the_integral_of_the_transfer_function() -> None:
    """NPS = k |W|²: what is left of d'² is ∬ TTF² / k, which for TTF = exp(-(f/b)²) is π b² / (2 k)."""
    disc = Disc(diameter_mm=4.0, contrast=10.0)
    got = prewhitened_detectability(
        disc,
        nps=lambda f: 0.02 * disc.transform(f) ** 2,
        ttf=lambda f: np.exp(-((f / 0.3) ** 2)),
        highest_per_mm=2.0,
    )
    assert got.value**2 == pytest.approx(np.pi * 0.3**2 / 2 / 0.02, rel=1e-3)


@given(diameter=st.floats(1, 20), blur=st.floats(0.1, 2), top=st.floats(0.05, 1), floor=st.floats(0.01, 1))
def test_no_observer_beats_the_one_who_undoes_the_colour(diameter: float, blur: float, top: float, floor: float) -> None:
    disc = Disc(diameter_mm=diameter, contrast=10.0)

    def nps(frequency: np.ndarray) -> np.ndarray:
        return 50.0 * (floor + frequency * np.exp(-((frequency / top) ** 2)))

    def ttf(frequency: np.ndarray) -> np.ndarray:
        return np.exp(-((frequency / blur) ** 2))

    best = prewhitened_detectability(disc, nps=nps, ttf=ttf, highest_per_mm=NYQUIST).value
    for eye in (None, Eye()):
        assert detectability(disc, nps=nps, ttf=ttf, highest_per_mm=NYQUIST, eye=eye).value <= best * (1 + 1e-9)


def test_where_some_frequency_has_no_noise_there_is_no_prewhitened_index() -> None:
    with pytest.raises(NotApplicable, match="constant_image"):
        prewhitened_detectability(
            Disc(diameter_mm=5, contrast=5), nps=lambda f: np.where(f > 0.5, 1.0, 0.0), highest_per_mm=NYQUIST
        )


def test_channels_are_of_unit_energy_and_apart() -> None:
    channels = laguerre_gauss((96, 96), (PIXEL_MM, PIXEL_MM), width_mm=8.0, count=5).reshape(5, -1)
    assert channels @ channels.T == pytest.approx(np.eye(5), abs=1e-6)


def test_hotelling_reaches_the_ideal_observer_where_the_channels_hold_the_signal() -> None:
    channels = laguerre_gauss((32, 32), (PIXEL_MM, PIXEL_MM), width_mm=6.0, count=3)
    signal = 50.0 * channels[0]
    ideal = 50.0 / 20.0
    generator = np.random.default_rng(9)
    found = [channelized_hotelling(signal, generator.normal(0, 20, (30, 32, 32)), channels) for _ in range(200)]
    squares = np.array([one.value**2 for one in found])
    assert squares.mean() == pytest.approx(ideal**2, abs=4 * squares.std() / np.sqrt(200))
    covered = np.mean([one.interval[0] <= ideal <= one.interval[1] for one in found if one.interval])
    assert 0.90 <= covered <= 0.99


def test_hotelling_takes_correlated_noise_off_where_a_plain_sum_cannot() -> None:
    generator = np.random.default_rng(4)
    channels = laguerre_gauss((32, 32), (PIXEL_MM, PIXEL_MM), width_mm=6.0, count=4)
    # Every image has its own background level: a first channel alone takes it for signal, several together tell it apart.
    noise = generator.normal(0, 20, (400, 32, 32)) + generator.normal(0, 60, (400, 1, 1))
    signal = 50.0 * channels[0]
    alone = channelized_hotelling(signal, noise, channels[:1]).value
    together = channelized_hotelling(signal, noise, channels).value
    assert together > 2 * alone


def test_too_few_images_get_no_number() -> None:
    channels = laguerre_gauss((16, 16), (1.0, 1.0), width_mm=6.0, count=4)
    with pytest.raises(NotApplicable, match="too_few"):
        channelized_hotelling(channels[0], np.random.default_rng(1).normal(size=(6, 16, 16)), channels)
    with pytest.raises(NotApplicable, match="constant_image"):
        channelized_hotelling(channels[0], np.zeros((20, 16, 16)), channels)
    with pytest.raises(ValueError, match="shapes"):
        channelized_hotelling(channels[0], np.zeros((20, 8, 8)), channels)
