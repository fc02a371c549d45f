from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medqa.errors import UndecodablePixels
from medqa.iqa.bundle import open_bundle
from medqa.iqa.card import read_card
from medqa.iqa.densenet import BagDenseNet
from medqa.iqa.mal import MalNet
from medqa.iqa.saliency import FLAT_BELOW, badness, concentration, tile_starts


class Roughness(nn.Module):
    """The second difference, `(B, C, H, W)` to its absolute value in one channel: noise by definition, and nothing learnt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).expand(1, channels, 3, 3) / channels
        self.register_buffer("kernel", kernel.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return nn.functional.conv2d(padded, self.kernel).abs()


class RoughMal(MalNet):
    """A MAL network whose score falls with roughness, known exactly."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.rough = Roughness(channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        score = 4 - 20 * self.rough(x).mean(dim=(1, 2, 3))
        return score, score[:, None].expand(-1, 3)


class RoughBag(BagDenseNet):
    """A DenseNet whose score falls with roughness."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.rough = Roughness(channels)

    def forward(self, bags: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        score = 4 - 20 * self.rough(bags.flatten(0, 1)).mean(dim=(1, 2, 3)).reshape(bags.shape[:2]).mean(dim=1)
        return score, score, torch.ones(bags.shape[:2])


def patched(shape: tuple[int, int], where: tuple[float, float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth frame with a disc of noise at a relative place, and the disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.hypot(y - where[0] * shape[0], x - where[1] * shape[1]) < 0.12 * min(shape)
    smooth = 40 * np.cos(y / shape[0]) + 30 * np.sin(x / shape[1])
    return (smooth + np.where(mask, rng.normal(0, 150, shape), 0)).astype(np.float32), mask


@pytest.mark.parametrize("network", [RoughMal, RoughBag])
@pytest.mark.parametrize("shape", [(128, 128), (100, 141), (512, 400), (600, 900)])
def test_a_map_lies_on_the_frames_own_grid_over_what_lowers_the_score(image, network, shape):
    place = (0.3, 0.7) if shape[0] > shape[1] else (0.6, 0.25)
    frame, mask = patched(shape, place)
    found = badness(network(2).eval(), image(frame), ("rough",))
    assert found.shape == shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found[mask].sum() / found.sum() > 0.8
    y, x = np.unravel_index(found.argmax(), shape)
    assert np.hypot(y - place[0] * shape[0], x - place[1] * shape[1]) < 0.16 * min(shape)


def test_one_spot_is_localisable_and_noise_everywhere_is_not(image):
    network = RoughMal(2).eval()
    local, _ = patched((256, 256), (0.4, 0.4))
    everywhere = np.random.default_rng(0).normal(0, 60, (256, 256)).astype(np.float32)
    assert concentration(badness(network, image(local), ("rough",))) > FLAT_BELOW
    assert concentration(badness(network, image(everywhere), ("rough",))) < FLAT_BELOW


@pytest.mark.parametrize(("side", "tile"), [(128, 128), (160, 128), (256, 128), (512, 192), (288, 192)])
def test_tiles_cover_a_side_and_overlap(side, tile):
    starts = tile_starts(side, tile)
    assert (starts[0], starts[-1] + tile) == (0, side)
    assert all(0 < step <= 0.6 * tile + 1 for step in np.diff(starts))


def test_concentration_is_known_for_known_maps():
    assert concentration(np.ones((100, 100), dtype=np.float32)) == pytest.approx(0.1)
    spot = np.zeros((100, 100), dtype=np.float32)
    spot[:10, :10] = 1
    assert concentration(spot) == 1
    assert concentration(np.zeros((10, 10), dtype=np.float32)) == 0


@pytest.mark.parametrize(("name", "modality", "shape"), [("mal_ct", "CT", (200, 150)), ("densenet_mr", "MR", (90, 120))])
def test_a_scorer_explains_the_frames_it_is_asked_for_and_steps_over_unreadable_ones(untrained, series, name, modality, shape):
    rng = np.random.default_rng(1)
    broken = UndecodablePixels(source="a frame", reason="truncated")
    whole = series([rng.gamma(2, 50, shape), broken, rng.gamma(2, 80, shape), np.zeros((5, 5))], modality)
    scorer = open_bundle(read_card(untrained / name))
    maps = scorer.explain(whole, [2, 1, 3, 0])
    assert [m.frame for m in maps] == [2, 0]
    for found in maps:
        assert found.sop_instance_uid == whole.frames[found.frame].sop_instance_uid
        assert found.array.shape == shape
        assert found.limits == (0.0, 1.0)
        assert found.array.min() >= 0
        assert found.array.max() <= 1
        assert found.model == name
    again = scorer.explain(whole, [2])
    np.testing.assert_array_equal(again[0].array, maps[0].array)
