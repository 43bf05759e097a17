"""Purging: what removed fields, removed objects and changes of type left in the database goes for good.

``plan_purge`` lists everything that would be lost, with how many values, and since which revision nobody sees it.
``purge`` drops exactly what such a plan lists (``fingerprint``), with the history of those fields and objects. After
that a rollback brings the metadata back, not the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select

from ratoon.platform.errors import Conflict, NotFound, say
from ratoon.platform.metadata.documents import canonical
from ratoon.platform.packages.finishing import note_purge
from ratoon.platform.packages.locking import claim
from ratoon.platform.packages.target import Drifted, Target
from ratoon.platform.storage import revisions, search
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.filling import GROUP
from ratoon.platform.storage.kept import Kept, forget, kept_tables, read_kept
from ratoon.platform.storage.leftovers import drop_column
from ratoon.platform.storage.present import Present
from ratoon.platform.storage.system import system_tables

WORDS = {
    "removed": say("the field was removed"),
    "retyped": say("the values before its type changed"),
    "table": say("the object was removed"),
    "shadow": say("left by a change that was broken off"),
    "undo": say("values that were replaced"),
}
_BY_OBJECT = ("ratoon_history", "ratoon_stage", "ratoon_unlinked")


@dataclass(frozen=True)
class Loss:
    """Something that would be lost."""

    kind: str
    object: str
    key: str
    values: int
    """Values, or records of an object."""
    revision: int
    entry: Kept | None = None

    @property
    def name(self) -> str:
        """``pet.weight``, ``toy``"""
        return f"{self.object}.{self.key}" if self.key else self.object

    @property
    def text(self) -> str:
        """For people."""
        what = say("records") if self.kind == "table" else say("values")
        return say(
            "{value}: {values} {what} ({words}, revision {revision})",
            value=self.name,
            values=self.values,
            what=what,
            words=WORDS[self.kind],
            revision=self.revision,
        )

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        shown = asdict(self)
        shown.pop("entry")
        return {**shown, "name": self.name, "why": WORDS[self.kind]}


@dataclass(frozen=True)
class PurgePlan:
    """What a purge would drop."""

    revision: int
    losses: tuple[Loss, ...]

    @property
    def fingerprint(self) -> str:
        """The same for plans that list the same columns and tables."""
        listed = [[loss.kind, loss.name, loss.revision] for loss in self.losses]
        return hashlib.sha256(canonical(listed).encode()).hexdigest()[:32]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "revision": self.revision,
            "fingerprint": self.fingerprint,
            "losses": [loss.as_json() for loss in self.losses],
        }


def plan_purge(target: Target, names: Sequence[str] = (), before: int | None = None) -> PurgePlan:
    """What would be lost: of these fields and objects (``pet.weight``, ``toy``; none = all), and only what revisions up
    to ``before`` took out. Raises ``NotFound`` for a name of which nothing is kept."""
    with target.database.read() as connection:
        return _plan(connection, names, before)


def purge(
    target: Target,
    names: Sequence[str] = (),
    *,
    before: int | None = None,
    fingerprint: str | None = None,
    by: str | None = None,
) -> PurgePlan:
    """Drops it. ``fingerprint`` is that of the plan somebody agreed to; another one raises ``Drifted``."""
    with claim(target.database, by, "Purge", target.world.clock()), target.database.write() as connection:
        revisions.lock_metadata(connection)
        plan = _plan(connection, names, before)
        if fingerprint is not None and fingerprint != plan.fingerprint:
            raise Drifted("What would be lost now is not what was planned. Plan again.")
        registry = target.registry_at(connection, plan.revision)
        owners = _owners(connection, plan.losses)
        present = Present(connection)
        for loss in plan.losses:
            alive = registry is not None and loss.object in registry.objects
            if loss.kind == "table" and alive:
                raise Conflict("{object} is in use.", object=loss.object)
            _drop(connection, present, loss)
        if plan.losses:
            note_purge(connection, target.world.clock(), plan.revision, by, _counted(plan), owners)
        return plan


def _counted(plan: PurgePlan) -> dict[str, int]:
    lost: dict[str, int] = {}
    for loss in plan.losses:
        lost[loss.name] = lost.get(loss.name, 0) + loss.values
    return lost


def _owners(connection: Connection, losses: Sequence[Loss]) -> set[str]:
    """The packages whose documents had it last."""
    found: set[str] = set()
    for revision in {loss.revision for loss in losses}:
        mine = [loss for loss in losses if loss.revision == revision]
        for document in revisions.documents_at(connection, revision - 1) if revision > 1 else ():
            if document.kind in ("object", "extension"):
                name = document.data.get("name" if document.kind == "object" else "object")
                fields = {field["name"] for field in document.data.get("fields", ())}
                if any(name == one.object and (one.key in fields or not one.key) for one in mine):
                    found.add(document.package)
    return found


def _plan(connection: Connection, names: Sequence[str], before: int | None) -> PurgePlan:
    present = Present(connection)
    kept = read_kept(connection)
    tables = {entry.table for entry in kept if entry.kind == "table"}
    found = [
        Loss(e.kind, e.object, e.key, _values(connection, present, e), e.revision, e)
        for e in kept
        if e.kind == "table" or e.table not in tables
    ]
    found += _undone(connection)
    wanted = [
        loss
        for loss in found
        if (loss.values or loss.kind in ("table", "shadow")) and (before is None or loss.revision <= before)
    ]
    if names:
        for name in names:
            if not any(name in (loss.name, loss.object) for loss in wanted):
                raise NotFound("Nothing is kept of {name}.", name=name)
        wanted = [loss for loss in wanted if loss.name in names or loss.object in names]
    wanted.sort(key=lambda loss: (loss.object, loss.key, loss.revision))
    return PurgePlan(revisions.current_revision(connection), tuple(wanted))


def _values(connection: Connection, present: Present, entry: Kept) -> int:
    if entry.table not in present.tables or (
        entry.kind != "table" and entry.column not in present.columns(entry.table)
    ):
        return 0
    what = "*" if entry.kind == "table" else present.quote(entry.column)
    sql = f"SELECT count({what}) FROM {present.quote(entry.table)}"
    return int(driver(connection).execute(sql).fetchone()[0])


def _undone(connection: Connection) -> list[Loss]:
    _, table = kept_tables()
    c = table.c
    query = select(c.object, c.key, c.revision, func.count()).where(c.old.is_not(None))
    rows = connection.execute(query.group_by(c.object, c.key, c.revision)).all()
    return [Loss("undo", object, key, count, revision) for object, key, revision, count in rows]


def _drop(connection: Connection, present: Present, loss: Loss) -> None:
    raw = driver(connection)
    if loss.entry is None:
        _, table = kept_tables()
        c = table.c
        mine = (c.object == loss.object, c.key == loss.key, c.revision == loss.revision)
        connection.execute(delete(table).where(*mine))
        return
    entry = loss.entry
    if entry.kind == "table":
        cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
        raw.execute(f"DROP TABLE {present.quote(entry.table)}{cascade}")
        forget(connection, [e for e in read_kept(connection) if e.table == entry.table])
        _forget_records(connection, entry.object)
        return
    drop_column(connection, present, entry)
    if entry.kind == "removed":
        history = system_tables().tables["ratoon_history"]
        connection.execute(delete(history).where(history.c.object == entry.object, history.c.key == entry.key))


def _forget_records(connection: Connection, object_name: str) -> None:
    """Everything the platform itself knows of the records of an object."""
    for name in _BY_OBJECT:
        table = system_tables().tables[name]
        connection.execute(delete(table).where(table.c.object == object_name))
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    found = driver(connection).execute(f"SELECT record FROM ratoon_search WHERE object = {mark}", (object_name,))
    ids = [str(record) for (record,) in found.fetchall()]
    for start in range(0, len(ids), GROUP):
        search.remove(connection, object_name, ids[start : start + GROUP])
