"""MR degradations do what physics says: each against a truth that is known without them."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.acquisition import Acquisition, MRAcquisition
from medqa.simulate import Plan, mr
from medqa.simulate.mr import bias, coil_noise, drift, dropout, motion, noise_level, spike, undersampling, wrap
from medqa.simulate.mr.k_space import (
    CENTRIC,
    INTERLEAVED,
    LINEAR,
    REVERSE_CENTRIC,
    REVERSE_LINEAR,
    foreground,
    moments,
    to_k_space,
)
from medqa.simulate.series import known_encoding
from medqa.volume import Array
from tests.science.factories import make_series

SIZE = 128
Y, X = np.meshgrid(*(np.arange(SIZE) - SIZE // 2,) * 2, indexing="ij")
NEW = ("drift", "spike", "wrap", "gibbs", "coil-noise", "bias", "undersampling", "dropout", "chemical-shift", "nyquist")


def head() -> Array:
    inside = (Y / 46) ** 2 + (X / 36) ** 2 < 1
    return (inside * (300 + 60 * np.cos(Y / 9) * np.cos(X / 7))).astype(np.float32)


def plan(kind: str, **parameters: float) -> Plan:
    known = mr.KINDS[kind]
    return known.plan(np.random.default_rng(5), pixel_mm=1.5, given=parameters)


def done(kind: str, image: Array | None = None, **parameters: float) -> Array:
    return mr.apply(head() if image is None else image, plan(kind, **parameters), pixel_mm=1.5).array


@pytest.mark.parametrize("kind", NEW)
def test_every_kind_gets_worse_level_by_level_repeats_exactly_and_stays_a_magnitude(kind: str) -> None:
    severities = []
    for level in (1, 2, 3, 4):
        made = mr.draw(kind, level, np.random.default_rng(3), pixel_mm=1.5, phase_axis=0)
        first, again = (mr.apply(head(), made, pixel_mm=1.5) for _ in range(2))
        assert np.array_equal(first.array, again.array)
        assert (first.array >= -1e-3).all()
        severities.append(first.severity)
    assert severities == sorted(severities)
    assert severities[3] > 1.5 * severities[0] > 0


def test_a_still_drift_changes_nothing_and_the_path_begins_at_rest() -> None:
    assert drift.path(np.array([0.0]), 4)[0] == 0
    assert np.abs(drift.path(np.linspace(0, 1, 257), 4)).max() == pytest.approx(1)
    assert np.abs(np.diff(drift.path(np.linspace(0, 1, 257), 4))).max() < 0.05
    made = done("drift", displacement_mm=0.05, order=0)
    assert np.abs(made - head()).mean() < 0.02 * head().mean()


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [(LINEAR, 0, 63), (CENTRIC, 32, 0), (INTERLEAVED, 0, 63), (REVERSE_LINEAR, 63, 0), (REVERSE_CENTRIC, 0, 32)],
)
def test_every_line_is_taken_once_in_its_order(order: int, first: int, last: int) -> None:
    when = moments(64, order)
    assert sorted(when) == pytest.approx(np.linspace(0, 1, 64))
    assert (when[first], when[last]) == (0, 1)


def test_the_body_is_still_where_the_order_begins() -> None:
    def paths(order: int) -> Array:
        return motion.trajectory(64, {"seed": 3.0, "steps": 4.0, "order": float(order)})

    assert not any(part.any() for part in (paths(LINEAR)[:8], paths(CENTRIC)[28:36], paths(REVERSE_CENTRIC)[:4]))
    assert paths(CENTRIC)[:4].all()
    assert np.array_equal(paths(REVERSE_LINEAR), paths(LINEAR)[::-1])


@pytest.mark.parametrize(("told", "order"), [("SEGMENTED", INTERLEAVED), ("REVERSE_LINEAR", REVERSE_LINEAR), ("UNKNOWN", None)])
def test_the_header_tells_axis_and_order(told: str, order: int | None) -> None:
    acquisition = Acquisition(modality="MR", mr=MRAcquisition(phase_encoding_order=told))
    series = make_series([head()], modality="MR", acquisition=acquisition, phase_encoding_axis="ROW")
    for kind in ("motion", "drift"):
        known = known_encoding(series, mr.KINDS[kind])
        assert known == {"phase_axis": 1.0, **({} if order is None else {"order": float(order)})}
    assert known_encoding(series, mr.KINDS["ghost"]) == {"phase_axis": 1.0}
    assert known_encoding(series, mr.KINDS["noise"]) == {}


def test_a_spike_is_one_wave_of_the_declared_amplitude() -> None:
    flat = np.full((SIZE, SIZE), 100, dtype=np.float32)
    made = plan("spike", amplitude=0.01, radius=0.5, angle_rad=0.4)
    change = mr.apply(flat, made, pixel_mm=1.0).array - flat
    spectrum = np.abs(to_k_space(change)) ** 2
    spectrum[SIZE // 2, SIZE // 2] = 0
    # |s + a| = s + Re(a) for a small wave: its deviation is the amplitude over root two, at one frequency and its mirror.
    assert change.std() == pytest.approx(100 * 0.01 / np.sqrt(2), rel=0.1)
    row, column = spike.place(flat.shape, (1.0, 1.0), {**made.parameters, "radius": 0.5})
    assert (row, column) != (SIZE // 2, SIZE // 2)


def test_wrapped_copies_reach_into_the_field_as_far_as_declared() -> None:
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    image[34:94, 44:84] = 100
    made = done("wrap", image, intrusion=0.1, phase_axis=0)
    # Thirteen rows at the bottom or the top hold what lies on the other side of the body.
    rows = np.flatnonzero(made[:, 50:78].mean(axis=1) > 50)
    outside = rows[(rows < 34) | (rows >= 94)]
    deepest = max((outside[outside < 34] + 1).max(initial=0), (SIZE - outside[outside >= 94]).max(initial=0))
    assert deepest == pytest.approx(0.1 * SIZE, abs=3)
    assert made[34:94, 44:84].mean() == pytest.approx(100, rel=0.05)
    columns = np.flatnonzero(made.mean(axis=0) > 1)
    assert (columns[0], columns[-1]) == (44, 83)


def test_copies_overlap_the_body_when_they_reach_far_and_the_mask_shows_where() -> None:
    done_ = mr.apply(head(), plan("wrap", intrusion=0.3, phase_axis=0), pixel_mm=1.5)
    assert done_.mask is not None
    changed = np.abs(done_.array - head()) > 60
    assert changed[done_.mask].mean() > 0.5
    assert not changed[~done_.mask].any()
    assert wrap.distance(head() / 300, plan("wrap", intrusion=0.3, phase_axis=0).parameters) < SIZE


def test_ringing_overshoots_an_edge_by_nine_percent_along_the_phase_axis_only() -> None:
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    image[32:96, 32:96] = 100
    made = done("gibbs", image, kept_share=0.4, phase_axis=0)
    profile = made[:, 60]
    assert profile.max() == pytest.approx(109, abs=3)
    across = made[60, 36:92]
    assert np.ptp(across) < 1


def test_bias_has_the_declared_variation_and_a_mean_of_one() -> None:
    for variation in (0.1, 0.4):
        made = plan("bias", variation=variation)
        field = bias.field(head(), made.parameters)[foreground(head())]
        assert field.mean() == pytest.approx(1, abs=1e-3)
        assert field.std() == pytest.approx(variation, rel=0.25)


def test_noise_of_coils_is_strongest_where_they_hear_least() -> None:
    disc = (np.hypot(Y, X) < 50).astype(np.float32) * 200
    made = plan("coil-noise", snr_divisor=8.0, coils=8, reach=0.4)
    change = mr.apply(disc, made, pixel_mm=1.5).array - disc
    middle, rim = np.hypot(Y, X) < 12, (np.hypot(Y, X) > 38) & (np.hypot(Y, X) < 48)
    heard = coil_noise.sensitivity(disc.shape, made.parameters)
    expected = (1 / heard[middle]).mean() / (1 / heard[rim]).mean()
    assert change[middle].std() / change[rim].std() == pytest.approx(expected, rel=0.2)
    assert expected > 1.5


def test_acceleration_costs_the_root_of_its_factor_and_the_geometry() -> None:
    generator = np.random.default_rng(0)
    own = 4.0
    noisy = np.abs((np.hypot(Y, X) < 50) * 200 + own * generator.standard_normal((SIZE, SIZE))).astype(np.float32)
    made = plan("undersampling", acceleration=4.0, residue=0.0, off_centre=0.0)
    change = mr.apply(noisy, made, pixel_mm=1.5).array - noisy
    middle = np.hypot(Y, X) < 10
    factor = undersampling.geometry(noisy.shape, made.parameters)[middle].mean()
    assert factor == pytest.approx(1.75, rel=0.05)
    total = np.hypot(change[middle].std(), own)
    assert total == pytest.approx(own * np.sqrt(4) * factor, rel=0.25)


@pytest.mark.parametrize("kind", ["noise", "coil-noise", "undersampling"])
@pytest.mark.parametrize("own", [0.02, 0.06, 0.15, 0.4])
def test_an_image_gets_worse_at_every_level_however_noisy_it_was(kind: str, own: float) -> None:
    generator = np.random.default_rng(1)
    channels = own * 300 * generator.standard_normal((2, SIZE, SIZE))
    image = np.hypot(head() + channels[0], channels[1]).astype(np.float32)
    level, severity = [own * 300], [0.0]
    for strength in (1, 2, 3, 4):
        done = mr.apply(image, mr.draw(kind, strength, np.random.default_rng(3), pixel_mm=1.5, phase_axis=0), pixel_mm=1.5)
        made = done.array
        severity.append(done.severity)
        inside = made[32:96, 40:88]
        fine = (inside[::2, ::2] - inside[1::2, ::2] - inside[::2, 1::2] + inside[1::2, 1::2]) / 2
        level.append(float(fine.std()) / float(made[foreground(image)].mean()) * 300)
    assert (np.diff(level) > 0.03 * np.array(level[:-1])).all(), level
    assert (np.diff(severity) > 0.03 * np.array(severity[:-1])).all(), severity


@pytest.mark.parametrize("own", [0.01, 0.1, 0.6])
def test_noise_is_multiplied_as_declared_until_the_strongest_would_hide_the_image(own: float) -> None:
    factors = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    noise = noise_level.raised(own, factors, 16.0)
    assert noise[0] == pytest.approx(own)
    assert noise[-1] == pytest.approx(min(16 * own, max(0.5, 2 * own)), rel=1e-5)
    steps = noise[1:] / noise[:-1]
    assert steps == pytest.approx(np.full(4, steps[0]), rel=1e-4)


def test_the_field_of_a_sphere_is_that_of_a_dipole() -> None:
    made = plan("dropout", radius_mm=8.0, phase_axis=0, place=0.5)
    moved = dropout.displacement(head() / 300, made.parameters, 1.0)
    rows, columns = np.nonzero(foreground(head()))
    chosen = int(0.5 * (rows.size - 1))
    y, x = rows[chosen], columns[chosen]
    assert moved[y, x + 16] == pytest.approx(dropout.SHIFT_MM / 8, rel=0.01)
    assert moved[y + 16, x] == pytest.approx(-2 * dropout.SHIFT_MM / 8, rel=0.01)
    after = mr.apply(head(), made, pixel_mm=1.0)
    assert after.array[y, x] < 0.1 * head()[y, x]
    assert after.mask is not None
    assert after.mask[y, x]
    assert after.mask.mean() < 0.2


def test_fat_moves_by_the_declared_distance_along_the_readout() -> None:
    image = (np.hypot(Y, X) < 50).astype(np.float32) * 100
    image[(np.hypot(Y, X) < 50) & (np.hypot(Y, X) >= 45)] = 300
    before = image.copy()
    made = done("chemical-shift", image, shift_mm=6.0, phase_axis=0, sense=1.0)
    # Readout along x: the rim on the right is found four pixels further right, and a gap is left on its inner side.
    row = made[SIZE // 2]
    assert np.flatnonzero(row > 30)[-1] - np.flatnonzero(before[SIZE // 2] > 30)[-1] == pytest.approx(4, abs=1)
    column = made[:, SIZE // 2]
    assert np.flatnonzero(column > 30)[-1] == pytest.approx(np.flatnonzero(before[:, SIZE // 2] > 30)[-1], abs=1)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_nyquist_ghost_lies_half_a_field_away_with_the_declared_signal(axis: int) -> None:
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    image[60:68, 60:68] = 100
    made = done("nyquist", image, ghost_share=0.3, phase_axis=axis)
    ghost = made[(64 + 64) % SIZE, 64] if axis == 0 else made[64, (64 + 64) % SIZE]
    assert ghost == pytest.approx(30, rel=0.03)
    assert made[64, 64] == pytest.approx(100 * np.sqrt(1 - 0.09), rel=0.03)
