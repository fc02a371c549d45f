"""`medqa send PATH --to HOST:PORT`: send DICOM files as they are stored, and tell what became of each."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from medqa.errors import InvalidSettings, MedqaError, NothingToRead, ReceiverUnreachable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dicom_node.connection import Requests
    from medqa.reader.sources import Source

MOST_CONTEXTS: Final = 128
"""An association has at most so many presentation contexts (PS3.8 9.3.2.2)."""
MOST_LISTED: Final = 20
IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
TRIES: Final = 2
"""How often a file is sent that the receiver leaves unanswered; it takes the same bytes twice."""
MOST_ASSOCIATIONS_LOST: Final = 3
"""How many associations in a row may end without any answer before the rest is given up."""
NO_ANSWER: Final = "no answer from the receiver"
CONNECT_WITHIN_S: Final = 10.0
TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file to send: its place, what it is, and how it is encoded."""

    source: Source
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    complete: bool
    """Whether it has the file meta information to be sent from disk as it is."""

    @property
    def context(self) -> tuple[str, str]:
        """SOP class and transfer syntax: what is negotiated."""
        return self.sop_class_uid, self.transfer_syntax_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one file: the receiver's status, or None where it never answered."""

    name: str
    sop_instance_uid: str
    status: int | None
    text: str = ""

    @property
    def stored(self) -> bool:
        """Success, or success with a warning (PS3.4 table B.2-1)."""
        return self.status is not None and (self.status == 0 or self.status >> 12 == 0xB)


def run(
    path: Annotated[Path, typer.Argument(help="A folder, a file or a zip with DICOM files.", show_default=False)],
    to: Annotated[str, typer.Option(help="HOST:PORT of the receiver.", show_default=False)],
    aet: Annotated[str, typer.Option(help="AE title of the receiver.")] = "MEDQA",
    own_aet: Annotated[str, typer.Option(help="AE title to call with.")] = "MEDQA_SEND",
) -> None:
    """Send DICOM files by C-STORE; exit code 0 when every one was stored, else 2."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    host, port = parse_address(to)
    items, left_out = collect(path)
    if not items:
        raise NothingToRead(source=path.name, reason="no DICOM file in it")
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("sending", total=len(items))
        sent = store(items, host, port, aet=aet, own_aet=own_aet, tell=lambda _: bar.advance(task))
    failed = [one for one in sent if not one.stored]
    warned = [one for one in sent if one.stored and one.status != 0]
    for one in failed[:MOST_LISTED]:
        console.print(f"[red]✗[/] {one.name}: {one.text}", highlight=False)
    if len(failed) > MOST_LISTED:
        console.print(f"[red]✗[/] and {len(failed) - MOST_LISTED} more")
    counts = [f"{len(sent) - len(failed)} of {len(sent)} stored"]
    counts += [f"{len(warned)} with a warning"] * bool(warned) + [f"{len(failed)} failed"] * bool(failed)
    counts += [f"{left_out} files are not DICOM and were not sent"] * bool(left_out)
    console.print("; ".join(counts) + ".", highlight=False)
    raise typer.Exit(2 if failed else 0)


def parse_address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`.

    Raises
    ------
    InvalidSettings
        Where it is not of that form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidSettings(name="to", where="--to", reason=f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def collect(path: Path) -> tuple[list[Item], int]:
    """Return the DICOM files in a folder, file or zip, and how many others there are.

    Raises
    ------
    UnreadableSeries
        Where there is nothing at `path`, or the zip is damaged or unsafe.
    """
    from medqa.reader.sources import walk

    items, others = [], 0
    for source in walk(path):
        item = None if isinstance(source, MedqaError) else _item(source)
        if item is None:
            others += 1
        else:
            items.append(item)
    return items, others


def store(
    items: Sequence[Item],
    host: str,
    port: int,
    *,
    aet: str = "MEDQA",
    own_aet: str = "MEDQA_SEND",
    tell: Callable[[Sent], None] = lambda _: None,
) -> list[Sent]:
    """Send files, in the order given as far as their presentation contexts fit one association.

    Returns
    -------
    list
        One answer a file; `tell` hears each as it comes.

    Raises
    ------
    ReceiverUnreachable
        Where the receiver cannot be reached, or refuses the association.
    """
    answers: list[Sent] = []

    def note(answer: Sent) -> None:
        answers.append(answer)
        tell(answer)

    for batch in _batches(items):
        waiting, tries, lost = list(batch), 0, 0
        while waiting:
            done = _associate_and_send(waiting, host, port, aet, own_aet, note)
            waiting = waiting[done:]
            tries, lost = (1, 0) if done else (tries + 1, lost + 1)
            if waiting and tries >= TRIES:
                note(_answer(waiting.pop(0), None, NO_ANSWER))
                tries = 0
            if lost >= MOST_ASSOCIATIONS_LOST:
                for item in waiting:
                    note(_answer(item, None, "not sent: the receiver ended the association again and again"))
                waiting = []
    return answers


def _associate_and_send(items: Sequence[Item], host: str, port: int, aet: str, own_aet: str, note: Callable[[Sent], None]) -> int:
    """Send until the association ends; return how many files were answered for: one without an answer is still to be sent."""
    from pynetdicom import AE, _config, evt

    from dicom_node.connection import Requests, opened

    place = f"{aet} at {host}:{port}"
    try:
        socket.create_connection((host, port), timeout=CONNECT_WITHIN_S).close()
    except OSError as error:
        raise ReceiverUnreachable(receiver=place, reason=error.strerror or "it does not answer") from error
    # Files go out byte for byte as they lie on disk, never through a decoder.
    _config.STORE_SEND_CHUNKED_DATASET = True
    entity = AE(ae_title=own_aet)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
    entity.connection_timeout = CONNECT_WITHIN_S
    entity.maximum_pdu_size = 131072
    for sop_class, syntax in dict.fromkeys(item.context for item in items):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate(
        host, port, ae_title=aet, max_pdu=131072, evt_handlers=[(evt.EVT_CONN_OPEN, opened, [TIMEOUT_S])]
    )
    if not association.is_established:
        reason = "it refused the association" if association.is_rejected else "it does not answer"
        raise ReceiverUnreachable(receiver=place, reason=reason)
    accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
    requests = Requests(association)
    done = 0
    try:
        for item in items:
            if not requests.open:
                break
            if item.context not in accepted:
                note(_answer(item, None, "the receiver does not take this kind of object in its encoding"))
                done += 1
                continue
            answer = _send_one(requests, item)
            if answer is None:
                association.abort()  # whatever state it is in: no further answer would come on it
                break
            note(answer)
            done += 1
    finally:
        if association.is_established:
            association.release()
    return done


def _send_one(requests: Requests, item: Item) -> Sent | None:
    """Send a file; return what became of it, None where no answer came."""
    try:
        with _on_disk(item) as path:
            status = requests.store(path)
    except MedqaError as error:
        return _answer(item, None, str(error))
    except (ValueError, AttributeError, OSError, RuntimeError) as error:
        return _answer(item, None, f"not sent: {type(error).__name__}") if requests.open else None
    if "Status" not in status:
        return None
    code = int(status.Status)
    comment = f" {status.ErrorComment}" if status.get("ErrorComment") else ""
    return _answer(item, code, f"status 0x{code:04X}{comment}")


def _answer(item: Item, status: int | None, text: str) -> Sent:
    return Sent(name=item.source.name, sop_instance_uid=item.sop_instance_uid, status=status, text=text)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    contexts: set[tuple[str, str]] = set()
    for item in items:
        if item.context not in contexts and len(contexts) == MOST_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        contexts.add(item.context)
        batch.append(item)
    if batch:
        yield batch


def _item(source: Source) -> Item | None:
    """Read what is negotiated about a file; None where it is not DICOM."""
    import io
    import warnings

    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with source.opened() as data, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(
                io.BytesIO(bytes(data)), stop_before_pixels=True, force=True, specific_tags=["SOPClassUID", "SOPInstanceUID"]
            )
    except (MedqaError, InvalidDicomError, OSError, ValueError, KeyError, EOFError, AttributeError, NotImplementedError):
        return None
    meta: Dataset = header.file_meta
    sop_class, instance = str(header.get("SOPClassUID") or ""), str(header.get("SOPInstanceUID") or "")
    if not sop_class or not instance:
        return None
    whole = all(name in meta for name in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"))
    return Item(
        source=source,
        sop_class_uid=str(meta.MediaStorageSOPClassUID) if whole else sop_class,
        sop_instance_uid=instance,
        transfer_syntax_uid=str(meta.get("TransferSyntaxUID") or IMPLICIT_LITTLE_ENDIAN),
        complete=whole,
    )


@contextlib.contextmanager
def _on_disk(item: Item) -> Iterator[Path]:
    """Give a file that can be sent from disk: itself, or a copy (from a zip, or with file meta information added)."""
    from medqa.reader.sources import FileSource

    if item.complete and isinstance(item.source, FileSource):
        yield item.source.path
        return
    with tempfile.TemporaryDirectory(prefix="medqa-send-") as folder, item.source.opened() as data:
        path = Path(folder) / "object.dcm"
        if item.complete:
            path.write_bytes(data)
        else:
            _write_with_meta(path, bytes(data), item)
        yield path


def _write_with_meta(path: Path, data: bytes, item: Item) -> None:
    import io

    from pydicom import dcmread
    from pydicom.uid import UID

    dataset = dcmread(io.BytesIO(data), force=True)
    dataset.file_meta.MediaStorageSOPClassUID = UID(item.sop_class_uid)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(item.sop_instance_uid)
    dataset.file_meta.TransferSyntaxUID = UID(item.transfer_syntax_uid)
    dataset.save_as(path, enforce_file_format=True)
