"""Which records break a validation rule, counted and shown by the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.metadata.model import Object, Registry, Rule
from ratoon.platform.packages.notes import SAMPLES, Sample, shown
from ratoon.platform.packages.target import Target
from ratoon.platform.storage.lists import ListRequest
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables

CEILING = 100_000
"""Counting stops here."""


class RuleCheck:
    """Which records of the database break a validation rule."""

    def __init__(self, target: Target, connection: Connection, registry: Registry, tables: Tables) -> None:
        self._target = target
        self._connection = connection
        self._registry = registry
        self._store = RecordStore(registry, tables, target.database.dialect)

    def breaking(self, obj: Object, rule: Rule) -> tuple[int, tuple[Sample, ...]]:
        """How many records break the rule (counted up to ``CEILING`` + 1), and some of them. Nothing is found for a
        rule that the database cannot work out, such as one that compares with the value before the change."""
        formula = rule.error_when
        if formula.sql_refusal is not None or formula.uses_change or not self._readable(obj, formula.paths):
            return 0, ()
        request = ListRequest(obj.name, filter=formula, context=self._target.context(), limit=SAMPLES)
        try:
            rows = self._store.lists.count(self._connection, request, CEILING)
            found = self._store.lists.fetch(self._connection, request).rows if rows else []
        except FormulaError:
            return 0, ()
        return rows, tuple(Sample(r["id"], str(r.get(obj.title) or ""), _value(obj, rule, r)) for r in found)

    def checkable(self, obj: Object, rule: Rule) -> bool:
        """Whether the database can say which records break the rule."""
        formula = rule.error_when
        return formula.sql_refusal is None and not formula.uses_change and self._readable(obj, formula.paths)

    def _readable(self, obj: Object, paths: frozenset[str]) -> bool:
        """Whether every path leads to a column that is there now."""
        for path in paths:
            here = obj
            *steps, last = path.split(".")
            for step in steps:
                child, many, via = step.partition(MANY)
                if many:
                    if child not in self._registry.objects or via not in self._registry[child].parts:
                        return False
                    here = self._registry[child]
                    continue
                field = here.field_of.get(step)
                if field is None or len(field.targets) != 1:
                    return False
                here = self._registry[field.targets[0]]
            if last not in here.parts or here.parts[last].sql is None:
                return False
        return True


def _value(obj: Object, rule: Rule, row: Mapping[str, Any]) -> str | None:
    """The value of the field that a rule speaks of."""
    key = rule.field if rule.field in obj.parts else next((p for p in sorted(rule.error_when.paths) if p in row), None)
    return shown(obj, key, row.get(key)) if key is not None and key in obj.parts else None
