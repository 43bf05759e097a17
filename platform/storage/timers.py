"""What schedules and date-relative rules remember: how far they got, and what each record had done for which date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.platform.storage.database import executor
from ratoon.platform.storage.statements import Statement, sql_dialect
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.system import system_tables

PAGE = 20_000
"""Rows read from an index, or marked, in one piece."""
_MARK_MANY = (
    "INSERT INTO ratoon_due (rule, record, due_at, at) SELECT %s, given.record, given.due_at, %s "
    "FROM unnest(string_to_array(%s, ',')::uuid[], string_to_array(%s, ',')::timestamptz[]) AS given (record, due_at) "
    "ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Timer:
    """How far one rule got."""

    name: str
    shape: str
    """What it was told to do; something else starts anew."""
    last_at: datetime
    """Everything due until then has been done."""
    since_at: datetime | None
    """When it began; nothing due before then is done."""


def take(connection: Connection, name: str, shape: str, now: datetime, next_at: datetime) -> Timer | None:
    """Takes a timer that is due, for the time of the transaction, and says when to look again.

    ``None``: it is not due, or another worker has it. One that is new, or was told something else since, begins now.
    """
    table = system_tables().tables["ratoon_timer"]
    kind: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = {"name": name, "shape": shape, "last_at": now, "next_at": next_at, "active": True, "since_at": now}
    written = kind.insert(table).on_conflict_do_nothing(index_elements=["name"]).returning(table.c.name)
    if connection.execute(written, new).first() is not None:
        return None
    query = select(table).where(table.c.name == name).with_for_update(skip_locked=True)
    row = connection.execute(query).mappings().first()
    if row is None or (row["shape"] == shape and row["next_at"] is not None and row["next_at"] > now):
        return None
    if row["shape"] != shape:
        connection.execute(update(table).where(table.c.name == name).values(new))
        return None
    connection.execute(update(table).where(table.c.name == name).values(last_at=now, next_at=next_at))
    return Timer(name, shape, row["last_at"], row["since_at"])


def due_names(connection: Connection, now: datetime) -> dict[str, str]:
    """Timers that are not due, with their shapes: for a cheap look before a transaction is opened."""
    table = system_tables().tables["ratoon_timer"]
    rows = connection.execute(select(table.c.name, table.c.shape).where(table.c.next_at > now))
    return {row.name: row.shape for row in rows}


def known(connection: Connection, names: Sequence[str]) -> list[str]:
    """Those of these timers that have begun."""
    if not names:
        return []
    table = system_tables().tables["ratoon_timer"]
    return list(connection.execute(select(table.c.name).where(table.c.name.in_(names))).scalars())


def drop(connection: Connection, names: Sequence[str]) -> None:
    """Forgets how far these timers got; what records had done stays known."""
    table = system_tables().tables["ratoon_timer"]
    connection.execute(delete(table).where(table.c.name.in_(names)))


def dated(
    connection: Connection, store: RecordStore, object: str, key: str, low: date | datetime, high: date | datetime
) -> Iterator[tuple[str, Any]]:
    """(id, value) of live records whose ``key`` lies between, read from its index."""
    table = store.tables.table(object)
    column = table.c[key]
    query = (
        select(table.c.id, column)
        .where(column >= low, column <= high, table.c.deleted_at.is_(None))
        .order_by(column, table.c.id)
        .execution_options(yield_per=PAGE)
    )
    for row in connection.execute(query):
        yield row[0], row[1]


def done_for(connection: Connection, rule: str, since: datetime) -> set[tuple[str, datetime]]:
    """(record, due at) that a rule has done since then."""
    table = system_tables().tables["ratoon_due"]
    rows = connection.execute(
        select(table.c.record, table.c.due_at).where(table.c.rule == rule, table.c.due_at >= since)
    )
    return {(row.record, row.due_at) for row in rows}


def mark(connection: Connection, rule: str, due: Sequence[tuple[str, datetime]], now: datetime) -> None:
    """Remembers that these were done. The caller holds the timer, so nobody else marks them."""
    if connection.dialect.name == "postgresql":
        for place in range(0, len(due), PAGE):
            records, moments = zip(*due[place : place + PAGE], strict=True)
            written = {at: at.isoformat() for at in set(moments)}
            given = (rule, now, ",".join(records), ",".join(map(written.__getitem__, moments)))
            executor(connection).execute(_MARK_MANY, given)
        return
    rows = [{"rule": rule, "record": record, "due_at": at, "at": now} for record, at in due]
    _marking().run_many(connection, rows)


@cache
def _marking() -> Statement:
    table = system_tables().tables["ratoon_due"]
    return Statement.compile(sqlite.insert(table).on_conflict_do_nothing(), sql_dialect("sqlite"))


def forget(connection: Connection, rule: str, before: datetime) -> None:
    """Drops what was done for dates before then: they cannot come again."""
    table = system_tables().tables["ratoon_due"]
    connection.execute(delete(table).where(table.c.rule == rule, table.c.due_at < before))
