"""A compiled formula (skeleton: the interface every other room relies on)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

from ratoon.platform.formulas.types import Blanks, Dialect, EvalContext, Scope, Type


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

    def evaluate(self, row: Mapping[str, Any], context: EvalContext) -> Any:
        """The value for one row. Raises ``FormulaError`` for what fails at run time (division by zero …)."""
        raise FormulaNotReady

    def sql(
        self, column: Callable[[str], ColumnElement[Any]], context: EvalContext, dialect: str
    ) -> ColumnElement[Any]:
        """The same as an SQL expression; ``column`` gives the column of a key or dotted path."""
        raise FormulaNotReady


class FormulaNotReady(RuntimeError):
    """Only while the room is being built."""


def compile_formula(
    source: str,
    scope: Scope,
    *,
    expects: Type | None = None,
    dialect: Dialect = "native",
    blanks: Blanks = "blank",
) -> Formula:
    """Parses and checks ``source``; raises ``FormulaError`` with the position."""
    raise FormulaNotReady
