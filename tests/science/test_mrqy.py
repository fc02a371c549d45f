"""The known faults of MRQy's measures: each counter-example shows what the page says, and the page is the one that is printed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.proofs import mrqy


def columns(fault: mrqy.Fault) -> tuple[list[float], list[float]]:
    return [theirs for _, theirs, _ in fault.rows], [right for _, _, right in fault.rows]


def test_efc_is_unbounded_and_a_gain_hides_a_ghost() -> None:
    theirs, right = columns(mrqy.efc())
    assert min(theirs) > 1
    assert 0 < max(right) < 1
    sharp, ghosted, amplified = theirs
    assert amplified < sharp < ghosted
    assert right[2] == pytest.approx(right[1])
    assert right[1] > right[0] + 0.02


def test_efc_with_the_wrong_constant_hardly_sees_where_the_energy_lies() -> None:
    values = np.abs(np.random.default_rng(3).normal(300, 200, (64, 64)))
    norm = np.sqrt((values**2).sum())
    # The logarithm is a constant: only the sum of the pixels is left.
    constant = values.sum() / norm * np.log(1e16 / norm) / (64 * np.log(64))
    assert mrqy.entropy_focus(values) == pytest.approx(constant, rel=1e-9)


def test_psnr_does_not_see_ten_times_the_noise() -> None:
    theirs, right = columns(mrqy.psnr())
    assert abs(theirs[0] - theirs[1]) < 2
    assert right[0] - right[1] == pytest.approx(20, abs=2)


def test_psnr_of_an_image_whose_maximum_is_one_is_right() -> None:
    image = mrqy.drawn(600.0, 10.0)
    image /= image.max()
    assert mrqy.peak_ratio(image) == pytest.approx(mrqy.peak_ratio(image, scale=1.0))


def test_snr1_does_not_see_twice_the_signal_but_a_profile() -> None:
    theirs, right = columns(mrqy.snr1())
    assert theirs[1] == pytest.approx(theirs[0], rel=0.02)
    assert theirs[2] > 4 * theirs[0]
    assert right[1] == pytest.approx(2 * right[0], rel=0.02)
    assert right[2] == pytest.approx(right[0], rel=0.02)
    # The deviation of a channel over that of Rayleigh noise, whatever the signal.
    assert theirs[0] == pytest.approx(1 / 0.6551, rel=0.03)


def test_the_patch_leaves_out_the_pixel_it_is_cut_at() -> None:
    image = np.zeros((32, 32))
    image[12, 17] = 1
    assert mrqy.patch(image, 5).sum() == 0
    assert mrqy.patch(image, 2)[2, 2] == 1
    theirs, right = columns(mrqy.patches())
    # Four of 25 pixels are of the square.
    assert theirs == pytest.approx([(4 * 990 + 21 * 100) / 25, 100])
    assert right == pytest.approx([(24 * 990 + 1000) / 25, 1000])


def test_cjv_rises_with_the_contrast_it_should_fall_with() -> None:
    theirs, right = columns(mrqy.cjv())
    assert theirs[1] > 1.5 * theirs[0]
    assert right[1] == pytest.approx(right[0] / 2, rel=0.02)
    assert right[0] == pytest.approx(2 * 10 / 100, rel=0.03)


def test_the_page_is_the_one_that_is_printed() -> None:
    assert mrqy.PAGE.read_text(encoding="utf-8") == mrqy.page(mrqy.faults())
