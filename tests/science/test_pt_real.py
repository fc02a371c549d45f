"""PET metrics on real scans of the training split: a phantom beside a region placed by hand, half the counts, a hot arm."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medqa.errors import NotApplicable
from medqa.metrics import (
    pt_bed_steps,
    pt_blood_suv,
    pt_body_cov,
    pt_ct_overlap,
    pt_extravasation,
    pt_liver_suv,
    pt_texture,
)
from medqa.reader import read
from medqa.regions import Regions
from medqa.series import FrameImage, Series
from medqa.simulate import pet
from tests.proofs import half_counts
from tests.science.pt_factories import measured

GE, CPS = "pt_sts001_ge_ds_fdg_wb", "pt_qinhn0024_cps_fdg_wb"


@cache
def scan(path: Path) -> tuple[Series, tuple[FrameImage, ...]]:
    """Return a series and its frames, decoded once for all tests here."""
    (series,) = read(path).series
    images = tuple(frame.read() for frame in series.frames)
    return series, images


@pytest.fixture
def whole_body(request, data: Path, real_series: list[str]) -> tuple[Series, tuple[FrameImage, ...]]:
    real_series.append(request.param)
    return scan(data / "pt" / f"{request.param}.zip")


def partials(metric: Any, images: tuple[FrameImage, ...]) -> list[Any]:
    return [metric.per_frame(Regions(image)) for image in images]


BOTH = pytest.mark.parametrize("whole_body", [GE, CPS], indirect=True)


@BOTH
def test_a_good_scan_reads_what_is_plausible_and_is_told_of_nothing(whole_body) -> None:
    series, images = whole_body
    bands = {
        pt_liver_suv: (1.5, 2.3),
        pt_blood_suv: (1.4, 2.6),
        pt_extravasation: (0.0, 0.0),
        pt_bed_steps: (1.0, 2.0),
        pt_texture: (6.0, 16.0),
    }
    for metric, (low, high) in bands.items():
        found = partials(metric, images)
        (value,) = (one.value for one in metric.METRIC.measure(series, found))
        assert low <= value <= high, metric.NAME
        assert metric.METRIC.find is None or metric.METRIC.find(series, found) == []


@BOTH
def test_half_of_the_counts_give_the_noise_of_half_of_the_counts(whole_body) -> None:
    """The liver, as the mean of what its discs and what the difference of slices tell, and the body (docs/half_counts.md)."""
    copies = half_counts.ratios(*whole_body, 2)
    liver = np.mean([[one[half_counts.WITHIN], one[half_counts.BETWEEN]] for one in copies])
    assert liver == pytest.approx(np.sqrt(2), rel=0.1)
    assert np.mean([one[half_counts.BODY] for one in copies]) == pytest.approx(np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("whole_body", [GE], indirect=True)
@pytest.mark.parametrize("lost", [0.1, 0.3])
def test_a_share_that_stays_in_the_arm_is_seen_and_missing_elsewhere(whole_body, lost: float) -> None:
    """Over the upper abdomen the simulation puts a share of each slice's activity under the skin of one side."""
    series, images = whole_body
    plan = pet.draw("extravasation", 1, np.random.default_rng(2), pixel_mm=images[0].spacing_mm[0])
    plan = dataclasses.replace(plan, parameters=dict(plan.parameters) | {"lost": lost})
    place = range(150, 200)
    changed = tuple(
        dataclasses.replace(image, array=pet.apply(image.array, plan, pixel_mm=image.spacing_mm[0]).array)
        if index in place
        else image
        for index, image in enumerate(images)
    )
    total = [float(np.nansum(image.array)) for image in images]
    put = 100 * lost * sum(total[index] for index in place) / sum(total)
    (found,) = pt_extravasation.METRIC.measure(series, partials(pt_extravasation, changed))
    assert found.value == pytest.approx(put, rel=0.25)


# The uniform cylinder: placed by hand in a viewer, well inside of the wall, in the middle of the bed, where the noise is even.
CYLINDER_CENTRE, CYLINDER_RADIUS_MM, CYLINDER_SLICES = (72.0, 71.0), 60.0, slice(12, 33)
"""Row and column of the middle."""


def test_the_noise_of_a_real_cylinder_is_that_of_a_region_placed_by_hand(data: Path, real_series: list[str]) -> None:
    name = "pt_ingenuity_cylinder_suvval"
    series, images = scan(data / "pt" / f"{name}.zip")
    row, column = np.mgrid[: series.frames[0].header.rows, : series.frames[0].header.columns]
    away = np.hypot(row - CYLINDER_CENTRE[0], column - CYLINDER_CENTRE[1]) * images[0].spacing_mm[0]
    region = away <= CYLINDER_RADIUS_MM
    by_hand = [float(image.array[region].std(ddof=1) / image.array[region].mean()) for image in images[CYLINDER_SLICES]]
    found = measured(pt_body_cov.METRIC, series)
    assert found.value == pytest.approx(100 * np.mean(by_hand), rel=0.1)
    real_series.append(name)


def test_a_real_cylinder_lies_where_its_ct_shows_it(data: Path, real_series: list[str]) -> None:
    """De-identification gave the two series frames of reference of their own; their coordinates are one."""
    names = "pt_ingenuity_cylinder_suvval", "ct_ingenuity_cylinder_suvval"
    series, parts = [], []
    for name in names:
        one, images = scan(data / "pt" / f"{name}.zip")
        series.append(one)
        parts.append(partials(pt_ct_overlap.PAIR, images))
    with pytest.raises(NotApplicable):
        pt_ct_overlap.PAIR.combine(series[0], parts[0], series[1], parts[1])
    pet_scan, ct_scan = (dataclasses.replace(one, header=Dataset()) for one in series)
    found = pt_ct_overlap.PAIR.combine(pet_scan, parts[0], ct_scan, parts[1]).value
    assert 0.95 < found <= 1
    # Two circles of 102 mm, 40 mm apart, share 0.752 of their area.
    moved = [{**part, "centre": [part["centre"][0] + 40, part["centre"][1]]} for part in parts[1]]
    assert pt_ct_overlap.PAIR.combine(pet_scan, parts[0], ct_scan, moved).value == pytest.approx(0.752, abs=0.03)
    real_series.extend(names)


def test_the_grain_of_a_real_cylinder_is_that_of_its_autocorrelation(data: Path) -> None:
    series, images = scan(data / "pt" / "pt_ingenuity_cylinder_suvval.zip")
    box = np.stack([image.array[58:87, 57:86] for image in images[CYLINDER_SLICES]]).astype(np.float64)
    box -= box.mean(axis=(1, 2), keepdims=True)
    neighbour = float((box[:, :, 1:] * box[:, :, :-1]).mean() / (box**2).mean())
    width = 2.3548 * images[0].spacing_mm[0] / (2 * np.sqrt(-np.log(neighbour)))
    assert measured(pt_texture.METRIC, series).value == pytest.approx(width, rel=0.15)


# NEMA phantom: two regions placed by hand in the background, clear of spheres, lung insert and wall in every slice.
NEMA_CENTRES, NEMA_RADIUS_MM = ((68.0, 134.0), (68.0, 56.0)), 20.0
"""Row and column of the middle of each."""


@pytest.mark.parametrize("name", ["pt_nemaiq_recon1", "pt_nemaiq_recon2"])
def test_the_noise_of_a_nema_phantom_is_that_of_regions_placed_by_hand(data: Path, real_series: list[str], name: str) -> None:
    series, images = scan(data / "pt" / f"{name}.zip")
    row, column = np.mgrid[: series.frames[0].header.rows, : series.frames[0].header.columns]
    by_hand = []
    for centre in NEMA_CENTRES:
        region = np.hypot(row - centre[0], column - centre[1]) * images[0].spacing_mm[0] <= NEMA_RADIUS_MM
        by_hand += [float(image.array[region].std(ddof=1) / image.array[region].mean()) for image in images]
    found = measured(pt_body_cov.METRIC, series)
    assert found.value == pytest.approx(100 * np.mean(by_hand), rel=0.1)
    real_series.append(name)
