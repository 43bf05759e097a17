"""What PostgreSQL cannot work out, so that a formula is refused as SQL with the reason before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ratoon.platform.formulas.functions import Overload
from ratoon.platform.formulas.patterns import for_postgresql
from ratoon.platform.formulas.postgresql_forms import FORMS
from ratoon.platform.formulas.tree import Apply, Constant, Read, Typed, walk
from ratoon.platform.formulas.types import Type

AGGREGATES = frozenset({"SUM_EACH", "COUNT_EACH", "AVG_EACH", "MIN_EACH", "MAX_EACH"})
BRANCHES = frozenset({"IF", "IFS", "CASE", "BLANKVALUE", "NULLVALUE", "IFERROR"})
LOGIC = frozenset({"AND", "OR", "NOT"})
RATED = frozenset({"CONVERT", "CURRENCYRATE"})
ZONED: Mapping[str, str] = MappingProxyType(
    {
        "DATEVALUE_IN": "DATEVALUE_DATETIME",
        "TIMEVALUE_IN": "TIMEVALUE_DATETIME",
        "DATETIMEVALUE_IN": "DATETIMEVALUE_DATE",
    }
)
"""What takes a time zone by name, and the form that works it out."""
MAX_DEPTH = 40
"""Deepest formula that is written as SQL."""
HIDING = frozenset({"ISBLANK", "ISNULL", "same_text", "ISPICKVAL", "IN", "ISNUMBER", "ISNUMBER_NUMBER", "EXACT"})
"""Conditions that would turn a failed part into an answer."""


def has_form(overload: Overload) -> bool:
    """True when PostgreSQL can work out this form of a function (REGEX: with a pattern that is written out)."""
    form = overload.form
    known = form in ZONED or form in FORMS or form in BRANCHES or form in LOGIC or form in HIDING or form in AGGREGATES
    return known or form == "REGEX" or form.startswith("compare") or overload.volatile or overload.sql is not None


def refusal(nodes: Sequence[Typed], depth: int) -> str | None:
    """Why these parts cannot be pushed down; ``None`` when they can."""
    if depth > MAX_DEPTH:
        return "it is nested too deeply"
    for node in nodes:
        if isinstance(node, Read) and node.type is Type.GEO:
            return "a place is read field by field: use GEOLOCATION(latitude, longitude)"
        if not isinstance(node, Apply):
            continue
        form = node.overload.form
        if form in ("ISNEW", "ISCHANGED", "PRIORVALUE"):
            return f"{node.name} needs the values before the change"
        if form in ZONED and any(isinstance(part, Read) for part in walk(node.args[1])):
            return f"the time zone of {node.name} must not come out of a field"
        if form == "REGEX":
            pattern = node.args[1]
            if not isinstance(pattern, Constant) or for_postgresql(pattern.value or "") is None:
                return "REGEX is only pushed down with a plain pattern that is written out"
            continue
        if not has_form(node.overload):
            return f"{node.name} has no SQL form"
    return None
