"""However a series comes in, it comes to the same assessment: the load, the order and the company change nothing."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicom_node import process
from dicom_node.alone import Load
from dicom_node.catalogue import Catalogue
from dicom_node.lifecycle import State
from dicom_node.node import PROGRAMS, Node, load_bundles
from medqa import reader
from medqa.config import CompletionSettings, NodeSettings, Settings
from reports import wording
from tests.node.small_series import fake_load, send, series, write

CLOCK_FIELDS = {"judged_at"}


def in_order(port: int, instances: list[Dataset]) -> None:
    send(port, instances)


def shuffled(port: int, instances: list[Dataset]) -> None:
    send(port, random.Random(20260102).sample(instances, len(instances)))


def twice(port: int, instances: list[Dataset]) -> None:
    send(port, [*instances, *instances])


def over_two_associations(port: int, instances: list[Dataset]) -> None:
    send(port, instances[::2])
    send(port, instances[1::2])


def one_association_per_image(port: int, instances: list[Dataset]) -> None:
    for instance in instances:
        send(port, [instance])


WAYS: list[Callable[[int, list[Dataset]], None]] = [in_order, shuffled, twice, over_two_associations, one_association_per_image]


def settings_in(folder: Path) -> Settings:
    """A PET series whose last slice is declared needs no timer; the others settle soon, so that the test is quick."""
    return Settings(
        node=NodeSettings(storage=folder, host="127.0.0.1", port=0),
        completion=CompletionSettings(settle_ct_s=2.0, settle_mr_s=2.0),
    )


@contextmanager
def running(folder: Path, load: Load) -> Iterator[Node]:
    """A node that sends nothing on."""
    node = Node(settings_in(folder), load=load, programs=tuple(program for program in PROGRAMS if program.name != "delivery"))
    node.start()
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("node"), fake_load) as one:
        yield one


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_a_series_gives_the_same_assessment_however_it_is_sent_and_from_disk(modality: str, node: Node, tmp_path: Path) -> None:
    _send_every_way(node, modality, fake_load, tmp_path)


def test_the_networks_that_are_installed_give_the_same_assessment_too(tmp_path: Path) -> None:
    scorers = load_bundles(Settings()).scorers
    if not scorers:
        pytest.skip("no usable bundle is installed")
    with running(tmp_path / "node", load_bundles) as node:
        _send_every_way(node, scorers[0].modality, load_bundles, tmp_path)


def _send_every_way(node: Node, modality: str, load: Load, tmp_path: Path) -> None:
    sent = {way: series(modality, 12, seed=seed) for seed, way in enumerate(WAYS)}
    for way, instances in sent.items():
        way(node.port, instances)
    for way, instances in sent.items():
        from_disk = _from_disk(load, write(tmp_path / way.__name__, instances)[0].parent)
        assert _from_node(node.settings, instances) == from_disk, way.__name__
        assert from_disk["series"]["frames"] == 12


def _from_node(settings: Settings, instances: list[Dataset]) -> dict[str, Any]:
    """Wait for the report of a series, and return its assessment.json."""
    catalogue = Catalogue.open(settings)
    uid = instances[0].SeriesInstanceUID
    for _ in range(1200):
        record = catalogue.series(uid)
        if record is not None and record.state in {State.RENDERED, State.DELIVERED, State.FAILED}:
            break
        time.sleep(0.05)
    else:
        pytest.fail("there was no report")
    catalogue.close()
    assert record.revision == 1
    assert record.reason is None
    file = settings.node.storage / "reports" / record.key / "revision-1" / "assessment.json"
    return _without_clock(json.loads(file.read_text(encoding="utf-8")))


def _from_disk(load: Load, folder: Path) -> dict[str, Any]:
    """Return what `medqa assess` makes of a folder."""
    (one,) = reader.read(folder).series
    settings = Settings()
    shelf = load(settings)
    assessment = process.assess_from_disk(one, shelf.scorers, settings, unusable=shelf.unusable)
    return _without_clock(json.loads(json.dumps(wording.document(assessment, "en"))))


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clock(item) for key, item in value.items() if key not in CLOCK_FIELDS}
    return [_without_clock(item) for item in value] if isinstance(value, list) else value
