from __future__ import annotations

import numpy as np
import pytest
import torch

from medqa.codes import Unit
from medqa.errors import NotApplicable
from medqa.iqa.transforms import (
    CHANNELS,
    densenet_geometry,
    densenet_input,
    foreground_scale,
    mal_geometry,
    mal_input,
    monai_pipeline,
    normalise,
    resize,
)

HU = [-3000.0, -1000.0, -300.0, 400.0, 3000.0, -135.0, 40.0, 215.0, np.nan]
WIDE = [0, 0, 0.5, 1, 1, 865 / 1400, 1040 / 1400, 1215 / 1400, 0]
SOFT = [0, 0, 0, 1, 1, 0, 0.5, 1, 0]


def test_ct_channels_are_the_two_windows_whatever_else_the_frame_holds(image):
    array = np.tile(np.array(HU, dtype=np.float32), (20, 2))
    channels, scale = normalise(image(array))
    assert scale is None
    np.testing.assert_allclose(channels[0, 7, :9], WIDE, atol=1e-6)
    np.testing.assert_allclose(channels[1, 7, :9], SOFT, atol=1e-6)


def test_pet_is_in_suv_where_the_header_allows_it_and_marked_where_not(image):
    rng = np.random.default_rng(1)
    suv = rng.uniform(0, 9, (40, 40))
    for_header, scale = normalise(image(suv * 5000, "PT", suv_factor=1 / 5000))
    assert scale is None
    np.testing.assert_allclose(for_header[0], suv / 10, rtol=1e-5)
    already, scale = normalise(image(suv, "PT", unit=Unit.SUVBW))
    assert scale is None
    np.testing.assert_allclose(already[0], suv / 10, rtol=1e-5)
    without, scale = normalise(image(suv * 5000, "PT"))
    assert scale == pytest.approx(np.percentile(suv[suv > suv.mean()], 99.5) * 5000, rel=1e-5)
    np.testing.assert_allclose(without[0], suv * 5000 / scale, rtol=1e-4)


def test_mr_does_not_feel_the_scanner_gain_but_keeps_it_as_evidence(image):
    rng = np.random.default_rng(2)
    head = np.zeros((64, 64))
    head[16:48, 16:48] = rng.uniform(50, 100, (32, 32))
    one, one_scale = normalise(image(head, "MR"))
    seven, seven_scale = normalise(image(head * 7, "MR"))
    np.testing.assert_allclose(one, seven, rtol=1e-5)
    assert seven_scale / one_scale == pytest.approx(7, rel=1e-5)
    assert np.percentile(head[16:48, 16:48], 95) < one_scale <= head.max()


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_frames_of_nothing_or_of_nan_become_air(image, modality):
    for value in (np.nan, -1000.0 if modality == "CT" else 0.0):
        channels, _ = normalise(image(np.full((20, 30), value), modality))
        assert channels.shape == (CHANNELS[modality], 20, 30)
        assert not channels.any()


def test_a_hot_voxel_does_not_set_the_mr_scale():
    values = np.zeros((100, 100), dtype=np.float32)
    values[20:80, 20:80] = 100
    values[50, 50] = 2000
    assert foreground_scale(values) == pytest.approx(100)


@pytest.mark.parametrize(
    ("shape", "scaled", "padded"),
    [
        ((512, 512), (512, 512), (512, 512)),
        ((30, 41), (30, 41), (128, 128)),
        ((1024, 1024), (512, 512), (512, 512)),
        ((555, 333), (512, 307), (512, 320)),
        ((16, 700), (12, 512), (128, 512)),
        ((129, 513), (129, 512), (160, 512)),
    ],
)
def test_the_mal_network_gets_native_pixels_where_they_fit(image, shape, scaled, padded):
    geometry = mal_geometry(shape)
    assert (geometry.scaled, geometry.padded) == (scaled, padded)
    prepared = mal_input(image(np.random.default_rng(0).normal(0, 50, shape)))
    assert prepared.array.shape == (2, *padded)
    assert prepared.array.dtype == np.float32
    assert geometry.factor == pytest.approx(max(scaled) / max(shape))


def test_padding_mirrors_and_leaves_the_frame_untouched(image):
    frame = np.random.default_rng(0).uniform(-1000, 400, (100, 140))
    prepared = mal_input(image(frame))
    top, left = prepared.geometry.offset
    inside = prepared.array[0, top : top + 100, left : left + 140]
    np.testing.assert_allclose(inside, (frame + 1000) / 1400, atol=1e-6)
    np.testing.assert_array_equal(prepared.array[:, top - 1], prepared.array[:, top + 1])
    np.testing.assert_array_equal(prepared.array[:, :, left + 140], prepared.array[:, :, left + 138])


@pytest.mark.parametrize("shape", [(100, 140), (30, 41), (256, 512), (96, 200)])
def test_what_lies_in_the_padded_grid_is_brought_back_to_its_place(shape):
    mask = np.zeros(shape, dtype=np.float32)
    mask[shape[0] // 3 : shape[0] // 2, shape[1] // 4 : shape[1] // 3] = 1
    geometry = mal_geometry(shape)
    laid = np.zeros(geometry.padded, dtype=np.float32)
    top, left = geometry.offset
    laid[top : top + geometry.scaled[0], left : left + geometry.scaled[1]] = resize(mask, geometry.scaled)
    np.testing.assert_array_equal(geometry.back(laid), mask)


@pytest.mark.parametrize("shape", [(1024, 900), (555, 333)])
def test_a_map_of_a_reduced_frame_keeps_its_centre_of_mass(shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    bump = np.exp(-(((y - shape[0] * 0.3) ** 2 + (x - shape[1] * 0.6) ** 2) / (2 * 20.0**2))).astype(np.float32)
    for geometry in (mal_geometry(shape), densenet_geometry(shape)):
        laid = np.zeros(geometry.padded, dtype=np.float32)
        top, left = geometry.offset
        laid[top : top + geometry.scaled[0], left : left + geometry.scaled[1]] = resize(bump, geometry.scaled)
        back = geometry.back(laid)
        centre = [(back * grid).sum() / back.sum() for grid in (y, x)]
        np.testing.assert_allclose(centre, [shape[0] * 0.3, shape[1] * 0.6], atol=0.6)


@pytest.mark.parametrize(
    ("source", "target"), [((512, 512), (256, 256)), ((333, 555), (154, 256)), ((50, 70), (183, 256)), ((700, 40), (256, 15))]
)
def test_resizing_agrees_with_torch(source, target):
    values = np.random.default_rng(3).normal(size=(2, *source)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None], size=target, mode="bilinear", antialias=True, align_corners=False
    )
    np.testing.assert_allclose(resize(values, target), expected[0].numpy(), atol=1e-4)


def test_resizing_lowers_white_noise_instead_of_folding_it():
    noise = np.random.default_rng(4).normal(size=(512, 512)).astype(np.float32)
    assert resize(noise, (256, 256)).std() < 0.6


def test_the_densenet_frame_keeps_its_aspect_and_is_mirrored_to_a_square(image):
    frame = np.tile(np.linspace(-100, 180, 100), (200, 1))
    prepared = densenet_input(image(frame))
    assert prepared.array.shape == (2, 256, 256)
    assert prepared.geometry.scaled == (256, 128)
    np.testing.assert_array_equal(prepared.array[:, :, 63], prepared.array[:, :, 65])
    # No edge where the frame ends: the steepest step is the ramp's own.
    assert np.abs(np.diff(prepared.array[1], axis=1)).max() < 1.01 * 280 / 350 / 99


@pytest.mark.parametrize("shape", [(1, 1), (15, 512), (512, 8)])
def test_a_frame_too_small_is_refused_in_words(image, shape):
    for prepare in (mal_input, densenet_input):
        with pytest.raises(NotApplicable, match="too_small"):
            prepare(image(np.zeros(shape)))


@pytest.mark.parametrize("kind", ["mal", "densenet"])
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("shape", [(168, 200), (555, 333), (100, 90)])
def test_the_monai_pipeline_and_its_numpy_twin_agree(image, kind, modality, shape):
    rng = np.random.default_rng(5)
    array = {"CT": rng.normal(0, 400, shape), "MR": rng.gamma(2, 80, shape), "PT": rng.gamma(1, 3, shape)}[modality].astype(
        np.float32
    )
    array[3, 4] = np.nan
    frame = image(array, modality, unit=Unit.SUVBW if modality == "PT" else None)
    prepared = (mal_input if kind == "mal" else densenet_input)(frame)
    pipeline = monai_pipeline(modality, kind)
    np.testing.assert_allclose(np.asarray(pipeline(array[None])), prepared.array, atol=2e-6)
