"""lookup: points at a record of another object."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import reference_part, sample_id

ON_DELETE: Mapping[str, Any] = {
    "enum": ["restrict", "set_null", "cascade"],
    "default": "set_null",
    "description": "What happens here when the record pointed at is deleted: restrict refuses the deletion, "
    "set_null empties this field, cascade deletes this record too.",
}
RELATED_LABEL: Mapping[str, Any] = {
    "type": "string",
    "description": "Title of the list of these records on the page of the record pointed at.",
}
RELATED_NAME: Mapping[str, Any] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,39}$",
    "description": "What formulas of the record pointed at call these records: lines in SUM(lines.amount). "
    "Without it they answer to the object's name and to the title of their list.",
}
FILTER: Mapping[str, Any] = {
    "type": "string",
    "description": "A formula over the record pointed at: only records for which it is true may be chosen. "
    "$source.x is field x of this record.",
}


class LookupType(FieldType):
    """Points at a record of another object."""

    name = "lookup"
    label = "Lookup"
    description = "Points at a record of another object."
    icon = "arrow-up-right"
    reference = True
    required_options: ClassVar[tuple[str, ...]] = ("object",)
    options = MappingProxyType(
        {
            "object": {"type": "string", "description": "Name of the object this field points at."},
            "on_delete": ON_DELETE,
            "filter": FILTER,
            "related_label": RELATED_LABEL,
            "related_name": RELATED_NAME,
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (reference_part(spec.name),)

    def widget(self, spec: FieldSpec) -> str:
        return "lookup"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: sample_id(seed)}
