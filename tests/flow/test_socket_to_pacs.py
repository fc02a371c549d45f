"""One study a modality from the scanner's socket to the archive: received, judged, reported, sent back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node.catalogue import Catalogue
from dicom_node.lifecycle import State
from dicom_node.node import Node
from dicom_node.records import SeriesRecord
from medqa.config import CompletionSettings, Destination, NodeSettings, RoutingSettings, Rule, Settings
from tests.node.small_series import fake_load, send, series

PDF, SR = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.33"


@dataclass
class Archive:
    """A store that keeps what it is sent."""

    port: int = 0
    received: list[Dataset] = field(default_factory=list)

    def keep(self, event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.received.append(dataset)
        return 0x0000

    def of(self, study_uid: str) -> list[Dataset]:
        return [one for one in self.received if study_uid == one.StudyInstanceUID]


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    one = Archive()
    ae = AE("ARCHIVE")
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, one.keep)])
    one.port = server.socket.getsockname()[1]
    yield one
    server.shutdown()


@pytest.fixture(scope="module")
def node(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    settings = Settings(
        node=NodeSettings(storage=tmp_path_factory.mktemp("node"), host="127.0.0.1", port=0),
        completion=CompletionSettings(settle_ct_s=1.5, settle_mr_s=1.5),
        routing=RoutingSettings(
            destinations={"archive": Destination(ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)},
            results="archive",
            rules=(Rule(action="hold", destination="archive", modality="MR", until="ADEQUATE"), Rule(destination="archive")),
        ),
    )
    running = Node(settings, load=fake_load)
    running.start()
    yield running
    running.stop()


def _delivered(node: Node, instances: list[Dataset], within_s: float = 60.0) -> SeriesRecord:
    catalogue = Catalogue.open(node.settings)
    try:
        for _ in range(int(within_s / 0.05)):
            record = catalogue.series(instances[0].SeriesInstanceUID)
            if record is not None and record.state in {State.DELIVERED, State.FAILED, State.UNDELIVERED}:
                assert record.state is State.DELIVERED, record.reason
                return record
            time.sleep(0.05)
    finally:
        catalogue.close()
    pytest.fail("it was not delivered")


def _report(node: Node, record: SeriesRecord) -> Path:
    return node.settings.node.storage / "reports" / record.key / f"revision-{record.revision}"


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_a_good_series_reaches_the_archive_with_its_report(modality: str, node: Node, archive: Archive) -> None:
    instances = series(modality, 16, seed=7, noise=0.002)
    send(node.port, instances)
    record = _delivered(node, instances)
    kept = archive.of(instances[0].StudyInstanceUID)
    originals = {one.SOPInstanceUID: one for one in kept if one.SeriesInstanceUID == instances[0].SeriesInstanceUID}
    assert len(originals) == 16
    assert all(originals[one.SOPInstanceUID].PixelData == one.PixelData for one in instances)
    ours = {one.SOPClassUID: one for one in kept if one.SOPInstanceUID not in originals}
    assert set(ours) == {PDF, SR}
    assert ours[PDF].EncapsulatedDocument.startswith(b"%PDF-")
    document = json.loads((_report(node, record) / "assessment.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "ADEQUATE"
    assert (_report(node, record) / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_a_spoiled_mr_is_held_back_while_its_report_goes_out(node: Node, archive: Archive) -> None:
    instances = series("MR", 16, seed=8, noise=0.35)
    send(node.port, instances)
    record = _delivered(node, instances)
    kept = archive.of(instances[0].StudyInstanceUID)
    assert {one.SOPClassUID for one in kept} == {PDF, SR}
    document = json.loads((_report(node, record) / "assessment.json").read_text(encoding="utf-8"))
    assert document["verdict"] in {"REVIEW", "RESCAN"}
    stored = Catalogue.open(node.settings)
    assert [event.data["cause"] for event in stored.events_since(0) if event.kind == "live_warning"] == ["low_score_frames"]
    stored.close()


def test_late_frames_bring_a_second_report_that_supersedes_the_first(node: Node, archive: Archive) -> None:
    instances = series("CT", 16, seed=9, noise=0.002)
    send(node.port, instances[:12])
    assert _delivered(node, instances).revision == 1
    send(node.port, instances[12:])
    for _ in range(1200):
        record = _delivered(node, instances)
        if record.revision == 2:
            break
        time.sleep(0.05)
    reports = [one for one in archive.of(instances[0].StudyInstanceUID) if one.SOPClassUID == SR]
    assert len(reports) == 2
    assert len({one.SOPInstanceUID for one in reports}) == 2
    first, second = (dcmread(_report(node, record).parent / f"revision-{number}" / "02-SR.dcm") for number in (1, 2))
    assert {first.SOPInstanceUID, second.SOPInstanceUID} == {one.SOPInstanceUID for one in reports}
    (superseded,) = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert superseded.ReferencedSOPInstanceUID == first.SOPInstanceUID


def test_our_own_objects_sent_back_to_us_are_kept_and_never_judged(node: Node, archive: Archive) -> None:
    instances = series("CT", 6, seed=10, noise=0.002)
    send(node.port, instances)
    _delivered(node, instances)
    (report,) = [one for one in archive.of(instances[0].StudyInstanceUID) if one.SOPClassUID == PDF]
    ae = AE("ARCHIVE")
    ae.add_requested_context(PDF, report.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", node.port, ae_title="MEDQA")
    assert association.send_c_store(report).Status == 0x0000
    association.release()
    catalogue = Catalogue.open(node.settings)
    for _ in range(400):
        record = catalogue.series(report.SeriesInstanceUID)
        if record is not None and record.state is State.NOT_JUDGED:
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"its state is {None if record is None else record.state}")
    catalogue.close()
    assert len([one for one in archive.of(instances[0].StudyInstanceUID) if one.SOPClassUID == PDF]) == 1
