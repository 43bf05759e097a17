"""datetime: a moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields import display, time_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import ORDER_OPERATORS, column, part
from ratoon.platform.formulas.columns import UtcDateTime
from ratoon.platform.formulas.types import Type


def datetime_part(key: str, *, writable: bool = True) -> Part:
    """A moment: stored in UTC, shown in the time zone of the user."""
    return part(
        key,
        sql=column(UtcDateTime),
        coerce=time_values.moment,
        schema={"type": "string", "format": "date-time"},
        formula=Type.DATETIME,
        operators=ORDER_OPERATORS,
        writable=writable,
    )


class DatetimeType(FieldType):
    """A moment: stored in UTC, shown in the time zone of the user."""

    name = "datetime"
    label = "Date and time"
    description = "A moment: stored in UTC, shown in the time zone of the user."
    icon = "calendar-time"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (datetime_part(spec.name),)

    def widget(self, spec: FieldSpec) -> str:
        return "datetime"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.moment(value, locale, time_zone)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"2026-11-{seed % 28 + 1:02d}T{seed % 24:02d}:00:00Z"}
