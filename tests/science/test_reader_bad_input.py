"""Bad input: a coded reason for each, the neighbours go on, memory stays bounded."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from medqa.errors import MedqaError, RefusedObject, UndecodablePixels, UnreadableInstance, UnreadableSeries, UnsafePath
from medqa.reader import read, read_instance
from tests.science.reader_factories import dataset, encoded, enhanced, ramp, store

GOOD = encoded(dataset())


def written(folder: Path, data: bytes) -> Path:
    path = folder / "bad.dcm"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"This is a letter, not an image.\n" * 20,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
        b"\0" * 128 + b"DICM",
        b"\0" * 128 + b"DICM" + b"\xff" * 400,
        GOOD[:200],
        GOOD[:133],
    ],
    ids=["empty", "one byte", "text", "png", "magic only", "magic and noise", "cut in meta", "cut in first tag"],
)
def test_what_is_no_dicom_file_has_a_code(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnreadableInstance) as caught:
        read_instance(written(tmp_path, data))
    assert caught.value.code == "MQ201"


def test_one_bad_file_does_not_cost_its_neighbours(tmp_path: Path) -> None:
    store(tmp_path, [dataset(index=index) for index in range(4)])
    (tmp_path / "notes.dcm").write_text("not an image " * 20)
    (tmp_path / "zero.dcm").write_bytes(b"")
    (tmp_path / "cut.dcm").write_bytes(GOOD[:600])
    reading = read(tmp_path)
    assert len(reading.series[0].frames) == 4
    assert [(item.name, item.kind) for item in reading.left_out if item.kind == "unreadable"][-2:] == [
        ("notes.dcm", "unreadable"),
        ("zero.dcm", "unreadable"),
    ]
    assert all(item.code in {"MQ201", "MQ202", "MQ210"} for item in reading.left_out)


def test_a_truncated_slice_keeps_its_place_and_cannot_be_decoded(tmp_path: Path) -> None:
    paths = store(tmp_path, [dataset(index=index) for index in range(3)])
    paths[1].write_bytes(paths[1].read_bytes()[:-500])
    frames = read(tmp_path).series[0].frames
    assert len(frames) == 3
    frames[0].read()
    with pytest.raises(UndecodablePixels, match="ends within"):
        frames[1].read()
    frames[2].read()


def test_missing_pixels_have_a_code(tmp_path: Path) -> None:
    made = dataset()
    data = encoded(made)
    with pytest.raises(UndecodablePixels, match="MQ202"):
        read_instance(written(tmp_path, data[: data.rindex(b"\xe0\x7f\x10\x00")]))
    made.PixelData = b""
    with pytest.raises(UndecodablePixels):
        read_instance(written(tmp_path, encoded(made)))


@pytest.mark.parametrize("size", [{"Rows": 4000}, {"Rows": 65535, "Columns": 65535}])
def test_wrong_rows_are_refused_before_anything_is_allocated(tmp_path: Path, size: dict[str, int]) -> None:
    frame = read_instance(written(tmp_path, encoded(dataset(**size)))).frames[0]
    tracemalloc.start()
    with pytest.raises(UndecodablePixels):
        frame.read()
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


@pytest.mark.parametrize("size", [{"Rows": 0}, {"Rows": None}, {"Columns": 0}])
def test_no_rows_at_all(tmp_path: Path, size: dict[str, int]) -> None:
    with pytest.raises(UndecodablePixels):
        read_instance(written(tmp_path, encoded(dataset(**size))))


def test_a_claim_of_four_gigabytes_allocates_nothing(tmp_path: Path) -> None:
    tag = b"\xe0\x7f\x10\x00OW\0\0"
    at = GOOD.rindex(tag) + len(tag)
    claims = [GOOD[:at] + struct.pack("<I", 0xFFFFFFF0) + GOOD[at + 4 :]]
    # the same claim in a header element, in the middle of the header
    element = b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", 0xFFFFFFF0)
    at = GOOD.index(b"\x10\x00\x10\x00PN")
    claims.append(GOOD[:at] + element + GOOD[at:])
    for data in claims:
        tracemalloc.start()
        with contextlib.suppress(UnreadableInstance, UndecodablePixels):
            read_instance(written(tmp_path, data)).frames[0].read()
        assert tracemalloc.get_traced_memory()[1] < 5e6
        tracemalloc.stop()


def test_a_large_file_is_mapped_and_not_believed(tmp_path: Path) -> None:
    element = b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", 0xFFFFFFF0)
    at = GOOD.index(b"\x10\x00\x10\x00PN")
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(GOOD[:at] + element)
        file.truncate(40 * 1024**2)  # sparse, beyond what is read at once
    with pytest.raises(MedqaError):
        read_instance(path)


def test_absurd_numbers_of_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UndecodablePixels, match="frames"):
        read_instance(written(tmp_path, encoded(dataset(NumberOfFrames=2_000_000_000))))


def test_too_few_frames_fail_one_by_one(tmp_path: Path) -> None:
    made = enhanced("enhanced CT", np.stack([ramp(0), ramp(1)]), [{"z": 3 * z} for z in range(4)], NumberOfFrames=4)
    frames = read_instance(written(tmp_path, encoded(made))).frames
    assert len(frames) == 4
    assert frames[1].read().array.shape == (32, 40)
    with pytest.raises(UndecodablePixels):
        frames[2].read()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, "1.2.840.10008.1.2.4.100", "1.2.3.4.5"])
def test_a_syntax_that_no_decoder_reads(tmp_path: Path, syntax: str, capfd: pytest.CaptureFixture[str]) -> None:
    from pydicom.encaps import encapsulate

    made = dataset()
    made.PixelData = encapsulate([b"garbage" * 400])
    made["PixelData"].is_undefined_length = True
    if syntax == "1.2.3.4.5":
        data = encoded(made, RLELossless).replace(b"1.2.840.10008.1.2.5\0", b"1.2.3.4.5".ljust(20, b"\0"))
    else:
        data = encoded(made, syntax)
    frame = read_instance(written(tmp_path, data)).frames[0]
    with pytest.raises(UndecodablePixels, match="MQ202"):
        frame.read()


def test_a_deflated_bomb_is_not_inflated(tmp_path: Path) -> None:
    data = encoded(dataset(), DeflatedExplicitVRLittleEndian)
    end = 144 + struct.unpack("<I", data[140:144])[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(600)) + packer.flush()
    with pytest.raises(UnreadableInstance):
        read_instance(written(tmp_path, data[:end] + bomb))


@pytest.mark.parametrize("slope", ["0", "nan", "1e999", "abc"])
def test_a_rescale_that_is_zero_or_no_number_is_noted(tmp_path: Path, slope: str) -> None:
    data = encoded(dataset(RescaleSlope="7.777777"))
    path = written(tmp_path, data.replace(b"7.777777", slope.encode().ljust(8)))
    series = read(path).series[0]
    assert {note.message: dict(note.values) for note in series.notes}["invalid_rescale"] == {"count": 1}
    assert np.isfinite(series.frames[0].read().array).any()


def test_without_a_position_the_numbers_give_the_order(tmp_path: Path) -> None:
    store(tmp_path, [dataset(index=index, ImagePositionPatient=None) for index in (2, 0, 1)])
    series = read(tmp_path).series[0]
    assert [frame.header.instance_number for frame in series.frames] == [1, 2, 3]
    assert {note.message: dict(note.values) for note in series.notes} == {"no_position": {"count": 3}}
    assert series.volume.spacing_mm == (3.0, 0.5, 0.75)


def test_one_pixel_is_an_image_too_small_to_judge(tmp_path: Path) -> None:
    series = read(written(tmp_path, encoded(dataset(pixels=np.array([[5]], dtype=np.int16))))).series[0]
    assert {note.message for note in series.notes} == {"tiny_image", "single_slice"}
    assert series.frames[0].read().array.shape == (1, 1)


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary_capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "dose_report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, "structured_report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "presentation_state"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "other_modality"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1"}, "other_modality"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.20"}, "other_modality"),
        ({"SOPClassUID": "1.2.3.4"}, "other_class"),
        ({"RescaleType": "Z_EFF"}, "parametric_map"),
    ],
)
def test_other_objects_are_left_out_with_their_kind(tmp_path: Path, attributes: dict[str, object], kind: str) -> None:
    store(tmp_path, [dataset(), dataset(index=1, **attributes)])
    reading = read(tmp_path)
    assert len(reading.series[0].frames) == 1
    (left,) = reading.left_out
    assert (left.name, left.kind, left.code, left.series_uid) == ("0001.dcm", kind, "MQ210", "1.2.3.9")
    assert "Phantom" not in left.text
    with pytest.raises(RefusedObject):
        read_instance(tmp_path / "0001.dcm")


def test_spect_stored_as_pet_is_refused(tmp_path: Path) -> None:
    (left,) = read(store(tmp_path, [dataset("PT", CollimatorType="PARA")])[0]).left_out
    assert left.kind == "other_modality"


@pytest.mark.parametrize("name", ["../evil.dcm", "/evil.dcm", "a/../../evil.dcm", "C:\\evil.dcm", "..\\evil.dcm"])
def test_a_zip_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, GOOD)
    with pytest.raises(UnsafePath, match="MQ205"):
        read(path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_zip_bomb_is_left_out_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.dcm", GOOD)
        archive.writestr("lies.dcm", b"\0" * 200_000)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xF0000000)  # claims to unpack to 4 GB
    path.write_bytes(bytes(data))
    reading = read(path)
    assert len(reading.series[0].frames) == 1
    assert [(item.name, item.code) for item in reading.left_out] == [("lies.dcm", "MQ201")]


def test_a_damaged_member_or_zip_has_a_code(tmp_path: Path) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.dcm", GOOD)
        archive.writestr("second.dcm", encoded(dataset(index=1)))
    data = bytearray(path.read_bytes())
    data[60:70] = b"\xff" * 10
    path.write_bytes(bytes(data))
    reading = read(path)
    assert [(item.name, item.code) for item in reading.left_out] == [("good.dcm", "MQ201")]
    path.write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(UnreadableSeries):
        read(path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (outside,) = store(tmp_path / "outside", [dataset()])
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.dcm").symlink_to(outside)
    assert read(inside).series == ()


def test_nothing_there_has_a_code(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSeries, match="MQ200"):
        read(tmp_path / "nowhere")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_few_wrong_bytes_never_raise_anything_but_a_coded_error(tmp_path: Path, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS))
    broken = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(132, min(len(seed) - 1, 1600)))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del broken[data.draw(st.integers(132, len(seed) - 1)) :]
    path = written(tmp_path, bytes(broken))
    with contextlib.suppress(MedqaError):
        for series in read(path).series:
            series.frames[0].read()


SEEDS = [
    GOOD,
    encoded(dataset("MR")),
    encoded(dataset("PT")),
    encoded(enhanced("enhanced MR", np.stack([ramp(), ramp(1)]), [{"z": 0, "b": 0}, {"z": 3, "b": 800}])),
    encoded(dataset(), DeflatedExplicitVRLittleEndian),
]


def test_one_attribute_of_an_unknown_representation_costs_only_itself(tmp_path: Path) -> None:
    data = GOOD.replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00ZZ")
    assert data != GOOD
    series = read(written(tmp_path, data)).series[0]
    assert "PatientName" not in series.header
    assert series.header.PatientID == "H1"
    assert series.frames[0].read().array.shape == (32, 40)


@pytest.mark.parametrize(("at", "value"), [(0, b"\x20\x00"), (2, b"\xff\xff")])
def test_a_compressed_frame_of_another_size_is_not_decoded(tmp_path: Path, at: int, value: bytes) -> None:
    """The stream's own header says another size, up to one that no memory holds."""
    from pydicom import dcmread
    from pydicom.uid import JPEGLSLossless

    made = dataset()
    made.file_meta = dcmread(written(tmp_path, GOOD)).file_meta
    made.compress(JPEGLSLossless, generate_instance_uid=False)
    made.save_as(tmp_path / "bad.dcm", enforce_file_format=True)
    data = bytearray((tmp_path / "bad.dcm").read_bytes())
    start = data.index(b"\xff\xd8\xff\xf7") + 7 + at
    data[start : start + 2] = value
    frame = read_instance(written(tmp_path, bytes(data))).frames[0]
    with pytest.raises(UndecodablePixels, match="another size"):
        frame.read()
