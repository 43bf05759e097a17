"""The plan: what applying documents would change, before anything is.

A plan lists the components (field by field), the DDL, and what the change means for the records that are there: how
many would break a new rule, lack a value that becomes required, or have a value that goes away. It is made from the
database and changes nothing. ``Plan.refusals`` are the reasons for which ``apply`` would say no.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import Connection

from ratoon.platform.errors import Finding, MetadataRefused, say
from ratoon.platform.metadata.collector import collector_rests
from ratoon.platform.metadata.documents import Document, in_order
from ratoon.platform.metadata.model import Registry
from ratoon.platform.metadata.moves import Move
from ratoon.platform.packages.checking import Checked, check_documents
from ratoon.platform.packages.differences import ComponentChange, component_changes
from ratoon.platform.packages.environment_settings import needs
from ratoon.platform.packages.impact import CONVERTED, Situation, data_notes
from ratoon.platform.packages.notes import DataNote
from ratoon.platform.packages.reference_data import Batch, batches, data_plan
from ratoon.platform.packages.renames import Journey
from ratoon.platform.packages.rights import Widening, widenings
from ratoon.platform.packages.sources import Read, Source, read_sources
from ratoon.platform.packages.target import Target
from ratoon.platform.packages.upgrades import Manner, Upgrade, standing_bases, upgrade
from ratoon.platform.storage import revisions, schema
from ratoon.platform.storage.bases import Bases
from ratoon.platform.storage.kept import read_kept
from ratoon.platform.storage.moving import RelocatedTables, Relocation
from ratoon.platform.storage.schema_change import Change
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables


@dataclass(frozen=True)
class Plan:
    """What would change."""

    revision: int
    """The revision the plan starts from."""
    components: tuple[ComponentChange, ...]
    schema: tuple[Change, ...]
    notes: tuple[DataNote, ...]
    findings: tuple[Finding, ...]
    """Warnings of the check."""
    documents: tuple[Document, ...]
    """All documents as they will be."""
    before: Registry | None
    """The metadata as it stands, under the names it will have."""
    after: Registry
    upgrade: Upgrade
    """How the documents came about: local edits that stay, and what the packages themselves bring."""
    rebased: tuple[str, ...] = ()
    """Packages that bring something else now, even where what stands did not change."""
    rights: tuple[Widening, ...] = ()
    """Permissions that widen."""
    moves: tuple[Move, ...] = ()
    """What is renamed, and what takes the place of something else."""
    data: tuple[Batch, ...] = ()
    """Records that the packages bring."""
    relocation: Relocation | None = None
    """The same for the database; ``None`` when nothing is renamed."""
    since: int | None = None
    """The revision that a rollback goes back to."""
    count: Callable[[Connection, bool], tuple[DataNote, ...]] = field(
        default=lambda connection, convert: (), repr=False, compare=False
    )
    """Counts the records again; with the values that a change of type loses or cuts, or without."""

    def recounted(self, connection: Connection) -> Plan:
        """The same plan with the records of now; the metadata must be at ``revision`` still.

        Values that a change of type loses or cuts are not looked for again: every distinct value would be converted
        while writers wait, and what was agreed to is that there are some.
        """
        told = [note for note in self.notes if note.code in CONVERTED]
        return replace(self, notes=(*self.count(connection, False), *told))

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages it is about, those that only moved their base too."""
        return tuple(dict.fromkeys([*(change.package for change in self.components if change.package), *self.rebased]))

    @property
    def empty(self) -> bool:
        """True when nothing would change."""
        return not self.components and not self.schema and not self.rebased

    @property
    def destructive(self) -> tuple[str, ...]:
        """What disappears from view or may lose values; needs ``allow_destructive``.

        Where an object goes, every component that goes is named, so that the list is as long as the sum says.
        """
        removed = [change for change in self.components if change.action == "removed"]
        taken = removed if any(map(_takes_data_away, removed)) else []
        gone = [say("{kind} {name} is removed", kind=change.kind, name=change.name) for change in taken]
        fields = [
            say("field {change}.{field} is removed", change=change.name, field=detail.path.split(".")[1])
            for change in self.components
            if change.action == "changed" and change.kind in {"object", "extension"}
            for detail in change.details
            if detail.action == "removed" and detail.path.startswith("fields.") and detail.path.count(".") == 1
        ]
        lossy = [change.description for change in self.schema if change.destructive]
        told = {change.name for change in self.schema if change.destructive}
        lossy += [note.message for note in self.notes if note.code in CONVERTED and note.field not in told]
        return (*gone, *fields, *lossy)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the data does not allow it."""
        return tuple(note.message for note in self.notes if note.refuses)

    @property
    def violations(self) -> tuple[str, ...]:
        """Rules that records would break that are there already; needs ``allow_violations``."""
        return tuple(note.message for note in self.notes if note.violates)

    @cached_property
    def fingerprint(self) -> str:
        """The same for two plans that promise the same: the revision they start from, the documents, what happens to
        the tables, and what is lost. Counts of records are not part of it; they change by the minute."""
        promised = [
            self.revision,
            self.since,
            [[d.package, d.file, d.data] for d in self.documents],
            [move.as_json() for move in self.moves],
            [[c.kind, c.table, c.name, c.description] for c in self.schema],
            sorted([n.object, n.code, n.field or ""] for n in self.notes),
        ]
        return hashlib.sha256(orjson.dumps(promised, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "revision": self.revision,
            "empty": self.empty,
            "fingerprint": self.fingerprint,
            "moves": [move.as_json() for move in self.moves],
            "components": [change.as_json() for change in self.components],
            "schema": [
                {
                    "kind": c.kind,
                    "table": c.table,
                    "name": c.name,
                    "description": c.description,
                    "sql": c.sql,
                    "destructive": c.destructive,
                }
                for c in self.schema
            ],
            "data": [note.as_json() for note in self.notes],
            "findings": [{"file": f.file, "pointer": f.pointer, "code": f.code, "message": f.message, "hint": f.hint,
                          "severity": f.severity} for f in self.findings],
            "destructive": list(self.destructive),
            "refusals": list(self.refusals),
            "violations": list(self.violations),
            "rights": [found.as_json() for found in self.rights],
            **self.upgrade.as_json(),
        }  # fmt: skip


def plan_package(target: Target, source: Source, manner: Manner | None = None) -> Plan:
    """The plan for one package, or for the packages of an export.

    Raises ``MetadataRefused`` with every problem when it does not pass the check, and ``MergeConflict`` when it changes
    what was edited here.
    """
    with target.database.read() as connection:
        return plan_sources(target, connection, [source], manner)


def plan_sources(
    target: Target, connection: Connection, sources: Sequence[Source], manner: Manner | None = None
) -> Plan:
    """The same for several packages at once, on a connection."""
    return plan_read(target, connection, read_sources(sources, target.trust), manner)


def plan_documents(
    target: Target,
    connection: Connection,
    documents: Sequence[Document],
    manner: Manner | None = None,
) -> Plan:
    """The plan for documents of whole packages that were read already."""
    return plan_read(target, connection, Read(tuple(documents), ()), manner)


def plan_read(target: Target, connection: Connection, read: Read, manner: Manner | None = None) -> Plan:
    """The plan for what sources hold."""
    with collector_rests():
        return _plan_read(target, connection, read, manner)


def _plan_read(target: Target, connection: Connection, read: Read, manner: Manner | None) -> Plan:
    present = present_documents(connection)
    if any(finding.severity == "error" for finding in read.findings):
        raise MetadataRefused(check_documents(read.documents, target.language, present, read.findings).findings)
    journey = Journey.of(read.documents, present)
    standing = journey.standing
    renamed = replace(read, documents=tuple(journey.renamed(read.documents)))
    said = manner or Manner()
    made = upgrade(connection, renamed, standing, said, journey)
    made = replace(made, settings=tuple(needs(connection, made.documents, said.settings, ask=said.ask)))
    checked = check_documents(made.documents, target.language, standing, read.findings)
    return plan_checked(target, connection, checked, journey, made)


def plan_checked(target: Target, connection: Connection, checked: Checked, journey: Journey, made: Upgrade) -> Plan:
    """The plan for checked packages. Raises ``MetadataRefused``."""
    if checked.registry is None:
        raise MetadataRefused(checked.findings)
    others = journey.renamed([d for d in journey.standing if d.package not in checked.packages])
    after = [*others, *checked.documents]
    present = journey.present
    return make_plan(target, connection, present, after, checked.registry, checked.findings, made, journey)


def make_plan(
    target: Target,
    connection: Connection,
    present: Sequence[Document],
    documents: Sequence[Document],
    after: Registry,
    findings: Sequence[Finding] = (),
    made: Upgrade | None = None,
    journey: Journey | None = None,
    since: int | None = None,
) -> Plan:
    """The plan that replaces the ``present`` documents by ``documents``, which compile to ``after``.

    ``since`` is the revision that a rollback goes back to.
    """
    target.database.forget_statements()  # another process may have changed a table since this connection asked last
    target.database.fresh(connection)
    revision = revisions.current_revision(connection)
    before = target.registry_at(connection, revision)
    bases = standing_bases(connection)
    made = made or Upgrade(tuple(documents), bases)
    dialect = target.database.dialect
    journey = journey or Journey((), (), tuple(present))
    standing, relocation = before, None
    if before is not None and journey.moves:
        standing = target.registry_of(journey.standing, revision)
        relocation = Relocation(before, standing, journey.moves)
    kept = read_kept(connection) if relocation is None else relocation.kept(read_kept(connection))
    moves = journey.moves
    components = component_changes(journey.standing, documents)
    changed = _changed_objects(components)
    data = tuple(batches(journey.standing, documents, after))

    def count(now: Connection, convert: bool) -> tuple[DataNote, ...]:
        if standing is None:
            return tuple(data_plan(now, None, data))
        tables = Tables(standing, dialect) if relocation is None else RelocatedTables(relocation, dialect)
        replaced = _replaced(standing, moves)
        notes = data_notes(Situation(target, now, standing, after, tables, replaced, changed, convert))
        return (*notes, *data_plan(now, RecordStore(standing, tables, dialect), data))

    return Plan(
        revision=revision,
        components=(*journey.components(documents), *components),
        schema=tuple(schema.changes(standing, after, dialect, kept, since, target.language.types)),
        notes=count(connection, True),
        count=count,
        findings=tuple(findings),
        documents=tuple(in_order(documents)),
        before=standing,
        after=after,
        moves=journey.moves,
        data=data,
        relocation=relocation,
        since=since,
        upgrade=made,
        rebased=_rebased(bases, made.bases),
        rights=widenings(present, documents) if before is not None else (),
    )


def _rebased(before: Bases, after: Bases) -> tuple[str, ...]:
    gone = object()  # a base may be None
    places = {*before, *after}
    return tuple(sorted({place[0] for place in places if before.get(place, gone) != after.get(place, gone)}))


def _changed_objects(components: Sequence[ComponentChange]) -> frozenset[str] | None:
    """The objects whose records a change may concern; ``None`` = any, because a shared value set changed."""
    if any(change.kind == "picklist" for change in components):
        return None
    return frozenset(change.name.partition(".")[0] for change in components)


def _replaced(standing: Registry, moves: Sequence[Move]) -> dict[tuple[str, str], dict[str, str]]:
    """(object, field) → value or ``pipeline.stage`` as the records have it now → what it will be."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for move in moves:
        if move.kind == "value":
            for obj in standing:
                for one in obj.fields.values():
                    shared = move.field == f"*{one.spec.option('value_set')}"
                    if shared or (move.object, move.field) == (obj.name, one.name):
                        found.setdefault((obj.name, one.name), {})[move.old] = move.new
        elif move.kind == "stage" and move.object in standing.objects:
            stage = standing[move.object].stage_field
            if stage is not None:
                old = move.old if "." in move.old else f"{move.pipeline}.{move.old}"
                found.setdefault((move.object, stage.name), {})[old] = move.new
    return found


def present_documents(connection: Connection) -> list[Document]:
    """The documents as they stand."""
    return revisions.documents_at(connection, revisions.current_revision(connection))


def _takes_data_away(change: ComponentChange) -> bool:
    return change.kind in {"object", "extension"}
