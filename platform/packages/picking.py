"""Picking components out of packages, with what they need.

A component is named by kind and name: ``object/account`` (with its pipelines, layouts, views and automations),
``view/account.open``, ``role/vet``, ``picklist/species``, ``extension/account``, ``strings/zh-Hans``. What it mentions
comes along when it belongs to the same packages: the objects that fields point at, the value sets they use, the object
that a view or an extension belongs to. The manifests come too, because they say which packages must be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ratoon.platform.errors import NotFound, say
from ratoon.platform.metadata.documents import FOLDERS, Document, in_order
from ratoon.platform.metadata.names import suggestion


def pick(documents: Sequence[Document], components: Sequence[str]) -> list[Document]:
    """The named components of ``documents`` with everything they need. Raises ``NotFound`` for an unknown one."""
    known: dict[str, list[Document]] = {}
    for document in documents:
        known.setdefault(reference(document), []).append(document)
    waiting: list[str] = []
    for name in components:
        if name not in known:
            hint = suggestion(name, known, say("components"))
            raise NotFound("There is no component {name}. {hint}", name=name, hint=hint)
        waiting.append(name)
        if name.startswith("object/"):
            waiting += [reference(d) for d in documents if _belongs(d, name.removeprefix("object/"))]
    wanted: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for document in known.get(name, ()):
            waiting += [needed for needed in _needs(document) if needed in known]
            if any(field.get("type") == "stage" for field in _items(document.data, "fields")):
                owner = document.component[1] or document.component[2]
                waiting += [reference(d) for d in documents if d.kind == "pipeline" and _belongs(d, owner)]
    chosen = [d for d in documents if reference(d) in wanted]
    packages = {d.package for d in chosen}
    manifests = [d for d in documents if d.kind == "package" and d.package in packages]
    return in_order([*manifests, *(d for d in chosen if d.kind != "package")])


def reference(document: Document) -> str:
    """How a component is named: ``object/pet``, ``view/pet.all``, ``role/vet``."""
    kind, object_name, name = document.component
    return f"{kind}/{'.'.join(part for part in (object_name, name) if part)}"


def _belongs(document: Document, object_name: str) -> bool:
    return document.kind in FOLDERS.values() and document.component[1] == object_name


def _needs(document: Document) -> Iterator[str]:
    """References of what a document mentions."""
    data = document.data
    if isinstance(data.get("object"), str):
        yield f"object/{data['object']}"
    for field in _items(data, "fields"):
        yield from _field_needs(field)
    for action in _items(data, "actions"):
        if isinstance(action.get("object"), str):
            yield f"object/{action['object']}"
    for related in _items(data, "related"):
        yield f"object/{related.get('object')}"
    rights = data.get("objects")
    if isinstance(rights, Mapping):
        yield from (f"object/{name}" for name in rights)


def _field_needs(field: Mapping[str, Any]) -> Iterator[str]:
    for key in ("object", "of"):
        if isinstance(field.get(key), str):
            yield f"object/{field[key]}"
    objects = field.get("objects")
    yield from (f"object/{name}" for name in (objects if isinstance(objects, list) else ()))
    if isinstance(field.get("value_set"), str):
        yield f"picklist/{field['value_set']}"
    for attribute in _items(field, "attributes"):
        yield from _field_needs(attribute)


def _items(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = data.get(key)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
