from __future__ import annotations

import pytest
import torch
from torch import nn

from medqa.iqa.backbones import MobileNetV3, scaled
from medqa.iqa.densenet import BagDenseNet, BagHead, FrameFeatures
from medqa.iqa.mal import GRID, MalNet, MultiViewAttention, TokenAttention, ViewAttention, bounded, cell_statistics, diversity


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def macs(module: nn.Module, *inputs: torch.Tensor) -> int:
    """Multiply-accumulates of convolutions and linear layers, counted from the shapes that pass by."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features
        else:
            total += output.numel() * layer.weight[0].numel()

    handles = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        module.eval()(*inputs)
    for handle in handles:
        handle.remove()
    return total


class ScrambledAttention(TokenAttention):
    """The published code's defect: the result is transposed, then its memory is read in the old shape."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mixed = super().forward(tokens)
        return mixed.transpose(1, 2).reshape(mixed.shape)


def unevenness(block: nn.Module, x: torch.Tensor, dim: int) -> float:
    order = torch.randperm(x.shape[dim])
    with torch.no_grad():
        return float((block(x.index_select(dim, order)) - block(x).index_select(dim, order)).abs().max())


def test_token_attention_is_permutation_equivariant_and_the_scrambled_form_is_not():
    tokens = torch.randn(2, 24, 40)
    right, wrong = TokenAttention(40, 8).eval(), ScrambledAttention(40, 8).eval()
    assert unevenness(right, tokens, 1) < 1e-5
    assert unevenness(wrong, tokens, 1) > 0.1


def test_view_attention_moves_with_its_cells():
    block = ViewAttention(3, 16).eval()
    nn.init.ones_(block.gain)
    assert unevenness(block, torch.randn(2, 3, 16, 25), 3) < 1e-5


def test_view_attention_keeps_views_apart():
    block = ViewAttention(3, 16).eval()
    nn.init.ones_(block.gain)
    x = torch.randn(1, 3, 16, 25)
    changed = x.clone()
    changed[:, 1] += 1
    with torch.no_grad():
        difference = (block(changed) - block(x)).abs().amax(dim=(0, 2, 3))
    assert difference[0] == difference[2] == 0
    assert difference[1] > 0.5


def test_a_channel_token_gathers_one_channel_of_every_view_and_a_position_token_one_cell():
    block = MultiViewAttention(views=2, channels=16, cells=9, rank=8).eval()
    seen: dict[str, torch.Tensor] = {}
    block.channel.register_forward_pre_hook(lambda _, args: seen.update(channel=args[0]))
    block.position.register_forward_pre_hook(lambda _, args: seen.update(position=args[0]))
    x = torch.arange(2 * 16 * 9, dtype=torch.float32).reshape(1, 2, 16, 9)
    with torch.no_grad():
        block(x)
    torch.testing.assert_close(seen["channel"][0, 5], torch.cat([x[0, 0, 5], x[0, 1, 5]]))
    torch.testing.assert_close(seen["position"][0, 7], torch.cat([x[0, 0, :, 7], x[0, 1, :, 7]]))


def test_the_multi_view_block_brings_attention_back_to_its_own_place():
    # With attention layers that return their input, the block must be the layer-normalised mean over views of 2 x.
    block = MultiViewAttention(views=3, channels=16, cells=9, rank=8).eval()
    block.channel, block.position = nn.Identity(), nn.Identity()
    x = torch.randn(2, 3, 16, 9)
    with torch.no_grad():
        expected = nn.functional.layer_norm(2 * x.transpose(2, 3), (16,)).transpose(2, 3).mean(dim=1)
        torch.testing.assert_close(block(x), expected)


def test_position_tokens_move_with_their_cells_through_the_whole_block_without_channel_attention():
    block = MultiViewAttention(views=3, channels=16, cells=9, rank=8).eval()
    nn.init.ones_(block.views.gain)
    nn.init.zeros_(block.channel.out.weight)
    nn.init.zeros_(block.channel.out.bias)
    order = torch.randperm(9)
    x = torch.randn(2, 3, 16, 9)
    with torch.no_grad():
        torch.testing.assert_close(block(x[..., order]), block(x)[..., order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16), (64, 128), (256, 256)])
def test_cell_means_are_adaptive_pooling_where_the_grid_divides(shape):
    x = torch.randn(2, 3, *shape)
    torch.testing.assert_close(cell_statistics(x)[:, :3], nn.functional.adaptive_avg_pool2d(x, GRID), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [(4, 5), (10, 20), (9, 300)])
def test_cell_means_keep_the_mean_of_any_shape(shape):
    x = torch.randn(1, 2, *shape)
    torch.testing.assert_close(cell_statistics(x)[:, :2].mean(dim=(2, 3)), x.mean(dim=(2, 3)), atol=1e-5, rtol=1e-4)


def test_a_cell_statistic_sees_noise_that_dies_in_a_mean():
    noise = torch.randn(1, 1, 256, 256)
    quiet, loud = cell_statistics(0.1 * noise), cell_statistics(0.2 * noise)
    assert (loud[:, 0] - quiet[:, 0]).abs().max() < 0.03
    # Twice the noise is one log 2, less the floor under the logarithm.
    assert float((loud[:, 1] - quiet[:, 1]).mean()) == pytest.approx(0.646, abs=0.01)


def test_backbone_strides_and_widths():
    net = MobileNetV3(2, 0.5).eval()
    with torch.no_grad():
        stages = net(torch.randn(1, 2, 128, 192))
    assert [tuple(stage.shape[1:]) for stage in stages] == [(8, 64, 96), (16, 32, 48), (24, 16, 24), (56, 8, 12), (80, 4, 6)]
    # torchvision's published full-width features, less the last 1 x 1 convolution (160 to 960) that this pyramid leaves out.
    assert parameters(MobileNetV3(3, 1.0)) == 2_971_952 - 160 * 960 - 2 * 960
    assert [scaled(c, 0.5) for c in (16, 24, 40, 112, 184)] == [8, 16, 24, 56, 96]


@pytest.mark.parametrize("channels", [1, 2])
def test_the_mal_network_keeps_its_size(channels):
    net = MalNet(channels)
    assert parameters(net) == 2_390_891 + 72 * (channels - 1)
    assert parameters(net) <= 2_400_000


def test_the_mal_network_keeps_its_cost():
    cost = macs(MalNet(2), torch.zeros(1, 2, 512, 512))
    assert cost == pytest.approx(0.5e9, rel=0.5)


@pytest.mark.parametrize("shape", [(128, 128), (160, 512), (512, 320), (512, 512)])
def test_mal_scores_any_multiple_of_32_and_batches_do_not_matter(shape):
    net = MalNet(1).eval()
    x = torch.rand(3, 1, *shape)
    with torch.no_grad():
        scores, opinions, maps = net.with_maps(x)
        alone = torch.cat([net(x[i : i + 1])[0] for i in range(3)])
    assert scores.shape == (3,)
    assert opinions.shape == (3, 3)
    assert maps.shape == (3, 3, 64, GRID * GRID)
    torch.testing.assert_close(scores, alone, atol=1e-5, rtol=0)
    assert ((scores >= 0) & (scores <= 4)).all()


def test_every_parameter_of_mal_learns():
    net = MalNet(1)
    for module in net.modules():
        if isinstance(module, ViewAttention):
            nn.init.ones_(module.gain)
    score, opinions, maps = net.with_maps(torch.rand(2, 1, 128, 128))
    (score.sum() + opinions.sum() + diversity(maps)).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # A shift that every token's key shares cannot change a softmax; the projection bias also feeds query and value.
    assert silent == []


def test_the_score_scale_is_straight_in_the_middle_and_never_leaves_0_to_4():
    raw = torch.tensor([-50.0, 0.0, 1.5, 2.0, 2.5, 4.0, 50.0])
    score = bounded(raw)
    assert score[0] == pytest.approx(0, abs=1e-6)
    assert score[-1] == pytest.approx(4, abs=1e-4)
    torch.testing.assert_close(score[2:5], raw[2:5], atol=0.05, rtol=0)
    assert score[1] == pytest.approx(0.3466, abs=1e-3)
    assert score[5] == pytest.approx(4 - 0.3466, abs=1e-3)


def test_diversity_tells_collapsed_opinions_from_unrelated_ones():
    one = torch.randn(2, 1, 64, 256)
    assert float(diversity(one.expand(-1, 3, -1, -1))) == pytest.approx(0, abs=1e-4)
    assert float(diversity(torch.randn(2, 3, 64, 256))) > 0.95
    assert float(diversity(one)) == 1


def test_densenet_121_is_the_published_one_and_runs():
    net = BagDenseNet(1, "121").eval()
    # Torchvision's published 7,978,856 holds a classifier of 1,025,000, and three input channels more than ours (2 * 64 * 49).
    assert parameters(net.frames) == 7_978_856 - 1_025_000 - 2 * 64 * 49
    with torch.no_grad():
        logit, score, attention = net(torch.rand(1, 2, 1, 256, 256))
    assert logit.shape == score.shape == (1,)
    assert attention.shape == (1, 2)


def test_the_slim_densenet_keeps_its_size_and_cost():
    net = BagDenseNet(2)
    assert parameters(net) == pytest.approx(1_836_323, abs=0)
    assert macs(net.frames, torch.zeros(1, 2, 256, 256)) == pytest.approx(0.98e9, rel=0.2)
    assert not any(isinstance(m, nn.ReLU) and m.inplace for m in net.modules())


def test_a_bag_does_not_depend_on_order_padding_or_company():
    head = BagHead(32).eval()
    features = torch.randn(1, 5, 32)
    padded = torch.cat([features, torch.full((1, 3, 32), 9.0)], dim=1)
    mask = torch.tensor([[1.0] * 5 + [0.0] * 3])
    with torch.no_grad():
        plain = head(features, torch.ones(1, 5))
        shuffled = head(features[:, [3, 1, 4, 0, 2]], torch.ones(1, 5))
        filled = head(padded, mask)
        company = head(torch.cat([padded, torch.randn_like(padded)]), torch.cat([mask, torch.ones_like(mask)]))
    for other in (shuffled, filled, company):
        torch.testing.assert_close(other[0][:1], plain[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other[1][:1], plain[1], atol=1e-5, rtol=1e-5)
    assert float(filled[2][0, 5:].abs().max()) == 0
    torch.testing.assert_close(filled[2].sum(dim=1), torch.ones(1))


def test_frame_features_do_not_depend_on_the_batch():
    net = FrameFeatures(1).eval()
    frames = torch.rand(3, 1, 256, 256)
    with torch.no_grad():
        torch.testing.assert_close(net(frames)[1:2], net(frames[1:2]), atol=1e-5, rtol=1e-4)
