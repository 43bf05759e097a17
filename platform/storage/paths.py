"""Dotted paths (``account.owner.name``) as SQL columns: one join per distinct path.

An alias stands for the table that a path leads to (``account``, ``account.owner``). Aliases are the same objects every
time, so that conditions built once can be used in many statements. A path through a formula field without a column
(one whose value changes by itself) is replaced by its expression. A path through a relationship (``line@bill.amount``)
leads to several records: it is never joined but becomes a correlated query (``related``).

A path is followed whether or not the record at its end is deleted: deleting empties the lookups that may not point at a
deleted record, so what still points (an owner who left, say) is meant to be seen.

What somebody may not see counts as blank when they follow a path there (``visible``): the condition stands at the join,
so that neither a value nor the presence of the record shows. The paths inside a formula *field* are followed for
everybody: its value belongs to the record it stands on. Such steps are marked (``!account``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, select

from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.sql import Related
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field, Object, Registry
from ratoon.platform.storage.tables import Tables

Visible = Callable[[str, FromClause, str], Sequence[ColumnElement[Any]]]
"""(object, alias of its table, name of the alias) → conditions over the alias under which somebody sees its rows."""
Guards = Mapping[str, ColumnElement[Any]]
"""Step → the condition under which its record counts."""
NO_GUARDS: Guards = MappingProxyType({})
FOR_ALL = "!"
"""Stands before a step that is followed whoever asks."""


class Paths:
    """Columns and joins for the keys and dotted paths of one registry's objects."""

    def __init__(self, registry: Registry, tables: Tables, dialect: str) -> None:
        self.registry = registry
        self.tables = tables
        self.dialect = dialect
        self._aliases: dict[tuple[str, str], FromClause] = {}

    def source(self, object_name: str, path: str = "") -> FromClause:
        """The table that ``path`` leads to from an object: its own table for the empty path, else an alias."""
        if not path:
            return self.tables.table(object_name)
        found = self._aliases.get((object_name, path))
        if found is None:
            target = self.target(object_name, path)
            found = self.tables.table(target.name).alias(self.alias_name(object_name, path))
            found = self._aliases.setdefault((object_name, path), found)
        return found

    def target(self, object_name: str, path: str) -> Object:
        """The object that ``path`` leads to. Raises ``KeyError`` for a path that cannot be followed."""
        here = self.registry[object_name]
        for step in path.split(".") if path else ():
            step = step.removeprefix(FOR_ALL)
            child, many, _ = step.partition(MANY)
            here = self.registry[child if many else here.field_of[step].targets[0]]
        return here

    def field(self, object_name: str, path: str) -> Field:
        """The field at the end of ``path``."""
        before, _, last = path.rpartition(".")
        return self.target(object_name, before).field_of[last]

    def column(self, object_name: str, path: str, context: EvalContext) -> ColumnElement[Any]:
        """The column (or expression) of a key or dotted path; ``joined(object_name, [path])`` has its joins."""
        before, _, last = path.rpartition(".")
        source = self.source(object_name, before)
        if last in source.c:
            return source.c[last]
        field = self.target(object_name, before).field_of[last]
        formula = field.in_sql or field.formula
        if formula is None:
            raise KeyError(path)
        prefix = f"{before}." if before else ""
        return formula.sql_value(
            lambda inner: self.column(object_name, prefix + for_all(inner), context),
            context,
            self.dialect,
            lambda relation, keys: self.related(object_name, prefix + for_all(f"{relation}."), keys, context),
        )

    def condition(
        self, object_name: str, formula: Formula, context: EvalContext, visible: Visible | None = None
    ) -> ColumnElement[Any]:
        """A formula over an object's records as an SQL expression.

        ``visible`` gives the conditions under which somebody sees records of an object: aggregation over related
        records then only counts those.
        """
        return formula.sql(
            lambda path: self.column(object_name, path, context),
            context,
            self.dialect,
            lambda relation, keys: self.related(object_name, relation, keys, context, visible),
        )

    def related(
        self,
        object_name: str,
        relation: str,
        keys: Iterable[str],
        context: EvalContext,
        visible: Visible | None = None,
    ) -> Related:
        """The live records behind a relationship (``account.line@bill``) of a row, as a correlated query."""
        relation = relation.removesuffix(".")
        before, _, step = relation.rpartition(".")
        child, _, via = step.removeprefix(FOR_ALL).partition(MANY)
        parent, rows = self.source(object_name, before), self.source(object_name, relation)
        steps: set[str] = set()
        for key in keys:
            found = self._steps(object_name, f"{relation}.{key}")
            steps.update(s for s in found if s.startswith(f"{relation}.") and MANY not in s[len(relation) :])
        conditions = [rows.c[via] == parent.c.id, rows.c.deleted_at.is_(None)]
        if visible is not None:
            conditions += visible(child, rows, self.alias_name(object_name, relation))
        guards = self.guards(object_name, steps, visible)
        query = select(rows.c.id).select_from(self._join(object_name, rows, steps, guards)).where(*conditions)
        return Related(query.correlate(parent), lambda key: self.column(object_name, f"{relation}.{key}", context))

    def joined(self, object_name: str, paths: Iterable[str], guards: Guards = NO_GUARDS) -> FromClause:
        """The object's table joined with what ``paths`` lead through; ``guards`` say which of it counts."""
        return self._join(object_name, self.source(object_name), self.steps(object_name, paths), guards)

    def steps(self, object_name: str, paths: Iterable[str]) -> set[str]:
        """The records that ``paths`` lead through, one by one."""
        steps: set[str] = set()
        for path in paths:
            steps.update(step for step in self._steps(object_name, path) if MANY not in step)
        return steps

    def guards(self, object_name: str, steps: Iterable[str], visible: Visible | None) -> dict[str, ColumnElement[Any]]:
        """The conditions for those of the steps that not everybody may take."""
        found: dict[str, ColumnElement[Any]] = {}
        if visible is None:
            return found
        for step in sorted(steps):
            if step.rpartition(".")[2].startswith(FOR_ALL):
                continue
            target = self.target(object_name, step).name
            where = visible(target, self.source(object_name, step), self.alias_name(object_name, step))
            if where:
                found[step] = and_(*where)
        return found

    def alias_name(self, object_name: str, path: str) -> str:
        """The name of the alias that a path leads to."""
        digest = hashlib.sha256(f"{object_name}.{path}".encode()).hexdigest()[:8]
        return f"{self.target(object_name, path).name[:40]}_{digest}"

    def _join(self, object_name: str, source: FromClause, steps: Iterable[str], guards: Guards) -> FromClause:
        for step in sorted(steps, key=lambda step: (step.count("."), step)):
            before, _, last = step.rpartition(".")
            alias = self.source(object_name, step)
            found = self.source(object_name, before).c[last.removeprefix(FOR_ALL)] == alias.c.id
            guard = guards.get(step)
            source = source.outerjoin(alias, found if guard is None else and_(found, guard))
        return source

    def _steps(self, object_name: str, path: str) -> Iterator[str]:
        """What a path leads through, step by step; behind ``@`` it leads through related records."""
        if path.startswith("$"):
            return
        before, _, last = path.rpartition(".")
        walked = ""
        for step in before.split(".") if before else ():
            walked = f"{walked}.{step}" if walked else step
            yield walked
        formula = self.target(object_name, before).field_of[last].formula
        if formula is not None and last not in self.source(object_name, before).c:
            for inner in map(for_all, formula.paths):
                yield from self._steps(object_name, f"{before}.{inner}" if before else inner)


def for_all(path: str) -> str:
    """The path with its steps marked as followed whoever asks: ``account.owner.name`` → ``!account.!owner.name``."""
    if path.startswith("$"):
        return path
    *steps, last = path.split(".")
    return ".".join([*(FOR_ALL + step for step in steps), last])
