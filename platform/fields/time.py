"""time: a time of day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

from sqlalchemy import Time

from ratoon.platform.fields import display, time_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import ORDER_OPERATORS, column, part
from ratoon.platform.formulas.types import Type

TIME_PATTERN = r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"


def time_part(key: str, *, writable: bool = True) -> Part:
    """A time of day, without a date or a time zone."""
    return part(
        key,
        sql=column(Time),
        coerce=time_values.time_of_day,
        dump=time.isoformat,
        schema={"type": "string", "pattern": TIME_PATTERN},
        formula=Type.TIME,
        operators=ORDER_OPERATORS,
        writable=writable,
    )


class TimeType(FieldType):
    """A time of day, without a date or a time zone."""

    name = "time"
    label = "Time"
    description = "A time of day, without a date or a time zone."
    icon = "clock"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (time_part(spec.name),)

    def widget(self, spec: FieldSpec) -> str:
        return "time"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.time_of_day(value, locale)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"{seed % 24:02d}:{seed % 60:02d}:00"}
