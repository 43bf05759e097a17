"""Formulas that can only come out one way: rules that never fire, or always.

``outcomes`` works out which truths a condition can have at all: whatever reads no field is computed, AND and OR are
taken apart, numbers are compared with the least and greatest value that their field allows, and a required field is
never blank. What it cannot see through may be anything, so it never accuses a good rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.closures import build
from ratoon.platform.formulas.tree import Apply, Constant, Global, Read, Typed, walk
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Field, Object

Outcomes = frozenset[bool | None]
"""Some of true, false and blank."""
ANYTHING: Outcomes = frozenset({True, False, None})
_NOT_TRUE: Outcomes = frozenset({False, None})
_NOWHERE = EvalContext(now=datetime(2000, 1, 1, tzinfo=UTC))
_FLIPPED: Mapping[str, str] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}


def verdict(formula: Formula | None, obj: Object, *, checked: bool = True) -> bool | None:
    """``True``: always true; ``False``: never; ``None``: it depends.

    ``checked``: the values passed the checks of their fields before, as they have when rules and criteria are asked.
    """
    if formula is None or formula.tree is None:
        return None
    found = outcomes(formula.tree, obj if checked else None)
    if True not in found:
        return False
    return True if found == {True} else None


def outcomes(node: Typed, obj: Object | None) -> Outcomes:
    """The truths that the node can have; ``obj`` is ``None`` when nothing is known of the values of its fields."""
    if isinstance(node, Constant):
        return frozenset({node.value if isinstance(node.value, bool) else None})
    if not isinstance(node, Apply):
        return ANYTHING
    if not _depends(node):
        return _computed(node)
    match node.name:
        case "AND" | "&&":
            return _all([outcomes(arg, obj) for arg in node.args], _contradict(node.args, obj))
        case "OR" | "||":
            return _any([outcomes(arg, obj) for arg in node.args])
        case "NOT" | "!":
            inner = outcomes(node.args[0], obj)
            return frozenset({None if value is None else not value for value in inner}) or ANYTHING
        case "ISBLANK" | "ISNULL":
            field = _field(node.args[0], obj)
            return frozenset({False}) if field is not None and field.required and not field.computed else ANYTHING
        case "=" | "<>" | "<" | "<=" | ">" | ">=":
            return _compared(node, obj)
        case _:
            return ANYTHING


def _depends(node: Typed) -> bool:
    """Whether it reads a field, a global or the clock."""
    return any(isinstance(inner, Read | Global) or _lively(inner) for inner in walk(node))


def _lively(node: Typed) -> bool:
    return isinstance(node, Apply) and (node.overload.volatile or node.overload.context)


def _computed(node: Apply) -> Outcomes:
    if any(isinstance(inner, Apply) and inner.name in {"ISNEW", "ISCHANGED", "PRIORVALUE"} for inner in walk(node)):
        return ANYTHING
    try:
        value = build(node, "blank")({}, _NOWHERE)
    except (ArithmeticError, ValueError, LookupError):
        return ANYTHING
    return frozenset({value}) if value is None or isinstance(value, bool) else ANYTHING


def _all(parts: Sequence[Outcomes], contradiction: bool) -> Outcomes:
    if contradiction or any(True not in part for part in parts):
        return _NOT_TRUE
    return frozenset({True}) if all(part == {True} for part in parts) else ANYTHING


def _any(parts: Sequence[Outcomes]) -> Outcomes:
    if any(part == {True} for part in parts):
        return frozenset({True})
    return _NOT_TRUE if all(True not in part for part in parts) else ANYTHING


def _compared(node: Apply, obj: Object | None) -> Outcomes:
    left, right = node.args[0], node.args[1]
    if isinstance(left, Read) and isinstance(right, Read) and left.key == right.key:
        return _NOT_TRUE if node.name in {"<>", "<", ">"} else ANYTHING
    found = _limit(node, obj)
    if found is None:
        return ANYTHING
    field, sign, value = found
    least, greatest = _range(field)
    never = (
        (sign in {"<", "="} and least is not None and (value < least or (sign == "<" and value == least)))
        or (sign == "<=" and least is not None and value < least)
        or (sign in {">", "="} and greatest is not None and (value > greatest or (sign == ">" and value == greatest)))
        or (sign == ">=" and greatest is not None and value > greatest)
    )
    if never:
        return _NOT_TRUE
    always = (
        (sign == ">=" and least is not None and value <= least)
        or (sign == ">" and least is not None and value < least)
        or (sign == "<=" and greatest is not None and value >= greatest)
        or (sign == "<" and greatest is not None and value > greatest)
    )
    return frozenset({True}) if always and field.required and not field.computed else ANYTHING


def _contradict(args: Sequence[Typed], obj: Object | None) -> bool:
    """Whether comparisons of one field with numbers, all of them together, leave no number."""
    ranges: dict[str, list[Decimal | None]] = {}
    strict: dict[str, list[bool]] = {}
    equal: dict[str, set[Any]] = {}
    for arg in _flat(args):
        if not isinstance(arg, Apply) or len(arg.args) != 2:
            continue
        if arg.name in {"=", "ISPICKVAL"} and isinstance(arg.args[0], Read) and isinstance(arg.args[1], Constant):
            equal.setdefault(arg.args[0].key, set()).add(arg.args[1].value)
        found = _limit(arg, obj)
        if found is None:
            continue
        field, sign, value = found
        low, high = ranges.setdefault(field.name, [None, None]), strict.setdefault(field.name, [False, False])
        if sign in {">", ">=", "="} and (low[0] is None or value >= low[0]):
            high[0] = sign == ">" or (high[0] and low[0] == value)
            low[0] = value
        if sign in {"<", "<=", "="} and (low[1] is None or value <= low[1]):
            high[1] = sign == "<" or (high[1] and low[1] == value)
            low[1] = value
    if any(len(values) > 1 for values in equal.values()):
        return True
    return any(
        low is not None and high is not None and (low > high or (low == high and any(strict[name])))
        for name, (low, high) in ranges.items()
    )


def _flat(args: Sequence[Typed]) -> list[Typed]:
    found: list[Typed] = []
    for arg in args:
        found += _flat(arg.args) if isinstance(arg, Apply) and arg.name in {"AND", "&&"} else [arg]
    return found


def _limit(node: Apply, obj: Object | None) -> tuple[Field, str, Decimal] | None:
    """(field, sign, number) of a comparison of a field with a number."""
    if node.name not in _FLIPPED or len(node.args) != 2:
        return None
    left, right, sign = node.args[0], node.args[1], node.name
    if isinstance(left, Constant):
        left, right, sign = right, left, _FLIPPED[sign]
    field = _field(left, obj)
    if field is None or not isinstance(right, Constant) or field.spec.type not in {"integer", "decimal", "currency"}:
        return None
    if isinstance(right.value, bool) or not isinstance(right.value, int | Decimal):
        return None
    return field, sign, Decimal(right.value)


def _range(field: Field) -> tuple[Decimal | None, Decimal | None]:
    least, greatest = field.spec.option("min"), field.spec.option("max")
    return tuple(None if limit is None else Decimal(str(limit)) for limit in (least, greatest))  # type: ignore[return-value]


def _field(node: Typed, obj: Object | None) -> Field | None:
    """The field of the record itself that the node reads."""
    return obj.fields.get(node.key) if isinstance(node, Read) and obj is not None else None
