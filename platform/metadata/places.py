"""Where documents name objects, fields, stages and values: every place, once, for whoever renames or looks for uses.

``walk(document, visitor)`` goes through a document and gives every name and every formula to the visitor, which answers
what shall stand there; the result is a copy with the answers. ``PLACES`` says per kind of document what stands where:

=========== =======================================================================================
``object``  the name of an object
``field``   a field (or key) of the document's own object
``sort``    the same, perhaps with a minus sign in front
``formula`` a formula over a record of the document's own object
=========== =======================================================================================

What depends on its neighbours (the columns of a related list, the filter of a lookup) is written out below the table.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from ratoon.platform.metadata.documents import KINDS, Document, place
from ratoon.platform.metadata.templates import renamed_text

Change = Callable[[str], str]


class Visitor(Protocol):
    """Answers what shall stand where a name or formula stands."""

    def object(self, name: str) -> str:
        """An object's name."""

    def field(self, object: str, name: str) -> str:
        """A field or key of an object."""

    def pipeline(self, object: str, name: str) -> str:
        """A pipeline of an object."""

    def stage(self, object: str, pipeline: str | None, name: str) -> str:
        """A stage; ``None`` = of any pipeline of the object."""

    def value(self, object: str, field: str, name: str) -> str:
        """A value of a picklist field, or of the shared value set ``*<name>``."""

    def formula(self, object: str, source: str, holder: str | None = None) -> str:
        """A formula over a record of ``object``; ``holder`` is the object of ``$source``."""

    def assigned(self, object: str, field: str, source: str, own: str) -> str:
        """A formula over a record of ``own`` whose answer becomes the value of a field of ``object``."""

    def target(self, object: str, field: str) -> str | None:
        """The one object that a lookup points at, if it is known."""


PLACES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "object": {
            "title": "field",
            "rules/*/error_when": "formula",
            "rules/*/field": "field",
            "keys/*/fields/*": "field",
            "indexes/*/fields/*": "field",
        },
        "extension": {
            "rules/*/error_when": "formula",
            "rules/*/field": "field",
            "keys/*/fields/*": "field",
            "indexes/*/fields/*": "field",
        },
        "pipeline": {
            "field": "field",
            "when": "formula",
            "stages/*/required_fields/*": "field",
            "stages/*/entry/*/error_when": "formula",
            "stages/*/entry/*/field": "field",
            "stages/*/exit/*/error_when": "formula",
            "stages/*/exit/*/field": "field",
        },
        "layout": {
            "highlights/*": "field",
            "sections/*/fields/*": "field",
            "sections/*/visible_when": "formula",
        },
        "view": {
            "columns/*": "field",
            "filter": "formula",
            "sort/*": "sort",
            "group_by": "field",
            "date_field": "field",
        },
        "automation": {
            "fields/*": "field",
            "condition": "formula",
            "date/field": "field",
            "date/time_zone_field": "formula",
            "date/calendar_formula": "formula",
            "button/visible_when": "formula",
            "inbound/key": "field",
        },
        "duplicate": {"match/*/field": "field", "condition": "formula"},
        "sharing": {"when": "formula"},
        "approval": {
            "condition": "formula",
            "steps/*/condition": "formula",
            "steps/*/approvers/*/field": "field",
            "steps/*/approvers/*/manager_of": "field",
            "steps/*/approvers/*/formula": "formula",
            "lock/open_fields/*": "field",
            "lock/approver_fields/*": "field",
            "status_field": "field",
        },
        "assignment": {
            "field": "field",
            "rules/*/condition": "formula",
            "rules/*/to/*/field": "field",
            "rules/*/to/*/manager_of": "field",
            "rules/*/to/*/formula": "formula",
        },
        "data": {"key": "field"},
    }
)  # fmt: skip
"""Kind → place (``*`` = every item) → what stands there."""
_FIELD_FORMULAS = ("formula", "visible_when", "required_when", "read_only_when")


def walk(document: Document, visitor: Visitor) -> Document:
    """The document with what the visitor answered; the same one when nothing differs."""
    data = copy.deepcopy(dict(document.data))
    own = str(data.get("name" if document.kind == "object" else "object", ""))
    for where, what in PLACES.get(document.kind, {}).items():
        for holder, key in list(_spots(data, where.split("/"))):
            holder[key] = _answer(visitor, what, own, holder[key])
    special = _SPECIAL.get(document.kind)
    if special is not None:
        special(data, own, visitor)
    if document.kind == "object":
        data["name"] = visitor.object(own)
    elif own:
        data["object"] = visitor.object(own)
    if data == document.data:
        return document
    moved = _moved(document, data)
    return Document(moved, document.kind, data, document.package)


def _moved(document: Document, data: Mapping[str, Any]) -> str:
    """The file in which a document of that content belongs, if it lay where it belongs before."""
    if document.kind not in KINDS or document.file != place(document.kind, document.data):
        return document.file
    return place(document.kind, data)


def _answer(visitor: Visitor, what: str, own: str, value: str) -> str:
    if what == "formula":
        return visitor.formula(own, value)
    if what == "object":
        return visitor.object(value)
    return _signed(value, lambda name: visitor.field(own, name))


def _signed(value: str, change: Change) -> str:
    return f"-{change(value[1:])}" if value.startswith("-") else change(value)


def _spots(data: Any, steps: list[str]) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every text at a place."""
    first, *rest = steps
    if first == "*":
        keys: Iterable[Any] = (
            range(len(data)) if isinstance(data, list) else list(data) if isinstance(data, dict) else ()
        )
    else:
        keys = (first,) if isinstance(data, dict) and first in data else ()
    for key in keys:
        if rest:
            yield from _spots(data[key], rest)
        elif isinstance(data[key], str):
            yield data, key


def _each(data: Any, where: str, change: Change) -> None:
    for holder, key in list(_spots(data, where.split("/"))):
        holder[key] = change(holder[key])


def _keys(data: Any, key: str, change: Change) -> None:
    """Changes the keys of an object inside ``data``."""
    if isinstance(data.get(key), dict):
        data[key] = {change(name): value for name, value in data[key].items()}


def _items(data: Any, key: str) -> list[dict[str, Any]]:
    found = data.get(key) if isinstance(data, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _fields(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    for item in _items(data, "fields"):
        name = str(item.get("name", ""))
        for key in _FIELD_FORMULAS:
            _each(item, key, lambda source: visitor.formula(own, source))
        _each(item, "default", lambda source, name=name: visitor.assigned(own, name, source, own))  # type: ignore[misc]
        child = item.get("of")
        if isinstance(child, str):
            _each(item, "filter", lambda source, child=child: visitor.formula(child, source))  # type: ignore[misc]
            for key in ("via", "field"):
                _each(item, key, lambda key, child=child: visitor.field(child, key))  # type: ignore[misc]
            item["of"] = visitor.object(child)
        else:
            target = visitor.target(own, name)
            if target is not None:
                _each(item, "filter", lambda source, t=target: visitor.formula(t, source, own))  # type: ignore[misc]
        controlling = item.get("depends_on")
        _each(item, "values/*/value", lambda value, name=name: visitor.value(own, name, value))  # type: ignore[misc]
        if isinstance(controlling, str):
            _each(item, "values/*/for/*", lambda value, c=controlling: visitor.value(own, c, value))  # type: ignore[misc]
        _each(item, "depends_on", lambda key: visitor.field(own, key))
        _each(item, "object", visitor.object)
        _each(item, "objects/*", visitor.object)
        for attribute in _items(item, "attributes"):
            _each(attribute, "object", visitor.object)
        _each(item, "name", lambda key: visitor.field(own, key))


def _pipeline(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    name = str(data.get("name", ""))
    for stage in _items(data, "stages"):
        _each(stage, "next/*", lambda stage: visitor.stage(own, name, stage))
        _each(stage, "name", lambda stage: visitor.stage(own, name, stage))
    _each(data, "name", lambda name: visitor.pipeline(own, name))


def _layout(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    for related in _items(data, "related"):
        child = str(related.get("object", ""))
        for where in ("field", "columns/*"):
            _each(related, where, lambda key, child=child: visitor.field(child, key))  # type: ignore[misc]
        _each(related, "sort/*", lambda key, c=child: _signed(key, lambda k: visitor.field(c, k)))  # type: ignore[misc]
        _each(related, "object", visitor.object)


def _automation(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    _each(data, "stages/*", lambda stage: visitor.stage(own, None, stage))
    if isinstance(data.get("inbound"), dict):
        _keys(data["inbound"], "mapping", lambda key: visitor.field(own, key))
    _actions(data, own, visitor)


def _actions(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    for case in _items(data, "cases"):
        _each(case, "condition", lambda source: visitor.formula(own, source))
        _actions(case, own, visitor)
    for group in ("actions", "then", "else", "otherwise"):
        for action in _items(data, group):
            _action(action, own, visitor)
            _actions(action, own, visitor)


def _action(action: dict[str, Any], own: str, visitor: Visitor) -> None:
    target = own
    path = action.get("path")
    if isinstance(action.get("object"), str):
        target = action["object"]
    elif isinstance(path, str):
        child, dot, lookup = path.partition(".")
        if dot:
            target = child
            action["path"] = f"{visitor.object(child)}.{visitor.field(child, lookup)}"
        else:
            target = visitor.target(own, path) or own
            action["path"] = visitor.field(own, path)
    values = action.get("values")
    if isinstance(values, dict):
        changed = {
            visitor.field(target, key): visitor.assigned(target, key, value, own) if isinstance(value, str) else value
            for key, value in values.items()
        }
        action["values"] = changed
    if action.get("type") == "upsert_record":
        _each(action, "key", lambda key: visitor.field(target, key))
    for key in ("condition", "when", "if", "to", "cc", "bcc", "reply_to", "subject", "text", "until"):
        _each(action, key, lambda source: visitor.formula(own, source))
    _each(action, "object", visitor.object)


def _role(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    rows = data.get("rows")
    if isinstance(rows, dict):
        data["rows"] = {
            visitor.object(name): visitor.formula(name, source) if isinstance(source, str) else source
            for name, source in rows.items()
        }
    _keys(data, "fields", lambda written: _dotted(written, visitor))
    _keys(data, "objects", visitor.object)


def _dotted(written: str, visitor: Visitor) -> str:
    name, dot, key = written.partition(".")
    return f"{visitor.object(name)}{dot}{visitor.field(name, key) if dot else ''}"


def _approval(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    groups: Any = data.get("actions")
    for name in groups if isinstance(groups, dict) else ():
        _actions({"actions": groups[name]}, own, visitor)


def _data(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    records = data.get("records")
    if isinstance(records, list):
        data["records"] = [_values(own, item, visitor) if isinstance(item, dict) else item for item in records]


def _values(object: str, values: Mapping[str, Any], visitor: Visitor) -> dict[str, Any]:
    """The values of a record, as the API would be given them."""
    return {
        visitor.field(object, key): visitor.value(object, key, value) if isinstance(value, str) else value
        for key, value in values.items()
    }


def _test(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    """A test names records by names of its own; the object of each is said where it is made."""
    objects: dict[str, str] = {}
    steps = _items(data, "steps")
    for made in [*_items(data, "given"), *(s["create"] for s in steps if isinstance(s.get("create"), dict))]:
        objects[str(made.get("record"))] = str(made.get("object"))
        _record(made, str(made.get("object")), visitor)
        _each(made, "object", visitor.object)
    for step in steps:
        about = None
        for verb in ("create", "update", "move", "delete", "restore"):
            call = step.get(verb)
            if isinstance(call, dict):
                about = objects.get(str(call.get("record")), about)
                if about is not None and verb in ("update", "move"):
                    _record(call, about, visitor)
                    _each(call, "stage", lambda stage, o=about: visitor.stage(o, None, stage))  # type: ignore[misc]
        _expected(step.get("then"), objects, about, visitor)


def _record(call: dict[str, Any], object: str, visitor: Visitor) -> None:
    if isinstance(call.get("values"), dict):
        call["values"] = _values(object, call["values"], visitor)


def _expected(then: Any, objects: Mapping[str, str], about: str | None, visitor: Visitor) -> None:
    if not isinstance(then, dict):
        return
    if about is not None:
        _each(then, "errors/*/field", lambda key: visitor.field(about, key))
    values: Any = then.get("values")
    for record in values if isinstance(values, dict) else ():
        if record in objects and isinstance(values[record], dict):
            values[record] = _values(objects[record], values[record], visitor)
    for found in _items(then, "found"):
        name = str(found.get("object"))
        _each(found, "filter", lambda source, o=name: visitor.formula(o, source))  # type: ignore[misc]
        _record(found, name, visitor)
        _each(found, "object", visitor.object)


def _template(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    """What a message says: ``{{ record.account.name }}`` reads fields as a formula does."""
    if own:
        for where in ("subject", "text", "html", "locales/*/subject", "locales/*/text", "locales/*/html"):
            _each(data, where, lambda text: renamed_text(text, lambda chain: visitor.formula(own, chain)))


def _picklist(data: dict[str, Any], own: str, visitor: Visitor) -> None:
    _each(data, "values/*/value", lambda value: visitor.value("", f"*{data.get('name')}", value))


_SPECIAL: Mapping[str, Callable[[dict[str, Any], str, Visitor], None]] = MappingProxyType(
    {
        "object": _fields,
        "extension": _fields,
        "pipeline": _pipeline,
        "layout": _layout,
        "automation": _automation,
        "role": _role,
        "permission_set": _role,
        "picklist": _picklist,
        "approval": _approval,
        "data": _data,
        "test": _test,
        "template": _template,
    }
)
