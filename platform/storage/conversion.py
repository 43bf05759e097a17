"""Values when the type of a field changes: what becomes of each, and whether anything of it is lost.

``Offers(before, after).convert(value)`` gives the new value and whether it says the same; ``None`` for a value that the
new type cannot hold. A value is offered to the new type in the forms it has: as it is, as the API writes it, as text,
rounded to the new scale, the only one of several choices. So a text ``"12.50"`` becomes the number 12.50, a moment its
day, a yes the text ``true``.

``rescale_column`` is the one change that a statement does in place: a decimal that gets more digits, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Integer
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import Invalid
from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.storage.statements import sql_dialect

REMEMBERED = 4096
"""Conversions of equal values that are not worked out again."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """A conversion that SQL does by itself; nothing is lost."""

    statements: tuple[str, ...]


def rescale_column(
    table: str, key: str, was: TypeEngine[Any], becomes: TypeEngine[Any], dialect: str
) -> Rescale | None:
    """How to convert in place; ``None`` when each value has to be looked at."""
    if not isinstance(becomes, ExactDecimal) or not isinstance(was, (ExactDecimal, Integer)):
        return None
    before = was.scale if isinstance(was, ExactDecimal) else 0
    whole = was.precision - was.scale if isinstance(was, ExactDecimal) else 19
    more = becomes.scale - before
    if more < 0 or becomes.precision - becomes.scale < whole:
        return None
    quote = sql_dialect(dialect).identifier_preparer.quote
    name, column = quote(table), quote(key)
    if dialect == "postgresql":
        kind = f"NUMERIC({becomes.precision}, {becomes.scale})"
        return Rescale((f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {kind}",))
    value = f"{column} * {10**more}"
    return Rescale((f"UPDATE {name} SET {column} = {value} WHERE {column} IS NOT NULL",) if more else ())


class Offers:
    """What becomes of the values of one part as those of another."""

    def __init__(self, before: Part, after: Part) -> None:
        self._before = before
        self._after = after
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._convert)

    def convert(self, value: Any) -> tuple[Any, bool]:
        """(new value or ``None`` when the new type does not hold it, whether it says the same)."""
        if value is None:
            return None, True
        try:
            return self._remembered(value)
        except TypeError:  # a value that cannot be a key of the memory: JSON
            return self._convert(value)

    def _convert(self, value: Any) -> tuple[Any, bool]:
        for offered in self._forms(value):
            try:
                made = self._after.coerce(offered)
            except Invalid:
                continue
            if made is not None:
                return made, says_the_same(made, value)
        return None, False

    def _forms(self, value: Any) -> Iterator[Any]:
        yield value
        if self._before.dump is not None:
            yield self._before.dump(value)
        yield as_text(value)
        if isinstance(value, tuple):
            yield value[0] if len(value) == 1 else ";".join(value)
        elif isinstance(value, str):
            yield [value]
        elif isinstance(value, date) and not isinstance(value, datetime):
            yield datetime(value.year, value.month, value.day, tzinfo=UTC)
        number = _number(value)
        if number is not None:
            try:
                rounded = number.quantize(Decimal(1).scaleb(-(self._after.scale or 0)), ROUND_HALF_UP)
            except InvalidOperation:
                return
            yield rounded
            if rounded == rounded.to_integral_value():
                yield int(rounded)


def says_the_same(made: Any, value: Any) -> bool:
    """Whether nothing of ``value`` was lost when ``made`` was made of it."""
    if isinstance(value, str) and isinstance(made, str):
        return made == value
    if isinstance(value, datetime) and isinstance(made, date) and not isinstance(made, datetime):
        return value.time() == time()
    before, after = _number(value), None if isinstance(made, str) else _number(made)
    return before is None or after is None or before == after


def as_text(value: Any) -> str:
    """A value as a person would write it into a text field."""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return str(int(value.total_seconds()))
        case tuple():
            return ";".join(map(str, value))
        case dict() | list():
            return orjson.dumps(value).decode()
    return str(value)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal | int):
        return Decimal(value)
    if isinstance(value, str):
        try:
            number = Decimal(value.strip())
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return None
