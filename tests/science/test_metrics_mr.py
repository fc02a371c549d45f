"""MR metrics against images whose signal, noise and ghosts are known."""

from __future__ import annotations

import numpy as np
import pytest

from medqa.errors import NotApplicable
from medqa.metrics import mr_efc, mr_fber, mr_ghosting, mr_snr
from medqa.metrics.mr_air import air_noise
from medqa.regions import Regions
from tests.science.factories import make_series, mr_head


def measure(metric, arrays, **values):
    series = make_series(arrays, modality="MR", **values)
    return metric.combine(series, [metric.per_frame(Regions(frame.read())) for frame in series.frames])


def refusal(metric, arrays, **values) -> str:
    with pytest.raises(NotApplicable) as caught:
        measure(metric, arrays, **values)
    return caught.value.values["reason"]


@pytest.mark.parametrize(("signal", "noise"), [(600.0, 5.0), (600.0, 20.0), (1000.0, 100.0)])
def test_snr_is_signal_over_the_noise_of_one_channel(signal: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    measured = measure(mr_snr.METRIC, [mr_head(rng, signal, noise) for _ in range(3)])
    assert measured.value == pytest.approx(signal / noise, rel=0.06)


def test_snr_does_not_depend_on_the_scanner_s_units() -> None:
    images = [mr_head(np.random.default_rng(1), 600, 10)]
    assert measure(mr_snr.METRIC, [images[0] * 37.5]).value == pytest.approx(measure(mr_snr.METRIC, images).value, rel=1e-4)


def test_snr_under_three_breaks_its_limit_and_diffusion_has_none() -> None:
    images = [mr_head(np.random.default_rng(1), 200, 100)]
    measured = measure(mr_snr.METRIC, images)
    assert measured.value < 3
    assert measured.within_limits is False
    assert measure(mr_snr.METRIC, images, b_value=1000.0).limits is None
    assert measure(mr_snr.METRIC, images, b_value=0.0).limits is not None


@pytest.mark.parametrize("metric", [mr_snr.METRIC, mr_fber.METRIC])
@pytest.mark.parametrize("kind", ["zero", "constant", "half zero", "filtered"])
def test_air_that_was_masked_or_filtered_measures_nothing(metric, kind: str) -> None:
    image = mr_head(np.random.default_rng(1), 600, 10)
    rng = np.random.default_rng(2)
    replaced = {
        "zero": np.zeros_like(image),
        "constant": np.full_like(image, 3),
        "half zero": np.where(rng.random(image.shape) < 0.5, 0, image),
        "filtered": rng.exponential(4, image.shape) ** 2,
    }[kind]
    assert refusal(metric, [np.where(image < 200, replaced, image)]) == "background_masked"


def test_dim_tissue_inside_the_body_is_not_taken_for_air() -> None:
    image = np.random.default_rng(1).normal(500, 20, (256, 256))
    image[60:120, 60:120] = np.random.default_rng(2).normal(70, 20, (60, 60))
    assert refusal(mr_snr.METRIC, [image]) == "no_air"


def test_ends_of_the_stack_do_not_count() -> None:
    rng = np.random.default_rng(1)
    heads = [mr_head(rng) for _ in range(3)]
    spot = np.hypot(*rng.normal(0, 10, (2, 256, 256)))
    spot[126:130, 126:130] = 600
    assert measure(mr_snr.METRIC, [spot, *heads, spot, spot, spot, spot]).value == measure(mr_snr.METRIC, heads).value


def test_a_series_without_signal_has_no_body() -> None:
    assert refusal(mr_snr.METRIC, [np.zeros((64, 64))]) == "no_body"


@pytest.mark.parametrize("coils", [1, 8])
def test_noise_of_several_coils_still_counts_as_noise(coils: int) -> None:
    noise = np.sqrt((np.random.default_rng(0).normal(0, 10, (2 * coils, 128, 128)) ** 2).sum(0)).astype(np.float32)
    air = air_noise(noise, np.ones_like(noise, dtype=bool))
    assert air.reason is None
    # One coil: Rayleigh, 0.6551 sigma. Many: towards a Gaussian of 0.7 sigma.
    assert air.deviation == pytest.approx(6.55 if coils == 1 else 7.0, rel=0.05)


def test_noise_below_the_stored_step_is_quantisation() -> None:
    noise = np.round(np.random.default_rng(0).rayleigh(0.4, (64, 64))).astype(np.float32)
    assert air_noise(noise, np.ones_like(noise, dtype=bool)).reason == "background_masked"


def test_fber_is_the_ratio_of_median_energies() -> None:
    # Rayleigh noise of scale s has the median s sqrt(2 ln 2).
    measured = measure(mr_fber.METRIC, [mr_head(np.random.default_rng(1), 600, 10)])
    assert measured.value == pytest.approx(600**2 / (10**2 * 2 * np.log(2)), rel=0.1)


def efc_of_mriqc(volume: np.ndarray) -> float:
    """The formula as MRIQC 24 writes it (mriqc/qc/anatomical.py, efc), without a frame mask."""
    norm = np.sqrt((volume**2).sum())
    worst = volume.size / np.sqrt(volume.size) * np.log(1.0 / np.sqrt(volume.size))
    return float((1.0 / worst) * np.sum((volume / norm) * np.log((volume + 1e-16) / norm)))


def test_efc_from_sums_equals_the_formula_over_the_whole_volume() -> None:
    volume = np.stack([mr_head(np.random.default_rng(seed), 300 + 100 * seed, 12) for seed in range(4)]).astype(np.float64)
    assert measure(mr_efc.METRIC, list(volume)).value == pytest.approx(efc_of_mriqc(volume), rel=1e-5)


def test_efc_is_nought_for_one_voxel_and_one_for_an_even_spread() -> None:
    point = np.zeros((64, 64))
    point[3, 5] = 7
    assert measure(mr_efc.METRIC, [point]).value == pytest.approx(0, abs=1e-9)
    assert measure(mr_efc.METRIC, [np.full((64, 64), 3.0)] * 2).value == pytest.approx(1)


def test_efc_grows_with_ghosts() -> None:
    clean = mr_head(np.random.default_rng(1), 600, 5)
    ghosted = clean + 0.2 * np.roll(clean, 80, axis=0)
    assert measure(mr_efc.METRIC, [ghosted]).value > measure(mr_efc.METRIC, [clean]).value + 0.02


def test_efc_of_several_stacks_is_their_median() -> None:
    heads = [mr_head(np.random.default_rng(seed), 600, noise) for seed, noise in enumerate((2, 10, 60))]
    each = [measure(mr_efc.METRIC, [head]).value for head in heads]
    assert measure(mr_efc.METRIC, heads, stacks=3).value == pytest.approx(sorted(each)[1])


def test_an_image_without_signal_has_no_focus() -> None:
    assert refusal(mr_efc.METRIC, [np.zeros((64, 64))]) == "constant_image"


def ghosted(axis: int, strength: float) -> np.ndarray:
    """A head with a faint copy smeared along one axis of the air, noise as always."""
    image = mr_head(np.random.default_rng(1), 600, 5)
    copies = sum(np.roll(image, shift, axis=axis) for shift in range(-120, 121, 8)) / 31
    return image + strength * copies


@pytest.mark.parametrize(("direction", "axis"), [("COL", 0), ("ROW", 1)])
def test_ghosts_count_along_the_phase_encoding_axis_only(direction: str, axis: int) -> None:
    along = measure(mr_ghosting.METRIC, [ghosted(axis, 0.15)], phase_encoding_axis=direction)
    across = measure(mr_ghosting.METRIC, [ghosted(1 - axis, 0.15)], phase_encoding_axis=direction)
    none = measure(mr_ghosting.METRIC, [ghosted(axis, 0.0)], phase_encoding_axis=direction)
    assert along.value > 5
    assert along.within_limits is False
    assert across.value < 0
    assert none.value == pytest.approx(0, abs=0.2)
    assert none.within_limits is True


def test_ghosting_follows_the_strength_of_the_ghost() -> None:
    weak, strong = (measure(mr_ghosting.METRIC, [ghosted(0, s)], phase_encoding_axis="COL").value for s in (0.08, 0.16))
    assert strong == pytest.approx(2 * weak, rel=0.15)


def even_ghost(percent: float, ratio: float) -> np.ndarray:
    """A head of 600 with a ghost of this level all over the columns that it spans, before the noise is added."""
    head = mr_head(np.random.default_rng(1), 600, 0)
    real, imaginary = np.random.default_rng(2).normal(0, 600 / ratio, (2, *head.shape))
    return np.hypot(np.where((head > 0).any(axis=0), np.maximum(head, 6 * percent), 0) + real, imaginary)


@pytest.mark.parametrize("ratio", [30.0, 100.0])
@pytest.mark.parametrize("percent", [6.0, 10.0])
def test_a_ghost_reads_its_own_level_whatever_the_noise(percent: float, ratio: float) -> None:
    # The plain difference of the means reads 2.8 % of 6 % at 30.
    measured = measure(mr_ghosting.METRIC, [even_ghost(percent, ratio)], phase_encoding_axis="COL")
    assert measured.value == pytest.approx(percent, rel=0.12)
    assert measured.within_limits is False


@pytest.mark.parametrize("ratio", [5.0, 30.0])
def test_noise_that_is_a_little_uneven_is_no_ghost(ratio: float) -> None:
    image = even_ghost(0.0, ratio)
    rows = np.arange(256)[:, None]
    uneven = np.where((rows < 28) | (rows >= 228), 1.03 * image, image)
    assert measure(mr_ghosting.METRIC, [uneven], phase_encoding_axis="COL").value == 0
    assert mr_ghosting.excess(1.03, 1.0) == 0


def test_the_level_of_a_ghost_turns_its_sign_with_the_axes() -> None:
    assert mr_ghosting.excess(13.0, 5.0) == pytest.approx(np.sqrt(144 - 2.5))
    assert mr_ghosting.excess(5.0, 13.0) == -mr_ghosting.excess(13.0, 5.0)


def test_without_a_phase_encoding_axis_the_header_is_named() -> None:
    with pytest.raises(NotApplicable) as caught:
        measure(mr_ghosting.METRIC, [mr_head(np.random.default_rng(1))])
    assert caught.value.values["keyword"] == "InPlanePhaseEncodingDirection"


def test_masked_air_shows_no_ghosts() -> None:
    image = mr_head(np.random.default_rng(1), 600, 10)
    assert refusal(mr_ghosting.METRIC, [np.where(image < 200, 0, image)], phase_encoding_axis="ROW") == "background_masked"


def test_a_phase_image_has_no_noise_floor() -> None:
    rng = np.random.default_rng(1)
    phase = np.where(mr_head(rng) > 200, rng.normal(0, 300, (256, 256)), rng.uniform(-4096, 4095, (256, 256)))
    for metric in (mr_snr.METRIC, mr_fber.METRIC, mr_ghosting.METRIC):
        assert refusal(metric, [phase, phase - 500], phase_encoding_axis="COL") in ("unit_unknown", "no_body")


@pytest.mark.parametrize("percent", [24.0, 48.0])
def test_a_ghost_as_bright_as_dim_tissue_is_still_a_ghost(percent: float) -> None:
    # The body mask takes half of the body's signal for body; its outline does not.
    measured = measure(mr_ghosting.METRIC, [even_ghost(percent, 30.0)], phase_encoding_axis="COL")
    assert measured.value == pytest.approx(percent, rel=0.05)


def test_a_bright_spot_beside_the_head_is_no_ghost_of_it() -> None:
    spotted = even_ghost(0.0, 100.0)
    spotted[4:24, 118:138] += 200
    assert abs(measure(mr_ghosting.METRIC, [spotted], phase_encoding_axis="COL").value) < 0.5


def test_a_ghost_as_bright_as_a_body_is_refused_and_not_overlooked() -> None:
    small = np.zeros((160, 160), dtype=np.float32)
    small[20:60, 50:110] = 600.0
    noise = np.random.default_rng(4).normal(0, 6, (2, 160, 160))
    bright = small + 0.8 * np.roll(small, 80, axis=0)
    image = np.hypot(bright + noise[0], noise[1]).astype(np.float32)
    regions = Regions(make_series([image], modality="MR").frames[0].read())
    assert mr_ghosting.in_a_row(regions.values, regions.body, "COL")
    with pytest.raises(NotApplicable) as refused:
        measure(mr_ghosting.METRIC, [image], phase_encoding_axis="COL")
    assert refused.value.values["reason"] == "no_air"
    # The median of so wide a strip would overlook a dimmer ghost of so small a body.
    dimmer = np.hypot(small + 0.4 * np.roll(small, 80, axis=0) + noise[0], noise[1]).astype(np.float32)
    assert refusal(mr_ghosting.METRIC, [dimmer], phase_encoding_axis="COL") == "no_air"
    # Two legs lie side by side across the axis: they are no ghosts of each other.
    legs = np.hypot(np.rot90(bright) + noise[0], noise[1]).astype(np.float32)
    assert measure(mr_ghosting.METRIC, [legs], phase_encoding_axis="COL").value < 1
