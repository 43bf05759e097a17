"""One change of the metadata at a time, and everybody is told whose it is.

Who changes the metadata claims it: a lock that the operating system or the database gives back when the process dies
(an advisory lock on PostgreSQL, a locked file beside the database on SQLite), and a row of ``ratoon_apply`` that says
who, on which machine, since when. Another process waits a while and is then refused with that row in the message.

The row is deleted in the transaction that changes the metadata. One that is found while nobody holds the lock was left
by a process that died before its commit: nothing of its change happened. ``interrupted`` reads it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, delete, insert, select

from ratoon.platform.errors import Conflict, Text, say
from ratoon.platform.storage.apply_table import apply_table
from ratoon.platform.storage.database import Database, driver

WAIT = 30.0
"""Seconds that a second change waits for the first."""
MOMENT = 1.0
"""Seconds after which whoever waits is told for whom."""
STEP = 0.05
_LOCK = 0x7261746F6F6F


class Locked(Conflict):
    """Somebody else is changing the metadata; the message says who."""

    code = "metadata_locked"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who changes the metadata, or did when its process died."""

    by: str | None
    host: str
    pid: int
    since: datetime
    revision: int
    """The revision it began with."""
    what: str

    @property
    def text(self) -> Text:
        """For messages."""
        who = self.by or say("the platform")
        return say(
            "{who} on {host} (process {pid}) since {since} UTC",
            who=who,
            host=self.host,
            pid=self.pid,
            since=f"{self.since:%Y-%m-%d %H:%M:%S}",
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of this process."""

    def finish(self, connection: Connection) -> None:
        """In the transaction that changes the metadata: there is nothing left to say afterwards."""
        connection.execute(delete(apply_table()))


@contextmanager
def claim(
    database: Database,
    by: str | None,
    what: str,
    now: datetime,
    wait: float = WAIT,
    on_wait: Callable[[Text], None] = lambda text: None,
) -> Iterator[Claim]:
    """Claims the metadata while the block runs. Raises ``Locked`` when another one holds it for ``wait`` seconds.

    ``on_wait`` is told once who it is that is waited for, when that takes longer than a moment.
    """
    with _held(database, wait, on_wait):
        with database.write() as connection:
            connection.execute(delete(apply_table()))
            row = {"name": "metadata", "by": by, "host": socket.gethostname()[:120], "pid": os.getpid(), "since": now,
                   "revision": _revision(connection), "what": what[:500]}  # fmt: skip
            connection.execute(insert(apply_table()), [row])
        try:
            yield Claim()
        finally:
            with database.write() as connection:
                connection.execute(delete(apply_table()))


def holder(connection: Connection) -> Holder | None:
    """Who says to be changing the metadata."""
    c = apply_table().c
    row = connection.execute(select(c.by, c.host, c.pid, c.since, c.revision, c.what)).first()
    return None if row is None else Holder(*row)


def interrupted(database: Database) -> Holder | None:
    """A change that was broken off before its commit: nothing of it happened. ``None`` when there is none."""
    with database.read() as connection:
        left = holder(connection)
    if left is None:
        return None
    try:
        with _held(database, 0):
            return left
    except Locked:
        return None


def _revision(connection: Connection) -> int:
    from ratoon.platform.storage.revisions import current_revision

    return current_revision(connection)


@contextmanager
def _held(database: Database, wait: float, on_wait: Callable[[Text], None] = lambda text: None) -> Iterator[None]:
    if database.dialect == "postgresql":
        with database.read() as connection:
            _try_for(database, wait, lambda: _advisory(connection), on_wait)
            try:
                yield
            finally:
                driver(connection).execute(f"SELECT pg_advisory_unlock({_LOCK})")
        return
    path = database.engine.url.database
    if not path or path == ":memory:":
        yield
        return
    with Path(f"{path}.lock").open("a+b") as file:
        _try_for(database, wait, lambda: _file(file), on_wait)
        yield


def _try_for(database: Database, wait: float, attempt: Any, on_wait: Callable[[Text], None]) -> None:
    """Tries until it works or the time is over."""
    pause = threading.Event()
    left, told = wait, False
    while not attempt():
        if left <= 0:
            raise Locked("The metadata is being changed by {holder}. Try again later.", holder=_who(database))
        if not told and wait - left >= MOMENT:
            told = True
            on_wait(
                say("The metadata is being changed by {holder}. Waiting for the end of it …", holder=_who(database))
            )
        pause.wait(STEP)
        left -= STEP


def _who(database: Database) -> Text:
    with database.read() as connection:
        found = holder(connection)
    return found.text if found is not None else say("another process")


def _advisory(connection: Connection) -> bool:
    return bool(driver(connection).execute(f"SELECT pg_try_advisory_lock({_LOCK})").fetchone()[0])


def _file(file: IO[bytes]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
