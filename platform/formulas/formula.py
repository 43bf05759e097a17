"""A compiled formula: ``compile_formula(source, scope)`` → ``Formula`` with ``evaluate`` (Python) and ``sql``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import closures
from ratoon.platform.formulas.builtin import builtin_functions
from ratoon.platform.formulas.check import Checker, expect, refuse_several
from ratoon.platform.formulas.functions import FunctionSet, Run
from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.postgresql import PostgresBuilder
from ratoon.platform.formulas.postgresql_refusal import MAX_DEPTH, refusal
from ratoon.platform.formulas.sql import GetRelated, SqlBuilder
from ratoon.platform.formulas.sqlite import SqliteBuilder
from ratoon.platform.formulas.tree import Apply, Global, Node, Read, Typed, depth, walk
from ratoon.platform.formulas.types import Blanks, Dialect, EvalContext, Scope, Type

CHANGE = frozenset({"ISNEW", "ISCHANGED", "PRIORVALUE"})


@dataclass(frozen=True)
class Formula:
    """A checked formula, ready to run on every back end."""

    source: str
    type: Type
    paths: frozenset[str]
    """Keys it reads: ``"amount"``, ``"account.owner.name"``. ``$user.x`` is not among them; ``$source.x`` is."""
    old_paths: frozenset[str] = frozenset()
    """Keys whose value before the change it reads (ISCHANGED, PRIORVALUE)."""
    functions: frozenset[str] = frozenset()
    scale: int | None = None
    volatile: bool = False
    """True when the answer changes without the record changing (TODAY, NOW, $user, a volatile formula field)."""
    uses_change: bool = False
    """True when it uses ISNEW, ISCHANGED or PRIORVALUE."""
    sql_refusal: str | None = None
    """Why it cannot be pushed down to SQL; ``None`` when it can."""
    dialect: Dialect = "native"
    blanks: Blanks = "blank"
    node: Node = field(repr=False, compare=False, default=None)  # type: ignore[assignment]
    """What was parsed."""
    tree: Typed = field(repr=False, compare=False, default=None)  # type: ignore[assignment]
    """What was checked."""
    run: Run = field(repr=False, compare=False, default=None)  # type: ignore[assignment]
    """The closure behind ``evaluate``, for loops that handle ``ArithmeticError`` and ``ValueError`` themselves."""

    def evaluate(self, row: Mapping[str, Any], context: EvalContext) -> Any:
        """The value for one row. Raises ``FormulaError`` for what fails at run time (division by zero …)."""
        try:
            return self.run(row, context)
        except (ArithmeticError, ValueError) as error:
            raise FormulaError(
                "out_of_range", "A value is out of range ({reason})", reason=type(error).__name__
            ) from None

    def sql(
        self,
        column: Callable[[str], ColumnElement[Any]],
        context: EvalContext,
        dialect: str,
        related: GetRelated | None = None,
    ) -> ColumnElement[Any]:
        """The same as an SQL expression; ``column`` gives the column of a key or dotted path, ``related`` the related
        records that SUM and its like go over.

        A truth comes as a condition for WHERE: NULL stands for false, and simple conditions keep the bare column, so
        that an index is used. Use ``sql_value`` to select it. Raises ``FormulaError`` when ``sql_refusal`` says so.
        """
        builder = self._builder(column, context, dialect, related)
        return builder.truth(self.tree) if self.type is Type.BOOLEAN else builder.top(self.tree)

    def sql_value(
        self,
        column: Callable[[str], ColumnElement[Any]],
        context: EvalContext,
        dialect: str,
        related: GetRelated | None = None,
    ) -> ColumnElement[Any]:
        """The same as a column to select, sort or group by: a truth is TRUE or FALSE, never NULL."""
        return self._builder(column, context, dialect, related).top(self.tree)

    @property
    def _on_sqlite(self) -> bool:
        """SQLite calls our Python back end, so that it can do what has no SQL form."""
        return not self.uses_change and depth(self.node) <= MAX_DEPTH

    def _builder(
        self,
        column: Callable[[str], ColumnElement[Any]],
        context: EvalContext,
        dialect: str,
        related: GetRelated | None,
    ) -> SqlBuilder:
        if self.type is Type.GEO:
            raise FormulaError("not_in_sql", "This cannot be asked of the database: {reason}", reason="it is a place")
        if self.sql_refusal is not None and (dialect != "sqlite" or not self._on_sqlite):
            raise FormulaError("not_in_sql", "This cannot be asked of the database: {reason}", reason=self.sql_refusal)
        kind = SqliteBuilder if dialect == "sqlite" else PostgresBuilder
        return kind(self.source, column, context, self.blanks, self.dialect, related)


def compile_formula(
    source: str,
    scope: Scope,
    *,
    expects: Type | None = None,
    dialect: Dialect = "native",
    blanks: Blanks = "blank",
    functions: FunctionSet | None = None,
) -> Formula:
    """Parses and checks ``source``; raises ``FormulaError`` with the position."""
    node = parse(source, dialect)
    tree = Checker(scope, functions or builtin_functions(), dialect).check(node)
    refuse_several(tree)
    if expects is not None:
        expect(tree, expects)
    facts = _Facts(tree)
    return Formula(
        source,
        tree.type,
        frozenset(facts.paths),
        frozenset(facts.old_paths),
        frozenset(facts.functions),
        tree.scale,
        facts.volatile,
        bool(facts.functions & CHANGE),
        "it is a place" if tree.type is Type.GEO else refusal(list(walk(tree)), depth(node)),
        dialect,
        blanks,
        node,
        tree,
        closures.top(tree, blanks),
    )


class _Facts:
    """What a walk over the typed tree finds out."""

    def __init__(self, tree: Typed) -> None:
        self.paths: set[str] = set()
        self.old_paths: set[str] = set()
        self.functions: set[str] = set()
        self.volatile = False
        for node in walk(tree):
            if isinstance(node, Read):
                self.paths.add(node.key)
                self.volatile = self.volatile or node.name.volatile
            elif isinstance(node, Global):
                if node.space == "$source":
                    self.paths.add(f"$source.{node.key}")
                else:
                    self.volatile = True
            elif isinstance(node, Apply):
                self.functions.add(node.name)
                self.volatile = self.volatile or node.overload.volatile
                if node.name in ("ISCHANGED", "PRIORVALUE") and isinstance(node.args[0], Read):
                    self.old_paths.add(node.args[0].key)
