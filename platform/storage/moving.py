"""Renames in the database: tables, columns, indexes, and every text that names what was renamed.

``Relocation(before, after, moves)`` knows what each table and column of ``before`` is called in ``after`` (the same
metadata under the new names). ``relocate`` makes it so, in the caller's transaction: tables and columns are renamed in
place, no row is touched for it. Values and stages come after it (``moving_values.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Table, TableClause

from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.metadata.moves import Move
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.kept import Kept
from ratoon.platform.storage.present import Present
from ratoon.platform.storage.system import system_tables
from ratoon.platform.storage.tables import (
    Tables,
    checked_references,
    foreign_key_name,
    index_name,
    index_parts,
)

if TYPE_CHECKING:
    from alembic.operations import Operations

SEALED = frozenset({"ratoon_audit"})
"""Tables that nobody may rewrite; they say what was called how at the time."""
KEYED: Mapping[str, str] = {
    "ratoon_history": "key",
    "ratoon_unlinked": "key",
    "ratoon_kept": "key",
    "ratoon_undo": "key",
    "ratoon_stage": "field",
}
"""Tables that name a record key beside the object, and the column in which they do."""


@dataclass(frozen=True)
class Relocation:
    """What is called how before and after the moves."""

    before: Registry
    after: Registry
    """The same metadata under the new names."""
    moves: tuple[Move, ...]

    def object(self, name: str) -> str:
        """The new name of an object of ``before``; the hidden object behind a many-to-many field follows its field."""
        found = self._links.get(name)
        return self._object(name) if found is None else found

    def _object(self, name: str) -> str:
        for move in self.moves:
            if move.kind == "object" and move.old == name and not move.merges:
                name = move.new
        return name

    def field(self, object: str, name: str) -> str:
        """The new name of a field of an object of ``before``."""
        for move in self.moves:
            if move.kind == "object" and move.old == object:
                object = move.new
            elif move.kind == "field" and (move.object, move.old) == (object, name):
                name = move.new
        return name

    def keys(self, obj: Object) -> dict[str, str]:
        """Every key of an object of ``before`` → its new name."""
        return {
            part.key: self.field(obj.name, field.name) + part.key[len(field.name) :]
            for field in obj.fields.values()
            for part in field.parts
        }

    def kept(self, entries: Iterable[Kept]) -> list[Kept]:
        """What is kept, under the new names."""
        return [
            replace(entry, object=self.object(entry.object), key=self._key(entry.object, entry.key))
            for entry in entries
        ]

    def _key(self, object: str, key: str) -> str:
        for move in self.moves:
            if move.kind == "object" and move.old == object:
                object = move.new
            elif move.kind == "field" and move.object == object and key.startswith(move.old):
                suffix = key[len(move.old) :]
                if suffix in _suffixes(self, move) | {""}:
                    key = move.new + suffix
        return key

    @cached_property
    def _links(self) -> Mapping[str, str]:
        found = {}
        for obj in self.before:
            for field in obj.fields.values():
                if field.junction is None:
                    continue
                new = self.after.objects.get(self._object(obj.name))
                now = None if new is None else new.fields.get(self.field(obj.name, field.name))
                if now is not None and now.junction is not None:
                    found[field.junction] = now.junction
        return found

    def renamed(self) -> Iterator[tuple[Object, str, dict[str, str]]]:
        """(object of ``before``, new name, old key → new key where they differ) of everything that is renamed."""
        for obj in self.before:
            keys = {old: new for old, new in self.keys(obj).items() if old != new}
            if keys or self.object(obj.name) != obj.name:
                yield obj, self.object(obj.name), keys


class RelocatedTables(Tables):
    """The tables of ``relocation.after`` as they are in the database before it happened: statements speak of new names,
    the database hears the old ones."""

    def __init__(self, relocation: Relocation, dialect: str) -> None:
        super().__init__(relocation.after, dialect)
        self._old = {relocation.object(obj.name): obj for obj in relocation.before}
        self._relocation = relocation

    def table(self, name: str) -> TableClause:
        """The table of an object, by its new name."""
        from sqlalchemy import MetaData

        found = self._alive.get(name)
        if found is None:
            old = self._old[name]
            back = {new: key for key, new in self._relocation.keys(old).items()}
            columns = [
                Column(back.get(column.name, column.name), column.type, key=column.name)
                for column in super().columns(self.registry[name])
            ]
            found = self._alive[name] = Table(old.name, MetaData(), *columns)
            self._recent[name] = found
        return found


def relocate(connection: Connection, relocation: Relocation, operations: Operations, present: Present) -> None:
    """Renames tables, columns, indexes and constraints, and rewrites every text that names them."""
    renamed = list(relocation.renamed())
    tables = [(obj.name, new) for obj, new, _ in renamed if obj.name != new]
    indexes = list(_indexes(connection, relocation, renamed))
    for name in _in_order(tables, lambda taken: _aside_table(operations, present, taken)):
        present.rename_table(operations, *name)
    for _, new, keys in renamed:
        columns = [(old, key) for old, key in keys.items() if old in present.columns(new)]
        for old, key in _in_order(columns, lambda taken, table=new: _aside_column(operations, present, table, taken)):
            present.rename_column(operations, new, old, key)
    _rename_indexes(connection, present, indexes)
    _references(connection, relocation, present)
    for move in relocation.moves:
        _texts(connection, move, _suffixes(relocation, move))


def _in_order(pairs: Sequence[tuple[str, str]], make_room: Any) -> Iterator[tuple[str, str]]:
    """Renames in an order in which no new name is taken: circles go through a name in between."""
    left = dict(pairs)
    while left:
        free = [(old, new) for old, new in left.items() if new not in left]
        if not free:
            old, new = next(iter(left.items()))
            between = f"{old[:50]}__moving"
            yield old, between
            del left[old]
            left[between] = new
            continue
        for old, new in free:
            make_room(new)
            yield old, new
            del left[old]


def _aside_table(operations: Operations, present: Present, name: str) -> None:
    present.make_room(operations, name)


def _aside_column(operations: Operations, present: Present, table: str, column: str) -> None:
    present.make_room_for_column(operations, table, column)


def _indexes(
    connection: Connection, relocation: Relocation, renamed: Iterable[tuple[Object, str, Mapping[str, str]]]
) -> Iterator[tuple[str, str]]:
    """(index, its new name)."""
    for obj, new, keys in renamed:
        for prefix, parts in index_parts(obj):
            was, now = index_name(prefix, obj.name, *parts), index_name(prefix, new, *(keys.get(p, p) for p in parts))
            if was != now:
                yield was, now


def _rename_indexes(connection: Connection, present: Present, indexes: Sequence[tuple[str, str]]) -> None:
    """PostgreSQL renames an index; SQLite has to make it anew under the new name."""
    raw = driver(connection)
    for was, now in indexes:
        if connection.dialect.name == "postgresql":
            raw.execute(f"ALTER INDEX IF EXISTS {present.quote(was)} RENAME TO {present.quote(now)}")
            continue
        found = raw.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", (was,)).fetchone()
        if found is not None:
            raw.execute(f"DROP INDEX {present.quote(was)}")
            raw.execute(str(found[0]).replace(was, now, 1))


def _references(connection: Connection, relocation: Relocation, present: Present) -> None:
    """Foreign keys are named after what they join (PostgreSQL; SQLite does not care)."""
    if connection.dialect.name != "postgresql":
        return
    raw = driver(connection)
    query = "SELECT 1 FROM pg_constraint WHERE conname = %s AND conrelid = to_regclass(%s)"
    for obj in relocation.before:
        table = relocation.object(obj.name)
        for field in checked_references(relocation.before, obj):
            was = foreign_key_name(obj.name, field.name, field.targets[0])
            target = relocation.object(field.targets[0])
            now = foreign_key_name(table, relocation.field(obj.name, field.name), target)
            if was != now and raw.execute(query, [was, present.quote(table)]).fetchone():
                sql = (
                    f"ALTER TABLE {present.quote(table)} RENAME CONSTRAINT {present.quote(was)} TO {present.quote(now)}"
                )
                raw.execute(sql)


def _suffixes(relocation: Relocation, move: Move) -> frozenset[str]:
    """What the keys of a renamed field add to its name."""
    for obj in relocation.after:
        found = obj.fields.get(move.new)
        if obj.name == move.object and found is not None:
            return frozenset(part.suffix for part in found.parts)
    return frozenset({""})


def _texts(connection: Connection, move: Move, suffixes: frozenset[str]) -> None:
    """The platform's own records follow."""
    for table in system_tables().tables.values():
        if "object" not in table.c or table.name in SEALED:
            continue
        if move.kind == "object":
            connection.execute(table.update().where(table.c.object == move.old).values(object=move.new))
        elif move.kind == "field" and table.name in KEYED:
            _keys(connection, table, table.c[KEYED[table.name]], move, suffixes)
    raw = driver(connection)
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    if move.kind == "object":
        raw.execute(f"UPDATE ratoon_search SET object = {mark} WHERE object = {mark}", (move.new, move.old))
        _counters(connection, f"{move.old}.", f"{move.new}.")
    elif move.kind == "field":
        _counters(connection, f"{move.object}.{move.old}:", f"{move.object}.{move.new}:")


def _keys(connection: Connection, table: Table, column: Column[Any], move: Move, suffixes: frozenset[str]) -> None:
    """The keys of one field: its name, and what its other parts add to it."""
    mine = table.c.object == move.object
    there = connection.execute(table.select().with_only_columns(column).where(mine).distinct()).scalars()
    for key in [k for k in there if k is not None and k.startswith(move.old)]:
        if key[len(move.old) :] in suffixes | {""}:
            new = move.new + key[len(move.old) :]
            connection.execute(table.update().where(mine, column == key).values({column.name: new}))


def _counters(connection: Connection, old: str, new: str) -> None:
    table = system_tables().tables["ratoon_counter"]
    for (name,) in connection.execute(table.select().with_only_columns(table.c.name)).all():
        if name.startswith(old):
            connection.execute(table.update().where(table.c.name == name).values(name=new + name[len(old) :]))
