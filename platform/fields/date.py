"""date: a calendar day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Date

from ratoon.platform.fields import display, time_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import ORDER_OPERATORS, column, part
from ratoon.platform.formulas.types import Type


def date_part(key: str, *, writable: bool = True) -> Part:
    """A calendar day, the same in every time zone."""
    return part(
        key,
        sql=column(Date),
        coerce=time_values.day,
        schema={"type": "string", "format": "date"},
        formula=Type.DATE,
        operators=ORDER_OPERATORS,
        writable=writable,
    )


class DateType(FieldType):
    """A calendar day, the same in every time zone."""

    name = "date"
    label = "Date"
    description = "A calendar day, the same in every time zone."
    icon = "calendar"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (date_part(spec.name),)

    def widget(self, spec: FieldSpec) -> str:
        return "date"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.day(value, locale)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"2026-{seed % 12 + 1:02d}-{seed % 28 + 1:02d}"}
