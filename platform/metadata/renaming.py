"""Carrying renames through documents: every reference follows, in formulas too.

``Renamer(documents, moves).document(d)`` gives a document in which the new names stand for the old ones, whatever
mixture of both it was written in. Formulas are changed at the very places of the names; comments and line breaks stay.
A text in a formula counts as a value or a stage where it is compared with such a field: ``stage = "won"``,
``ISPICKVAL(species, "cat")``, ``CASE(species, "cat", 1, 0)``, ``INCLUDES(tags, "new")``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.tree import Call, Literal, Node, Operation, Reference, walk_nodes
from ratoon.platform.formulas.types import Type
from ratoon.platform.formulas.write import quote
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.moves import Move, names_of
from ratoon.platform.metadata.names import SYSTEM_FIELDS
from ratoon.platform.metadata.places import walk
from ratoon.platform.metadata.relations import identifier, plural

USERS = frozenset({"owner", "created_by", "modified_by"})
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "currency": ("_currency",),
    "stage": ("_pipeline", "_since", "_due"),
    "polymorphic": ("_object",),
    "address": ("_street", "_city", "_state", "_postal_code", "_country"),
    "geolocation": ("_latitude", "_longitude"),
}
"""What the keys of fields with several parts add to the field's name."""
_COMPARE = frozenset({"=", "==", "<>", "!=", "ISPICKVAL", "INCLUDES", "CASE", "CONTAINS"})
_THROUGH = frozenset({"PRIORVALUE", "TEXT"})
"""Functions whose answer is a value of the field they are given."""


class Renamer:
    """Puts new names in place of old ones; a visitor of ``places.walk``."""

    def __init__(self, documents: Iterable[Document], moves: Sequence[Move]) -> None:
        self.names = names_of(moves)
        self._fields: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._labels: dict[str, str] = {}
        for document in documents:
            if document.kind in {"object", "extension"}:
                self._declare(document)
        self._relations = dict(self._find_relations())

    def _declare(self, document: Document) -> None:
        data = document.data
        name = self.object(str(data.get("name" if document.kind == "object" else "object", "")))
        if document.kind == "object":
            self._labels[name] = str(data.get("plural_label") or data.get("label") or name)
        known = self._fields.setdefault(name, {})
        fields = data.get("fields")
        for item in fields if isinstance(fields, list | tuple) else ():
            if isinstance(item, Mapping) and isinstance(item.get("name"), str):
                known[self.names.fields.get(name, {}).get(item["name"], item["name"])] = item

    def document(self, document: Document) -> Document:
        """The document with the new names."""
        return document if self.names.empty else walk(document, self)

    # -- names ---------------------------------------------------------------------------------------------------

    def object(self, name: str) -> str:
        """The object's new name."""
        return self.names.objects.get(name, name)

    def field(self, object: str, name: str) -> str:
        """The new name of a field or of one of its keys."""
        owner = self.object(object)
        renamed = self.names.fields.get(owner)
        if renamed is None:
            return name
        if name in renamed:
            return renamed[name]
        for old, new in renamed.items():
            if name.startswith(f"{old}_") and name not in self._fields.get(owner, {}):
                kind = str(self._fields.get(owner, {}).get(new, {}).get("type"))
                if name[len(old) :] in SUFFIXES.get(kind, ()):
                    return new + name[len(old) :]
        return name

    def pipeline(self, object: str, name: str) -> str:
        """The new name of a pipeline."""
        return self.names.pipelines.get(self.object(object), {}).get(name, name)

    def stage(self, object: str, pipeline: str | None, name: str) -> str:
        """The new name of a stage."""
        stages = self.names.stages.get(self.object(object), {})
        if pipeline is not None:
            return stages.get((self.pipeline(object, pipeline), name), name)
        return next((new for (_, old), new in stages.items() if old == name), name)

    def value(self, object: str, field: str, name: str) -> str:
        """The new name of a value of a picklist."""
        if field.startswith("*"):
            return self.names.values.get(("", field), {}).get(name, name)
        owner, key = self.object(object), self.field(object, field)
        item = self._fields.get(owner, {}).get(key, {})
        if not item and key.endswith("_object"):
            item = self._fields.get(owner, {}).get(key.removesuffix("_object"), {})
            return self.object(name) if item.get("type") == "polymorphic" else name
        if item.get("type") == "stage":
            return self.stage(owner, None, name)
        own = self.names.values.get((owner, key))
        if own is None and isinstance(item.get("value_set"), str):
            own = self.names.values.get(("", f"*{item['value_set']}"))
        return (own or {}).get(name, name)

    def target(self, object: str, field: str) -> str | None:
        """The one object that a lookup points at, by its new name."""
        owner, key = self.object(object), self.field(object, field)
        if key in USERS:
            return "user"
        item = self._fields.get(owner, {}).get(key)
        if item is None:
            return None
        match item.get("type"):
            case "user":
                return "user"
            case "hierarchy":
                return owner
            case "lookup" | "master_detail" | "many_to_many":
                return self.object(str(item.get("object")))
            case "polymorphic":
                targets = item.get("objects")
                return self.object(str(targets[0])) if isinstance(targets, list) and len(targets) == 1 else None
        return None

    # -- formulas ------------------------------------------------------------------------------------------------

    def formula(self, object: str, source: str, holder: str | None = None) -> str:
        """The formula with the new names; one that cannot be parsed stays as it is."""
        try:
            tree = parse(source)
        except FormulaError:
            return source
        edits: list[tuple[int, int, str]] = []
        for node in walk_nodes(tree):
            if isinstance(node, Reference):
                edits += self._path(node, self.object(object), holder)
            elif isinstance(node, Call | Operation):
                edits += self._values(node, self.object(object), holder)
        for start, end, text in sorted(set(edits), reverse=True):
            source = source[:start] + text + source[end:]
        return source

    def assigned(self, object: str, field: str, source: str, own: str) -> str:
        """A formula over a record of ``own`` whose answer becomes the value of a field of ``object``."""
        source = self.formula(own, source)
        try:
            tree = parse(source)
        except FormulaError:
            return source
        for node in sorted(_answers(tree), key=lambda n: n.position, reverse=True):
            new = self.value(object, field, node.value)
            if new != node.value:
                source = source[: node.position] + quote(new) + source[node.end :]
        return source

    def _path(self, node: Reference, object: str, holder: str | None) -> Iterator[tuple[int, int, str]]:
        for step, spot, new, _ in self._steps(node, object, holder):
            if new.lower() != step.lower():
                yield spot, spot + len(step), new

    def _steps(
        self, node: Reference, object: str, holder: str | None
    ) -> Iterator[tuple[str, int, str, tuple[str, str]]]:
        """(step, its place, its new name, (object, key) that it means) as far as the path can be followed."""
        here: str | None = object
        for step, spot in zip(node.steps, node.spots, strict=True):
            key = step.lower()
            if key == "$source":
                here = None if holder is None else self.object(holder)
                continue
            if here is None or key.startswith("$"):
                return
            new = self.field(here, key)
            if new == key and key not in self._fields.get(here, {}) and key not in SYSTEM_FIELDS:
                relation = self._relations.get((here, key))
                if relation is not None:
                    child, now = relation
                    yield step, spot, now, (here, key)
                    here = child
                    continue
            yield step, spot, new, (here, new)
            here = self.target(here, new)

    def _find_relations(self) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
        """(object pointed at, name in a formula, old or new) → (child object, name in a formula from now on)."""
        old_names = {new: old for old, new in self.names.objects.items()}
        for child, fields in self._fields.items():
            was = old_names.get(child, child)
            back = {new: old for old, new in self.names.fields.get(child, {}).items()}
            for via, item in fields.items():
                target = self.target(child, via)
                if target is None:
                    continue
                label = identifier(str(item.get("related_label") or self._labels.get(child, child)))
                yield (target, label), (child, label)
                for name in (was, child):
                    yield (target, plural(name)), (child, plural(child))
                    yield (target, name), (child, child)
                    yield (target, f"{name}_by_{back.get(via, via)}"), (child, f"{child}_by_{via}")
                    yield (target, f"{name}_by_{via}"), (child, f"{child}_by_{via}")
                if isinstance(item.get("related_name"), str):
                    yield (target, item["related_name"]), (child, item["related_name"])
                if item.get("type") == "many_to_many":
                    yield (child, back.get(via, via)), (target, via)

    def _values(self, node: Call | Operation, object: str, holder: str | None) -> Iterator[tuple[int, int, str]]:
        name = node.name.upper() if isinstance(node, Call) else node.operator
        if name not in _COMPARE:
            return
        meant = [place for arg in node.args if (place := self._meant(arg, object, holder)) is not None]
        if not meant:
            return
        args = node.args[1::2] if name == "CASE" else node.args
        for arg in args:
            if isinstance(arg, Literal) and arg.type is Type.TEXT:
                for owner, key in meant:
                    new = self.value(owner, key, arg.value)
                    if new != arg.value:
                        yield arg.position, arg.end, quote(new)

    def _meant(self, node: Node, object: str, holder: str | None) -> tuple[str, str] | None:
        """The field whose value a part of a formula is."""
        if isinstance(node, Call) and node.name.upper() in _THROUGH and len(node.args) == 1:
            return self._meant(node.args[0], object, holder)
        if not isinstance(node, Reference):
            return None
        meant = [place for _, _, _, place in self._steps(node, object, holder)]
        return meant[-1] if len(meant) == len([s for s in node.steps if s.lower() != "$source"]) else None


def _answers(node: Node) -> Iterator[Literal]:
    """The texts that a formula may answer."""
    if isinstance(node, Literal) and node.type is Type.TEXT:
        yield node
    elif isinstance(node, Call):
        name, args = node.name.upper(), node.args
        chosen = args[1:] if name == "IF" else (*args[2::2], *args[-1:]) if name == "CASE" else ()
        for arg in dict.fromkeys(chosen):
            yield from _answers(arg)
