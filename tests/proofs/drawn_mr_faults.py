"""MR draws with faults of known size: what lies in air, ghosts, shading, stripes, wrap-around, jumps between slices."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from medqa.metrics import mr_bias, mr_ghosting, mr_jumps, mr_qi1, mr_qi1_share, mr_spikes, mr_wrap, mr_zipper
from medqa.regions import GRID
from tests.proofs.drawn import Condition, Drawn, Image
from tests.proofs.drawn_mr import PIXEL_MM, RADIUS_MM, SIDE, SIGNAL, condition, disc, magnitude, plane
from tests.science.factories import make_series

NOISE = 6.0
STACK = 15


def conditions() -> Iterator[Condition]:
    """Yield all of them."""
    yield from air()
    yield from patches()
    yield from ghosts()
    yield from fields()
    yield from stripes()
    yield from folded()
    yield from unsteady()
    yield from lines()


def air() -> Iterator[Condition]:
    """Yield patches in a corner of the air: their share of it, times their brightness beyond the noise's as a share of the disc's.

    Air counts from 4 elements outside the disc, by a weight that rises from 0 at 3 elements to 1 at 15; the outermost does not.
    """
    element = SIDE / GRID * PIXEL_MM
    outside = (np.hypot(*plane()) - RADIUS_MM) / element
    counts = np.where(outside > GRID // 32, np.clip((outside - 3) / 12, 0, 1), 0)
    edge = round(element / PIXEL_MM)
    total = float(counts[edge:-edge, edge:-edge].sum())
    for side in (0, 30, 50):
        patch = np.zeros((SIDE, SIDE))
        patch[6 : 6 + side, 6 : 6 + side] = 15 * NOISE

        def image(rng: np.random.Generator, patch: Image = patch) -> Image:
            return magnitude(rng, disc() + patch, NOISE)

        beyond = float(stats.rice.mean(15, scale=NOISE) - stats.rayleigh.mean(scale=NOISE))
        share = side**2 / total * beyond / SIGNAL
        name = f"patch of 15 times the noise, {side} pixels wide" if side else "air with noise alone"
        yield condition(name, [mr_qi1.METRIC], image, {mr_qi1.NAME: share})


def patches() -> Iterator[Condition]:
    """Yield patches in a corner of the air, as a share of what counts as air: clear of the disc by a diamond, and of the border.

    A diamond of half diagonal d around a disc covers pi R^2 + 4 sqrt(2) d R + 2 d^2; an opening by a cross takes four pixels.
    """
    element = SIDE / GRID * PIXEL_MM
    clear = GRID // 32 * element
    covered = math.pi * RADIUS_MM**2 + 4 * math.sqrt(2) * clear * RADIUS_MM + 2 * clear**2
    free = ((SIDE * PIXEL_MM - 2 * element) ** 2 - covered) / PIXEL_MM**2
    for side in (0, 10, 30):
        patch = np.zeros((SIDE, SIDE))
        patch[6 : 6 + side, 6 : 6 + side] = 15 * NOISE

        def image(rng: np.random.Generator, patch: Image = patch) -> Image:
            return magnitude(rng, disc() + patch, NOISE)

        share = max(side**2 - 4, 0) / free
        name = f"patch of {100 * share:.2g} % of the air" if side else "air without a patch"
        yield condition(name, [mr_qi1_share.METRIC], image, {mr_qi1_share.NAME: share})


def ghosts() -> Iterator[Condition]:
    """Yield an even ghost along the columns that the disc spans; its share of the signal is the truth, whatever the noise."""
    _, x = plane()
    along = np.broadcast_to(np.abs(x) < RADIUS_MM, (SIDE, SIDE))
    for percent in (0.0, 3.0, 6.0, 10.0):
        for ratio in (30.0, 100.0, 300.0):

            def image(rng: np.random.Generator, percent: float = percent, ratio: float = ratio) -> Image:
                return magnitude(rng, np.maximum(disc(), percent / 100 * SIGNAL * along), SIGNAL / ratio)

            name = f"ghost of {percent:g} %, SNR {ratio:g}"
            yield condition(name, [mr_ghosting.METRIC], image, {mr_ghosting.NAME: percent}, phase_encoding_axis="COL")


def fields() -> Iterator[Condition]:
    """Yield linear shading, whose coefficient of variation over a disc is half of what it changes from the middle to the edge."""
    _, x = plane()
    for percent in (0.0, 5.0, 10.0, 20.0):
        clean = disc(signal=SIGNAL * (1 + 2 * percent / 100 * x / RADIUS_MM))

        def image(rng: np.random.Generator, clean: Image = clean) -> Image:
            return magnitude(rng, clean, 20.0)

        yield condition(f"shading of {percent:g} %", [mr_bias.METRIC], image, {mr_bias.NAME: percent})


def stripes() -> Iterator[Condition]:
    """Yield one wave in the complex image, its direction, period and phase drawn at random, as a share of the signal."""
    y, x = plane()
    clean = disc(1.0)
    for percent in (0.0, 5.0, 20.0, 50.0):

        def image(rng: np.random.Generator, percent: float = percent) -> Image:
            turn, period, phase = rng.uniform(0, math.pi), rng.uniform(3, 12), rng.uniform(0, 2 * math.pi)
            along = 2 * math.pi / (period * PIXEL_MM) * (x * math.cos(turn) + y * math.sin(turn)) + phase
            real, imaginary = rng.normal(0, 20, (2, SIDE, SIDE))
            return np.abs(clean + percent / 100 * SIGNAL * np.exp(1j * along) + real + 1j * imaginary)

        name = f"stripes of {percent:g} % of the signal" if percent else "disc without stripes"
        yield condition(name, [mr_spikes.METRIC], image, {mr_spikes.NAME: percent})


def folded() -> Iterator[Condition]:
    """Yield discs that reach over one border along the columns and come in at the other: both runs count, to a depth."""
    reach = SIDE * PIXEL_MM / 2
    deepest = mr_wrap.DEPTH * SIDE * PIXEL_MM
    for over in (0.0, 10.0, 25.0, 50.0):
        shift = round((reach - RADIUS_MM + over) / PIXEL_MM) if over else 0
        clean = np.roll(disc(), shift, axis=0)

        def image(rng: np.random.Generator, clean: Image = clean) -> Image:
            return magnitude(rng, clean, 20.0)

        # Half a chord along each column, and what of it lies over the border.
        half = np.sqrt(RADIUS_MM**2 - np.linspace(-RADIUS_MM, RADIUS_MM, 20_001) ** 2)
        beyond = np.maximum(half - (RADIUS_MM - over), 0)
        taken = np.where(beyond > 0, np.minimum(beyond, deepest) + np.minimum(2 * half - beyond, deepest), 0)
        truth = 100 * 2 * RADIUS_MM * float(taken.mean()) / (SIDE * PIXEL_MM) ** 2
        name = f"disc that comes in by {over:g} mm" if over else "disc within the field"
        yield condition(name, [mr_wrap.METRIC], image, {mr_wrap.NAME: truth}, phase_encoding_axis="COL")


def unsteady() -> Iterator[Condition]:
    """Yield stacks in which every other slice is brighter by a factor."""
    for percent in (0.0, 5.0, 20.0, 50.0):

        def draw(rng: np.random.Generator, percent: float = percent) -> Drawn:
            bright = SIGNAL * (1 + percent / 100)
            images = [magnitude(rng, disc(signal=bright if index % 2 else SIGNAL), 20.0) for index in range(STACK)]
            series = make_series(images, modality="MR", spacing_mm=(PIXEL_MM, PIXEL_MM))
            return Drawn(series=series, truths={mr_jumps.NAME: 100 * math.log(1 + percent / 100)})

        name = f"every other slice brighter by {percent:g} %" if percent else "even slices"
        yield Condition(name=name, metrics=(mr_jumps.METRIC,), draw=draw)


def lines() -> Iterator[Condition]:
    """Yield one column that is brighter by a share of the signal, over air and disc alike."""
    for percent in (0.0, 10.0, 30.0, 100.0):
        clean = disc()
        clean[:, SIDE // 2 + 40] += percent / 100 * SIGNAL

        def image(rng: np.random.Generator, clean: Image = clean) -> Image:
            return magnitude(rng, clean, NOISE)

        name = f"line of {percent:g} % of the signal" if percent else "disc without a line"
        yield condition(name, [mr_zipper.METRIC], image, {mr_zipper.NAME: percent})
