"""The operators: arithmetic, joining, comparison. Their overloads decide what ``date + 3`` is."""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import Function, Overload, Run, overload
from ratoon.platform.formulas.logic import both, either, negate
from ratoon.platform.formulas.numeric import EXACT, ONE, ZERO, divide
from ratoon.platform.formulas.tree import Constant, Typed

WHOLE_POWER = "^whole"
DAY_SECONDS = 86_400
DAY_MICROSECONDS = 86_400_000_000
DAY_MILLISECONDS = 86_400_000


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """``base ^ exponent``; 0^0 is 1."""
    if not exponent:
        return ONE
    if not base and exponent < 0:
        raise FormulaError("division_by_zero", "Division by zero")
    return EXACT.power(base, exponent)


def whole_power(base: Decimal, exponent: Decimal) -> Decimal:
    """``base ^ exponent`` of the salesforce dialect, which knows whole exponents only."""
    if exponent != int(exponent):
        raise FormulaError("out_of_range", "The exponent {exponent} is not a whole number", exponent=exponent)
    return power(base, exponent)


def add_days(day: date, days: Decimal) -> date:
    """A date some days later; parts of a day are cut off."""
    return day + timedelta(days=int(days))


def add_time(moment: datetime, days: Decimal) -> datetime:
    """A moment some days (and parts of days) later, to the second."""
    seconds = EXACT.multiply(days, DAY_SECONDS).to_integral_value("ROUND_HALF_UP")
    return moment + timedelta(seconds=int(seconds))


def add_milliseconds(moment: time, milliseconds: Decimal) -> time:
    """A time of day some milliseconds later, around the clock."""
    total = (milliseconds_of(moment) + int(milliseconds)) % DAY_MILLISECONDS
    return (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(milliseconds=total)).time()


def milliseconds_of(moment: time) -> int:
    """Milliseconds since midnight."""
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000


def days_between(later: datetime, earlier: datetime) -> Decimal:
    """Days with fraction."""
    return divide(Decimal((later - earlier) // timedelta(microseconds=1)), Decimal(DAY_MICROSECONDS))


def join_build(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    """``&``: blank counts as nothing."""
    if len(args) == 2:
        left, right = args
        if isinstance(nodes[1], Constant) and nodes[1].value:
            end: str = nodes[1].value
            return lambda row, context: (left(row, context) or "") + end

        def two(row: Any, context: Any) -> str | None:
            return (left(row, context) or "") + (right(row, context) or "") or None

        return two

    def many(row: Any, context: Any) -> str | None:
        return "".join([arg(row, context) or "" for arg in args]) or None

    return many


def equal_build(compare: Callable[[Any, Any], bool], textual: bool) -> Callable[[Sequence[Run], Sequence[Typed]], Run]:
    """``=`` and ``<>``. Texts: blank equals blank and differs from every text. Others: blank gives blank."""

    def build(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
        left, right = args
        if textual:
            if isinstance(nodes[1], Constant):
                constant = nodes[1].value or None

                def against(row: Any, context: Any) -> bool:
                    return compare(left(row, context) or None, constant)

                return against

            def texts(row: Any, context: Any) -> bool:
                return compare(left(row, context) or None, right(row, context) or None)

            return texts
        return compare_build(compare)(args, nodes)

    return build


def compare_build(compare: Callable[[Any, Any], bool]) -> Callable[[Sequence[Run], Sequence[Typed]], Run]:
    """A comparison that is blank when a side is blank."""

    def build(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
        left, right = args
        if isinstance(nodes[1], Constant) and nodes[1].value is not None:
            constant = nodes[1].value

            def against(row: Any, context: Any) -> bool | None:
                value = left(row, context)
                return None if value is None else compare(value, constant)

            return against

        def values(row: Any, context: Any) -> bool | None:
            first = left(row, context)
            if first is None:
                return None
            second = right(row, context)
            return None if second is None else compare(first, second)

        return values

    return build


def order_build(compare: Callable[[Any, Any], bool]) -> Callable[[Sequence[Run], Sequence[Typed]], Run]:
    """Before or after in the order of code points; an empty text is blank."""

    def build(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
        left, right = args

        def texts(row: Any, context: Any) -> bool | None:
            first, second = left(row, context), right(row, context)
            return compare(first, second) if first and second else None

        return texts

    return build


def _compare(name: str, compare: Callable[[Any, Any], bool]) -> tuple[Overload, ...]:
    equality = name in ("=", "<>")
    kinds = ("number", "date", "datetime", "time") + (("boolean", "reference") if equality else ())
    plain = [overload(name, f"{k}, {k}", "boolean", build=compare_build(compare), form="compare") for k in kinds]
    if equality:
        texts = overload(name, "text, text", "boolean", build=equal_build(compare, True), form="same_text")
        multi = overload(name, "multi, multi", "boolean", build=equal_build(compare, True), form="same_text")
        return (*plain[:-1], texts, multi)
    return (*plain, overload(name, "text, text", "boolean", build=order_build(compare), form="compare_text"))


def _add() -> tuple[Overload, ...]:
    return (
        overload("+", "number, number", "number", EXACT.add, form="add"),
        overload("+", "text, text", "text", build=join_build, strict=False, form="&"),
        overload("+", "date, number", "date", add_days, form="add_days"),
        overload("+", "number, date", "date", lambda n, d: add_days(d, n), form="add_days_right"),
        overload("+", "datetime, number", "datetime", add_time, form="add_time"),
        overload("+", "number, datetime", "datetime", lambda n, d: add_time(d, n), form="add_time_right"),
        overload("+", "time, number", "time", add_milliseconds, form="add_milliseconds"),
    )


def _subtract() -> tuple[Overload, ...]:
    return (
        overload("-", "number, number", "number", EXACT.subtract, form="subtract"),
        overload("-", "date, date", "number", lambda a, b: Decimal((a - b).days), form="days_between_dates"),
        overload("-", "datetime, datetime", "number", days_between, form="days_between", inexact=True),
        overload("-", "time, time", "number", _time_difference, form="milliseconds_between"),
        overload("-", "date, number", "date", lambda d, n: add_days(d, -n), form="subtract_days"),
        overload("-", "datetime, number", "datetime", lambda d, n: add_time(d, -n), form="subtract_time"),
        overload("-", "time, number", "time", lambda d, n: add_milliseconds(d, -n), form="subtract_milliseconds"),
        overload("-", "number", "number", lambda n: EXACT.subtract(ZERO, n), form="negate"),
    )


def _time_difference(later: time, earlier: time) -> Decimal:
    return Decimal((milliseconds_of(later) - milliseconds_of(earlier)) % DAY_MILLISECONDS)


def _operator(name: str, doc: str, overloads: Sequence[Overload], *examples: tuple[str, Any]) -> Function:
    return Function(name, tuple(overloads), doc, "Operators", examples, operator=True)


FUNCTIONS = (
    _operator(
        "+",
        "Adds numbers, or days to a date, or milliseconds to a time; joins texts.",
        (*_add(), overload("+", "number", "number", lambda n: n, form="plus")),
        ("1 + 2", "3"),
    ),
    _operator("-", "Subtracts; the difference of two dates is in days.", _subtract(), ("5 - 7", "-2")),
    _operator(
        "*",
        "Multiplies.",
        [overload("*", "number, number", "number", EXACT.multiply, form="multiply")],
        ("1.5 * 4", "6.0"),
    ),
    _operator(
        "/",
        "Divides; by zero is an error.",
        [overload("/", "number, number", "number", divide, form="divide", inexact=True)],
        ("10 / 4", "2.5"),
    ),
    _operator(
        "^",
        "Raises to a power.",
        [overload("^", "number, number", "number", power, form="power", inexact=True)],
        ("2 ^ 10", "1024"),
    ),
    _operator(
        WHOLE_POWER,
        "Raises to a whole power (what ^ means in the salesforce dialect).",
        [overload("^", "number, number", "number", whole_power, form="power_whole", inexact=True)],
    ),
    _operator(
        "&",
        "Joins texts; blank counts as nothing.",
        [overload("&", "text, text, more: text*", "text", build=join_build, strict=False)],
        ('"a" & "b"', "ab"),
    ),
    _operator("=", "True when both sides are the same. Two blank texts are.", _compare("=", op.eq), ("1.0 = 1", True)),
    _operator("<>", "True when the sides differ.", _compare("<>", op.ne), ("1 <> 2", True)),
    _operator("<", "Less than.", _compare("<", op.lt), ("1 < 2", True)),
    _operator("<=", "At most.", _compare("<=", op.le), ("2 <= 2", True)),
    _operator(">", "Greater than.", _compare(">", op.gt), ("1 > 2", False)),
    _operator(">=", "At least.", _compare(">=", op.ge), ("1 >= 2", False)),
    _operator(
        "&&",
        "True when all sides are true.",
        [overload("&&", "boolean, more: boolean*", "boolean", build=both, strict=False, form="AND")],
        ("TRUE && FALSE", False),
    ),
    _operator(
        "||",
        "True when any side is true.",
        [overload("||", "boolean, more: boolean*", "boolean", build=either, strict=False, form="OR")],
        ("TRUE || FALSE", True),
    ),
    _operator(
        "!",
        "True when the operand is false.",
        [overload("!", "boolean", "boolean", build=negate, strict=False, form="NOT")],
        ("!FALSE", True),
    ),
)
