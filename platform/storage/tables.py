"""The tables of a registry: one per object, one column per part that has one.

Table name = object name, column name = part key (quoted as needed). ``Tables.table(name)`` is what statements are built
from: columns only, made when first asked for, so that a process pays for the objects it touches. Constraints and
indexes are described apart (``foreign_keys``, ``indexes``) for whoever creates and compares schemas.

Every table has its record's columns plus ``deletion_id``, which ties together what one deletion took along.
Foreign keys stand on every lookup that has one target; they are checked at the end of the transaction, so that rows may
come in any order. ``created_by`` and ``modified_by`` have none: only the platform writes them, and every save would
pay for the check. Uniqueness counts live records only (``WHERE deleted_at IS NULL``), and so do the indexes.

On PostgreSQL texts are compared by code point (collation ``C``), as SQLite, Python and the formula language do.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Column, ForeignKeyConstraint, Index, MetaData, String, Table, TableClause, column, table
from sqlalchemy.types import TypeDecorator, TypeEngine

from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.columns import Id, Json, UtcDateTime
from ratoon.platform.metadata.model import Field, Object, Registry

_ID = Id()
RECENT_TABLES = 16
"""Tables that are kept though nobody holds them."""
ALWAYS_FILLED = frozenset({"id", "version", "created_at", "modified_at"})
UNCHECKED_REFERENCES = frozenset({"created_by", "modified_by"})


def index_name(prefix: str, table: str, *parts: str) -> str:
    """A name of at most 60 characters that is the same at every run."""
    digest = hashlib.sha256("|".join((table, *parts)).encode()).hexdigest()[:12]
    return f"{prefix}_{table[:40]}_{digest}"


def foreign_key_name(table: str, key: str, target: str) -> str:
    """The name of the constraint on a lookup's column."""
    return index_name("fk", table, key, target)


class Tables:
    """The tables of one registry on one dialect."""

    def __init__(self, registry: Registry, dialect: str) -> None:
        self.registry = registry
        self.dialect = dialect
        self._lock = threading.Lock()
        self._alive: WeakValueDictionary[str, TableClause] = WeakValueDictionary()
        self._recent: OrderedDict[str, TableClause] = OrderedDict()

    def table(self, name: str) -> TableClause:
        """The table of an object for building statements: its columns, no constraints.

        It is the same one as long as anybody holds it or one of its columns. What is only in compiled statements needs
        no table any more, and a table is heavy: with hundreds of objects only those in use are kept. Columns that
        only stand in statements, as these do, weigh half of those that can be created in a database.
        """
        with self._lock:
            found = self._alive.get(name)
            if found is None:
                found = self._alive[name] = self._make(name)
            self._recent[name] = found
            self._recent.move_to_end(name)
            if len(self._recent) > RECENT_TABLES:
                self._recent.popitem(last=False)
        return found

    def _make(self, name: str) -> TableClause:
        parts = stored_parts(self.registry[name])
        columns = [column(part.key, comparable(part.sql, self.dialect)) for part in parts if part.sql is not None]
        return table(name, *columns, column("deletion_id", _ID))

    def columns(self, obj: Object) -> Iterator[Column[object]]:
        """New columns for an object's table."""
        for part in stored_parts(obj):
            yield Column(
                part.key,
                comparable(part.sql, self.dialect) if part.sql is not None else None,
                primary_key=part.key == "id",
                nullable=part.key not in ALWAYS_FILLED,
            )
        yield Column("deletion_id", _ID)

    def foreign_keys(self, obj: Object) -> Iterator[ForeignKeyConstraint]:
        """The foreign keys of an object's table."""
        for field in checked_references(self.registry, obj):
            yield ForeignKeyConstraint(
                [field.name],
                [f"{field.targets[0]}.id"],
                name=foreign_key_name(obj.name, field.name, field.targets[0]),
                deferrable=True,
                initially="DEFERRED",
            )

    def indexes(self, obj: Object) -> list[Index]:
        """The indexes of an object's table, on a table of their own."""
        table = Table(obj.name, MetaData(), *self.columns(obj))
        self._attach_indexes(obj, table)
        return sorted(table.indexes, key=lambda index: str(index.name))

    def _attach_indexes(self, obj: Object, table: Table) -> None:
        live = table.c.deleted_at.is_(None)
        for keys in unique_keys(obj):
            Index(
                index_name("uq", obj.name, *keys),
                *(table.c[key] for key in keys),
                unique=True,
                sqlite_where=live,
                postgresql_where=live,
            )
        for keys in plain_indexes(obj):
            Index(
                index_name("ix", obj.name, *keys),
                *(table.c[key] for key in keys),
                sqlite_where=live,
                postgresql_where=live,
            )
        for key in ("deleted_at", "deletion_id"):
            gone = table.c[key].is_not(None)
            Index(
                index_name("ix", obj.name, key, "gone"),
                table.c[key],
                table.c.id,
                sqlite_where=gone,
                postgresql_where=gone,
            )


def stored_parts(obj: Object) -> tuple[Part, ...]:
    """The parts of an object that have a column, ``id`` first."""
    parts = [part for part in obj.parts.values() if part.sql is not None]
    return tuple(sorted(parts, key=lambda part: part.key != "id"))


def index_parts(obj: Object) -> list[tuple[str, tuple[str, ...]]]:
    """What the names of an object's indexes are made of: (``uq`` or ``ix``, keys)."""
    gone = [("ix", (key, "gone")) for key in ("deleted_at", "deletion_id")]
    return [*(("uq", keys) for keys in unique_keys(obj)), *(("ix", keys) for keys in plain_indexes(obj)), *gone]


def checked_references(registry: Registry, obj: Object) -> Iterator[Field]:
    """The reference fields that a foreign key stands on."""
    for field in obj.references:
        alone = len(field.targets) == 1 and field.targets[0] in registry.objects
        if alone and field.type.name != "polymorphic" and field.name not in UNCHECKED_REFERENCES and _has_column(field):
            yield field


def unique_keys(obj: Object) -> tuple[tuple[str, ...], ...]:
    """Column lists that are unique among live records."""
    alone = [
        (field.name,) for field in obj.fields.values() if (field.unique or field.external_id) and _has_column(field)
    ]
    together = [tuple(part for name in key.fields for part in _main_key(obj, name)) for key in obj.keys]
    return tuple(dict.fromkeys(keys for keys in (*alone, *together) if keys and keys != ("id",)))


def plain_indexes(obj: Object) -> tuple[tuple[str, ...], ...]:
    """Column lists of the other indexes: each ends with ``id``, so that a list sorted by it has one order.

    Besides what the object declares there is one for ``created_at``, the order of a list that names none.
    """
    columns = {part.key for part in stored_parts(obj)}
    begun = {keys[0] for keys in obj.indexes if keys}
    references = (f for f in obj.references if _has_column(f) and f.name not in UNCHECKED_REFERENCES)
    wanted = [("created_at",), *obj.indexes, *((f.name,) for f in references if f.name not in begun)]
    unique = set(unique_keys(obj))
    found: dict[tuple[str, ...], None] = {}
    for keys in wanted:
        if keys in unique or not keys or not columns.issuperset(keys):
            continue
        full = keys if keys[-1] == "id" else (*keys, "id")
        if full != ("id",):
            found[full] = None
    return tuple(found)


def _main_key(obj: Object, name: str) -> tuple[str, ...]:
    field = obj.fields.get(name)
    if field is None or not _has_column(field):
        return ()
    return (field.name,)


def _has_column(field: Field) -> bool:
    return bool(field.parts) and field.parts[0].sql is not None


@cache
def comparable(kind: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """The column type with texts compared by code point."""
    if dialect != "postgresql":
        return kind
    if isinstance(kind, String) and kind.collation is None:
        plain = copy.copy(kind)
        plain.collation = "C"
        return plain
    if (
        isinstance(kind, TypeDecorator)
        and not isinstance(kind, (Id, UtcDateTime, Json))
        and isinstance(kind.impl_instance, String)
    ):
        inner = copy.copy(kind.impl_instance)
        inner.collation = "C"
        outer = copy.copy(kind)
        outer.impl = outer.impl_instance = inner
        return outer
    return kind
