"""Interference from outside: one radio frequency leaks into the receiver and draws a dashed line across the image.

Source: Heiland, Clin Neuroradiol 2008; 18:25. One frequency in the readout, another phase at every phase-encoding line: a line of
dashes across the image along the phase-encoding axis.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import STRENGTHS, Kind, Mask, Parameter, Parameters
from medqa.simulate.mr.k_space import PHASE_AXIS, magnitude, to_k_space, with_phase
from medqa.volume import Array

HALF_WIDTH: Final = 2
"""Pixels on either side of the line that count as affected."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw the phase-encoding axis and the place of the line along the readout."""
    return {"phase_axis": float(generator.integers(2)), "place": float(generator.uniform(0.25, 0.75))}


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by into which one frequency leaks."""
    axis = int(parameters["phase_axis"])
    generator = np.random.default_rng(int(parameters["seed"]))
    lines, samples = array.shape[axis], array.shape[1 - axis]
    place = (parameters["place"] - 0.5) * samples
    readout = np.arange(samples) - samples // 2
    tone = np.exp(-2j * np.pi * place * readout / samples)[None, :] * np.exp(2j * np.pi * generator.random((lines, 1)))
    tone *= parameters["interference"] / np.sqrt(samples)
    added = tone if axis == 0 else tone.T
    spectrum = to_k_space(with_phase(array, int(parameters["seed"]))) + added
    return magnitude(spectrum.astype(np.complex64)) - array


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the line, with a few pixels on either side."""
    axis = int(parameters["phase_axis"])
    samples = array.shape[1 - axis]
    middle = round(samples // 2 + (parameters["place"] - 0.5) * samples)
    mask = np.zeros(array.shape, dtype=bool)
    line = slice(max(0, middle - HALF_WIDTH), middle + HALF_WIDTH + 1)
    if axis == 0:
        mask[:, line] = True
    else:
        mask[line] = True
    return mask


KIND: Final = Kind(
    modality="MR",
    name="zipper",
    summary="One radio frequency leaks into the receiver: a dashed line across the image.",
    source="Heiland, Clin Neuroradiol 2008;18:25 (10.1007/s00062-008-8003-y)",
    strength=Parameter("interference", STRENGTHS["MR"]["zipper"].quantity, "1", 0.01, 50.0),
    levels=STRENGTHS["MR"]["zipper"].values,
    others=(PHASE_AXIS, Parameter("place", "place of the line along the readout as a share of the field", "1", 0.0, 1.0)),
    draw=draw,
    change=change,
    noisy=True,
    region=region,
)
