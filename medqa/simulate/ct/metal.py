"""Metal in the slice: beam hardening joins pieces by dark bands, starved rays streak, partial volume brightens their rims.

Sources: Barrett and Keat, RadioGraphics 24:1679 (2004), 10.1148/rg.246045065; De Man et al., IEEE TNS 46:691 (1999).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.dose import WATER_PER_MM, paths
from medqa.simulate.ct.implants import implants, settled
from medqa.simulate.ct.spectrum import as_materials, as_water, transmitted
from medqa.simulate.ct.tissue import Mask, strong
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, reconstruct
from medqa.volume import Array

VIEWS: Final = 720
MATERIALS: Final = ("titanium", "steel")
ELECTRONIC: Final = 8.0
"""Standard deviation of the electronic noise of a reading, in photons."""
FEWEST: Final = 2.0
"""A reading of fewer photons counts as this many: its logarithm must exist."""
HIGHEST_HU: Final = 3071.0
"""End of the usual 12 bit scale: metal is cut off there."""
STREAK_SHARE: Final = 0.15
"""Lower than for other kinds: next to metal the change is of thousands of HU, and a seventh of it still hides tissue."""
VISIBLE_HU: Final = 20.0
"""Streaks that are weaker on the average are drowned in noise: a thin pin may have none."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw what is implanted, and with how many photons it is scanned."""
    return {
        "material": float(generator.integers(2)),
        "pieces": float(generator.integers(1, 4)),
        "elongation": float(generator.choice([1.0, 2.0, 3.0])),
        "turn_rad": float(generator.uniform(0, np.pi)),
        "in_bone": float(generator.random() < 0.7),
        "photons": float(10 ** generator.uniform(5.5, 6.5)),
    }


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return metal and all it does to the slice."""
    beam = beam_for(array.shape, pixel_mm, views=VIEWS)
    metal = np.zeros((VIEWS, beam.detectors), dtype=np.float32)
    for piece in implants(array, parameters, pixel_mm):
        metal += piece.chords(beam)
    hit = metal > 0
    # `paths` gives the attenuation of something with the density of water; divided by it, a length is left.
    water, bone = (paths((share - 1) * 1000, pixel_mm, beam)[hit] / np.float32(WATER_PER_MM) for share in as_materials(array))
    before = transmitted({"water": water, "bone": bone})
    material = MATERIALS[int(parameters["material"])]
    behind = transmitted({"water": np.maximum(water - metal[hit], 0), "bone": bone, material: metal[hit]})
    counts = parameters["photons"] * behind
    # Another stream of chance than the one that places the metal, and another in every slice of a series.
    stream = 1 + int(parameters.get("frame", 0))
    noise = np.random.default_rng((int(parameters["seed"]), stream)).standard_normal(counts.shape)
    read = np.maximum(counts + noise * np.sqrt(counts + ELECTRONIC**2), FEWEST) / parameters["photons"]
    longer = np.zeros(metal.shape, dtype=np.float32)
    longer[hit] = as_water(read) - as_water(before)
    change = 1000 * reconstruct(longer, beam, array.shape, pixel_mm, cutoff_per_mm=0.65 / pixel_mm)
    return np.asarray(np.minimum(array + change, np.maximum(array, HIGHEST_HU)) - array, dtype=np.float32)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the metal and where its streaks and dark bands are strong."""
    metal = np.zeros(array.shape, dtype=bool)
    for piece in implants(array, parameters, pixel_mm):
        metal |= piece.fills(array.shape, pixel_mm)
    return metal | strong(np.where(metal, np.float32(0), change), array, pixel_mm, share=STREAK_SHARE, least_hu=VISIBLE_HU)


KIND: Final = Kind(
    modality="CT",
    name="metal",
    summary="Screws, rods or prostheses: metal, dark bands between pieces, and streaks of starved rays.",
    source="Barrett and Keat, RadioGraphics 2004;24:1679",
    strength=Parameter("diameter_mm", "width of a piece of metal", "mm", 0.5, 60.0),
    levels=(2.0, 4.0, 7.0, 12.0),
    others=(
        Parameter("material", "0 titanium, 1 steel", "1", 0, 1),
        Parameter("pieces", "number of pieces, where there is room", "1", 1, 6),
        Parameter("elongation", "length of a piece as a multiple of its width", "1", 1.0, 6.0),
        Parameter("turn_rad", "direction of the pieces, from +x towards +y, each within 0.3", "rad", 0.0, 3.1416),
        Parameter("in_bone", "1 in bone where the slice has some, 0 anywhere in the body", "1", 0, 1),
        Parameter("photons", "photons a reading has in air", "1", 1e4, 1e8),
    ),
    draw=draw,
    change=change,
    region=region,
    settle=settled,
)
