"""Columns and tables that hold data no metadata names: what removed fields and objects left, until it is purged.

``ratoon_kept`` has one row per such column or table:

=========== ==========================================================================================
``removed`` the column of a field that was removed; it stays where it is
``retyped`` the values of a field before its type changed, in a column of their own
``table``   the table of an object that was removed
``shadow``  a new column that is being filled before a change of type; left when that was broken off
=========== ==========================================================================================

A field or object that comes back finds its data here. Databases from before this list existed have columns that nobody
wrote down; they are found by their name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy import update as sql_update

Kind = Literal["removed", "retyped", "table", "shadow"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A column or table that is kept."""

    kind: Kind
    object: str
    """The object's name now."""
    key: str
    """The record key; empty for a table."""
    table: str
    """Where it is in the database."""
    column: str
    signature: str
    """The column's type, as the schema compares it."""
    revision: int
    """The revision that took it out."""
    number: int = 0


def define_kept_table(metadata: MetaData) -> MetaData:
    """Adds the table to the description of the platform's tables."""
    Table(
        "ratoon_kept",
        metadata,
        Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
        Column("kind", String(12), nullable=False),
        Column("object", String(60), nullable=False),
        Column("key", String(120), nullable=False),
        Column("table", String(120), nullable=False),
        Column("column", String(120), nullable=False),
        Column("signature", Text, nullable=False),
        Column("revision", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "ratoon_undo",
        metadata,
        Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
        Column("revision", Integer, nullable=False, index=True),
        Column("object", String(60), nullable=False),
        Column("key", String(120), nullable=False),
        Column("record", String(36), nullable=False),
        Column("old", Text),
        Column("new", Text),
        sqlite_autoincrement=True,
    )
    return metadata


def kept_tables() -> tuple[Table, Table]:
    """The descriptions of ``ratoon_kept`` and ``ratoon_undo``."""
    from ratoon.platform.storage.system import system_tables

    tables = system_tables().tables
    return tables["ratoon_kept"], tables["ratoon_undo"]


def read_kept(conn: Connection) -> list[Kept]:
    """Everything that is kept, newest first."""
    table, _ = kept_tables()
    c = table.c
    query = select(c.kind, c.object, c.key, c.table, c.column, c.signature, c.revision, c.number)
    return [Kept(*row) for row in conn.execute(query.order_by(c.revision.desc(), c.number.desc()))]


def keep(conn: Connection, entries: Iterable[Kept]) -> None:
    """Writes entries down."""
    rows = [
        {"kind": e.kind, "object": e.object, "key": e.key, "table": e.table, "column": e.column,
         "signature": e.signature, "revision": e.revision}
        for e in entries
    ]  # fmt: skip
    if rows:
        conn.execute(insert(kept_tables()[0]), rows)


def forget(conn: Connection, entries: Iterable[Kept]) -> None:
    """Takes entries out of the list."""
    numbers = [entry.number for entry in entries]
    if numbers:
        table, _ = kept_tables()
        conn.execute(delete(table).where(table.c.number.in_(numbers)))


def move_kept(conn: Connection, entry: Kept, *, column: str | None = None, table: str | None = None) -> None:
    """Says that a kept column or table has another name in the database now."""
    kept, _ = kept_tables()
    values = {"column": column if column is not None else entry.column, "table": table or entry.table}
    conn.execute(sql_update(kept).where(kept.c.number == entry.number).values(values))


def free_name(key: str, taken: Collection[str], salt: str) -> str:
    """A name for a column or table put aside: ``<key>__<hash>``, one that is not ``taken``."""
    for number in range(len(taken) + 1):
        digest = hashlib.sha256(f"{salt}.{key}.{number}".encode()).hexdigest()[:6]
        name = f"{key[:52]}__{digest}"
        if name not in taken:
            return name
    raise AssertionError("every name is taken")
