"""A series that is not trusted any more is judged in a process of its own: if it takes that one down too, the node lives on."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, Protocol

from dicom_node import telemetry
from dicom_node.catalogue import Catalogue
from dicom_node.companions import ct_of
from dicom_node.gathered import Gathered
from dicom_node.process import Judged, Judges, judge
from dicom_node.records import SeriesRecord
from medqa.assess import Accumulator
from medqa.assessment import Scorer
from medqa.config import Settings

WITHIN_S: Final = 900.0


class Shelf(Protocol):
    """What loading the bundles gives (`medqa.iqa.bundle.Shelf`)."""

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """Those in order."""

    @property
    def unusable(self) -> tuple[Any, ...]:
        """Those that are not, each with `name`, `code`, `text` and `modality`."""


Load = Callable[[Settings], Shelf]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the process came to: a document, or None where it died."""

    document: dict[str, Any] | None


class Alone:
    """A child process that judges one complete series, followed without waiting for it.

    Parameters
    ----------
    settings, load
        As the scorer has them.
    record
        The revision.
    judged_at
        ISO 8601.
    within_s
        A process that takes longer counts as dead.
    """

    def __init__(self, settings: Settings, load: Load, record: SeriesRecord, judged_at: str, within_s: float = WITHIN_S) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, far_end = context.Pipe(duplex=False)
        arguments = (settings, load, record.series_uid, record.revision, record.modality, judged_at, far_end)
        self._process: BaseProcess = context.Process(target=_judge, args=arguments, name="medqa-alone", daemon=True)
        self._process.start()
        far_end.close()
        self._deadline = time.monotonic() + within_s

    def poll(self) -> Outcome | None:
        """Return the outcome once there is one."""
        try:
            if self._channel.poll():
                return self._end(Outcome(self._channel.recv()))
        except EOFError:
            return self._end(Outcome(None))
        if time.monotonic() > self._deadline:
            return self._end(Outcome(None))
        return None

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._end(Outcome(None))

    def _end(self, outcome: Outcome) -> Outcome:
        self._channel.close()
        self._process.kill()
        self._process.join()
        return outcome


def judge_stored(catalogue: Catalogue, series_uid: str, revision: int, accumulator: Accumulator, judged_at: str) -> Judged:
    """Judge what the catalogue holds of a revision, from its files."""
    gathered = Gathered.of(catalogue.instances_of(series_uid, revision=revision, judged=True))
    return judge(gathered.reading(), {}, accumulator, gathered.refused, judged_at, partial(ct_of, catalogue))


def _judge(
    settings: Settings, load: Load, series_uid: str, revision: int, modality: str, judged_at: str, channel: Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    telemetry.configure("alone")
    catalogue = Catalogue.open(settings)
    shelf = load(settings)
    accumulator = Judges(shelf.scorers, shelf.unusable, settings).of(modality)
    channel.send(judge_stored(catalogue, series_uid, revision, accumulator, judged_at).document())
    catalogue.close()
