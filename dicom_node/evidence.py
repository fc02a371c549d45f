"""The streaming cache of frame evidence: a side database that may be lost at any moment, which costs time and nothing else.

Evidence names the digest of the frame's bytes, the bundles and the version of medqa it was made by, so that whoever reads it can
tell what is stale (`Accumulator.is_current`). One transaction a second at most, `synchronous=NORMAL`; the rows of a series are
deleted once it is final.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from medqa.assessment import FrameEvidence

FLUSH_EVERY_S: Final = 1.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS evidence (
    series_uid TEXT NOT NULL, sop_instance_uid TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (series_uid, sop_instance_uid, number, sha256)
) WITHOUT ROWID
"""

log = structlog.get_logger(__name__)


class EvidenceCache:
    """Remember the evidence of frames across a restart of the scorer.

    Parameters
    ----------
    path
        The database file. A file that SQLite cannot use is replaced by an empty one.
    clock
        Seconds, monotonic.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._waiting: list[tuple[str, FrameEvidence]] = []
        self._flushed_at = clock()
        self._connection = _open(path)

    def put(self, series_uid: str, evidence: Sequence[FrameEvidence]) -> None:
        """Take evidence; it is written with the next batch."""
        self._waiting.extend((series_uid, one) for one in evidence)
        self.flush(due=True)

    def flush(self, *, due: bool = False) -> None:
        """Write what waits; with `due`, only when the last transaction is more than a second old."""
        if not self._waiting or (due and self._clock() - self._flushed_at < FLUSH_EVERY_S):
            return
        rows = [
            (uid, one.sop_instance_uid, one.number, one.sha256, json.dumps(one.to_json(), separators=(",", ":")))
            for uid, one in self._waiting
        ]
        self._waiting.clear()
        self._flushed_at = self._clock()
        self._try("INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?, ?)", rows)

    def get(self, series_uid: str) -> dict[tuple[str, int, str], FrameEvidence]:
        """Return what is known of a series, by SOP Instance UID, frame number and digest of the stored bytes."""
        self.flush()
        query = "SELECT document FROM evidence WHERE series_uid = ?"
        try:
            rows = self._connection.execute(query, (series_uid,)).fetchall()
            found = [FrameEvidence.from_json(json.loads(text)) for (text,) in rows]
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._start_again(error)
            return {}
        return {(one.sop_instance_uid, one.number, one.sha256): one for one in found}

    def forget(self, series_uid: str) -> None:
        """Delete the rows of a series that is final."""
        self._waiting = [entry for entry in self._waiting if entry[0] != series_uid]
        self._try("DELETE FROM evidence WHERE series_uid = ?", [(series_uid,)])

    def close(self) -> None:
        """Write what waits and close the file."""
        self.flush()
        self._connection.close()

    def _try(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            self._start_again(error)

    def _start_again(self, error: Exception) -> None:
        log.warning("evidence_cache_lost", error=type(error).__name__)
        self._connection.close()
        _remove(self._path)
        self._connection = _open(self._path)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        log.warning("evidence_cache_lost", error=type(error).__name__)
        _remove(path)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_SCHEMA)
        connection.commit()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
