"""The one door to records: screens, API, import, automation and plugins all come through here.

A ``RecordService`` is bound to one connection (one transaction) and one actor. Every write follows the
published order of
execution and either succeeds wholly or raises one of ``errors`` with every reason; it never commits.

    with environment.write(actor) as records:
        pet, = records.create("pet", [{"name": "Mochi", "species": "cat"}])
        records.update("pet", [Change(pet["id"], {"weight": "4.2"}, version=pet["version"])])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import itemgetter
from typing import Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.errors import BadRequest, NotFound, Problem, Stale, ValidationFailed
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.model import Field
from ratoon.platform.records import advancing, deletion, finding, money, reading, stage_paths
from ratoon.platform.records.budget import Budget
from ratoon.platform.records.coercion import coerce_given
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.engine import Engine, Event
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.reading import Page, Query
from ratoon.platform.records.saving import Saving, TraceEntry
from ratoon.platform.storage import history

Record = dict[str, Any]
Records = list[Record]
Hit = tuple[str, str, str]
"""(object, id, title)"""
Hits = list[Hit]


class RecordService:
    """Records as one actor may see and change them, within one transaction."""

    def __init__(self, engine: Engine, connection: Any, actor: Actor, *, trace: list[TraceEntry] | None = None) -> None:
        self.engine = engine
        self.connection = connection
        self.actor = actor
        self.trace = trace
        """When a list: what happens in each step is noted there."""
        self.notices: list[Problem] = []
        """Infos and acknowledged warnings of the writes so far."""
        self.changes: dict[str, dict[str, Event]] = {}
        """What the writes so far did: object → record id → event."""
        self.chain: tuple[str, ...] = ()
        """Automations after the commit that led here, each caused by the one before."""
        self.budget = Budget(engine.limits)
        """What automations of this transaction used so far."""
        self._saving: Saving | None = None

    def plan(self, object: str) -> ObjectPlan:
        """The plan of an object. Raises ``NotFound`` with the nearest name."""
        if object not in self.engine.plans:
            raise self.engine.policy.unknown(self.actor, object)
        return self.engine.plans[object]

    # -- writing -------------------------------------------------------------------------------------------------

    def create(self, object: str, values: Sequence[Mapping[str, Any]], *, acknowledge: bool = False) -> list[Record]:
        """Makes records, all or none; returns them as stored. ``acknowledge`` accepts warnings."""
        plan = self.plan(object)
        self.engine.policy.require(self.actor, object, "create")
        self._limit(values)
        blank, new_id = {**plan.blank_row, **plan.empty_rollups}, self.engine.world.new_id
        drafts = [Draft(index, new_id(), None, blank.copy(), given.keys()) for index, given in enumerate(values)]
        return self._run(plan, drafts, values, acknowledge)

    def update(self, object: str, changes: Sequence[Change], *, acknowledge: bool = False) -> list[Record]:
        """Changes records, all or none. Raises ``NotFound``, or ``Stale`` when a version is not the current one."""
        plan = self.plan(object)
        self.engine.policy.require(self.actor, object, "edit")
        self._limit(changes)
        ids = [change.id for change in changes]
        if len(set(ids)) != len(ids):
            raise BadRequest("The same record is named twice in one call.", field="id")
        rows = self.editable_rows(plan, ids, "edit")
        drafts = []
        for index, change in enumerate(changes):
            old = rows[change.id]
            if change.version is not None and change.version != old["version"]:
                raise Stale(
                    "This record was changed by somebody else meanwhile (you saw version {yours}, it is now {now}).",
                    yours=change.version, current=reading.shown(self, object, old), now=old["version"],
                )  # fmt: skip
            drafts.append(Draft(index, change.id, old, dict(old), frozenset(change.values)))
        return self._run(plan, drafts, [change.values for change in changes], acknowledge)

    def upsert(
        self, object: str, key: str, values: Sequence[Mapping[str, Any]], *, acknowledge: bool = False
    ) -> list[tuple[Record, bool]]:
        """Makes or changes records named by an external id; returns (record, was made) in the order given."""
        plan = self.plan(object)
        named = plan.object.fields.get(key)
        readable = self.engine.policy.readable_keys(self.actor, object)
        if named is None or not (named.external_id or named.unique) or not (self.actor.admin or key in readable):
            raise BadRequest("{key} is not an external id of {object}.", field=key, key=key, object=object)
        wanted = [self._key_value(plan, key, given, index) for index, given in enumerate(values)]
        if len(set(wanted)) != len(wanted):
            raise BadRequest("The same {key} is given twice in one call.", field=key, key=key)
        there = self.engine.store.existing(self.connection, object, key, wanted)
        self._refuse_hidden(plan, named, [(i, value) for i, value in enumerate(wanted) if value in there], there)
        new = [i for i, value in enumerate(wanted) if value not in there]
        old = [i for i, value in enumerate(wanted) if value in there]
        done: dict[int, tuple[Record, bool]] = {}
        if new:
            made = self.create(object, [{**values[i], key: wanted[i]} for i in new], acknowledge=acknowledge)
            done.update((i, (record, True)) for i, record in zip(new, made, strict=True))
        if old:
            changes = [Change(there[wanted[i]], values[i]) for i in old]
            kept = self.update(object, changes, acknowledge=acknowledge)
            done.update((i, (record, False)) for i, record in zip(old, kept, strict=True))
        return [done[i] for i in range(len(wanted))]

    def _refuse_hidden(
        self, plan: ObjectPlan, key: Field, asked: Sequence[tuple[int, Any]], there: Mapping[Any, str]
    ) -> None:
        """A record that the actor may not see is answered as making one with its value would be."""
        where = self.engine.policy.row_filter(self.actor, plan.name, "read")
        if not where or not asked:
            return
        seen = self.engine.store.visible(self.connection, plan.name, [there[value] for _, value in asked], where)
        message = "{label} {value} is already used."
        hidden = [
            Problem("not_unique", message, key.name, {"label": key.label, "value": value}, index=index)
            for index, value in asked
            if there[value] not in seen
        ]
        if hidden:
            self.engine.policy.require(self.actor, plan.name, "create")
            raise ValidationFailed(hidden)

    def delete(self, object: str, ids: Sequence[str], versions: Mapping[str, int] | None = None) -> None:
        """Deletes records and what hangs on them; they can be restored. Raises ``Conflict`` when held."""
        plan = self.plan(object)
        self.engine.policy.require(self.actor, object, "delete")
        rows = self.editable_rows(plan, ids, "delete")
        for record, seen in (versions or {}).items():
            if rows[record]["version"] != seen:
                current = reading.shown(self, object, rows[record])
                raise Stale("This record was changed by somebody else meanwhile.", yours=seen, current=current)
        with self._operation() as saving:
            deletion.delete(saving, object, ids)

    def restore(self, object: str, ids: Sequence[str]) -> list[Record]:
        """Brings deleted records back, with everything their deletion took along."""
        self.plan(object)
        policy = self.engine.policy
        policy.require(self.actor, object, "delete")
        where = (*policy.row_filter(self.actor, object, "delete"), *policy.row_filter(self.actor, object, "read"))
        seen = self.engine.store.visible(self.connection, object, ids, where, deleted=True) if where else set(ids)
        for record in ids:
            if record not in seen:
                raise NotFound("There is no deleted {object} with id {id}.", object=object, id=record)
        with self._operation() as saving:
            deletion.restore(saving, object, ids)
        return [self.get(object, record) for record in ids]

    def nested(self, name: str, records: Iterable[tuple[str, str]] = ()) -> RecordService:
        """For automations: the same transaction, one level deeper, all rights.

        ``name`` shows up when a loop is stopped; ``records`` are the (object, id) pairs it runs on.
        """
        saving = self.saving
        saving.enter(name, [f"{object}/{record}" for object, record in records])
        return _Nested(self, saving, name)

    def advance(self, object: str, ids: Sequence[str]) -> None:
        """Moves records on whose stage says so by now: what an ``advance`` reads may change with the time of day."""
        plan = self.plan(object)
        self.engine.policy.require(self.actor, object, "edit")
        self.editable_rows(plan, ids, "edit")
        with self._operation() as saving:
            advancing.advance_now(saving, plan, ids)

    @contextmanager
    def platform(self, name: str, object: str, record: str) -> Iterator[RecordService]:
        """For processes of the platform: like ``nested`` for one record, which may be locked, from outside a save."""
        with self._operation() as saving:
            saving.unlocked.add(record)
            yield self.nested(name, [(object, record)])

    def _key_value(self, plan: ObjectPlan, key: str, given: Mapping[str, Any], index: int) -> Any:
        draft = Draft(index, "", None, {}, frozenset())
        coerce_given(plan, draft, {key: given.get(key)}, None)
        if draft.problems:
            raise ValidationFailed(draft.problems)
        if draft.row.get(key) is None:
            raise ValidationFailed([Problem("required", "{label} is required.", key, {"label": key}, index=index)])
        return draft.row[key]

    def _limit(self, things: Sequence[Any]) -> None:
        most = self.engine.limits.records_per_call
        if len(things) > most:
            raise BadRequest("One call takes at most {most} records; this one has {count}.", most=most,
                             count=len(things))  # fmt: skip

    def editable_rows(self, plan: ObjectPlan, ids: Sequence[str], action: Any) -> dict[str, Record]:
        """The rows, locked; ``NotFound`` for one that the actor may not edit (or delete)."""
        store = self.engine.store
        where = self.engine.policy.row_filter(self.actor, plan.name, action)
        if self.engine.policy.may(self.actor, plan.name, "read"):
            where = (*where, *self.engine.policy.row_filter(self.actor, plan.name, "read"))
        rows = store.load(self.connection, plan.name, ids, lock=True)
        seen = store.visible(self.connection, plan.name, list(rows), where) if where else rows.keys()
        for record in ids:
            if record not in rows or record not in seen:
                raise NotFound("There is no {object} with id {id}.", object=plan.name, id=record)
        return rows

    def _run(
        self, plan: ObjectPlan, drafts: list[Draft], values: Sequence[Mapping[str, Any]], acknowledge: bool
    ) -> list[Record]:
        if not drafts:
            return []
        with self._operation(acknowledge) as saving:
            saving.save(plan, drafts, values)
        touched = saving.touched.get(plan.name, {})
        rows = [touched[d.id].new if d.id in touched else d.row for d in drafts]
        columns = plan.columns
        if self._saving is not None or drafts[0].old is not None or any(len(row) != len(columns) for row in rows):
            # Otherwise they are new, in order, without paths that formulas read, and nobody works on them any more.
            values_of = itemgetter(*columns)
            rows = [dict(zip(columns, values_of(row), strict=True)) for row in rows]
        return reading.finish(self, plan, rows, reading.whole_keys(self, plan))

    def _operation(self, acknowledge: bool = False) -> _Operation:
        return _Operation(self, acknowledge)

    @property
    def initiator(self) -> Actor:
        """Whoever caused what goes on: inside an automation the one who saved, else the actor."""
        return self.actor if self._saving is None else self._saving.actor

    @property
    def saving(self) -> Saving:
        """The save that is going on; for reactions."""
        if self._saving is None:
            raise RuntimeError("there is no save going on")
        return self._saving

    # -- reading -------------------------------------------------------------------------------------------------

    def get(
        self, object: str, record: str, *, fields: Sequence[str] | None = None, expand: Sequence[str] = ()
    ) -> Record:
        """One live record. Raises ``NotFound``."""
        return reading.fetch_one(self, object, record, fields, expand)

    def list(self, query: Query) -> Page:
        """A page of records."""
        return reading.fetch_page(self, query)

    def aggregate(
        self,
        object: str,
        *,
        group_by: Sequence[str] = (),
        measures: Sequence[tuple[str, str | None]] = (("count", None),),
        filter: str | Formula | None = None,
        limit: int = 1000,
    ) -> Records:
        """Counts, sums, minima … per group. A measure is (operation, key); results: ``sum_amount``, ``count``.

        Amounts of several currencies in one group are refused (see ``money.py``).
        """
        plan = self.plan(object)
        self.engine.policy.require(self.actor, object, "read")
        readable = None if self.actor.admin else self.engine.policy.readable_keys(self.actor, object)
        reading.sort_of(plan, group_by, readable, "group_by")
        for operation, key in measures:
            if operation not in ("count", "sum", "min", "max", "avg"):
                raise BadRequest("{name} is not one of count, sum, min, max, avg.", field="measures", name=operation)
            if key is not None:
                reading.measured(plan, operation, key, readable)
        formula = reading.compile_filter(self, plan, filter)
        codes = money.codes_beside(plan, group_by, measures)
        rows = self.engine.store.lists.aggregate(
            self.connection,
            object,
            group_by,
            money.with_codes(measures, codes),
            formula,
            self.engine.policy.row_filter(self.actor, object, "read", manner="found"),
            reading.context_of(self),
            limit=limit,
            visible=reading.visible_to(self),
        )
        return money.refuse_mixtures(rows, measures, codes)

    def titles(self, object: str, ids: Iterable[str]) -> dict[str, str]:
        """What records are called: id → title."""
        return reading.titles(self, object, ids)

    def search(self, text: str, objects: Sequence[str] | None = None, limit: int = 20) -> Hits:
        """Global search: (object, id, title), best first, only what the actor may see."""
        return finding.search_all(self, text, objects, limit)

    def lookup(
        self, object: str, field: str, text: str = "", so_far: Mapping[str, Any] | None = None, limit: int = 10
    ) -> Hits:
        """Type-ahead for a lookup: (object, id, title) of records that match and pass the lookup filter."""
        return finding.suggest(self, object, field, text, so_far or {}, limit)

    def history(self, object: str, record: str, limit: int = 100) -> Records:
        """What was changed on a record, newest first: at, by, action, changes {key: [before, after]}."""
        self.get(object, record, fields=["id"])
        return finding.shown_history(self, object, history.read_history(self.connection, object, record, limit))

    def stage_history(self, object: str, record: str) -> Records:
        """The stages a record was in, oldest first: pipeline, stage, entered_at, left_at, seconds, by."""
        self.get(object, record, fields=["id"])
        stage = self.plan(object).object.stage_field
        if stage is not None and stage.name not in self.engine.policy.readable_keys(self.actor, object):
            return []
        return history.read_stage_history(self.connection, object, record, self.engine.world.clock())

    def stage_path(self, object: str, record: Mapping[str, Any]) -> Records:
        """The stages of the record's pipeline; ``state``: done, current or ahead; ``allowed``: may one go there."""
        return stage_paths.path(self, self.plan(object), record)

    def checklist(self, object: str, record: Mapping[str, Any]) -> Records:
        """The tasks of the stage the record is in: name, label, required, done, at, by."""
        return stage_paths.checklist(self, self.plan(object), record)

    def tick(self, object: str, record: str, task: str, done: bool = True) -> Records:
        """Marks a task of the record's stage as done (or not); returns the checklist. Raises ``NotFound``."""
        plan = self.plan(object)
        self.engine.policy.require(self.actor, object, "edit")
        row = reading.shown(self, object, self.editable_rows(plan, [record], "edit")[record])
        stage_paths.tick(self, plan, row, task, done)
        return self.checklist(object, row)


class _Operation:
    """One call from outside: opens a ``Saving``, settles it at the end. Inside an automation the open one is used."""

    def __init__(self, service: RecordService, acknowledge: bool) -> None:
        self._service = service
        self._acknowledge = acknowledge
        self._outer: Saving | None = None

    def __enter__(self) -> Saving:
        service = self._service
        self._outer = service._saving
        if self._outer is None:
            service._saving = Saving(service, acknowledge=self._acknowledge)
        return service.saving

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        service = self._service
        if self._outer is not None:
            return
        saving = service.saving
        try:
            if kind is None:
                saving.settle()
                service.notices += saving.notices
                for object, records in saving.touched.items():
                    service.changes.setdefault(object, {}).update({r: t.event for r, t in records.items()})
        finally:
            service._saving = None


class _Nested(RecordService):
    """The service that automations get: the same saving, one level deeper for the time of each call, all rights."""

    def __init__(self, outer: RecordService, saving: Saving, name: str) -> None:
        actor = outer.actor
        inner = actor if actor.admin else replace(actor, admin=True)
        super().__init__(outer.engine, outer.connection, inner, trace=outer.trace)
        self.budget = outer.budget
        self._saving = saving
        self._name = name

    def _operation(self, acknowledge: bool = False) -> _Operation:
        return _Deeper(self, self._name)


class _Deeper(_Operation):
    def __init__(self, service: _Nested, name: str) -> None:
        super().__init__(service, False)
        self._name = name

    def __enter__(self) -> Saving:
        saving = super().__enter__()
        saving.depth += 1
        saving.path.append(self._name)
        return saving

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        saving = self._service.saving
        saving.depth -= 1
        saving.path.pop()
