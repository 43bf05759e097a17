"""Checks of what a package carries beside its metadata: tests and reference data.

Both speak of objects, keys and roles; these are looked up in the compiled registry, and a name that is not there is
reported with the nearest one that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.metadata.names import shape_problem, suggestion
from ratoon.platform.metadata.report import Path, Report

ACTIONS: tuple[str, ...] = ("create", "update", "move", "delete", "restore")
"""What a step of a test may do."""


def check_carried(documents: Iterable[Document], registry: Registry, report: Report) -> None:
    """Reports every name in tests and reference data that is not there."""
    check = _Check(registry, report)
    for document in documents:
        if document.kind == "data":
            check.data(document)
        elif document.kind == "test":
            check.test(document)


class _Check:
    def __init__(self, registry: Registry, report: Report) -> None:
        self._registry = registry
        self._report = report

    def data(self, document: Document) -> None:
        """A document of records."""
        data = document.data
        obj = self._object(document, ("object",), data["object"])
        if obj is None:
            return
        key = data["key"]
        field = obj.fields.get(key)
        if field is None or not (field.external_id or field.unique):
            fitting = [f.name for f in obj.fields.values() if f.external_id or f.unique]
            message = say(
                "{key} is not an external id or unique field of {object}.", key=repr(key), object=repr(obj.name)
            )
            self._report.add(
                document, ("key",), "unknown_field", message, suggestion(key, fitting, say("fields that fit"))
            )
        seen: set[str] = set()
        for place, record in enumerate(data["records"]):
            path: Path = ("records", place)
            value = record.get(key)
            if value is None:
                self._report.add(
                    document, path, "missing_key", say("The record has no {key}, by which it is found.", key=repr(key))
                )
            elif str(value) in seen:
                self._report.add(document, (*path, key), "duplicate", say("{value} occurs twice.", value=repr(value)))
            seen.add(str(value))
            self._keys(document, path, obj, record)

    def test(self, document: Document) -> None:
        """A test."""
        problem = shape_problem(document.data["name"])
        if problem is not None:
            self._report.add(document, ("name",), "bad_name", *problem)
        known: dict[str, Object | None] = {}
        for place, record in enumerate(document.data.get("given", ())):
            self._record(document, ("given", place), record, known)
        for place, step in enumerate(document.data["steps"]):
            self._step(document, ("steps", place), step, known)

    def _step(self, document: Document, path: Path, step: Mapping[str, Any], known: dict[str, Object | None]) -> None:
        roles = step.get("as", {}).get("roles", ())
        there = self._registry.roles
        for i, role in enumerate(roles):
            if role not in there:
                at = (*path, "as", "roles", i)
                self._report.add(
                    document,
                    at,
                    "unknown_role",
                    say("There is no role {role}.", role=repr(role)),
                    suggestion(role, there, say("roles")),
                )
        action = next(name for name in ACTIONS if name in step)
        done = step[action]
        if action == "create":
            self._record(document, (*path, action), done, known)
        elif self._known(document, (*path, action, "record"), done["record"], known):
            obj = known[done["record"]]
            if obj is not None:
                self._keys(document, (*path, action, "values"), obj, done.get("values", {}))
        then = step.get("then", {})
        for name, values in then.get("values", {}).items():
            at = (*path, "then", "values", name)
            if self._known(document, at, name, known) and (found := known[name]) is not None and values:
                self._keys(document, at, found, values)
        for i, looked in enumerate(then.get("found", ())):
            at = (*path, "then", "found", i)
            obj = self._object(document, (*at, "object"), looked["object"])
            if obj is not None:
                self._keys(document, (*at, "values"), obj, looked.get("values", {}))

    def _record(
        self, document: Document, path: Path, record: Mapping[str, Any], known: dict[str, Object | None]
    ) -> None:
        obj = self._object(document, (*path, "object"), record["object"])
        for key, value in record["values"].items():
            if isinstance(value, str) and value.startswith("@") and not value.startswith("@@"):
                self._known(document, (*path, "values", key), value[1:], known)
        if "record" in record:
            known[record["record"]] = obj
        if obj is not None:
            self._keys(document, (*path, "values"), obj, record["values"])

    def _known(self, document: Document, path: Path, name: str, known: Mapping[str, Object | None]) -> bool:
        if name in known:
            return True
        message = say("The test has no record {name} at this point.", name=repr(name))
        self._report.add(document, path, "unknown_record", message, suggestion(name, known, say("records")))
        return False

    def _object(self, document: Document, path: Path, name: str) -> Object | None:
        obj = self._registry.objects.get(name)
        if obj is None and not self._report.suspected(name):
            hint = self._report.elsewhere(name) or suggestion(name, self._registry.objects, say("objects"))
            self._report.add(document, path, "unknown_object", say("There is no object {name}.", name=repr(name)), hint)
        return obj

    def _keys(self, document: Document, path: Path, obj: Object, values: Mapping[str, Any]) -> None:
        for key in values:
            name = key.partition(".")[0]
            if key not in obj.parts and not (name != key and name in obj.fields) and not self._report.suspected(name):
                hint = suggestion(key, obj.parts, say("keys"))
                self._report.add(
                    document,
                    (*path, key),
                    "unknown_field",
                    say("{object} has no key {key}.", object=repr(obj.name), key=repr(key)),
                    hint,
                )
