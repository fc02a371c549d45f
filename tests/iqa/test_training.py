"""Training: who may train, what a cache holds, what the losses are, and that a stopped run ends as one that was not."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from medqa.agreement import Agreement
from medqa.codes import Unit
from medqa.simulate import LEFT_OUT, STRENGTHS
from medqa.training import cache, card, dataset, evaluation, losses, scans, steps
from medqa.training.scans import Scan
from medqa.training.train import PEAK_RATE, Run, Schedule


def a_scan(name: str = "a.zip", *, modality: str = "MR", split: str = "train", **changes: object) -> Scan:
    values: dict[str, object] = {
        "path": Path(name),
        "subject": name,
        "modality": modality,
        "region": "head",
        "collection": "somewhere",
        "licence": "CC0",
        "split": split,
        "weights_ok": True,
        "spoiled": "no",
        "remarks": "",
        "always_trains": split == "train",
    }
    return Scan(**{**values, **changes})  # type: ignore[arg-type]


def frames(modality: str = "MR", count: int = 2, size: int = 40) -> list[cache.CleanFrame]:
    y, x = np.meshgrid(*(np.arange(size) - size / 2,) * 2, indexing="ij")
    disc = (np.hypot(y, x) < 0.35 * size).astype(np.float32)
    unit, low, high = {"CT": (Unit.HU, -1000, 40), "MR": (Unit.ARBITRARY, 0, 300), "PT": (Unit.SUVBW, 0, 3)}[modality]
    texture = 1 + 0.1 * np.cos(x / 3)
    return [
        cache.CleanFrame(array=(low + (high - low) * disc * texture).astype(np.float32), unit=unit, pixel_mm=2.0)
        for _ in range(count)
    ]


@pytest.fixture
def cached(tmp_path: Path) -> tuple[Path, list[Scan]]:
    """A cache of three small scans."""
    wanted = [a_scan(f"{name}.zip") for name in "abc"]
    cache.make(wanted, tmp_path, reader=lambda _: frames())
    return tmp_path, wanted


def test_only_permitted_training_subjects_train_and_no_subject_does_two_things(data: Path):
    for modality in ("CT", "MR", "PT"):
        found = scans.scans(data, modality)
        roles: dict[str, set[str]] = {}
        for scan in found:
            roles.setdefault(scan.role, set()).add(scan.subject)
            if scan.role in ("train", "validation"):
                assert scan.split == "train"
                assert scan.weights_ok
        assert roles["train"]
        assert roles["validation"]
        assert roles["test"]
        assert not roles["train"] & roles["validation"]
        assert not (roles["train"] | roles["validation"]) & roles["test"]


def test_a_manifest_row_becomes_a_scan(tmp_path: Path):
    (tmp_path / "pt").mkdir()
    row = {
        "file": "x.zip", "subject_id": "s1", "modality": "PT", "region": "trunk", "source_repo": "r", "licence": "CC-BY-4.0",
        "split": "train", "weights_ok": "no", "spoiled": "mild", "remarks": "noisy", "sequence": "",
    }  # fmt: skip
    with (tmp_path / "pt/manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerow(row)
        writer.writerow({**row, "file": "y.zip", "weights_ok": "yes", "subject_id": "s1", "modality": "CT"})
    (scan,) = scans.scans(tmp_path, "PT")
    assert (scan.role, scan.base_label, scan.clean, scan.told) == ("unused", 3.0, False, True)
    (other,) = scans.scans(tmp_path, "CT")
    assert other.role in ("train", "validation")


def test_a_cache_can_be_made_of_some_roles_only():
    found = [
        a_scan("learnt"),
        a_scan("learnt_from_spoiled", spoiled="mild"),
        a_scan("asked", split="test"),
        a_scan("kept", weights_ok=False),
        a_scan("kept_and_spoiled", weights_ok=False, spoiled="severe"),
    ]

    def names(*roles: str) -> list[str]:
        return [scan.key for scan in steps.wanted_scans(found, roles or None)]

    assert names("test") == ["asked"]
    assert names("told") == ["learnt_from_spoiled", "kept_and_spoiled"]
    assert names("train", "told") == ["learnt", "learnt_from_spoiled", "kept_and_spoiled"]
    assert names() == ["learnt", "learnt_from_spoiled", "asked", "kept_and_spoiled"]


def test_sources_are_the_cached_subjects_that_were_learnt_from(cached: tuple[Path, list[Scan]]):
    folder, wanted = cached
    others = [a_scan("never_read.zip"), a_scan("a.zip", split="test")]
    assert scans.sources([*wanted, *others], folder) == {"subjects": 3, "collections": [["somewhere", "CC0", 3]]}


def test_the_cache_holds_every_kind_but_the_left_out_one_and_is_the_same_twice(tmp_path: Path):
    scan = a_scan()
    rows, arrays = cache.degrade_scan(scan, frames())
    kinds = {row["kind"] for row in rows}
    assert kinds == {"", *STRENGTHS["MR"]} - {LEFT_OUT["MR"]}
    assert len(rows) == 2 * (1 + 4 * (len(STRENGTHS["MR"]) - 1)) == len(arrays)
    again = cache.degrade_scan(scan, frames())[1]
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
    other = cache.degrade_scan(a_scan("other.zip"), frames())[1]
    assert not np.array_equal(arrays["f0_noise3"], other["f0_noise3"])


def test_a_mildly_spoiled_scan_starts_lower_and_a_severe_one_is_left_as_it_is():
    rows, _ = cache.degrade_scan(a_scan(spoiled="mild"), frames(count=1))
    labels = {row["level"]: row["label"] for row in rows if row["kind"] in ("", "blur")}
    assert labels == {0: 3.0, 1: 2.25, 2: 1.5, 3: 0.75, 4: 0.0}
    rows, _ = cache.degrade_scan(a_scan(spoiled="severe"), frames(count=1))
    assert [row["label"] for row in rows] == [1.0]


def test_test_scans_are_degraded_by_the_left_out_family_too_and_only_clearly():
    rows, _ = cache.degrade_scan(a_scan(split="test"), frames(count=1))
    assert {row["kind"] for row in rows} == {"", *STRENGTHS["MR"]}
    assert {row["level"] for row in rows} == {0, 3, 4}


def test_a_scan_that_cannot_be_read_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    cache.make([a_scan(str(tmp_path / "broken.nii.gz"), always_trains=False)], tmp_path / "cache")
    assert "left out" in caplog.text
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("network", ["mal", "densenet"])
def test_batches_have_the_shapes_that_the_networks_take(cached: tuple[Path, list[Scan]], network: str):
    samples = dataset.load(*cached, network)
    generator = np.random.default_rng(0)
    if network == "mal":
        inputs, labels = dataset.Crops(samples).batch(generator, 1)
        assert inputs.shape[0] == labels.shape[0]
        assert inputs.shape[1] == 1
        assert inputs.shape[2] == inputs.shape[3]
        assert inputs.shape[2] % 32 == 0
        return
    for step, side in enumerate(dataset.BAG_SIDES[:2]):
        bags, masks, labels = dataset.Bags(samples).batch(generator, step)
        assert bags.shape == (dataset.BAGS, dataset.BAG_LENGTH, 1, side, side)
        assert masks.min() == 1
        assert np.all((labels >= 0) & (labels <= 4))


def test_a_bag_is_as_good_as_its_worst_third():
    assert dataset.bag_label([4, 4, 4, 4, 1, 0]) == pytest.approx(0.5)
    assert dataset.bag_label([4, 4, 4]) == 4
    assert dataset.bag_label([2]) == 2


def test_the_rank_loss_is_the_logistic_loss_of_ordered_pairs():
    labels = torch.tensor([4.0, 0.0])
    assert float(losses.rank_loss(torch.tensor([1.0, 1.0]), labels)) == pytest.approx(np.log(2))
    assert float(losses.rank_loss(torch.tensor([3.0, 1.0]), labels)) == pytest.approx(np.log1p(np.exp(-4)))
    assert float(losses.rank_loss(torch.tensor([1.0, 3.0]), labels)) == pytest.approx(np.log1p(np.exp(4)))
    assert float(losses.rank_loss(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.2]))) == 0


def test_adequate_is_certain_from_three_and_below_two():
    target = losses.adequate_target(torch.tensor([0.0, 1.9, 2.5, 3.0, 4.0]))
    assert target.tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_collapsed_opinions_cost():
    scores, labels, opinions = torch.zeros(4), torch.zeros(4), torch.zeros(4, 3)
    free = losses.mal_loss(scores, opinions, torch.tensor(0.8), labels)
    collapsed = losses.mal_loss(scores, opinions, torch.tensor(0.0), labels)
    assert float(collapsed - free) == pytest.approx(losses.DIVERSITY_WEIGHT * losses.DIVERSITY_FLOOR)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    cached: tuple[Path, list[Scan]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(dataset.WHOLE_SIDES, "MR", 128)
    monkeypatch.setitem(dataset.CROPS, "MR", (128,))
    monkeypatch.setattr(dataset, "PIXELS_PER_BATCH", 1)
    samples = dataset.load(*cached, "mal")
    two = Schedule(epochs=2, steps=1)
    straight = Run("mal", "MR", tmp_path / "straight", two)
    straight.train(samples, samples[:3])
    first = Run("mal", "MR", tmp_path / "stopped", two)
    first.schedule = Schedule(epochs=1, steps=1)
    first._set_rate = lambda step: Run._set_rate(straight, step) or _copy_rate(straight, first)  # type: ignore[method-assign]
    first.train(samples, samples[:3])
    second = Run("mal", "MR", tmp_path / "stopped", two)
    assert second.resume()
    assert second.epoch == 1
    second.train(samples, samples[:3])
    for name, tensor in straight.average.state_dict().items():
        assert torch.allclose(tensor.float(), second.average.state_dict()[name].float(), atol=1e-5), name


def _copy_rate(source: Run, target: Run) -> None:
    for mine, theirs in zip(target.optimiser.param_groups, source.optimiser.param_groups, strict=True):
        mine["lr"] = theirs["lr"]


def test_the_rate_rises_then_falls_to_a_hundredth(tmp_path: Path):
    run = Run("mal", "PT", tmp_path, Schedule(epochs=4, steps=50))

    def rate(step: int) -> float:
        run._set_rate(step)
        return float(run.optimiser.param_groups[0]["lr"])

    assert rate(0) < 0.05 * PEAK_RATE["mal"]
    assert rate(199) < 0.02 * PEAK_RATE["mal"]
    assert max(rate(step) for step in range(200)) > 0.7 * PEAK_RATE["mal"]


def test_the_auc_compares_clean_with_clearly_spoiled_only():
    found = evaluation.clean_against_spoiled(
        [
            evaluation.Item(
                subject=subject, scan=subject, kind="blur" if level else "", level=level, label=4.0 - level, clean=level == 0,
                score=score, logit=score,
            )
            for subject, level, score in (("a", 0, 3.5), ("a", 1, 0.1), ("a", 4, 1.0), ("b", 0, 3.0), ("b", 2, 0.0), ("b", 3, 3.2))
        ],
        repeats=0,
    )  # fmt: skip
    assert found.auc.value == pytest.approx(0.75)
    assert (found.auc.items, found.auc.groups) == (4, 2)


def test_a_card_does_not_claim_what_few_subjects_cannot_show():
    def findings(groups: int, low: float) -> evaluation.Findings:
        area = Agreement(name="AUC", value=0.9, interval=(low, 0.99), items=100, groups=groups)
        return evaluation.Findings(rmse=1, srocc=0.5, auc=area)

    assert card.shown(findings(30, 0.8))
    assert not card.shown(findings(13, 0.8))
    assert not card.shown(findings(30, 0.45))
    assert "Not shown to generalise" in card._verdict("PT", findings(13, 0.8), findings(13, 0.8))


@pytest.mark.parametrize("kind", ["mal", "densenet"])
def test_a_network_may_begin_with_the_weights_of_another_modality(tmp_path: Path, kind: str):
    source = Run(kind, "MR", tmp_path, Schedule())
    target = Run(kind, "CT", tmp_path, Schedule())
    target.start_from(source.average)
    grey = torch.rand(1, 1, 256, 256)
    both = torch.cat([grey, grey], dim=1)
    with torch.no_grad():
        if kind == "mal":
            assert torch.allclose(source.average(grey)[0], target.average(both)[0], atol=1e-4)
        else:
            assert torch.allclose(source.average(grey[None])[1], target.average(both[None])[1], atol=1e-4)


def test_a_shipped_network_learns_on_more_gently_and_for_a_shorter_time(tmp_path: Path):
    again, first = steps.schedule("mal", "CT", again=True), steps.schedule("mal", "CT")
    assert again.epochs < first.epochs
    assert again.rate < first.rate == 1.0
    run = Run("mal", "CT", tmp_path, again)
    run._set_rate(200)
    gentle = run.optimiser.param_groups[0]["lr"]
    run.schedule = dataclasses.replace(again, rate=1.0)
    run._set_rate(200)
    assert gentle == pytest.approx(again.rate * run.optimiser.param_groups[0]["lr"])
