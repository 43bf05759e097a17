"""The operations that the OpenAPI document describes: parameters, bodies and answers of every path.

One place per path; ``tests/platform/api`` compares this list with the routes that exist, so neither can fall behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.engine import Engine

Operations = dict[str, Any]
JSON = "application/json"
PROBLEM = "application/problem+json"


def reference(name: str) -> dict[str, Any]:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def query(name: str, description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """A query parameter."""
    return {"name": name, "in": "query", "description": description, "schema": schema or {"type": "string"}}


def header(name: str, description: str, pattern: str) -> dict[str, Any]:
    """A header parameter."""
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def path_parameter(name: str, description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """A part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema or {"type": "string"},
    }


def number(highest: int, default: int) -> dict[str, Any]:
    """The schema of a limit."""
    return {"type": "integer", "minimum": 1, "maximum": highest, "default": default}


FLAG: dict[str, Any] = {"type": "string", "enum": ["true", "false"], "default": "false"}
UUID: dict[str, Any] = {"type": "string", "format": "uuid"}
ETAG = {"ETag": {"description": "the record's version", "schema": {"type": "string"}}}
FIELDS = query("fields", "keys to return, separated by commas; all when absent")
EXPAND = query("expand", "lookups whose records come along, separated by commas")
FILTER = query("filter", "a formula; records for which it is true")
ACKNOWLEDGE = query("acknowledge", "save in spite of warnings", FLAG)
IF_MATCH = header(
    "If-Match", "the ETag that was seen: a stale change is refused with 409", r'^(W/)?"[0-9]{1,15}"$|^\*$'
)
IDEMPOTENCY = header("Idempotency-Key", "repeat the call with the same key and get the same answer", "^[!-~]{1,255}$")


def answers(description: str, schema: dict[str, Any], status: int = 200, **more: Any) -> dict[str, Any]:
    """The answers of an operation: what it gives when it works, and a problem document otherwise."""
    problem = {"description": "refused", "content": {PROBLEM: {"schema": reference("_problem")}}}
    worked = {"description": description, "content": {JSON: {"schema": schema}}, **more}
    return {str(status): worked, "default": problem}


def body(schema: dict[str, Any]) -> dict[str, Any]:
    """A required JSON body."""
    return {"required": True, "content": {JSON: {"schema": schema}}}


def operation(
    id: str, summary: str, tag: str, responses: dict[str, Any], *parameters: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """One operation."""
    made: dict[str, Any] = {"operationId": id, "summary": summary, "tags": [tag], "responses": responses, **more}
    if parameters:
        made["parameters"] = list(parameters)
    return made


class RecordOperations:
    """The paths of one object's records."""

    def __init__(self, obj: Object, engine: Engine, actor: Actor, label: Callable[[str, str], str]) -> None:
        self._object = obj
        self._name = obj.name
        self._label = label
        policy = engine.policy
        self._may_create = policy.may(actor, obj.name, "create")
        self._may_edit = policy.may(actor, obj.name, "edit")
        self._may_delete = policy.may(actor, obj.name, "delete")
        self._may_export = policy.may(actor, obj.name, "export")
        readable = policy.readable_keys(actor, obj.name)
        self._external = [
            field.name
            for field in obj.fields.values()
            if (field.external_id or field.unique)
            and not field.system
            and not field.computed
            and field.name in readable
        ]
        self._lookups = [field.name for field in obj.references if field.name in readable]
        self._staged = obj.stage_field is not None
        computed = (f for f in obj.fields.values() if f.formula is not None or f.rollup is not None)
        self._computed = [field.name for field in computed if field.name in readable]

    def paths(self) -> Iterator[tuple[str, Operations]]:
        """(path, operations) pairs."""
        here = f"/records/{self._name}"
        yield here, self._collection()
        yield f"{here}/aggregate", {"get": self._aggregate()}
        if self._may_export:
            yield f"{here}/export", {"get": self._export()}
        yield f"{here}/{{id}}", self._record()
        yield f"{here}/{{id}}/history", {"get": self._history()}
        for field in self._computed:
            yield f"{here}/{{id}}/explain/{field}", {"get": self._explain(field)}
        if self._staged:
            yield f"{here}/{{id}}/stages", {"get": self._stages()}
        if self._may_delete:
            yield f"{here}/{{id}}/restore", {"post": self._restore()}
        if self._may_create and self._may_edit:
            for field in self._external:
                yield f"{here}/{field}", {"put": self._upsert_many(field)}
                yield f"{here}/{field}/{{value}}", {"put": self._upsert(field)}
        yield f"/objects/{self._name}", {"get": self._describe()}
        for field in self._lookups:
            yield f"/objects/{self._name}/lookups/{field}", {"post": self._lookup(field)}

    def _make(self, verb: str, summary: str, responses: Any, *parameters: Any, **more: Any) -> dict[str, Any]:
        label = self._label(self._object.plural_label, self._object.owner)
        return operation(f"{verb}_{self._name}", f"{label}: {summary}", self._name, responses, *parameters, **more)

    def _id(self) -> dict[str, Any]:
        return path_parameter("id", "the record", UUID)

    def _collection(self) -> Operations:
        page = answers("a page of records", reference(f"{self._name}_records"))
        made: Operations = {
            "get": self._make(
                "list",
                "list",
                page,
                FILTER,
                query("sort", "keys separated by commas, `-` before a key for descending"),
                query("limit", "records on a page", number(500, 50)),
                query("cursor", "`next_cursor` of the page before"),
                FIELDS,
                EXPAND,
                query("view", "name of a view whose filter and sort apply"),
                query("deleted", "the deleted records instead", FLAG),
                query("count", "tell the total too, up to 10,000", FLAG),
            )
        }
        if self._may_create:
            one, many = reference(f"{self._name}_new"), reference(f"{self._name}_records")
            made["post"] = self._make(
                "create",
                "make one, or many at once",
                answers("made", {"anyOf": [reference(self._name), many]}, 201),
                ACKNOWLEDGE,
                IDEMPOTENCY,
                requestBody=body({"anyOf": [one, {"type": "array", "items": one}]}),
            )
        if self._may_edit:
            item = {
                "allOf": [
                    reference(f"{self._name}_change"),
                    {"type": "object", "properties": {"id": UUID, "version": {"type": "integer"}}, "required": ["id"]},
                ]
            }
            made["patch"] = self._make(
                "update_many",
                "change many at once",
                answers("changed", reference(f"{self._name}_records")),
                ACKNOWLEDGE,
                requestBody=body({"type": "array", "items": item}),
            )
        return made

    def _record(self) -> Operations:
        record = reference(self._name)
        made: Operations = {
            "get": self._make(
                "read", "read one", answers("the record", record, headers=ETAG), self._id(), FIELDS, EXPAND
            )
        }
        if self._may_edit:
            made["patch"] = self._make(
                "update",
                "change one",
                answers("changed", record, headers=ETAG),
                self._id(),
                ACKNOWLEDGE,
                IF_MATCH,
                requestBody=body(reference(f"{self._name}_change")),
            )
        if self._may_delete:
            gone = answers("deleted", {})
            del gone["200"]
            made["delete"] = self._make(
                "delete", "delete one", {"204": {"description": "deleted"}, **gone}, self._id(), IF_MATCH
            )
        return made

    def _aggregate(self) -> dict[str, Any]:
        return self._make(
            "aggregate",
            "figures per group",
            answers("one item per group", reference("_groups")),
            FILTER,
            query("group_by", "keys separated by commas; absent = one group of all"),
            query("measures", "`count`, `sum:amount`, `min:…`, `max:…`, `avg:…`, separated by commas"),
            query("limit", "groups at most", number(1000, 1000)),
        )

    def _export(self) -> dict[str, Any]:
        taken = answers("the list as CSV", {})
        taken["200"]["content"] = {"text/csv": {"schema": {"type": "string"}}}
        sort = query("sort", "keys separated by commas, `-` before a key for descending")
        view = query("view", "name of a view whose filter and sort apply")
        return self._make("export", "take the list out as CSV", taken, FILTER, sort, FIELDS, view)

    def _history(self) -> dict[str, Any]:
        return self._make(
            "history",
            "what was changed on one",
            answers("the changes, newest first", reference("_history")),
            self._id(),
            query("limit", "entries at most", number(500, 100)),
        )

    def _stages(self) -> dict[str, Any]:
        return self._make("stages", "the stages one was in", answers("oldest first", reference("_stages")), self._id())

    def _explain(self, field: str) -> dict[str, Any]:
        return self._make(
            f"explain_{field}_of",
            f"why {field} has its value",
            answers("its formula part by part, or the records of its rollup", {"type": "object"}),
            self._id(),
        )

    def _restore(self) -> dict[str, Any]:
        worked = answers("the record", reference(self._name), headers=ETAG)
        return self._make("restore", "bring back a deleted one", worked, self._id())

    def _upsert(self, field: str) -> dict[str, Any]:
        record = reference(self._name)
        responses = answers("changed", record, headers=ETAG)
        responses["201"] = {**responses["200"], "description": "made"}
        return self._make(
            f"upsert_by_{field}",
            f"make or change the one with that {field}",
            responses,
            path_parameter("value", f"the value of {field}"),
            ACKNOWLEDGE,
            requestBody=body(reference(f"{self._name}_change")),
        )

    def _upsert_many(self, field: str) -> dict[str, Any]:
        return self._make(
            f"upsert_many_by_{field}",
            f"make or change many, each by its {field}",
            answers("made or changed", reference(f"{self._name}_records")),
            ACKNOWLEDGE,
            requestBody=body({"type": "array", "items": reference(f"{self._name}_change")}),
        )

    def _describe(self) -> dict[str, Any]:
        return self._make(
            "describe", "fields, rules, pipelines, views", answers("the object", reference("_described_object"))
        )

    def _lookup(self, field: str) -> dict[str, Any]:
        return self._make(
            f"lookup_{field}_of",
            f"what {field} may point at",
            answers("records that fit", reference("_search")),
            requestBody=body(reference("_lookup_call")),
        )


def fixed_paths() -> Iterator[tuple[str, Operations]]:
    """The paths that do not depend on metadata."""
    yield "/", {"get": operation("index", "Where to begin", "general", answers("addresses", {"type": "object"}))}
    yield "/me", {"get": operation("me", "Who am I", "general", answers("you", reference("_me")))}
    yield "/objects", {"get": operation("objects", "All objects", "general", answers("them", reference("_objects")))}
    yield (
        "/formulas/functions",
        {
            "get": operation(
                "functions",
                "The functions of the formula language",
                "general",
                answers("them, with signatures and examples", {"type": "object"}),
            )
        },
    )
    yield (
        "/search",
        {
            "get": operation(
                "search",
                "Records of any object by words",
                "general",
                answers("best first", reference("_search")),
                {**query("q", "the words; the last may be the beginning of one"), "required": True},
                query("objects", "names separated by commas; all when absent"),
                query("limit", "records at most", number(100, 20)),
            )
        },
    )
