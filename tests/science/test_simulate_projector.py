"""The parallel-beam and fan-beam projectors against analytic truth, against scikit-image and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medqa.simulate import fan_beam, projector_torch
from medqa.simulate.kernels import KERNELS, window
from medqa.simulate.projector import Beam, back_project, beam_for, filtered, project, reconstruct


def disc(size: int, pixel_mm: float, radius_mm: float, *, centre_mm: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """A disc of 1 with soft, exact edges: eight samples a pixel and direction."""
    fine = (np.arange(size * 8) - (size * 8 - 1) / 2) / 8 * pixel_mm
    inside = np.hypot(fine[:, None] - centre_mm[0], fine[None, :] - centre_mm[1]) < radius_mm
    return inside.reshape(size, 8, size, 8).mean(axis=(1, 3)).astype(np.float32)


def test_line_integrals_of_a_disc_are_its_chords():
    beam = beam_for((128, 128), 2.0, views=30)
    sinogram = project(disc(128, 2.0, 70.0), beam, 2.0)
    chords = 2 * np.sqrt(np.maximum(70.0**2 - beam.positions_mm**2, 0))
    inner = np.abs(beam.positions_mm) < 65
    assert np.abs(sinogram - chords)[:, inner].max() < 0.02 * chords.max()
    assert sinogram.sum(axis=1) * beam.spacing_mm == pytest.approx(np.pi * 70.0**2, rel=2e-3)


def test_a_disc_off_the_axis_moves_like_a_sine():
    beam = beam_for((128, 128), 1.0, views=24)
    sinogram = project(disc(128, 1.0, 6.0, centre_mm=(20.0, -31.0)), beam, 1.0)
    centroid = (sinogram * beam.positions_mm).sum(axis=1) / sinogram.sum(axis=1)
    assert np.allclose(centroid, -31.0 * np.cos(beam.angles) + 20.0 * np.sin(beam.angles), atol=0.05)


def test_filtered_back_projection_inverts_the_projection():
    image = disc(128, 2.0, 70.0) + disc(128, 2.0, 15.0, centre_mm=(20.0, 10.0))
    beam = beam_for(image.shape, 2.0, views=200)
    rebuilt = reconstruct(project(image, beam, 2.0), beam, image.shape, 2.0)
    y, x = np.meshgrid(*(np.arange(128) - 63.5,) * 2, indexing="ij")
    flat = (np.hypot(y, x) * 2 < 60) & (np.hypot(y * 2 - 20, x * 2 - 10) > 22)
    assert rebuilt[flat].mean() == pytest.approx(1.0, abs=0.005)
    assert rebuilt[np.hypot(y * 2 - 20, x * 2 - 10) < 10].mean() == pytest.approx(2.0, abs=0.02)
    assert np.abs(rebuilt[np.hypot(y, x) * 2 > 90]).max() < 0.05


def test_the_ramp_is_a_ramp_at_every_length():
    """A detector of any length must see |f|, from almost 0 to half a cycle a channel: 512 pixels need 1458 taps, 254 need 729."""
    for size in (97, 128, 192, 254, 255, 256, 508, 512, 637):
        beam = beam_for((size, size), 1.0, views=1)
        impulse = np.zeros((1, beam.detectors), dtype=np.float32)
        impulse[0, beam.detectors // 2] = 1
        response = np.abs(np.fft.rfft(filtered(impulse, beam)[0]))
        frequency = np.fft.rfftfreq(beam.detectors)
        assert np.abs(response - frequency).max() < 0.01


def test_agrees_with_scikit_image():
    transform = pytest.importorskip("skimage.transform")
    # An odd size, since scikit-image turns about pixel n // 2; and mirrored, since its y axis points up.
    image = disc(97, 1.0, 30.0) + disc(97, 1.0, 8.0, centre_mm=(10.0, -12.0))
    beam = Beam(views=90, detectors=97, spacing_mm=1.0)
    mine = project(image, beam, 1.0)
    theirs = transform.radon(image[::-1], theta=np.degrees(beam.angles), circle=True).T
    assert np.abs(mine - theirs).max() < 0.05 * theirs.max()
    assert mine.sum() == pytest.approx(theirs.sum(), rel=2e-3)
    rebuilt = reconstruct(mine, beam, image.shape, 1.0)
    reference = transform.iradon(mine.T.astype(float), theta=np.degrees(beam.angles), filter_name="ramp", circle=True)[::-1]
    y, x = np.meshgrid(*(np.arange(97) - 48,) * 2, indexing="ij")
    circle = np.hypot(y, x) < 47
    assert np.abs(rebuilt - reference)[circle].max() < 0.03


WATER_PER_MM = 0.02


def cylinder(size: int, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """A water cylinder with smooth inserts, as attenuation per mm; and where it is more than 3 pixels from an edge."""
    y, x = np.meshgrid(*((np.arange(size) - (size - 1) / 2) * pixel_mm,) * 2, indexing="ij")
    radius = 0.39 * size * pixel_mm
    hu = 60 * np.exp(-((x - 20) ** 2 + (y - 10) ** 2) / 250) - 100 * np.exp(-((x + 15) ** 2 + (y + 20) ** 2) / 400)
    # No detector sees a sharper edge than this one.
    water = ndimage.gaussian_filter(disc(size, pixel_mm, radius), 0.6) * (1 + hu / 1000) * WATER_PER_MM
    away = (np.abs(np.hypot(y, x) - radius) > 3 * pixel_mm) & (np.hypot(y, x) < (size / 2 - 3) * pixel_mm)
    return water.astype(np.float32), away


@pytest.mark.parametrize("geometry", ["parallel", "curved", "flat", "short"])
def test_the_round_trip_restores_an_object_within_5_hu(geometry: str):
    image, away = cylinder(96, 2.0)
    inside = away & (image > 0.01)
    if geometry == "parallel":
        beam = beam_for(image.shape, 2.0, views=200)
        sinogram = project(image, beam, 2.0)
    else:
        beam = fan_beam.fan_for(image.shape, 2.0, views=300, flat=geometry == "flat", short=geometry == "short")
        sinogram = fan_beam.project(image, beam, 2.0)
    for kernel in ("ram-lak", "shepp-logan", "cosine", "hann"):
        rebuild = reconstruct if isinstance(beam, Beam) else fan_beam.reconstruct
        hu = (rebuild(sinogram, beam, image.shape, 2.0, kernel=kernel) - image) / WATER_PER_MM * 1000
        assert np.abs(hu[inside]).max() < 5, kernel
        assert abs(hu[inside].mean()) < 0.5, kernel
        assert np.abs(hu[away]).max() < 15, kernel


def test_a_ray_of_the_fan_is_the_parallel_ray_of_its_angle_and_distance():
    image = disc(64, 2.0, 30.0, centre_mm=(12.0, -20.0))
    fan = fan_beam.FanBeam(views=12, detectors=41, spacing_mm=3.0, source_mm=300.0)
    sinogram = fan_beam.project(image, fan, 2.0)
    distance = fan.source_mm * np.sin(fan.fan_angles)
    angle = fan.angles[:, None] - fan.fan_angles
    offset = distance - (-20.0 * np.cos(angle) + 12.0 * np.sin(angle))
    chords = 2 * np.sqrt(np.maximum(30.0**2 - offset**2, 0))
    clear = np.abs(np.abs(offset) - 30) > 3
    assert np.abs(sinogram - chords)[clear].max() < 0.02 * 60


@pytest.mark.parametrize("short", [False, True])
def test_every_line_of_a_fan_counts_once_however_often_it_is_seen(short: bool):
    fan = fan_beam.FanBeam(views=1440, detectors=65, spacing_mm=6.0, source_mm=500.0, short=short)
    weights = fan_beam.redundancy(fan)
    total = weights.copy()
    for turn in (np.pi, -np.pi) if short else (np.pi,):
        # The same line, seen from its other end.
        other = np.rint((fan.angles[:, None] + turn - 2 * fan.fan_angles) / (fan.turn_rad / fan.views) - 0.5 * short).astype(int)
        other = other if short else other % fan.views
        seen = (other >= 0) & (other < fan.views)
        mirrored = np.broadcast_to(np.arange(fan.detectors)[::-1], other.shape)
        total += np.where(seen, weights[np.clip(other, 0, fan.views - 1), mirrored], 0)
    # At the fan's very edges Parker's weights rise from 0 to 1 within less than a view.
    assert np.abs(total - 1)[:, 4:-4].max() < 0.03


def test_a_tube_inside_the_image_is_refused():
    with pytest.raises(ValueError, match="inside an image"):
        fan_beam.fan_for((512, 512), 1.0, views=10, source_mm=300.0)


@pytest.mark.parametrize("kernel", ["shepp-logan", "cosine", "hamming", "hann"])
def test_the_kernels_are_those_of_scikit_image(kernel: str):
    transform = pytest.importorskip("skimage.transform")
    image = disc(65, 1.0, 20.0) + disc(65, 1.0, 5.0, centre_mm=(6.0, -8.0))
    beam = Beam(views=60, detectors=65, spacing_mm=1.0)
    sinogram = project(image, beam, 1.0)
    mine = reconstruct(sinogram, beam, image.shape, 1.0, kernel=kernel)
    theirs = transform.iradon(sinogram.T.astype(float), theta=np.degrees(beam.angles), filter_name=kernel, circle=True)[::-1]
    y, x = np.meshgrid(*(np.arange(65) - 32,) * 2, indexing="ij")
    assert np.abs(mine - theirs)[np.hypot(y, x) < 31].max() < 0.02


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_a_kernel_passes_the_mean_and_nothing_above_its_cutoff(kernel: str):
    frequency = np.linspace(0, 1, 201)
    weights = window(kernel, frequency, 0.4)
    assert weights[0] == pytest.approx(1)
    assert np.all(np.diff(weights) <= 0)
    assert np.all(weights[frequency >= 0.4] == 0)
    assert np.all(weights[frequency < 0.39] > 0)


def test_a_cutoff_alone_means_hann():
    beam = Beam(views=3, detectors=50, spacing_mm=1.5)
    views = np.random.default_rng(0).random((3, 50)).astype(np.float32)
    assert np.array_equal(filtered(views, beam, cutoff_per_mm=0.2), filtered(views, beam, kernel="hann", cutoff_per_mm=0.2))
    assert np.array_equal(filtered(views, beam), filtered(views, beam, kernel="ram-lak"))


@pytest.mark.parametrize(("shape", "pixel_mm", "spacing_mm"), [((96, 96), 2.0, None), ((61, 80), 1.3, 1.0)])
def test_the_torch_path_agrees_with_numpy(shape: tuple[int, int], pixel_mm: float, spacing_mm: float | None):
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(4).random(shape).astype(np.float32)
    beam = beam_for(shape, pixel_mm, views=24, spacing_mm=spacing_mm)
    sinogram = project(image, beam, pixel_mm)
    pair = torch.stack([torch.tensor(image), 2 * torch.tensor(image)])
    same = projector_torch.project(pair, beam, pixel_mm)
    assert same.shape == (2, 24, beam.detectors)
    for number in (0, 1):
        assert np.abs(same[number].numpy() - (number + 1) * sinogram).max() < 1e-4 * sinogram.max()
    for settings in ({}, {"kernel": "shepp-logan"}, {"cutoff_per_mm": 0.2}):
        expected = reconstruct(sinogram, beam, shape, pixel_mm, **settings)
        rebuilt = projector_torch.reconstruct(same, beam, shape, pixel_mm, **settings)
        assert rebuilt.shape == (2, *shape)
        assert np.abs(rebuilt[0].numpy() - expected).max() < 1e-4 * np.abs(expected).max()


def test_projection_and_back_projection_are_adjoint():
    image = disc(48, 1.0, 12.0, centre_mm=(3.0, -5.0))
    beam = beam_for(image.shape, 1.0, views=60)
    sinogram = np.cos(np.add.outer(beam.angles * 2, beam.positions_mm / 9)).astype(np.float32)
    forwards = float((project(image, beam, 1.0) * sinogram).sum()) * np.pi / 60
    backwards = float((image * back_project(sinogram, beam, image.shape, 1.0)).sum())
    assert forwards == pytest.approx(backwards, rel=0.02)


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_the_noise_power_has_the_kernels_shape(kernel: str):
    """White noise in the projections becomes the frequency times the square of the kernel's window (Riederer et al. 1978).

    The channels are a third of a pixel wide, so that the interpolation between them (sinc squared) takes little.
    """
    beam = beam_for((128, 128), 1.0, views=240, spacing_mm=1 / 3)
    generator = np.random.default_rng(1)
    taper = np.hanning(96)[:, None] * np.hanning(96)
    power = np.zeros((96, 96))
    for _ in range(8):
        noise = generator.standard_normal((beam.views, beam.detectors)).astype(np.float32)
        image = reconstruct(noise, beam, (128, 128), 1.0, kernel=kernel, cutoff_per_mm=0.5)[16:112, 16:112]
        power += np.abs(np.fft.fft2(image * taper)) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(96),) * 2))
    edges = np.arange(0.03, 0.45, 0.04)
    bands = [(radius >= low) & (radius < low + 0.04) for low in edges]
    theory = radius * window(kernel, radius, 0.5) ** 2 * np.sinc(radius / 3) ** 4
    measured, expected = (np.array([values[band].mean() for band in bands]) for values in (power, theory))
    measured *= expected.sum() / measured.sum()
    assert np.abs(measured - expected).max() < 0.12 * expected.max()


@pytest.mark.parametrize("geometry", ["parallel", "fan"])
def test_the_variance_follows_one_over_the_dose(geometry: str):
    """Photons through a water cylinder, drawn by Poisson's law, at three doses without electronic noise or starvation."""
    image, _ = cylinder(64, 4.0)
    beam = beam_for(image.shape, 4.0, views=120) if geometry == "parallel" else fan_beam.fan_for(image.shape, 4.0, views=160)
    whole = project(image, beam, 4.0) if isinstance(beam, Beam) else fan_beam.project(image, beam, 4.0)
    generator = np.random.default_rng(2)
    middle = (slice(20, 44), slice(20, 44))
    variances = []
    for photons in (1e5, 4e5, 16e5):
        pictures = []
        for _ in range(4):
            counts = generator.poisson(photons * np.exp(-whole))
            noisy = -np.log(np.maximum(counts, 1) / photons).astype(np.float32)
            rebuild = reconstruct if isinstance(beam, Beam) else fan_beam.reconstruct
            pictures.append(rebuild(noisy - whole, beam, image.shape, 4.0, kernel="hann")[middle])
        variances.append(float(np.var(pictures)))
    assert variances[0] / variances[1] == pytest.approx(4, rel=0.12)
    assert variances[1] / variances[2] == pytest.approx(4, rel=0.12)


def test_white_noise_in_projections_becomes_ramp_coloured_noise():
    """The noise power of FBP rises linearly from zero: that is what makes it look like CT noise."""
    generator = np.random.default_rng(1)
    beam = beam_for((128, 128), 1.0, views=180)
    noise = generator.standard_normal((beam.views, beam.detectors)).astype(np.float32)
    image = reconstruct(noise, beam, (128, 128), 1.0)
    power = np.abs(np.fft.fftshift(np.fft.fft2(image[16:112, 16:112]))) ** 2
    radius = np.hypot(*np.meshgrid(*(np.arange(96) - 48,) * 2)) / 96
    bands = [power[(radius >= low) & (radius < low + 0.05)].mean() for low in (0.05, 0.1, 0.15)]
    assert np.all(np.diff(bands) > 0)
    assert bands[2] / bands[0] == pytest.approx(0.175 / 0.075, rel=0.25)
