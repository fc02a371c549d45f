"""A gain that drifts away and back during the turn: arcs about the axis of rotation instead of full rings.

Source: Barrett and Keat, RadioGraphics 24:1679 (2004), 10.1148/rg.246045065.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.ct.tissue import Mask, patient
from medqa.simulate.ct.tracks import WIDTH, polar, settled, within_body
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import Beam, back_project, beam_for, filtered
from medqa.volume import Array

VIEWS: Final = 721
"""Over a whole turn; an odd number, so that views from opposite sides interleave."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw how many channels drift, and when."""
    return {
        "channels": float(generator.integers(2, 9)),
        "start_rad": float(generator.uniform(0, 2 * np.pi)),
        "extent_rad": float(generator.uniform(0.6, 3.0)),
    }


def drifting(array: Array, parameters: Parameters, pixel_mm: float, beam: Beam) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the numbers of the channels and the sign and share of the drift that each of them has."""
    generator = np.random.default_rng(int(parameters["seed"]))
    near = within_body(array, parameters, pixel_mm, beam)
    chosen = generator.permutation(near)[: int(parameters["channels"])]
    return chosen, generator.choice([-1, 1], size=chosen.size) * generator.uniform(0.5, 1, size=chosen.size)


def progress(angle: NDArray[np.float64], parameters: Parameters) -> NDArray[np.float64]:
    """Return the drift at an angle of the tube as a share of its greatest: it swells and fades like a raised cosine."""
    since = np.mod(angle - parameters["start_rad"], 2 * np.pi) / parameters["extent_rad"]
    return np.asarray(np.where(since < 1, 0.5 - 0.5 * np.cos(2 * np.pi * since), 0), dtype=np.float64)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return the arcs, scaled to their declared root mean square on their tracks."""
    beam = beam_for(array.shape, pixel_mm, views=VIEWS)
    angles = np.linspace(0, 2 * np.pi, VIEWS, endpoint=False)
    chosen, share = drifting(array, parameters, pixel_mm, beam)
    wrong = np.zeros((VIEWS, beam.detectors), dtype=np.float32)
    # A small drift of gain shifts the attenuation that is read in proportion.
    wrong[:, chosen] = progress(angles, parameters)[:, None] * share
    arcs = back_project(filtered(wrong, beam, cutoff_per_mm=0.65 / pixel_mm), beam, array.shape, pixel_mm, angles=angles)
    on_tracks = arcs[region(array, arcs, parameters, pixel_mm)]
    strength = float(np.sqrt(np.mean(on_tracks**2))) if on_tracks.size else float(np.abs(arcs).max())
    return arcs * np.float32(parameters["amplitude_hu"] / max(strength, 1e-12))


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the arcs of the drifting channels within the patient, where the drift is over a quarter of its greatest."""
    beam = beam_for(array.shape, pixel_mm, views=VIEWS)
    radius, angle = polar(array.shape, pixel_mm)
    out = np.zeros(array.shape, dtype=bool)
    for position in beam.positions_mm[drifting(array, parameters, pixel_mm, beam)[0]]:
        # The ray of a channel left of the axis touches its ring on the far side.
        seen = progress(angle if position > 0 else angle + np.pi, parameters) > 0.25
        out |= seen & (np.abs(radius - abs(position)) <= WIDTH * beam.spacing_mm)
    return out & patient(array)


KIND: Final = Kind(
    modality="CT",
    name="ring-arcs",
    summary="Detector channels whose gain drifts away and back during the turn: arcs about the axis of rotation.",
    source="Barrett and Keat, RadioGraphics 2004;24:1679",
    strength=Parameter("amplitude_hu", "root mean square of the arcs on their tracks", "HU", 1.0, 1000.0),
    levels=(20.0, 40.0, 80.0, 160.0),
    others=(
        Parameter("channels", "number of channels that drift", "1", 1, 60),
        Parameter("start_rad", "angle of the tube at which the drift begins", "rad", 0.0, 6.2832),
        Parameter("extent_rad", "angle over which the drift swells and fades", "rad", 0.1, 6.2832),
    ),
    draw=draw,
    change=change,
    region=region,
    settle=settled,
)
