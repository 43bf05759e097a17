"""The Python back end: a typed tree → nested closures ``run(row, context)``. Nothing is looked up while they run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeGuard

from ratoon.platform.formulas.functions import Overload, Run
from ratoon.platform.formulas.numeric import EXACT, ZERO, settle
from ratoon.platform.formulas.tree import Apply, Constant, Global, Read, Typed
from ratoon.platform.formulas.types import Blanks, EvalContext, Type

SETTLED = frozenset({"=", "<>", "<", "<=", ">", ">=", "CASE", "IN", "MIN", "MAX", "TEXT", "ROUND", "TRUNC"})
"""What looks at a number closely, and therefore settles an inexact one first."""
PERCENT = Decimal("0.01")


def inexact(node: Typed) -> bool:
    """True when the number may have more decimals than are shown."""
    if not isinstance(node, Apply) or node.type is not Type.NUMBER or node.scale is not None:
        return False
    return node.overload.inexact or any(inexact(arg) for arg in node.args)


def build(node: Typed, blanks: Blanks) -> Run:
    """The closure of a typed tree."""
    if isinstance(node, Constant):
        return _constant(node.value)
    if isinstance(node, Read):
        return _read(node.key, node.type, node.name.percent, blanks)
    if isinstance(node, Global):
        return _global(node, blanks)
    direct = _direct(node, blanks)
    if direct is not None:
        return direct
    args = [build(arg, blanks) for arg in node.args]
    if node.overload.name in SETTLED:
        args = [_settled(run) if inexact(arg) else run for run, arg in zip(args, node.args, strict=True)]
    overload = node.overload
    if overload.build is not None:
        return overload.build(args, node.args)
    if overload.strict and not overload.context and len(args) == 2:
        first, second = node.args
        if isinstance(second, Constant) and second.value is not None:
            assert overload.python is not None
            if _plain_number(first, blanks):
                return _key_with(overload.python, first.key, second.value)
            return _strict_with(overload.python, args[0], second.value)
    return _call(overload, args)


def _plain_number(node: Typed, blanks: Blanks) -> TypeGuard[Read]:
    """Whether the value of the key is the value of the node."""
    return isinstance(node, Read) and node.type is Type.NUMBER and blanks != "zero" and not node.name.percent


def top(node: Typed, blanks: Blanks) -> Run:
    """The closure of a whole formula: a blank truth is false, an inexact number is settled, an empty text is blank."""
    run = build(node, blanks)
    if node.type is Type.BOOLEAN:
        return _truth(run)
    if node.type is Type.NUMBER:
        return _settled(run) if inexact(node) else run
    if node.type is Type.TEXT and isinstance(node, Apply):
        return _text(run)
    return run


def _direct(node: Apply, blanks: Blanks) -> Run | None:
    """The closure of the commonest conditions (a key against a known value, ISBLANK of a key) without inner calls."""
    first = node.args[0] if node.args else None
    if not isinstance(first, Read) or first.type is Type.BOOLEAN:
        return None
    if first.type is Type.NUMBER and (blanks == "zero" or first.name.percent):
        return None
    if node.overload.form == "ISBLANK":
        return _key_blank(first.key)
    if len(node.args) != 2 or not isinstance(node.args[1], Constant) or node.args[1].value in (None, ""):
        return None
    if node.overload.form == "compare":
        return KEY_COMPARISONS[node.name](first.key, node.args[1].value)
    if node.overload.form in ("same_text", "ISPICKVAL"):
        return _key_same(first.key, node.args[1].value, node.name != "<>")
    return None


def _constant(value: Any) -> Run:
    return lambda row, context: value


def _read(key: str, kind: Type, percent: bool, blanks: Blanks) -> Run:
    if kind is Type.BOOLEAN:
        return _read_boolean(key)
    if kind is Type.NUMBER:
        if percent:
            return _read_percent(key, blanks)
        if blanks == "zero":
            return _read_zero(key)

    def read(row: Mapping[str, Any], context: EvalContext) -> Any:
        try:
            return row[key]
        except KeyError:
            return None

    return read


def _key_blank(key: str) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> bool:
        try:
            value = row[key]
        except KeyError:
            return True
        return value is None or value == ""

    return run


def _key_same(key: str, constant: Any, wanted: bool) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> bool:
        try:
            return (row[key] == constant) is wanted
        except KeyError:
            return not wanted

    return run


def _key_compared(compare: Callable[[Any, Any], bool]) -> Callable[[str, Any], Run]:
    def make(key: str, constant: Any) -> Run:
        def run(row: Mapping[str, Any], context: EvalContext) -> bool | None:
            try:
                value = row[key]
            except KeyError:
                return None
            return None if value is None else compare(value, constant)

        return run

    return make


KEY_COMPARISONS: Mapping[str, Callable[[str, Any], Run]] = MappingProxyType(
    {
        "=": _key_compared(operator.eq),
        "<>": _key_compared(operator.ne),
        "<": _key_compared(operator.lt),
        "<=": _key_compared(operator.le),
        ">": _key_compared(operator.gt),
        ">=": _key_compared(operator.ge),
    }
)


def _read_boolean(key: str) -> Run:
    def read(row: Mapping[str, Any], context: EvalContext) -> bool:
        try:
            return row[key] is True
        except KeyError:
            return False

    return read


def _read_zero(key: str) -> Run:
    def read(row: Mapping[str, Any], context: EvalContext) -> Any:
        value = row.get(key)
        return ZERO if value is None else value

    return read


def _read_percent(key: str, blanks: Blanks) -> Run:
    blank = ZERO if blanks == "zero" else None
    multiply = EXACT.multiply

    def read(row: Mapping[str, Any], context: EvalContext) -> Any:
        value = row.get(key)
        return blank if value is None else multiply(value, PERCENT)

    return read


def _global(node: Global, blanks: Blanks) -> Run:
    inner = _read(node.key, node.type, node.percent, blanks)
    space = node.space[1:]
    if space == "user":
        return lambda row, context: inner(context.user, context)
    if space == "organization":
        return lambda row, context: inner(context.organization, context)
    return lambda row, context: inner(context.source, context)


def _call(overload: Overload, args: list[Run]) -> Run:
    function = overload.python
    assert function is not None
    if overload.context:
        return _with_context(function, args, overload.strict)
    if not args:
        return lambda row, context: function()
    if not overload.strict:
        if len(args) == 1:
            only = args[0]
            return lambda row, context: function(only(row, context))
        return lambda row, context: function(*[arg(row, context) for arg in args])
    if len(args) == 1:
        return _strict_one(function, args[0])
    if len(args) == 2:
        return _strict_two(function, *args)
    return _strict_many(function, args)


def _strict_one(function: Callable[[Any], Any], only: Run) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> Any:
        value = only(row, context)
        return None if value is None else function(value)

    return run


def _strict_with(function: Callable[[Any, Any], Any], left: Run, constant: Any) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> Any:
        value = left(row, context)
        return None if value is None else function(value, constant)

    return run


def _key_with(function: Callable[[Any, Any], Any], key: str, constant: Any) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> Any:
        try:
            value = row[key]
        except KeyError:
            return None
        return None if value is None else function(value, constant)

    return run


def _strict_two(function: Callable[[Any, Any], Any], left: Run, right: Run) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> Any:
        first = left(row, context)
        if first is None:
            return None
        second = right(row, context)
        return None if second is None else function(first, second)

    return run


def _strict_many(function: Callable[..., Any], args: list[Run]) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> Any:
        values = [arg(row, context) for arg in args]
        return None if None in values else function(*values)

    return run


def _with_context(function: Callable[..., Any], args: list[Run], strict: bool) -> Run:
    def run(row: Mapping[str, Any], context: EvalContext) -> Any:
        values = [arg(row, context) for arg in args]
        return None if strict and None in values else function(context, *values)

    return run


def _settled(run: Run) -> Run:
    def settled(row: Mapping[str, Any], context: EvalContext) -> Any:
        value = run(row, context)
        return None if value is None else settle(value)

    return settled


def _truth(run: Run) -> Run:
    def truth(row: Mapping[str, Any], context: EvalContext) -> bool:
        return run(row, context) is True

    return truth


def _text(run: Run) -> Run:
    def text(row: Mapping[str, Any], context: EvalContext) -> Any:
        return run(row, context) or None

    return text
