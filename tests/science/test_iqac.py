"""The set in the challenge's form, and the readers who score it, against the published scores and the two known images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from medqa.cli import app
from medqa.errors import NotApplicable, NothingToRead
from medqa.simulate import iqac, phantom
from medqa.simulate.ct import KINDS
from medqa.simulate.reader_model import READERS, Impression, Panel, draw_panel, impression, label, opinion
from tests.science.factories import make_series

SIDE = 160


def tiff(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def clean() -> phantom.Phantom:
    return phantom.ct(np.random.default_rng(11), slices=1, size=SIDE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[iqac.Item]]:
    folder = tmp_path_factory.mktemp("set")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iqac, "SIDE", SIDE)
        items = iqac.make(folder, iqac.phantoms(6, seed=3), count=16, generator=np.random.default_rng(1))
    return folder / "LDCTIQAG2023_train", items


@pytest.mark.parametrize(("name", "low", "high"), [("test011.tiff", 0.3, 1.7), ("test016.tiff", 3.3, 4.0)])
def test_the_two_known_images_get_about_what_people_gave_them(data: Path, name: str, low: float, high: float) -> None:
    stored = tiff(data / "ct" / "ldct_iqac" / name)
    assert (stored.dtype, stored.shape) == (np.float32, (512, 512))
    seen = impression(iqac.decode(stored), iqac.FIELD_MM / 512)
    assert low <= opinion(seen) <= high
    generator = np.random.default_rng(2)
    labels = [label(draw_panel(generator).scores(opinion(seen), generator)) for _ in range(200)]
    assert low <= np.mean(labels) <= high


def test_the_published_scores_are_those_of_the_file(data: Path) -> None:
    scores = json.loads((data / "ct" / "ldct_iqac" / "train.json").read_text())
    assert iqac.distance(scores.values()) == pytest.approx(0, abs=1e-12)
    assert sum(iqac.PUBLISHED) == len(scores)


def test_readers_of_the_aims_give_the_published_distribution() -> None:
    generator = np.random.default_rng(7)
    panel = draw_panel(generator)
    labels = [label(panel.scores(aim, generator)) for aim in iqac.aims(1000, generator)]
    assert iqac.distance(labels) < 0.06
    # A set of middling images only is far from it.
    assert iqac.distance([label(panel.scores(2.0, generator)) for _ in range(300)]) > 0.2


def test_labels_lie_on_the_grid_of_five_readers() -> None:
    generator = np.random.default_rng(7)
    panel = draw_panel(generator)
    assert len(panel.bias) == READERS
    assert sum(panel.bias) == pytest.approx(0)
    labels = np.array([label(panel.scores(score, generator)) for score in generator.uniform(0, 4, 300)])
    assert np.allclose(labels * 5, np.rint(labels * 5))
    assert (labels.min(), labels.max()) == (0, 4)
    assert Panel(bias=(0.0,) * 5, noise=(0.0,) * 5).scores(2.9, generator) == (3, 3, 3, 3, 3)
    assert Panel(bias=(-1.0, 0.0, 1.0, 2.0, -3.0), noise=(0.0,) * 5).scores(2.0, generator) == (1, 2, 3, 4, 0)


def test_the_opinion_falls_with_noise_and_streaks_and_rises_with_detectability() -> None:
    middle = Impression(noise_hu=35, streaks_hu=15, detectability=2.0)
    for worse in (middle._replace(noise_hu=45), middle._replace(streaks_hu=20), middle._replace(detectability=1.5)):
        assert opinion(worse) < opinion(middle)
    assert opinion(Impression(5, 2, 10)) == 4
    assert opinion(Impression(150, 60, 0.3)) == 0


@pytest.mark.parametrize(("kind", "name", "values"), [("dose", "dose", (0.5, 0.2, 0.08)), ("streaks", "views", (72, 45, 30))])
def test_every_step_of_strength_is_seen(clean: phantom.Phantom, kind: str, name: str, values: tuple[float, ...]) -> None:
    array, pixel_mm = clean.array[0], clean.grid.pixel_mm
    scores = [opinion(impression(array, iqac.FIELD_MM / SIDE))]
    for value in values:
        plan = KINDS[kind].plan(np.random.default_rng(4), pixel_mm=pixel_mm, given={name: value})
        degraded = array + KINDS[kind].change(array, plan.parameters, pixel_mm)
        scores.append(opinion(impression(degraded, iqac.FIELD_MM / SIDE)))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] + 1


def test_noise_is_measured_in_its_own_unit(clean: phantom.Phantom) -> None:
    array = clean.array[0]
    flat = np.where(array > -500, np.float32(60), np.float32(-1000))
    noise = np.random.default_rng(3).standard_normal(array.shape).astype(np.float32)
    seen = [impression(flat + deviation * noise, iqac.FIELD_MM / SIDE) for deviation in (10, 20)]
    assert seen[0].noise_hu == pytest.approx(10, rel=0.1)
    assert seen[1].noise_hu == pytest.approx(2 * seen[0].noise_hu, rel=0.1)
    assert seen[1].detectability == pytest.approx(seen[0].detectability / 2, rel=0.1)


@pytest.mark.parametrize(
    ("side", "value", "reason"), [(SIDE, -1000, "no_soft_tissue"), (SIDE, 40, "constant_image"), (16, 40, "no_soft_tissue")]
)
def test_what_holds_nothing_to_read_has_no_score(side: int, value: float, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        impression(np.full((side, side), value, dtype=np.float32), 1.0)


def test_hu_and_stored_values_belong_together() -> None:
    values = np.array([-1024.0, -1000.0, -300.0, 400.0, 1500.0], dtype=np.float32)
    assert iqac.encode(values) == pytest.approx(np.array([0, 0, 0.5, 1, 1]))
    assert iqac.encode(values).dtype == np.float32
    assert iqac.decode(iqac.encode(values)) == pytest.approx(np.array([-1000, -1000, -300, 400, 400]), abs=1e-3)


def test_the_set_has_the_form_of_the_challenge(made: tuple[Path, list[iqac.Item]]) -> None:
    folder, items = made
    names = [f"{number:04d}.tif" for number in range(16)]
    assert sorted(path.name for path in (folder / "image").iterdir()) == names
    scores = json.loads((folder / "train.json").read_text())
    assert list(scores) == names
    assert scores == {item.name: item.label for item in items}
    for name in names:
        stored = tiff(folder / "image" / name)
        assert (stored.dtype, stored.shape) == (np.float32, (SIDE, SIDE))
        assert stored.min() >= 0
        assert stored.max() <= 1
    with Image.open(folder / "image" / names[0]) as image:
        # Samples a pixel, bits, sample format 3: IEEE floating point (TIFF 6.0).
        assert (image.tag_v2.get(277, 1), image.tag_v2[258], image.tag_v2[339]) == (1, (32,), (3,))


def test_the_scores_are_distributed_as_the_published_ones(made: tuple[Path, list[iqac.Item]]) -> None:
    _, items = made
    print(f"distance {iqac.distance(item.label for item in items):.3f}")
    assert iqac.distance(item.label for item in items) < 0.15
    assert len({item.views for item in items}) >= 3
    assert len({item.dose for item in items}) >= 6


def test_a_label_is_of_the_file_not_of_the_aim(made: tuple[Path, list[iqac.Item]]) -> None:
    folder, items = made
    truth = json.loads((folder / "truth.json").read_text())
    for item in items[:4]:
        seen = impression(iqac.decode(tiff(folder / "image" / item.name)), iqac.FIELD_MM / SIDE)
        told = truth["images"][item.name]
        assert opinion(seen) == pytest.approx(told["opinion"], abs=0.02)
        assert told["label"] == pytest.approx(np.mean(told["readers"]))
        assert abs(item.label - told["opinion"]) < 1


def test_slices_stay_with_their_patient(made: tuple[Path, list[iqac.Item]]) -> None:
    folder, items = made
    groups = json.loads((folder / "groups.json").read_text())
    assert groups == {item.name: item.patient for item in items}
    assert sorted(groups.values()).count("phantom-0000") == 13
    assert sorted(groups.values()).count("phantom-0001") == 3


def test_the_same_seed_makes_the_same_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iqac, "SIDE", SIDE)
    for name in ("one", "two"):
        iqac.make(tmp_path / name, iqac.phantoms(1, seed=5), count=2, generator=np.random.default_rng(8))
    one, two = (tmp_path / name / "LDCTIQAG2023_train" for name in ("one", "two"))
    for path in sorted(one.rglob("*.*")):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()


def test_own_scans_lose_their_names_and_what_cannot_be_read(clean: phantom.Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iqac, "SIDE", SIDE)
    lung = np.full((SIDE, SIDE), -850.0, dtype=np.float32)
    mixed, small = make_series([clean.array[0], lung, clean.array[0]]), make_series([clean.array[0][:64, :64]])
    mixed.header.PatientID = "real name"
    sources = iqac.scans([small, mixed], 3)
    assert [source.patient for source in sources] == ["patient-0000"] * 2
    with pytest.raises(NothingToRead, match="soft tissue"):
        iqac.scans([small], 3)


def test_the_command_makes_a_set_and_says_how_far_it_is_from_the_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iqac, "SIDE", SIDE)
    done = CliRunner().invoke(app, ["iqac", str(tmp_path / "set"), "--count", "2"])
    assert done.exit_code == 0, done.output
    assert "2 images of 1 patients" in done.output
    assert "published ones: " in done.output
    assert len(list((tmp_path / "set" / "LDCTIQAG2023_train" / "image").iterdir())) == 2
    again = CliRunner().invoke(app, ["iqac", str(tmp_path / "set")])
    assert again.exit_code
    assert "not empty" in str(again.exception)
