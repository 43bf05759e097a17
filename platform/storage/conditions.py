"""Conditions that come in from outside (filters, row filters) and statements cached by their shape.

Building and compiling a statement costs more than running it. Conditions of the same shape (same columns, same
operators, other values) give the same text, so a statement is compiled once per shape and later values are put in
place: ``ShapeCache.get``. The cache holds a bounded number of statements, least recently used out first.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Dialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList
from sqlalchemy.sql.expression import Executable, SelectBase
from sqlalchemy.sql.visitors import iterate

from ratoon.platform.storage.statements import Statement

MAX_STATEMENTS = 2000
MAX_CONDITIONS = 4000

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that keeps what was asked for last; safe to share between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value, or ``None``."""
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def keep(self, key: Key, value: Value) -> Value:
        """Keeps the value unless there is one already; returns the one kept."""
        with self._lock:
            kept = self._known.setdefault(key, value)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
            return kept


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A condition with its shape worked out."""

    element: ColumnElement[Any]
    shape: int | None
    """Two conditions with the same number differ in their values only; ``None`` = not to be cached."""
    binds: Sequence[BindParameter[Any]] = ()
    searches: bool = False
    """Whether it looks into other tables."""


def ways_of(condition: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """The conditions of which one must be met; the condition alone when there are no several ways to meet it."""
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.or_:
        return list(condition.clauses)
    return [condition]


class ShapeCache:
    """Compiled statements by shape."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._numbers = itertools.count(1)
        self._shapes: Recent[Hashable, int] = Recent(MAX_CONDITIONS)
        self._known: Recent[int, Condition] = Recent(MAX_CONDITIONS)
        self._statements: Recent[Hashable, tuple[Statement, tuple[str | None, ...]]] = Recent(MAX_STATEMENTS)

    def condition(self, element: ColumnElement[Any]) -> Condition:
        """The condition with its shape."""
        # What is kept keeps the element alive, so nothing else has its id.
        return self._known.get(id(element)) or self._known.keep(id(element), self._condition(element))

    def _condition(self, element: ColumnElement[Any]) -> Condition:
        cache_key = element._generate_cache_key()
        searches = any(isinstance(part, SelectBase) for part in iterate(element))
        if cache_key is None or any(bind.expanding for bind in cache_key.bindparams):
            return Condition(element, None, searches=searches)
        shape = self._shapes.get(cache_key.key)
        if shape is None:
            shape = self._shapes.keep(cache_key.key, next(self._numbers))
        return Condition(element, shape, cache_key.bindparams, searches)

    def get(
        self, shape: Hashable, conditions: Sequence[Condition], build: Callable[[], Executable]
    ) -> tuple[Statement, dict[str, Any]]:
        """The statement of this shape and the values of the conditions as parameters for it.

        ``build`` makes the statement (including the conditions) when it is not known yet. ``shape`` must tell apart
        everything that ``build`` depends on besides ``conditions``.
        """
        if any(condition.shape is None for condition in conditions):
            return Statement.compile(build(), self._dialect), {}
        full = (shape, *(condition.shape for condition in conditions))
        found = self._statements.get(full)
        binds = [bind for condition in conditions for bind in condition.binds]
        if found is None:
            statement, named = Statement.compile_named(build(), self._dialect)
            self._statements.keep(full, (statement, tuple(named.get(bind) for bind in binds)))
            return statement, {}
        statement, names = found
        return statement, {
            name: bind.effective_value
            for name, bind in zip(names, binds, strict=True)
            if name is not None and not bind.required
        }
