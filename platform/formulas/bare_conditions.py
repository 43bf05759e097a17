"""Conditions on a bare column and a value known beforehand, written so that an index can answer them.

``amount > 1000``, ``ISBLANK(name)``, ``stage = "won"``, ``CONTAINS(name, "x")``: the column stands alone on one side,
what is asked of it is bound in the column's own type. Each has a form for “true” and one for “false”, because SQL's
NOT would lose the blank ones. What is no such condition is worked out as a value (``sql.py``).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Integer,
    and_,
    cast,
    false,
    literal,
    not_,
    null,
    or_,
    true,
)  # fmt: skip

from ratoon.platform.formulas.columns import ExactDecimal, Id
from ratoon.platform.formulas.tree import Apply, Constant, Read, Typed
from ratoon.platform.formulas.types import Type

if TYPE_CHECKING:
    from ratoon.platform.formulas.sql import Sql, SqlBuilder

FLIPPED: Mapping[str, str] = MappingProxyType({"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="})
OPPOSITE: Mapping[str, str] = MappingProxyType({"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"})
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


class BareConditions:
    """The conditions of one formula's builder that keep columns bare."""

    def __init__(self, builder: SqlBuilder) -> None:
        self._builder = builder

    def condition(self, node: Apply, *, truth: bool) -> Sql | None:
        """The condition (``truth=False``: that it is false); ``None`` when it is not one of these."""
        form = node.overload.form
        args = [self._builder.fold(a) for a in node.args]
        if form == "compare":
            operator = node.name if truth else OPPOSITE[node.name]
            return self._compare(node, operator, args)
        if form in ("same_text", "ISPICKVAL"):
            wanted = (node.name != "<>") == truth
            return self._same(args, wanted)
        if form == "compare_text":
            return None
        first = args[0] if args else None
        if form == "CONTAINS" and isinstance(first, Apply) and first.overload.form == "LOWER":
            return self._contains_lowered(node, first.args, args[1], truth)
        if not isinstance(first, Read):
            return None
        column = self._builder.column(first.key)
        if form in ("ISBLANK", "ISNULL"):
            return self._blank(first, column, form, truth)
        if isinstance(column.type, Id) and form != "IN":
            return None
        if form in ("CONTAINS", "BEGINS", "INCLUDES") and isinstance(args[1], Constant):
            return self._text(form, column, args[1].value, truth)
        if form == "IN" and all(isinstance(a, Constant) for a in args[1:]):
            return self._in(first, column, args[1:], truth)
        return None

    def _blank(self, node: Read, column: Sql, form: str, truth: bool) -> Sql | None:
        if node.type is Type.BOOLEAN or (node.type is Type.NUMBER and self._builder.blanks == "zero"):
            return false() if truth else true()
        if form == "ISNULL" and node.type in (Type.TEXT, Type.PICKLIST):
            return false() if truth else true()
        if node.type is Type.TEXT:
            return or_(column.is_(None), column == "") if truth else and_(column.is_not(None), column != "")
        return column.is_(None) if truth else column.is_not(None)

    def _text(self, form: str, column: Sql, value: Any, truth: bool) -> Sql | None:
        if form == "INCLUDES":
            found = self._builder.contains(column, f";{value};") if value else false()
        elif not value:
            return true() if truth else false()
        else:
            found = self._builder.begins(column, value) if form == "BEGINS" else self._builder.contains(column, value)
        return found if truth else or_(not_(found), column.is_(None))

    def _contains_lowered(self, node: Apply, lowered: Sequence[Typed], part: Typed, truth: bool) -> Sql | None:
        """What a text filter and a type-ahead ask: ``CONTAINS(LOWER(name), "text")``."""
        if len(lowered) != 1 or not isinstance(lowered[0], Read) or not isinstance(part, Constant) or not part.value:
            return None
        column = self._builder.column(lowered[0].key)
        found = None if isinstance(column.type, Id) else self._builder.contains_lowered(node, column, part.value)
        return found if truth or found is None else or_(not_(found), column.is_(None))

    def _in(self, node: Read, column: Sql, options: Sequence[Typed], truth: bool) -> Sql | None:
        if not truth or node.type is Type.REFERENCE or (node.type is Type.NUMBER and self._builder.blanks == "zero"):
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

    def _same(self, args: Sequence[Typed], wanted: bool) -> Sql | None:
        left, right = args
        if isinstance(left, Constant) and isinstance(right, Read):
            left, right = right, left
        if not isinstance(left, Read):
            return None
        column = self._builder.column(left.key)
        if isinstance(right, Constant):
            if right.value in (None, ""):
                return self._blank(left, column, "ISBLANK", wanted)
            return self._same_constant(left, column, right.value, wanted)
        if not isinstance(right, Read) or not self._builder.native_pair(left, right):
            return None
        other = self._builder.column(right.key)
        return column.is_not_distinct_from(other) if wanted else column.is_distinct_from(other)

    def _same_constant(self, node: Read, column: Sql, value: Any, wanted: bool) -> Sql | None:
        if isinstance(value, tuple):
            return None
        if isinstance(column.type, Id) and not _is_uuid(value):
            return false() if wanted else true()
        bound = literal(value, column.type)
        return column == bound if wanted else or_(column != bound, column.is_(None))

    def _compare(self, node: Apply, operator: str, args: Sequence[Typed]) -> Sql | None:
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
        if not isinstance(right, Read) or not self._builder.native_pair(left, right):
            return None
        return compare(self._builder.column(left.key), operator, self._builder.column(right.key))

    def _column_constant(self, node: Read, operator: str, value: Any) -> Sql | None:
        column = self._builder.column(node.key)
        if node.type is not Type.NUMBER:
            return compare(column, operator, literal(value, column.type))
        number = Decimal(value) * 100 if node.name.percent else Decimal(value)
        condition = self._number_constant(column, operator, number)
        if condition is not None and self._builder.blanks == "zero" and holds(Decimal(0), operator, number):
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
