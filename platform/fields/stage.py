"""stage: where a record stands in a pipeline, since when, and until when it is expected to move on.

Four parts: ``stage`` and ``stage_pipeline``, which people set, and ``stage_since`` and ``stage_due``, which the
platform keeps: a record is overdue in its stage when ``stage_due < NOW()``. Which names there are, and which moves are
allowed, the pipelines of the object say; the record service checks them, because a stage is only meaningful
together with its pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Text

from ratoon.platform.fields import text_values, time_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import CHOICE_OPERATORS, ORDER_OPERATORS, column, part
from ratoon.platform.fields.picklist import choice_label
from ratoon.platform.formulas.columns import UtcDateTime
from ratoon.platform.formulas.types import Type

SUFFIX = "_pipeline"
SINCE = "_since"
DUE = "_due"


class StageType(FieldType):
    """Where a record stands in a pipeline."""

    name = "stage"
    label = "Stage"
    description = "Where a record stands in a pipeline of its object."
    icon = "git-branch"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        places = (
            part(
                spec.name,
                sql=column(Text),
                coerce=text_values.name,
                schema={"type": "string", "maxLength": 80},
                formula=Type.PICKLIST,
                operators=CHOICE_OPERATORS,
                suffix=suffix,
                label=label,
            )
            for suffix, label in (("", ""), (SUFFIX, "Pipeline"))
        )
        moments = (
            part(
                spec.name,
                sql=column(UtcDateTime),
                coerce=time_values.moment,
                schema={"type": "string", "format": "date-time"},
                formula=Type.DATETIME,
                operators=ORDER_OPERATORS,
                suffix=suffix,
                label=label,
                writable=False,
            )
            for suffix, label in ((SINCE, "Since"), (DUE, "Expected until"))
        )
        return (*places, *moments)

    def widget(self, spec: FieldSpec) -> str:
        return "stage"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else choice_label(spec, value)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: spec.choices[0].value} if spec.choices else {}
