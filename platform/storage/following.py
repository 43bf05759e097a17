"""Following dotted paths from rows in memory: ``row["account.owner.name"]``, ``row["line@bill"]``.

Rules, formulas and templates read beyond their own record. Saved or not, a set of rows is given what its paths lead to
with one statement per step, however many rows there are; a list page takes joins instead (``paths.py``). What of the
way is a formula field without a column is worked out here, after what it reads itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select
from sqlalchemy.sql.expression import Select

from ratoon.platform.errors import FormulaError, Invalid
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.tree import MANY, relation_of
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field
from ratoon.platform.storage.statements import Row, Statement, among, one_of, only_or_all

if TYPE_CHECKING:
    from ratoon.platform.storage.store import RecordStore


class Following:
    """The statements that follow paths, of one registry snapshot."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def attach(
        self,
        conn: Connection,
        object: str,
        rows: Sequence[Row],
        paths: Iterable[str],
        context: EvalContext | None,
        *,
        lock: bool = False,
    ) -> None:
        """Puts the values of dotted paths into rows in memory (saved or not): ``row["account.owner.name"]``.

        One statement per step, for all rows; a relationship (``line@bill.amount``) becomes a list of the related
        records, ``row["line@bill"]``. A blank lookup gives ``None``. A path may end in a formula field without a
        column, which is worked out in ``context`` (``None`` = now, in UTC). ``lock`` shares a lock on the rows read, so
        that nobody changes them before this transaction ends (PostgreSQL; SQLite has one writer anyway).
        """
        steps: dict[str, set[str]] = {}
        for path in paths:
            first, dot, rest = path.partition(".")
            if dot and not first.startswith("$"):
                steps.setdefault(first, set()).add(rest)
        for first, rests in sorted(steps.items()):
            if MANY in first:
                self._attach_related(conn, rows, first, rests, context)
            else:
                self._attach_targets(conn, object, rows, first, rests, context, lock)

    def _attach_targets(
        self,
        conn: Connection,
        object: str,
        rows: Sequence[Row],
        first: str,
        rests: set[str],
        context: EvalContext | None,
        lock: bool,
    ) -> None:
        target = self._store.registry[object].field_of[first].targets[0]
        stored = self._store.tables.table(target).c
        ids = {row[first] for row in rows if row.get(first) is not None}
        worked_out = self._worked_out(target, rests)
        needed = rests.union(*(formula.paths for _, formula in worked_out))
        keys = tuple(sorted({rest.partition(".")[0] for rest in needed} & set(stored.keys()) - {"id"}))
        found: dict[str, Row] = {}
        if ids:
            near = self._targets(target, keys, lock, len(ids) == 1).rows(conn, ids=only_or_all(ids))
            self.attach(conn, target, near, needed, context, lock=lock)
            for row in near if worked_out else ():
                _work_out(row, worked_out, context or EvalContext())
            found = {row["id"]: row for row in near}
        relations = {relation for rest in rests if (relation := relation_of(rest)) is not None}
        for row in rows:
            there = found.get(row.get(first) or "")
            for rest in rests:
                if MANY not in rest:
                    row[f"{first}.{rest}"] = None if there is None else there.get(rest)
            for relation in relations:
                related = () if there is None else there[relation]
                row[f"{first}.{relation}"] = [{f"{first}.{k}": v for k, v in one.items()} for one in related]

    def _attach_related(
        self, conn: Connection, rows: Sequence[Row], relation: str, rests: set[str], context: EvalContext | None
    ) -> None:
        """The live records whose lookup points at these rows, as a list in each: ``row["line@bill"]``."""
        child, _, via = relation.partition(MANY)
        stored = self._store.tables.table(child).c
        worked_out = self._worked_out(child, rests)
        needed = rests.union(*(formula.paths for _, formula in worked_out))
        keys = tuple(sorted({rest.partition(".")[0] for rest in needed} & set(stored.keys()) - {"id", via}))
        ids = {row["id"] for row in rows if row.get("id") is not None}
        found = self._related(child, via, keys).rows(conn, ids=ids) if ids else []
        self.attach(conn, child, found, needed, context)
        for row in found if worked_out else ():
            _work_out(row, worked_out, context or EvalContext())
        by_parent: dict[str, list[Row]] = {}
        for row in found:
            by_parent.setdefault(row[via], []).append({f"{relation}.{rest}": row.get(rest) for rest in rests})
        for row in rows:
            row[relation] = by_parent.get(row.get("id") or "", [])

    def _worked_out(self, object: str, keys: Iterable[str]) -> list[tuple[Field, Formula]]:
        """The formula fields without a column among ``keys``, after those they read themselves."""
        fields = self._store.registry[object].fields
        ordered: dict[str, tuple[Field, Formula]] = {}
        for key in sorted(keys):
            field = fields.get(key)
            if field is not None and field.formula is not None and field.volatile:
                ordered.update({inner.name: (inner, f) for inner, f in self._worked_out(object, field.formula.paths)})
                ordered.setdefault(key, (field, field.formula))
        return list(ordered.values())

    def _targets(self, object: str, keys: tuple[str, ...], lock: bool, single: bool) -> Statement:
        def build() -> Select[Any]:
            table = self._store.tables.table(object)
            these = among(table.c.id, "ids", self._store.dialect, single)
            query = select(table.c.id, *(table.c[key] for key in keys)).where(these)
            return query.order_by(table.c.id).with_for_update(read=True) if lock else query

        return self._store.statement(("keys", object, keys, lock, single), build)

    def _related(self, object: str, via: str, keys: tuple[str, ...]) -> Statement:
        def build() -> Select[Any]:
            table = self._store.tables.table(object)
            query = select(table.c.id, table.c[via], *(table.c[key] for key in keys))
            these = one_of(table.c[via], "ids", self._store.dialect)
            return query.where(these, table.c.deleted_at.is_(None)).order_by(table.c.id)

        return self._store.statement(("related", object, via, keys), build)


def _work_out(row: Row, fields: Sequence[tuple[Field, Formula]], context: EvalContext) -> None:
    for field, formula in fields:
        try:
            row[field.name] = field.fit(formula.evaluate(row, context))
        except (FormulaError, Invalid):
            row[field.name] = None
