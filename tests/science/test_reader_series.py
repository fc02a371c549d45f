"""Series: grouped, told apart, sorted and checked, whatever the order of the files."""

from __future__ import annotations

import math
import pickle
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from medqa.reader import Reading, assemble, read, read_header, read_instance
from medqa.series import Series
from tests.science.reader_factories import dataset, enhanced, ramp, store


def only(reading: Reading) -> Series:
    assert len(reading.series) == 1
    return reading.series[0]


def messages(series: Series) -> dict[str, dict[str, Any]]:
    return {note.message: note.values for note in series.notes}


def facts(series: Series) -> tuple[Any, ...]:
    """Return everything about a series that its readers see, without what differs by where the files lie."""
    frames = tuple((frame.key, frame.sha256, frame.header, frame.unit) for frame in series.frames)
    header = str(series.header)
    return (
        series.series_uid,
        series.part,
        frames,
        series.stacks,
        series.instances,
        header,
        series.notes,
        series.acquisition.to_json(),
    )


def test_slices_are_sorted_along_the_normal_and_make_a_volume(tmp_path: Path) -> None:
    order = [4, 0, 3, 1, 2]
    store(tmp_path, [dataset(index=index) for index in order])
    series = only(read(tmp_path))
    assert [frame.header.instance_number for frame in series.frames] == [1, 2, 3, 4, 5]
    volume = series.volume
    assert volume.shape == (5, 32, 40)
    assert volume.spacing_mm == (3.0, 0.5, 0.75)
    assert volume.origin_mm == (-10.0, -20.0, 0.0)
    assert np.array_equal(volume.slab(0, 5), np.stack([ramp(index).astype(np.float32) - 1024 for index in range(5)]))
    assert series.notes == ()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(7)))
def test_the_order_of_the_files_changes_nothing(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    made = [dataset(index=index) for index in range(5)]
    made.append(dataset(index=5, SOPInstanceUID="1.2.3.1.1", ImagePositionPatient=[-10.0, -20.0, 90.0]))  # a UID used twice
    made.append(dataset(index=6, Rows=40, Columns=32))  # another matrix under the same Series Instance UID
    folder = tmp_path_factory.mktemp("order")
    expected = [facts(series) for series in read_in(folder / "sorted", made).series]
    assert [facts(series) for series in read_in(folder / "mixed", [made[index] for index in order]).series] == expected
    shutil.rmtree(folder)


def read_in(folder: Path, made: list[Dataset]) -> Reading:
    return assemble(read_instance(path) for path in store(folder, made))


def test_simpleitk_sees_the_same_geometry(tmp_path: Path) -> None:
    import SimpleITK as sitk

    angle = math.radians(25)
    x = [1.0, 0.0, 0.0]
    y = [0.0, math.cos(angle), math.sin(angle)]
    normal = np.cross(x, y)
    made = []
    for index in (2, 0, 3, 1):
        where = np.array([5.0, -7.0, 11.0]) + 2.5 * index * normal
        made.append(dataset(index=index, ImageOrientationPatient=x + y, ImagePositionPatient=[float(value) for value in where]))
    store(tmp_path, made)
    ours = only(read(tmp_path)).volume
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    theirs = reader.Execute()
    assert np.allclose(ours.spacing_mm[::-1], theirs.GetSpacing(), atol=1e-4)
    assert np.allclose(ours.origin_mm, theirs.GetOrigin(), atol=1e-4)
    assert np.allclose(np.asarray(ours.direction).T.ravel(), theirs.GetDirection(), atol=1e-6)
    assert np.array_equal(ours.slab(0, 4), sitk.GetArrayFromImage(theirs))


def test_a_tilted_gantry_leans_the_axis_and_makes_no_gap(tmp_path: Path) -> None:
    angle = math.radians(15)
    orientation = [1.0, 0.0, 0.0, 0.0, math.cos(angle), -math.sin(angle)]
    store(tmp_path, [dataset(index=index, ImageOrientationPatient=orientation) for index in range(8)])
    series = only(read(tmp_path))
    assert messages(series) == {}
    assert np.allclose(series.volume.direction[2], (0, 0, 1))  # the table moved straight
    assert math.isclose(series.volume.spacing_mm[0], 3.0, abs_tol=1e-6)


def test_rounded_cosines_do_not_split_a_stack(tmp_path: Path) -> None:
    made = [
        dataset(index=index, ImageOrientationPatient=[1, 0, 0, 0, 0.99999 - 1e-5 * index, 0.002 * (index % 2)])
        for index in range(6)
    ]
    store(tmp_path, made)
    assert len(only(read(tmp_path)).frames) == 6


def test_one_series_uid_with_other_matrix_plane_or_kind_gives_parts(tmp_path: Path) -> None:
    coronal = [1, 0, 0, 0, 0, -1]
    made = [dataset(index=index) for index in range(3)]
    made += [dataset(index=3 + index, ImageOrientationPatient=coronal, ImagePositionPatient=[0, index, 0]) for index in range(3)]
    made += [dataset(index=6, Rows=40, Columns=32), dataset(index=7, ImageType=["DERIVED", "SECONDARY", "AXIAL"])]
    store(tmp_path, made)
    reading = read(tmp_path)
    assert sorted(len(series.frames) for series in reading.series) == [1, 1, 3, 3]
    parts = [series.part for series in reading.series]
    assert len(set(parts)) == 4
    assert parts[1].startswith("coronal")
    assert all("mixed_geometry" in messages(series) for series in reading.series)


def test_slices_around_an_axis_are_one_series(tmp_path: Path) -> None:
    made = []
    for index in range(12):
        angle = math.pi * index / 12
        plane = [math.cos(angle), math.sin(angle), 0.0, 0.0, 0.0, -1.0]
        made.append(
            dataset(
                "MR", index, ImageOrientationPatient=plane, ImagePositionPatient=[-16 * math.cos(angle), -16 * math.sin(angle), 8]
            )
        )
    store(tmp_path, made)
    series = only(read(tmp_path))
    assert [stack.stop - stack.start for stack in series.stacks] == [1] * 12
    assert messages(series) == {}


def test_a_mosaic_is_taken_apart_into_its_slices(tmp_path: Path) -> None:
    volume = np.random.default_rng(2).integers(0, 1000, (7, 20, 24)).astype(np.int16)
    mosaic = np.zeros((60, 72), dtype=np.int16)
    for index, single in enumerate(volume):
        mosaic[index // 3 * 20 :, index % 3 * 24 :][:20, :24] = single
    made = dataset("MR", pixels=mosaic, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], SpacingBetweenSlices=4)
    made.ImagePositionPatient = [-10 - 24 * 0.75, -20 - 20 * 0.5, 5.0]  # of the mosaic, laid around the first slice
    made.add_new((0x0019, 0x0010), "LO", "SIEMENS MR HEADER")
    made.add_new((0x0019, 0x100A), "US", 7)
    store(tmp_path, [made])
    series = only(read(tmp_path))
    assert np.array_equal(series.volume.slab(0, 7), volume)
    assert series.volume.origin_mm == (-10.0, -20.0, 5.0)
    assert series.volume.spacing_mm == (4.0, 0.5, 0.75)
    assert series.instances[0].number_of_frames == 1
    assert messages(series) == {}


def test_gantry_modes_within_one_ct_stay_one_series(tmp_path: Path) -> None:
    types = [["ORIGINAL", "PRIMARY", "AXIAL", "ADD"], ["ORIGINAL", "PRIMARY", "AXIAL"]]
    store(tmp_path, [dataset(index=index, ImageType=types[index > 2]) for index in range(6)])
    assert messages(only(read(tmp_path))) == {}


def test_echoes_and_b_values_are_stacks(tmp_path: Path) -> None:
    made = [
        dataset("MR", 2 * z + echo, EchoNumbers=echo + 1, EchoTime=5.0 + echo, ImagePositionPatient=[0, 0, 3.0 * z])
        for z in range(5)
        for echo in range(2)
    ]
    store(tmp_path / "echo", made)
    series = only(read(tmp_path / "echo"))
    assert [(stack.label, stack.start, stack.stop) for stack in series.stacks] == [
        ("echo 1 TE 5 ms", 0, 5),
        ("echo 2 TE 6 ms", 5, 10),
    ]
    assert messages(series) == {}
    made = [
        dataset("MR", 3 * z + rank, DiffusionBValue=float(b), ImagePositionPatient=[0, 0, 3.0 * z])
        for z in range(5)
        for rank, b in enumerate((0, 49.6, 1004))
    ]
    store(tmp_path / "b", made)
    series = only(read(tmp_path / "b"))
    assert [stack.label for stack in series.stacks] == ["b 0", "b 50", "b 1000"]


@pytest.mark.parametrize("said", [True, False], ids=["numbered", "not numbered"])
def test_time_points_are_stacks_and_no_duplicates(tmp_path: Path, said: bool) -> None:
    made = []
    for time in range(3):
        for z in range(4):
            numbered = {"TemporalPositionIdentifier": time + 1} if said else {}
            made.append(dataset("MR", 4 * time + z, ImagePositionPatient=[0, 0, 3.0 * z], **numbered))
    store(tmp_path, made)
    series = only(read(tmp_path))
    assert [stack.stop - stack.start for stack in series.stacks] == [4, 4, 4]
    assert [frame.header.instance_number for frame in series.frames] == list(range(1, 13))
    assert messages(series) == {}


def test_phases_of_a_cine_follow_the_trigger_time(tmp_path: Path) -> None:
    made = [
        dataset("MR", 10 * z + phase, TriggerTime=40.0 * phase + z, ImagePositionPatient=[0, 0, 8.0 * z])
        for z in range(3)
        for phase in range(4)
    ]
    store(tmp_path, made[::-1])
    series = only(read(tmp_path))
    assert [stack.label for stack in series.stacks] == ["pass 1", "pass 2", "pass 3", "pass 4"]
    for phase, stack in enumerate(series.stacks):
        times = [frame.header.trigger_time_ms for frame in series.frames[stack.start : stack.stop]]
        assert times == [40.0 * phase, 40.0 * phase + 1, 40.0 * phase + 2]


def test_enhanced_mr_frames_become_stacks(tmp_path: Path) -> None:
    pixels = np.stack([ramp(index) for index in range(6)])
    frames = [{"z": 3 * (index // 2), "b": (0, 800)[index % 2]} for index in range(6)]
    store(tmp_path, [enhanced("enhanced MR", pixels, frames)])
    series = only(read(tmp_path))
    assert [(stack.label, stack.stop - stack.start) for stack in series.stacks] == [("b 0", 3), ("b 800", 3)]
    assert [frame.number for frame in series.frames] == [1, 3, 5, 2, 4, 6]
    assert series.instances[0].number_of_frames == 6
    assert series.volume.spacing_mm == (3.0, 0.5, 0.75)
    assert np.array_equal(series.volume.read(1), pixels[2])


def test_magnitude_and_phase_in_one_object_are_two_series(tmp_path: Path) -> None:
    pixels = np.stack([ramp(index) for index in range(6)])
    kinds = (["ORIGINAL", "PRIMARY", "M", "NONE"], ["ORIGINAL", "PRIMARY", "P", "NONE"])
    frames = [{"z": 3 * (index // 2), "frame_type": kinds[index % 2]} for index in range(6)]
    store(tmp_path, [enhanced("enhanced MR", pixels, frames)])
    assert [(series.part, len(series.frames)) for series in read(tmp_path).series] == [
        ("ORIGINAL PRIMARY M", 3),
        ("ORIGINAL PRIMARY P", 3),
    ]


def test_a_hole_in_a_regular_series_is_missing_slices(tmp_path: Path) -> None:
    store(tmp_path, [dataset(index=index) for index in range(20) if index not in (7, 8, 13)])
    series = only(read(tmp_path))
    note = next(note for note in series.notes if note.message == "missing_slices")
    assert note.values == {"count": 3, "gap_mm": 9.0}
    assert note.frames == (6, 7)


@pytest.mark.parametrize(
    "places",
    [
        [0, 150, 480],  # three of many
        [0, 12.5, 30, 137.5],
        [2.5 * k for k in range(10)] + [25 + 5 * k for k in range(8)],  # head: thin below, thick above
        [b * 33.0 + 4 * k for b in range(4) for k in range(3)],  # blocks over discs
        [5.0 * k for k in range(12)],
        [round(3.27 * k, 1) for k in range(40)],  # rounded to 0.1 mm
    ],
    ids=["excerpt", "irregular", "two thicknesses", "blocks", "regular", "rounded"],
)
def test_ordinary_series_raise_no_alarm(tmp_path: Path, places: list[float]) -> None:
    store(tmp_path, [dataset(index=index, ImagePositionPatient=[0, 0, float(z)]) for index, z in enumerate(places)])
    assert "missing_slices" not in messages(only(read(tmp_path)))


def test_a_gap_that_the_numbering_denies_is_no_missing_slice(tmp_path: Path) -> None:
    places = [3.0 * k for k in range(8)] + [33.0 + 3 * k for k in range(8)]
    store(tmp_path, [dataset(index=index, ImagePositionPatient=[0, 0, z]) for index, z in enumerate(places)])
    assert set(messages(only(read(tmp_path)))) == {"uneven_spacing"}


def test_a_pet_that_declares_more_slices_says_so(tmp_path: Path) -> None:
    store(tmp_path, [dataset("PT", index, NumberOfSlices=9) for index in range(6)])
    assert messages(only(read(tmp_path)))["missing_frames_declared"] == {"declared": 9, "found": 6}


def test_images_in_acquisition_counts_but_not_for_an_excerpt(tmp_path: Path) -> None:
    store(tmp_path / "lost", [dataset("MR", index, ImagesInAcquisition=8, AcquisitionNumber=1) for index in range(7)])
    assert messages(only(read(tmp_path / "lost")))["missing_frames_declared"] == {"declared": 8, "found": 7}
    store(tmp_path / "excerpt", [dataset("MR", index, ImagesInAcquisition=80, AcquisitionNumber=1) for index in range(7)])
    assert messages(only(read(tmp_path / "excerpt"))) == {}


def test_the_same_instance_twice_is_read_once(tmp_path: Path) -> None:
    store(tmp_path / "a", [dataset(index=index) for index in range(3)])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    reading = read(tmp_path)
    series = only(reading)
    assert len(series.frames) == 3
    assert messages(series) == {"duplicate_instances": {"count": 3}}
    assert [(item.kind, item.code) for item in reading.left_out] == [("duplicate", "MQ211")] * 3


def test_the_same_dataset_in_another_wrapping_is_a_duplicate(tmp_path: Path) -> None:
    store(tmp_path, [dataset(), dataset()])
    first = tmp_path / "0000.dcm"
    first.write_bytes(b"x" * 128 + first.read_bytes()[128:])
    assert messages(only(read(tmp_path))) == {"duplicate_instances": {"count": 1}, "single_slice": {}}


def test_one_uid_with_other_contents_is_told_apart(tmp_path: Path) -> None:
    store(tmp_path / "place", [dataset(index=index, SOPInstanceUID="1.2.3.1.1") for index in range(4)])
    series = only(read(tmp_path / "place"))  # four slices numbered badly: still one series
    assert len({frame.key for frame in series.frames}) == 4
    assert [reference.sop_instance_uid for reference in series.instances] == ["1.2.3.1.1"]
    assert messages(series) == {"uid_conflict": {"count": 1}}
    changed = dataset(index=1, pixels=ramp(50))
    store(tmp_path / "content", [dataset(index=0), dataset(index=1), dataset(index=2), changed])
    reading = read(tmp_path / "content")
    assert sorted(len(series.frames) for series in reading.series) == [1, 3]
    assert all("uid_conflict" in messages(series) for series in reading.series)


def test_a_changing_header_is_told_and_kept_from_the_first(tmp_path: Path) -> None:
    store(tmp_path, [dataset(index=index, KVP=120 if index else 100) for index in range(5)][::-1])
    series = only(read(tmp_path))
    assert messages(series) == {"inconsistent_header": {"keywords": "kvp_kv"}}
    assert series.acquisition.inconsistent == ("kvp_kv",)
    assert series.header.KVP == 100


def test_the_header_keeps_the_patient_and_drops_the_weight(tmp_path: Path) -> None:
    made = dataset()
    made.add_new((0x0009, 0x0010), "LO", "ACME")
    made.add_new((0x0009, 0x1001), "OB", b"x" * 100_000)
    made.add_new((0x6000, 0x3000), "OW", b"\0" * 160)
    store(tmp_path, [made])
    header = only(read(tmp_path)).header
    assert header.PatientName == "Phantom^Hand"
    assert len(pickle.dumps(header)) < 10_000
    assert read_header(tmp_path / "0000.dcm") == header
    assert not [tag for tag in header if tag.tag.group in (0x7FE0, 0x6000) or tag.tag == 0x00091001]


def test_several_series_come_in_a_fixed_order(tmp_path: Path) -> None:
    store(tmp_path / "z", [dataset(index=index, SeriesInstanceUID="1.2.3.10") for index in range(2)])
    store(tmp_path / "a", [dataset("MR", index, SeriesInstanceUID="1.2.3.11") for index in range(2)])
    assert [(series.modality, series.series_uid) for series in read(tmp_path).series] == [("CT", "1.2.3.10"), ("MR", "1.2.3.11")]


def test_a_zip_reads_like_its_folder(tmp_path: Path) -> None:
    paths = store(tmp_path / "folder", [dataset(index=index) for index in range(4)])
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for path in paths:
            kind = zipfile.ZIP_DEFLATED if path.name < "0002" else zipfile.ZIP_STORED
            archive.write(path, f"inner/{path.name}", compress_type=kind)
        archive.writestr("__MACOSX/._junk", b"junk")
    zipped, plain = read(tmp_path / "series.zip"), read(tmp_path / "folder")
    assert zipped.left_out == ()
    assert facts(only(zipped)) == facts(only(plain))
    for one, other in zip(only(zipped).frames, only(plain).frames, strict=True):
        assert np.array_equal(one.read().array, other.read().array)


def test_memory_does_not_grow_with_the_length_of_a_series(tmp_path: Path) -> None:
    pixels = np.zeros((512, 512), dtype=np.int16)
    sizes = {}
    for count in (20, 120):
        paths = store(tmp_path / str(count), [dataset(index=index, pixels=pixels) for index in range(count)])
        only(assemble(read_instance(path) for path in paths[:2])).frames[0].read()  # warm caches
        tracemalloc.start()
        series = only(assemble(read_instance(path) for path in paths))
        for frame in series.frames:
            frame.read()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sizes[count] = peak
        shutil.rmtree(tmp_path / str(count))
    assert (sizes[120] - sizes[20]) / 100 < 12_000  # bytes a frame; its pixels alone are 524,288
