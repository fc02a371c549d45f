"""What was declared of the metrics names things that exist, and is judged as it says."""

from __future__ import annotations

import pytest

from medqa.metrics import METRICS
from medqa.metrics.expected import EXPECTED, Effect, effect
from medqa.simulate.catalogue import KINDS
from medqa.training.evidence import Row
from tests.proofs.metrics import outcome


@pytest.mark.parametrize("modality", sorted(EXPECTED))
def test_every_declared_quantity_and_degradation_exists(modality: str) -> None:
    declared = EXPECTED[modality]
    quantities = {name for metric in METRICS[modality] for name in metric.quantities}
    assert set(declared) <= quantities
    assert {kind for effects in declared.values() for kind in effects} <= set(KINDS[modality])


def course(values: list[float], subject: int, kind: str = "dose", quantity: str = "ct_noise") -> list[Row]:
    return [
        Row(
            scan=f"{subject}",
            subject=f"{subject}",
            role="test",
            clean=True,
            kind=kind if level else "",
            level=level,
            severity=0.0,
            values={quantity: value},
        )
        for level, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "share"), [([1, 2, 3, 4, 5], 1.0), ([5, 4, 3, 2, 1], 0.0), ([1, 2, 2, 3, 4], 0.0), ([1, 3, 2, 4, 5], 0.0)]
)
def test_rising_means_strictly_over_all_strengths(values: list[float], share: float) -> None:
    assert effect("ct_noise", "dose") is Effect.RISES
    assert outcome("ct_noise", "dose", course(values, 1)).share == share


def test_the_share_is_of_patients_and_incomplete_courses_are_left_out() -> None:
    rows = [*course([1, 2, 3, 4, 5], 1), *course([1, 2, 3, 4, 3], 2), *course([1, 2, 3, 4, 5], 3)[:-1]]
    found = outcome("ct_noise", "dose", rows)
    assert (found.patients, found.share, found.kept) == (2, 0.5, False)


def test_blind_is_measured_against_the_spread_between_patients() -> None:
    assert effect("ct_air", "dose") is Effect.BLIND
    spread = [-1000.0 + 10 * subject for subject in range(9)]

    def moved(by: float) -> bool | None:
        rows = [
            row for subject, air in enumerate(spread) for row in course([air, air, air, air, air + by], subject, quantity="ct_air")
        ]
        return outcome("ct_air", "dose", rows).kept

    assert moved(1.0) is True
    assert moved(20.0) is False


def test_what_is_not_declared_is_free() -> None:
    assert outcome("ct_noise", "metal", course([1, 2, 3, 4, 5], 1, kind="metal")).kept is None
