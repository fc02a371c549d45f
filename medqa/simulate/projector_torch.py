"""The parallel-beam projector on torch tensors: the same geometry and results as `medqa.simulate.projector`, on CPU and GPU.

Images and sinograms stay on their device; leading axes are a batch, `(..., y, x)` and `(..., views, detectors)`. This is the only
module of `simulate` that knows torch, and it is imported by those alone who hold tensors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from medqa.simulate.projector import OVERSAMPLING, Beam, filter_length, ramp_response

if TYPE_CHECKING:
    from torch import Tensor


def project(image: Tensor, beam: Beam, pixel_mm: float) -> Tensor:
    """Return line integrals `(..., views, detectors)` of images `(..., y, x)`, in the images' unit times millimetres."""
    import torch
    from torch.nn.functional import grid_sample

    rows, columns = image.shape[-2:]
    half = math.ceil(math.hypot(rows, columns) / 2)
    batch = image.reshape(1, -1, rows, columns).float()
    along = torch.arange(-half, half + 1, device=image.device, dtype=torch.float64)
    across = torch.as_tensor(beam.positions_mm / pixel_mm, device=image.device)[:, None]
    middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
    views = []
    for angle in beam.angles:
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        x = across * cosine - along * sine + middle_x
        y = across * sine + along * cosine + middle_y
        # From the middle, in halves of the image's extent: what grid_sample counts in.
        grid = torch.stack((x / max(middle_x, 0.5) - 1, y / max(middle_y, 0.5) - 1), dim=-1).float()
        samples = grid_sample(batch, grid[None], mode="bilinear", padding_mode="border", align_corners=True)[0]
        # Outside the outermost pixels' centres there is nothing, as in the other projector.
        inside = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
        samples = samples * inside
        views.append(samples.sum(dim=-1) * pixel_mm)
    return torch.stack(views, dim=1).reshape(*image.shape[:-2], beam.views, beam.detectors)


def filtered(sinogram: Tensor, beam: Beam, *, kernel: str | None = None, cutoff_per_mm: float | None = None) -> Tensor:
    """Return sinograms under the ramp and a kernel of `medqa.simulate.kernels`; a cut-off alone means Hann's."""
    import torch

    length = filter_length(beam.detectors)
    response = ramp_response(length, beam.spacing_mm, kernel, cutoff_per_mm)
    weights = torch.as_tensor(response, device=sinogram.device, dtype=torch.float32)
    spectrum = torch.fft.rfft(sinogram.float(), n=length, dim=-1) * weights
    out: Tensor = torch.fft.irfft(spectrum, n=length, dim=-1)[..., : beam.detectors]
    return out


def back_project(sinogram: Tensor, beam: Beam, shape: tuple[int, int], pixel_mm: float) -> Tensor:
    """Return the sum over views `(..., y, x)`, each view weighted by its share of half a turn."""
    import torch
    from torch.nn.functional import interpolate

    rows, columns = shape
    batch = sinogram.reshape(-1, beam.views, beam.detectors).float()
    fine = (beam.detectors - 1) * OVERSAMPLING + 1
    scale = pixel_mm / beam.spacing_mm * OVERSAMPLING
    x = ((torch.arange(columns, dtype=torch.float64) - (columns - 1) / 2) * scale).to(sinogram.device, torch.float32)
    y = ((torch.arange(rows, dtype=torch.float64) - (rows - 1) / 2) * scale).to(sinogram.device, torch.float32)
    centre = (beam.detectors - 1) / 2 * OVERSAMPLING + 0.5
    out = torch.zeros((batch.shape[0], rows, columns), device=sinogram.device)
    for view, angle in enumerate(beam.angles):
        line = interpolate(batch[:, None, view], size=fine, mode="linear", align_corners=True)[:, 0]
        index = (x * math.cos(angle) + centre)[None, :] + (y * math.sin(angle))[:, None]
        out += line[:, index.long().clamp(0, fine - 1)]
    out *= math.pi / beam.views
    return out.reshape(*sinogram.shape[:-2], rows, columns)


def reconstruct(
    sinogram: Tensor,
    beam: Beam,
    shape: tuple[int, int],
    pixel_mm: float,
    *,
    kernel: str | None = None,
    cutoff_per_mm: float | None = None,
) -> Tensor:
    """Return the filtered back-projection `(..., y, x)` of line integrals: the inverse of `project` up to the kernel."""
    return back_project(filtered(sinogram, beam, kernel=kernel, cutoff_per_mm=cutoff_per_mm), beam, shape, pixel_mm)
