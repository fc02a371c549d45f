"""A head in patches: white matter, grey matter and fluid with edges as sharp as pixels, so that levels and deviations are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

T1: Mapping[str, float] = {"white": 700.0, "grey": 500.0, "fluid": 200.0}
T2: Mapping[str, float] = {"white": 400.0, "grey": 560.0, "fluid": 1000.0}
SHARES = {"white": 0.5, "grey": 0.375, "fluid": 0.125}
"""What the pattern gives each tissue."""


def head(
    generator: np.random.Generator,
    *,
    levels: Mapping[str, float] = T1,
    noise: float = 20.0,
    size: int = 128,
    patch: int = 4,
    scalp: float = 900.0,
    skull: float = 40.0,
    shading: float = 0.0,
) -> np.ndarray:
    """Return one slice: an ellipse of scalp, a ring of skull, patches inside; `shading` is how much brighter the left is."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(x / 0.33, y / 0.4)
    image = np.where(radius < 1, scalp, 0.0)
    image[radius < 0.93] = skull
    rows, columns = np.mgrid[:size, :size] // (patch * size // 128)
    pattern = (3 * rows + 5 * columns) % 8
    inside = radius < 0.85
    for tissue, at in (("white", pattern < 4), ("grey", (pattern >= 4) & (pattern < 7)), ("fluid", pattern == 7)):
        image[inside & at] = levels[tissue]
    image *= 1 - shading * x / 0.33
    real, imaginary = generator.normal(0, noise, (2, size, size))
    return np.hypot(image + real, imaginary).astype(np.float32)


def heads(count: int = 3, seed: int = 1, **values: object) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [head(generator, **values) for _ in range(count)]  # type: ignore[arg-type]
