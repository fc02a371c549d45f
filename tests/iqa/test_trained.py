"""What must hold for every bundle on the shelf, whoever trained it; all of it on phantoms that no network was trained on."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from medqa.codes import Unit
from medqa.config import load
from medqa.iqa import bundle
from medqa.iqa.card import BundleCard
from medqa.iqa.network import rebuild
from medqa.iqa.saliency import badness
from medqa.iqa.scorer import DenseNetScorer, MalScorer
from medqa.iqa.transforms import densenet_input, mal_input
from medqa.simulate import degrade, phantom
from medqa.simulate.anatomy_pet import BQ_PER_ML_PER_SUV

SHELF = bundle.shelf(load())
CARDS, UNREADABLE = bundle.cards(SHELF)
PET_PIXEL_MM = 4.0
"""About the phantom's; the thinning needs no more."""
NETWORKS = [card for card in CARDS if card.kind != "physics"]
each = pytest.mark.parametrize("card", NETWORKS, ids=lambda card: card.name)


@cache
def opened(card_name: str) -> MalScorer | DenseNetScorer:
    return bundle.open_bundle(next(card for card in CARDS if card.name == card_name))


@cache
def phantom_frame(modality: str) -> np.ndarray:
    generator = np.random.default_rng(97)
    if modality == "CT":
        return phantom.ct(generator, slices=1, size=256, realisations=1).array[0]
    if modality == "MR":
        return phantom.mr(generator, slices=3).array[1]
    return phantom.pet(generator, slices=20, spacing_mm=44.0).array[10] * np.float32(1 / BQ_PER_ML_PER_SUV)


def noisy(frame: np.ndarray, modality: str, strength: float) -> np.ndarray:
    """Add noise with the grain of the modality (PET: fewer counts, in the projections); strength 1 is clearly too much."""
    generator = np.random.default_rng(5)
    if modality == "PT":
        level = round(4 * strength)
        return degrade(frame, "PT", "counts", level, generator, pixel_mm=PET_PIXEL_MM).array if level else frame
    frequency = np.hypot(np.fft.fftfreq(frame.shape[0])[:, None], np.fft.fftfreq(frame.shape[1])[None])
    grain = {
        "CT": frequency * np.exp(-((frequency / 0.25) ** 2)),
        "MR": np.ones_like(frequency),
    }
    noise = np.fft.ifft2(np.fft.fft2(generator.standard_normal(frame.shape)) * grain[modality]).real
    body = frame > frame.mean()
    deviation = 120.0 if modality == "CT" else 0.35 * float(np.median(frame[body]))
    spoiled = frame + strength * deviation * noise / noise.std()
    return (spoiled if modality == "CT" else np.abs(spoiled)).astype(np.float32)


def score(scorer: MalScorer | DenseNetScorer, image) -> float:
    if isinstance(scorer, MalScorer):
        return float(scorer.frame_scores(mal_input(image).array[None])[0])
    return scorer.judge(scorer.features(densenet_input(image).array[None]))[1]


def test_every_bundle_on_the_shelf_can_be_used():
    if not CARDS and not UNREADABLE:
        pytest.skip("no bundle on the shelf yet")
    loaded = bundle.load(load())
    assert loaded.unusable == ()
    assert {card.name for card in CARDS} == {scorer.name for scorer in loaded.scorers}


def test_the_shelf_is_small_enough_to_ship():
    sizes = {card.name: sum(p.stat().st_size for p in card.folder.rglob("*") if p.is_file()) for card in CARDS}
    assert all(size <= 20e6 for size in sizes.values()), sizes
    assert sum(sizes.values()) <= 80e6


@each
def test_a_bundle_scores_as_its_torch_network_does(card: BundleCard, image):
    frame = image(phantom_frame(card.modality), card.modality, unit=Unit.SUVBW if card.modality == "PT" else None)
    network = rebuild(card)
    with torch.no_grad():
        if card.kind == "mal":
            expected = network(torch.from_numpy(mal_input(frame).array[None]))[0]
        else:
            expected = network(torch.from_numpy(densenet_input(frame).array[None, None]))[1]
    assert score(opened(card.name), frame) == pytest.approx(float(expected), abs=1e-4)


@each
def test_more_noise_never_scores_higher_and_much_noise_clearly_lower(card: BundleCard, image):
    unit = Unit.SUVBW if card.modality == "PT" else None
    frames = [noisy(phantom_frame(card.modality), card.modality, strength) for strength in (0.0, 0.3, 0.6, 1.0)]
    scores = [score(opened(card.name), image(frame, card.modality, unit=unit)) for frame in frames]
    assert all(later <= earlier + 0.1 for earlier, later in pairwise(scores)), scores
    assert scores[-1] < scores[0] - 0.5, scores


@each
@pytest.mark.parametrize("axis", [0, 1], ids=["upper", "left"])
def test_a_spoiled_half_draws_the_map_to_it(card: BundleCard, image, axis):
    unit = Unit.SUVBW if card.modality == "PT" else None
    frame = phantom_frame(card.modality)
    half = np.indices(frame.shape)[axis] < frame.shape[axis] / 2
    spoiled = np.where(half, noisy(frame, card.modality, 1.0), frame)
    network = rebuild(card)
    share = {}
    for name, array in (("clean", frame), ("spoiled", spoiled)):
        found = badness(network, image(array, card.modality, unit=unit), card.explain_layers)
        share[name] = float(found[half].sum() / max(float(found.sum()), 1e-9))
    # where nearly all of a clean map lies in that half already, the share has no room to rise
    assert share["spoiled"] > min(share["clean"], 0.85), share
