"""A body wider than the field of view: rays beyond it are missing, its edge glows, and what lies outside is made up.

Source: Ohnesorge et al., Med Phys 27:39 (2000), 10.1118/1.598855.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.ct.grids import COARSE, coarse, fine
from medqa.simulate.ct.tissue import Mask, patient
from medqa.simulate.ct.tracks import polar
from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.projector import beam_for, project, reconstruct
from medqa.volume import Array

VIEWS: Final = 360
RIM: Final = 0.12
"""The bright rim reaches this share of the field's radius inwards."""


def draw(generator: np.random.Generator, pixel_mm: float) -> dict[str, float]:
    """Draw how far the scanner carries the outermost readings on."""
    return {"fade_mm": float(generator.uniform(2, 10))}


def field_radius_mm(array: Array, field_share: float, pixel_mm: float) -> float:
    """Return the radius of the field of view: a share of the largest distance of the patient from the axis."""
    radius, _ = polar(array.shape, pixel_mm)
    return field_share * float(radius[patient(array)].max())


def settled(array: Array, parameters: Parameters, pixel_mm: float) -> dict[str, float]:
    """Return the radius of the field of view that fits this slice, so that a scan has one field of view."""
    return {"radius_mm": field_radius_mm(array, parameters["field_share"], pixel_mm)}


def _radius_mm(array: Array, parameters: Parameters, pixel_mm: float) -> float:
    return parameters.get("radius_mm") or field_radius_mm(array, parameters["field_share"], pixel_mm)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what the slice differs by when the detector ends at the field of view."""
    radius_mm = _radius_mm(array, parameters, pixel_mm)
    # Values below air are padding: they must not count as mass that is missing.
    small, small_mm = coarse(np.maximum(array, -1000) + 1000, pixel_mm, COARSE)
    beam = beam_for(small.shape, small_mm, views=VIEWS)
    whole = project(small, beam, small_mm)
    inside = np.flatnonzero(np.abs(beam.positions_mm) <= radius_mm)
    first, last = (int(inside[0]), int(inside[-1])) if inside.size else (beam.detectors // 2,) * 2
    beyond = np.clip((np.abs(beam.positions_mm) - radius_mm) / max(parameters["fade_mm"], 1e-6), 0, 1)
    cut = whole[:, np.clip(np.arange(beam.detectors), first, last)] * (0.5 + 0.5 * np.cos(np.pi * beyond)).astype(np.float32)
    was, became = (reconstruct(view, beam, small.shape, small_mm, cutoff_per_mm=0.65 / small_mm) for view in (whole, cut))
    # Within the field the slice keeps its detail; outside nothing of it was measured.
    outside = polar(array.shape, pixel_mm)[0] > radius_mm
    return np.where(outside, fine(became, array.shape) - array - 1000, fine(became - was, array.shape)).astype(np.float32)


def region(array: Array, change: Array, parameters: Parameters, pixel_mm: float) -> Mask:
    """Return the bright rim of the field of view and all of the body outside."""
    radius, _ = polar(array.shape, pixel_mm)
    edge = _radius_mm(array, parameters, pixel_mm) * (1 - RIM)
    return np.asarray((radius > edge) & patient(array))


KIND: Final = Kind(
    modality="CT",
    name="truncation",
    summary="The body is wider than the field of view: a bright rim at the edge, made-up values outside.",
    source="Ohnesorge et al., Med Phys 2000;27:39",
    strength=Parameter("field_share", "radius of the field of view as a share of the body's reach from the axis", "1", 0.2, 1.5),
    levels=(0.95, 0.88, 0.8, 0.7),
    others=(Parameter("fade_mm", "way over which the outermost readings are carried on and fade", "mm", 0.0, 100.0),),
    draw=draw,
    change=change,
    region=region,
    settle=settled,
)
