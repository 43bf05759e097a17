"""The JSON Schemas (2020-12) of metadata documents: what an editor completes and the check begins with.

``schemas/<kind>.json`` are written by hand. ``schemas/field.json`` follows from the field types, which bring their own
keywords with descriptions; a test keeps the file equal to ``field_schema(builtin_types())``, and
``python -m ratoon.platform.metadata.schemas FOLDER`` writes it. Types of plugins are part of the schemas that
``ratoon init`` writes beside a package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.metadata.documents import KINDS

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FILES: Mapping[str, str] = {kind: "manifest.json" if kind == "package" else f"{kind}.json" for kind in KINDS}
"""Kind → file name of its schema."""
FIELD_FILE = "field.json"


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "default": False, "description": description, "examples": [True]}


def _text(description: str, example: str, longest: int = 2000) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest, "description": description, "examples": [example]}


def _formula(description: str, example: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": 10_000, "description": description, "examples": [example]}


COMMON: Mapping[str, Mapping[str, Any]] = {
    "name": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]*$",
        "maxLength": 40,
        "description": "Name of the field: its column, its key in the API, its name in formulas. Stable.",
        "examples": ["born_on"],
    },
    "label": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "description": "What people read.",
        "examples": ["Date of birth"],
    },
    "required": _flag("True: no record without a value."),
    "unique": _flag("True: no two live records with the same value."),
    "external_id": _flag("True: the key of the record in another system; unique, and usable to upsert."),
    "default": _formula("A formula for the value of a new record that brings none.", "TODAY()"),
    "help": _text("A sentence beside the field in the form.", "As it stands in the passport."),
    "placeholder": _text("A pale example inside the empty field.", "Rex", 255),
    "searchable": _flag("True: the global search looks into this field."),
    "track_history": _flag("True: every change is kept with who, when, before and after."),
    "sensitivity": {
        "enum": ["none", "personal", "sensitive"],
        "default": "none",
        "description": "How carefully the value must be handled: none; personal = it tells who somebody is or how to "
        "reach them; sensitive = nobody should know it without need. Erasing a person empties both kinds.",
        "examples": ["personal"],
    },
    "visible_when": _formula("The field is there only when this is true; otherwise it stays blank.", 'species = "dog"'),
    "required_when": _formula("The field must be filled in when this is true.", "NOT(ISBLANK(chip_number))"),
    "read_only_when": _formula("The field cannot be changed when this is true.", "paid"),
    "renamed_from": {
        "type": ["string", "array"],
        "items": {"type": "string", "description": "An earlier name."},
        "description": "The earlier name of the field, or several. Values, references and formulas follow; the API "
        "answers to it until this is taken out.",
        "examples": ["birthday"],
    },
    "description": _text("Words for the admins who read this document. Users do not see it.", "Law of 2019.", 4000),
}
"""Keywords of every field."""
_NOT_COMPUTED = ("required", "default", "placeholder", "required_when", "read_only_when")
"""Keywords that make no sense for a field nobody writes."""


def type_schema(types: FieldTypes, name: str) -> dict[str, Any]:
    """The schema of a field of one type, with every keyword it takes and no other."""
    kind = types[name]
    common = {key: spec for key, spec in COMMON.items() if not (kind.computed and key in _NOT_COMPUTED)}
    properties: dict[str, Any] = {**common, "type": {"const": name, "description": kind.description}, **kind.options}
    return {
        "type": "object",
        "required": ["name", "type", "label", *kind.required_options],
        "properties": properties,
        "additionalProperties": False,
    }


def field_schema(types: FieldTypes) -> dict[str, Any]:
    """The schema of a field of any type, in the form that editors understand best."""
    names = types.declarable()
    listed = "; ".join(f"{name}: {types[name].description}" for name in names)
    return {
        "$schema": DRAFT,
        "title": "Ratoon field",
        "description": "A field of an object. Which keywords there are depends on the type.",
        "type": "object",
        "required": ["name", "type", "label"],
        "properties": {
            **COMMON,
            "type": {"enum": list(names), "description": f"The type of the field. {listed}", "examples": ["text"]},
        },
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {
                    "required": list(types[name].required_options),
                    "properties": {key: _plain(spec) for key, spec in types[name].options.items()},
                },
            }
            for name in names
        ],
        "unevaluatedProperties": False,
        "examples": [{"name": "born_on", "type": "date", "label": "Date of birth"}],
    }


def load_schema(kind: str) -> dict[str, Any]:
    """The hand-written schema of a kind of document."""
    loaded: dict[str, Any] = json.loads(files("ratoon.schemas").joinpath(FILES[kind]).read_text(encoding="utf-8"))
    return loaded


def schema_files(types: FieldTypes) -> dict[str, str]:
    """File name → text of every schema, with the given field types."""
    found = {FILES[kind]: as_text(load_schema(kind)) for kind in KINDS}
    found[FIELD_FILE] = as_text(field_schema(types))
    return found


def as_text(schema: Mapping[str, Any]) -> str:
    """A schema as it stands in its file (keys keep their order, which is the reader's)."""
    return json.dumps(schema, indent=2, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def main(arguments: list[str]) -> int:
    """Writes ``field.json`` of the built-in types into a folder."""
    from ratoon.platform.fields import builtin_types

    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m ratoon.platform.metadata.schemas FOLDER\n")
        return 2
    (Path(arguments[0]) / FIELD_FILE).write_text(as_text(field_schema(builtin_types())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
