"""Draws with known sharpness, texture, grey values and blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from medqa.metrics import ct_bits, ct_compression, ct_sharpness, ct_texture, ct_ttf
from tests.proofs.drawn import PIXEL_MM, SIDE, SOFT_HU, Condition, Image, condition, disc, kernel, plane, white

RADIUS_MM = 130.0
NOISE_HU = 15.0


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from edges()
    yield from textures()
    yield from grey_values()
    yield from blocks()


def edges() -> Iterator[Condition]:
    """Yield discs with Gaussian edges, whose transform exp(-2 pi^2 s^2 f^2) falls to a half at a known frequency."""
    for blur in (0.6, 1.0, 2.0):
        for deviation in (10.0, 30.0):

            def image(rng: np.random.Generator, blur: float = blur, deviation: float = deviation) -> Image:
                return disc(115.0, blur_mm=blur) + white(rng, deviation)

            truths = {ct_ttf.NAME: math.sqrt(math.log(2) / 2) / (math.pi * blur)}
            yield condition(f"Gaussian edge {blur:g} mm, noise {deviation:g} HU", [ct_ttf.METRIC], image, truths)


def textures() -> Iterator[Condition]:
    """Yield white noise beside a perfect edge, and both through a Gaussian: the ratios follow from its weights."""
    clean = disc(RADIUS_MM)
    # Where neither the mean of the blur effect nor the filter reaches the outline.
    deep = np.hypot(*plane()) < RADIUS_MM - ct_sharpness.LENGTH * PIXEL_MM
    metrics = [ct_texture.METRIC, ct_sharpness.METRIC]
    for pixels in (0.0, 0.8, 1.5):

        def image(rng: np.random.Generator, pixels: float = pixels) -> Image:
            noise = ndimage.gaussian_filter(white(rng, 1.0), pixels)
            return ndimage.gaussian_filter(clean, pixels) + NOISE_HU * noise / noise.std()

        weights = ndimage.gaussian_filter(np.eye(1, 41, 20)[0], pixels)
        fine = math.sqrt(1 - float((weights[1:] * weights[:-1]).sum() / (weights**2).sum()))
        known = {ct_texture.NAME: fine, ct_texture.RELATIVE: fine / float(weights.max())}

        def truths(images: Sequence[Image], known: Mapping[str, float] = known) -> Mapping[str, float]:
            return {**known, ct_sharpness.NAME: blur_effect(images, deep)}

        name = f"noise and edge behind a Gaussian of {pixels:g} pixels" if pixels else "white noise, perfect edge"
        yield condition(name, metrics, image, truths)


def blur_effect(images: Sequence[Image], inside: Image) -> float:
    """Return the blur effect as its paper defines it, from the blurred image itself, every line counting, within a mask."""
    shares = []
    for axis in (0, 1):
        # A difference counts where both of its pixels do.
        ahead, here = (np.take(inside, range(start, inside.shape[axis] - 1 + start), axis) for start in (1, 0))
        whole = lost = 0.0
        for one in images:
            seen = np.clip(one, *ct_sharpness.WINDOW_HU)
            blurred = ndimage.uniform_filter1d(seen, ct_sharpness.LENGTH, axis=axis, mode="nearest")
            sharp, left = (np.abs(np.diff(array, axis=axis))[ahead & here] for array in (seen, blurred))
            whole += float(sharp.sum())
            lost += float(np.maximum(0, sharp - left).sum())
        shares.append((whole - lost) / whole)
    return max(shares)


def grey_values() -> Iterator[Condition]:
    """Yield soft tissue of some equally frequent values at a step, and normal noise in whole HU cut off at a value."""
    inside = disc(RADIUS_MM) == SOFT_HU
    for step, number in ((1.0, 64), (1.6, 128), (16.0, 16)):

        def even(rng: np.random.Generator, step: float = step, number: int = number) -> Image:
            return np.where(inside, step * (rng.integers(0, number, inside.shape) - number // 4), -1000.0)

        truths = {ct_bits.NAME: step, ct_bits.BITS: math.log2(number), ct_bits.SATURATED: 0.0}
        # The lowest and the highest value are no more frequent than the others, and yet are counted as ends.
        truths[ct_bits.SATURATED] = 200.0 / number
        yield condition(f"{number} equally frequent values, {step:g} HU apart", [ct_bits.METRIC], even, truths)
    for limit in (70.0, 90.0):

        def cut(rng: np.random.Generator, limit: float = limit) -> Image:
            return np.minimum(np.round(disc(RADIUS_MM) + white(rng, 20.0)), limit)

        truths = {ct_bits.NAME: 1.0, ct_bits.SATURATED: 100 * float(ndtr((SOFT_HU + 0.5 - limit) / 20.0))}
        yield condition(f"noise 20 HU in whole HU, cut off at {limit:g} HU", [ct_bits.METRIC], cut, truths)


def blocks() -> Iterator[Condition]:
    """Yield noise without blocks, and white noise of variance N with blocks of variance B: sqrt(1 + B / N)."""
    metrics = [ct_compression.METRIC]
    clean = disc(RADIUS_MM)
    yield condition(
        "noise of a soft kernel, no blocks", metrics, lambda rng: clean + kernel(rng, NOISE_HU, 0.2), {ct_compression.NAME: 1.0}
    )
    for ratio in (0.0, 0.5, 1.0):

        def image(rng: np.random.Generator, ratio: float = ratio) -> Image:
            number = SIDE // ct_compression.SIDE
            tiles = np.kron(rng.normal(0, ratio * NOISE_HU, (number, number)), np.ones((ct_compression.SIDE,) * 2))
            return clean + white(rng, NOISE_HU) + tiles

        name = f"white noise, blocks of {ratio:g} times its deviation" if ratio else "white noise, no blocks"
        yield condition(name, metrics, image, {ct_compression.NAME: math.sqrt(1 + ratio**2)})
