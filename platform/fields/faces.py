"""Builds parts: one function call per face set, so that a type's module reads as a declaration.

The marshmallow field and the API share the one coercion of the part, so no two ways in can disagree about a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

import marshmallow as ma
import orjson
from sqlalchemy import Text
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import Invalid
from ratoon.platform.fields import number_values, text_values
from ratoon.platform.fields.base import Coerce, Dump, Part
from ratoon.platform.formulas.columns import ExactDecimal, Id
from ratoon.platform.formulas.types import Type

TEXT_OPERATORS = ("contains", "eq", "ne", "starts", "in", "blank", "filled")
ORDER_OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge", "blank", "filled")
CHOICE_OPERATORS = ("eq", "ne", "in", "blank", "filled")
FLAG_OPERATORS = ("eq", "blank", "filled")
PRESENCE_OPERATORS = ("blank", "filled")
MAX_PRECISION = 18
"""Digits that both databases keep exactly."""


class PartField(ma.fields.Field[Any]):
    """A marshmallow field that takes and gives exactly what its part does."""

    def __init__(self, coerce: Coerce, dump: Dump | None, schema: Mapping[str, Any]) -> None:
        super().__init__(allow_none=True, metadata=dict(schema))
        self._coerce = coerce
        self._dump = dump

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return self._coerce(value)
        except Invalid as refused:
            raise ma.ValidationError(str(refused)) from refused

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value if value is None or self._dump is None else self._dump(value)


def part(
    key: str,
    *,
    sql: TypeEngine[Any] | None,
    coerce: Coerce,
    schema: Mapping[str, Any],
    formula: Type | None,
    operators: tuple[str, ...],
    dump: Dump | None = None,
    suffix: str = "",
    label: str = "",
    scale: int | None = None,
    writable: bool = True,
    sortable: bool = True,
) -> Part:
    """One part; its marshmallow field follows from the rest. ``key`` is the field's name, without the suffix."""
    shared = _shared(sql, coerce, orjson.dumps(schema), formula, operators, dump, scale, writable, sortable)
    return replace(shared, key=key + suffix, suffix=suffix, label=label)


@lru_cache(maxsize=1024)
def _shared(
    sql: TypeEngine[Any] | None,
    coerce: Coerce,
    schema_json: bytes,
    formula: Type | None,
    operators: tuple[str, ...],
    dump: Dump | None,
    scale: int | None,
    writable: bool,
    sortable: bool,
) -> Part:
    """What equal parts of different fields have in common: ten thousand fields need not have it ten thousand times."""
    schema = orjson.loads(schema_json)
    return Part(
        key="",
        sql=sql,
        coerce=coerce,
        dump=dump,
        formula=formula,
        json_schema=schema,
        marshmallow=lambda: PartField(coerce, dump, schema),
        operators=operators,
        scale=scale,
        writable=writable,
        sortable=sortable,
    )


@cache
def column(kind: Callable[..., TypeEngine[Any]], *args: int) -> TypeEngine[Any]:
    """A column type: one instance for all fields that have the same."""
    return kind(*args)


def text_part(
    key: str,
    max_length: int,
    *,
    coerce: Coerce | None = None,
    multiline: bool = False,
    schema: Mapping[str, Any] | None = None,
    operators: tuple[str, ...] = TEXT_OPERATORS,
    formula: Type | None = Type.TEXT,
    suffix: str = "",
    label: str = "",
    writable: bool = True,
    sortable: bool = True,
) -> Part:
    """A text column. It is always TEXT, so that a longer ``max_length`` needs no change of the table."""
    return part(
        key,
        sql=column(Text),
        coerce=coerce or text_values.text(max_length, multiline=multiline),
        schema={"type": "string", "maxLength": max_length, **(schema or {})},
        formula=formula,
        operators=operators,
        suffix=suffix,
        label=label,
        writable=writable,
        sortable=sortable,
    )


def exact(limit: Any) -> Decimal | None:
    """A limit written in a document (number or text) as an exact number."""
    return None if limit is None else Decimal(str(limit))


def decimal_part(
    key: str,
    *,
    precision: int = MAX_PRECISION,
    scale: int = 2,
    minimum: Any = None,
    maximum: Any = None,
    suffix: str = "",
    label: str = "",
    writable: bool = True,
) -> Part:
    """An exact number: text in the API, ``Decimal`` in Python, the same value on both databases."""
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    return part(
        key,
        sql=column(ExactDecimal, precision, scale),
        coerce=number_values.decimal(precision, scale, exact(minimum), exact(maximum)),
        dump=str if scale <= 6 else number_values.plain_decimal,
        schema={
            "type": "string",
            "format": "decimal",
            "pattern": rf"^-?[0-9]{{1,{max(precision - scale, 1)}}}{fraction}$",
        },
        formula=Type.NUMBER,
        operators=ORDER_OPERATORS,
        suffix=suffix,
        label=label,
        scale=scale,
        writable=writable,
    )


def reference_part(key: str, *, writable: bool = True, formula: Type | None = Type.REFERENCE) -> Part:
    """The id of a record."""
    return part(
        key,
        sql=column(Id),
        coerce=text_values.identifier,
        schema={"type": "string", "format": "uuid"},
        formula=formula,
        operators=CHOICE_OPERATORS,
        writable=writable,
    )


def sample_id(seed: int) -> str:
    """A well-formed id; no record has it."""
    return f"01900000-0000-7000-8000-{seed % 16**12:012x}"
