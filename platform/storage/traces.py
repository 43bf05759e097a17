"""Looks up what the platform keeps about a person beside the record, for taking it out and for erasing it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Table, select

from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.system import system_tables


def files_of(conn: Connection, object: str, record: str) -> list[dict[str, Any]]:
    """What is known about the files of a record, earlier ones too."""
    table = _table("ratoon_file")
    query = select(table).where(table.c.object == object, table.c.record == record).order_by(table.c.id)
    return [_plain(row) for row in conn.execute(query)]


def notes_of(conn: Connection, record: str) -> dict[str, list[dict[str, Any]]]:
    """Mails and other steps of automations, notifications, and whom the record was opened to."""
    step, notice, share = _table("ratoon_run_step"), _table("ratoon_notification"), _table("ratoon_share")
    asked = {
        "steps_of_automations": select(step).where(step.c.record == record).order_by(step.c.at),
        "notifications": select(notice).where(notice.c.record == record).order_by(notice.c.at),
        "shares": select(share).where(share.c.record == record).order_by(share.c.at),
    }
    return {name: [_plain(row) for row in conn.execute(query)] for name, query in asked.items()}


def earlier_values(conn: Connection, record: str, keys: Collection[str]) -> list[Any]:
    """Every value that these keys of a record had or have, as its history knows them."""
    table = _table("ratoon_history")
    query = select(table.c.old, table.c.new).where(table.c.record == record, table.c.key.in_(keys))
    return [value for pair in conn.execute(query) for value in pair]


def forget_keys(conn: Connection, object: str, record: str, keys: Collection[str]) -> None:
    """Drops what the history of a record says about these keys."""
    table = _table("ratoon_history")
    theirs = (table.c.record == record, table.c.object == object, table.c.key.in_(keys))
    conn.execute(table.delete().where(*theirs))


def deleted_children(store: RecordStore, conn: Connection, object: str, key: str, record: str) -> list[str]:
    """Records in the recycle bin whose lookup points at a record."""
    table = store.tables.table(object)
    return list(
        conn.execute(select(table.c.id).where(table.c[key] == record, table.c.deleted_at.is_not(None))).scalars()
    )


def _plain(row: Any) -> dict[str, Any]:
    return {str(key): value for key, value in row._mapping.items()}


def _table(name: str) -> Table:
    return system_tables().tables[name]
