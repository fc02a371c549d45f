"""The tables of bias: every quantity has a truth in them, and their arithmetic is that of mean and deviation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medqa.metrics import PAIRS
from medqa.metrics.metric import Metric
from tests.proofs import bias, drawn_artefacts, drawn_mr, drawn_pet, drawn_texture
from tests.proofs.drawn import Condition, Drawn
from tests.science.factories import make_series


@pytest.fixture(scope="module", params=list(bias.PARTS))
def once(request) -> tuple[str, list[bias.Row]]:
    """Return a modality and the rows of one draw of the first and of the last condition that the same metrics look at."""
    drawn = list(enumerate(bias.conditions(request.param)))
    first = {condition.metrics: number for number, condition in reversed(drawn)}
    last = {condition.metrics: number for number, condition in drawn}
    chosen = {*first.values(), *last.values()}
    return request.param, [row for number, condition in drawn if number in chosen for row in bias.rows(condition, 1, number)]


def test_every_quantity_is_drawn_with_a_truth_and_found(once) -> None:
    modality, rows = once
    quantities = set(bias.quantities(modality))
    assert len(quantities) > 10
    assert {row.quantity for row in rows} >= quantities
    assert {row.quantity.split()[0] for row in rows} == quantities
    assert {row.quantity for row in rows if row.errors} >= quantities


def test_every_metric_is_nearer_to_its_truth_than_to_nothing(once) -> None:
    known = [row for row in once[1] if row.percent is not None]
    assert len(known) >= 20
    assert {row.quantity for row in known if abs(row.percent) > 50} == set()


@pytest.mark.parametrize("modality", bias.PARTS)
def test_the_page_tells_of_every_quantity(modality: str) -> None:
    page = bias.PARTS[modality].page.read_text(encoding="utf-8")
    assert {name for name in bias.quantities(modality) if f"| {name} |" not in page} == set()


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
    assert drawn_texture.blur_effect([step + step.T], np.ones(step.shape, dtype=bool)) == pytest.approx(1 / 9)


def test_the_sums_of_rice_s_distribution_are_those_of_its_moments() -> None:
    signal, noise = 40.0, 10.0
    mean, squares, weighted = drawn_mr.sums(signal, noise)
    real, imaginary = np.random.default_rng(1).normal(0, noise, (2, 1_000_000))
    drawn = np.hypot(signal + real, imaginary)
    assert squares == pytest.approx(signal**2 + 2 * noise**2, rel=1e-6)
    assert mean == pytest.approx(drawn.mean(), rel=1e-3)
    assert weighted == pytest.approx((drawn * np.log(drawn)).mean(), rel=1e-3)
    assert drawn_mr.sums(0.0, noise)[0] == pytest.approx(noise * math.sqrt(math.pi / 2), rel=1e-4)


def test_a_ct_beside_a_pet_reaches_the_pairs() -> None:
    condition = next(one for one in bias.conditions("PT") if one.metrics == (PAIRS[0],))
    one = condition.draw(np.random.default_rng(1))
    assert one.ct is not None
    assert bias.measure(one, condition.metrics).keys() == one.truths.keys()


def test_grain_of_pet_has_its_deviation_and_autocorrelation() -> None:
    made = drawn_pet.grain(np.random.default_rng(1), (20, 96, 64), 6.0, 4.0)
    deviation = 6.0 / 2.3548 / 4.0
    assert made.std() == pytest.approx(1, rel=0.02)
    for axis in (1, 2):
        beside = float((made * np.roll(made, 1, axis)).mean() / (made**2).mean())
        assert beside == pytest.approx(math.exp(-1 / (4 * deviation**2)), rel=0.03)
