"""Scales: how many decimals a number can have, when that is known from the formula alone."""

from __future__ import annotations

from collections.abc import Sequence

from ratoon.platform.formulas.functions import Overload
from ratoon.platform.formulas.tree import Constant, Literal, Typed
from ratoon.platform.formulas.types import Name, Type

_WIDEST = frozenset(
    {
        "add", "subtract", "negate", "plus", "IF", "IFS", "CASE", "MIN", "MAX", "ABS", "BLANKVALUE", "NULLVALUE", "MOD",
        "IFERROR", "SUM_EACH", "MIN_EACH", "MAX_EACH",
    }
)  # fmt: skip
"""Forms whose answer has the most decimals that an argument has."""
_WHOLE = frozenset(
    {
        "FLOOR", "CEILING", "MFLOOR", "MCEILING", "LEN", "FIND", "YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND",
        "MILLISECOND", "WEEKDAY", "QUARTER", "ISOWEEK", "ISOYEAR", "DAYOFYEAR", "days_between_dates", "SIGN", "ASCII",
        "PICKLISTCOUNT", "UNIXTIMESTAMP", "BUSINESSDAYS", "milliseconds_between", "COUNT_EACH",
    }
)  # fmt: skip
"""Forms whose answer is a whole number."""


def literal_scale(node: Literal) -> int | None:
    """The decimals that a number was written with."""
    return max(0, -node.value.as_tuple().exponent) if node.type is Type.NUMBER else None


def name_scale(name: Name) -> int | None:
    """The decimals of a field as formulas see it: a percentage has two more, being a fraction there."""
    return None if name.scale is None else name.scale + (2 if name.percent else 0)


def applied_scale(overload: Overload, args: Sequence[Typed], kind: Type) -> int | None:
    """The decimals that an applied function can answer with; ``None`` when nothing is known of them."""
    if kind is not Type.NUMBER:
        return None
    scales = [a.scale for a in args if a.type is Type.NUMBER]
    if overload.name in ("ROUND", "TRUNC"):
        places = args[1] if len(args) > 1 else None
        if places is None:
            return 0
        return max(0, int(places.value)) if isinstance(places, Constant) and places.value is not None else None
    if overload.form in _WHOLE:
        return 0
    known = [s for s in scales if s is not None]
    if len(known) != len(scales):
        return None
    if overload.form in _WIDEST:
        return max(known, default=0)
    return sum(known) if overload.form == "multiply" else None
