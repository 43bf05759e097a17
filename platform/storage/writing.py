"""Inserts and updates of records: statements written once per set of keys and run for many rows at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnClause, Connection, Dialect

from ratoon.platform.storage.database import executor
from ratoon.platform.storage.statements import Statement, encoder
from ratoon.platform.storage.tables import Tables

Rows = Sequence[Mapping[str, Any]]
COPY_FROM = 20
"""PostgreSQL: so many new rows travel as one COPY, which checks and fires all that an INSERT does."""


class Writing:
    """The write statements of one registry snapshot."""

    def __init__(self, tables: Tables, dialect: Dialect) -> None:
        self._tables = tables
        self._dialect = dialect
        self._quote = dialect.identifier_preparer.quote
        self._place = "?" if dialect.name == "sqlite" else "%s"
        self._known: dict[tuple[str, str, tuple[str, ...]], Statement] = {}

    def insert(self, conn: Connection, object: str, rows: Rows) -> None:
        """Writes new records; every row has at least every column's key."""
        known = self._known.get(("insert", object, ()))
        if known is None:
            known = self._known[("insert", object, ())] = self._insert(object)
        if len(rows) < COPY_FROM or self._dialect.name == "sqlite":
            known.run_many(conn, rows)
            return
        with executor(conn).copy(self._copy(object)) as copy:
            for row in known.many_params(rows):
                copy.write_row(row)

    def update(self, conn: Connection, object: str, keys: tuple[str, ...], rows: Rows) -> None:
        """Writes ``keys`` of the records with the rows' ids."""
        known = self._known.get(("update", object, keys))
        if known is None:
            known = self._known[("update", object, keys)] = self._update(object, keys, "")
        known.run_many(conn, rows)

    def update_versioned(self, conn: Connection, object: str, keys: tuple[str, ...], rows: Rows) -> list[str]:
        """The same where the version is as expected; returns the ids where it was not."""
        known = self._known.get(("versioned", object, keys))
        if known is None:
            guard = f" AND {self._quote('version')} = {self._place} AND {self._quote('deleted_at')} IS NULL"
            known = self._known[("versioned", object, keys)] = self._update(object, keys, guard)
        return [row["id"] for row in rows if not known.run(conn, **row)]

    def next_numbers(self, conn: Connection, counter: str, count: int) -> range:
        """The next ``count`` numbers of a counter, the first ever being 1."""
        sql = (
            f"INSERT INTO ratoon_counter (name, value) VALUES ({self._place}, {self._place}) "
            "ON CONFLICT (name) DO UPDATE SET value = ratoon_counter.value + excluded.value RETURNING value"
        )
        last: int = executor(conn).execute(sql, (counter, count)).fetchone()[0]
        return range(last - count + 1, last + 1)

    def _copy(self, object: str) -> str:
        names = ", ".join(self._quote(c.key) for c in self._columns(object))
        return f"COPY {self._quote(object)} ({names}) FROM STDIN"

    def _columns(self, object: str) -> list[ColumnClause[Any]]:
        return [c for c in self._tables.table(object).c if c.key != "deletion_id"]

    def _insert(self, object: str) -> Statement:
        columns = self._columns(object)
        names = ", ".join(self._quote(c.key) for c in columns)
        places = ", ".join(self._place for _ in columns)
        sql = f"INSERT INTO {self._quote(object)} ({names}) VALUES ({places})"
        return Statement(sql, [(c.key, encoder(c.type, self._dialect)) for c in columns])

    def _update(self, object: str, keys: tuple[str, ...], guard: str) -> Statement:
        columns = self._tables.table(object).c
        sets = ", ".join(f"{self._quote(key)} = {self._place}" for key in keys)
        sql = f"UPDATE {self._quote(object)} SET {sets} WHERE {self._quote('id')} = {self._place}{guard}"
        places = [(key, encoder(columns[key].type, self._dialect)) for key in keys]
        return Statement(sql, [*places, ("id", None), *([("_version", None)] if guard else [])])
