"""Drops what is older than an installation wants to keep, a piece at a time, so that nobody waits long for the lock.

History and notifications grow in order of time, so each piece is read from their beginning and a look costs little when
nothing is old. Records from the recycle bin go one by one: what something else still needs stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, Table, delete, select, update

from ratoon.platform.storage import search
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.system import system_tables

PIECE = 2000
"""Rows of one transaction."""


def forget_history(conn: Connection, before: datetime) -> int:
    """Drops a piece of the changes of fields from before that time; returns how many."""
    return _oldest(conn, _table("ratoon_history"), "number", before)


def forget_notifications(conn: Connection, before: datetime) -> int:
    """Drops a piece of the notifications from before that time, read or not; returns how many."""
    return _oldest(conn, _table("ratoon_notification"), "id", before)


def forget_sign_ins(conn: Connection, before: datetime) -> int:
    """Drops a piece of the list of attempts to sign in from before that time; returns how many."""
    return _oldest(conn, _table("ratoon_sign_in"), "id", before)


def long_deleted(store: RecordStore, conn: Connection, object: str, before: datetime, limit: int) -> list[str]:
    """Records of an object that have been in the recycle bin since before that time."""
    table = store.tables.table(object)
    query = select(table.c.id).where(table.c.deleted_at < before).order_by(table.c.deleted_at).limit(limit)
    return list(conn.execute(query).scalars())


def drop_record(store: RecordStore, conn: Connection, object: str, record: str) -> list[str]:
    """Drops a deleted record for good with everything noted of it; returns ids of its files, which belong to nobody.

    Raises ``Conflict`` (at the end of the transaction on PostgreSQL) when another row needs it.
    """
    table, files = store.tables.table(object), _table("ratoon_file")
    conn.execute(delete(table).where(table.c.id == record, table.c.deleted_at.is_not(None)))
    theirs = (files.c.object == object, files.c.record == record)
    gone = list(conn.execute(select(files.c.id).where(*theirs)).scalars())
    conn.execute(update(files).where(*theirs).values(object=None, record=None))
    for noted in _about_records():
        conn.execute(delete(noted).where(noted.c.object == object, noted.c.record == record))
    search.remove(conn, object, [record])
    return gone


def _about_records() -> Iterator[Table]:
    for table in system_tables().sorted_tables:
        if {"object", "record"} <= set(table.c.keys()) and table.name != "ratoon_file":
            yield table


def _oldest(conn: Connection, table: Table, key: str, before: datetime) -> int:
    oldest = select(table.c[key], table.c.at).order_by(table.c[key]).limit(PIECE)
    old = [row[0] for row in conn.execute(oldest) if row[1] < before]
    if not old:
        return 0
    return int(conn.execute(delete(table).where(table.c[key].in_(old))).rowcount)


def _table(name: str) -> Table:
    return system_tables().tables[name]
