"""New columns of large tables are made and filled before the transaction that counts, so that nobody waits for it.

No metadata names such a column yet, so nobody sees it; ``ratoon_kept`` lists it as ``shadow`` (``storage/leftovers.py``
drops what a broken-off change leaves). Rows are read and worked out ``CHUNK`` at a time without any lock; a short
transaction writes them, and after it others have their turn (on SQLite for as long as it took).

What is filled this way (``fields_ahead``): autonumbers, defaults of required fields, and stored formulas that read
nothing but their own record, because whoever changes what they read changes the record's time of change, too. Rows
written meanwhile are found by it, with ``MARGIN`` for clocks that differ, and are worked out again in the transaction
that counts (``Backfill.ahead``). Rollups and formulas over several objects are left to that transaction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from ratoon.platform.fields.autonumber import render
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.packages.backfill import Backfill
from ratoon.platform.packages.planning import Plan
from ratoon.platform.packages.row_values import beside, fills, fitted, numbered, write_rows
from ratoon.platform.packages.target import Target
from ratoon.platform.records.plan import Plans
from ratoon.platform.storage import retyping, revisions
from ratoon.platform.storage.database import Busy
from ratoon.platform.storage.filling import Progress, estimated_rows
from ratoon.platform.storage.kept import Kept, keep
from ratoon.platform.storage.present import Present
from ratoon.platform.storage.returning import signature
from ratoon.platform.storage.schema_change import Change, apply_changes
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables

CHUNK = 500
"""Rows that are written in one transaction."""
TRIES = 5
"""Attempts of a chunk that is in somebody's way (a deadlock)."""
OnPhase = Callable[[str], None]


@dataclass(frozen=True)
class Ahead:
    """What was filled already: (object, field) → since when rows may have changed."""

    since: datetime | None = None
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def changed_since(self, object: str, name: str) -> datetime | None:
        """From when on rows have to be looked at again; ``None`` when all have to be filled."""
        return self.since if name in self.fields.get(object, ()) else None


def fill_ahead(target: Target, plan: Plan, work: Backfill, progress: Progress, on_phase: OnPhase) -> Ahead:
    """Makes and fills the new columns of large tables.

    On PostgreSQL also small tables get their columns now when rows are to be filled afterwards: adding one keeps
    readers out until the transaction ends.
    """
    chosen = _objects(target, plan, work)
    if not chosen:
        return Ahead()
    with target.database.write() as connection:
        # Whoever is writing now commits first; whoever begins later has a later time of change.
        revisions.lock_metadata(connection)
        since = target.world.clock() - retyping.MARGIN
        number = revisions.current_revision(connection) + 1
        adds = [c for c in plan.schema if c.kind == "add_column" and c.table in chosen]
        apply_changes(connection, adds, revision=number)
        keep(connection, [_shadow(target, plan, change, number) for change in adds])
    target.database.forget_statements()
    on_phase("added")
    found = {}
    for name, rows in chosen.items():
        fields = fields_ahead(plan, plan.after[name]) if rows >= retyping.MANY else ()
        if fields:
            found[name] = tuple(one.name for one in fields)
            _Filling(target, plan, plan.after[name], fields).run(rows, progress, on_phase)
    return Ahead(since, found)


def fields_ahead(plan: Plan, obj: Object) -> tuple[Field, ...]:
    """The new fields of an object that can be filled beforehand, in the order in which they are worked out."""
    old = plan.before.objects.get(obj.name) if plan.before is not None else None
    if old is None:
        return ()
    fresh = [one for name, one in obj.fields.items() if name not in old.fields and one.parts]
    given = [one for one in fresh if fills(one) and (one.default is None or _reads_only(one.default, obj, old.fields))]
    rank = plan.after.graph.rank
    computed = [one for one in fresh if one.formula is not None and (obj.name, one.name) in rank]
    computed.sort(key=lambda one: rank[obj.name, one.name])
    known = {*old.fields, *(one.name for one in given if one.type.name != "autonumber")}
    for one in computed:
        if one.formula is not None and _reads_only(one.formula, obj, known):
            given.append(one)
            known.add(one.name)
    return tuple(given)


def _reads_only(formula: Formula, obj: Object, known: Any) -> bool:
    """Whether a formula reads nothing but these fields of its own record, and no rollup."""
    for path in formula.paths:
        if path.startswith("$"):
            continue
        read = obj.field_of.get(path)
        if read is None or read.name not in known or read.rollup is not None or read.parts[0].sql is None:
            return False
        if read.formula is not None and not _reads_only(read.formula, obj, known):
            return False
    return not formula.volatile


def _objects(target: Target, plan: Plan, work: Backfill) -> dict[str, int]:
    """Objects whose new columns come beforehand → about how many rows they have. All of a table's new columns must be
    new indeed (none that was kept comes back), and no other column of it changes."""
    wanted = work.objects()
    adds: dict[str, list[str]] = {}
    other = set()
    for change in plan.schema:
        if change.kind == "add_column":
            adds.setdefault(change.table, []).append(change.name)
        elif change.kind == "change_type":
            other.add(change.table)
    found = {}
    with target.database.read() as connection:
        present = Present(connection)
        for name in sorted((wanted & adds.keys()) - other):
            there = present.columns(name) | {entry.key for entry in present.kept(name)}
            if there.isdisjoint(adds[name]):
                rows = estimated_rows(connection, name)
                if rows >= retyping.MANY or target.database.dialect == "postgresql":
                    found[name] = rows
    return found


def _shadow(target: Target, plan: Plan, change: Change, revision: int) -> Kept:
    obj, key = plan.after[change.table], change.name
    kind = signature(plan.after, obj, key, target.database.dialect) if key in obj.parts else ""
    return Kept("shadow", obj.name, key, obj.name, key, kind, revision)


@dataclass(frozen=True)
class _Filling:
    target: Target
    plan: Plan
    object: Object
    fields: tuple[Field, ...]

    def run(self, rows: int, progress: Progress, on_phase: OnPhase) -> None:
        """Fills the fields of every row, with a pause after each chunk."""
        dialect = self.target.database.dialect
        store = RecordStore(self.plan.after, Tables(self.plan.after, dialect), dialect)
        names = [one.name for one in self.fields]
        what, done, pause = f"{self.object.name}.{', '.join(names)}", 0, threading.Event()
        constant = all(one.default is not None and not one.default.paths for one in self.fields)
        for ids in self._chunks(store):
            rows_there = [{"id": record} for record in ids] if constant else self._loaded(store, ids)
            updates, keys = self._worked_out(rows_there)
            started = time.perf_counter()
            self._write(store, updates, keys)
            if dialect == "sqlite":
                pause.wait(min(0.1, time.perf_counter() - started))
            done += len(ids)
            progress(what, min(done, rows), rows)
            on_phase("filling")
        progress(what, rows, rows)

    def _loaded(self, store: RecordStore, ids: list[str]) -> list[dict[str, Any]]:
        with self.target.database.read() as connection:
            return list(store.load(connection, self.object.name, ids, deleted=True).values())

    def _chunks(self, store: RecordStore) -> Iterator[list[str]]:
        table, last = store.tables.table(self.object.name), ""
        while True:
            query = select(table.c.id).order_by(table.c.id).limit(CHUNK)
            with self.target.database.read() as connection:
                ids = list(connection.execute(query.where(table.c.id > last) if last else query).scalars())
            if ids:
                yield ids
            if len(ids) < CHUNK:
                return
            last = ids[-1]

    def _worked_out(self, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """What is to be written, and its keys; numbers are given out when it is."""
        context, plan = self.target.context(), Plans(self.plan.after)[self.object.name]
        with_them = {one.name: beside(one, context) for one in self.fields if one.default is not None}
        keys = dict.fromkeys(one.name for one in self.fields)
        for extra in with_them.values():
            keys |= dict.fromkeys(extra)
        for row in rows:
            for one in self.fields:
                if one.type.name != "autonumber":
                    row[one.name] = fitted(plan, one, row, context)
                    if row[one.name] is not None:
                        row.update(with_them.get(one.name, {}))
        return rows, tuple(keys)

    def _write(self, store: RecordStore, rows: list[dict[str, Any]], keys: tuple[str, ...]) -> None:
        numbers = [one for one in self.fields if one.type.name == "autonumber"]
        for attempt in range(1, TRIES + 1):
            try:
                with self.target.database.write() as connection:
                    for one in numbers:
                        pattern = str(one.spec.option("format"))
                        for row, number, day in numbered(store, connection, self.object, one, rows):
                            row[one.name] = render(pattern, number, day)
                    write_rows(store, connection, self.object.name, keys, rows)
                return
            except Busy:
                if attempt == TRIES:
                    raise
