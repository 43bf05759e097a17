"""Writing one column of many rows, group by group along the ids: how data moves when the metadata changes.

``Progress`` is told what goes on; ``values_in_groups`` walks a table without keeping it in memory; ``fill_column``
writes values by id, on PostgreSQL in one statement per group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, select
from sqlalchemy.types import TypeEngine

from ratoon.platform.formulas.columns import Id
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.statements import encoder, sql_dialect

Progress = Callable[[str, int, int], None]
"""``progress(what, done, total)``: rows of a data move; ``total`` may be an estimate."""
GROUP = 2000
"""Rows that are read and written at a time."""


def silent(what: str, done: int, total: int) -> None:
    """Tells nobody."""


def values_in_groups(
    connection: Connection, table: str, columns: dict[str, TypeEngine[Any]], where: Any = None, group: int = GROUP
) -> Iterator[list[Any]]:
    """(id, values of the columns …) of every row of a table, ``group`` rows at a time. ``where`` takes the table and
    gives a condition."""
    source = Table(table, MetaData(), Column("id", Id()), *(Column(name, kind) for name, kind in columns.items()))
    last = None
    while True:
        query = select(source).order_by(source.c.id).limit(group)
        if where is not None:
            query = query.where(where(source))
        if last is not None:
            query = query.where(source.c.id > last)
        rows = connection.execute(query).all()
        if rows:
            yield list(rows)
        if len(rows) < group:
            return
        last = rows[-1][0]


def fill_column(
    connection: Connection, table: str, column: str, kind: TypeEngine[Any], pairs: Sequence[tuple[str, Any]]
) -> None:
    """Writes (id, value) pairs into a column."""
    if not pairs:
        return
    dialect = sql_dialect(connection.dialect.name)
    convert = encoder(kind, dialect)
    quote = dialect.identifier_preparer.quote
    values = [v if v is None or convert is None else convert(v) for _, v in pairs]
    ids = [record for record, _ in pairs]
    raw = driver(connection)
    if dialect.name == "sqlite":
        sql = f"UPDATE {quote(table)} SET {quote(column)} = ? WHERE id = ?"
        raw.executemany(sql, list(zip(values, ids, strict=True)))
        return
    cast = kind.compile(dialect).split(" COLLATE")[0]
    raw.execute(
        f"UPDATE {quote(table)} AS t SET {quote(column)} = d.v FROM unnest(%s::uuid[], %s::{cast}[]) AS d(id, v) "
        "WHERE t.id = d.id",
        [ids, values],
    )


def estimated_rows(connection: Connection, table: str) -> int:
    """About how many rows a table has: counted on SQLite, PostgreSQL's own estimate where there is one."""
    quote = sql_dialect(connection.dialect.name).identifier_preparer.quote
    raw = driver(connection)
    if connection.dialect.name == "postgresql":
        found = raw.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [quote(table)])
        row = found.fetchone()
        if row is not None and row[0] > 0:
            return int(row[0])
    return int(raw.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()[0])
