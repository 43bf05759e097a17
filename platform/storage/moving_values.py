"""Renamed and replaced values, stages and pipelines, rewritten where they stand: in the records and in the history.

``ValueMoves(…).run(moves)`` runs after the tables have their new names (``moving.py``). What puts one value in the
place of others has no way back by itself, so what was is remembered first (``ratoon_undo``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.metadata.model import Field, Object, Registry
from ratoon.platform.metadata.moves import Move
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.history import StageMove, write_stage_moves
from ratoon.platform.storage.present import Present
from ratoon.platform.storage.system import system_tables
from ratoon.platform.storage.undo import remember


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
        remember(self.connection, self.revision, self.registry, obj.name, key, made)

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
