"""A storage folder and a catalogue filled without a network, on a clock that the test moves."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from dicom_node.alone import Alone, Load
from dicom_node.catalogue import Catalogue
from dicom_node.evidence import EvidenceCache
from dicom_node.process import Judges
from dicom_node.records import Arrival, NodeEvent, SeriesRecord
from dicom_node.worker import Follower
from medqa.config import NodeSettings, Settings
from tests.node.small_series import encoded, fake_load


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Receiver:
    """What the listener would have done, and the scorer that follows it."""

    folder: Path
    load: Load = fake_load
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.settings = Settings(node=NodeSettings(storage=self.folder))
        self.catalogue = Catalogue.open(self.settings, clock=self.clock)
        self.follower = self.new_follower()

    def new_follower(self) -> Follower:
        """Start the scorer (again)."""
        shelf = self.load(self.settings)
        return Follower(
            self.settings,
            self.catalogue,
            Judges(shelf.scorers, shelf.unusable, self.settings),
            EvidenceCache(self.folder / "evidence.db"),
            lambda record, judged_at: Alone(self.settings, self.load, record, judged_at),
            self.clock,
        )

    def open(self, sender: str = "SCANNER") -> int:
        return self.catalogue.association_opened(sender=sender, address="127.0.0.1", listener="test")

    def close(self, association: int, ending: str = "released") -> None:
        self.catalogue.association_closed(association, ending, received=0, answered=0)

    def receive(self, datasets: Iterable[Dataset], association: int) -> None:
        """Store instances and enter them, one commit each."""
        for dataset in datasets:
            self.receive_bytes(dataset, encoded(dataset), association)

    def receive_bytes(self, dataset: Dataset, content: bytes, association: int) -> None:
        """Store any bytes under the identity of an instance."""
        path = self.folder / "objects" / f"{dataset.SOPInstanceUID}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        arrival = Arrival(
            sop_instance_uid=dataset.SOPInstanceUID,
            sop_class_uid=dataset.SOPClassUID,
            series_uid=dataset.SeriesInstanceUID,
            study_uid=dataset.StudyInstanceUID,
            path=str(path.relative_to(self.folder)),
            size=len(content),
            crc=zlib.crc32(content),
            transfer_syntax=dataset.file_meta.TransferSyntaxUID,
            association=association,
            modality=dataset.Modality,
            instance_number=int(dataset.InstanceNumber),
            declared=int(dataset.get("NumberOfSlices", 0)) or None,
        )
        self.catalogue.record_received([arrival])

    def send(self, datasets: Iterable[Dataset], ending: str = "released") -> None:
        """Receive over one association."""
        association = self.open()
        self.receive(datasets, association)
        self.close(association, ending)

    def work(self) -> None:
        """Let the scorer do all that is due now."""
        for _ in range(10_000):
            if not self.follower.step():
                return
        message = "the scorer does not come to rest"
        raise AssertionError(message)

    def after(self, seconds: float) -> None:
        """Let time pass, then the scorer work."""
        self.clock.now += seconds
        self.work()

    def events(self, kind: str) -> list[NodeEvent]:
        return [event for event in self.catalogue.events_since(0) if event.kind == kind]

    def revisions(self) -> list[SeriesRecord]:
        return self.catalogue.all_series()
