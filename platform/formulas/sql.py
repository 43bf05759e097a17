"""Formula → SQL expression: what both databases share.

Three questions are asked of a truth, because SQL's logic has three values: ``truth`` (an expression that is true
exactly when the part is true; it may be NULL instead of false), ``falsity`` (the same for false, which is what NOT
needs) and ``value`` (exact: true, false or NULL). Conditions on one column and a value known beforehand keep the bare
column on one side, also under AND, OR and NOT, so that an index can be used. Whatever reads no column
(``TODAY() - 30``, ``$user.id``) is computed first and bound as a value.

SQL has no errors here: a part that fails in Python (division by zero …) is NULL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    Numeric,
    Select,
    Text,
    Time,
    and_,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    true,
)  # fmt: skip
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import closures
from ratoon.platform.formulas.aggregates import relation_under
from ratoon.platform.formulas.bare_conditions import BareConditions
from ratoon.platform.formulas.columns import UtcDateTime
from ratoon.platform.formulas.tree import Apply, Constant, Read, Typed, relation_of, walk
from ratoon.platform.formulas.types import Blanks, Dialect, EvalContext, Type

Sql = ColumnElement[Any]
GetColumn = Callable[[str], Sql]


@dataclass(frozen=True, slots=True)
class Related:
    """The related records of a row, as a correlated query that aggregation selects from."""

    query: Select[Any]
    """Source and conditions; what it selects is replaced."""
    column: GetColumn
    """The column of a key of the related records."""


GetRelated = Callable[[str, frozenset[str]], Related]
"""The key of a relationship (``account.line@bill``) and the keys read behind it (``amount``, ``product.price``)."""

SQL_TYPES: Mapping[Type, TypeEngine[Any]] = MappingProxyType(
    {
        Type.NUMBER: Numeric(),
        Type.TEXT: Text(),
        Type.PICKLIST: Text(),
        Type.MULTI: Text(),
        Type.REFERENCE: Text(),
        Type.BOOLEAN: Boolean(),
        Type.DATE: Date(),
        Type.DATETIME: UtcDateTime(),
        Type.TIME: Time(),
        Type.BLANK: Text(),
    }
)
TEXTUAL = frozenset({Type.TEXT, Type.PICKLIST, Type.REFERENCE, Type.MULTI})


class SqlBuilder(ABC):
    """Turns the typed tree of one formula into an expression for one database."""

    dialect: str

    def __init__(
        self,
        source: str,
        column: GetColumn,
        context: EvalContext,
        blanks: Blanks,
        language: Dialect = "native",
        related: GetRelated | None = None,
    ) -> None:
        self.source = source
        self.language = language
        self.context = context
        self.blanks = blanks
        self._column = column
        self._related = related
        self._inside: tuple[str, GetColumn] | None = None
        self._bare = BareConditions(self)

    def column(self, key: str) -> Sql:
        """The column of a key or dotted path; inside an aggregation, of a related record."""
        if self._inside is not None and key.startswith(self._inside[0]):
            return self._inside[1](key[len(self._inside[0]) :])
        return self._column(key)

    def related(self, nodes: Sequence[Typed]) -> tuple[str, Related]:
        """The relationship that parts of an aggregation are about, and its records."""
        relation = relation_under(nodes)
        reads = [n for node in nodes for n in walk(node) if isinstance(n, Read)]
        keys = frozenset(n.key[len(relation) + 1 :] for n in reads if relation_of(n.key) == relation)
        if self._related is None:
            raise FormulaError("not_in_sql", "Related records cannot be asked for here")
        return relation, self._related(relation, keys)

    @contextmanager
    def inside(self, relation: str, related: Related) -> Iterator[None]:
        """While this lasts, keys behind the relationship are columns of the related records."""
        self._inside = (f"{relation}.", related.column)
        try:
            yield
        finally:
            self._inside = None

    # --- what a database must know itself

    @abstractmethod
    def apply(self, node: Apply) -> Sql:
        """The value of a function or operator that is not logic or a simple comparison."""

    @abstractmethod
    def top(self, node: Typed) -> Sql:
        """The value of a whole formula; a truth is never NULL."""

    @abstractmethod
    def read(self, node: Read) -> Sql:
        """The value of a column as formulas see it (percent as a fraction, blank numbers as zero when so wanted)."""

    @abstractmethod
    def native_pair(self, left: Read, right: Read) -> bool:
        """True when two columns can be compared as they stand."""

    @abstractmethod
    def compare_values(self, node: Apply, operator: str) -> Sql:
        """A comparison of which at least one side is more than a column or a known value; NULL when a side is blank."""

    @abstractmethod
    def begins(self, column: Sql, text: str) -> Sql:
        """True when the column begins with the text, so that an index can help."""

    @abstractmethod
    def contains(self, column: Sql, text: str) -> Sql:
        """True when the column contains the text."""

    def contains_lowered(self, node: Apply, column: Sql, text: str) -> Sql | None:
        """True when the column in small letters contains the text; ``None`` when ``node`` is to be worked out."""
        return None

    # --- constants

    def fold(self, node: Typed) -> Typed:
        """The node as a constant when it reads no column."""
        if isinstance(node, Constant | Read) or any(isinstance(n, Read) for n in walk(node)):
            return node
        try:
            value = closures.build(node, self.blanks)({}, self.context)
        except (FormulaError, ArithmeticError, ValueError):
            value = None
        return Constant(node.position, node.end, node.type, value if value != "" else None, node.scale)

    def literal(self, node: Constant) -> Sql:
        """A known value as a bound parameter."""
        kind = SQL_TYPES.get(node.type, Text())
        if node.value is None:
            return cast(null(), kind)
        return literal(node.value, kind)

    # --- truths

    def truth(self, node: Typed) -> Sql:
        """True exactly when the part is true."""
        node = self.fold(node)
        if isinstance(node, Constant):
            return true() if node.value is True else false()
        if isinstance(node, Read):
            return self.column(node.key) == true()
        if isinstance(node, Apply):
            match node.overload.form:
                case "AND":
                    return and_(*[self.truth(a) for a in node.args])
                case "OR":
                    return or_(*[self.truth(a) for a in node.args])
                case "NOT":
                    return self.falsity(node.args[0])
            simple = self._bare.condition(node, truth=True)
            if simple is not None:
                return simple
        return self.value(node)

    def falsity(self, node: Typed) -> Sql:
        """True exactly when the part is false (and not blank)."""
        node = self.fold(node)
        if isinstance(node, Constant):
            return true() if node.value is False else false()
        if isinstance(node, Read):
            column = self.column(node.key)
            return or_(column == false(), column.is_(None))
        if isinstance(node, Apply):
            match node.overload.form:
                case "AND":
                    return or_(*[self.falsity(a) for a in node.args])
                case "OR":
                    return and_(*[self.falsity(a) for a in node.args])
                case "NOT":
                    return self.truth(node.args[0])
            simple = self._bare.condition(node, truth=False)
            if simple is not None:
                return simple
        return not_(self.value(node))

    def value(self, node: Typed) -> Sql:
        """The exact value; for a truth TRUE, FALSE or NULL."""
        node = self.fold(node)
        if node.type is Type.BLANK:
            return cast(null(), Text())
        if isinstance(node, Constant):
            return self.literal(node)
        if isinstance(node, Read):
            return self.read(node)
        assert isinstance(node, Apply)
        if node.type is Type.BOOLEAN:
            return self.boolean_value(node)
        return self.apply(node)

    def _logic_value(self, node: Typed) -> Sql:
        """The value of a truth; NULL alone is an unknown truth."""
        return cast(null(), Boolean()) if node.type is Type.BLANK else self.value(node)

    def boolean_value(self, node: Apply) -> Sql:
        """The exact value of a truth."""
        match node.overload.form:
            case "AND":
                return and_(*[self._logic_value(a) for a in node.args])
            case "OR":
                return or_(*[self._logic_value(a) for a in node.args])
            case "NOT":
                return not_(self._logic_value(node.args[0]))
        if node.overload.form == "compare":
            simple = self._bare.condition(node, truth=True)
            if simple is not None:
                zero = self.blanks == "zero" and node.args[0].type is Type.NUMBER
                return func.coalesce(simple, false(), type_=Boolean()) if zero else simple
        elif node.overload.form in TWO_VALUED:
            simple = self._bare.condition(node, truth=True)
            if simple is not None:
                return func.coalesce(simple, false(), type_=Boolean())
        return self.apply(node)


TWO_VALUED = frozenset({"same_text", "ISPICKVAL", "ISBLANK", "ISNULL", "CONTAINS", "BEGINS", "INCLUDES", "IN"})
"""Conditions that are never blank."""
