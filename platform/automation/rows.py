"""The records of a run as its formulas and templates see them: as they stand now, by the rights of whom it acts for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from ratoon.platform.access.actor import Actor
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.tree import MANY, relation_of
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Object
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import dotted
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.service import RecordService


@dataclass(frozen=True)
class Rows:
    """Loads records of one object for one run."""

    object: Object
    actor: Actor
    now: datetime
    zone: ZoneInfo
    organization: Mapping[str, Any]
    deleted: bool = False
    """True when the event was the deletion: deleted records count."""
    old: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Record → values before the change, as JSON."""
    created: bool = False

    def load(
        self, records: RecordService, ids: Sequence[str], formulas: Sequence[Formula], paths: frozenset[str]
    ) -> tuple[list[Draft], list[str]]:
        """Drafts of those that are there and visible, in the order of ``ids``, and the ids of the others."""
        store, name = records.engine.store, self.object.name
        rows = store.load(records.connection, name, ids, deleted=self.deleted)
        where = records.engine.policy.row_filter(self.actor, name, "read")
        seen = store.visible(records.connection, name, list(rows), where) if where else rows.keys()
        found = {record: rows[record] for record in ids if record in rows and record in seen}
        wanted = dotted(formulas) | {path for path in paths if "." in path}
        if not self.actor.admin:  # which related records they are decides whether the actor may see them
            wanted |= {f"{relation}.id" for path in wanted if (relation := relation_of(path)) is not None}
        context = self._context(records)
        if wanted and found:
            store.attach_paths(records.connection, name, list(found.values()), wanted, context)
        self._work_out(records, found.values(), context)
        if not self.actor.admin:
            for row in found.values():
                self._hide(records, row)
        drafts = [Draft(i, record, self._old(record, row), row, frozenset()) for i, (record, row) in
                  enumerate(found.items())]  # fmt: skip
        return drafts, [record for record in ids if record not in found]

    def context(self, records: RecordService, draft: Draft) -> EvalContext:
        """What formulas see beside the row; exchange rates are read through ``records``."""
        return self._context(records, draft.old)

    def _context(self, records: RecordService, old: Mapping[str, Any] | None = None) -> EvalContext:
        return replace(
            context_of(records, self.now),
            time_zone=self.zone,
            user=self.actor.facts,
            organization=self.organization,
            words=partial(records.engine.registry.text, locale=self.actor.locale),
            old=old,
        )

    def _work_out(self, records: RecordService, rows: Any, context: EvalContext) -> None:
        plan = records.plan(self.object.name)
        for row in rows:
            for key, formula in plan.volatile:
                row[key] = plan.fit(key, formula.evaluate(row, context))

    def _old(self, record: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.created:
            return None
        before = dict(row)
        for key, value in self.old.get(record, {}).items():
            part = self.object.parts.get(key)
            before[key] = part.coerce(value) if part is not None and value is not None else None
        return before

    def _hide(self, records: RecordService, row: dict[str, Any]) -> None:
        """Blanks what the actor may not read; the row is only looked at, never written."""
        policy = records.engine.policy
        for key, value in row.items():
            before, _, last = key.rpartition(".")
            target = self._reached(records, before)
            if MANY in last:
                row[key] = self._visible(records, last.partition(MANY)[0], key, value) if target is not None else []
            elif target is None or (last in target.parts and last not in policy.readable_keys(self.actor, target.name)):
                row[key] = None

    def _reached(self, records: RecordService, path: str) -> Object | None:
        """The object at the end of a path; ``None`` when a step of it is not for the actor."""
        registry, policy, here = records.engine.registry, records.engine.policy, self.object
        for step in path.split(".") if path else ():
            child, many, _ = step.partition(MANY)
            if many:
                here = registry[child]
                continue
            field = here.field_of.get(step)
            if field is None or step not in policy.readable_keys(self.actor, here.name):
                return None
            here = registry[field.targets[0]]
        return here

    def _visible(self, records: RecordService, child: str, key: str, rows: Any) -> list[dict[str, Any]]:
        """The related records that the actor may see, with what the actor may read of them."""
        policy, store = records.engine.policy, records.engine.store
        if not rows or not policy.may(self.actor, child, "read"):
            return []
        ids = [one[f"{key}.id"] for one in rows]
        where = policy.row_filter(self.actor, child, "read")
        seen = store.visible(records.connection, child, ids, where) if where else set(ids)
        kept = [dict(one) for one, record in zip(rows, ids, strict=True) if record in seen]
        for one in kept:
            self._hide(records, one)
        return kept
