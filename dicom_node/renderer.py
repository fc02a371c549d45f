"""The renderer: a second process, of lower priority, that turns final verdicts into reports and DICOM objects.

It writes them into `reports/` under the storage folder, makes them durable, and queues them in one commit. Only here, and only
for heat maps, a process of the node loads torch.
"""

from __future__ import annotations

import importlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog
from pydicom import Dataset

from dicom_node import telemetry
from dicom_node.alone import Load
from dicom_node.catalogue import Catalogue
from dicom_node.gathered import Gathered
from dicom_node.lifecycle import State
from dicom_node.process import assessments_of, explain, imageless, structured_reports, write
from dicom_node.records import Job, JobKind, RenderedObject, SeriesRecord, Status
from medqa.assessment import Assessment, Scorer
from medqa.config import Settings
from medqa.errors import JobLost, MedqaError, RenderingFailed
from medqa.series import Series

POLL_S: Final = 0.1
WARM: Final = (
    "reports.pdf",
    "reports.figures",
    "reports.encapsulated_pdf",
    "reports.structured_report",
    "reports.secondary_capture",
)
"""Imported before the first series is there: together they take seconds."""
LOOK_EVERY_S: Final = 0.3
STOOD_S: Final = 0.5
"""So old is a provisional assessment before its report is prepared: while images trickle in, each would be in vain."""
OWNER: Final = "renderer"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A report that was made of a provisional assessment, in a folder of its own."""

    document: Mapping[str, Any]
    earlier: Path | None
    """The report that it supersedes."""
    folder: Path
    objects: tuple[RenderedObject, ...]


class Renderer:
    """Render one JUDGED revision after the other, and while there is none, prepare what will probably be next.

    A report is made from the provisional assessment as soon as that has stood for a moment. It is shown and sent only once the
    verdict is final, and only where that is the same document.

    Parameters
    ----------
    settings
        The whole tree.
    catalogue
        Of this process.
    scorers
        Asked for heat maps.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self, settings: Settings, catalogue: Catalogue, scorers: Sequence[Scorer], clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._scorers = scorers
        self._clock = clock
        self._prepared: dict[tuple[str, int], _Prepared] = {}
        self._in_vain: dict[tuple[str, int], Mapping[str, Any]] = {}
        """Of which document a report could not be prepared: it is tried again when it is due, not before."""
        self._looked_at = 0.0

    def step(self) -> bool:
        """Render what waits longest, else prepare one report; return whether there was something to do."""
        job = self._catalogue.claim(JobKind.RENDER, OWNER, self._settings.node.lease_s)
        if job is None:
            return self._prepare()
        if job.attempts > self._settings.node.attempts:
            self._catalogue.give_up(job, str(RenderingFailed(reason=f"{job.attempts - 1} attempts ended before it was done")))
            return True
        try:
            self._catalogue.finish_rendering(job, self._render(job))
        except JobLost:
            log.warning("render_lost", revision=job.revision)
        except MedqaError as error:
            log.warning("render_failed", code=error.code)
            self._catalogue.give_up(job, str(error))
        except Exception as error:
            log.exception("render_failed")
            self._catalogue.give_up(job, str(RenderingFailed(reason=type(error).__name__)))
        return True

    def _render(self, job: Job) -> list[RenderedObject]:
        record = self._catalogue.series(job.series_uid, job.revision)
        stored = self._catalogue.assessment(job.series_uid, job.revision, Status.FINAL)
        if record is None or stored is None:
            raise RenderingFailed(reason="there is no final assessment")
        prepared = self._prepared.pop((job.series_uid, job.revision), None)
        ready = prepared is not None and prepared.document == stored.document and prepared.earlier == self._earlier(record)
        made = prepared if ready and prepared is not None else self._make(record, stored.document)
        folder = made.folder.with_name(f"revision-{job.revision}")
        shutil.rmtree(folder, ignore_errors=True)
        made.folder.replace(folder)
        _make_durable(folder.parent)
        objects = [replace(one, path=folder / one.path.relative_to(made.folder)) for one in made.objects]
        log.info("rendered", series=record.key, revision=job.revision, objects=len(objects), prepared=ready)
        return objects

    def _prepare(self) -> bool:
        if self._clock() - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = self._clock()
        open_series = {(record.series_uid, record.revision): record for record in self._catalogue.open_series()}
        self._prepared = {key: one for key, one in self._prepared.items() if key in open_series or self._is_judged(*key)}
        self._in_vain = {key: document for key, document in self._in_vain.items() if key in open_series}
        for key, record in open_series.items():
            stored = self._catalogue.assessment(*key, Status.PROVISIONAL)
            if stored is None or stored.instances != record.instances or self._clock() - stored.made_at < STOOD_S:
                continue
            known = self._prepared.get(key)
            if stored.document in (self._in_vain.get(key), None if known is None else known.document):
                continue
            try:
                self._prepared[key] = self._make(record, stored.document)
            except Exception:
                log.exception("prepare_failed", series=record.key)
                self._prepared.pop(key, None)
                self._in_vain[key] = stored.document
            return True
        return False

    def _is_judged(self, series_uid: str, revision: int) -> bool:
        record = self._catalogue.series(series_uid, revision)
        return record is not None and record.state in {State.READY, State.JUDGED}

    def _make(self, record: SeriesRecord, document: Mapping[str, Any]) -> _Prepared:
        """Write the report of an assessment into a hidden folder beside those of the revisions."""
        folder = self._reports(record) / f".revision-{record.revision}"
        shutil.rmtree(folder, ignore_errors=True)
        stored = self._catalogue.instances_of(record.series_uid, revision=record.revision, judged=True)
        parts = {series.part: series for series in Gathered.of(stored).reading().series}
        assessments = assessments_of(document)
        earlier = self._earlier(record)
        objects: list[RenderedObject] = []
        for number, assessment in enumerate(assessments, start=1):
            series = parts.get(assessment.series.part) or imageless(assessment, [one.path for one in stored])
            place = folder if len(assessments) == 1 else folder / f"part-{number}"
            predecessors = [] if earlier is None else structured_reports(earlier, assessment.series.part)
            objects += self._one(assessment, series, place, predecessors)
        _make_durable(folder)
        return _Prepared(document=document, earlier=earlier, folder=folder, objects=tuple(objects))

    def _reports(self, record: SeriesRecord) -> Path:
        return self._settings.node.storage / "reports" / record.key

    def _earlier(self, record: SeriesRecord) -> Path | None:
        """Return the newest report of an earlier revision: the one before, unless that could not be made."""
        folders = (self._reports(record) / f"revision-{number}" for number in range(record.revision - 1, 0, -1))
        return next((folder for folder in folders if folder.is_dir()), None)

    def _one(self, assessment: Assessment, series: Series, folder: Path, predecessors: Sequence[Dataset]) -> list[RenderedObject]:
        maps = explain(assessment, series, self._scorers)
        report = self._settings.report
        made, paths = write(folder, assessment, series, maps, report.lang, report, predecessors=predecessors)
        for path in folder.iterdir():
            _make_durable(path)
        _make_durable(folder)
        return [
            RenderedObject(
                path=path,
                sop_instance_uid=instance.SOPInstanceUID,
                sop_class_uid=instance.SOPClassUID,
                transfer_syntax=instance.file_meta.TransferSyntaxUID,
            )
            for path, instance in zip(paths, made.instances, strict=True)
        ]


def run(settings: Settings, load: Load, stop: threading.Event, ready: Callable[[dict[str, Any]], None]) -> None:
    """Be the renderer process until told to stop; arguments as those of the scorer."""
    telemetry.configure("renderer")
    catalogue = Catalogue.open(settings)
    catalogue.end_leases(OWNER)
    renderer = Renderer(settings, catalogue, load(settings).scorers)
    ready({})
    for module in WARM:
        importlib.import_module(module)
    try:
        while not stop.is_set():
            if not renderer.step():
                stop.wait(POLL_S)
    finally:
        catalogue.close()


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
