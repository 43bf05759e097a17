"""Step 12: rollups and formulas of other records, always right.

Starts from what the transaction touched, asks the registry's graph who reads it, and recomputes field by field in rank
order, so that each field of each record is worked out once, after everything it reads. Rows are locked before they are
recomputed: on PostgreSQL two transactions that add lines to one invoice wait for each other and the second sees the
first's line.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import FormulaError, Invalid, ValidationFailed
from ratoon.platform.metadata.graph import Edge, Node
from ratoon.platform.metadata.model import Field

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def propagate(saving: Saving) -> None:
    """Recomputes everything that the touched records reach."""
    run = _Propagation(saving)
    for object, records in list(saving.touched.items()):
        run.seed_touched(object, records)
    run.drain()


def recompute(saving: Saving, object: str, ids: Iterable[str]) -> None:
    """Recomputes every stored formula and rollup of these records and what follows from them (restore, backfill)."""
    run = _Propagation(saving)
    ids = list(ids)
    for field in saving.engine.registry[object].fields.values():
        if (object, field.name) in run.graph.rank:
            run.ask((object, field.name), ids)
    run.drain()


class _Propagation:
    def __init__(self, saving: Saving) -> None:
        self.saving = saving
        self.store, self.connection = saving.store, saving.connection
        self.graph = saving.engine.registry.graph
        self.pending: dict[Node, set[str]] = {}
        self.queue: list[tuple[int, Node]] = []

    def ask(self, target: Node, ids: Iterable[str]) -> None:
        """Asks for a computed field of some records to be recomputed."""
        waiting = self.pending.get(target)
        if waiting is None:
            waiting = self.pending[target] = set()
            heapq.heappush(self.queue, (self.graph.rank[target], target))
        waiting.update(ids)

    def seed_touched(self, object: str, records: Mapping[str, Any]) -> None:
        """Who reads the keys that changed on these records."""
        edges = self.graph.edges
        changed: dict[str, list[Any]] = {}
        parts = self.saving.engine.plans[object].columns
        for touched in records.values():
            if touched.event in ("created", "restored", "deleted"):
                continue
            old, new = touched.old or {}, touched.new
            for key in parts:
                if (object, key) in edges and old.get(key) != new.get(key):
                    changed.setdefault(key, []).append(touched)
        for key, group in changed.items():
            for edge in edges[object, key]:
                self._follow(edge, {t.new["id"] for t in group}, group)
        whole = [t for t in records.values() if t.event in ("created", "restored", "deleted")]
        if whole:
            for over in self.graph.over.get(object, ()):
                self._ask_parents(over.edge, whole)

    def _ask_parents(self, edge: Edge, group: Iterable[Any]) -> None:
        assert edge.via is not None
        via = edge.via[1]
        self._reach(
            edge, {row[via] for t in group for row in (t.old, t.new) if row is not None and row.get(via) is not None}
        )

    def _reach(self, edge: Edge, ids: set[str]) -> None:
        """From the records that are aggregated over to those that hold the field."""
        for object, key in edge.then:
            ids = self.store.back(self.connection, object, key, list(ids))
        if ids:
            self.ask(edge.target, ids)

    def _follow(self, edge: Edge, ids: set[str], group: Iterable[Any]) -> None:
        if not edge.back:
            if edge.via is None:
                # The record's own formulas were worked out in step 5, unless a rollup or a formula changed it just now.
                if not group:
                    self.ask(edge.target, ids)
            elif group:
                self._ask_parents(edge, group)
            else:
                self._reach(edge, self.store.values(self.connection, *edge.via, list(ids)))
            return
        for object, key in edge.back:
            ids = self.store.back(self.connection, object, key, list(ids))
            if not ids:
                return
        if edge.via is not None:
            ids = self.store.values(self.connection, *edge.via, list(ids))
        self._reach(edge, ids)

    def drain(self) -> None:
        """Recomputes in rank order until nothing is asked for."""
        while self.queue:
            _, target = heapq.heappop(self.queue)
            ids = self.pending.pop(target)
            self._recompute(target, sorted(ids))

    def _recompute(self, target: Node, ids: list[str]) -> None:
        object, name = target
        field = self.saving.engine.registry[object].fields[name]
        key = field.parts[0].key
        self.store.lock(self.connection, object, ids)
        values, rows = self._values(object, field, ids)
        changed: dict[str, Any] = {}
        for record, row in rows.items():
            try:
                value = self.saving.engine.plans[object].fit(key, values.get(record))
            except Invalid as refusal:
                raise ValidationFailed([refusal.problem(key)]) from refusal
            if row[key] != value:
                changed[record] = value
        if not changed:
            return
        self.store.update(
            self.connection, object, (key,), [{"id": record, key: value} for record, value in changed.items()]
        )
        for record, value in changed.items():
            self._remember(object, record, rows[record], key, value)
        for edge in self.graph.edges.get((object, key), ()):
            self._follow(edge, set(changed), ())

    def _values(self, object: str, field: Field, ids: list[str]) -> tuple[Mapping[str, Any], dict[str, dict[str, Any]]]:
        saving = self.saving
        if field.rollup is not None:
            rows = self.store.load(self.connection, object, ids, deleted=True)
            return self.store.rollup(self.connection, field, list(rows), saving.context()), rows
        formula = field.formula
        assert formula is not None
        paths = [p for p in formula.paths if "." in p and not p.startswith("$")]
        rows = self.store.load(self.connection, object, ids, paths=paths, deleted=True)
        values: dict[str, Any] = {}
        for record, row in rows.items():
            try:
                values[record] = formula.evaluate(row, saving.context())
            except FormulaError as error:
                saving.note(12, object, record, field.name, error.text())
                values[record] = None
        return values, rows

    def _remember(self, object: str, record: str, row: dict[str, Any], key: str, value: Any) -> None:
        saving = self.saving
        known = saving.touched.get(object, {}).get(record)
        if known is not None:
            known.new[key] = value
            known.computed = True
        else:
            saving.touch(object, record, "updated", row, {**row, key: value}, computed=True)
        saving.note(12, object, record, key, str(value))
