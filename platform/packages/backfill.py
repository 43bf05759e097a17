"""After the tables changed: values that the new metadata says rows have.

* A new required field with a default: existing rows get it. A field that becomes required: blanks get it, and which
  they were is kept for a rollback.
* A new autonumber field: existing rows are numbered in the order in which they were made.
* New or changed formula and rollup fields, and every computed field that reads them, are worked out for all rows, in
  dependency order.
* Objects whose searchable fields changed are indexed again.
* Stages whose expected days changed: when their records are overdue.
* What new or changed duplicate rules compare is worked out for all rows.

Rows are taken in groups along their ids, so memory stays small however many there are. Neither versions nor
modification times change: nobody edited these records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from ratoon.platform.fields.autonumber import render
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.graph import Node
from ratoon.platform.metadata.model import Field, Object, Registry
from ratoon.platform.packages.row_values import beside, fills, fit, fitted, numbered, write_rows
from ratoon.platform.packages.stage_times import refresh_due
from ratoon.platform.records.aftermath import search_text
from ratoon.platform.records.plan import Plans
from ratoon.platform.storage import match_keys, search
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.filling import Progress, estimated_rows, silent
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables
from ratoon.platform.storage.undo import as_stored, remember

GROUP = 1000
"""Rows worked on at a time."""


def _all_rows(object: str, name: str) -> datetime | None:
    """Nothing was filled beforehand."""
    return None


@dataclass(frozen=True)
class Backfill:
    """Fills in what ``after`` says and ``before`` did not."""

    connection: Connection
    before: Registry
    after: Registry
    dialect: str
    context: EvalContext
    revision: int = 0
    """The revision that is being made."""
    touched: frozenset[Node] = frozenset()
    """(object, key) whose values the change has rewritten."""
    progress: Progress = silent
    ahead: Callable[[str, str], datetime | None] = _all_rows
    """(object, field) that was filled beforehand → since when rows may have changed (``ahead.py``)."""

    def run(self) -> int:
        """Does all of it; returns how many values were written."""
        store = RecordStore(self.after, Tables(self.after, self.dialect), self.dialect)
        work = _Work(self, store, Plans(self.after))
        written = 0
        for obj in self.after:
            old = self.before.objects.get(obj.name)
            if old is None:
                continue
            for field in obj.fields.values():
                if field.name not in old.fields:
                    written += work.new_field(obj, field)
                elif _becomes_required(old.fields[field.name], field):
                    written += work.now_required(obj, field)
                else:
                    written += work.new_parts(old, obj, field)
        for object_name, name in self.stale():
            written += work.computed(object_name, self.after[object_name].fields[name])
        for obj in self.after:
            old = self.before.objects.get(obj.name)
            if old is not None and _searchable(old) != _searchable(obj):
                work.index(obj)
        for obj in self.after:
            old = self.before.objects.get(obj.name)
            work.match(obj, old)
            written += refresh_due(self.connection, store, obj, old)
        return written

    def objects(self) -> set[str]:
        """The objects whose rows will be written."""
        found = {object_name for object_name, _ in self.stale() if object_name in self.before.objects}
        for obj in self.after:
            old = self.before.objects.get(obj.name)
            if old is not None and any(_filled(old.fields.get(name), f) for name, f in obj.fields.items()):
                found.add(obj.name)
        return found

    def stale(self) -> list[Node]:
        """Stored computed fields whose values may be wrong, in the order in which they must be worked out."""
        graph = self.after.graph
        stale = {node for node in graph.rank if self._changed(*node)}
        waiting = list(stale)
        for obj in self.after:
            old = self.before.objects.get(obj.name)
            fresh = () if old is None else [k for k in obj.parts if k not in old.parts or _retyped(old, obj, k)]
            waiting += [(obj.name, key) for key in fresh]
            if old is not None:
                waiting += [(obj.name, f.name) for n, f in obj.fields.items() if _filled(old.fields.get(n), f)]
        waiting += self.touched
        while waiting:
            for edge in graph.edges.get(waiting.pop(), ()):
                if edge.target not in stale:
                    stale.add(edge.target)
                    waiting.append(edge.target)
        return sorted(stale, key=lambda node: graph.rank[node])

    def _changed(self, object_name: str, name: str) -> bool:
        old_object = self.before.objects.get(object_name)
        if old_object is None:
            return True  # an object that comes back finds its rows, and they may be out of date
        old, new = old_object.fields.get(name), self.after[object_name].fields[name]
        if old is None or old.volatile or _retyped(old_object, self.after[object_name], name):
            return True
        if (old.formula is None) != (new.formula is None) or (old.rollup is None) != (new.rollup is None):
            return True
        if old.formula is not None and new.formula is not None:
            return (old.formula.source, old.formula.blanks) != (new.formula.source, new.formula.blanks)
        return _rollup_facts(old) != _rollup_facts(new)


class _Work:
    def __init__(self, task: Backfill, store: RecordStore, plans: Plans) -> None:
        self._connection = task.connection
        self._task = task
        self._context = task.context
        self._store = store
        self._plans = plans

    def groups(self, object_name: str, *, live: bool = False, where: Any = None) -> Iterator[list[str]]:
        """The ids of an object's rows in order, ``GROUP`` at a time."""
        table = self._store.tables.table(object_name)
        last = ""
        while True:
            query = select(table.c.id).order_by(table.c.id).limit(GROUP)
            if last:
                query = query.where(table.c.id > last)
            if live:
                query = query.where(table.c.deleted_at.is_(None))
            if where is not None:
                query = query.where(where)
            ids = [row[0] for row in self._connection.execute(query)]
            if ids:
                yield ids
            if len(ids) < GROUP:
                return
            last = ids[-1]

    def new_field(self, obj: Object, field: Field) -> int:
        """Gives existing rows the value of a new field, where there is one to give."""
        if not fills(field):
            return 0
        return self._numbers(obj, field) if field.type.name == "autonumber" else self._defaults(obj, field)

    def now_required(self, obj: Object, field: Field) -> int:
        """Fills the blanks of a field that becomes required, and writes down which they were."""
        table = self._store.tables.table(obj.name)
        blank = table.c[field.name].is_(None)
        keys = [part.key for part in field.parts if part.sql is not None]
        written = 0
        for ids in self.groups(obj.name, where=blank):
            before = self._raw(obj.name, keys, ids)
            written += self._defaults(obj, field, ids)
            after = self._raw(obj.name, keys, ids)
            for place, key in enumerate(keys):
                rows = [
                    (record, as_stored(values[place]), as_stored(after[record][place]))
                    for record, values in before.items()
                    if values[place] != after[record][place]
                ]
                remember(self._connection, self._task.revision, self._task.after, obj.name, key, rows)
        return written

    def _raw(self, object_name: str, keys: Sequence[str], ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Values as the driver gives them."""
        quote = self._store.sql_dialect.identifier_preparer.quote
        columns = ", ".join(map(quote, ["id", *keys]))
        raw = driver(self._connection)
        if self._store.dialect == "sqlite":
            marks = ", ".join("?" * len(ids))
            rows = raw.execute(f"SELECT {columns} FROM {quote(object_name)} WHERE id IN ({marks})", ids).fetchall()
        else:
            sql = f"SELECT {columns} FROM {quote(object_name)} WHERE id = ANY(%s::uuid[])"
            rows = raw.execute(sql, [list(ids)]).fetchall()
        return {str(row[0]): tuple(row[1:]) for row in rows}

    def new_parts(self, old: Object, obj: Object, field: Field) -> int:
        """A number that becomes an amount gets the currency that its field declares."""
        code = field.spec.option("currency") or self._context.organization.get("currency")
        fresh = [p.key for p in field.parts if p.suffix == "_currency" and p.key not in old.parts and p.sql is not None]
        if not fresh or not code or field.computed:
            return 0
        table = self._store.tables.table(obj.name)
        wanted = table.c[field.name].is_not(None) & table.c[fresh[0]].is_(None)
        done = self._connection.execute(update(table).where(wanted).values({fresh[0]: code}))
        return int(done.rowcount)

    def _numbers(self, obj: Object, field: Field) -> int:
        pattern = str(field.spec.option("format"))
        written = 0
        blank = self._store.tables.table(obj.name).c[field.name].is_(None)
        for ids in self.groups(obj.name, where=blank):
            rows = list(self._store.load(self._connection, obj.name, ids, deleted=True).values())
            updates = [
                {"id": row["id"], field.name: render(pattern, number, day)}
                for row, number, day in numbered(self._store, self._connection, obj, field, rows)
            ]
            write_rows(self._store, self._connection, obj.name, (field.name,), updates)
            written += len(updates)
        return written

    def _changed(self, object_name: str, name: str) -> Any:
        """The condition for rows that may have changed since a field was filled beforehand; ``None`` = all rows."""
        since = self._task.ahead(object_name, name)
        return None if since is None else self._store.tables.table(object_name).c.modified_at >= since

    def _defaults(self, obj: Object, field: Field, only: Sequence[str] | None = None) -> int:
        formula, plan = field.default, self._plans[obj.name]
        if formula is None:
            return 0
        paths = [p for p in formula.paths if "." in p and not p.startswith("$")]
        extra = beside(field, self._context)
        if not formula.paths and only is None:
            value = fitted(plan, field, {}, self._context)
            return self._same_for_all(obj.name, {field.name: value, **extra}) if value is not None else 0
        written = 0
        for ids in self.groups(obj.name, where=self._changed(obj.name, field.name)) if only is None else [list(only)]:
            rows = self._store.load(self._connection, obj.name, ids, paths=paths, deleted=True)
            updates = []
            for row in rows.values():
                value = fitted(plan, field, row, self._context)
                if value is not None and row[field.name] is None:
                    updates.append({"id": row["id"], field.name: value, **extra})
            if updates:
                write_rows(self._store, self._connection, obj.name, (field.name, *extra), updates)
            written += len(updates)
        return written

    def _same_for_all(self, object_name: str, values: dict[str, Any]) -> int:
        table = self._store.tables.table(object_name)
        blank = table.c[next(iter(values))].is_(None)
        done = self._connection.execute(update(table).where(blank).values(values))
        return int(done.rowcount)

    def computed(self, object_name: str, field: Field) -> int:
        """Works a stored formula or rollup out for every row."""
        plan = self._plans[object_name]
        paths = [p for p in field.formula.paths if "." in p and not p.startswith("$")] if field.formula else []
        written = done = 0
        where = self._changed(object_name, field.name)
        total = estimated_rows(self._connection, object_name) if where is None else 0
        for ids in self.groups(object_name, where=where):
            done += len(ids)
            if total > GROUP:
                self._task.progress(f"{object_name}.{field.name}", min(done, total), total)
            rows = self._store.load(self._connection, object_name, ids, paths=paths, deleted=True)
            if field.rollup is not None:
                found = self._store.rollup(self._connection, field, list(rows), self._context)
                values = {record: fit(plan, field, value) for record, value in found.items()}
            else:
                values = {record: fitted(plan, field, row, self._context) for record, row in rows.items()}
            updates = [
                {"id": record, field.name: value}
                for record, value in values.items()
                if rows[record][field.name] != value
            ]
            if updates:
                write_rows(self._store, self._connection, object_name, (field.name,), updates)
            written += len(updates)
        return written

    def index(self, obj: Object) -> None:
        """Puts every live row's texts into the search index."""
        plan = self._plans[obj.name]
        for ids in self.groups(obj.name, live=True):
            if not plan.searchable:
                search.remove(self._connection, obj.name, ids)
                continue
            rows = self._store.load(self._connection, obj.name, ids)
            search.index(self._connection, obj.name, [(i, *search_text(plan, row)) for i, row in rows.items()])

    def match(self, obj: Object, old: Object | None) -> None:
        """Keeps what duplicate rules compare: of new rules and of those that compare something else now."""
        known = {} if old is None else {rule.name: rule for rule in old.duplicates}
        stale = [rule for rule in obj.duplicates if rule.name not in known or known[rule.name].match != rule.match]
        for name in {*known} - {rule.name for rule in obj.duplicates} | {rule.name for rule in stale}:
            match_keys.forget_rule(self._connection, obj.name, name)
        for ids in self.groups(obj.name, live=True) if stale else ():
            rows = self._store.load(self._connection, obj.name, ids)
            for rule in stale:
                keys = {record: rule.key(row) for record, row in rows.items()}
                match_keys.keep(self._connection, obj.name, rule.name, {r: k for r, k in keys.items() if k is not None})


def _becomes_required(was: Field, now: Field) -> bool:
    return now.required and not was.required and now.default is not None and not now.computed


def _filled(was: Field | None, now: Field) -> bool:
    """Whether old rows get a value of the field from the change."""
    return fills(now) if was is None else _becomes_required(was, now)


def _retyped(old: Object, new: Object, key: str) -> bool:
    was, now = old.parts.get(key), new.parts.get(key)
    if was is None or now is None:
        return True
    return was.sql is not now.sql and repr(was.sql) != repr(now.sql)


def _rollup_facts(field: Field) -> Any:
    rollup = field.rollup
    if rollup is None:
        return None
    return rollup.child, rollup.via, rollup.operation, rollup.key, rollup.filter.source if rollup.filter else None


def _searchable(obj: Object) -> tuple[Any, ...]:
    keys = [f.name for f in obj.fields.values() if f.searchable]
    return obj.title, tuple(keys), bool(keys) or not obj.hidden
