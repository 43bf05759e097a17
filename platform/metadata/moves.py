"""Renaming: what a document declares with ``"renamed_from"`` and ``"replaces"``, as data.

    {"name": "mass", "renamed_from": "weight", …}            a field; also an object, a pipeline, a stage
    {"value": "done", "renamed_from": "finished"}            a value of a picklist
    {"value": "done", "replaces": ["cancelled"]}             values (or stages) that went: their records get this one

A rename happens when a database that has the old name gets a document with the new one. The declaration stays
afterwards: it is the alias under which the API still answers. ``declared`` reads the declarations of documents,
``pending`` says which of them a database still has to go through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ratoon.platform.errors import Text, say
from ratoon.platform.metadata.documents import Document

MoveKind = Literal["object", "field", "pipeline", "stage", "value"]
ORDER: tuple[MoveKind, ...] = ("object", "field", "pipeline", "stage", "value")
"""Objects first: what follows has the object's new name."""


@dataclass(frozen=True, slots=True)
class Move:
    """One name that becomes another."""

    kind: MoveKind
    old: str
    new: str
    object: str = ""
    """The object, by its new name; empty for an object itself and for a shared value set."""
    field: str = ""
    """Values: the field, or ``*<value set>``."""
    pipeline: str = ""
    """Stages: the pipeline."""
    merges: bool = False
    """``replaces``: several names become one; no alias, and the history says what was."""

    @property
    def inverse(self) -> Move:
        """The move back."""
        return replace(self, old=self.new, new=self.old)

    @property
    def text(self) -> Text:
        """What a plan says."""
        return say("{kind} {name}", kind=self.kind, name=self.name)

    @property
    def name(self) -> Text:
        """The two names."""
        where = {"object": "", "field": f"{self.object}.", "pipeline": f"{self.object}: ",
                 "stage": f"{self.object} {self.pipeline}: ", "value": f"{self.object}.{self.field}: "}  # fmt: skip
        shared = self.field.startswith("*")
        place = say("value set {name}: ", name=self.field[1:]) if shared else where[self.kind]
        given = {"place": place, "new": self.new, "old": self.old}
        if self.merges:
            return say("{place}{new} takes the place of {old}", **given)
        return say("{place}{new} was {old}", **given)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``, the API and the revision."""
        return asdict(self)


@dataclass(frozen=True)
class Names:
    """Old name → new name, of several moves at once."""

    objects: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Object (new name) → field → field."""
    pipelines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stages: Mapping[str, Mapping[tuple[str, str], str]] = field(default_factory=dict)
    """Object → (pipeline, stage) → stage."""
    values: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """(object, field) or ("", ``*<value set>``) → value → value."""

    @property
    def empty(self) -> bool:
        """True when nothing is renamed."""
        return not (self.objects or self.fields or self.pipelines or self.stages or self.values)


def names_of(moves: Iterable[Move]) -> Names:
    """The moves as tables. A merge is none: texts may still speak of what went."""
    made = Names({}, {}, {}, {}, {})
    for move in moves:
        if move.merges:
            continue
        match move.kind:
            case "object":
                made.objects[move.old] = move.new  # type: ignore[index]
            case "field":
                made.fields.setdefault(move.object, {})[move.old] = move.new  # type: ignore[attr-defined]
            case "pipeline":
                made.pipelines.setdefault(move.object, {})[move.old] = move.new  # type: ignore[attr-defined]
            case "stage":
                stages = made.stages.setdefault(move.object, {})  # type: ignore[attr-defined]
                stages[move.pipeline, move.old] = move.new
            case "value":
                values = made.values.setdefault((move.object, move.field), {})  # type: ignore[attr-defined]
                values[move.old] = move.new
    return made


def declared(documents: Iterable[Document]) -> tuple[Move, ...]:
    """Every rename and replacement that documents declare, objects first."""
    found = [move for document in documents for move in _of(document) if move.old != move.new]
    return tuple(sorted(dict.fromkeys(found), key=lambda move: ORDER.index(move.kind)))


def _of(document: Document) -> Iterator[Move]:
    data = document.data
    match document.kind:
        case "object" | "extension":
            name = data.get("name" if document.kind == "object" else "object")
            if isinstance(name, str):
                yield from (Move("object", old, name) for old in _olds(data) if document.kind == "object")
                for item in _items(data.get("fields")):
                    yield from (Move("field", old, item["name"], name) for old in _olds(item) if _named(item))
                    if _named(item):
                        yield from _values(item.get("values"), name, item["name"])
        case "picklist":
            yield from _values(data.get("values"), "", f"*{data.get('name')}")
        case "pipeline":
            yield from _pipeline(data)


def _pipeline(data: Mapping[str, Any]) -> Iterator[Move]:
    name, obj = data.get("name"), data.get("object")
    if not isinstance(name, str) or not isinstance(obj, str):
        return
    yield from (Move("pipeline", old, name, obj) for old in _olds(data))
    for stage in _items(data.get("stages")):
        if _named(stage):
            yield from (Move("stage", old, stage["name"], obj, pipeline=name) for old in _olds(stage))
            for old in _texts(stage.get("replaces")):
                yield Move("stage", old, stage["name"], obj, pipeline=name, merges=True)


def _values(values: Any, obj: str, field_name: str) -> Iterator[Move]:
    for item in _items(values):
        if isinstance(item.get("value"), str):
            yield from (Move("value", old, item["value"], obj, field_name) for old in _olds(item))
            for old in _texts(item.get("replaces")):
                yield Move("value", old, item["value"], obj, field_name, merges=True)


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _named(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("name"), str)


def _olds(item: Mapping[str, Any]) -> list[str]:
    return _texts(item.get("renamed_from"))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list | tuple) else []


def pending(moves: Iterable[Move], standing: Sequence[Document]) -> tuple[Move, ...]:
    """Those of the declared moves that the ``standing`` documents have yet to go through: the old name is there."""
    known = Standing(standing)
    found = []
    for move in moves:
        if known.has(move):
            known.go(move)
            found.append(move)
    return tuple(found)


class Standing:
    """The names that documents declare, while moves go through them one by one."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._names: set[tuple[str, ...]] = set()
        for document in documents:
            self._add(document)

    def _add(self, document: Document) -> None:
        data, names = document.data, self._names
        match document.kind:
            case "object" | "extension":
                obj = str(data.get("name" if document.kind == "object" else "object"))
                if document.kind == "object":
                    names.add(("object", obj))
                for item in _items(data.get("fields")):
                    names.add(("field", obj, str(item.get("name"))))
                    for option in _items(item.get("values")):
                        names.add(("value", obj, str(item.get("name")), str(option.get("value"))))
            case "picklist":
                for option in _items(data.get("values")):
                    names.add(("value", "", f"*{data.get('name')}", str(option.get("value"))))
            case "pipeline":
                obj, name = str(data.get("object")), str(data.get("name"))
                names.add(("pipeline", obj, name))
                for stage in _items(data.get("stages")):
                    names.add(("stage", obj, name, str(stage.get("name"))))

    def has(self, move: Move) -> bool:
        """Whether the old name is there, and the new one is not (unless the move puts several together)."""
        return _key(move, move.old) in self._names and (move.merges or _key(move, move.new) not in self._names)

    def still(self, move: Move) -> bool:
        """Whether something has the old name."""
        return _key(move, move.old) in self._names

    def go(self, move: Move) -> None:
        """From here on the new name is there instead of the old one, with everything below it."""
        if move.merges:
            return
        old, new = _key(move, move.old), _key(move, move.new)
        moved = {name: _through(name, old, new, move) for name in self._names}
        self._names = set(moved.values())


def _key(move: Move, name: str) -> tuple[str, ...]:
    match move.kind:
        case "object":
            return ("object", name)
        case "stage":
            pipeline, dot, stage = name.rpartition(".") if move.merges else ("", "", name)
            return ("stage", move.object, pipeline if dot else move.pipeline, stage)
        case "value":
            return ("value", move.object, move.field, name)
    return (move.kind, move.object, name)


def _through(name: tuple[str, ...], old: tuple[str, ...], new: tuple[str, ...], move: Move) -> tuple[str, ...]:
    if name == old:
        return new
    if move.kind == "object" and len(name) > 2 and name[1] == move.old:
        return (name[0], move.new, *name[2:])
    below = {"field": "value", "pipeline": "stage"}.get(move.kind)
    if below is not None and name[0] == below and name[1:3] == (move.object, move.old):
        return (name[0], move.object, move.new, *name[3:])
    return name


def moves_from_json(found: Iterable[Mapping[str, Any]]) -> tuple[Move, ...]:
    """Moves as a revision remembers them."""
    return tuple(Move(**move) for move in found)


def backwards(moves: Sequence[Move]) -> tuple[Move, ...]:
    """The way back; replacements have none (their values are remembered one by one)."""
    return tuple(move.inverse for move in reversed(moves) if not move.merges)
