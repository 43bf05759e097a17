"""The OpenAPI 3.1 document, made from the live metadata: what this caller may use, in the language asked for.

Every object has paths of its own with exact schemas, so that a client generator makes typed code. A document is made
once per revision, set of rights and locale, and kept; its ETag tells a client whether it changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marshmallow import Schema

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.access_operations import admin_paths, my_paths, person_paths, record_paths
from ratoon.platform.api.approvals import approval_paths
from ratoon.platform.api.approvals import record_paths as approval_record_paths
from ratoon.platform.api.audit import audit_paths, audit_schema
from ratoon.platform.api.metadata_operations import metadata_paths
from ratoon.platform.api.operations import RecordOperations, fixed_paths, reference
from ratoon.platform.api.rows import to_json
from ratoon.platform.api.run_operations import run_paths
from ratoon.platform.api.shapes import FIXED
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.engine import Engine

if TYPE_CHECKING:
    from apispec import APISpec

Label = Callable[[str, str], str]
CONVENTIONS = (
    "Send the header Authorization: Bearer and a token.",
    "A list goes page by page: pass next_cursor of one answer as cursor of the next call.",
    'A filter is a formula over the record: amount > 1000 && CONTAINS(account.name, "Ltd").',
    "A record's version is its ETag: send it back as If-Match and nobody's change is lost.",
    "A POST with an Idempotency-Key can be repeated safely: the second call gets the answer of the first.",
    'Numbers with decimals are texts ("1200.00"), so that they stay exact; numbers are accepted too.',
    "Too many calls in a minute are refused with 429 and a Retry-After.",
    "Every refusal is a problem document (RFC 9457) with one stable code.",
)


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value that may also be blank."""
    made = dict(schema)
    kind = made.get("type")
    if kind is None:
        return made if not any(word in made for word in ("enum", "anyOf", "oneOf", "const")) else _or_null(made)
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    made["type"] = [*([kind] if isinstance(kind, str) else kind), "null"]
    return made


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


class RecordSchemas:
    """The schemas of one object's records."""

    def __init__(self, obj: Object, engine: Engine, actor: Actor, label: Label) -> None:
        self._object = obj
        self._readable = engine.policy.readable_keys(actor, obj.name)
        self._editable = engine.policy.editable_keys(actor, obj.name) & set(engine.plans[obj.name].coerce)
        self._label = label

    def record(self) -> dict[str, Any]:
        """A record as it is answered."""
        made = {
            part.key: self._property(part.key) for part in self._object.parts.values() if part.key in self._readable
        }
        for key in ("id", "version"):
            made[key] = {**self._object.parts[key].json_schema, "title": self._title(key)}
        made["expanded"] = {
            "type": "object",
            "description": "the records behind the lookups named by `expand`",
            "additionalProperties": {"type": ["object", "null"]},
        }
        return {
            "type": "object",
            "description": self._label(self._object.description, self._object.owner),
            "properties": made,
            "required": ["id", "version"],
            "additionalProperties": False,
        }

    def input(self, *, new: bool) -> dict[str, Any]:
        """A record as it is sent."""
        made = {key: self._property(key) for key in self._object.parts if key in self._editable}
        fields = self._object.fields.values()
        needed = [f.name for f in fields if f.required and f.default is None and f.name in made] if new else []
        schema: dict[str, Any] = {"type": "object", "properties": made}
        if needed:
            schema["required"] = needed
        return schema

    def _property(self, key: str) -> dict[str, Any]:
        part, field = self._object.parts[key], self._object.field_of[key]
        schema = nullable(part.json_schema)
        schema["title"] = self._title(key)
        if field.help:
            schema["description"] = self._label(field.help, field.owner)
        if not part.writable or field.computed:
            schema["readOnly"] = True
        return schema

    def _title(self, key: str) -> str:
        part, field = self._object.parts[key], self._object.field_of[key]
        own = self._label(field.label, field.owner)
        return f"{own}: {self._label(part.label, field.owner)}" if part.label else own


@dataclass(frozen=True)
class Published:
    """A document, and how it is answered."""

    document: dict[str, Any]
    body: bytes
    etag: str


class Documents:
    """OpenAPI documents of one environment, kept while their revision stands."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._revision = -1
        self._made: dict[tuple[Any, ...], Published] = {}

    def published(self, engine: Engine, actor: Actor, locale: str, organization: str) -> Published:
        """The document for this caller."""
        if engine.registry.revision != self._revision:
            self._revision, self._made = engine.registry.revision, {}
        key = (actor.admin, actor.rights, locale)
        if key not in self._made:
            document = self._make(engine, actor, locale, organization)
            body = to_json(document)
            self._made[key] = Published(document, body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
        return self._made[key]

    def _make(self, engine: Engine, actor: Actor, locale: str, organization: str) -> dict[str, Any]:
        # Imported when somebody asks for the document, so that the start of a server does not wait for it.
        from apispec import APISpec
        from apispec.ext.marshmallow import MarshmallowPlugin

        def label(text: str, package: str) -> str:
            return engine.registry.text(text, locale, package) if text else text

        spec = APISpec(
            title=f"{organization} API",
            version=f"1.{engine.registry.revision}",
            openapi_version="3.1.0",
            info={"description": "\n".join(f"* {line}" for line in CONVENTIONS)},
            plugins=[MarshmallowPlugin(schema_name_resolver=_shape_name)],
            servers=[{"url": self._base}],
            security=[{"bearer": []}],
        )
        spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
        for name, shape in FIXED.items():
            spec.components.schema(f"_{name}", schema=shape)
        if actor.admin:
            spec.components.schema("_audit", component=audit_schema())
        managing = (*metadata_paths(), *admin_paths(), *audit_paths()) if actor.admin else ()
        for path, operations in (*fixed_paths(), *my_paths(), *run_paths(actor.admin), *approval_paths(), *managing):
            spec.path(path=path, operations=operations)
        for obj in engine.policy.objects(actor):
            for path, operations in self._add_object(spec, obj, engine, actor, label):
                spec.path(path=path, operations=operations)
            for path, operations in record_paths(obj.name, engine.policy.may(actor, obj.name, "edit")):
                spec.path(path=path, operations=operations)
            if obj.person and engine.policy.may(actor, obj.name, "export"):
                for path, operations in person_paths(obj.name, actor.admin):
                    spec.path(path=path, operations=operations)
            spec.tag({"name": obj.name, "description": label(obj.plural_label, obj.owner)})
        return dict(spec.to_dict())

    def _add_object(
        self, spec: APISpec, obj: Object, engine: Engine, actor: Actor, label: Label
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        schemas = RecordSchemas(obj, engine, actor, label)
        add = spec.components.schema
        add(obj.name, component=schemas.record(), lazy=False)
        add(f"{obj.name}_new", component=schemas.input(new=True))
        add(f"{obj.name}_change", component=schemas.input(new=False))
        add(f"{obj.name}_records", component=_envelope(obj.name))
        yield from RecordOperations(obj, engine, actor, label).paths()
        yield from approval_record_paths(obj.name, may_edit=engine.policy.may(actor, obj.name, "edit"))


def _envelope(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "records": {"type": "array", "items": reference(name)},
            "next_cursor": {"type": ["string", "null"], "description": "pass it as `cursor`; null = the last page"},
            "total": {"type": ["integer", "null"], "description": "with `count=true`; 10001 = more than 10,000"},
            "created": {"type": "array", "items": {"type": "boolean"}, "description": "upsert: was it made?"},
        },
        "required": ["records"],
        "additionalProperties": False,
    }


def _shape_name(schema: Any) -> str:
    """The component name of a nested shape: ``ProblemErrorShape`` → ``_ProblemError``."""
    kind = schema if isinstance(schema, type) else type(schema)
    assert issubclass(kind, Schema)
    return "_" + kind.__name__.removesuffix("Shape")
