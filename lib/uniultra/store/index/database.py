"""The index: an SQL database beside the files, SQLite in the folder or PostgreSQL at a URL."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, inspect, select, text, update
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateSchema

from uniultra.store.errors import StoreError
from uniultra.store.index.schema import PLACE, SCHEMA, meta, metadata

logger = logging.getLogger(__name__)
_BUSY_MS = 30_000
_MEMORY_S = 300.0
_UNUSABLE = (
    "Expected the database of the label store to answer; it does not. Ask the administrator to check it and "
    "--conf store_url, then try again. No label file is affected."
)


class IndexDatabase:
    """Connections to the database; a damaged one, or one of another schema, is set aside by `open`.

    Writing transactions are serialised, in PostgreSQL as in SQLite. `name` returns the folder's own schema in
    PostgreSQL; it is called on first use.
    """

    def __init__(self, folder: Path, url: str | None, name: Callable[[], str]) -> None:
        self._file = folder / "index.sqlite"
        self._url, self._name = url, name
        self._engine: Engine | None = None
        self._node: tuple[int, int] | None = None
        self.memory_only = False
        self._opened = 0.0
        # an index in memory is one connection for all threads
        self._memory_turn = threading.RLock()

    # opening

    def alive(self) -> bool:
        """Whether it is open, and its file is still the one in the folder."""
        if self.memory_only and time.monotonic() - self._opened > _MEMORY_S:
            return False  # the disk may have room again
        return self._engine is not None and (self._node is None or self._node == self._node_now())

    def open(self, *, in_memory: bool = False) -> None:
        """Connect; the caller holds the folder's write lock.

        Raises:
            StoreError: the database does not answer.
        """
        self.close()
        self.memory_only, self._opened = in_memory, time.monotonic()
        for attempt in range(2):
            self._engine = self._connect()
            try:
                with self.writing() as connection:
                    if self._fits(connection):
                        metadata.create_all(connection)
                        if self.value(connection, "schema") is None:
                            self.set_value(connection, "schema", str(SCHEMA))
                            if not self._url:
                                self.set_value(connection, "layout", _layout(connection))
                        break
            except (StoreError, exc.DatabaseError):
                if attempt or self._url:
                    self.close()
                    raise StoreError(_UNUSABLE) from None
            self.close()
            self._set_aside()
        if not (self._url or in_memory):
            self._node = self._node_now()

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
        self._engine = self._node = None

    def discard(self) -> None:
        """Set the database aside; `open` creates a new one. The caller holds the folder's write lock."""
        self.close()
        if self._url or self._file.exists():
            self._set_aside()

    def _connect(self) -> Engine:
        options: dict[str, Any] = {"hide_parameters": True}  # no patient data in error messages
        if self._url:
            try:
                engine = create_engine(self._url, pool_pre_ping=True, pool_size=10, **options)
            except (exc.ArgumentError, exc.NoSuchModuleError, ImportError, ValueError):
                raise StoreError(
                    "Expected store_url as postgresql+psycopg://user@host/database; got something else, or "
                    "the driver is not installed. Install it with: pip install 'uniultra[postgres]'."
                ) from None
            place = self._name()
        else:
            url = "sqlite://" if self.memory_only else f"sqlite:///{self._file}"
            pool: dict[str, Any] = {"poolclass": StaticPool} if self.memory_only else {"pool_size": 20}
            engine = create_engine(url, connect_args={"check_same_thread": False}, **pool, **options)
            event.listen(engine, "connect", _configure_sqlite)
            place = None
        event.listen(engine, "begin", _begin)
        return engine.execution_options(schema_translate_map={PLACE: place})

    def _fits(self, connection: Connection) -> bool:
        """Whether the database is new or has our schema."""
        place = self._name() if self._url else None
        if connection.dialect.name == "sqlite":
            if connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar() != "ok":
                return False
        else:
            connection.execute(CreateSchema(self._name(), if_not_exists=True))
        tables = set(inspect(connection).get_table_names(schema=place))
        if not tables:
            return True
        if not {table.name for table in metadata.sorted_tables} <= tables:
            return False
        return self.value(connection, "schema") == str(SCHEMA) and (
            bool(self._url) or self.value(connection, "layout") == _layout(connection)
        )

    def _set_aside(self) -> None:
        stamp = time.time_ns()
        logger.warning("The index of the label store is damaged or of another version; it is rebuilt.")
        if self._url:
            old, new = self._name(), f"{self._name()}_aside_{stamp}"
            engine = self._connect()
            with engine.begin() as connection:
                if inspect(connection).has_schema(old):
                    connection.execute(text(f'ALTER SCHEMA "{old}" RENAME TO "{new}"'))
            engine.dispose()
            return
        for ending in ("", "-wal", "-shm"):
            file = self._file.with_name(self._file.name + ending)
            if file.exists():
                file.replace(self._file.with_name(f"index.damaged-{stamp}.sqlite{ending}"))

    def _node_now(self) -> tuple[int, int] | None:
        try:
            stat = self._file.stat()
        except OSError:
            return (0, 0)
        return stat.st_dev, stat.st_ino

    # transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A reading transaction on a consistent state of the index.

        Raises:
            StoreError: the database does not answer.
        """
        with self._transaction(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A writing transaction, exclusive of other writers; committed if the block ends without an error.

        Raises:
            StoreError: the database does not answer.
        """
        with self._transaction(write=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        engine = self._engine
        if engine is None:
            raise StoreError(_UNUSABLE)
        if self.memory_only:
            self._memory_turn.acquire()
        try:
            with engine.execution_options(write=write).begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            if "malformed" in str(error.orig) or "not a database" in str(error.orig):
                self._engine = None  # the next access finds the damage and rebuilds the index
            # the driver's own message may quote the statement's values
            raise StoreError(_UNUSABLE) from None
        except exc.TimeoutError:
            raise StoreError(_UNUSABLE) from None
        finally:
            if self.memory_only:
                self._memory_turn.release()

    # single values

    def value(self, connection: Connection, key: str) -> str | None:
        """The value of a key; None without one."""
        value: str | None = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
        return value

    def set_value(self, connection: Connection, key: str, value: str) -> None:
        """Set the value of a key."""
        put(connection, meta, {"key": key}, {"value": value})


def put(connection: Connection, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Update the row with this key, or insert it."""
    query = update(table)
    for name, value in key.items():
        query = query.where(table.c[name] == value)
    if not connection.execute(query.values(**values)).rowcount:
        connection.execute(table.insert().values(**key, **values))


def _layout(connection: Connection) -> str:
    """SHA-256 of the table definitions, which the integrity check does not cover."""
    tables = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return hashlib.sha256(repr([tuple(row) for row in tables]).encode()).hexdigest()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun explicitly, see _begin
    cursor = connection.cursor()
    for setting in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write")
    if connection.dialect.name == "sqlite":
        # upgrading a read transaction would fail while another writes
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7277001)")
