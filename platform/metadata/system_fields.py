"""The fields that every object has, after its own: who made the record and when, its owner, its version.

Only ``owner`` is writable. They are ordinary fields with ``system=True``; their specs and parts are built once per
compilation and shared by all objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ratoon.platform.fields.base import FieldSpec, FieldType, FieldTypes, Part

_DECLARED: tuple[tuple[str, str, str], ...] = (
    ("id", "id", "ID"),
    ("created_at", "datetime", "Created"),
    ("created_by", "user", "Created by"),
    ("modified_at", "datetime", "Last modified"),
    ("modified_by", "user", "Last modified by"),
    ("owner", "user", "Owner"),
    ("version", "integer", "Version"),
    ("deleted_at", "datetime", "Deleted"),
)


@dataclass(frozen=True, slots=True)
class SystemField:
    """A system field before it is bound to an object."""

    spec: FieldSpec
    type: FieldType
    parts: tuple[Part, ...]


def system_fields(types: FieldTypes) -> tuple[SystemField, ...]:
    """The system fields, in the order in which they follow the declared ones."""
    made = []
    for name, type_name, label in _DECLARED:
        kind = types[type_name]
        spec = FieldSpec(name, type_name, label, targets=("user",) if type_name == "user" else ())
        parts = tuple(replace(part, writable=name == "owner") for part in kind.parts(spec))
        made.append(SystemField(spec, kind, parts))
    return tuple(made)
