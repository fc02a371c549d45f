"""Fitting the physics witness: on rows whose truth is known, and one real pass from pixels to rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medqa.iqa import bundle
from medqa.simulate import ct, phantom, study
from medqa.training import evidence, physics
from medqa.training.evidence import Row, make_rows, read_rows
from medqa.training.scans import Scan


def row(subject: int, *, kind: str = "", level: int = 0, role: str = "train", **values: float) -> Row:
    return Row(
        scan=f"scan{subject}", subject=f"s{subject}", role=role, clean=True, kind=kind, level=level, severity=1.0, values=values
    )


def rows(role: str = "train", subjects: int = 30, first: int = 0) -> list[Row]:
    """Noise doubles under `dose` and tells everything; fat is the same everywhere and tells nothing."""
    generator = np.random.default_rng(first)
    made = []
    for subject in range(first, first + subjects):
        noise = float(np.exp(generator.normal(np.log(10), 0.15)))
        other = float(generator.normal(0.3, 0.02))
        made.append(row(subject, role=role, ct_noise=noise, ct_f50=other))
        made += [
            row(subject, kind="dose", level=level, role=role, ct_noise=noise * 2 ** (level / 2), ct_f50=other) for level in (3, 4)
        ]
    return made


def test_the_weight_lies_on_what_tells_clean_from_spoiled() -> None:
    model = physics.fit("CT", rows())
    weights = {feature.quantity: feature.weight for feature in model.features}
    assert set(weights) == {"ct_noise", "ct_f50"}
    assert weights["ct_noise"] < -0.3
    assert abs(weights["ct_f50"]) < 0.2 * abs(weights["ct_noise"])
    assert model.probability({"ct_noise": 10.0, "ct_f50": 0.3}) > 0.75
    assert model.probability({"ct_noise": 40.0, "ct_f50": 0.3}) < 0.5


def test_who_is_seen_more_often_does_not_count_more() -> None:
    many = rows()
    repeated = many + [one for one in many if one.subject == "s0"] * 40
    once, often = (physics.fit("CT", made).probability({"ct_noise": 14.0, "ct_f50": 0.3}) for made in (many, repeated))
    assert often == pytest.approx(once, abs=0.05)


def test_a_quantity_that_is_hardly_ever_there_is_not_weighed() -> None:
    made = [row(number, ct_noise=10.0 + number, ct_cnr=5.0) if number < 3 else one for number, one in enumerate(rows())]
    assert "ct_cnr" not in {feature.quantity for feature in physics.fit("CT", made).features}


def test_the_area_under_the_curve_is_told_by_kind_on_subjects_never_seen() -> None:
    model = physics.fit("CT", rows())
    test = rows("test", 12, first=100)
    blind = [row(subject, kind="rings", level=4, role="test", ct_noise=10.0, ct_f50=0.3) for subject in range(100, 112)]
    found = physics.by_kind(model, [*test, *blind])
    assert set(found) == {"all", "dose", "rings"}
    assert found["dose"].value > 0.95
    assert found["rings"].value < 0.8
    assert found["dose"].groups == 12


def test_a_fitted_bundle_stands_its_own_self_test(tmp_path: Path) -> None:
    made = [*rows(), *rows("test", 12, first=100)]
    (tmp_path / "mal_ct").mkdir()
    (tmp_path / "mal_ct/LICENSE").write_text("Apache-2.0")
    folder = physics.write_bundle(tmp_path, "CT", physics.fit("CT", rows()), made)
    with (folder / "docs/README.md").open("a", encoding="utf-8") as page:
        page.write("\n## The whole verdict\n\nwritten by another program\n")
    physics.write_bundle(tmp_path, "CT", physics.fit("CT", rows()), made)
    from medqa.iqa.card import read_card

    scorer = bundle.open_physics(read_card(folder))
    assert (scorer.name, scorer.modality) == ("physics_ct", "CT")
    card = (folder / "docs/README.md").read_text(encoding="utf-8")
    assert "`ct_noise`" in card
    assert "12 subjects never seen" in card
    assert card.count("## The whole verdict\n\nwritten by another program\n") == 1


def test_evidence_of_a_scan_is_appended_once_and_levels_share_their_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "KINDS", {"CT": {"dose": ct.KINDS["dose"]}})
    made = phantom.ct(np.random.default_rng(2), slices=2, size=128)
    study.save(tmp_path / "scan", made.array, study.form_of(made, seed=2))
    scan = Scan(
        path=tmp_path / "scan",
        subject="p",
        modality="CT",
        region="",
        collection="",
        licence="",
        split="test",
        weights_ok=True,
        spoiled="no",
        remarks="",
    )
    path = tmp_path / "rows.jsonl"
    for _ in range(2):
        make_rows([scan], path)
    found = read_rows(path)
    assert [(one.kind, one.level) for one in found] == [("", 0), ("dose", 1), ("dose", 2), ("dose", 3), ("dose", 4)]
    noise = [one.values["ct_noise"] for one in found]
    assert noise == sorted(noise)
    # The same chance at every level: what is added grows by the root law, and a little faster by electronic noise, not by luck.
    added = np.array([one.severity for one in found[1:]])
    law = np.sqrt(1 / np.array([0.5, 0.25, 0.125, 0.0625]) - 1)
    assert np.all(added / added[0] >= 0.97 * law)
    assert np.all(added / added[0] <= 1.5 * law)
