"""MR draws with known signal, noise, tissue and sharpness; all of them magnitudes, so that their noise is Rice's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import stats

from medqa.metrics import (
    mr_contrast,
    mr_efc,
    mr_fber,
    mr_formulae,
    mr_gradient_entropy,
    mr_noise,
    mr_sharpness,
    mr_snr,
    mr_snr_tissue,
)
from tests.proofs import drawn
from tests.proofs.drawn import Condition, Image, within
from tests.science.mr_factories import T1, T2, head

SIDE, PIXEL_MM = 256, 1.0
SIGNAL = 600.0
RADIUS_MM = 80.0
HEAD_MM = (1.7, 1.7)
STEP = 32
"""Pixels."""


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from noises()
    yield from tissues()
    yield from foci()
    yield from gradients()
    yield from edges()


def condition(name: str, metrics: Any, image: Any, truths: Any, **values: Any) -> Condition:
    """Return a condition of MR."""
    return drawn.condition(name, metrics, image, truths, **({"modality": "MR", "spacing_mm": (PIXEL_MM, PIXEL_MM)} | values))


def plane() -> tuple[Image, Image]:
    """Return y as a column and x as a row, in mm from the middle of the image."""
    return drawn.plane(SIDE, PIXEL_MM)


def disc(blur_mm: float = 0.0, *, signal: Image = SIGNAL) -> Image:
    """Return a disc of signal."""
    return signal * within(np.hypot(*plane()) - RADIUS_MM, blur_mm)


def magnitude(rng: np.random.Generator, clean: Image, noise: float) -> Image:
    """Return the magnitude of an image with noise of this deviation in either channel."""
    real, imaginary = rng.normal(0, noise, (2, *clean.shape))
    return np.hypot(clean + real, imaginary)


def noises() -> Iterator[Condition]:
    """Yield discs in noise; the ratio of energies is that of the medians of Rice's and Rayleigh's distributions."""
    for ratio in (5.0, 10.0, 30.0, 100.0):

        def image(rng: np.random.Generator, ratio: float = ratio) -> Image:
            return magnitude(rng, disc(), SIGNAL / ratio)

        truths = {
            mr_snr.NAME: ratio,
            mr_noise.NAME: 100 / ratio,
            mr_fber.NAME: float(stats.ncx2.ppf(0.5, 2, ratio**2)) / (2 * math.log(2)),
        }
        yield condition(f"disc, SNR {ratio:g}", [mr_snr.METRIC, mr_noise.METRIC, mr_fber.METRIC], image, truths)


def tissues() -> Iterator[Condition]:
    """Yield heads in patches of three tissues."""
    metrics = [mr_contrast.METRIC, mr_contrast.VARIATION, mr_snr_tissue.METRIC]
    for name, levels in (("T1", T1), ("T2", T2)):
        for noise in (10.0, 20.0, 30.0):

            def image(rng: np.random.Generator, levels: Mapping[str, float] = levels, noise: float = noise) -> Image:
                return head(rng, levels=levels, noise=noise)

            white, grey = ((levels[tissue], noise) for tissue in ("white", "grey"))
            truths = {
                mr_contrast.NAME: mr_formulae.cnr(white, grey, mr_formulae.RAYLEIGH * noise),
                mr_contrast.VARIATION_NAME: mr_formulae.cjv(white, grey),
                mr_snr_tissue.NAME: (levels["white"] + levels["grey"]) / 2 / noise,
            }
            yield condition(f"head, {name}, noise {noise:g}", metrics, image, truths, spacing_mm=HEAD_MM)


def foci() -> Iterator[Condition]:
    """Yield discs without and with noise, whose sums follow from the density of Rice's distribution."""
    share = float(within(np.hypot(*plane()) - RADIUS_MM).mean())
    pixels = SIDE**2
    for ratio in (math.inf, 100.0, 30.0, 10.0):

        def image(rng: np.random.Generator, ratio: float = ratio) -> Image:
            return magnitude(rng, disc(), SIGNAL / ratio)

        body, air = sums(SIGNAL, SIGNAL / ratio), sums(0.0, SIGNAL / ratio)
        total, squares, entropy = (
            pixels * drawn.FRAMES * (share * one + (1 - share) * two) for one, two in zip(body, air, strict=True)
        )
        truths = {mr_efc.NAME: mr_formulae.efc(pixels * drawn.FRAMES, total, squares, entropy)}
        yield condition(f"disc, SNR {ratio:g}" if ratio < math.inf else "disc without noise", [mr_efc.METRIC], image, truths)


def sums(signal: float, noise: float) -> tuple[float, float, float]:
    """Return the expected values of x, its square and x ln x for Rice's distribution."""
    if noise == 0:
        return signal, signal**2, signal * math.log(signal) if signal else 0.0
    x = np.linspace(max(signal - 12 * noise, 0), signal + 12 * noise, 200_001)[1:]
    density = stats.rice.pdf(x / noise, signal / noise)
    density /= density.sum()
    return float((x * density).sum()), float((x**2 * density).sum()), float((x * np.log(x) * density).sum())


def gradients() -> Iterator[Condition]:
    """Yield frames full of one gradient, of the same in a share of the pixels, and in white noise of a strength beside it.

    Differences of noise s have s / sqrt(2) along either axis, and the length of a gradient g with them is Rice's; for lengths r the
    entropy of r / sum of r is ln n + ln E[r] - E[r ln r] / E[r]. Over a share p of the pixels it is ln p n.
    """
    metrics = [mr_gradient_entropy.METRIC]
    whole = 2 * math.log(SIDE)
    x = np.broadcast_to(np.arange(SIDE), (SIDE, SIDE))
    for share in (1.0, 0.5, 0.25):
        stairs = SIGNAL + np.floor(x / STEP) * STEP * share + np.minimum(x % STEP, STEP * share)
        truths = {mr_gradient_entropy.NAME: 1 + math.log(share) / whole}
        name = f"gradient in {100 * share:g} % of the pixels"
        yield condition(name, metrics, lambda rng, stairs=stairs: stairs, truths)
    for noise in (1.0, 3.0):

        def image(rng: np.random.Generator, noise: float = noise) -> Image:
            return SIGNAL + x + rng.normal(0, noise, x.shape)

        length, _, weighted = sums(1.0, noise / math.sqrt(2))
        truths = {mr_gradient_entropy.NAME: 1 + (math.log(length) - weighted / length) / whole}
        yield condition(f"gradient of 1 a pixel, noise {noise:g}", metrics, image, truths)


def edges() -> Iterator[Condition]:
    """Yield Gaussian edges, whose steepest slope for their height is 1 / (sqrt(2 pi) s)."""
    for blur in (0.8, 1.0, 1.5, 2.0):
        for ratio in (100.0, 30.0):

            def image(rng: np.random.Generator, blur: float = blur, ratio: float = ratio) -> Image:
                return magnitude(rng, disc(blur), SIGNAL / ratio)

            truths = {mr_sharpness.NAME: 1 / (math.sqrt(2 * math.pi) * blur)}
            yield condition(f"Gaussian edge {blur:g} mm, SNR {ratio:g}", [mr_sharpness.METRIC], image, truths)
