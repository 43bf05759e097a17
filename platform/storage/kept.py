"""Columns and tables that hold data no metadata names: what removed fields and objects left, until it is purged.

``ratoon_kept`` has one row per such column or table:

=========== ==========================================================================================
``removed`` the column of a field that was removed; it stays where it is
``retyped`` the values of a field before its type changed, in a column of their own
``table``   the table of an object that was removed
``shadow``  a new column that is being filled beforehand (``leftovers.py``); left when the change was broken off
=========== ==========================================================================================

A field or object that comes back finds its data here. Databases from before this list existed have columns that nobody
wrote down; they are found by their name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy import update as sql_update

from ratoon.platform.fields.base import FieldSpec, FieldTypes, Option, Part

if TYPE_CHECKING:
    from ratoon.platform.metadata.model import Field

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
    declaration: str = ""
    """``retyped``: the field as it was declared, as JSON; what it says about values is made of it again."""
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
        Column("declaration", Text),
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
        Column("signature", Text, comment="the type that the column had, as in ratoon_kept"),
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
    query = select(c.kind, c.object, c.key, c.table, c.column, c.signature, c.revision, c.declaration, c.number)
    return [
        Kept(*row[:7], row[7] or "", row[8]) for row in conn.execute(query.order_by(c.revision.desc(), c.number.desc()))
    ]


def keep(conn: Connection, entries: Iterable[Kept]) -> None:
    """Writes entries down."""
    rows = [
        {"kind": e.kind, "object": e.object, "key": e.key, "table": e.table, "column": e.column,
         "signature": e.signature, "revision": e.revision, "declaration": e.declaration or None}
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


def declaration_of(field: Field, part: Part, chain: Sequence[str] = ()) -> str:
    """A field as text, to be made again by ``part_of``; ``chain`` are the columns out of which a rollback took the
    values that came after it."""
    spec = field.spec
    written = {
        "name": spec.name,
        "type": spec.type,
        "options": {key: value for key, value in spec.options.items() if key not in {"renamed_from", "attributes"}},
        "choices": [option.value for option in spec.choices],
        "suffix": part.suffix,
        "chain": list(chain),
    }
    return orjson.dumps(written, default=str).decode()


def chain_of(entry: Kept) -> list[str]:
    """The columns out of which a rollback took the values that came after this one; empty when it was no rollback."""
    return list(orjson.loads(entry.declaration)["chain"]) if entry.declaration else []


def part_of(entry: Kept, types: FieldTypes) -> Part | None:
    """What a kept column's values are; ``None`` when nothing is known of it, or its type is gone."""
    if not entry.declaration:
        return None
    written = orjson.loads(entry.declaration)
    if written["type"] not in types:
        return None
    choices = tuple(Option(value, value) for value in written["choices"])
    spec = FieldSpec(written["name"], written["type"], written["name"], written["options"], choices)
    parts = types[written["type"]].parts(spec)
    return next((part for part in parts if part.suffix == written["suffix"]), None)
