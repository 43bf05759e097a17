"""The first check of documents: their shape, against the schemas. Every problem is said the way a person would.

``StructureCheck`` holds the validators of one list of field types; they are built when first needed and then kept. What
is refused is taken out of the copy that goes on to the compiler (a field becomes ``None``, so that the places of its
neighbours stay what they are), and its name is remembered, so that one mistake is told once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import Hint, say
from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.metadata.documents import KINDS, Document
from ratoon.platform.metadata.names import suggestion, type_suggestion
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.schemas import COMMON, load_schema, type_schema
from ratoon.platform.metadata.specs import MAX_FIELDS
from ratoon.platform.metadata.wording import describe, value_kind

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

MAX_FINDINGS = 200
"""Schema findings told per document; a document with more is broken in one way many times."""
GROUPS: Mapping[str, int] = {"fields": MAX_FIELDS, "rules": 500, "keys": 50, "indexes": 100}
"""Lists of an object whose items stand for themselves (a bad one does not spoil the others): their longest length."""


class StructureCheck:
    """Checks documents against the schemas of one list of field types."""

    def __init__(self, types: FieldTypes) -> None:
        self._types = types
        self._declarable = frozenset(types.declarable())
        self._documents: dict[str, Draft202012Validator] = {}
        self._fields: dict[str, Draft202012Validator] = {}

    def check(self, documents: Iterable[Document], report: Report) -> list[Document]:
        """The documents without the parts that the schemas refuse."""
        checked = (self._check(document, report) for document in documents)
        return [document for document in checked if document is not None]

    def _check(self, document: Document, report: Report) -> Document | None:
        if document.kind not in KINDS:
            return document
        data = dict(document.data)
        if self._too_many(document, data, report):
            return None
        validator = self._document_validator(document.kind)
        errors = list(islice(validator.iter_errors(data), MAX_FINDINGS))
        for error in errors:
            self._report(document, (), error, report)
        if len(errors) == MAX_FINDINGS:
            message = say(
                "The document has {max_findings} problems or more; the others are not listed.",
                max_findings=MAX_FINDINGS,
            )
            report.add(document, (), "too_many_problems", message)
            kept = None
        else:
            kept = self._mend(document.kind, copy.deepcopy(data), validator, report) if errors else data
        if kept is None:
            report.suspect(*(str(data[key]) for key in ("name", "object") if isinstance(data.get(key), str)))
            return None
        if document.kind in {"object", "extension"} and "fields" in kept:
            kept["fields"] = [
                self._field(document, ("fields", i), item, report) for i, item in enumerate(kept["fields"])
            ]
        return Document(document.file, document.kind, kept, document.package)

    def _too_many(self, document: Document, data: Mapping[str, Any], report: Report) -> bool:
        """True after reporting a list that is too long to be looked at item by item."""
        found = False
        for group, longest in GROUPS.items() if document.kind in {"object", "extension"} else ():
            items = data.get(group)
            if isinstance(items, list) and len(items) > longest:
                name = data.get("name", data.get("object"))
                message = say(
                    "{name} declares {count} {group}; at most {longest} are allowed.",
                    name=repr(name),
                    count=len(items),
                    group=group,
                    longest=longest,
                )
                report.add(document, (group,), f"too_many_{group}", message)
                report.suspect(str(name))
                found = True
        return found

    def _mend(
        self, kind: str, data: dict[str, Any], validator: Draft202012Validator, report: Report
    ) -> dict[str, Any] | None:
        """``data`` without what is wrong; ``None`` when nothing usable is left."""
        if kind == "object" and isinstance(data.get("name"), str) and not _is_text(data.get("label")):
            data["label"] = data["name"] or "?"
        for error in list(validator.iter_errors(data)):
            path = tuple(error.absolute_path)
            if error.validator == "additionalProperties" and (holder := _holder(data, path)) is not None:
                for key in list(_unknown_keys(error)):
                    holder.pop(key, None)
            elif len(path) > 1 and path[0] in GROUPS and kind in {"object", "extension"} and isinstance(path[1], int):
                item = data[path[0]][path[1]]
                if isinstance(item, Mapping) and isinstance(item.get("name"), str):
                    report.suspect(item["name"])
                data[path[0]] = [None if i == path[1] else v for i, v in enumerate(data[path[0]])]
            elif path:
                data.pop(str(path[0]), None)
        relaxed = {k: [v for v in items if v is not None] if k in GROUPS else items for k, items in data.items()}
        return data if next(validator.iter_errors(relaxed), None) is None else None

    def _field(self, document: Document, path: Path, item: Any, report: Report) -> Mapping[str, Any] | None:
        """The field declaration without unknown keys; ``None`` when it cannot be used."""
        if not isinstance(item, Mapping):
            hint = say('for example {"name": "born_on", "type": "date", "label": "Date of birth"}')
            report.add(
                document,
                path,
                "wrong_type",
                say("A field is an object; this is {value_kind}.", value_kind=value_kind(item)),
                hint,
            )
            return None
        name = item.get("name")
        type_name = item.get("type")
        report_name = (name,) if isinstance(name, str) else ()
        if not isinstance(type_name, str) or type_name not in self._declarable:
            self._bad_type(document, path, item, report)
            report.suspect(*report_name)
            return None
        errors = list(islice(self._field_validator(type_name).iter_errors(item), MAX_FINDINGS))
        for error in errors:
            self._report(document, path, error, report, type_name)
        good = all(error.validator == "additionalProperties" and not error.absolute_path for error in errors)
        attributes = item.get("attributes")
        if good and isinstance(attributes, Sequence):
            checked = [self._field(document, (*path, "attributes", i), a, report) for i, a in enumerate(attributes)]
            good = all(attribute is not None for attribute in checked)
        if not good:
            report.suspect(*report_name)
            return None
        unknown = {key for error in errors for key in _unknown_keys(error)}
        return {key: value for key, value in item.items() if key not in unknown} if unknown else item

    def _bad_type(self, document: Document, path: Path, item: Mapping[str, Any], report: Report) -> None:
        known = self._types.declarable()
        if "type" not in item:
            message = say("The field {name} has no type.", name=repr(item.get("name", "")))
            report.add(
                document, path, "missing_key", message, say('add "type": one of {known}', known=", ".join(known))
            )
        elif not isinstance(item["type"], str):
            message = say('"type" must be a text; this is {value_kind}.', value_kind=value_kind(item["type"]))
            report.add(document, (*path, "type"), "wrong_type", message, say('for example "type": "text"'))
        else:
            hint = type_suggestion(item["type"], known) or say("types: {known}", known=", ".join(known))
            report.add(
                document,
                (*path, "type"),
                "unknown_type",
                say("There is no field type {type}.", type=repr(item["type"])),
                hint,
            )

    def _report(
        self, document: Document, base: Path, error: ValidationError, report: Report, type_name: str = ""
    ) -> None:
        path = (*base, *error.absolute_path)
        if error.validator == "additionalProperties":
            for key in islice(sorted(_unknown_keys(error)), MAX_FINDINGS):
                known = list(error.schema.get("properties", ()))
                hint: Hint = (
                    self._elsewhere(key, type_name)
                    or suggestion(key, known)
                    or say("keys: {known}", known=", ".join(known))
                )
                report.add(
                    document, (*path, key), "unknown_key", say("There is no key {key} here.", key=repr(key)), hint
                )
            return
        code, message, hint = describe(error)
        report.add(document, path, code, message, hint)

    def _elsewhere(self, key: str, type_name: str) -> Hint:
        """A hint for a keyword that other field types take."""
        if not type_name:
            return ""
        if key in COMMON:
            return say(
                "nobody writes a field of type {type_name}, so it takes no {key}",
                type_name=repr(type_name),
                key=repr(key),
            )
        owners = [name for name in self._types.declarable() if key in self._types[name].options]
        return say("{key} goes with fields of type {owners}", key=repr(key), owners=", ".join(owners)) if owners else ""

    def _document_validator(self, kind: str) -> Draft202012Validator:
        if kind not in self._documents:
            schema = load_schema(kind)
            if "fields" in schema["properties"] and kind in {"object", "extension"}:
                schema["properties"]["fields"] = {**schema["properties"]["fields"], "items": True}
            self._documents[kind] = _validator(schema)
        return self._documents[kind]

    def _field_validator(self, type_name: str) -> Draft202012Validator:
        if type_name not in self._fields:
            self._fields[type_name] = _validator(_thawed(type_schema(self._types, type_name)))
        return self._fields[type_name]


def _thawed(value: Any) -> Any:
    """Plain dicts and lists: the validator does not take mapping proxies for objects."""
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return [_thawed(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255


def _validator(schema: Any) -> Draft202012Validator:
    """A validator; imported here because a server that applies nothing needs none."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def _unknown_keys(error: ValidationError) -> Iterator[str]:
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        yield from (key for key in error.instance if key not in error.schema.get("properties", {}))


def _holder(data: Any, path: Sequence[str | int]) -> dict[str, Any] | None:
    """The object at ``path``; ``None`` when something on the way was taken out already."""
    for step in path:
        inside_object = isinstance(data, dict) and step in data
        inside_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not (inside_object or inside_list):
            return None
        data = data[step]
    return data if isinstance(data, dict) else None
