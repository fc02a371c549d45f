"""One database under the catalogue: its connections, its transactions, and its tables brought up to date.

SQLite by default. BEGIN IMMEDIATE takes the write lock at once, so that a transaction that writes waits at its start and can
never fail in its middle; a reader sees one snapshot and blocks nobody (WAL). A commit is on disk when it returns
(synchronous=FULL).
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

BUSY_S: Final = 60.0
HEAD: Final = "0001"
"""The newest revision in `migrations/versions`; a test holds the two together."""
FILE_NAME: Final = "catalogue.db"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Database:
    """Connections to one database; threads may share it, processes may not.

    Parameters
    ----------
    url
        SQLAlchemy URL.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self.url = sa.make_url(url)
        arguments = {"timeout": BUSY_S} if self.url.drivername == "sqlite" else {}
        self._engine = sa.create_engine(self.url, connect_args=arguments, max_overflow=20)
        self.dialect = self._engine.dialect.name
        if self.dialect == "sqlite":
            sa.event.listen(self._engine, "connect", _configure)
            sa.event.listen(self._engine, "begin", _begin)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Run one transaction that may write; it is durable when the block is left."""
        with self._engine.connect() as connection:
            connection.execution_options(medqa_write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Run one transaction that only reads: one snapshot."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def upgrade(self, lock: Path | None = None) -> None:
        """Bring the tables up to date; several processes may ask at once, one does it.

        Parameters
        ----------
        lock
            A file to lock meanwhile: SQLite's change to WAL does not wait for other processes.
        """
        with _locked(lock):
            if self.dialect == "sqlite":
                with self._engine.connect() as connection:
                    cursor = connection.connection.cursor()
                    cursor.execute("PRAGMA journal_mode=WAL")
                    cursor.close()
            with self.write() as connection:
                if self.version(connection) != HEAD:
                    _run_alembic(connection)

    @staticmethod
    def version(connection: sa.Connection) -> str | None:
        """Return the migration that the tables stand at, None for an empty database."""
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return version


def sqlite_url(root: Path) -> sa.URL:
    """Return the URL of the catalogue in a storage folder."""
    return sa.URL.create("sqlite", database=str(root.resolve() / FILE_NAME))


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, not where the driver guesses
    for pragma in (f"busy_timeout={int(BUSY_S * 1000)}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("medqa_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _run_alembic(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def insert_ignoring(dialect: str, table: sa.Table) -> Any:
    """Return an INSERT that passes over rows that are already there, in the dialect at hand."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()
