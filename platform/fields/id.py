"""id: the key of a record. Every object has one; documents do not declare it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import reference_part


class IdType(FieldType):
    """The key of a record: a UUID, ordered by the time it was made."""

    name = "id"
    label = "Id"
    description = "The key of a record, given by the platform."
    icon = "key"
    computed = True
    internal = True

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (reference_part(spec.name, writable=False),)

    def widget(self, spec: FieldSpec) -> str:
        return "readonly"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {}
