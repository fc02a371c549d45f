"""Real scans through a real node: dcmtk sends, medqa judges, dciodvfy finds no error, Orthanc keeps everything."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from dicom_node.lifecycle import State
from tests.peers.conftest import Orthanc
from tests.peers.running import RunningNode, results, send, unpack

SUBSET = {
    "ct": ("lidc_0001.zip", "tcga_60_2722.zip", "stage2crc.zip", "supria_head.zip"),
    "mr": 3,
    "pt": ("pt_sts005_crop.zip", "pt_nemaiq_recon2.zip", "pt_acrinflt028_slice.zip"),
}
"""A few small scans of each modality, test subjects among them; a number takes the smallest of the `test` split."""
OURS = {"1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.33"}


def chosen(data: Path) -> list[Path]:
    """Return the archives of the subset."""
    archives = []
    for folder, wanted in SUBSET.items():
        if isinstance(wanted, int):
            with (data / folder / "manifest.csv").open(encoding="utf-8") as file:
                rows = [row["file"] for row in csv.DictReader(file) if row["split"] == "test" and row["file"].endswith(".zip")]
            archives += sorted((data / folder / name for name in rows), key=lambda path: (path.stat().st_size, path.name))[:wanted]
        else:
            archives += [data / folder / name for name in wanted]
    return [archive for archive in archives if archive.exists()]


@pytest.fixture
def node(orthanc: Orthanc, tmp_path: Path) -> RunningNode:
    archive = {"pacs": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": orthanc.dicom_port}}
    environment = {
        "MEDQA_ROUTING__RESULTS": "pacs",
        "MEDQA_ROUTING__DESTINATIONS": json.dumps(archive),
        "MEDQA_ROUTING__RULES": '[{"destination": "pacs", "action": "forward"}]',
        "MEDQA_COMPLETION__SETTLE_CT_S": "2",
        "MEDQA_COMPLETION__SETTLE_MR_S": "2",
        "MEDQA_COMPLETION__SETTLE_PT_S": "2",
        "MEDQA_COMPLETION__GAP_FACTOR": "1",
    }
    return RunningNode(tmp_path / "store", environment)


def test_real_scans_reach_a_verdict_a_report_and_the_archive(
    data: Path,
    node: RunningNode,
    orthanc: Orthanc,
    peer: Callable[[str, str], str],
    validate: Callable[[Path], list[str]],
    tmp_path: Path,
    real_series: list[str],
) -> None:
    storescu = peer("storescu", "dcmtk")
    sent: set[str] = set()
    node.start()
    try:
        for archive in chosen(data):
            files = unpack(archive, tmp_path / "unpacked" / archive.stem)
            failed = send(storescu, files, node.port)
            sent |= {
                str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in files if file.name not in failed
            }
        records = node.settle(240)
    finally:
        node.stop()
    ended = {record.state for record in records}
    assert ended <= {State.DELIVERED, State.NOT_JUDGED}, node.log.read_text(errors="replace")[-3000:]
    judged = [record for record in records if record.state is State.DELIVERED]
    assert len(judged) >= 8
    real_series.extend(record.key for record in judged)
    catalogue = node.catalogue()
    for record in judged:
        stored = catalogue.assessment(record.series_uid)
        assert stored is not None
        assert stored.verdict in {"ADEQUATE", "REVIEW", "RESCAN"}
    catalogue.close()
    objects = results(node)
    assert {file.name: validate(file) for file in objects if validate(file)} == {}
    in_archive = {orthanc.get(f"/instances/{name}")["MainDicomTags"]["SOPInstanceUID"] for name in orthanc.get("/instances")}
    assert sent <= in_archive
    ours = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in objects}
    assert ours <= in_archive
    assert len(ours) >= len(OURS) * len(judged)
