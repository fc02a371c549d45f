"""The webhook: each event of the catalogue as one POST, in order, at least once, without patient data.

A series is named by the short hash of its UID, as in the logs; `id` lets the receiver drop what it already has.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from dicom_node.arrivals import key_of
from dicom_node.catalogue import Catalogue
from dicom_node.records import NodeEvent

if TYPE_CHECKING:
    import httpx

NAME: Final = "webhook"
TIMEOUT_S: Final = 5.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
IDLE_S: Final = 0.25
PASSING: Final = frozenset({408, 425, 429})
"""Client errors that another try may cure."""

log = structlog.get_logger(__name__)


class Webhook:
    """Posts events.

    Parameters
    ----------
    url
        Where to.
    catalogue
        Where the events are, and how far this reader has come.
    client
        An HTTP client; by default one of its own.
    """

    def __init__(self, url: str, catalogue: Catalogue, client: httpx.Client | None = None) -> None:
        import httpx

        self._url = url
        self._catalogue = catalogue
        self._client = client or httpx.Client(timeout=TIMEOUT_S)
        self._position = catalogue.cursor(NAME)
        self._failures = 0

    def post(self) -> int:
        """Post what is new; return how many events are behind us. Stops at the first that is not taken."""
        import httpx

        done = 0
        for event in self._catalogue.events_since(self._position, 100):
            try:
                answer = self._client.post(self._url, json=document(event))
            except httpx.HTTPError as error:
                self._failed(type(error).__name__)
                break
            if answer.status_code >= 500 or answer.status_code in PASSING:
                self._failed(f"status {answer.status_code}")
                break
            if answer.status_code >= 400:
                log.error("webhook_refused", status=answer.status_code, id=event.id)
            self._failures = 0
            self._position = event.id
            done += 1
        if done:
            self._catalogue.move_cursor(NAME, self._position)
        return done

    def serve(self, stop: threading.Event) -> None:
        """Post until `stop` is set (a rim: what goes wrong is logged and tried again)."""
        while not stop.is_set():
            try:
                self.post()
            except Exception:
                log.exception("webhook_failed")
                self._failures += 1
            stop.wait(self.pause_s())
        self._client.close()

    def pause_s(self) -> float:
        """Return how long to wait now."""
        if self._failures == 0:
            return IDLE_S
        return min(FIRST_PAUSE_S * 2.0 ** (self._failures - 1), LONGEST_PAUSE_S)

    def _failed(self, reason: str) -> None:
        self._failures += 1
        log.warning("webhook_rests", reason=reason, failures=self._failures)


def document(event: NodeEvent) -> dict[str, Any]:
    """Return what is posted of an event: no UID, no patient data."""
    return {
        "id": event.id,
        "at": event.at,
        "kind": event.kind,
        "series": event.key,
        "revision": event.revision,
        "data": _hashed(event.data),
    }


def _hashed(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: key_of(value) if key.endswith("uid") and isinstance(value, str) else value for key, value in data.items()}
