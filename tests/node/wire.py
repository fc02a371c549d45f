"""A proxy that reads the DICOM messages it passes on: which C-STORE requests went one way, which responses came back."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

P_DATA_TF = 0x04
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
_FIELD, _ID, _RESPONDED_TO, _STATUS = 0x0100, 0x0110, 0x0120, 0x0900


class Messages:
    """The DIMSE messages of one direction of one association, out of its bytes (PS3.8 section 9.3.5, PS3.7 section 6.3)."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._command = bytearray()
        self._fields: dict[int, int] = {}

    def feed(self, content: bytes) -> Iterator[dict[int, int]]:
        """Take the next bytes; yield the command of each message that they end, its data set included."""
        self._bytes += content
        while len(self._bytes) >= 6:
            kind, length = struct.unpack_from(">BxI", self._bytes)
            if len(self._bytes) < 6 + length:
                return
            body = bytes(self._bytes[6 : 6 + length])
            del self._bytes[: 6 + length]
            if kind == P_DATA_TF:
                yield from self._values(body)

    def _values(self, body: bytes) -> Iterator[dict[int, int]]:
        place = 0
        while place < len(body):
            (length,) = struct.unpack_from(">I", body, place)
            control = body[place + 5]
            if control & 1:
                self._command += body[place + 6 : place + 4 + length]
            place += 4 + length
            if control == 3:
                self._fields = _short_fields(bytes(self._command))
                self._command.clear()
            if control == 2 or (control == 3 and self._fields[0x0800] == 0x0101):
                yield self._fields


def _short_fields(command: bytes) -> dict[int, int]:
    """Return the elements of a command set (Implicit VR Little Endian) that are unsigned shorts, by element number."""
    fields, place = {}, 0
    while place < len(command):
        _, element, length = struct.unpack_from("<HHI", command, place)
        if length == 2:
            (fields[element],) = struct.unpack_from("<H", command, place + 8)
        place += 8 + length
    return fields


@dataclass
class Exchange:
    """A request whose last byte was passed on, and when its response came, if it did (monotonic seconds)."""

    message_id: int
    asked: float
    answered: float | None = None
    status: int | None = None


@dataclass
class Conversation:
    """One connection."""

    exchanges: list[Exchange] = field(default_factory=list)
    stray: int = 0
    """Responses to no request, or second ones."""

    def ask(self, command: dict[int, int]) -> None:
        if command[_FIELD] == C_STORE_RQ:
            self.exchanges.append(Exchange(command[_ID], time.monotonic()))

    def answer(self, command: dict[int, int]) -> None:
        if command[_FIELD] != C_STORE_RSP:
            return
        asked = [one for one in self.exchanges[-8:] if one.answered is None and one.message_id == command[_RESPONDED_TO]]
        if not asked:
            self.stray += 1
            return
        asked[0].answered, asked[0].status = time.monotonic(), command[_STATUS]


class Wire(socketserver.ThreadingTCPServer):
    """Pass every connection on to a port of this machine, and keep what was said.

    Parameters
    ----------
    port
        Where the receiver listens.
    copies
        Told the number of a response, counted from 1 over all connections: how often it is passed on; 0 loses it.

    Attributes
    ----------
    deaf : bool
        While it is set, nothing more is read from any sender.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, copies: Callable[[int], int] = lambda _: 1) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = port
        self.copies = copies
        self.deaf = False
        self.conversations: list[Conversation] = []
        self.responses = 0
        self.port = int(self.server_address[1])

    @contextlib.contextmanager
    def open(self) -> Iterator[Wire]:
        """Pass on until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def times(self, commands: list[dict[int, int]]) -> int:
        """Count responses; return how often the bytes that hold them go on."""
        count = sum(command[_FIELD] == C_STORE_RSP for command in commands)
        self.responses += count
        return self.copies(self.responses) if count else 1


class _Handler(socketserver.BaseRequestHandler):
    server: Wire
    request: socket.socket

    def handle(self) -> None:
        said = Conversation()
        with socket.create_connection(("127.0.0.1", self.server.receiver)) as receiver:
            for one in (self.request, receiver):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.server.conversations.append(said)
            back = threading.Thread(target=self._back, args=(receiver, said))
            back.start()
            requests = Messages()
            for content in _received(self.request):
                # noted before the last byte goes on: no response can come before its request is known
                for command in requests.feed(content):
                    said.ask(command)
                receiver.sendall(content)
                while self.server.deaf:
                    time.sleep(0.01)
            with contextlib.suppress(OSError):
                receiver.shutdown(socket.SHUT_WR)
            back.join()

    def _back(self, receiver: socket.socket, said: Conversation) -> None:
        responses = Messages()
        for content in _received(receiver):
            commands = list(responses.feed(content))
            for _ in range(self.server.times(commands)):
                for command in commands:
                    said.answer(command)
                with contextlib.suppress(OSError):
                    self.request.sendall(content)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_WR)


def _received(connection: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while content := connection.recv(65536):
            yield content
