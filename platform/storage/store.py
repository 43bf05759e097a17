"""Reading and writing records, set by set: the prepared statements of one registry snapshot.

``RecordStore`` holds no connection and no state but its statements, which are compiled when first needed and kept. It
works on flat rows (dicts of column keys), knows nothing of rules or rights, and never commits: everything runs on the
connection of a ``Database.write()`` or ``Database.read()`` block.

Reads see live records only (``deleted_at IS NULL``) unless they say otherwise. Any number of ids goes into one
statement as one parameter. Lists, counts and aggregates are in ``store.lists`` (``lists.py``); what paths lead to,
rollups, writing and deleting are modules of their own behind this one door (``following.py``, ``rollups.py``,
``writing.py``, ``deletions.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, TableClause, cast, func, literal, select, tuple_
from sqlalchemy.sql.expression import Select

from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field, Registry
from ratoon.platform.storage.conditions import MAX_CONDITIONS, Condition, Recent, ShapeCache
from ratoon.platform.storage.deletions import Deletions
from ratoon.platform.storage.following import Following
from ratoon.platform.storage.lists import Lists
from ratoon.platform.storage.paths import Paths, Visible
from ratoon.platform.storage.rollups import Rollups
from ratoon.platform.storage.statements import (
    Row,
    Statement,
    among,
    one_of,
    only_or_all,
    parameter,
    same_tuple,
    sql_dialect,
)
from ratoon.platform.storage.tables import Tables
from ratoon.platform.storage.writing import Writing

MAX_DEPTH = 1000
"""Levels of a hierarchy that ``ancestors`` climbs."""


class RecordStore:
    """The statements of one registry snapshot on one dialect (``sqlite`` or ``postgresql``)."""

    def __init__(self, registry: Registry, tables: Tables, dialect: str) -> None:
        self.registry = registry
        self.tables = tables
        self.dialect = dialect
        self.sql_dialect = sql_dialect(dialect)
        self.paths = Paths(registry, tables, dialect)
        self.shapes = ShapeCache(self.sql_dialect)
        self._conditions: Recent[tuple[str, Formula, str], Condition] = Recent(MAX_CONDITIONS)
        self._statements: dict[tuple[object, ...], Statement] = {}
        self._writing = Writing(tables, self.sql_dialect)
        self._following = Following(self)
        self._deletions = Deletions(self)
        self._rollups = Rollups(self)

    @cached_property
    def lists(self) -> Lists:
        """Lists, counts and aggregates."""
        return Lists(self)

    def condition(
        self, object: str, formula: Formula, context: EvalContext, visible: Visible | None = None
    ) -> Condition:
        """A formula over an object's records as a condition. One whose answer depends on the record alone is built
        once. ``visible``: what of related records it may count."""
        limited = visible is not None and any(MANY in path for path in formula.paths)
        if limited or formula.volatile or any(path.startswith("$") for path in formula.paths):
            return self.shapes.condition(self.paths.condition(object, formula, context, visible))
        key = (object, formula, context.time_zone.key)
        found = self._conditions.get(key)
        if found is None:
            made = self.shapes.condition(self.paths.condition(object, formula, context))
            found = self._conditions.keep(key, made)
        return found

    # reading by id

    def load(
        self,
        conn: Connection,
        object: str,
        ids: Collection[str],
        *,
        paths: Collection[str] = (),
        context: EvalContext | None = None,
        lock: bool = False,
        deleted: bool = False,
    ) -> dict[str, Row]:
        """The rows with these ids, by id, all columns; ids that are not there are missing from the answer.

        ``paths`` adds dotted paths to the rows, ``lock`` keeps them from being changed by others until the transaction
        ends, ``deleted`` finds deleted rows too.
        """
        if not ids:
            return {}
        if len(ids) == 1:
            (one,) = ids
            rows = self._load_one(object, lock, deleted).rows(conn, id=one)
        else:
            rows = self._load_many(object, lock, deleted).rows(conn, ids=ids)
        if paths:
            self.attach_paths(conn, object, rows, paths, context)
        return {row["id"]: row for row in rows}

    def attach_paths(
        self,
        conn: Connection,
        object: str,
        rows: Sequence[Row],
        paths: Iterable[str],
        context: EvalContext | None,
        *,
        lock: bool = False,
    ) -> None:
        """Puts the values of dotted paths into rows in memory, with one statement per step for all rows; ``lock`` keeps
        what was read from being changed before this transaction ends. See ``following.py``."""
        self._following.attach(conn, object, rows, paths, context, lock=lock)

    def existing(
        self, conn: Connection, object: str, key: str, values: Collection[Any], *, deleted: bool = False
    ) -> dict[Any, str]:
        """Which of these values of ``key`` records have: value → id."""
        if not values:
            return {}
        statement = self._existing(object, key, deleted, len(values) == 1)
        return dict(statement.tuples(conn, values=only_or_all(values)))

    def existing_keys(
        self, conn: Connection, object: str, keys: tuple[str, ...], tuples: Collection[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], str]:
        """The same for several keys together: tuple of values → id. Tuples must be without blanks."""
        if not tuples:
            return {}
        found = self._existing_keys(object, keys).tuples(conn, tuples=tuples, **_by_column(keys, tuples))
        return {row[:-1]: row[-1] for row in found}

    def children(
        self, conn: Connection, object: str, key: str, ids: Collection[str], *, limit: int | None = None
    ) -> list[tuple[str, str]]:
        """(id, parent id) of the live records of ``object`` whose lookup ``key`` is one of ``ids``, ordered by id."""
        if not ids:
            return []
        statement = self._children(object, key, len(ids) == 1)
        return statement.tuples(conn, ids=only_or_all(ids), limit=-1 if limit is None else limit)

    def back(self, conn: Connection, object: str, key: str, ids: Collection[str]) -> set[str]:
        """Ids of the live records of ``object`` whose lookup ``key`` is one of ``ids``."""
        return {record for record, _ in self.children(conn, object, key, ids)}

    def values(self, conn: Connection, object: str, key: str, ids: Collection[str]) -> set[Any]:
        """The different values of ``key``, without blank, in these records (deleted ones too)."""
        if not ids:
            return set()
        return set(self._values(object, key, len(ids) == 1).first_column(conn, ids=only_or_all(ids)))

    def ancestors(self, conn: Connection, object: str, key: str, id: str) -> list[str]:
        """Ids of the records above ``id`` along the hierarchy field ``key``, nearest first; stops at a repeat."""
        seen: dict[str, None] = {}
        for above in self._ancestors(object, key).first_column(conn, id=id):
            if above is None or above in seen or above == id:
                break
            seen[above] = None
        return list(seen)

    def visible(
        self,
        conn: Connection,
        object: str,
        ids: Collection[str],
        where: Sequence[ColumnElement[Any]],
        *,
        hold: bool = False,
        deleted: bool = False,
    ) -> set[str]:
        """Which of these ids are live (``deleted``: deleted) records that meet the conditions ``where``.

        ``hold``: nobody deletes them before this transaction ends; a deletion under way is waited for.
        """
        if not ids:
            return set()
        table, single = self.tables.table(object), len(ids) == 1

        def build() -> Select[Any]:
            these = among(table.c.id, "ids", self.dialect, single)
            state = table.c.deleted_at.is_not(None) if deleted else table.c.deleted_at.is_(None)
            query = select(table.c.id).where(these, state, *where)
            return query.order_by(table.c.id).with_for_update(read=True, key_share=True) if hold else query

        conditions = [self.shapes.condition(element) for element in where]
        statement, values = self.shapes.get(("visible", object, hold, deleted, single), conditions, build)
        return set(statement.first_column(conn, ids=only_or_all(ids), **values))

    def rollup(
        self, conn: Connection, field: Field, parent_ids: Collection[str], context: EvalContext
    ) -> dict[str, Any]:
        """The value of a rollup field for each of these parents, exact; see ``rollups.py``."""
        return self._rollups.values(conn, field, parent_ids, context)

    # writing

    def insert(self, conn: Connection, object: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes new records; every row has at least every column's key."""
        self._writing.insert(conn, object, rows)

    def update(self, conn: Connection, object: str, keys: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes ``keys`` of existing records; every row has ``id`` and those keys."""
        self._writing.update(conn, object, keys, rows)

    def update_versioned(
        self, conn: Connection, object: str, keys: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """Like ``update`` where each row also has ``_version``, the version it expects to find. Returns the ids that
        were not written: gone, deleted or of another version."""
        return self._writing.update_versioned(conn, object, keys, rows)

    def next_numbers(self, conn: Connection, counter: str, count: int) -> range:
        """The next ``count`` numbers of a counter, from 1. Whoever asks next waits for this transaction, so committed
        numbers have no gaps."""
        return self._writing.next_numbers(conn, counter, count)

    # deleting

    def mark_deleted(self, conn: Connection, object: str, ids: Collection[str], at: datetime, deletion_id: str) -> None:
        """Marks live records as deleted by this deletion."""
        self._deletions.mark(conn, object, ids, at, deletion_id)

    def unmark_deleted(self, conn: Connection, object: str, deletion_id: str) -> list[str]:
        """Brings back what a deletion took of this object; returns the ids."""
        return self._deletions.unmark(conn, object, deletion_id)

    def taken_by(self, conn: Connection, object: str, deletion_id: str) -> list[str]:
        """The records of this object that a deletion took."""
        return self._deletions.taken(conn, object, deletion_id)

    def deletion_of(self, conn: Connection, object: str, id: str) -> str | None:
        """The deletion that took this record; ``None`` for a live or unknown one."""
        return self._deletions.of(conn, object, id)

    def remember_unlinked(self, conn: Connection, deletion_id: str, links: Sequence[tuple[str, str, str, str]]) -> None:
        """Keeps lookups that a deletion emptied: (object, record, key, target) each."""
        self._deletions.remember(conn, deletion_id, links)

    def take_unlinked(self, conn: Connection, deletion_id: str) -> list[tuple[str, str, str, str]]:
        """The lookups kept for a deletion, which are then forgotten: (object, record, key, target) each."""
        return self._deletions.take(conn, deletion_id)

    # locking

    def lock(self, conn: Connection, object: str, ids: Collection[str], *, deleting: bool = False) -> None:
        """Keeps these records from being changed by others until the transaction ends (``deleting``: from being
        referred to as well). In id order, so that two transactions do not wait for each other. SQLite has one writer
        at a time: nothing to do."""
        if self.dialect == "postgresql" and ids:
            self._lock(object, deleting, len(ids) == 1).tuples(conn, ids=only_or_all(sorted(ids)))

    def advisory_lock(self, conn: Connection, name: str) -> None:
        """Lets one transaction at a time pass for this name. SQLite has one writer at a time: nothing to do."""
        if self.dialect == "postgresql":
            key = func.hashtextextended(parameter("name"), cast(literal(0), Integer))
            self._statement(("advisory",), lambda: select(func.pg_advisory_xact_lock(key))).tuples(conn, name=name)

    # statements

    def _statement(self, name: tuple[object, ...], build: Any) -> Statement:
        found = self._statements.get(name)
        if found is None:
            found = self._statements.setdefault(name, Statement.compile(build(), self.sql_dialect))
        return found

    def statement(self, name: tuple[object, ...], build: Any) -> Statement:
        """The statement of that name, compiled from ``build()`` when it is first asked for."""
        return self._statement(name, build)

    def _columns(self, table: TableClause) -> list[ColumnElement[Any]]:
        return [column for column in table.c if column.key != "deletion_id"]

    def _select(self, object: str, lock: bool, deleted: bool) -> Select[Any]:
        table = self.tables.table(object)
        query = select(*self._columns(table))
        if not deleted:
            query = query.where(table.c.deleted_at.is_(None))
        if lock:
            query = query.order_by(table.c.id).with_for_update(key_share=True)
        return query

    def _load_one(self, object: str, lock: bool, deleted: bool) -> Statement:
        def build() -> Select[Any]:
            id_column = self.tables.table(object).c.id
            return self._select(object, lock, deleted).where(id_column == parameter("id", id_column.type))

        return self._statement(("one", object, lock, deleted), build)

    def _load_many(self, object: str, lock: bool, deleted: bool) -> Statement:
        def build() -> Select[Any]:
            these = one_of(self.tables.table(object).c.id, "ids", self.dialect)
            return self._select(object, lock, deleted).where(these)

        return self._statement(("many", object, lock, deleted), build)

    def _existing(self, object: str, key: str, deleted: bool, single: bool) -> Statement:
        def build() -> Select[Any]:
            table = self.tables.table(object)
            these = among(table.c[key], "values", self.dialect, single)
            query = select(table.c[key], table.c.id.label("_id")).where(these)
            return query if deleted else query.where(table.c.deleted_at.is_(None))

        return self._statement(("existing", object, key, deleted, single), build)

    def _existing_keys(self, object: str, keys: tuple[str, ...]) -> Statement:
        def build() -> Select[Any]:
            table = self.tables.table(object)
            columns = [table.c[key] for key in keys]
            return select(*columns, table.c.id.label("_id")).where(
                tuple_(*columns).in_(same_tuple(columns, self.dialect)), table.c.deleted_at.is_(None)
            )

        return self._statement(("existing keys", object, keys), build)

    def _children(self, object: str, key: str, single: bool) -> Statement:
        def build() -> Select[Any]:
            table = self.tables.table(object)
            limit: Any = parameter("limit", Integer())
            if self.dialect == "postgresql":
                limit = func.nullif(limit, -1)
            return (
                select(table.c.id, table.c[key])
                .where(among(table.c[key], "ids", self.dialect, single), table.c.deleted_at.is_(None))
                .order_by(table.c.id)
                .limit(limit)
            )

        return self._statement(("children", object, key, single), build)

    def _values(self, object: str, key: str, single: bool) -> Statement:
        def build() -> Select[Any]:
            table = self.tables.table(object)
            these = among(table.c.id, "ids", self.dialect, single)
            return select(table.c[key]).where(these, table.c[key].is_not(None)).distinct()

        return self._statement(("values", object, key, single), build)

    def _ancestors(self, object: str, key: str) -> Statement:
        def build() -> Select[Any]:
            table = self.tables.table(object)
            start = select(table.c[key].label("above"), literal(1).label("level"))
            up = start.where(table.c.id == parameter("id", table.c.id.type)).cte("up", recursive=True)
            step = select(table.c[key], up.c.level + 1).where(table.c.id == up.c.above, up.c.level < MAX_DEPTH)
            up = up.union_all(step)
            return select(up.c.above).order_by(up.c.level)

        return self._statement(("ancestors", object, key), build)

    def _lock(self, object: str, deleting: bool, single: bool) -> Statement:
        def build() -> Select[Any]:
            table = self.tables.table(object)
            query = select(table.c.id).where(among(table.c.id, "ids", self.dialect, single)).order_by(table.c.id)
            return query.with_for_update(key_share=not deleting)

        return self._statement(("lock", object, deleting, single), build)


def _by_column(keys: tuple[str, ...], tuples: Collection[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """The values column by column, as the PostgreSQL form of ``same_tuple`` takes them."""
    columns = zip(*tuples, strict=True)
    return {f"tuples_{place}": list(column) for place, column in zip(range(len(keys)), columns, strict=True)}
