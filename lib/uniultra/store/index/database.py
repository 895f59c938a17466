"""The index: an SQL database beside the files, SQLite in the folder or PostgreSQL at an address."""

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
    "Expected the database of the label store to answer; it does not. Ask whoever runs the server to check "
    "it and --conf store_url, then try again. No label file is affected."
)


class Index:
    """Connections to the database; one that is damaged or of another schema is put aside at `open`.

    Writing transactions come one after the other, in PostgreSQL as in SQLite. `name` gives the folder's own
    schema in PostgreSQL when it is first asked for.
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
        """Whether it is open, and still the file that lies in the folder."""
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
            self._put_aside()
        if not (self._url or in_memory):
            self._node = self._node_now()

    def close(self) -> None:
        """Let go of all connections."""
        if self._engine is not None:
            self._engine.dispose()
        self._engine = self._node = None

    def discard(self) -> None:
        """Put the database aside; `open` makes a new one. The caller holds the folder's write lock."""
        self.close()
        if self._url or self._file.exists():
            self._put_aside()

    def _connect(self) -> Engine:
        options: dict[str, Any] = {"hide_parameters": True}  # a patient's value is in no error's text
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

    def _put_aside(self) -> None:
        stamp = time.time_ns()
        logger.warning("The index of the label store is damaged or of another version; it is built again.")
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
        """A transaction that sees one state of the index.

        Raises:
            StoreError: the database does not answer.
        """
        with self._transaction(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; kept when the block ends well.

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
                self._engine = None  # the next to ask finds the damage and builds it again
            # whether it is busy, damaged or away: the error's own text may quote what was asked
            raise StoreError(_UNUSABLE) from None
        except exc.TimeoutError:
            raise StoreError(_UNUSABLE) from None
        finally:
            if self.memory_only:
                self._memory_turn.release()

    # single values

    def value(self, connection: Connection, key: str) -> str | None:
        """What is noted under a key."""
        found: str | None = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
        return found

    def set_value(self, connection: Connection, key: str, value: str) -> None:
        """Note something under a key."""
        put(connection, meta, {"key": key}, {"value": value})


def put(connection: Connection, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Change the row with this key, or make it."""
    query = update(table)
    for name, value in key.items():
        query = query.where(table.c[name] == value)
    if not connection.execute(query.values(**values)).rowcount:
        connection.execute(table.insert().values(**key, **values))


def _layout(connection: Connection) -> str:
    """SHA-256 of how the tables were made; the integrity check does not know how they should be."""
    found = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return hashlib.sha256(repr([tuple(row) for row in found]).encode()).hexdigest()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin when we say so, see _begin
    cursor = connection.cursor()
    for setting in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write")
    if connection.dialect.name == "sqlite":
        # a reader that wants to write later would be refused while another writes
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7277001)")
