"""Columns that are filled before the transaction that counts, and what a change that was broken off leaves of them.

Such a column is in ``ratoon_kept`` as ``shadow`` from the moment it is there until a field takes it. ``clear`` drops
those that no change took: it runs when a change begins, under its claim, and when one fails, so that nothing of a
change that did not happen is ever seen by the next one. Numbers that were given out for such a column are given back.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, delete

from ratoon.platform.storage import revisions
from ratoon.platform.storage.database import Database, driver
from ratoon.platform.storage.kept import Kept, forget, keep, read_kept
from ratoon.platform.storage.present import Present
from ratoon.platform.storage.system import system_tables


def clear(database: Database) -> int:
    """Drops what changes that were broken off left; returns how many columns that were."""
    with database.read() as connection:
        if not _shadows(connection):
            return 0
    with database.write() as connection:
        revisions.lock_metadata(connection)
        present, left = Present(connection), _shadows(connection)
        for entry in left:
            if entry.column == entry.key:
                counter = system_tables().tables["ratoon_counter"]
                mine = counter.c.name.startswith(f"{entry.object}.{entry.key}:", autoescape=True)
                connection.execute(delete(counter).where(mine))
            drop_column(connection, present, entry)
        database.forget_statements()
        return len(left)


def drop_column(connection: Connection, present: Present, entry: Kept) -> None:
    """Drops a kept column, with what is known of it. SQLite cannot drop a column that a foreign key stands on: its
    values go, and the empty column stays for the next field of that name and kind."""
    raw = driver(connection)
    table, column = present.quote(entry.table), present.quote(entry.column)
    if entry.column in present.columns(entry.table):
        if connection.dialect.name == "sqlite" and "->" in entry.signature:
            raw.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} IS NOT NULL")
            if entry.kind == "shadow":
                forget(connection, [entry])
                keep(connection, [replace(entry, kind="removed")])
            return
        raw.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        present.columns(entry.table).discard(entry.column)
    forget(connection, [entry])


def _shadows(connection: Connection) -> list[Kept]:
    return [entry for entry in read_kept(connection) if entry.kind == "shadow"]
