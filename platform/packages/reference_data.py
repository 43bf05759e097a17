"""Reference data: records that come with a package, found again by an external id.

The rule. A record that is new in the document is made; when it is there already, it takes the document's values. A
record whose line in the document changed since it was applied last takes the values that changed, and only those: what
users wrote into other fields stays. A record whose line did not change is left alone, and so is one that users deleted.
A line that goes leaves its record. Rolling back is the same with the documents in the other direction.

Records are saved like any other, by the platform: with rules, automations and history, in the transaction of apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.errors import Invalid, say
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Registry
from ratoon.platform.packages.notes import DataNote
from ratoon.platform.records.by_key import resolved
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.store import RecordStore

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Line:
    """A record of a document that has something to say."""

    key: Any
    values: Mapping[str, Any]
    """All of the document's values when the line is new, those that changed otherwise."""
    new: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """The lines of one document that count."""

    object: str
    key: str
    lines: tuple[Line, ...]


def batches(before: Sequence[Document], after: Sequence[Document], registry: Registry) -> list[Batch]:
    """What changed in the reference data, an object after those that its lookups point at."""
    was = {(d.package, d.file): d for d in before if d.kind == "data"}
    found: dict[str, list[Batch]] = {}
    for document in after:
        if document.kind == "data" and document.data["object"] in registry.objects:
            lines = tuple(_lines(was.get((document.package, document.file)), document))
            if lines:
                batch = Batch(document.data["object"], document.data["key"], lines)
                found.setdefault(batch.object, []).append(batch)
    return [batch for name in _order(found, registry) for batch in found[name]]


def data_plan(connection: Connection, store: RecordStore | None, wanted: Sequence[Batch]) -> Iterator[DataNote]:
    """What the reference data will do, one note per document; ``store`` knows the metadata as it stands."""
    for batch in wanted:
        there = set()
        if store is not None and batch.object in store.registry.objects:
            there = set(_existing(connection, store, store.registry, batch))
        changed = sum(line.key in there for line in batch.lines)
        made = sum(line.new for line in batch.lines if line.key not in there)
        if made or changed:
            message = say(
                "Reference data of {object}: {made} records are made, {changed} changed.",
                object=batch.object,
                made=made,
                changed=changed,
            )
            yield DataNote(batch.object, "reference_data", made + changed, message)


def apply_data(engine: Engine, connection: Connection, wanted: Sequence[Batch]) -> int:
    """Makes and changes the records within the caller's transaction; returns how many.

    Raises ``ValidationFailed`` when the rules of the object refuse one.
    """
    done = 0
    records = RecordService(engine, connection, SYSTEM)
    for batch in wanted:
        there = _existing(connection, engine.store, engine.registry, batch)
        own = {f"{f.name}." for f in engine.registry[batch.object].references if batch.object in f.targets}
        for group in _groups(batch.lines, own):
            made = [line for line in group if line.new and line.key not in there]
            changed = [line for line in group if line.key in there]
            if made:
                values = resolved(records, batch.object, [{**line.values, batch.key: line.key} for line in made])
                records.create(batch.object, values, acknowledge=True)
            if changed:
                values = resolved(records, batch.object, [line.values for line in changed])
                pairs = zip(changed, values, strict=True)
                changes = [Change(there[line.key], given) for line, given in pairs]
                records.update(batch.object, changes, acknowledge=True)
            done += len(made) + len(changed)
    return done


def _lines(was: Document | None, now: Document) -> Iterator[Line]:
    key = now.data["key"]
    old = {} if was is None else {record.get(key): record for record in was.data["records"]}
    for record in now.data["records"]:
        values = {name: value for name, value in record.items() if name != key}
        known = old.get(record[key])
        if known is None:
            yield Line(record[key], values, new=True)
            continue
        gone = {name: None for name in known if name not in record}
        changed = {name: value for name, value in values.items() if name not in known or known[name] != value} | gone
        if changed:
            yield Line(record[key], changed, new=False)


def _existing(connection: Connection, store: RecordStore, registry: Registry, batch: Batch) -> dict[Any, str]:
    """Key as the document writes it → id of the record that has it."""
    part = registry[batch.object].parts.get(batch.key)
    if part is None:
        return {}
    typed = {}
    for line in batch.lines:
        try:
            typed[part.coerce(line.key)] = line.key
        except Invalid:
            continue
    found = store.existing(connection, batch.object, batch.key, list(typed))
    return {typed[value]: record for value, record in found.items()}


def _groups(lines: Sequence[Line], own: set[str]) -> Iterator[list[Line]]:
    """Lines that can be saved together: one that points at a record of its own object waits for those before it."""
    group: list[Line] = []
    for line in lines:
        points = any(name.startswith(tuple(own)) for name in line.values) if own else False
        if group and (points or len(group) == _AT_ONCE):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _order(found: Mapping[str, Any], registry: Registry) -> list[str]:
    needs = {
        name: {target for field in registry[name].references for target in field.targets if target in found} - {name}
        for name in sorted(found)
    }
    while True:
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError as error:
            circle = error.args[1]
            needs[circle[1]].discard(circle[0])
