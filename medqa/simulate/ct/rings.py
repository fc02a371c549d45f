"""Detector channels with a wrong gain: rings about the axis of rotation."""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.dose import NOISE_VIEWS
from medqa.simulate.ct.tissue import Mask, body, deviation
from medqa.simulate.ct.tracks import tracks
from medqa.simulate.degradation import STRENGTHS, Kind, Parameter, Parameters
from medqa.simulate.projector import Beam, beam_for, reconstruct
from medqa.volume import Array


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw how many channels are wrong."""
    return {"channels": float(generator.integers(2, 12))}


def biased(shape: tuple[int, ...], parameters: Parameters, pixel_mm: float, beam: Beam) -> Array:
    """Return the bias of each channel, `(detectors,)`, the largest about 1; 0 where the gain is right."""
    generator = np.random.default_rng(int(parameters["seed"]))
    reach = 0.4 * max(shape) * pixel_mm
    near = np.flatnonzero(np.abs(beam.positions_mm) < reach)
    bias = np.zeros(beam.detectors, dtype=np.float32)
    chosen = generator.choice(near, size=int(parameters["channels"]), replace=False)
    bias[chosen] = generator.choice([-1, 1], size=chosen.size) * generator.uniform(0.5, 1, size=chosen.size)
    return bias


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return rings of channels with a bias, scaled to their declared deviation in the body."""
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    bias = biased(array.shape, parameters, pixel_mm, beam)
    # Over a whole turn a channel sees each ray from both sides: the ring closes.
    sinogram = np.repeat((bias + bias[::-1])[None, :], beam.views, axis=0)
    change = reconstruct(sinogram, beam, array.shape, pixel_mm, cutoff_per_mm=0.75 / pixel_mm)
    change -= change[body(array)].mean()
    return change * np.float32(parameters["amplitude_hu"] / deviation(change, array))


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the tracks of the wrong channels within the patient."""
    beam = beam_for(array.shape, pixel_mm, views=NOISE_VIEWS)
    wrong = np.flatnonzero(biased(array.shape, parameters, pixel_mm, beam))
    return tracks(array, pixel_mm, beam.positions_mm[wrong], beam.spacing_mm)


KIND: Final = Kind(
    modality="CT",
    name="rings",
    summary="Detector channels with a wrong gain: rings about the axis of rotation.",
    source="Kak and Slaney 1988, chapter 5",
    strength=Parameter("amplitude_hu", "standard deviation of the rings in the body", "HU", 1.0, 500.0),
    levels=STRENGTHS["CT"]["rings"].values,
    others=(Parameter("channels", "number of wrong channels", "1", 1, 60),),
    draw=draw,
    change=change,
    region=region,
)
