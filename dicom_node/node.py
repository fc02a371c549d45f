"""Start, watch, drain and stop the processes of one node.

The listener, the scorer, the renderer and the delivery know nothing of each other and meet in the catalogue; whichever dies is
started again, with a growing pause. Whatever happens to this process, they end with it: their state is on disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import IO, TYPE_CHECKING, Any, Final

import structlog

from medqa.config import Settings
from medqa.errors import InvalidSettings, MedqaError

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""A process that lived this long is started again at once."""
START_WITHIN_S: Final = 60.0
SLOWEST_START_S: Final = 300.0
DRAIN_WITHIN_S: Final = 20.0

if TYPE_CHECKING:
    from dicom_node.alone import Load, Shelf

log = structlog.get_logger(__name__)
Report = Callable[[dict[str, Any]], None]
Main = Callable[[Settings, "Load", threading.Event, Report], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one process does, how much priority it gives away, and after how many silent seconds it counts as hanging."""

    name: str
    main: Main
    niceness: int = 0
    silent_s: float | None = None


# Each process imports what it runs and nothing else: the listener stays light, and the node's own process lighter still.


def _listen(settings: Settings, load: Load, stop: threading.Event, ready: Report) -> None:
    from dicom_node import listener

    listener.run(settings, stop, ready)


def _score(settings: Settings, load: Load, stop: threading.Event, ready: Report) -> None:
    from dicom_node import worker

    worker.run(settings, load, stop, ready)


def _render(settings: Settings, load: Load, stop: threading.Event, ready: Report) -> None:
    from dicom_node import renderer

    renderer.run(settings, load, stop, ready)


def _deliver(settings: Settings, load: Load, stop: threading.Event, ready: Report) -> None:
    from dicom_node import delivery

    delivery.run(settings, stop, ready)


PROGRAMS: Final = (
    Program(name="listener", main=_listen),
    Program(name="scorer", main=_score, niceness=2, silent_s=300.0),
    Program(name="renderer", main=_render, niceness=5),
    Program(name="delivery", main=_deliver, niceness=4),
)
"""In the order in which they are started and stopped: the listener first, so that nothing new comes in while the rest drains.

None gives away all but a few of its turns: whoever holds the catalogue's write lock must get its turn, or the listener waits.
"""


def load_bundles(settings: Settings) -> Shelf:
    """Open the bundles that are installed."""
    from medqa.iqa import bundle

    return bundle.load(settings)


@dataclass(slots=True)
class _Running:
    program: Program
    process: BaseProcess
    channel: Connection
    started_at: float
    pause_s: float = FIRST_PAUSE_S
    heard_at: float = 0.0
    restart_at: float | None = None
    facts: dict[str, Any] | None = field(default=None)


class Node:
    """One node: `start`, then `wait` or go on with other things, then `stop`.

    Parameters
    ----------
    settings
        The whole tree. A port of 0 lets the system choose; `port` then says which.
    load
        Opens the bundles in the processes that need them; must be importable there.
    programs
        What runs.
    """

    def __init__(self, settings: Settings, load: Load = load_bundles, programs: tuple[Program, ...] = PROGRAMS) -> None:
        self._settings = settings
        self._load = load
        self._programs = programs
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[str, _Running] = {}
        self._lock: IO[str] | None = None
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force, the port that was chosen included."""
        return self._settings

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._settings.node.port

    def facts(self, name: str) -> dict[str, Any]:
        """Return what a process told when it was ready (scorer: `usable`, `unusable`); empty while it is not."""
        running = self._running.get(name)
        return {} if running is None else running.facts or {}

    def pid(self, name: str) -> int:
        """Return the process id of a program, 0 where it does not run."""
        running = self._running.get(name)
        return 0 if running is None else running.process.pid or 0

    def start(self) -> None:
        """Start every process, and return once the listener listens and the bundles are loaded.

        Raises
        ------
        PortInUse
            The port cannot be opened.
        InvalidSettings
            The storage folder cannot be used, or another node uses it.
        """
        self._take_storage()
        try:
            for program in self._programs:
                self._start(program)
                if program.name == "listener":
                    self._await_ready(program.name)
            for program in self._programs:
                self._await_ready(program.name)
        except BaseException:
            self.stop(drain=False)
            raise
        self._watcher = threading.Thread(target=self._watch, name="medqa-watch", daemon=True)
        self._watcher.start()

    def wait(self) -> None:
        """Return when the node was stopped, from another thread or a signal handler."""
        self._stopped.wait()

    def stop(self, *, drain: bool = True) -> None:
        """Stop in order: nothing new is received, each process ends what it is at, then ends itself.

        Without `drain` they are killed: nothing durable is lost, what was under way is done again at the next start.
        """
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        groups = [["listener"], [name for name in self._running if name != "listener"]]
        for names in groups:
            ending = [self._running[name] for name in names if name in self._running]
            for running in ending:
                _ask_to_end(running.process, kill=not drain)
            deadline = time.monotonic() + DRAIN_WITHIN_S
            for running in ending:
                running.process.join(max(0.0, deadline - time.monotonic()))
                _ask_to_end(running.process, kill=True)
                running.process.join()
                running.channel.close()
        self._running.clear()
        if self._lock is not None:
            self._lock.close()
        self._stopped.set()

    def _take_storage(self) -> None:
        folder = self._settings.node.storage
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "node.lock").open("w", encoding="utf-8")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if self._lock is not None:
                self._lock.close()
            raise InvalidSettings(name="node.storage", where="the settings", reason="another node uses this folder") from error
        except OSError as error:
            raise InvalidSettings(name="node.storage", where="the settings", reason=str(error.strerror)) from error

    def _start(self, program: Program) -> None:
        before = self._running.get(program.name)
        channel, far_end = self._context.Pipe(duplex=False)
        arguments = (program.main, self._settings, self._load, program.niceness, far_end)
        process = self._context.Process(target=_enter, args=arguments, name=f"medqa-{program.name}")
        process.start()
        far_end.close()
        pause_s = FIRST_PAUSE_S if before is None else before.pause_s
        self._running[program.name] = _Running(
            program=program,
            process=process,
            channel=channel,
            started_at=time.monotonic(),
            heard_at=time.monotonic(),
            pause_s=pause_s,
        )

    def _await_ready(self, name: str) -> None:
        running = self._running[name]
        if running.facts is None and not self._hear(running, START_WITHIN_S):
            raise MedqaError(reason=f"the {name} did not start")
        if "port" in self.facts(name):
            node = self._settings.node.model_copy(update={"port": self.facts(name)["port"]})
            self._settings = self._settings.model_copy(update={"node": node})

    def _hear(self, running: _Running, within_s: float) -> bool:
        """Take what a process says; an error of ours that ended it is raised here."""
        try:
            if not running.channel.poll(within_s):
                return False
            said = running.channel.recv()
        except EOFError:
            return False
        if isinstance(said, MedqaError):
            raise said
        running.facts, running.heard_at = said, time.monotonic()
        return True

    def _watch(self) -> None:
        while not self._stopping.is_set():
            wait([one.process.sentinel for one in self._running.values() if one.restart_at is None], timeout=0.2)
            for running in list(self._running.values()):
                if not running.process.is_alive():
                    self._restart_when_due(running)
                    continue
                with contextlib.suppress(MedqaError):
                    self._hear(running, 0.0)
                allowed_s = SLOWEST_START_S if running.facts is None else running.program.silent_s
                if allowed_s is not None and time.monotonic() - running.heard_at > allowed_s:
                    log.error("process_hangs", process=running.program.name, silent_s=allowed_s)
                    running.process.kill()
                    running.process.join()

    def _restart_when_due(self, running: _Running) -> None:
        now = time.monotonic()
        if running.restart_at is None:
            steady = now - running.started_at > STEADY_S
            running.pause_s = FIRST_PAUSE_S if steady else min(2 * running.pause_s, LONGEST_PAUSE_S)
            running.restart_at = now + running.pause_s
            log.error("process_died", process=running.program.name, exit=running.process.exitcode, again_in_s=running.pause_s)
        if now >= running.restart_at:
            running.channel.close()
            self._start(running.program)


def _enter(main: Main, settings: Settings, load: Load, niceness: int, channel: Connection) -> None:
    """Be one of the node's processes (the rim: what ends it is told to the node, and logged)."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before numpy comes in: each process computes with one thread
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    os.nice(niceness)
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    try:
        main(settings, load, stop, channel.send)
    except MedqaError as error:
        log.error("process_ended", code=error.code, reason=error.message)  # noqa: TRY400 - the code says it; no traceback
        channel.send(error)
        raise SystemExit(1) from None


def _end_with_parent(stop: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.set()
        time.sleep(2.0)
        os._exit(1)


def _ask_to_end(process: BaseProcess, *, kill: bool) -> None:
    if process.is_alive():
        if kill:
            process.kill()
        else:
            process.terminate()
