"""duration: a length of time, in whole seconds. In formulas it is that number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger

from ratoon.platform.fields import display, time_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import ORDER_OPERATORS, column, part
from ratoon.platform.formulas.types import Type


def duration_part(key: str, *, writable: bool = True) -> Part:
    """A length of time in seconds."""
    return part(
        key,
        sql=column(BigInteger),
        coerce=time_values.duration,
        schema={
            "type": "integer",
            "minimum": -time_values.LONGEST,
            "maximum": time_values.LONGEST,
            "description": "seconds",
        },
        formula=Type.NUMBER,
        operators=ORDER_OPERATORS,
        writable=writable,
    )


class DurationType(FieldType):
    """A length of time in seconds."""

    name = "duration"
    label = "Duration"
    description = "A length of time in seconds."
    icon = "hourglass"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (duration_part(spec.name),)

    def widget(self, spec: FieldSpec) -> str:
        return "duration"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else display.duration(value, locale)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: seed * 60 % 86_400}
