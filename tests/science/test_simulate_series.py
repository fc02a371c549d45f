"""A whole series degraded: what is shared by all frames, what is new in each, what each frame shows, and its truth."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given as drawn_by
from hypothesis import settings
from hypothesis import strategies as st

from medqa.errors import InvalidDegradation
from medqa.simulate.catalogue import catalogue, names
from medqa.simulate.ct import truncation
from medqa.simulate.series import degrade_series
from medqa.simulate.series_faults import FAULTS, box
from tests.science.factories import ct_body, make_series, mr_head

SIZE = 96


def slices(count: int = 8, *, alike: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    first = ct_body(rng, size=SIZE)
    return [first if alike else ct_body(rng, size=SIZE) + np.float32(index) for index in range(count)]


@pytest.mark.parametrize(
    "kind",
    ["ct-dose", "ct-starvation", "mr-noise", "mr-coil-noise", "mr-undersampling", "mr-zipper", "pt-counts", "pt-thinned"],
)
def test_noise_is_new_in_every_slice(kind: str):
    first, second = alike(kind)
    # Where copies or a noise floor come with the noise, these are the same.
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < 0.8
    assert second.std() == pytest.approx(first.std(), rel=0.2)


@pytest.mark.parametrize("kind", ["ct-rings", "mr-bias", "mr-motion", "mr-spike", "pt-extravasation", "pt-jump"])
def test_what_belongs_to_scanner_or_patient_is_the_same_in_all_slices(kind: str):
    first, second = alike(kind)
    assert first.any()
    assert np.array_equal(first, second)


def alike(kind: str) -> list[np.ndarray]:
    """Return what a kind changes of two slices that do not differ."""
    modality = kind[:2].upper()
    body = ct_body(np.random.default_rng(0), size=SIZE)
    array = body if modality == "CT" else np.clip((body + 1000) / 10, 0, None).astype(np.float32)
    series = make_series([array, array], modality=modality)
    done = degrade_series(series, kind, np.random.default_rng(1), level=3)
    return [frame.decode() - array for frame in done.series.frames]


def test_metal_runs_through_all_slices_although_the_body_differs_and_its_noise_is_new_in_each():
    rng = np.random.default_rng(0)
    arrays = [ct_body(rng, size=SIZE) for _ in range(3)]
    arrays[2][:, : SIZE // 3] = -1000
    done = degrade_series(make_series(arrays), "ct-metal", np.random.default_rng(8), given={"diameter_mm": 6, "pieces": 1})
    images = [image.array for image in done.images()]
    metal = [np.argwhere(image > 2000).mean(axis=0) for image in images]
    assert np.allclose(metal[0], metal[2], atol=0.5)
    assert set(done.truth().settled) == {"piece_1_x_mm", "piece_1_y_mm", "piece_1_turn_rad"}
    alike = make_series([arrays[0], arrays[0]])
    first, second = (image.array for image in degrade_series(alike, "ct-metal", np.random.default_rng(8), level=4).images())
    assert 0 < np.abs(first - second).max() < np.abs(first - arrays[0]).max()


@pytest.mark.parametrize("kind", ["ct-dead-channels", "ct-ring-arcs", "ct-rings"])
def test_rings_have_the_same_radii_where_the_body_is_narrower(kind: str):
    wide, narrow = (slices(1)[0] for _ in range(2))
    narrow[:, : SIZE // 4] = narrow[:, -SIZE // 4 :] = -1000
    done = degrade_series(make_series([wide, narrow]), kind, np.random.default_rng(3), level=3)
    middle = (slice(SIZE // 2 - 12, SIZE // 2 + 12), slice(SIZE // 2 - 12, SIZE // 2 + 12))
    one, other = ((image.array - array)[middle].ravel() for image, array in zip(done.images(), (wide, narrow), strict=True))
    assert np.corrcoef(one, other)[0, 1] > 0.6


def test_one_scan_has_one_field_of_view():
    wide, narrow = slices(2)
    narrow[:, : SIZE // 6] = narrow[:, -SIZE // 6 :] = -1000
    given = {"field_share": 0.7, "fade_mm": 5}
    done = degrade_series(make_series([wide, narrow]), "ct-truncation", np.random.default_rng(3), given=given)
    radius = done.settled["radius_mm"]
    assert radius == truncation.field_radius_mm(wide, 0.7, 0.75) > truncation.field_radius_mm(narrow, 0.7, 0.75)
    # Alone, the narrow slice would have a field of its own, and lose more.
    alone = degrade_series(make_series([narrow]), "ct-truncation", np.random.default_rng(3), given=given)
    assert done.pixels(1).image().severity < alone.pixels(0).image().severity


def test_the_same_seed_gives_the_same_series_and_another_seed_another():
    arrays = slices(3)
    one, same, other = (degrade_series(make_series(arrays), "ct-dose", np.random.default_rng(seed), level=2) for seed in (5, 5, 6))
    assert [frame.key for frame in one.series.frames] == [frame.key for frame in same.series.frames]
    assert np.array_equal(one.series.frames[1].decode(), same.series.frames[1].decode())
    assert one.truth().to_json() == same.truth().to_json()
    assert one.series.series_uid != other.series.series_uid
    assert not set(one.series.instances) & set(other.series.instances)


def test_only_the_slab_is_degraded_and_the_truth_says_so():
    arrays = slices(6)
    done = degrade_series(make_series(arrays), "ct-dose", np.random.default_rng(1), given={"dose": 0.25}, slab=(2, 4))
    moved = [not np.array_equal(frame.decode(), array) for frame, array in zip(done.series.frames, arrays, strict=True)]
    assert moved == [False, False, True, True, True, False]
    truth = done.truth()
    assert [frame.affected for frame in truth.frames] == moved
    assert [frame.severity > 5 for frame in truth.frames] == moved
    assert truth.text == "ct-dose (dose 0.25) in slices 3-5 of 6"


def test_the_truth_is_json_with_units_and_measured_severity():
    arrays = slices(3)
    done = degrade_series(make_series(arrays), "ct-rings", np.random.default_rng(1), given={"amplitude_hu": 40})
    written = json.loads(json.dumps(done.truth().to_json()))
    strength = next(one for one in written["parameters"] if one["name"] == "amplitude_hu")
    assert (strength["value"], strength["unit"]) == (40, "HU")
    assert written["severity"]["unit"] == "HU"
    inside = arrays[1] > -500
    measured = float(np.sqrt(np.mean((done.series.frames[1].decode() - arrays[1])[inside] ** 2)))
    assert written["frames"][1]["severity"] == pytest.approx(measured, rel=1e-3)
    assert measured == pytest.approx(40, rel=0.1)
    assert written["source_series_uid"] == "1.2.3.0" != written["series_uid"]


def test_no_frame_is_decoded_before_it_is_asked_for_and_decoders_travel():
    series = make_series(slices(2))
    asked = []
    watched = make_series(
        [],
        frames=[
            type(frame)(**{name: getattr(frame, name) for name in frame.__dataclass_fields__} | {"decode": Counted(asked, number)})
            for number, frame in enumerate(series.frames)
        ],
    )
    done = degrade_series(watched, "ct-dose", np.random.default_rng(0), level=1)
    assert asked == []
    done.series.frames[1].decode()
    assert asked == [1]
    pickle.dumps(done.series.frames[1].decode)


class Counted:
    """A decoder that notes when it is asked."""

    def __init__(self, asked: list[int], number: int) -> None:
        self.asked, self.number = asked, number

    def __call__(self) -> np.ndarray:
        self.asked.append(self.number)
        return slices(1)[0]


def test_thick_slices_are_the_mean_of_their_neighbours_and_shorter_at_the_ends():
    arrays = [np.full((16, 16), value, dtype=np.float32) for value in (0, 30, 60, 0, 90)]
    done = degrade_series(make_series(arrays), "partial-volume", np.random.default_rng(0), given={"slices": 3})
    assert [float(frame.decode()[0, 0]) for frame in done.series.frames] == pytest.approx([15, 30, 30, 50, 45])
    # Noise of n independent slices falls with the root of n.
    rng = np.random.default_rng(3)
    noise = [rng.normal(0, 10, (64, 64)).astype(np.float32) for _ in range(9)]
    thick = degrade_series(make_series(noise), "partial-volume", np.random.default_rng(0), given={"slices": 5})
    assert thick.series.frames[4].decode().std() == pytest.approx(10 / np.sqrt(5), rel=0.05)


def test_a_pixel_without_a_value_has_none_afterwards_and_lends_none():
    arrays = [np.full((8, 8), value, dtype=np.float32) for value in (0, 30, 60)]
    arrays[0][0, 0] = arrays[1][1, 1] = np.nan
    middle = degrade_series(make_series(arrays), "partial-volume", np.random.default_rng(0), given={"slices": 3}).series.frames[1]
    assert middle.decode()[0, 0] == pytest.approx(45)
    assert np.isnan(middle.decode()[1, 1])
    assert middle.decode()[4, 4] == pytest.approx(30)


@drawn_by(st.floats(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_box_weighs_one_and_is_as_wide_as_declared(slices: float):
    steps, weights = zip(*box(slices), strict=True)
    assert sum(weights) == pytest.approx(1)
    # The variance of a box of width w, sampled over cells of width 1, which have one of their own.
    assert sum(weight * step**2 for step, weight in zip(steps, weights, strict=True)) <= (slices**2 + 3) / 12 + 1e-6
    assert max(weights) == pytest.approx(1 / slices)


@pytest.mark.parametrize("together", [0, 1])
def test_dropped_slices_are_gone_inside_and_the_reader_sees_the_gap(together: int):
    done = degrade_series(
        make_series(slices(12)), "dropped", np.random.default_rng(4), given={"count": 2, "together": together}, slab=(3, 8)
    )
    truth = done.truth()
    assert len(done.series.frames) == len(done.series.instances) == 10
    assert len(truth.lost) == 2
    assert all(3 <= index <= 8 for index in truth.lost)
    if together:
        assert truth.lost[1] == truth.lost[0] + 1
    note = next(note for note in done.series.notes if note.message == "missing_slices")
    assert note.values["count"] == 2
    assert done.series.volume.shape[0] == done.series.stacks[0].stop == 10


def test_duplicated_slices_show_the_one_before_and_swapped_ones_each_other():
    arrays = [np.full((8, 8), float(index), dtype=np.float32) for index in range(10)]
    twice = degrade_series(make_series(arrays), "duplicated", np.random.default_rng(2), given={"count": 3})
    shown = [int(frame.decode()[0, 0]) for frame in twice.series.frames]
    assert sorted(index - value for index, value in enumerate(shown)) == [0] * 7 + [1] * 3
    assert [frame.source[0][0] for frame in twice.truth().frames] == shown
    swapped = degrade_series(make_series(arrays), "swapped", np.random.default_rng(2), given={"count": 2, "distance": 3})
    shown = [int(frame.decode()[0, 0]) for frame in swapped.series.frames]
    assert sorted(shown) == list(range(10))
    assert sorted(abs(index - value) for index, value in enumerate(shown)) == [0] * 6 + [3] * 4
    # The headers stay: only what is shown has moved.
    assert [frame.header.position_mm for frame in swapped.series.frames] == [
        frame.header.position_mm for frame in make_series(arrays).frames
    ]


def test_faults_stay_within_their_stack():
    arrays = [np.full((8, 8), 100.0 * (index // 5) + index, dtype=np.float32) for index in range(10)]
    done = degrade_series(make_series(arrays, stacks=2), "partial-volume", np.random.default_rng(0), given={"slices": 3})
    assert [float(frame.decode()[0, 0]) for frame in done.series.frames][4:6] == pytest.approx([3.5, 105.5])


@pytest.mark.parametrize("kind", [name for name in names() if name.startswith("ct-") or name in FAULTS])
def test_every_kind_can_be_given_to_a_slab_of_a_ct_series(kind: str):
    done = degrade_series(make_series(slices(12)), kind, np.random.default_rng(7), level=2, slab=(3, 9))
    frame = done.pixels(5 if kind != "dropped" else 2).image()
    assert np.isfinite(frame.array).all()
    touched = [index for index in range(len(done.series.frames)) if done.pixels(index).affected]
    assert set(touched) <= set(range(3, 10))
    assert (len(touched) == 7) is (kind not in {"dropped", "duplicated", "swapped"})


def test_mr_and_pet_kinds_go_by_their_level():
    heads = [mr_head(np.random.default_rng(index), size=64) for index in range(3)]
    done = degrade_series(make_series(heads, modality="MR"), "mr-ghost", np.random.default_rng(0), level=3, slab=(1, 1))
    truth = done.truth()
    assert [frame.affected for frame in truth.frames] == [False, True, False]
    assert 0.05 < truth.severity < 1
    assert json.dumps(truth.to_json())


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("ct-dosse", {"level": 1}, "the nearest is ct-dose"),
        ("mr-noise", {"level": 1}, "the series is CT"),
        ("ct-dose", {"level": 5}, "none of 1 to 4"),
        ("ct-dose", {}, "needs a level or the parameter dose"),
        ("ct-dose", {"given": {"dose": 2.0}}, "out of its range"),
        ("ct-dose", {"level": 2, "given": {"dose": 0.3}}, "give one of the two"),
        ("ct-dose", {"given": {"views": 2.0}}, "has no parameter views"),
        ("ct-dose", {"level": 1, "slab": (2, 9)}, "slices 3-10 are not all there: the series has 4"),
        ("dropped", {"level": 3}, "room for 2 of the 4"),
        ("swapped", {"given": {"count": 3}}, "room for"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(kind: str, values: dict, said: str):
    with pytest.raises(InvalidDegradation, match=r"^MQ700: .*simulate --list") as refused:
        degrade_series(make_series(slices(4)), kind, np.random.default_rng(4), **values)
    assert said in str(refused.value)


def test_the_catalogue_describes_every_kind_with_units_ranges_and_four_levels():
    described = {one["kind"]: one for one in catalogue()}
    assert set(described) == set(names())
    for one in described.values():
        assert len(one["levels"]) == 4
        assert one["summary"]
        for parameter in one["parameters"]:
            assert parameter["meaning"]
            assert parameter["unit"]
        strength = one["parameters"][0]
        if strength["low"] is not None:
            assert all(strength["low"] <= level <= strength["high"] for level in one["levels"])
    assert json.dumps(catalogue())
