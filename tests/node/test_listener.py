"""Objects sent over real associations are on disk byte for byte, and in the catalogue, before the sender hears success."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config
from pynetdicom.sop_class import Verification
from sqlalchemy.exc import OperationalError

from dicom_node import header
from dicom_node.listener import GroupCommit
from dicom_node.records import Arrival
from dicom_node.storage import data_set_start
from medqa.errors import PortInUse, UnreadableInstance
from medqa.reader import sop_classes
from tests.node.loopback import (
    BIG,
    CT,
    DEFLATED,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    MR,
    PT,
    RLE,
    Receiving,
    Thing,
    associate,
    receiving,
    settings_of,
    thing,
)

SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K, RLE)
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"


@pytest.fixture(autouse=True)
def _bytes_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(settings_of(tmp_path / "node")) as running:
        yield running


def stored_data(path: Path) -> bytes:
    content = path.read_bytes()
    return content[data_set_start(content) :]


def test_echo_is_answered(node: Receiving) -> None:
    entity = AE()
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", node.port)
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_bytes_are_kept_as_received_in_every_transfer_syntax(node: Receiving, tmp_path: Path, syntax: str) -> None:
    sent = thing(1, syntax=syntax)
    assert node.send([sent.file(tmp_path)]) == [0x0000]
    (kept,) = node.catalogue.instances_of("1.2.3.1")
    assert stored_data(kept.path) == sent.data
    assert (kept.size, kept.crc, kept.transfer_syntax) == (len(sent.data), zlib.crc32(sent.data), syntax)
    meta = read_file_meta_info(kept.path)
    assert (meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID) == (syntax, sent.sop_instance_uid)
    assert dcmread(kept.path, stop_before_pixels=True).SeriesInstanceUID == "1.2.3.1"
    assert kept.judged
    assert kept.instance_number == 1


def test_classes_that_nobody_knows_are_taken_and_never_judged(node: Receiving, tmp_path: Path) -> None:
    strange = thing(1, sop_class=PRIVATE_CLASS)
    assert node.send([strange.file(tmp_path)]) == [0x0000]
    (record,) = node.catalogue.open_series(judged=False)
    assert (record.judged, record.instances, record.others) == (False, 0, 1)
    assert node.catalogue.open_series() == []


def test_an_object_of_ours_that_comes_back_is_flagged_and_not_judged(node: Receiving, tmp_path: Path) -> None:
    report = thing(1, sop_class="1.2.840.10008.5.1.4.1.1.104.1", Manufacturer="medqa")
    assert node.send([report.file(tmp_path)], ae_title="ARCHIVE") == [0x0000]
    (kept,) = node.catalogue.instances_of("1.2.3.1")
    assert (kept.own, kept.judged) == (True, False)


def test_the_same_bytes_again_are_acknowledged_and_kept_once(node: Receiving, tmp_path: Path) -> None:
    path = thing(1).file(tmp_path)
    assert node.send([path, path]) == [0x0000, 0x0000]
    assert node.send([path], ae_title="OTHER") == [0x0000]
    assert len(node.catalogue.instances_of("1.2.3.1")) == 1
    assert len(list(node.settings.node.storage.rglob("*.dcm"))) == 1


def test_other_bytes_under_one_uid_are_kept_beside_and_flagged(node: Receiving, tmp_path: Path) -> None:
    first, second = thing(1, fill=7), thing(1, fill=8)
    assert node.send([first.file(tmp_path), second.file(tmp_path), second.file(tmp_path)]) == [0x0000] * 3
    kept = node.catalogue.instances_of("1.2.3.1")
    assert [stored_data(one.path) for one in kept] == [first.data, second.data]
    assert [(one.copy, one.conflict) for one in kept] == [(0, False), (1, True)]
    (record,) = node.catalogue.open_series()
    assert (record.instances, record.conflicts) == (1, 1)
    assert [event.data for event in node.catalogue.events_since(0) if event.kind == "conflict"] == [{"objects": 1}]


def test_one_uid_in_two_series_is_two_objects(node: Receiving, tmp_path: Path) -> None:
    first = thing(1)
    second = Thing(CT, first.sop_instance_uid, EXPLICIT, thing(1, SeriesInstanceUID="1.2.3.2").data)
    assert node.send([first.file(tmp_path), second.file(tmp_path)]) == [0x0000] * 2
    assert [one.conflict for uid in ("1.2.3.1", "1.2.3.2") for one in node.catalogue.instances_of(uid)] == [False, False]


def test_a_lost_file_is_healed_by_the_sender(node: Receiving, tmp_path: Path) -> None:
    sent = thing(1)
    node.send([sent.file(tmp_path)])
    (kept,) = node.catalogue.instances_of("1.2.3.1")
    kept.path.unlink()
    assert node.send([sent.file(tmp_path)]) == [0x0000]
    assert stored_data(kept.path) == sent.data
    assert len(node.catalogue.instances_of("1.2.3.1")) == 1


def test_no_uid_and_no_name_becomes_a_path(node: Receiving, tmp_path: Path) -> None:
    evil = thing(1, SeriesInstanceUID="../../../../escape", StudyInstanceUID="/etc", PatientName="../x")
    assert node.send([evil.file(tmp_path)]) == [0x0000]
    (kept,) = node.catalogue.instances_of("../../../../escape")
    assert kept.path.is_relative_to(node.settings.node.storage.resolve() / "objects")
    assert all(set(part) <= set("0123456789abcdef.dcm") for part in kept.path.parts[-3:])


def test_a_nearly_full_disk_refuses_before_it_is_full(tmp_path: Path) -> None:
    free = 10 * 1024 * 1024 + 20_000
    settings = settings_of(tmp_path / "node", MEDQA_NODE__DISK_RESERVE_MB="10")
    with receiving(settings, free=lambda _path: free) as node:
        small, large = thing(1), thing(2, size=128)
        assert node.send([small.file(tmp_path), large.file(tmp_path)]) == [0x0000, 0xA700]
        assert [one.sop_instance_uid for one in node.catalogue.instances_of("1.2.3.1")] == [small.sop_instance_uid]


def test_a_disk_that_fails_is_out_of_resources_and_leaves_nothing(
    node: Receiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("dicom_node.storage.os.fsync", fail)
        assert node.send([thing(1).file(tmp_path)]) == [0xA700]
    assert list(node.settings.node.storage.rglob("*.part")) == []
    assert node.catalogue.instances_of("1.2.3.1") == []
    assert node.send([thing(1).file(tmp_path)]) == [0x0000]


def test_a_catalogue_that_fails_is_never_success(node: Receiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_arrivals: object) -> list[int]:
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr(node.listener._commits, "_commit", fail)
        assert node.send([thing(1).file(tmp_path)]) == [0xA700]
    assert node.send([thing(1).file(tmp_path)]) == [0x0000]
    assert len(node.catalogue.instances_of("1.2.3.1")) == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x08\x00\x18\x00UI\x04\x001.2\x00", 0xC000),
        (b"this is no data set at all, but it is long enough to be looked at", 0xC000),
        (thing(1).data.replace(b"1.2.3.1.1\x00", b"1.2.3.1.9\x00"), 0xA900),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(node: Receiving, tmp_path: Path, data: bytes, status: int) -> None:
    good = thing(2)
    files = [Thing(CT, "1.2.3.1.1", EXPLICIT, data).file(tmp_path), good.file(tmp_path)]
    assert node.send(files) == [status, 0x0000]


def test_a_truncated_object_and_a_huge_length_are_kept_for_the_judge(node: Receiving, tmp_path: Path) -> None:
    whole = thing(1, syntax=IMPLICIT).data
    huge = whole[: whole.index(b"\xe0\x7f\x10\x00")] + b"\xe0\x7f\x10\x00\xfe\xff\xff\xff" + b"\0" * 64
    files = [Thing(CT, "1.2.3.1.1", IMPLICIT, data).file(tmp_path) for data in (whole[:-3000], huge)]
    assert node.send(files) == [0x0000, 0x0000]


def test_an_aborted_association_keeps_what_was_acknowledged_and_proves_nothing(node: Receiving, tmp_path: Path) -> None:
    sent = [thing(number) for number in (1, 2, 3)]
    assert node.send([one.file(tmp_path) for one in sent], abort=True) == [0x0000] * 3
    record = _wait(lambda: _closed(node))
    assert (record.instances, record.open_associations, record.last_released) == (3, 0, None)
    assert all(stored_data(one.path) == other.data for one, other in zip(node.catalogue.instances_of("1.2.3.1"), sent, strict=True))
    node.send([thing(4).file(tmp_path)])
    assert _wait(lambda: _closed(node)).last_released is not None


def _closed(node: Receiving) -> object | None:
    (record,) = node.catalogue.open_series()
    return record if record.open_associations == 0 else None


def _wait(ask: Callable[[], object | None]) -> object:
    for _ in range(200):
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_an_open_association_of_the_sender_is_seen(node: Receiving, tmp_path: Path) -> None:
    files = [thing(1).file(tmp_path)]
    association = associate(node.port, files)
    association.send_c_store(files[0])
    (record,) = node.catalogue.open_series()
    assert record.open_associations == 1
    association.release()


def test_a_listener_that_died_left_associations_open_and_its_successor_ends_them(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "node")
    with receiving(settings) as first:
        first.send([thing(1).file(tmp_path)])
        first.catalogue.association_opened(sender="SCANNER", address="127.0.0.1", listener="one that died")
        part = settings.node.storage / "incoming" / "left.part"
        part.write_bytes(b"half")
        with receiving(settings) as second:
            assert _wait(lambda: _closed(second)).open_associations == 0
            assert not part.exists()


def test_an_ending_that_could_not_be_written_is_written_later(
    node: Receiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = []

    def fail(*_: object, **__: object) -> None:
        failed.append(True)
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    with monkeypatch.context() as patched:
        patched.setattr(node.catalogue, "association_closed", fail)
        node.send([thing(1).file(tmp_path)])
        _wait(lambda: True if failed else None)
    assert node.catalogue.open_series()[0].open_associations == 1

    def swept() -> object | None:
        node.listener.sweep()
        return _closed(node)

    assert _wait(swept).last_released is not None


def test_many_associations_at_once(node: Receiving, tmp_path: Path) -> None:
    files = [[thing(number, series=f"1.2.3.{sender}").file(tmp_path) for number in range(8)] for sender in range(1, 5)]
    answers: list[list[int | None]] = [[] for _ in files]

    def send(index: int) -> None:
        answers[index] = node.send(files[index], ae_title=f"SCANNER{index}")

    threads = [threading.Thread(target=send, args=(index,)) for index in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[0x0000] * 8] * 4
    assert sorted(record.instances for record in node.catalogue.open_series()) == [8] * 4


def test_dcmtk_sends_to_it(node: Receiving, tmp_path: Path, peer: Callable[[str, str], str]) -> None:
    sent = [thing(number) for number in range(1, 6)]
    for one in sent:
        one.file(tmp_path / "files")
    program = peer("storescu", "dcmtk")
    subprocess.run([program, "-aec", "MEDQA", "+sd", "127.0.0.1", str(node.port), tmp_path / "files"], check=True, timeout=60)
    kept = {one.sop_instance_uid: dcmread(one.path) for one in node.catalogue.instances_of("1.2.3.1")}
    # storescu writes lengths of sequences its own way, so the comparison is by value
    assert kept == {one.sop_instance_uid: dcmread(one.file(tmp_path / "again")) for one in sent}


def test_a_port_in_use_is_told(node: Receiving, tmp_path: Path) -> None:
    taken = settings_of(tmp_path / "other", MEDQA_NODE__PORT=str(node.port))
    with pytest.raises(PortInUse, match=str(node.port)), receiving(taken):
        pass


def test_the_group_commit_tells_each_thread_its_own_fate() -> None:
    entered: list[list[str]] = []

    def commit(batch: list[Arrival]) -> None:
        if any(one.sop_instance_uid == "bad" for one in batch):
            raise ValueError("bad row")
        entered.append([one.sop_instance_uid for one in batch])

    group = GroupCommit(commit)
    errors = []

    def enter(uid: str) -> None:
        try:
            group.enter(_arrival(uid))
        except ValueError:
            errors.append(uid)

    threads = [threading.Thread(target=enter, args=(uid,)) for uid in ("a", "b", "bad", "c")]
    with group._leading:  # all four wait, so that they make one batch
        for thread in threads:
            thread.start()
        while len(group._waiting) < 4:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert errors == ["bad"]
    assert sorted(uid for batch in entered for uid in batch) == ["a", "b", "c"]


def _arrival(uid: str) -> Arrival:
    return Arrival(
        sop_instance_uid=uid,
        sop_class_uid=CT,
        series_uid="1",
        study_uid="1",
        path=uid,
        size=1,
        crc=1,
        transfer_syntax=EXPLICIT,
        association=1,
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_the_header_is_read_past_nested_sequences(syntax: str) -> None:
    pet = thing(
        4, sop_class=PT, syntax=syntax, NumberOfSlices=90, NumberOfTimeSlices=2, NumberOfFrames="3", SeriesType=["DYNAMIC", "IMAGE"]
    )
    found = header.scan(pet.data, syntax)
    assert (found.series_uid, found.study_uid, found.sop_instance_uid) == ("1.2.3.1", "1.2.3", "1.2.3.1.4")
    assert (found.frames, found.instance_number, found.declared("PT")) == (3, 4, (180, ""))
    acquired = header.scan(thing(1, sop_class=MR, syntax=syntax, ImagesInAcquisition=20, AcquisitionNumber=2).data, syntax)
    assert acquired.declared("MR") == (20, "2")


@pytest.mark.parametrize(
    ("series_type", "declared"),
    [(["STATIC", "IMAGE"], 90), (["WHOLE BODY", "IMAGE"], 90), (["DYNAMIC", "IMAGE"], 540), (["GATED", "IMAGE"], 1440), (None, 90)],
)
def test_only_a_dynamic_or_gated_pet_series_repeats_its_slices(series_type: list[str] | None, declared: int) -> None:
    counts = {
        "NumberOfSlices": 90,
        "NumberOfTimeSlices": 6,
        "NumberOfTimeSlots": 8,
        "NumberOfRRIntervals": 2,
        "SeriesType": series_type,
    }
    data = thing(1, sop_class=PT, **counts).data
    assert header.scan(data, EXPLICIT).declared("PT") == (declared, "")


def test_a_private_or_wrongly_named_encoding_is_read_as_it_is() -> None:
    assert header.scan(thing(1, syntax=IMPLICIT).data, "1.2.840.113619.5.2").series_uid == "1.2.3.1"
    assert header.scan(thing(1, syntax=IMPLICIT).data, EXPLICIT).series_uid == "1.2.3.1"
    assert header.scan(thing(1, syntax=EXPLICIT).data, IMPLICIT).series_uid == "1.2.3.1"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_the_header_of_every_truncation_is_read_or_refused(syntax: str) -> None:
    data = thing(1, syntax=syntax).data
    for length in range(0, min(len(data), 900), 7):
        try:
            assert header.scan(data[:length], syntax).series_uid == "1.2.3.1"
        except UnreadableInstance:
            continue


def test_the_judged_classes_are_those_that_the_reader_reads() -> None:
    readable = {**sop_classes.CLASSIC, **sop_classes.ENHANCED}
    assert dict(header.JUDGED_CLASSES) == readable


def test_the_receive_path_imports_neither_torch_nor_the_reader() -> None:
    code = "import sys, dicom_node.listener; print([n for n in ('torch', 'monai', 'medqa.reader', 'captum') if n in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert told.stdout.strip() == "[]"
