"""Brain tissue is found where it is, with the levels it was made with, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medqa.errors import NotApplicable
from medqa.metrics import mr_tissue
from medqa.metrics.mr_head import brain_place
from medqa.metrics.mr_matter import evened
from medqa.reader import read
from medqa.regions import Regions, decimate
from medqa.simulate import mr_phantoms
from medqa.simulate.mr_scan import Scan
from medqa.simulate.mr_tissues import Label
from tests.science.factories import make_series
from tests.science.mr_factories import SHARES, T1, T2, head, heads

BRAINS = (
    *("mr_hkup1_t2w3t.nii.gz", "mr_hkup3_t2w3t.nii.gz", "mr_ms01_t1w1.nii.gz", "mr_nichart_t1.nii.gz"),
    *("mr_fnndsc_sag_mprage.zip", "mr_uih_t1_a.zip", "mr_msx07_flair.nii.gz", "mr_hkup5_fse.nii.gz"),
)
OTHERS = (
    *(
        "mr_px0000_t2tra.zip",
        "mr_sts001_t1.zip",
        "mr_cmbcrc_t2ax.zip",
        "mr_knee_mese.zip",
        "mr_deident_fruit.zip",
        "mr_pig_sax.zip",
    ),
    *("mr_acr_sie_skyra.zip", "mr_acr_ge_hdxt.zip", "mr_slicepos_galan.zip", "mr_sts010_crop.zip", "mr_c3n-01342.nii.gz"),
    *("mr_sct_t2s_uncropped.nii.gz", "mr_vb1_02.nii.gz", "mr_ivd_11.nii.gz"),
)


def found(arrays, **values) -> mr_tissue.Tissues:
    series = make_series(arrays, modality="MR", spacing_mm=values.pop("spacing_mm", (1.7, 1.7)), **values)
    (tissues,) = mr_tissue.tissues("mr_tissue", series, [mr_tissue.per_frame(Regions(frame.read())) for frame in series.frames])
    return tissues


def refused(arrays, **values) -> bool:
    with pytest.raises(NotApplicable) as caught:
        found(arrays, **values)
    return caught.value.values["reason"] == "no_brain_tissue"


@pytest.mark.parametrize("levels", [T1, T2])
@pytest.mark.parametrize("noise", [10.0, 20.0, 40.0])
def test_levels_and_deviations_are_those_it_was_made_with(levels, noise: float) -> None:
    tissues = found(heads(levels=levels, noise=noise))
    for name in ("white", "grey", "fluid"):
        tissue = getattr(tissues, name)
        # Rician: at the lowest ratio here, 200 over 40, the mean lies 2 % over the signal.
        assert tissue.mean == pytest.approx(levels[name], rel=0.025)
        assert tissue.deviation == pytest.approx(noise, rel=0.1)
    total = sum(getattr(tissues, name).pixels for name in SHARES)
    assert tissues.white.pixels / total == pytest.approx(SHARES["white"], abs=0.03)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 500.0), st.integers(0, 3), st.booleans())
def test_gain_turns_and_mirrors_change_nothing_but_the_gain(gain: float, turns: int, mirror: bool) -> None:
    arrays = heads(2)
    plain = found(arrays)
    changed = found([np.ascontiguousarray(np.rot90(array * gain, turns)[:, :: -1 if mirror else 1]) for array in arrays])
    for name in SHARES:
        assert getattr(changed, name).mean == pytest.approx(gain * getattr(plain, name).mean, rel=0.01)
        assert getattr(changed, name).deviation == pytest.approx(gain * getattr(plain, name).deviation, rel=0.06)


def test_counts_of_frames_add_up_in_any_order() -> None:
    arrays = [head(np.random.default_rng(seed), noise=15 + 5 * seed) for seed in range(3)]
    assert found(arrays) == found(arrays[::-1])


def test_counts_are_few_numbers() -> None:
    partial = mr_tissue.per_frame(Regions(make_series(heads(1), modality="MR", spacing_mm=(1.7, 1.7)).frames[0].read()))
    assert partial is not None
    for name in mr_tissue.SUMS:
        assert len(partial[name]) <= mr_tissue.SPAN / mr_tissue.BIN + 2


def test_the_pixels_may_be_finer_than_the_grid() -> None:
    tissues = found(heads(2, size=256), spacing_mm=(0.85, 0.85))
    assert tissues.white.mean == pytest.approx(T1["white"], rel=0.02)
    assert tissues.grey.deviation == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize(
    ("levels", "reason"), [(T1 | {"grey": 690.0}, "no contrast"), (T1 | {"white": 1300.0}, "too much contrast")]
)
def test_matter_that_does_not_lie_apart_as_in_a_brain_is_none(levels, reason: str) -> None:
    assert refused(heads(levels=levels)), reason


@pytest.mark.parametrize(("noise", "within"), [(60.0, 0.1), (80.0, 0.25)])
def test_noise_of_a_third_of_the_contrast_does_not_hide_the_tissues(noise: float, within: float) -> None:
    tissues = found(heads(noise=noise, patch=8))
    for name in ("white", "grey"):
        assert getattr(tissues, name).mean == pytest.approx(T1[name], rel=0.1)
        assert getattr(tissues, name).deviation == pytest.approx(noise, rel=within)


@pytest.mark.parametrize("levels", [T1, T2])
def test_shading_is_in_the_deviations_but_mixes_nothing_up(levels) -> None:
    even, shaded = (found(heads(levels=levels, noise=10.0, shading=shading)) for shading in (0.0, 0.6))
    for name in ("white", "grey"):
        assert getattr(shaded, name).mean == pytest.approx(levels[name], rel=0.05)
        assert getattr(shaded, name).deviation > 5 * getattr(even, name).deviation
    total = sum(getattr(shaded, name).pixels for name in SHARES)
    assert shaded.white.pixels / total == pytest.approx(SHARES["white"], abs=0.05)


def bottle(shading: float, noise: float = 10.0) -> np.ndarray:
    """A uniform fluid in a wall with a dark gap, brighter at the rim."""
    return head(np.random.default_rng(3), levels=dict.fromkeys(T1, 600.0), noise=noise, shading=shading)


def thigh() -> np.ndarray:
    """Fat around muscle, marrow within cortical bone, a dark fascia."""
    y, x = np.mgrid[:128, :128] / 128 - 0.5
    radius, bone = np.hypot(x / 0.4, y / 0.38), np.hypot(x - 0.05, y)
    image = np.select([bone < 0.03, bone < 0.06, radius < 0.75, radius < 0.78, radius < 1], [900.0, 60.0, 350.0, 100.0, 950.0], 0.0)
    return np.hypot(*(np.random.default_rng(4).normal(0, 10, (2, 128, 128)) + np.stack([image, 0 * image]))).astype(np.float32)


@pytest.mark.parametrize(
    "arrays",
    [
        [bottle(0.0)] * 3,
        [bottle(0.3)] * 3,
        [bottle(0.6)] * 3,
        [thigh()] * 3,
        [np.tile(head(np.random.default_rng(1), size=64, patch=2), (2, 2))] * 3,
        [head(np.random.default_rng(1))[:, 40:]] * 3,
    ],
    ids=["bottle", "shaded bottle", "bottle in a surface coil", "thigh", "mosaic", "cropped head"],
)
def test_what_is_no_head_with_a_brain_has_no_tissue(arrays) -> None:
    assert refused(arrays)


@pytest.mark.parametrize(
    "array",
    [np.zeros((128, 128)), np.full((128, 128), 7.0), np.full((128, 128), np.nan), np.ones((1, 1)), np.zeros((3, 700)) - 5],
    ids=["empty", "constant", "no values", "one pixel", "a strip below nought"],
)
def test_bad_input_has_no_tissue(array: np.ndarray) -> None:
    assert refused([array])


def test_missing_values_are_left_out() -> None:
    arrays = heads()
    for array in arrays:
        array[60:64, 60:70] = np.nan
    assert found(arrays).white.mean == pytest.approx(T1["white"], rel=0.02)


def test_a_few_heads_among_many_other_frames_are_not_enough() -> None:
    cut = np.roll(head(np.random.default_rng(9)), 50, axis=1)
    assert refused([*heads(2), *[cut] * 10])
    assert found([*heads(6), *[cut] * 10]).white.mean == pytest.approx(T1["white"], rel=0.02)


def test_what_is_smaller_than_a_head_is_none() -> None:
    assert refused(heads(), spacing_mm=(1.2, 1.2))


def test_pixels_wider_than_the_cortex_hold_no_grey_matter() -> None:
    assert refused(heads(), spacing_mm=(3.0, 3.0))


def sagittal(down: bool = True) -> list[np.ndarray]:
    """Heads on a neck that leaves the frame."""
    arrays = heads(2)
    for array in arrays:
        array[100:, 50:78] = 450
    return arrays if down else [np.ascontiguousarray(array[::-1]) for array in arrays]


def test_a_head_from_the_side_counts_above_the_skull_base_and_may_have_a_neck() -> None:
    level, up, down = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)
    for arrays, orientation in (
        (sagittal(), (level, down)),
        (sagittal(down=False), (level, up)),
        ([np.ascontiguousarray(array.T) for array in sagittal()], (down, level)),
    ):
        # A head is 17 to 20 cm long.
        tissues = found(arrays, orientation=orientation, spacing_mm=(2.0, 2.0))
        assert tissues.white.mean == pytest.approx(T1["white"], rel=0.02)
        assert tissues.grey.deviation == pytest.approx(20, rel=0.1)
    # The neck is no dome of a head's width.
    assert refused(sagittal(), orientation=(level, up), spacing_mm=(2.0, 2.0))


def test_a_limb_from_the_side_is_no_dome() -> None:
    limb = head(np.random.default_rng(1))
    limb[:64] = limb[64]
    assert refused([limb] * 3, orientation=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)), spacing_mm=(2.0, 2.0))


@pytest.mark.parametrize(
    ("part", "there"), [("KNEE", False), ("CSPINE", False), ("BRAIN", True), ("Head", True), (None, True), ("X", True)]
)
def test_the_header_can_only_speak_against(part: str | None, there: bool) -> None:
    series = make_series(heads(), modality="MR", spacing_mm=(1.7, 1.7))
    object.__setattr__(series.acquisition, "body_part", part)
    partials = [mr_tissue.per_frame(Regions(frame.read())) for frame in series.frames]
    if there:
        assert mr_tissue.tissues("x", series, partials)
        return
    with pytest.raises(NotApplicable):
        mr_tissue.tissues("x", series, partials)


def test_every_stack_has_tissues_of_its_own() -> None:
    series = make_series([*heads(2, levels=T1), *heads(2, levels=T2)], modality="MR", stacks=2, spacing_mm=(1.7, 1.7))
    tissues = mr_tissue.tissues("x", series, [mr_tissue.per_frame(Regions(frame.read())) for frame in series.frames])
    assert [round(one.fluid.mean, -2) for one in tissues] == [200, 1000]


@pytest.mark.parametrize("weighting", ["t1", "t2"])
def test_the_tissues_of_a_drawn_head_have_the_signals_of_its_sequence(weighting: str) -> None:
    made = mr_phantoms.make("mr-head", np.random.default_rng(2), Scan(weighting=weighting, spacing_mm=20.0, snr=40.0, coil=0.0))
    assert made.known is not None
    tissues = found(list(made.array), spacing_mm=(made.grid.pixel_mm,) * 2)
    # Deep nuclei and stem lie between the two, pixels on the border of two tissues as well.
    assert tissues.white.mean == pytest.approx(made.known.signals["white"], rel=0.05)
    assert tissues.grey.mean == pytest.approx(made.known.signals["grey"], rel=0.1)
    fluid, grey = (abs(tissues.fluid.mean - made.known.signals[name]) for name in ("csf", "grey"))
    assert fluid < 0.7 * grey


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Dice's coefficient."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize(("weighting", "coil"), [("t1", 0.0), ("t1", 1.0), ("t2", 1.0), ("flair", 0.0)])
def test_tissues_lie_where_the_map_of_a_drawn_head_has_them(weighting: str, coil: float) -> None:
    scan = Scan(weighting=weighting, spacing_mm=20.0, snr=40.0, coil=coil)
    made = mr_phantoms.make("mr-head", np.random.default_rng(3), scan)
    assert made.known is not None
    assert made.known.labels is not None
    spacing_mm = (made.grid.pixel_mm,) * 2
    tissues = found(list(made.array), spacing_mm=spacing_mm)
    levels = np.log([tissues.white.mean, tissues.grey.mean, tissues.fluid.mean])
    told, known = [], []
    for frame, labels in zip(
        make_series(list(made.array), modality="MR", spacing_mm=spacing_mm).frames, made.known.labels, strict=True
    ):
        regions = Regions(frame.read())
        place = brain_place(regions)
        if place is not None:
            told.append(np.abs(np.log(evened(place))[:, None] - levels).argmin(axis=1))
            known.append(decimate(labels, regions.step)[place.brain])
    told, known = np.concatenate(told), np.concatenate(known)
    least = (0.75, 0.6) if weighting == "flair" else (0.85, 0.7)
    for number, (label, dice) in enumerate(zip((Label.WHITE, Label.GREY), least, strict=True)):
        assert overlap(told == number, known == label) > dice


def real(path) -> bool:
    (series, *_) = read(path, value_range=(0.0, 4096.0), modality="MR").series
    partials = [mr_tissue.per_frame(Regions(frame.read())) for frame in series.frames]
    try:
        mr_tissue.tissues("x", series, partials)
    except NotApplicable:
        return False
    return True


def test_brains_are_found_and_other_things_are_not(data, real_series) -> None:
    seen = {name: real(data / "mr" / name) for name in (*BRAINS, *OTHERS)}
    real_series.extend(seen)
    assert seen == dict.fromkeys(BRAINS, True) | dict.fromkeys(OTHERS, False)
