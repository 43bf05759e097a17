"""Earlier names that still work: what ``"renamed_from"`` declares, compiled for the API, and checked.

Whoever calls the API by an old name reaches the object, field or value under its new one, until the declaration is
taken out of the document. A name that something else has by now cannot be an alias, and what is replaced must be gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import Text, say
from ratoon.platform.metadata.alias_model import Aliases
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.moves import declared
from ratoon.platform.metadata.report import Path, Report

if TYPE_CHECKING:
    from ratoon.platform.metadata.model import Object


def compile_aliases(documents: Iterable[Document], objects: Mapping[str, Object], report: Report) -> Aliases:
    """The aliases of all documents; what cannot be one is reported."""
    documents = list(documents)
    for document in documents:
        for path, message in _problems(document, objects):
            report.add(document, path, "name_taken", message, say("take it out, or choose another name"))
    found: dict[str, str] = {}
    keys: dict[str, dict[str, str]] = {}
    values: dict[str, dict[str, dict[str, str]]] = {}
    for move in declared(documents):
        if move.merges:
            continue
        obj = objects.get(move.object)
        if move.kind == "object":
            found[move.old] = move.new
        elif move.kind == "field" and obj is not None and move.new in obj.fields:
            for part in obj.fields[move.new].parts:
                keys.setdefault(obj.name, {})[move.old + part.suffix] = part.key
        elif move.kind == "value":
            for name, key in _fields_with(objects, move.object, move.field):
                values.setdefault(name, {}).setdefault(key, {})[move.old] = move.new
        elif move.kind in ("stage", "pipeline") and obj is not None and obj.stage_field is not None:
            key = obj.stage_field.parts[0 if move.kind == "stage" else 1].key
            values.setdefault(obj.name, {}).setdefault(key, {})[move.old] = move.new
    return Aliases(MappingProxyType(found), MappingProxyType(keys), MappingProxyType(values))


def _fields_with(objects: Mapping[str, Object], object_name: str, field: str) -> Iterator[tuple[str, str]]:
    if not field.startswith("*"):
        yield object_name, field
        return
    for obj in objects.values():
        for name, found in obj.fields.items():
            if found.spec.option("value_set") == field[1:]:
                yield obj.name, name


def _problems(document: Document, objects: Mapping[str, Object]) -> Iterator[tuple[Path, Text]]:
    data = document.data
    if document.kind in {"object", "extension"}:
        name = data["name"] if document.kind == "object" else data["object"]
        if document.kind == "object":
            yield from _taken((), data, "renamed_from", objects, say("an object"))
        obj = objects.get(name)
        for i, item in enumerate(data.get("fields", ())):
            if item is not None and obj is not None:
                yield from _taken(
                    ("fields", i), item, "renamed_from", obj.parts, say("a field of {name}", name=repr(name))
                )
                yield from _values(("fields", i), item)
    elif document.kind == "picklist":
        yield from _values((), data)
    elif document.kind == "pipeline":
        obj = objects.get(data["object"])
        pipelines = {p.name for p in obj.pipelines} if obj is not None else set()
        yield from _taken((), data, "renamed_from", pipelines, say("a pipeline"))
        stages = {stage["name"] for stage in data["stages"]}
        stages |= {f"{p.name}.{stage}" for p in (obj.pipelines if obj is not None else ()) for stage in p.by_name}
        for i, stage in enumerate(data["stages"]):
            for key in ("renamed_from", "replaces"):
                yield from _taken(("stages", i), stage, key, stages, say("a stage"))


def _values(path: Path, item: Mapping[str, Any]) -> Iterator[tuple[Path, Text]]:
    values = item.get("values")
    if not isinstance(values, list | tuple):
        return
    known = {option["value"] for option in values}
    for i, option in enumerate(values):
        for key in ("renamed_from", "replaces"):
            yield from _taken((*path, "values", i), option, key, known, say("a value"))


def _taken(
    path: Path, item: Mapping[str, Any], key: str, known: Iterable[str], what: str
) -> Iterator[tuple[Path, Text]]:
    named = item.get(key, ())
    for old in (named,) if isinstance(named, str) else named:
        if old in known and old != item.get("name", item.get("value")):
            yield (*path, key), say("There is {what} {old} still.", what=what, old=repr(old))
