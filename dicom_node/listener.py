"""The listener: C-ECHO and C-STORE, durable before success.

bytes as received -> part file -> fsync -> rename -> folder fsync -> catalogue row -> only then 0x0000. Whatever goes wrong is
answered in words of the standard (PS3.4 table B.2-1): 0xA700 out of resources, 0xA900 data set and command disagree, 0xC000
cannot understand. No pixel is looked at here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer
from sqlalchemy.exc import SQLAlchemyError

from dicom_node import header, telemetry
from dicom_node.catalogue import Catalogue
from dicom_node.connection import opened
from dicom_node.records import Arrival
from dicom_node.storage import Storage, file_meta
from medqa.config import Settings
from medqa.errors import PortInUse, UnreadableInstance

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
PROCESSING_FAILURE: Final = 0x0110
SLOW_S: Final = 2.0
"""A store that takes longer is told in the log, with what took the time: the disk or the catalogue."""

OWN_MANUFACTURER: Final = "medqa"
SILENT_S: Final = 300.0
"""How long an association may be silent: a scanner that sends while it scans pauses for minutes between beds."""
SWEEP_EVERY_S: Final = 5.0
_LOCKS: Final = 64
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)

log = structlog.get_logger(__name__)


class GroupCommit:
    """Many threads, one commit: whoever comes while another commits joins the next batch.

    Parameters
    ----------
    commit
        Enters a batch durably, all or nothing.
    """

    def __init__(self, commit: Callable[[Sequence[Arrival]], object]) -> None:
        self._commit = commit
        self._waiting: list[_Ticket] = []
        self._queue = threading.Lock()
        self._leading = threading.Lock()

    def enter(self, arrival: Arrival) -> None:
        """Return when the arrival is durable; raise what kept it from being so."""
        ticket = _Ticket(arrival=arrival)
        with self._queue:
            self._waiting.append(ticket)
        with self._leading:
            if not ticket.done:
                with self._queue:
                    batch, self._waiting = self._waiting, []
                self._run(batch)
        if ticket.error is not None:
            raise ticket.error

    def _run(self, batch: list[_Ticket]) -> None:
        try:
            self._commit([ticket.arrival for ticket in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, each thread that waits must hear it
            if len(batch) > 1:  # one bad row must not fail its neighbours
                for ticket in batch:
                    self._run([ticket])
                return
            batch[0].error = error
        for ticket in batch:
            ticket.done = True


@dataclass(slots=True, kw_only=True)
class _Ticket:
    arrival: Arrival
    done: bool = False
    error: Exception | None = None


@dataclass(slots=True, kw_only=True)
class _Caller:
    """One association: its row, and the two counts that must agree."""

    id: int
    received: int = 0
    answered: int = 0
    ending: str = "aborted"


class Listener:
    """A storage SCP over one catalogue and one storage folder.

    Parameters
    ----------
    settings
        The whole tree.
    catalogue, storage
        Where rows and bytes go.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, storage: Storage) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._storage = storage
        self._name = uuid.uuid4().hex
        self._commits = GroupCommit(catalogue.record_received)
        self._callers: dict[threading.Thread, _Caller] = {}
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self._entity: AE | None = None
        self._server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            return self._settings.node.port
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen, in threads of its own.

        Raises
        ------
        PortInUse
            The port cannot be opened.
        """
        node = self._settings.node
        self._storage.prepare()
        self._catalogue.close_stale_associations(self._name)
        # every storage class, private and unknown ones included, in the transfer syntax that the sender likes best
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        entity = AE(ae_title=node.ae_title)
        entity.maximum_pdu_size = node.max_pdu
        entity.maximum_associations = node.max_associations
        entity.network_timeout = SILENT_S
        entity.add_supported_context(Verification)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, opened, [SILENT_S]),
            (evt.EVT_DATA_SENT, _acknowledge_at_once),
            (evt.EVT_PDU_RECV, _acknowledge_at_once),
            (evt.EVT_ACCEPTED, self._opened),
            (evt.EVT_RELEASED, self._closed, ["released"]),
            (evt.EVT_ABORTED, self._closed, ["aborted"]),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            server = entity.start_server((node.host, node.port), block=False, evt_handlers=handlers)
        except OSError as error:
            raise PortInUse(port=node.port, reason=error.strerror or type(error).__name__) from error
        assert isinstance(server, ThreadedAssociationServer)  # noqa: S101 - what block=False returns
        self._entity, self._server = entity, server
        log.info("listening", port=self.port)

    def stop(self, within_s: float = 5.0) -> None:
        """Take no new association; let those that are open end within a few seconds, then abort them."""
        if self._server is None or self._entity is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + within_s
        while self._callers and time.monotonic() < deadline:
            time.sleep(0.05)
            self.sweep()
        self._entity.shutdown()
        self.sweep(everything=True)
        self._server = None

    def sweep(self, *, everything: bool = False) -> None:
        """End, as aborted, associations whose thread is gone without a word."""
        for association in list(self._callers):
            if everything or not association.is_alive():
                self._end(association)

    def _opened(self, event: evt.Event) -> None:
        self._callers[event.assoc] = self._call(event.assoc)

    def _call(self, association: Any) -> _Caller:
        caller = association.requestor  # codespell:ignore requestor
        sender, address = caller.ae_title.strip(), caller.address
        row = self._catalogue.association_opened(sender=sender, address=address, listener=self._name)
        return _Caller(id=row)

    def _closed(self, event: evt.Event, ending: str) -> None:
        caller = self._callers.get(event.assoc)
        if caller is not None:
            caller.ending = ending
            self._end(event.assoc)

    def _end(self, association: threading.Thread) -> None:
        caller = self._callers.pop(association, None)
        if caller is None:
            return
        ending = caller.ending
        try:
            self._catalogue.association_closed(caller.id, ending, received=caller.received, answered=caller.answered)
        except SQLAlchemyError:
            log.exception("association_not_closed", association=caller.id)
            self._callers[association] = caller  # the next sweep tries again: an open row would keep its series open
            return
        told = log.info if caller.received == caller.answered else log.warning
        told("association_closed", association=caller.id, ending=ending, received=caller.received, stored=caller.answered)

    def _store(self, event: evt.Event) -> int | Dataset:
        """Answer one C-STORE (a rim: whatever happens is answered and logged)."""
        try:
            caller = self._callers.get(event.assoc)
            if caller is None:
                caller = self._callers[event.assoc] = self._call(event.assoc)
            caller.received += 1
            status, comment = self._keep(event, caller)
            caller.answered += status == SUCCESS
        except (OSError, MemoryError, SQLAlchemyError):
            log.exception("store_failed", status=OUT_OF_RESOURCES)
            status, comment = OUT_OF_RESOURCES, "Out of resources"
        except UnreadableInstance as error:
            log.warning("store_refused", status=CANNOT_UNDERSTAND, code=error.code, reason=str(error.values.get("reason")))
            status, comment = CANNOT_UNDERSTAND, f"{error.code}: {error.values.get('reason')}"
        except Exception:
            log.exception("store_failed", status=PROCESSING_FAILURE)
            status, comment = PROCESSING_FAILURE, "Processing failure"
        if status == SUCCESS:
            return SUCCESS
        answer = Dataset()
        answer.Status = status
        answer.ErrorComment = comment[:64]
        return answer

    def _keep(self, event: evt.Event, caller: _Caller) -> tuple[int, str]:
        request, transfer_syntax = event.request, str(event.context.transfer_syntax)
        sop_class, sop_instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        data = memoryview(b"") if request.DataSet is None else request.DataSet.getbuffer()
        if not self._storage.has_room(len(data)):
            log.error("disk_full", status=OUT_OF_RESOURCES)
            return OUT_OF_RESOURCES, "Out of resources: disk"
        found = header.scan(data, transfer_syntax)
        for told, named in ((found.sop_instance_uid, sop_instance), (found.sop_class_uid, sop_class)):
            if told and told != named:
                return DOES_NOT_MATCH, "The data set names another SOP Instance or Class UID"
        crc = zlib.crc32(data)
        began = time.monotonic()
        with self._locks[hash((found.series_uid, sop_instance)) % _LOCKS]:
            looked = time.monotonic()
            copies = self._catalogue.copies_of(found.series_uid, sop_instance)
            for copy in copies:
                if (copy.size, copy.crc) == (len(data), crc):
                    same = self._storage.holds(copy.path, data)
                    if same:
                        return SUCCESS, ""
                    if same is None:  # acknowledged once, lost since: healed by the sender's own copy
                        meta = file_meta(sop_class, sop_instance, copy.transfer_syntax)
                        if copy.transfer_syntax == transfer_syntax:
                            self._storage.write(str(copy.path.relative_to(self._storage.root)), (meta, data))
                            return SUCCESS, ""
            name = self._storage.name(found.study_uid, found.series_uid, sop_instance, len(copies))
            self._storage.write(name, (file_meta(sop_class, sop_instance, transfer_syntax), data))
            arrival = _arrival(found, sop_class, sop_instance, transfer_syntax, name, len(data), crc, len(copies), caller.id)
            written = time.monotonic()
            self._commits.enter(arrival)
            ended = time.monotonic()
        if ended - began > SLOW_S:
            seconds = {"waited_s": looked - began, "file_s": written - looked, "commit_s": ended - written}
            log.warning("store_slow", association=caller.id, **{name: round(value, 2) for name, value in seconds.items()})
        return SUCCESS, ""


def _arrival(
    found: header.Header,
    sop_class: str,
    sop_instance: str,
    transfer_syntax: str,
    name: str,
    size: int,
    crc: int,
    copy: int,
    association: int,
) -> Arrival:
    modality = header.JUDGED_CLASSES.get(sop_class)
    declared, part = found.declared(modality or "")
    return Arrival(
        sop_instance_uid=sop_instance,
        sop_class_uid=sop_class,
        series_uid=found.series_uid,
        study_uid=found.study_uid,
        path=name,
        size=size,
        crc=crc,
        transfer_syntax=transfer_syntax,
        association=association,
        modality=modality or found.modality or None,
        judged=modality is not None,
        own=modality is None and found.manufacturer == OWN_MANUFACTURER,
        conflict=copy > 0,
        copy=copy,
        instance_number=found.instance_number,
        frames=found.frames,
        declared=declared,
        part=part,
    )


def run(settings: Settings, stop: threading.Event, ready: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Be the listener until `stop` is set; `ready` is told the port once it listens.

    Raises
    ------
    PortInUse
        The port cannot be opened.
    """
    telemetry.configure("listener")
    catalogue = Catalogue.open(settings)
    listener = Listener(settings, catalogue, Storage(settings.node.storage, settings.node.disk_reserve_mb))
    try:
        listener.start()
        if ready is not None:
            ready({"port": listener.port, "pid": os.getpid()})
        while not stop.wait(SWEEP_EVERY_S):
            listener.sweep()
    finally:
        listener.stop()
        catalogue.close()


def _acknowledge_at_once(event: evt.Event) -> None:
    """Re-arm quick acknowledgement, which Linux drops with every answer: a sender that leaves Nagle on does not stall."""
    connection = event.assoc.dul.socket
    if _QUICKACK is not None and connection is not None and connection.socket is not None:
        with contextlib.suppress(OSError):
            connection.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
