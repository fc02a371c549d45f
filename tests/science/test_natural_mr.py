"""The page of natural faults: which metric a remark asks, what a rank is, and what order is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from medqa.metrics import METRICS
from medqa.training.scans import Scan
from tests.proofs import natural_mr
from tests.proofs.natural_mr import Measured


def measured(key: str, spoiled: str = "no", remarks: str = "", **values: float) -> Measured:
    scan = Scan(
        path=Path(key),
        subject=key,
        modality="MR",
        region="brain",
        collection="made",
        licence="",
        split="train",
        weights_ok=True,
        spoiled=spoiled,
        remarks=remarks,
    )
    return Measured(scan=scan, values=values, reasons={"mr_snr": "no_air"})


@pytest.mark.parametrize(
    ("remark", "metrics"),
    [
        ("noisy (low SNR)", ["mr_snr", "mr_snr_tissue", "mr_noise"]),
        (
            "Horizontal motion/ZIPPER ghost line",
            ["mr_ghosting", "mr_qi1", "mr_zipper", "mr_spikes", "mr_efc", "mr_gradient_entropy"],
        ),
        ("strong distortion and signal drop-out", []),
    ],
)
def test_a_remark_asks_the_metrics_of_its_words(remark: str, metrics: list[str]) -> None:
    assert natural_mr.should_see(remark) == metrics


def test_every_metric_that_is_asked_exists() -> None:
    assert {quantity for metric in METRICS["MR"] for quantity in metric.quantities} >= natural_mr.NEEDED


def test_the_worst_has_rank_one_whatever_the_direction_and_equals_share() -> None:
    found = [measured(str(n), mr_efc=float(n), mr_sharpness=float(n)) for n in range(10)]
    assert natural_mr.rank(found[9], "mr_efc", found) == (1, 10)
    assert natural_mr.rank(found[9], "mr_sharpness", found) == (10, 10)
    assert natural_mr.rank(found[0], "mr_sharpness", found) == (1, 10)
    assert natural_mr.rank(found[0], "mr_snr", found) is None
    equal = [measured(str(n), mr_spikes=0.0) for n in range(11)]
    assert natural_mr.rank(equal[0], "mr_spikes", equal) == (6, 11)
    assert natural_mr.is_worst((2, 10))
    assert not natural_mr.is_worst((3, 10))


def test_the_page_tells_what_was_seen_and_what_was_not() -> None:
    clean = [measured(f"clean{n}", mr_efc=0.5 + n / 100, mr_spikes=0.0) for n in range(8)]
    seen = measured("seen", "severe", "FLAIR zipper; 3 of 9 slices", mr_efc=0.9, mr_spikes=0.0)
    missed = measured("missed", "mild", "noisy", mr_efc=0.4)
    free = measured("free", "mild", "distortion; noisy neighbour")
    page = natural_mr.document([*clean, seen, missed, free])
    assert "naturally spoiled: 3\n- of these with a remark that no metric is made for: 1" in page
    assert "in the worst fifth): 1 of 2" in page
    assert "| seen | train | severe | FLAIR zipper | `mr_efc` | 0.9 | 1 of 10 | yes |" in page
    assert "not computable: `no_air`" in page
    assert "Not seen: missed." in page
    assert "| zipper, interference | `mr_zipper`, `mr_spikes`, `mr_efc` | 1 | 1 | 1 |" in page
    assert "| noisy, noise, low snr, low-snr | `mr_snr`, `mr_snr_tissue`, `mr_noise` | 1 | 0 | 0 |" in page


def test_an_order_is_right_where_the_better_one_is_better() -> None:
    high, low = measured("3T", mr_sharpness=0.5, mr_efc=0.4), measured("low", mr_sharpness=0.3, mr_efc=0.6)
    assert natural_mr.ordered(high, low, "mr_sharpness") == natural_mr.ordered(high, low, "mr_efc") == "right"
    assert natural_mr.ordered(low, high, "mr_sharpness") == "wrong"
    assert natural_mr.ordered(low, high, "mr_snr") == "–"
    assert natural_mr.ordered(low, low, "mr_efc") == "equal"
    rows = natural_mr.zipper({key: measured(key, mr_efc=0.9 - n / 10) for n, key in enumerate(natural_mr.ZIPPER)})
    assert any("`mr_efc`" in row and row.count("right") == 5 for row in rows)
    pairs = natural_mr.fields({"mr_hkup1_t2w3t.nii.gz": high, "mr_hkup1_fse.nii.gz": low})
    assert pairs[-1] == "Pairs: right 1, wrong 0, equal 0, not computable 4."
