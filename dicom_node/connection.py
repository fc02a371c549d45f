"""One DICOM connection: a socket that never stalls, and C-STORE requests that are answered by their own response or not at all.

pynetdicom 3.0.4 has two faults that show under load; both are closed here, for the sender (SCU) and the receiver (SCP).

A lost response. Two threads take from the queue `dimse.msg_queue`: the one that called `send_c_store` and waits, and the
association's own reactor (`association.py`, `_run_reactor`). The first stops the second by clearing `_reactor_checkpoint` and
then looks at `_is_paused`. But the reactor leaves `_is_paused` True while it comes out of the checkpoint: when it was let go by
the request before and the system gives it no time, the next request sees it "paused" and goes out, the reactor wakes, and where
the response is there first it takes it, calls it unexpected and drops it. The sender waits until its timeout.

A stalled socket. Its thread reads and writes with no time limit: a peer that stops in the middle of a PDU, or reads no more,
holds it for ever, and `abort` waits for that thread.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

_MOST: Final = 65535
"""The highest Message ID (US, PS3.7 section 9.3.1.1)."""


def opened(event: evt.Event, silent_s: float) -> None:
    """Handle EVT_CONN_OPEN: send at once, and give up a read or a write of which nothing moves for `silent_s` seconds.

    Nagle's algorithm would hold every small PDU back until the peer's delayed acknowledgement: 40 ms an image.
    """
    connection = event.assoc.dul.socket.socket
    limit = struct.pack("ll", int(silent_s), int(silent_s % 1 * 1_000_000))  # struct timeval
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


class Requests:
    """The C-STORE requests over one association that has no other use.

    Parameters
    ----------
    association
        Established; it serves no request of the peer from now on.
    """

    def __init__(self, association: Association) -> None:
        self._association = association
        self._take = association.dimse.get_msg
        self._number = 0
        association.dimse.get_msg = self._response

    @property
    def open(self) -> bool:
        """Whether another request can go out."""
        return bool(self._association.is_established)

    def store(self, instance: Dataset | Path) -> Dataset:
        """Send one instance; return its response's status, empty where none came in time: the association is over then.

        Raises
        ------
        RuntimeError
            The association is not established.
        ValueError, AttributeError, OSError
            It cannot be sent.
        """
        self._number = self._number % _MOST + 1
        status: Dataset = self._association.send_c_store(instance, msg_id=self._number)
        return status

    def release(self) -> None:
        """End the association in order."""
        self._association.release()

    def _response(self, block: bool = False) -> tuple[Any, Any]:
        """Give a message to the thread that waits for a response, and to no other; only the response to its own request."""
        if not block:
            return None, None
        while True:
            context, message = self._take(block=True)
            if message is None or getattr(message, "MessageIDBeingRespondedTo", None) == self._number:
                return context, message
