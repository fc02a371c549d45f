"""Degradations of an MR magnitude image, made in k-space; the magnitude is taken at the very end.

Sources: Gudbjartsson and Patz, MRM 34:910 (1995) for Rician noise; Zaitsev et al., JMRI 42:887 (2015) for motion between
phase-encoding lines; Heiland, Eur Radiol 18:2223 (2008) for zippers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from medqa.simulate.degradation import STRENGTHS, Degraded, Plan
from medqa.volume import Array

Complex = NDArray[np.complex64]
Parameters = Mapping[str, float]

LOWEST_NOISE = 0.015
"""An image with less noise than this share of its mean signal counts as having this much."""
HIGHEST_NOISE = 0.5
"""No noise exceeds this share of the mean signal, however noisy the image was before."""
ROTATION_PER_MM = 0.4
"""Degrees of rotation that go with a millimetre of displacement."""


def draw(kind: str, level: int, generator: np.random.Generator, *, pixel_mm: float, phase_axis: int | None = None) -> Plan:
    """Draw the parameters of a degradation; `phase_axis` is 0 where phase is encoded along y, 1 along x, None unknown."""
    del pixel_mm
    axis = int(generator.integers(2)) if phase_axis is None else phase_axis
    parameters: dict[str, float] = {
        "strength": STRENGTHS["MR"][kind].values[level - 1],
        "seed": float(generator.integers(2**31)),
        "phase_axis": float(axis),
    }
    if kind == "motion":
        parameters["direction_rad"] = float(generator.uniform(0, 2 * np.pi))
        parameters["steps"] = float(generator.integers(3, 9))
        parameters["turn"] = float(generator.choice([-1, 1]))
    if kind == "ghost":
        parameters["period_lines"] = float(generator.uniform(2, 6))
        parameters["onset_rad"] = float(generator.uniform(0, 2 * np.pi))
    if kind == "zipper":
        parameters["place"] = float(generator.uniform(0.25, 0.75))
    return Plan(modality="MR", kind=kind, level=level, parameters=parameters)


def apply(array: Array, plan: Plan, *, pixel_mm: float) -> Degraded:
    """Degrade an image `(y, x)` of any unit, NaN where there is no value; the same plan always gives the same image."""
    inside = np.isfinite(array)
    filled = np.where(inside, array, np.float32(0)).astype(np.float32)
    mask = foreground(filled)
    signal = max(float(np.abs(filled[mask]).mean()), 1e-12)
    out = KINDS[plan.kind](filled / np.float32(signal), plan.parameters, pixel_mm) * np.float32(signal)
    severity = float(np.sqrt(np.mean((out - filled)[mask] ** 2)) / signal)
    return Degraded(array=np.where(inside, out, np.float32(np.nan)).astype(np.float32), plan=plan, severity=severity)


def foreground(array: Array) -> NDArray[np.bool_]:
    """Return the pixels brighter than half the mean of what exceeds the mean; all of them where none is."""
    bright = array[array > array.mean()]
    if not bright.size:
        return np.ones(array.shape, dtype=bool)
    return np.asarray(array > 0.5 * bright.mean())


def own_noise(array: Array) -> float:
    """Return the standard deviation of the finest detail, in the array's unit: 1.4826 × MAD of the diagonal wavelet.

    Source: Donoho, IEEE Trans Inf Theory 41:613 (1995). Interpolated images hide their noise from it, hence `LOWEST_NOISE`.
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


def with_phase(array: Array, seed: int) -> Complex:
    """Give a magnitude image a smooth phase, as coils and field leave it: k-space is then not Hermitian."""
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in array.shape), indexing="ij")
    c = generator.uniform(-1, 1, size=5)
    phase = np.pi * (c[0] * y + c[1] * x + 0.5 * (c[2] * y * y + c[3] * x * x + c[4] * x * y))
    return np.asarray(array * np.exp(1j * phase), dtype=np.complex64)


def _noise(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    del pixel_mm
    own = max(own_noise(array), LOWEST_NOISE)
    added = float(np.sqrt(max(min(own * parameters["strength"], HIGHEST_NOISE) ** 2 - own**2, 0.25 * own**2)))
    generator = np.random.default_rng(int(parameters["seed"]))
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    noise = generator.standard_normal((2, *array.shape), dtype=np.float32)
    window = _window(array.shape, acquired(array), soft=0.0)
    # What the scanner filled with zeros holds no noise; what is left makes up the declared deviation.
    scale = added / np.sqrt(float(np.mean(window**2)))
    noisy: Array = np.abs(to_image((spectrum + scale * window * (noise[0] + 1j * noise[1])).astype(np.complex64)))
    return noisy


def _blur(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    del pixel_mm
    share_y, share_x = (share * parameters["strength"] for share in acquired(array))
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    blurred: Array = np.abs(to_image((spectrum * _window(array.shape, (share_y, share_x), soft=0.3)).astype(np.complex64)))
    return blurred


def trajectory(lines: int, parameters: Parameters) -> Array:
    """Return the displacement at each phase-encoding line as a share of the largest, −1 to 1: still, then step by step.

    One step always falls on either side of the centre of k-space, where it does harm; the others anywhere.
    """
    generator = np.random.default_rng(int(parameters["seed"]))
    steps = int(parameters["steps"])
    near = [generator.uniform(0.42, 0.49), generator.uniform(0.51, 0.58)]
    times = np.sort(np.concatenate([near, generator.uniform(0.15, 0.85, steps - 2)]))
    poses = np.concatenate([[0.0], generator.uniform(0.5, 1.0, steps) * np.where(np.arange(steps) % 2, -1, 1)])
    poses /= np.abs(poses).max()
    return np.asarray(poses[np.searchsorted(times, np.arange(lines) / lines)], dtype=np.float32)


def _motion(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    from scipy import ndimage

    axis = int(parameters["phase_axis"])
    path = trajectory(array.shape[axis], parameters)
    complex_image = with_phase(array, int(parameters["seed"]))
    spectrum = np.zeros(array.shape, dtype=np.complex64)
    for pose in np.unique(path):
        shift = float(pose) * parameters["strength"] / pixel_mm
        angle = np.deg2rad(float(pose) * parameters["strength"] * ROTATION_PER_MM * parameters["turn"])
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = (np.array(array.shape) - 1) / 2
        step = shift * np.array([np.sin(parameters["direction_rad"]), np.cos(parameters["direction_rad"])])
        offset = centre - matrix @ (centre + step)
        parts = [
            ndimage.affine_transform(part, matrix, offset, order=1, mode="nearest")
            for part in (complex_image.real, complex_image.imag)
        ]
        moved = to_k_space(parts[0] + 1j * parts[1])
        lines = path == pose
        if axis == 0:
            spectrum[lines] = moved[lines]
        else:
            spectrum[:, lines] = moved[:, lines]
    result: Array = np.abs(to_image(spectrum))
    return result


def _ghost(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    del pixel_mm
    axis = int(parameters["phase_axis"])
    line = np.arange(array.shape[axis])
    # A modulation by 1 + 2 g cos() leaves one ghost of intensity g on either side.
    wave = 1 + 2 * parameters["strength"] * np.cos(2 * np.pi * line / parameters["period_lines"] + parameters["onset_rad"])
    modulation = wave[:, None] if axis == 0 else wave[None, :]
    spectrum = to_k_space(with_phase(array, int(parameters["seed"])))
    ghosted: Array = np.abs(to_image((spectrum * modulation).astype(np.complex64)))
    return ghosted


def _zipper(array: Array, parameters: Parameters, pixel_mm: float) -> Array:
    del pixel_mm
    axis = int(parameters["phase_axis"])
    generator = np.random.default_rng(int(parameters["seed"]))
    lines, samples = array.shape[axis], array.shape[1 - axis]
    place = (parameters["place"] - 0.5) * samples
    readout = np.arange(samples) - samples // 2
    # One frequency in the readout, another phase at every line: a line of dashes across the image along the phase direction.
    tone = np.exp(-2j * np.pi * place * readout / samples)[None, :] * np.exp(2j * np.pi * generator.random((lines, 1)))
    tone *= parameters["strength"] / np.sqrt(samples)
    added = tone if axis == 0 else tone.T
    spectrum = to_k_space(with_phase(array, int(parameters["seed"]))) + added
    zipped: Array = np.abs(to_image(spectrum.astype(np.complex64)))
    return zipped


KINDS: Mapping[str, Callable[[Array, Parameters, float], Array]] = {
    "noise": _noise,
    "blur": _blur,
    "motion": _motion,
    "ghost": _ghost,
    "zipper": _zipper,
}


def _window(shape: tuple[int, ...], shares: tuple[float, float], *, soft: float) -> Array:
    """Return 1 inside the given share of k-space along y and x, falling to 0 over the last part `soft` of it."""
    profiles = []
    for size, share in zip(shape, shares, strict=True):
        frequency = np.abs(np.arange(size) - size // 2) / (size / 2)
        inner = share * (1 - soft)
        fall = np.clip((frequency - inner) / max(share - inner, 1e-6), 0, 1)
        profiles.append(0.5 + 0.5 * np.cos(np.pi * fall))
    return np.asarray(profiles[0][:, None] * profiles[1][None, :], dtype=np.float32)
