"""The pure steps: the worst part decides, heat maps are bounded in time, unreadable images put a doubt on a series."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from dicom_node import process
from medqa import reader
from medqa.assessment import Assessment, HeatMap, Verdict
from medqa.config import ReportSettings, Settings
from medqa.errors import BundleMismatch
from medqa.reader import LeftOut, Reading
from medqa.series import Series
from tests.node.small_series import FakeMal, fake_load, series, write

BAD = 0.35


@dataclass(frozen=True)
class Explaining(FakeMal):
    """Remembers which frames it was asked about."""

    asked: list[int] = field(default_factory=list)

    def explain(self, series: Series, frames: Sequence[int]) -> list[HeatMap]:
        self.asked.extend(frames)
        if self.digest == "broken":
            raise BundleMismatch(bundle=self.name, reason="no torch weights")
        empty = np.zeros((64, 64), np.float32)
        return [
            HeatMap(
                frame=frame,
                sop_instance_uid="1",
                number=1,
                model=self.name,
                method="none",
                array=empty,
                limits=(0, 1),
                localisable=False,
            )
            for frame in frames
        ]


def judged(folder: Path, noise: float, scorer: FakeMal) -> tuple[Assessment, Series]:
    write(folder, series("MR", 12, noise=noise))
    (one,) = reader.read(folder).series
    return process.assess_from_disk(one, [scorer], Settings()), one


def test_the_verdict_of_several_parts_is_the_one_that_asks_for_most() -> None:
    assert process.worst([Verdict.ADEQUATE, Verdict.RESCAN, Verdict.REVIEW]) is Verdict.RESCAN
    assert process.worst([None, Verdict.ADEQUATE]) is Verdict.ADEQUATE
    assert process.worst([]) is None


def test_an_adequate_series_is_not_explained(tmp_path: Path) -> None:
    scorer = Explaining("MR", "mal_mr")
    assessment, one = judged(tmp_path, 0.02, scorer)
    assert assessment.verdict is Verdict.ADEQUATE
    assert process.explain(assessment, one, [scorer]) == ()
    assert scorer.asked == []


def test_the_worst_frames_of_a_flagged_series_are_explained_worst_first(tmp_path: Path) -> None:
    scorer = Explaining("MR", "mal_mr")
    assessment, one = judged(tmp_path, BAD, scorer)
    maps = process.explain(assessment, one, [scorer])
    scores = assessment.predictions[0].frame_scores
    assert [one.frame for one in maps] == list(assessment.predictions[0].worst_frames)
    assert scores[maps[0].frame] == min(score for score in scores if score is not None)


def test_heat_maps_stop_when_their_time_is_up(tmp_path: Path) -> None:
    scorer = Explaining("MR", "mal_mr")
    assessment, one = judged(tmp_path, BAD, scorer)
    times = iter([0.0, 0.0, 9.0, 9.0])
    assert len(process.explain(assessment, one, [scorer], within_s=8.0, clock=lambda: next(times))) == 1


def test_a_heat_map_that_cannot_be_made_is_left_out(tmp_path: Path) -> None:
    scorer = Explaining("MR", "mal_mr", digest="broken")
    assessment, one = judged(tmp_path, BAD, scorer)
    assert process.explain(assessment, one, [scorer]) == ()


def test_an_unreadable_image_puts_a_doubt_on_its_series(tmp_path: Path) -> None:
    write(tmp_path, series("MR", 12))
    reading = reader.read(tmp_path)
    judges = process.Judges(fake_load(Settings()).scorers, (), Settings())
    lost = LeftOut(name="1.2.3", kind="unreadable", code="MQ201", text="damaged")
    whole = process.judge(reading, {}, judges.of("MR"))
    spoiled = process.judge(reading, {}, judges.of("MR"), [lost])
    assert (whole.verdict, spoiled.verdict) == (Verdict.ADEQUATE, Verdict.REVIEW)
    (found,) = [one for one in spoiled.assessments[0].findings if one.message == "undecodable_frames"]
    assert dict(found.values) == {"count": 1, "total": 13, "code": "MQ201"}


def test_what_is_stored_is_read_back_whole(tmp_path: Path) -> None:
    write(tmp_path, series("CT", 12))
    judges = process.Judges(fake_load(Settings()).scorers, (), Settings())
    one = process.judge(reader.read(tmp_path), {}, judges.of("CT"), judged_at="2026-01-02T12:00:00+00:00")
    assert process.assessments_of(one.document()) == one.assessments
    assert process.judge(Reading(series=()), {}, judges.of("CT")).document()["verdict"] is None


def named_parts(folder: Path, assessment: Assessment, one: Series, *names: str) -> list[str]:
    """Report the same series as so many parts; return the UIDs of their SRs."""
    uids = []
    for number, name in enumerate(names, start=1):
        part = dataclasses.replace(one, part=name)
        judged = dataclasses.replace(assessment, series=dataclasses.replace(assessment.series, part=name))
        made, _ = process.write(folder / f"part-{number}", judged, part, (), "en", ReportSettings())
        uids.append(str(made.instances[1].SOPInstanceUID))
    return uids


def test_a_report_supersedes_the_one_on_the_same_part_and_the_whole_every_part(tmp_path: Path) -> None:
    assessment, one = judged(tmp_path / "images", 0.02, FakeMal("MR", "mal_mr"))
    uids = named_parts(tmp_path / "two", assessment, one, "axial", "sagittal")
    whole = named_parts(tmp_path / "one", assessment, one, "")

    def found(folder: str, part: str) -> list[str]:
        return [str(report.SOPInstanceUID) for report in process.structured_reports(tmp_path / folder, part)]

    assert [found("two", part) for part in ("axial", "sagittal", "coronal", "")] == [uids[:1], uids[1:], [], uids]
    assert found("one", "axial") == found("one", "") == whole


def test_the_values_that_the_objects_could_not_carry_stand_in_the_document(tmp_path: Path) -> None:
    assessment, one = judged(tmp_path / "images", 0.02, FakeMal("MR", "mal_mr"))
    one.header.PatientSex = "X"
    process.write(tmp_path / "report", assessment, one, (), "en", ReportSettings())
    document = json.loads((tmp_path / "report" / "assessment.json").read_text(encoding="utf-8"))
    assert document["provenance"]["replaced_values"] == ["PatientSex"]


@pytest.mark.parametrize(("modality", "named"), [("CT", ["densenet_ct", "spare"]), ("MR", ["mal_mr", "spare"])])
def test_a_series_is_told_of_the_unusable_bundles_of_its_own_modality(modality: str, named: list[str], tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Unusable:
        name: str
        code: str = "MQ400"

    write(tmp_path, series(modality, 12))
    judges = process.Judges((), [Unusable(name) for name in ("densenet_ct", "mal_mr", "spare")], Settings())  # type: ignore[arg-type]
    one = process.judge(reader.read(tmp_path), {}, judges.of(modality))
    assert [item.what for item in one.assessments[0].not_checked if item.reason == "bundle_unusable"] == named
