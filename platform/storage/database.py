"""Opening a database and keeping its transactions in order.

``Database.open(url)`` takes ``sqlite:///path`` or ``postgresql://user@host/name``. Work happens inside two context
managers: ``write()`` is one transaction that commits when its block ends well and rolls back otherwise; ``read()`` is
for looking only. Nothing else in the product commits.

SQLite is opened for several processes: write-ahead log, 30 s busy timeout, foreign keys checked, write transactions
begun with ``BEGIN IMMEDIATE`` so that a second writer waits instead of failing half-way. The driver's own, implicit
transactions are switched off, which is what makes DDL transactional. A read is one deferred transaction: it sees one
state of the data and never waits for a writer.

PostgreSQL is used at READ COMMITTED through psycopg. Reads run in autocommit: no BEGIN and COMMIT round trips. A
pooled connection whose server went away shows up as readable while idle; such a one is replaced before it is handed
out, which costs a microsecond and no round trip.

What the driver raises about timing (a lock that did not come, a deadlock, a lost connection) becomes ``Busy``: the
transaction is rolled back and the whole unit may be tried again. What it raises about constraints becomes
``errors.Conflict``, and a text that it cannot hold ``errors.BadRequest``.
"""

from __future__ import annotations

import os
import select
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg.types.string import TextLoader
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.pool import QueuePool

from ratoon.platform.errors import BadRequest, BadSetting, Conflict
from ratoon.platform.formulas.functions import FunctionSet
from ratoon.platform.formulas.sqlite import register_sqlite_functions

BUSY_TIMEOUT = 30
"""Seconds that a write waits for another one."""
CACHED_STATEMENTS = 64
"""Prepared statements that each SQLite connection keeps: one over 60 columns takes 40 KB."""
MEMORY_OF_A_WRITE = 131_072
"""SQLite: KiB of changed pages that a transaction keeps in memory before it writes them to the log ahead of its end,
and then again: ten thousand records change 40 MB of pages."""
LOG_PAGES = 4000
"""SQLite: pages in the log after which a commit carries them over into the database and waits for the disk. A record
changes about 18, so that one in 220 commits does it. Readers look up any number below 4062 equally fast."""
POOL_SIZE = 16
POOL_OVERFLOW = 48
_READING = "ratoon.reading"
_EPOCH = "ratoon.epoch"
EXECUTOR, WRITTEN = "ratoon.executor", "ratoon.executor.written"
"""Where a pooled connection keeps what ``executor`` returns."""
DATABASE_ERRORS = (DBAPIError, sqlite3.Error, psycopg.Error, UnicodeEncodeError)
"""What may come out of the driver; the last for half a surrogate pair, which no UTF-8 text can hold."""


class Busy(Conflict):
    """The database could not do it just now: a lock, a deadlock, a lost connection. The same may be tried again."""

    code = "busy"


class SchemaMoved(Exception):
    """A statement names a column or table that is not there any more, or is of another type: the metadata changed since
    this process looked. It looks again, and says the same under the names of now."""


class Database:
    """One database: its engine, its dialect and its two kinds of transactions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dialect: str = engine.dialect.name
        """``sqlite`` or ``postgresql``."""
        self._writer = threading.Lock() if self.dialect == "sqlite" else None
        self._begin = "BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN"
        self._epoch = 0
        self._idle: deque[Connection] = deque()
        """Open connections that nobody uses: to take one from SQLAlchemy's pool and bring it back costs more than to
        read a record."""
        _forget_after_fork(self)

    @classmethod
    def open(cls, url: str, functions: FunctionSet | None = None) -> Database:
        """The database at ``url``; nothing is read yet. ``functions`` are what formulas may call inside SQLite.

        Raises ``BadSetting`` for what is no address of a database, and for a kind that is not supported.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise BadSetting(
                "This is no address of a database: use sqlite:///path or postgresql://user@host/name."
            ) from None
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            return cls(_sqlite_engine(parsed, functions))
        if backend == "postgresql":
            return cls(_postgresql_engine(parsed.set(drivername="postgresql+psycopg")))
        raise BadSetting(
            "Databases of the kind {kind} are not supported: use sqlite:///path or postgresql://user@host/name.",
            kind=backend,
        )

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: commits on a clean exit, rolls back on any exception.

        Raises ``Busy`` when it may be tried again and ``errors.Conflict`` when a constraint of the database said no.
        """
        with self._turn():
            connection = self._connect()
            try:
                self.fresh(connection)
                executor(connection).execute(self._begin)
                yield connection
                # SQLAlchemy knows of the transaction only if something went through it, and does not begin it then.
                (connection if connection.in_transaction() else driver(connection)).commit()
            except DATABASE_ERRORS as error:
                raise _translated(connection, error) from error
            finally:
                self._leave(connection)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite has one writer: the threads of this process queue up here instead of asking the file again and again,
        which they would do at ever longer intervals while nobody writes."""
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(timeout=BUSY_TIMEOUT):
            raise Busy("The database is busy; try again.")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for looking. SQLite: one consistent state of the data; PostgreSQL: each statement on its own."""
        connection = self._connect()
        info = connection.info
        info[_READING] = True
        try:
            if self.dialect == "sqlite":
                driver(connection).execute("BEGIN")
            self.fresh(connection)
            yield connection
        except DATABASE_ERRORS as error:
            raise _translated(connection, error) from error
        finally:
            info.pop(_READING, None)
            self._leave(connection)

    def forget_statements(self) -> None:
        """Statements that connections have prepared are made anew: tables changed. PostgreSQL would refuse them."""
        self._epoch += 1

    def fresh(self, connection: Connection) -> None:
        """Makes sure of that for one connection."""
        if self._epoch and self.dialect == "postgresql" and connection.info.get(_EPOCH, 0) != self._epoch:
            # psycopg forgets its statements, too, but only for a text that it has not seen on this connection.
            driver(connection).execute(f"DEALLOCATE ALL -- {self._epoch}")
            connection.info[_EPOCH] = self._epoch

    def dispose(self) -> None:
        """Closes every connection that is not in use."""
        while self._idle:
            self._idle.pop().close()
        self.engine.dispose()

    def forget(self) -> None:
        """For a forked child: leaves its parent's connections alone and starts without any."""
        self._idle.clear()
        self.engine.dispose(close=False)

    def _leave(self, connection: Connection) -> None:
        """Ends what is under way and keeps the connection for the next."""
        raw = None if connection.closed or connection.invalidated else driver(connection)
        remote = isinstance(raw, psycopg.Connection)
        try:
            if raw is not None and not (remote and raw.closed):
                # A commit that failed leaves SQLAlchemy with a transaction that it does not call one any more.
                if connection.get_transaction() is not None:
                    connection.rollback()
                if not remote or raw.pgconn.transaction_status != TransactionStatus.IDLE:
                    raw.rollback()
                if len(self._idle) < POOL_SIZE:
                    self._idle.append(connection)
                    return
        except DATABASE_ERRORS:
            connection.invalidate()
        connection.close()

    def _connect(self) -> Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if _is_lost(driver(connection)):
                connection.invalidate()
            elif connection.get_execution_options() == self.engine.get_execution_options():
                # Another one has options of its own, or knows keys that are not used any more (``sealed.py``).
                return connection
            connection.close()
        try:
            return self.engine.connect()
        except DBAPIError as error:
            raise Busy("The database cannot be reached: {reason}", reason=str(error.orig)) from error


def driver(connection: Connection) -> Any:
    """The driver's own connection (``sqlite3`` or ``psycopg``) under a SQLAlchemy connection."""
    return connection.connection.driver_connection


def executor(connection: Connection, *, written: bool = False) -> Any:
    """What runs SQL on the driver: has ``execute`` and ``executemany``, and its answer must be fetched before the next.

    On PostgreSQL it is one cursor that stays with the pooled connection: a new cursor for every statement finds out
    anew how to write each type of parameter, which costs as much as a round trip. SQLite's cursors cost nothing.

    ``written`` is for rows that go out as they are: PostgreSQL's exact numbers stay the texts that it sends.
    """
    info, name = connection.info, WRITTEN if written else EXECUTOR
    found = info.get(name)
    if found is None:
        found = raw = driver(connection)
        if isinstance(raw, psycopg.Connection):
            found = raw.cursor()
            if written:
                found.adapters.register_loader("numeric", TextLoader)
        info[name] = found
    return found


def _sqlite_engine(url: URL, functions: FunctionSet | None) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_use_lifo=True,
        hide_parameters=True,  # values, secrets among them, belong in no log and no error text
        connect_args={
            "timeout": BUSY_TIMEOUT,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": CACHED_STATEMENTS,
        },
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute(f"PRAGMA cache_spill = -{MEMORY_OF_A_WRITE}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute("PRAGMA mmap_size = 268435456")
        connection.execute("PRAGMA temp_store = MEMORY")
        register_sqlite_functions(connection, functions)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        raw = driver(connection)
        if not raw.in_transaction:
            raw.execute("BEGIN IMMEDIATE")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_use_lifo=True,
        hide_parameters=True,  # values, secrets among them, belong in no log and no error text
        use_native_hstore=False,
        connect_args={"options": "-c timezone=UTC", "application_name": "ratoon"},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection[Any], record: object) -> None:
        connection.autocommit = True
        connection.prepared_max = 1000
        connection.adapters.register_loader("uuid", TextLoader)
        set_json_loads(orjson.loads, connection)
        set_json_dumps(orjson.dumps, connection)

    @event.listens_for(engine, "checkout")
    def check(connection: psycopg.Connection[Any], record: object, proxy: object) -> None:
        if _is_lost(connection):
            raise DisconnectionError("the server closed the connection")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        raw = driver(connection)
        if _READING not in connection.info and raw.pgconn.transaction_status == TransactionStatus.IDLE:
            executor(connection).execute("BEGIN")

    return engine


def _is_lost(raw: Any) -> bool:
    """Whether the server went away while nobody used the connection: then there is something to read."""
    return isinstance(raw, psycopg.Connection) and (
        raw.closed or bool(select.select([raw.pgconn.socket], [], [], 0)[0])
    )


def _forget_after_fork(database: Database) -> None:
    """A forked child must not use its parent's connections."""
    known = weakref.ref(database)

    def forget() -> None:
        alive = known()
        if alive is not None:
            alive.forget()

    os.register_at_fork(after_in_child=forget)


def _translated(connection: Connection, error: Exception) -> Exception:
    """The refusal that a driver error stands for; the error itself when it is a mistake of ours."""
    if isinstance(error, UnicodeEncodeError):
        return BadRequest("The database cannot keep this text: it is not valid Unicode.")
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if connection.invalidated:
        return Busy("The connection to the database was lost.")
    raw = driver(connection)
    if isinstance(cause, psycopg.Error):
        if isinstance(raw, psycopg.Connection) and raw.closed:
            connection.invalidate()
            return Busy("The connection to the database was lost.")
        return _translated_postgresql(cause) or error
    if isinstance(cause, sqlite3.Error):
        return _translated_sqlite(cause) or error
    return error


def _translated_postgresql(cause: psycopg.Error) -> Exception | None:
    state = cause.sqlstate or ""
    if state.startswith("40") or state in ("55P03", "57014") or state.startswith(("08", "57P")):
        return Busy("The database is busy; try again.")
    if state in ("42703", "42P01") or (state == "0A000" and "cached plan" in str(cause)):
        return SchemaMoved(str(cause).split("\n")[0])
    if isinstance(cause, psycopg.errors.UniqueViolation):
        return Conflict("Another record has the same value: {reason}", reason=cause.diag.message_detail or "")
    if isinstance(cause, psycopg.errors.ForeignKeyViolation):
        return Conflict("A record that it refers to is not there: {reason}", reason=cause.diag.message_detail or "")
    if isinstance(cause, psycopg.errors.NumericValueOutOfRange):
        return Conflict("A computed number is too large for its field.")
    if isinstance(cause, psycopg.DataError):
        return BadRequest("The database cannot keep or compare this value: {reason}", reason=str(cause).split("\n")[0])
    return None


def _translated_sqlite(cause: sqlite3.Error) -> Exception | None:
    name = getattr(cause, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy("The database is busy; try again.")
    if name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
        return Conflict("Another record has the same value: {reason}", reason=str(cause))
    if name == "SQLITE_CONSTRAINT_FOREIGNKEY":
        return Conflict("A record that it refers to is not there: {reason}", reason=str(cause))
    if str(cause).startswith(("no such column", "no such table")):
        return SchemaMoved(str(cause))
    if str(cause) == "integer overflow":
        return Conflict("A computed number is too large for its field.")
    return None
