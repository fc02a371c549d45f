"""The table of bias: every CT quantity has a truth in it, and its arithmetic is that of mean and deviation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from medqa.metrics import METRICS
from medqa.metrics.metric import Metric
from tests.proofs import bias, drawn_artefacts, drawn_texture
from tests.proofs.drawn import Condition, Drawn
from tests.science.factories import make_series

QUANTITIES = {bias.NAMES.get(name, name) for metric in METRICS["CT"] for name in metric.quantities}


@pytest.fixture(scope="module")
def once() -> list[bias.Row]:
    """Return the rows of one draw of every condition."""
    return [row for number, condition in enumerate(bias.conditions()) for row in bias.rows(condition, 1, number)]


def test_every_ct_quantity_is_drawn_with_a_truth_and_found(once) -> None:
    assert {row.quantity for row in once} >= QUANTITIES
    assert {row.quantity.split()[0] for row in once} == QUANTITIES
    assert {row.quantity for row in once if row.errors} >= QUANTITIES


def test_every_metric_is_nearer_to_its_truth_than_to_nothing(once) -> None:
    known = [row for row in once if row.percent is not None]
    assert len(known) > 100
    assert {row.quantity for row in known if abs(row.percent) > 50} == set()


def test_the_page_tells_of_every_quantity() -> None:
    page = Path(bias.PAGE).read_text(encoding="utf-8")
    assert {name for name in QUANTITIES if f"| {name} |" not in page} == set()


def offset_by(errors: list[float | None]) -> Condition:
    """Return a condition whose metric is off by each of these in turn, None without a value."""
    told = iter(errors)

    def combine(series, partials):
        error = next(told)
        if error is None:
            raise bias.NotApplicable(what="made", reason="no_body")
        return bias_measurement(10 + error)

    metric = Metric(name="ct_noise", per_frame=lambda regions: {"extent": 4.0}, combine=combine)

    def draw(rng: np.random.Generator) -> Drawn:
        return Drawn(series=make_series([np.zeros((8, 8))]), truths={"ct_noise": 10.0, "ct_noise extent": 4.5})

    return Condition(name="made", metrics=(metric,), draw=draw)


def bias_measurement(value: float):
    from medqa.codes import Unit, own
    from medqa.measurement import Measurement

    return Measurement(quantity=own("ct_noise", "Noise"), value=value, unit=Unit.HU, source="made")


def test_bias_is_the_mean_error_and_spread_its_deviation() -> None:
    level, extent = bias.rows(offset_by([1.0, 3.0, None, 2.0]), 4)
    assert level.errors == (1.0, 3.0, 2.0)
    assert (level.bias, level.percent, level.draws) == (2.0, 20.0, 4)
    assert str(level) == f"| ct_noise | made | 10 | +2 | {math.sqrt(2 / 3):.2g} | +20.0 | 3/4 |"
    assert extent.bias == -0.5
    page = bias.page([level, extent], 4)
    assert "- ct_noise: +20 % (made)" in page
    assert "- ct_noise: 3 of 4 (made)" in page


def test_widths_of_a_doubled_edge_grow_from_that_of_a_gaussian_to_the_displacement() -> None:
    distance = np.linspace(-15, 15, 6001)
    plain, far = (drawn_artefacts.width_mm(distance, shift) for shift in (0.0, 8.0))
    assert plain == pytest.approx(1.349 * drawn_artefacts.EDGE_MM, rel=1e-3)
    assert far == pytest.approx(8.0, abs=1e-6)
    assert drawn_artefacts.widening_mm(0.0) == pytest.approx(0, abs=1e-9)


def test_the_reference_of_the_blur_effect_is_that_of_a_step() -> None:
    step = np.where(np.arange(60) < 30, 0.0, 100.0)[None].repeat(60, axis=0)
    assert drawn_texture.blur_effect([step + step.T]) == pytest.approx(1 / 9)
