"""Shading: a receive field that is not even multiplies the image.

A smooth field, linear and quadratic terms drawn by chance, brought to the declared coefficient of variation within the body.
Source: Belaroussi et al., Med Image Anal 2006; 10:234 (doi 10.1016/j.media.2005.09.004).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from medqa.simulate.degradation import Kind, Parameter, Parameters
from medqa.simulate.mr.k_space import foreground
from medqa.volume import Array


def field(array: Array, parameters: Parameters) -> Array:
    """Return the field, `(y, x)`, positive, of mean 1 within the body."""
    generator = np.random.default_rng(int(parameters["seed"]))
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in array.shape), indexing="ij")
    c = generator.normal(size=5) * np.array([1.0, 1.0, 0.7, 0.7, 0.7])
    shape = c[0] * x + c[1] * y + c[2] * x * y + c[3] * x * x + c[4] * y * y
    mask = foreground(array)
    spread = max(float(shape[mask].std()), 1e-9)
    # The logarithm of the field has this deviation where the field itself has the declared variation and is log-normal.
    made = np.exp((shape - shape[mask].mean()) / spread * np.sqrt(np.log1p(parameters["variation"] ** 2)))
    return np.asarray(made / made[mask].mean(), dtype=np.float32)


def change(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    """Return what an image differs by that is multiplied by an uneven field."""
    return array * (field(array, parameters) - 1)


KIND: Final = Kind(
    modality="MR",
    name="bias",
    summary="An uneven receive field: one side of the image is brighter than the other.",
    source="Belaroussi et al., Med Image Anal 2006;10:234",
    strength=Parameter("variation", "coefficient of variation of the field within the body", "1", 0.01, 2.0),
    levels=(0.1, 0.2, 0.35, 0.6),
    change=change,
)
