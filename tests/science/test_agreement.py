"""Coefficients against scipy and scikit-learn, intervals against what they must do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from medqa import agreement

RNG = np.random.default_rng(0)
X = RNG.normal(size=80)
Y = X + RNG.normal(size=80)
TIED = np.round(2 * X) / 2


def test_correlations_and_error_are_scipys():
    assert agreement.plcc(X, Y, repeats=0).value == pytest.approx(stats.pearsonr(X, Y).statistic)
    assert agreement.srocc(TIED, Y, repeats=0).value == pytest.approx(stats.spearmanr(TIED, Y).statistic)
    assert agreement.krocc(TIED, Y, repeats=0).value == pytest.approx(stats.kendalltau(TIED, Y).statistic)
    assert agreement.rmse([1, 2, 3], [1, 2, 6], repeats=0).value == pytest.approx(np.sqrt(3))


def test_auc_is_scikit_learns_also_with_ties():
    good = X > 0.2
    assert agreement.auc(good, Y, repeats=0).value == pytest.approx(roc_auc_score(good, Y))
    assert agreement.auc(good, np.round(Y), repeats=0).value == pytest.approx(roc_auc_score(good, np.round(Y)))


def test_kappa_is_scikit_learns_with_quadratic_weights():
    first, second = RNG.integers(0, 5, 60), RNG.integers(0, 5, 60)
    expected = cohen_kappa_score(first, second, weights="quadratic")
    assert agreement.kappa(first, second, repeats=0).value == pytest.approx(expected)


def test_the_interval_of_independent_items_is_fishers():
    found = agreement.plcc(X, Y).interval
    z, half = np.arctanh(stats.pearsonr(X, Y).statistic), 1.96 / np.sqrt(len(X) - 3)
    assert found == pytest.approx((np.tanh(z - half), np.tanh(z + half)), abs=0.05)


def test_copies_of_a_subject_do_not_narrow_the_interval():
    groups = [str(i) for i in range(30)]
    once = agreement.srocc(X[:30], Y[:30], groups)
    copied = agreement.srocc(np.tile(X[:30], 10), np.tile(Y[:30], 10), groups * 10)
    careless = agreement.srocc(np.tile(X[:30], 10), np.tile(Y[:30], 10))

    def width(found: agreement.Agreement) -> float:
        assert found.interval is not None
        return found.interval[1] - found.interval[0]

    assert copied.groups == 30
    assert width(copied) == pytest.approx(width(once), rel=0.1)
    assert width(careless) < 0.5 * width(copied)


def test_the_same_data_give_the_same_interval():
    assert agreement.auc(X > 0, Y) == agreement.auc(X > 0, Y)


def test_where_a_coefficient_does_not_exist_it_is_not_a_number_and_has_no_interval():
    one_class = agreement.auc([1, 1, 1], [0.1, 0.2, 0.3])
    assert np.isnan(one_class.value)
    assert one_class.interval is None
    assert agreement.plcc([1, 1, 1], [1, 2, 3], repeats=0).value != agreement.plcc([1, 2, 3], [1, 2, 3], repeats=0).value
    assert agreement.plcc(X, Y, ["one"] * 80).interval is None
    assert "no interval" in str(one_class)


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="equal length"):
        agreement.rmse([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="one group a value"):
        agreement.rmse([1, 2], [1, 2], ["a"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=4, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[bool, int]]):
    good, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = agreement.auc(good, score, repeats=0).value
    if good.all() or not good.any():
        assert np.isnan(found)
        return
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in score[good] for b in score[~good]]
    assert found == pytest.approx(np.mean(pairs))
