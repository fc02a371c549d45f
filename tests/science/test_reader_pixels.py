"""Pixels: against analytic truth, against pydicom's own `pixel_array`, and against SimpleITK."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medqa.codes import Unit
from medqa.errors import MedqaError, UndecodablePixels
from medqa.reader import read_instance
from tests.science.reader_factories import dataset, encoded, enhanced, ramp, store


def decoded(folder: Path, made: Dataset, syntax: str = ExplicitVRLittleEndian) -> np.ndarray:
    (path,) = store(folder, [made], syntax)
    return read_instance(path).frames[0].read().array


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_stored_values_become_hu_in_every_plain_syntax(tmp_path: Path, syntax: str) -> None:
    made = dataset()
    if syntax == ExplicitVRBigEndian:
        made.PixelData = ramp().astype(">i2").tobytes()
    array = decoded(tmp_path, made, syntax)
    assert array.dtype == np.float32
    assert np.array_equal(array, ramp().astype(np.float32) - 1024)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_compression_changes_nothing(tmp_path: Path, syntax: str) -> None:
    made = dataset()
    made.file_meta = dcmread(store(tmp_path, [made])[0]).file_meta
    made.compress(syntax, generate_instance_uid=False)
    made.save_as(tmp_path / "packed.dcm", enforce_file_format=True)
    frame = read_instance(tmp_path / "packed.dcm").frames[0]
    assert np.array_equal(frame.read().array, ramp().astype(np.float32) - 1024)


def body() -> np.ndarray:
    """Return a body with a spine in air, in HU, by whole numbers alone: every machine makes the same one."""
    y, x = np.mgrid[:64, :96].astype(np.int64)
    inside = 9 * (x - 48) ** 2 + 16 * (y - 32) ** 2 < 120**2
    spine = (np.abs(x - 48) < 4) & (np.abs(y - 42) < 6)
    grain = (x * 7919 + y * 104729 + x * y * 31) % 41 - 20
    return (np.where(inside, 40, -980) + 700 * spine + grain).astype(np.int16)


@pytest.mark.parametrize(
    ("syntax", "stream", "farthest"), [(HTJ2KLossless, "lossless", 0), (HTJ2KLosslessRPCL, "lossless", 0), (HTJ2K, "lossy", 12)]
)
def test_high_throughput_jpeg_2000_is_decoded(tmp_path: Path, syntax: str, stream: str, farthest: int) -> None:
    made = dataset(pixels=body(), RescaleIntercept=-3)
    made.PixelData = encapsulate([(Path(__file__).parent / "htj2k" / f"{stream}.j2c").read_bytes()])
    made["PixelData"].is_undefined_length = True
    difference = np.abs(decoded(tmp_path, made, syntax) - (body() - 3.0))
    assert difference.max() <= farthest
    assert (difference.max() > 0) == (syntax == HTJ2K)  # else it was no lossy stream


def test_slope_and_intercept_are_those_of_each_slice(tmp_path: Path) -> None:
    slopes = (1.0, 2.5, 0.125)
    paths = store(tmp_path, [dataset("PT", index, RescaleSlope=slope) for index, slope in enumerate(slopes)])
    for index, (path, slope) in enumerate(zip(paths, slopes, strict=True)):
        frame = read_instance(path).frames[0]
        assert frame.unit == Unit.BQ_PER_ML
        assert frame.header.slope == slope
        assert np.allclose(frame.read().array, ramp(index).astype(np.float64) * slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("padding", "limit", "vr", "blank"),
    [
        (-2000, None, "SS", [-2000]),
        (63536, None, "US", [-2000]),  # -2000 written as unsigned, as GE does
        (-2000, -1990, "SS", [-2000, -1995, -1990]),
        (-1990, -2000, "SS", [-2000, -1995, -1990]),
    ],
)
def test_padding_is_no_value_whatever_its_sign_is_written_like(
    tmp_path: Path, padding: int, limit: int | None, vr: str, blank: list[int]
) -> None:
    pixels = ramp()
    pixels[0, :3] = [-2000, -1995, -1990]
    made = dataset(pixels=pixels, RescaleIntercept=0)
    made.add_new("PixelPaddingValue", vr, padding)
    if limit is not None:
        made.add_new("PixelPaddingRangeLimit", vr, limit)
    array = decoded(tmp_path, made)
    assert np.array_equal(np.isnan(array), np.isin(pixels, blank))


def test_a_padding_value_that_would_blank_tissue_is_not_believed(tmp_path: Path) -> None:
    made = dataset(RescaleIntercept=0)
    made.add_new("PixelPaddingValue", "SS", 0)
    assert not np.isnan(decoded(tmp_path, made)).any()


def test_zero_stays_a_measured_intensity_of_mr(tmp_path: Path) -> None:
    made = dataset("MR")
    made.add_new("PixelPaddingValue", "SS", 0)
    assert decoded(tmp_path, made)[0, 0] == 0


@pytest.mark.parametrize("outside", [-2000, -3024])
def test_outside_the_circle_of_reconstruction_there_is_no_value(tmp_path: Path, outside: int) -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    circle = np.hypot(y, x) < 32
    noise = np.random.default_rng(1).normal(-1000, 20, (64, 64))
    pixels = np.where(circle, noise, outside).astype(np.int16)
    array = decoded(tmp_path, dataset(pixels=pixels, RescaleIntercept=0))
    assert np.array_equal(np.isnan(array), ~circle)
    assert np.nanmin(array) < -1024  # noise in air is measured, however low


def test_bits_beside_the_stored_ones_are_cut_off_and_the_sign_is_kept(tmp_path: Path) -> None:
    values = np.array([[-2048, -1, 0, 1, 2047] * 8] * 32, dtype=np.int16)
    overlay = (values.view(np.uint16) & 0x0FFF | 0xA000).view(np.int16)
    array = decoded(tmp_path, dataset("MR", pixels=overlay, BitsStored=12, HighBit=11))
    assert np.array_equal(array, values)
    shifted = (values.view(np.uint16) << 4).view(np.int16)
    array = decoded(tmp_path, dataset("MR", pixels=shifted, BitsStored=12, HighBit=15))
    assert np.array_equal(array, values)


def test_float_pixels_and_wide_integers(tmp_path: Path) -> None:
    wide = ramp().astype(np.int32) * 70001
    assert np.allclose(decoded(tmp_path, dataset("MR", pixels=wide, RescaleSlope=0.5, RescaleIntercept=3)), wide * 0.5 + 3)
    bits8 = (ramp() % 251).astype(np.uint8)
    assert np.array_equal(decoded(tmp_path, dataset("MR", pixels=bits8)), bits8)


def test_each_frame_of_an_enhanced_object_has_its_own_rescale(tmp_path: Path) -> None:
    pixels = np.stack([ramp(index) for index in range(3)])
    made = enhanced("enhanced CT", pixels, [{"z": 3 * z, "slope": 1 + z, "intercept": -1000 - z} for z in range(3)])
    (path,) = store(tmp_path, [made])
    frames = read_instance(path).frames
    assert [frame.key for frame in frames] == [("1.2.3.1.1", 1), ("1.2.3.1.1", 2), ("1.2.3.1.1", 3)]
    for z, frame in enumerate(frames):
        assert np.allclose(frame.read().array, pixels[z].astype(float) * (1 + z) - 1000 - z)
        assert frame.header.position_mm == (-10.0, -20.0, 3.0 * z)


@pytest.mark.parametrize("table", [False, True], ids=["no offset table", "offset table"])
def test_a_frame_is_cut_out_of_an_encapsulated_multi_frame(tmp_path: Path, table: bool) -> None:
    pixels = np.stack([ramp(index) for index in range(4)])
    packed = []
    for single in pixels:
        one = dataset("MR", pixels=single)
        one.file_meta = dcmread(store(tmp_path, [one])[0]).file_meta
        one.compress(RLELossless, generate_instance_uid=False)
        from pydicom.encaps import generate_frames

        packed.append(next(generate_frames(one.PixelData, number_of_frames=1)))
    made = enhanced("enhanced MR", pixels, [{"z": 3 * z} for z in range(4)])
    made.PixelData = encapsulate(packed, has_bot=table)
    made["PixelData"].is_undefined_length = True
    path = tmp_path / "multi.dcm"
    path.write_bytes(encoded(made, RLELossless))
    frames = read_instance(path).frames
    for z in (2, 0, 3, 1):
        assert np.array_equal(frames[z].read().array, pixels[z])


def test_a_mapped_file_gives_the_same_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.stack([ramp(index) for index in range(3)])
    (native,) = store(tmp_path, [enhanced("enhanced MR", pixels, [{"z": 3 * z} for z in range(3)])])
    packed = Path(str(get_testdata_file("MR_small_RLE.dcm", download=False)))
    before = [frame.read().array for path in (native, packed) for frame in read_instance(path).frames]
    monkeypatch.setattr("medqa.reader.sources.SMALL_FILE", 0)
    after = [frame.read().array for path in (native, packed) for frame in read_instance(path).frames]
    assert len(before) == 4
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


SHIPPED = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
]


@pytest.mark.parametrize("name", SHIPPED)
def test_pydicom_and_the_reader_agree(name: str) -> None:
    path = Path(str(get_testdata_file(name, download=False)))
    frame = read_instance(path).frames[0]
    header = dcmread(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the padding behind the pixels
        stored = pixel_array(path)
    expected = stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    array = frame.read().array
    valid = ~np.isnan(array)
    assert np.array_equal(array[valid], expected[valid].astype(np.float32))
    assert valid.mean() > 0.5


def test_a_truncated_file_of_pydicom_has_a_header_and_no_pixels() -> None:
    path = Path(str(get_testdata_file("MR_truncated.dcm", download=False)))
    frame = read_instance(path).frames[0]
    assert frame.header.rows == 64
    with pytest.raises(UndecodablePixels, match="MQ202"):
        frame.read()


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "rtdose.dcm", "test-SR.dcm", "SC_rgb_rle.dcm", "waveform_ecg.dcm", "rtplan.dcm"])
def test_what_is_no_ct_mr_or_pet_is_refused_politely(name: str) -> None:
    with pytest.raises(MedqaError, match="is not judged") as caught:
        read_instance(Path(str(get_testdata_file(name, download=False))))
    assert caught.value.code == "MQ210"


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("ts_1_2_4_50", "JPEG baseline"),
        ("ts_1_2_4_51", "JPEG extended"),
        ("ts_1_2_4_55", "JPEG extended"),  # a retired syntax
        ("ts_1_2_4_57", "JPEG lossless"),
        ("ts_1_2_4_70", "JPEG lossless SV1"),
        ("ts_1_2_4_80", "JPEG-LS"),
        ("ts_1_2_4_81", "JPEG-LS near lossless"),
        ("ts_1_2_4_90", "JPEG 2000 lossless"),
        ("ts_1_2_4_91", "JPEG 2000"),
        ("ts_1_2_5", "RLE"),
        ("ts_1_2_2", "big endian"),
        ("ts_1_2_1_99", "deflated"),
    ],
)
def test_one_real_slice_in_every_syntax_is_the_same_slice(
    data: Path, capfd: pytest.CaptureFixture[str], name: str, syntax: str, real_series: list[str]
) -> None:
    from medqa.reader import read

    original = read(data / "ct" / "hispeed_misterct.zip").series[0].frames[0].read().array
    array = read(data / "ct" / "curiosities" / f"{name}.zip").series[0].frames[0].read().array
    valid = ~np.isnan(array) & ~np.isnan(original)
    assert valid.mean() > 0.7
    worst = np.abs(array - original)[valid]
    limit = {"JPEG baseline": 130.0, "JPEG extended": 20.0, "JPEG-LS near lossless": 3.0, "JPEG 2000": 12.0}.get(syntax, 0.0)
    assert np.percentile(worst, 99) <= limit
    assert capfd.readouterr().err == ""  # the last decoder complains to nobody
    real_series.append(name)
