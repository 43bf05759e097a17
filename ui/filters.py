"""The filter builder: a field, an operator, a value → a formula, and back to words.

A condition travels in the URL as ``where=stage:eq:won``, so that a filtered list can be bookmarked and shared. Each
becomes a formula of the platform's one language; lists know no other kind of filter.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from ratoon.platform.errors import BadRequest
from ratoon.platform.fields.base import OPERATORS, Part
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Object

NEEDS_NO_VALUE = ("blank", "filled")
_COMPARE = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True)
class Condition:
    """One condition of the builder."""

    key: str
    operator: str
    value: str = ""

    @classmethod
    def parse(cls, text: str, object: Object, readable: Collection[str]) -> Condition:
        """The condition behind ``key:operator:value``; ``BadRequest`` when it names what is not there to be read."""
        key, _, rest = text.partition(":")
        operator, _, value = rest.partition(":")
        part = object.parts.get(key)
        if part is None or key not in readable or operator not in OPERATORS or part.formula is None:
            raise BadRequest("This filter condition cannot be read: {text}", field="where", text=text[:80])
        return cls(key, operator, value)

    def __str__(self) -> str:
        return f"{self.key}:{self.operator}:{self.value}"

    def formula(self, object: Object, zone: ZoneInfo) -> str:
        """The condition as a formula. Raises ``BadRequest`` for a value that does not fit the field."""
        part = object.parts[self.key]
        if self.operator == "blank":
            return f"ISBLANK({self.key})"
        if self.operator == "filled":
            return f"NOT(ISBLANK({self.key}))"
        percent = is_percent(object, self.key)
        if self.operator == "in":
            each = [v.strip() for v in self.value.split(",") if v.strip()] or [""]
            return "(" + " || ".join(_compare(part, "eq", v, zone, percent) for v in each) + ")"
        return _compare(part, self.operator, self.value, zone, percent)


def is_percent(object: Object, key: str) -> bool:
    """Whether people read this number in percent (formulas see 0.2 for 20 %)."""
    owner = object.field_of[key]
    return owner.type.name == "percent" or owner.spec.option("returns") == "percent"


def quoted(text: str) -> str:
    """A text as a formula literal; whatever it contains, it stays a text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _compare(part: Part, operator: str, value: str, zone: ZoneInfo, percent: bool) -> str:
    key = part.key
    if operator == "contains":
        return f"CONTAINS(LOWER({key}), {quoted(value.lower())})"
    if operator == "starts":
        return f"BEGINS(LOWER({key}), {quoted(value.lower())})"
    if part.formula is Type.MULTI or operator == "includes":
        return f"INCLUDES({key}, {quoted(value)})"
    if part.formula is Type.PICKLIST:
        test = f"ISPICKVAL({key}, {quoted(value)})"
        return f"NOT({test})" if operator == "ne" else test
    return f"{key} {_COMPARE[operator]} {literal(part.formula, value, zone, percent)}"


def literal(type_: Type | None, value: str, zone: ZoneInfo, percent: bool = False) -> str:
    """A typed value as a formula literal. Raises ``BadRequest`` when the text is not of that type."""
    text = value.strip()
    try:
        if type_ is Type.NUMBER:
            number = Decimal(text.rstrip("%"))
            if not number.is_finite() or abs(number.adjusted()) > 30:
                raise ValueError(text)
            return f"{number / 100 if percent else number:f}"
        if type_ is Type.DATE:
            day = date.fromisoformat(text)
            return f"DATE({day.year}, {day.month}, {day.day})"
        if type_ is Type.DATETIME:
            moment = datetime.fromisoformat(text)
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
            return f'DATETIMEVALUE("{moment:%Y-%m-%d %H:%M:%S}")'
    except (ValueError, InvalidOperation, OverflowError):
        raise BadRequest("“{value}” does not fit this field.", field="where", value=value[:80]) from None
    if type_ is Type.BOOLEAN:
        return "TRUE" if text.lower() in ("true", "1", "yes") else "FALSE"
    if type_ is Type.TIME:
        return f"TIMEVALUE({quoted(text)})"
    return quoted(value)


def combined(parts: list[str]) -> str | None:
    """All of these formulas at once; ``None`` for none."""
    given = [p for p in parts if p.strip()]
    if len(given) == 1:
        return given[0]
    return " && ".join(f"({p})" for p in given) if given else None


def input_type(part: Part) -> str:
    """The kind of HTML input that a value for this part is typed into."""
    return {Type.NUMBER: "number", Type.DATE: "date", Type.DATETIME: "datetime-local", Type.TIME: "time"}.get(
        part.formula or Type.TEXT, "text"
    )
