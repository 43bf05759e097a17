"""Renames in the database: tables, columns, indexes, and every text that names what was renamed.

``Relocation(before, after, moves)`` knows what each table and column of ``before`` is called in ``after`` (the same
metadata under the new names). ``relocate`` makes it so, in the caller's transaction: tables and columns are renamed in
place, no row is touched for it. Values and stages are rewritten where they stand, in the records and in the history.
``replace_values`` puts one value in the place of others and remembers what was (``ratoon_undo``), because that has no
way back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Table, TableClause

from ratoon.platform.metadata.model import Field, Object, Registry
from ratoon.platform.metadata.moves import Move
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.history import StageMove, write_stage_moves
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
from ratoon.platform.storage.undo import remember

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


# -- values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ValueMoves:
    """Renamed and replaced values and stages, on the tables that have their new names."""

    connection: Connection
    registry: Registry
    """The metadata under the new names."""
    dialect: str
    revision: int
    """The revision that is being made."""
    now: datetime

    def run(self, moves: Sequence[Move]) -> set[tuple[str, str]]:
        """Rewrites values; returns (object, key) of those that changed."""
        touched: set[tuple[str, str]] = set()
        for move in moves:
            if move.kind == "object":
                touched |= self._polymorphic(move)
            elif move.kind == "value":
                for obj, field in self._fields(move):
                    if self._value(obj, field, move):
                        touched.add((obj.name, field.name))
            elif move.kind in ("stage", "pipeline"):
                touched |= self._stage(move)
        return touched

    def _fields(self, move: Move) -> Iterator[tuple[Object, Field]]:
        for obj in self.registry:
            for field in obj.fields.values():
                if field.type.name not in {"picklist", "multipicklist"} or not field.parts:
                    continue
                shared = move.field == f"*{field.spec.option('value_set')}"
                if shared or (move.object, move.field) == (obj.name, field.name):
                    yield obj, field

    def _value(self, obj: Object, field: Field, move: Move) -> bool:
        several = field.type.name == "multipicklist"
        column = self._quote(field.parts[0].key)
        if move.merges:
            where = f"{column} LIKE {self._mark}" if several else f"{column} = {self._mark}"
            pattern = f"%;{move.old};%" if several else move.old
            self._remember(obj, field.parts[0].key, where, (pattern,), lambda old: _replaced(old, move, several))
        if several:
            old, new = f";{move.old};", f";{move.new};"
            sql = f"UPDATE {self._quote(obj.name)} SET {column} = replace({column}, {self._mark}, {self._mark}) "
            if move.merges:
                done = self._several(obj, column, move)
            else:
                done = self._run(sql + f"WHERE {column} LIKE {self._mark}", old, new, f"%{old}%")
        else:
            sql = f"UPDATE {self._quote(obj.name)} SET {column} = {self._mark} WHERE {column} = {self._mark}"
            done = self._run(sql, move.new, move.old)
        if not move.merges:
            self._history(obj.name, field.parts[0].key, move)
        return done > 0

    def _several(self, obj: Object, column: str, move: Move) -> int:
        """A multiple choice may have both values already: then one of them is left."""
        table = self._quote(obj.name)
        query = f"SELECT id, {column} FROM {table} WHERE {column} LIKE {self._mark}"
        rows = driver(self.connection).execute(query, (f"%;{move.old};%",)).fetchall()
        for record, value in rows:
            sql = f"UPDATE {table} SET {column} = {self._mark} WHERE id = {self._mark}"
            self._run(sql, _replaced(str(value), move, True), record)
        return len(rows)

    def _stage(self, move: Move) -> set[tuple[str, str]]:
        obj = self.registry.objects.get(move.object)
        field = None if obj is None else obj.stage_field
        if obj is None or field is None:
            return set()
        stage, pipeline = (self._quote(part.key) for part in field.parts[:2])
        table = self._quote(obj.name)
        if move.kind == "pipeline":
            done = self._run(f"UPDATE {table} SET {pipeline} = {self._mark} WHERE {pipeline} = {self._mark}",
                             move.new, move.old)  # fmt: skip
            self._run(f"UPDATE ratoon_stage SET pipeline = {self._mark} WHERE object = {self._mark} "
                      f"AND pipeline = {self._mark}", move.new, obj.name, move.old)  # fmt: skip
            self._history(obj.name, field.parts[1].key, move)
            return {(obj.name, field.parts[1].key)} if done else set()
        if move.merges:
            return self._merge_stage(obj, field, move)
        done = self._run(f"UPDATE {table} SET {stage} = {self._mark} WHERE {stage} = {self._mark} "
                         f"AND {pipeline} = {self._mark}", move.new, move.old, move.pipeline)  # fmt: skip
        for column in ("stage", "previous"):
            self._run(f"UPDATE ratoon_stage SET {column} = {self._mark} WHERE object = {self._mark} "
                      f"AND pipeline = {self._mark} AND {column} = {self._mark}",
                      move.new, obj.name, move.pipeline, move.old)  # fmt: skip
        self._history(obj.name, field.name, move)
        return {(obj.name, field.name)} if done else set()

    def _merge_stage(self, obj: Object, field: Field, move: Move) -> set[tuple[str, str]]:
        """Records of a stage that goes enter the one that takes its place; their history says so."""
        stage_key, pipeline_key = (part.key for part in field.parts[:2])
        stage, pipeline = self._quote(stage_key), self._quote(pipeline_key)
        named, dot, old = move.old.rpartition(".")
        was = named if dot else move.pipeline
        where = f"{stage} = {self._mark} AND {pipeline} = {self._mark}"
        found = driver(self.connection).execute(
            f"SELECT id FROM {self._quote(obj.name)} WHERE {where}", (old, was)
        ).fetchall()  # fmt: skip
        self._remember(obj, stage_key, where, (old, was), lambda _: move.new)
        if was != move.pipeline:
            self._remember(obj, pipeline_key, where, (old, was), lambda _: move.pipeline)
        moved = [
            StageMove(obj.name, str(record), field.name, move.pipeline, move.new, old, self.now, None)
            for (record,) in found
        ]
        write_stage_moves(self.connection, moved)
        self._run(f"UPDATE {self._quote(obj.name)} SET {stage} = {self._mark}, {pipeline} = {self._mark} "
                  f"WHERE {where}", move.new, move.pipeline, old, was)  # fmt: skip
        return {(obj.name, stage_key), (obj.name, pipeline_key)} if found else set()

    def _polymorphic(self, move: Move) -> set[tuple[str, str]]:
        """Lookups that say which object they point at."""
        touched = set()
        for obj in self.registry:
            for field in obj.fields.values():
                if field.type.name == "polymorphic" and move.new in field.targets:
                    key = self._quote(field.parts[1].key)
                    sql = f"UPDATE {self._quote(obj.name)} SET {key} = {self._mark} WHERE {key} = {self._mark}"
                    if self._run(sql, move.new, move.old):
                        touched.add((obj.name, field.parts[1].key))
                    self._history(obj.name, field.parts[1].key, move)
        return touched

    def _history(self, object: str, key: str, move: Move) -> None:
        """Old and new values of the field history."""
        table = system_tables().tables["ratoon_history"]
        mine = (table.c.object == object, table.c.key == key)
        for column in (table.c.old, table.c.new):
            rows = self.connection.execute(
                table.select().with_only_columns(table.c.number, column).where(*mine, column.is_not(None))
            ).all()
            for number, value in rows:
                changed = _in_value(value, move)
                if changed != value:
                    query = table.update().where(table.c.number == number)
                    self.connection.execute(query.values({column.name: changed}))

    def _remember(
        self, obj: Object, key: str, where: str, parameters: tuple[str, ...], new: Callable[[str], str]
    ) -> None:
        """Writes down the values that are about to be replaced, so that a rollback brings them back."""
        query = f"SELECT id, {self._quote(key)} FROM {self._quote(obj.name)} WHERE {where}"
        rows = driver(self.connection).execute(query, parameters).fetchall()
        made = [(str(record), str(value), new(str(value))) for record, value in rows]
        remember(self.connection, self.revision, obj.name, key, made)

    def _run(self, sql: str, *values: Any) -> int:
        return int(driver(self.connection).execute(sql, values).rowcount)

    @property
    def _mark(self) -> str:
        return "?" if self.dialect == "sqlite" else "%s"

    def _quote(self, name: str) -> str:
        return Present(self.connection).quote(name)


def _in_value(value: Any, move: Move) -> Any:
    if isinstance(value, list):
        return [move.new if item == move.old else item for item in value]
    return move.new if value == move.old else value


def _replaced(old: str, move: Move, several: bool) -> str:
    """A value as it is kept, after the replacement."""
    if not several:
        return move.new
    chosen = dict.fromkeys(move.new if item == move.old else item for item in old.strip(";").split(";"))
    return f";{';'.join(chosen)};"
