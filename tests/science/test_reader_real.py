"""Real scans of many makers: what each of them should give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medqa.reader import read

SERIES: list[tuple[str, dict[str, Any]]] = [
    ("ct/acrin_001.zip", {"frames": 3, "low": -1024, "high": 3071, "unit": "[hnsf'U]"}),
    ("ct/ge_head_tilt.zip", {"frames": 10, "messages": ["uneven_spacing"]}),
    ("ct/ge_lymphoma_gaps.zip", {"frames": 4, "messages": []}),
    ("ct/ingenuity_head_tilt.zip", {"frames": 3, "messages": []}),
    ("ct/totalseg_mct.zip", {"frames": 6, "messages": []}),  # every UID was removed
    ("ct/catphan504_acb2_b.zip", {"frames": 7, "messages": ["uid_conflict", "uneven_spacing"]}),  # one SOP UID for all
    ("ct/curiosities/plus4_lomb.zip", {"frames": 1, "low": -949, "high": 1132}),  # ACR-NEMA, no preamble
    ("ct/curiosities/private_ge_bigendian.zip", {"frames": 1, "low": -1000, "high": 1697}),
    ("mr/curiosities/cur_mosaic_trio.zip", {"frames": 1, "low": -2048, "high": 2047}),  # 12 bits signed under 4 of something else
    ("mr/mr_asl2d_prisma.zip", {"frames": 20, "messages": []}),  # a mosaic
    ("mr/curiosities/cur_enh_siemens_xa10.zip", {"frames": 12, "stacks": ["time 1", "time 2"]}),
    ("mr/curiosities/cur_enh_philips_b0.zip", {"frames": 32, "parts": 2, "messages": ["mixed_geometry"]}),
    ("mr/curiosities/cur_multiecho_fmap.zip", {"frames": 6, "stacks": ["echo 1 TE 5.19 ms", "echo 2 TE 7.65 ms"]}),
    ("mr/curiosities/cur_wg04_mr4_jply.zip", {"frames": 1, "messages": ["single_slice", "lossy_compression"]}),
    ("mr/mr_px0000_dwi_b.zip", {"frames": 57, "stacks": ["b 50", "b 400", "b 800"], "messages": []}),
    ("pt/pt_sts001_ge_ds_fdg_wb.zip", {"frames": 267, "unit": "Bq/ml", "messages": []}),
    ("pt/pt_ingenuity_cylinder_suvval.zip", {"frames": 45, "unit": "Bq/ml", "messages": []}),  # counts with a private factor
    ("pt/pt_sts002_ge_ds_fdg_crop.zip", {"frames": 48, "unit": "g/ml{SUVbw}", "messages": []}),
]


@pytest.mark.parametrize(("name", "expected"), SERIES, ids=[name for name, _ in SERIES])
def test_a_real_series(data: Path, real_series: list[str], name: str, expected: dict[str, Any]) -> None:
    reading = read(data / name)
    assert len(reading.series) == expected.get("parts", 1)
    series = reading.series[0]
    assert len(series.frames) == expected["frames"]
    arrays = [frame.read().array for frame in series.frames[::10]]
    assert all(array.shape == series.volume.shape[1:] for array in arrays)
    if "low" in expected:
        assert min(np.nanmin(array) for array in arrays) == expected["low"]
        assert max(np.nanmax(array) for array in arrays) == expected["high"]
    if "unit" in expected:
        assert series.unit.value == expected["unit"]
    if "stacks" in expected:
        assert [stack.label for stack in series.stacks] == expected["stacks"]
    if "messages" in expected:
        assert [note.message for note in series.notes] == expected["messages"]
    real_series.append(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ct/curiosities/dose_info_freezepattern.zip", "secondary_capture"),
        ("ct/curiosities/exam_summary_sc.zip", "secondary_capture"),
        ("ct/curiosities/topogram_tcga.zip", "localizer"),
        ("ct/curiosities/localizer_hispeed.zip", "localizer"),
        ("ct/curiosities/enhanced_ct_supplemental.zip", "parametric_map"),
        ("ct/curiosities/no_pixel_spacing.zip", "other_modality"),
        ("mr/curiosities/cur_enh_xa30_colfa.zip", "colour_image"),
        ("pt/curiosities/cur_spect_labelled_pt_scan2.zip", "other_modality"),
    ],
)
def test_a_real_object_that_is_not_judged(data: Path, name: str, kind: str) -> None:
    reading = read(data / name)
    assert reading.series == ()
    assert {item.kind for item in reading.left_out} == {kind}
    assert {item.code for item in reading.left_out} == {"MQ210"}


def test_the_suv_of_a_validation_cylinder_is_one(data: Path) -> None:
    """The cylinder was filled for SUV 1: Philips' own SUV factor and ours must give it."""
    series = read(data / "pt" / "pt_ingenuity_cylinder_suvval.zip").series[0]
    middle = series.frames[len(series.frames) // 2]
    array = middle.read().array
    inside = array > 0.5 * np.nanpercentile(array, 99)
    factor = middle.header.suv_factor
    assert factor is not None
    assert abs(float(np.median(array[inside])) * factor - 1) < 0.15
