"""K-space of a magnitude image, and what is known of the scan that it came from: signal, noise, the part that was acquired."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.degradation import Mask, Parameter
from medqa.volume import Array

Complex = NDArray[np.complex64]

PHASE_AXIS: Final = Parameter("phase_axis", "axis of phase encoding: 0 down the columns (COL), 1 along the rows (ROW)", "1", 0, 1)
"""The header decides where it says so, else chance."""
LINEAR, CENTRIC, INTERLEAVED, REVERSE_LINEAR, REVERSE_CENTRIC = range(5)
ORDER: Final = Parameter(
    "order",
    "order of the lines: 0 linear, 1 from the centre outwards, 2 interleaved in 8 shots, 3 and 4 as 0 and 1 but backwards",
    "1",
    LINEAR,
    REVERSE_CENTRIC,
)
"""In which the lines of phase encoding are taken; again the header decides where it says so."""
SHOTS: Final = 8
"""Interleaves of the third order."""


def foreground(array: Array) -> Mask:
    """Return the pixels brighter than half the mean of what exceeds the mean; all of them where none is."""
    bright = array[array > array.mean()]
    if not bright.size:
        return np.ones(array.shape, dtype=bool)
    return np.asarray(array > 0.5 * bright.mean())


def own_noise(array: Array) -> float:
    """Return the standard deviation of the finest detail, in the array's unit: 1.4826 × MAD of the diagonal wavelet.

    Source: Donoho, IEEE Trans Inf Theory 41:613 (1995). Interpolated images hide their noise from it.
    """
    rows, columns = (size // 2 * 2 for size in array.shape)
    even = array[:rows, :columns]
    detail = 0.5 * (even[::2, ::2] - even[1::2, ::2] - even[::2, 1::2] + even[1::2, 1::2])
    mask = foreground(array)[:rows:2, :columns:2]
    return float(1.4826 * np.median(np.abs(detail[mask])))


def to_k_space(image: NDArray[np.generic]) -> Complex:
    """Return the centred Fourier transform, orthonormal."""
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))
    return np.asarray(spectrum, dtype=np.complex64)


def to_image(spectrum: Complex) -> Complex:
    """Return the inverse of `to_k_space`."""
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(spectrum), norm="ortho"))
    return np.asarray(image, dtype=np.complex64)


def magnitude(spectrum: Complex) -> Array:
    """Return the magnitude image of a k-space: what a scanner stores."""
    return np.asarray(np.abs(to_image(spectrum)), dtype=np.float32)


def acquired(array: Array) -> tuple[float, float]:
    """Estimate which share of k-space along y and x was acquired (the rest being filled with zeros by the scanner), 0.2 to 1.

    It ends where 99 % of the energy of the image's derivative lies within.
    """
    power = np.abs(to_k_space(array - array.mean())) ** 2
    shares = []
    for axis in (0, 1):
        profile = power.sum(axis=1 - axis)
        frequency = np.abs(np.arange(profile.size) - profile.size // 2) / (profile.size / 2)
        order = np.argsort(frequency, kind="stable")
        energy = np.cumsum((profile * frequency**2)[order])
        reached = int(np.searchsorted(energy, 0.99 * energy[-1]))
        shares.append(float(np.clip(frequency[order][min(reached, profile.size - 1)], 0.2, 1.0)))
    return shares[0], shares[1]


def window(shape: tuple[int, ...], shares: tuple[float, float], *, soft: float) -> Array:
    """Return 1 inside the given share of k-space along y and x, falling to 0 over the last part `soft` of it."""
    profiles = []
    for size, share in zip(shape, shares, strict=True):
        frequency = np.abs(np.arange(size) - size // 2) / (size / 2)
        inner = share * (1 - soft)
        fall = np.clip((frequency - inner) / max(share - inner, 1e-6), 0, 1)
        profiles.append(0.5 + 0.5 * np.cos(np.pi * fall))
    return np.asarray(profiles[0][:, None] * profiles[1][None, :], dtype=np.float32)


def with_phase(array: Array, seed: int) -> Complex:
    """Give a magnitude image a smooth phase, as coils and field leave it: k-space is then not Hermitian."""
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in array.shape), indexing="ij")
    c = generator.uniform(-1, 1, size=5)
    phase = np.pi * (c[0] * y + c[1] * x + 0.5 * (c[2] * y * y + c[3] * x * x + c[4] * x * y))
    return np.asarray(array * np.exp(1j * phase), dtype=np.complex64)


def posed(image: Complex, angle: float, shift: NDArray[np.float64]) -> Complex:
    """Return the k-space of a body that is turned about the middle by `angle` (rad) and displaced by `shift` (y, x) in pixels."""
    from scipy import ndimage

    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - matrix @ (centre + shift)
    real, imaginary = (ndimage.affine_transform(part, matrix, offset, order=1, mode="nearest") for part in (image.real, image.imag))
    return to_k_space(real + 1j * imaginary)


def along(profile: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return a profile `(n,)` shaped so that it runs along an axis of `(y, x)`."""
    return profile[:, None] if axis == 0 else profile[None, :]


def moments(lines: int, order: int) -> NDArray[np.float64]:
    """Return when each phase-encoding line is taken, 0 the first to 1 the last; the middle line is that of zero frequency."""
    index = np.arange(lines)
    if order in (CENTRIC, REVERSE_CENTRIC):
        rank = np.argsort(np.argsort(np.abs(index - lines // 2), kind="stable"), kind="stable")
    elif order == INTERLEAVED:
        rank = np.argsort(np.argsort((index % SHOTS) * lines + index, kind="stable"), kind="stable")
    else:
        rank = index
    if order in (REVERSE_LINEAR, REVERSE_CENTRIC):
        rank = lines - 1 - rank
    return np.asarray(rank / max(lines - 1, 1), dtype=np.float64)
