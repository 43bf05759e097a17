"""What a record service stands on, and what may react to a save.

``Engine`` belongs to one registry snapshot and is shared by all requests; ``Reactions`` is the door through which
automations and plugins take part in the order of execution (``order.py``) without this room knowing them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.policy import Policy
from ratoon.platform.access.scope import ReadableScope
from ratoon.platform.config import World
from ratoon.platform.formulas import Formula, compile_formula
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.records.plan import Plans
from ratoon.platform.storage.store import RecordStore

if TYPE_CHECKING:
    from ratoon.platform.records.drafts import Draft
    from ratoon.platform.records.service import RecordService

FILTERS_KEPT = 500
"""Compiled filters kept per snapshot; then it starts anew."""
Event = Literal["created", "updated", "deleted", "restored"]


@dataclass(frozen=True, slots=True)
class Step:
    """One automation or hook as ``ratoon explain`` shows it."""

    kind: str
    name: str
    detail: str = ""


class Reactions(Protocol):
    """Who reacts to a save. Rows may be changed before the save; afterwards only through the service."""

    def before_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Step 4: may change ``draft.row``."""

    def after_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Step 11: may save other records, or these again, through ``records``."""

    def enqueue(self, records: RecordService, touched: Mapping[str, Mapping[str, Event]]) -> None:
        """Step 15: object → record id → what happened to it in this transaction. Enqueues in the same transaction."""

    def explain(self, object: Object, event: Event, phase: Literal["before", "after", "job"]) -> Sequence[Step]:
        """What would run there, in order."""


class NoReactions:
    """Nothing reacts."""

    def before_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Nothing."""

    def after_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Nothing."""

    def enqueue(self, records: RecordService, touched: Mapping[str, Mapping[str, Event]]) -> None:
        """Nothing."""

    def explain(self, object: Object, event: Event, phase: Literal["before", "after", "job"]) -> Sequence[Step]:
        """Nothing."""
        return ()


@dataclass(frozen=True)
class Limits:
    """Where runaway work is stopped."""

    depth: int = 12
    """Levels of automations that change records that start automations …"""
    runs_per_record: int = 4
    """How often one automation may run on one record within a transaction."""
    automation_rows: int = 100_000
    """Records that automations may write within one transaction."""
    automation_seconds: float = 120.0
    """Seconds that they may take within one transaction."""
    records_per_call: int = 20_000
    """Records in one call."""
    page: int = 500
    """Records on one page of a list."""


@dataclass(frozen=True)
class Engine:
    """One registry snapshot, ready to serve."""

    registry: Registry
    store: RecordStore
    plans: Plans
    policy: Policy
    world: World
    secret: Callable[[], bytes]
    """Signs cursors."""
    reactions: Reactions = field(default_factory=NoReactions)
    organization: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    compile: Callable[..., Formula] = compile_formula
    """Compiles a formula in a scope, with the functions that plugins bring."""
    _filters: dict[tuple[str, str, str | None, Any], Formula] = field(default_factory=dict)

    def filter(
        self, object: str, source: str, *, source_object: str | None = None, actor: Actor | None = None
    ) -> Formula:
        """A boolean formula over the records of ``object``, compiled once; ``source_object`` is what ``$source`` means.

        ``actor``: whose words these are; what that person may not read is not there. ``None`` = an admin's document.
        Raises ``FormulaError``.
        """
        limited = actor is not None and not actor.admin
        key = (object, source, source_object, actor.rights if actor is not None and limited else None)
        found = self._filters.get(key)
        if found is None:
            scope: Any = self.registry.scopes[object]
            if source_object is not None:
                scope = scope.with_source(self.registry.scopes[source_object])
            if actor is not None and limited:
                scope = ReadableScope(scope, object, self.registry, self.policy, actor)
            found = self.compile(source, scope, expects=Type.BOOLEAN)
            if len(self._filters) >= FILTERS_KEPT:
                self._filters.clear()
            self._filters[key] = found
        return found
