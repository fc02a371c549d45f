"""The renderer: a second process, of lower priority, that turns final verdicts into reports and DICOM objects.

It writes them into `reports/` under the storage folder, makes them durable, and queues them in one commit. Only here, and only
for heat maps, a process of the node loads torch.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from dicom_node import telemetry
from dicom_node.alone import Load
from dicom_node.catalogue import Catalogue
from dicom_node.gathered import Gathered
from dicom_node.process import assessments_of, explain, write
from dicom_node.records import Job, JobKind, RenderedObject, Status
from medqa.assessment import Assessment, Scorer
from medqa.config import Settings
from medqa.errors import JobLost, MedqaError, RenderingFailed
from medqa.series import Series

POLL_S: Final = 0.1
OWNER: Final = "renderer"

log = structlog.get_logger(__name__)


class Renderer:
    """Render one JUDGED revision after the other.

    Parameters
    ----------
    settings
        The whole tree.
    catalogue
        Of this process.
    scorers
        Asked for heat maps.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, scorers: Sequence[Scorer]) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._scorers = scorers

    def step(self) -> bool:
        """Render what waits longest; return whether there was something."""
        job = self._catalogue.claim(JobKind.RENDER, OWNER, self._settings.node.lease_s)
        if job is None:
            return False
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
        assessments = assessments_of(stored.document)
        parts = self._parts(job)
        folder = self._settings.node.storage / "reports" / record.key / f"revision-{job.revision}"
        made: list[RenderedObject] = []
        for number, assessment in enumerate(assessments, start=1):
            series = parts.get(assessment.series.part)
            if series is None:
                raise RenderingFailed(reason="its images can no longer be read")
            place = folder if len(assessments) == 1 else folder / f"part-{number}"
            made += self._one(assessment, series, place, datetime.fromtimestamp(stored.made_at, UTC))
            self._catalogue.heartbeat(job, self._settings.node.lease_s)
        log.info("rendered", series=record.key, revision=job.revision, objects=len(made))
        return made

    def _parts(self, job: Job) -> dict[str, Series]:
        stored = self._catalogue.instances_of(job.series_uid, revision=job.revision, judged=True)
        return {series.part: series for series in Gathered.of(stored).reading().series}

    def _one(self, assessment: Assessment, series: Series, folder: Path, now: datetime) -> list[RenderedObject]:
        maps = explain(assessment, series, self._scorers)
        made, paths = write(folder, assessment, series, maps, self._settings.report.lang, self._settings.report, now)
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
