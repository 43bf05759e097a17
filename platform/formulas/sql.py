"""Formula → SQL expression: what both databases share.

Three questions are asked of a truth, because SQL's logic has three values: ``truth`` (an expression that is true
exactly when the part is true; it may be NULL instead of false), ``falsity`` (the same for false, which is what NOT
needs) and ``value`` (exact: true, false or NULL). Conditions on one column and a value known beforehand keep the bare
column on one side, also under AND, OR and NOT, so that an index can be used. Whatever reads no column
(``TODAY() - 30``, ``$user.id``) is computed first and bound as a value.

SQL has no errors here: a part that fails in Python (division by zero …) is NULL.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    Integer,
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
from ratoon.platform.formulas.columns import ExactDecimal, Id, UtcDateTime
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

FLIPPED: Mapping[str, str] = MappingProxyType({"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="})
OPPOSITE: Mapping[str, str] = MappingProxyType({"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"})
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
_BIG = 2**63 - 1


def compare(left: Any, operator: str, right: Any) -> Sql:
    """``left operator right`` for one of the six comparison operators."""
    expression: Sql
    match operator:
        case "=":
            expression = left == right
        case "<>":
            expression = left != right
        case "<":
            expression = left < right
        case "<=":
            expression = left <= right
        case ">":
            expression = left > right
        case _:
            expression = left >= right
    return expression


def holds(left: Any, operator: str, right: Any) -> bool:
    """The same for two Python values."""
    return bool(
        {
            "=": left == right,
            "<>": left != right,
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
        }[operator]
    )


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
            simple = self.simple(node, truth=True)
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
            simple = self.simple(node, truth=False)
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
            simple = self.simple(node, truth=True)
            if simple is not None:
                zero = self.blanks == "zero" and node.args[0].type is Type.NUMBER
                return func.coalesce(simple, false(), type_=Boolean()) if zero else simple
        elif node.overload.form in TWO_VALUED:
            simple = self.simple(node, truth=True)
            if simple is not None:
                return func.coalesce(simple, false(), type_=Boolean())
        return self.apply(node)

    # --- conditions on a column and a known value

    def simple(self, node: Apply, *, truth: bool) -> Sql | None:
        """The condition when it is one on bare columns and known values; ``None`` when it is not."""
        form = node.overload.form
        args = [self.fold(a) for a in node.args]
        if form == "compare":
            operator = node.name if truth else OPPOSITE[node.name]
            return self._simple_compare(node, operator, args)
        if form in ("same_text", "ISPICKVAL"):
            wanted = (node.name != "<>") == truth
            return self._simple_same(args, wanted)
        if form == "compare_text":
            return None
        first = args[0] if args else None
        if not isinstance(first, Read):
            return None
        column = self.column(first.key)
        if form in ("ISBLANK", "ISNULL"):
            return self._simple_blank(first, column, form, truth)
        if isinstance(column.type, Id) and form != "IN":
            return None
        if form in ("CONTAINS", "BEGINS", "INCLUDES") and isinstance(args[1], Constant):
            return self._simple_text(form, column, args[1].value, truth)
        if form == "IN" and all(isinstance(a, Constant) for a in args[1:]):
            return self._simple_in(first, column, args[1:], truth)
        return None

    def _simple_blank(self, node: Read, column: Sql, form: str, truth: bool) -> Sql | None:
        if node.type is Type.BOOLEAN or (node.type is Type.NUMBER and self.blanks == "zero"):
            return false() if truth else true()
        if form == "ISNULL" and node.type in (Type.TEXT, Type.PICKLIST):
            return false() if truth else true()
        if node.type is Type.TEXT:
            return or_(column.is_(None), column == "") if truth else and_(column.is_not(None), column != "")
        return column.is_(None) if truth else column.is_not(None)

    def _simple_text(self, form: str, column: Sql, value: Any, truth: bool) -> Sql | None:
        if form == "INCLUDES":
            found = self.contains(column, f";{value};") if value else false()
        elif not value:
            return true() if truth else false()
        else:
            found = self.begins(column, value) if form == "BEGINS" else self.contains(column, value)
        return found if truth else or_(not_(found), column.is_(None))

    def _simple_in(self, node: Read, column: Sql, options: Sequence[Typed], truth: bool) -> Sql | None:
        if not truth or node.type is Type.REFERENCE or (node.type is Type.NUMBER and self.blanks == "zero"):
            return None
        parts = []
        for option in options:
            assert isinstance(option, Constant)
            if option.value is not None:
                part = self._column_constant(node, "=", option.value)
                if part is None:
                    return None
                parts.append(part)
        return or_(*parts) if parts else false()

    def _simple_same(self, args: Sequence[Typed], wanted: bool) -> Sql | None:
        left, right = args
        if isinstance(left, Constant) and isinstance(right, Read):
            left, right = right, left
        if not isinstance(left, Read):
            return None
        column = self.column(left.key)
        if isinstance(right, Constant):
            if right.value in (None, ""):
                return self._simple_blank(left, column, "ISBLANK", wanted)
            return self._same_constant(left, column, right.value, wanted)
        if not isinstance(right, Read) or not self.native_pair(left, right):
            return None
        other = self.column(right.key)
        return column.is_not_distinct_from(other) if wanted else column.is_distinct_from(other)

    def _same_constant(self, node: Read, column: Sql, value: Any, wanted: bool) -> Sql | None:
        if isinstance(value, tuple):
            return None
        if isinstance(column.type, Id) and not _is_uuid(value):
            return false() if wanted else true()
        bound = literal(value, column.type)
        return column == bound if wanted else or_(column != bound, column.is_(None))

    def _simple_compare(self, node: Apply, operator: str, args: Sequence[Typed]) -> Sql | None:
        left, right = args
        if Type.BLANK in (left.type, right.type):
            return cast(null(), Boolean())
        if isinstance(left, Constant) and isinstance(right, Read):
            left, right, operator = right, left, FLIPPED[operator]
        if not isinstance(left, Read) or left.type is Type.BOOLEAN:
            return None
        if isinstance(right, Constant):
            if right.value is None:
                return cast(null(), Boolean())
            return self._column_constant(left, operator, right.value)
        if not isinstance(right, Read) or not self.native_pair(left, right):
            return None
        return compare(self.column(left.key), operator, self.column(right.key))

    def _column_constant(self, node: Read, operator: str, value: Any) -> Sql | None:
        column = self.column(node.key)
        if node.type is not Type.NUMBER:
            return compare(column, operator, literal(value, column.type))
        number = Decimal(value) * 100 if node.name.percent else Decimal(value)
        condition = self._number_constant(column, operator, number)
        if condition is not None and self.blanks == "zero" and holds(Decimal(0), operator, number):
            return or_(condition, column.is_(None))
        return condition

    def _number_constant(self, column: Sql, operator: str, value: Decimal) -> Sql | None:
        scale = stored_scale(column)
        if scale is None:
            return None
        low = _scaled(value, scale, ROUND_FLOOR)
        high = _scaled(value, scale, ROUND_CEILING)

        def bound(steps: int) -> Sql:
            if isinstance(column.type, ExactDecimal):
                return literal(Decimal(steps).scaleb(-scale), column.type)
            return literal(steps, BigInteger())

        if low != high and operator in ("=", "<>"):  # no value of the column can equal it
            never = and_(column >= bound(high), column <= bound(low))
            return never if operator == "=" else or_(column < bound(high), column > bound(low))
        return compare(column, operator, bound(low if operator in ("<=", ">", "=", "<>") else high))


TWO_VALUED = frozenset({"same_text", "ISPICKVAL", "ISBLANK", "ISNULL", "CONTAINS", "BEGINS", "INCLUDES", "IN"})
"""Conditions that are never blank."""


def stored_scale(column: Sql) -> int | None:
    """Decimals of a number column; ``None`` when it is not stored as an exact number."""
    if isinstance(column.type, ExactDecimal):
        return column.type.scale
    return 0 if isinstance(column.type, Integer) else None


def _scaled(value: Decimal, scale: int, rounding: str) -> int:
    steps = int(value.scaleb(scale).to_integral_value(rounding))
    return max(-_BIG, min(_BIG, steps))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
