"""Conditions that come in from outside (filters, row filters) and statements cached by their shape.

Building and compiling a statement costs more than running it. Conditions of the same shape (same columns, same
operators, other values) give the same text, so a statement is compiled once per shape and later values are put in
place: ``ShapeCache.get``. The cache holds a bounded number of statements, least recently used out first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Dialect, and_
from sqlalchemy.sql.expression import Executable, Select

from ratoon.platform.storage.statements import Statement

MAX_STATEMENTS = 2000

Build = Callable[[], Select[Any]]


class ShapeCache:
    """Compiled statements by shape."""

    def __init__(self, dialect: Dialect, size: int = MAX_STATEMENTS) -> None:
        self._dialect = dialect
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, tuple[Statement, tuple[str | None, ...]]] = OrderedDict()

    def get(
        self, shape: Hashable, conditions: Sequence[ColumnElement[Any]], build: Callable[[], Executable]
    ) -> tuple[Statement, dict[str, Any]]:
        """The statement of this shape and the values of the conditions as parameters for it.

        ``build`` makes the statement (including the conditions) when it is not known yet. ``shape`` must tell apart
        everything that ``build`` depends on except the values bound in ``conditions``.
        """
        if not conditions:
            found = self._find(shape)
            if found is None:
                found = (Statement.compile(build(), self._dialect), ())
                self._keep(shape, found)
            return found[0], {}
        together = conditions[0] if len(conditions) == 1 else and_(*conditions)
        cache_key = together._generate_cache_key()
        if cache_key is None or any(bind.expanding for bind in cache_key.bindparams):
            return Statement.compile(build(), self._dialect), {}
        full = (shape, cache_key.key)
        found = self._find(full)
        if found is None:
            return self._compile(full, cache_key.bindparams, build()), {}
        statement, names = found
        values = {
            name: bind.effective_value
            for name, bind in zip(names, cache_key.bindparams, strict=True)
            if name is not None and not bind.required
        }
        return statement, values

    def _compile(self, full: Hashable, binds: Sequence[BindParameter[Any]], built: Executable) -> Statement:
        statement, named = Statement.compile_named(built, self._dialect)
        names = tuple(named.get(bind) for bind in binds)
        self._keep(full, (statement, names))
        return statement

    def _find(self, key: Hashable) -> tuple[Statement, tuple[str | None, ...]] | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def _keep(self, key: Hashable, found: tuple[Statement, tuple[str | None, ...]]) -> None:
        with self._lock:
            self._known[key] = found
            while len(self._known) > self._size:
                self._known.popitem(last=False)
