"""multipicklist: several of a set of values, kept in the order of the set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields.base import Coerce, FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import column, part
from ratoon.platform.fields.picklist import CHOICE_OPTIONS, choice, choice_label
from ratoon.platform.fields.refusals import refuse
from ratoon.platform.formulas.columns import Choices
from ratoon.platform.formulas.types import Type


def several(spec: FieldSpec) -> Coerce:
    """Some of the field's values, each once, from a list or from ``a;b``; an empty list is blank."""
    one = choice(spec)
    order = {option.value: place for place, option in enumerate(spec.choices)}

    def coerce(value: Any) -> tuple[str, ...] | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = value.split(";")
        elif not isinstance(value, list | tuple | set | frozenset):
            raise refuse("not_a_list")
        if len(value) > 1000 + len(order):
            raise refuse("too_many_items", max=len(order))
        chosen = {found for item in value if (found := one(item)) is not None}
        return tuple(sorted(chosen, key=order.__getitem__)) or None

    return coerce


class MultipicklistType(FieldType):
    """Several of a set of values."""

    name = "multipicklist"
    label = "Multi-select picklist"
    description = "Several values out of a list, its own or a shared one."
    icon = "list-check"
    options = CHOICE_OPTIONS

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        values = [option.value for option in spec.choices]
        return (
            part(
                spec.name,
                sql=column(Choices),
                coerce=several(spec),
                schema={"type": "array", "items": {"type": "string", "enum": values}, "uniqueItems": True},
                formula=Type.MULTI,
                operators=("includes", "blank", "filled"),
                sortable=False,
            ),
        )

    def widget(self, spec: FieldSpec) -> str:
        return "multipicklist"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        return ", ".join(choice_label(spec, value) for value in record.get(spec.name) or ())

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        active = [option.value for option in spec.choices if option.active]
        return {spec.name: active[: seed % len(active) + 1]} if active else {}
