"""The projector against an analytic disc and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_projection_and_back_projection_are_adjoint():
    image = disc(48, 1.0, 12.0, centre_mm=(3.0, -5.0))
    beam = beam_for(image.shape, 1.0, views=60)
    sinogram = np.cos(np.add.outer(beam.angles * 2, beam.positions_mm / 9)).astype(np.float32)
    forwards = float((project(image, beam, 1.0) * sinogram).sum()) * np.pi / 60
    backwards = float((image * back_project(sinogram, beam, image.shape, 1.0)).sum())
    assert forwards == pytest.approx(backwards, rel=0.02)


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
