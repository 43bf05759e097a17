"""One save, in the published order of execution (``order.py`` lists the steps, DESIGN §5 is their source).

A ``Saving`` is one call from outside: everything it sets off (automations that save other records, rollups, cascades)
happens in it and in one transaction. ``save`` runs steps 2–11 for drafts of one object and is entered again, one level
deeper, by whatever automations save; ``settle`` runs steps 12–15 once, at the end. Nothing here commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ratoon.platform.access.actor import Actor
from ratoon.platform.errors import FormulaError, Invalid, LoopStopped, Problem, ValidationFailed
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Rule
from ratoon.platform.records import (
    advancing,
    aftermath,
    checks,
    coercion,
    duplicates,
    locks,
    numbers,
    propagation,
    stages,
    veil,
    watching,
)
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.engine import Engine, Event
from ratoon.platform.records.links import save_links
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.reading import context_of
from ratoon.platform.records.rights import check_rights
from ratoon.platform.storage.history import StageMove

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService


@dataclass(slots=True)
class Touched:
    """What happened to one record in this transaction."""

    event: Event
    old: dict[str, Any] | None
    new: dict[str, Any]
    depth: int
    computed: bool = False
    """True when only formulas and rollups changed."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One thing that happened, for explain and for golden traces."""

    step: int
    depth: int
    object: str
    record: str
    what: str
    outcome: str = ""


class Saving:
    """One call's work within one transaction."""

    def __init__(self, service: RecordService, *, acknowledge: bool = False) -> None:
        self.service = service
        self.engine: Engine = service.engine
        self.store = service.engine.store
        self.connection = service.connection
        self.actor: Actor = service.actor
        self.acknowledge = acknowledge
        self.now = service.engine.world.clock()
        self.touched: dict[str, dict[str, Touched]] = {}
        self.notices: list[Problem] = []
        self.trace: list[TraceEntry] | None = service.trace
        self.depth = 0
        self.path: list[str] = []
        """Names of the automations we are inside of, outermost first."""
        self.unlocked: set[str] = set()
        """Records that this call may change though an approval locks them."""
        self.assigned: set[str] = set()
        """Records that an assignment gave to somebody."""
        self.moves: list[StageMove] = []
        """Stages that records entered, in order."""
        self.matched: dict[tuple[str, str, str], str | None] = {}
        """(object, duplicate rule, record) → the key that was written."""
        self._runs: Counter[tuple[str, str]] = Counter()
        self._plain = context_of(service, self.now)

    # -- context -------------------------------------------------------------------------------------------------

    def context(self, draft: Draft | None = None) -> EvalContext:
        """What formulas see beside the row; for a changed record, its values before."""
        if draft is None or draft.old is None:
            return self._plain
        return replace(self._plain, old=draft.old)

    def note(self, step: int, object: str, record: str, what: str, outcome: str = "") -> None:
        """Adds to the trace when somebody wants one."""
        if self.trace is not None:
            self.trace.append(TraceEntry(step, self.depth, object, record, what, outcome))

    def visible(self, object: str, ids: Sequence[str]) -> set[str]:
        """Which of these records exist and may be seen by the actor; they stay until the transaction ends."""
        where = () if self.depth else self.engine.policy.row_filter(self.actor, object, "read")
        return self.store.visible(self.connection, object, ids, where, hold=True)

    def enter(self, name: str, records: Iterable[str]) -> None:
        """Called before an automation runs; stops loops and names the cycle."""
        limits = self.engine.limits
        record = ""
        for record in records:
            self._runs[name, record] += 1
            if self._runs[name, record] > limits.runs_per_record:
                start = self.path.index(name) if name in self.path else 0
                raise LoopStopped(
                    "Automations keep changing the same record, {record}: {cycle}. Nothing was saved.",
                    cycle=[*self.path[start:], name],
                    record=record,
                )
        if self.depth >= limits.depth:
            raise LoopStopped(
                "Automations are nested more than {depth} levels deep: {cycle}, at {record}. Nothing was saved.",
                cycle=[*self.path, name],
                depth=limits.depth,
                record=record,
            )
        self.service.budget.begin((*self.path, name), record)

    # -- steps 2 to 11 -------------------------------------------------------------------------------------------

    def save(self, plan: ObjectPlan, drafts: list[Draft], values: Sequence[Mapping[str, Any]]) -> None:
        """Runs steps 2–11 for drafts of one object that are all new or all changes."""
        self.prepare(plan, drafts, values)
        self._refuse_if_wrong(drafts)
        self.write(plan, drafts)

    def prepare(self, plan: ObjectPlan, drafts: list[Draft], values: Sequence[Mapping[str, Any]]) -> None:
        """Steps 2–9: what is wrong is in ``draft.problems`` afterwards; nothing is written."""
        event = drafts[0].event
        editable, readable = None, frozenset[str]()
        if not self.depth and not self.actor.admin:
            editable = self.engine.policy.editable_keys(self.actor, plan.name)
            readable = self.engine.policy.readable_keys(self.actor, plan.name)
        for draft, given in zip(drafts, values, strict=True):
            coercion.coerce_given(plan, draft, given, editable, readable)
        if editable is not None:
            check_rights(self, plan, drafts)
        self._lock_parents(plan, drafts)
        for draft in drafts:
            self._stamp(plan, draft)
        self._complete(plan, drafts)
        self.engine.reactions.before_save(self.service, plan.name, event, drafts)
        if plan.object.pipelines:
            for draft in drafts:
                stages.carry(self, plan, draft)
        self._compute(plan, drafts)
        checks.check_all(self, plan, drafts)
        locks.check(self, plan, drafts)
        stages.check_all(self, plan, drafts)
        for draft in drafts:
            self._rules(plan, draft, plan.rules)
        if plan.object.duplicates:
            duplicates.check(self, plan, drafts)
        veil.veil(self, plan, drafts)

    def write(self, plan: ObjectPlan, drafts: list[Draft]) -> None:
        """Steps 10 and 11 for drafts that nothing is wrong with."""
        event = drafts[0].event
        written = self._write(plan, drafts, event)
        if written:
            self.engine.reactions.after_save(self.service, plan.name, event, written)

    def overwrite(self, plan: ObjectPlan, draft: Draft) -> None:
        """Writes a change in which no rule and no automation has a say, and works out what follows from it."""
        self._stamp(plan, draft)
        self._compute(plan, [draft])
        for written in self._update(plan, [draft]):
            self.touch(plan.name, written.id, "updated", written.old, written.row)
        propagation.propagate(self)

    def _stamp(self, plan: ObjectPlan, draft: Draft) -> None:
        """Who and when, before anything reads it: formulas and rules see the stamps that will be written."""
        row, old = draft.row, draft.old
        if old is None:
            row["id"], row["version"], row["deleted_at"] = draft.id, 1, None
            row["created_at"], row["created_by"] = self.now, self.actor.id
            if row["owner"] is None and (self.depth or "owner" not in draft.given):
                row["owner"] = self.actor.id  # who says “nobody” means it, and an assignment may find somebody
        elif row["version"] == old["version"] and (draft.links or draft.changed(plan.columns)):
            row["version"] = old["version"] + 1
        else:
            return
        row["modified_at"], row["modified_by"] = self.now, self.actor.id

    def _lock_parents(self, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
        """Whoever changes what a rollup depends on locks its parents first, before anything is read from them: two
        transactions that add lines to one invoice then wait for each other instead of blocking each other."""
        for via, keys in plan.rolled_up.items():
            parents = {
                row[via]
                for d in drafts
                if d.old is None or any(d.value_changed(key) for key in keys)
                for row in (d.old, d.row)
                if row is not None and row[via] is not None
            }
            for target in plan.object.fields[via].targets if parents else ():
                self.store.lock(self.connection, target, parents)

    def _complete(self, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
        currency = str(self.engine.organization.get("currency") or "CNY")
        if plan.early_paths:
            self._attach(plan, drafts, plan.early_paths, lock=False)
        for draft in drafts:
            if draft.old is None:
                coercion.apply_defaults(plan, draft, self._plain, currency)
            stages.choose(self, plan, draft)
            coercion.complete_currencies(plan, draft, currency)
        if plan.autonumbers:
            numbers.assign(self, plan, [d for d in drafts if d.old is None and not d.problems])

    def _attach(self, plan: ObjectPlan, drafts: Sequence[Draft], paths: frozenset[str], *, lock: bool) -> None:
        rows = [d.row for d in drafts]
        self.store.attach_paths(self.connection, plan.name, rows, paths, self._plain, lock=lock)

    def _compute(self, plan: ObjectPlan, drafts: Sequence[Draft]) -> None:
        if plan.rule_paths:
            self._attach(plan, drafts, plan.rule_paths, lock=plan.reads_others)
        if not plan.formulas:
            return
        for draft in drafts:
            context = self.context(draft)
            for key, formula in plan.formulas:
                try:
                    draft.row[key] = plan.fit(key, formula.evaluate(draft.row, context))
                except FormulaError as error:
                    draft.row[key] = None
                    self.note(5, plan.name, draft.id, key, error.text())
                except Invalid as refusal:
                    draft.row[key] = None
                    draft.problems.append(refusal.problem(key).at(draft.index))

    def _rules(self, plan: ObjectPlan, draft: Draft, rules: Sequence[Rule]) -> None:
        wrong_keys = draft.wrong_keys if draft.problems else frozenset()
        context = self.context(draft)
        for rule in rules:
            if wrong_keys and rule.error_when.paths & wrong_keys:
                continue
            try:
                broken = rule.error_when.evaluate(draft.row, context) is True
            except FormulaError as error:
                draft.refuse("formula_failed", "Rule {rule} could not be worked out: {reason}", rule.field,
                             rule=rule.name, reason=error.text(), about=rule.error_when.paths)  # fmt: skip
                continue
            if self.trace is not None:
                self.note(8, plan.name, draft.id, rule.name, "broken" if broken else "kept")
            if broken:
                draft.problems.append(
                    Problem("rule", rule.message, rule.field, severity=rule.severity, index=draft.index, rule=rule.name)
                )

    def _refuse_if_wrong(self, drafts: Sequence[Draft]) -> None:
        problems = [p for d in drafts for p in d.problems]
        if not problems:
            return
        self.notices += [p for p in problems if p.severity == "info"]
        stopping = [p for p in problems if p.severity == "error"]
        warnings = [p for p in problems if p.severity == "warning"]
        if stopping or (warnings and not self.acknowledge):
            raise ValidationFailed([*stopping, *warnings])
        self.notices += warnings

    def _write(self, plan: ObjectPlan, drafts: Sequence[Draft], event: Event) -> list[Draft]:
        written = self._insert(plan, drafts) if event == "created" else self._update(plan, drafts)
        for draft in written:
            self.touch(plan.name, draft.id, event, draft.old, draft.row)
            self.note(10, plan.name, draft.id, "written", event)
            if plan.object.pipelines and (move := stages.move_of(self, plan, draft)) is not None:
                self.moves.append(move)
        for draft in drafts:
            if draft.links:
                save_links(self, plan, draft)
        if plan.object.duplicates:
            duplicates.remember(self, plan, written)
        return written

    def _insert(self, plan: ObjectPlan, drafts: Sequence[Draft]) -> list[Draft]:
        self.store.insert(self.connection, plan.name, [d.row for d in drafts])
        return list(drafts)

    def _update(self, plan: ObjectPlan, drafts: Sequence[Draft]) -> list[Draft]:
        by_keys: dict[tuple[str, ...], list[Draft]] = {}
        for draft in drafts:
            self._stamp(plan, draft)  # what only an automation changed has none yet
            changed = draft.changed(plan.columns)
            if changed:
                by_keys.setdefault(changed, []).append(draft)
        for keys, group in by_keys.items():
            rows = [{"id": d.id, **{key: d.row[key] for key in keys}} for d in group]
            self.store.update(self.connection, plan.name, keys, rows)
        return [d for group in by_keys.values() for d in group]

    def touch(
        self,
        object: str,
        record: str,
        event: Event,
        old: dict[str, Any] | None,
        new: dict[str, Any],
        *,
        computed: bool = False,
    ) -> None:
        """Remembers what happened to a record; the first ``old`` and the last ``new`` count."""
        if self.depth:
            self.service.budget.wrote(self.path, f"{object}/{record}")
        records = self.touched.setdefault(object, {})
        before = records.get(record)
        if before is None:
            records[record] = Touched(event, old, new, self.depth, computed)
            return
        before.new = new
        before.depth = max(before.depth, self.depth)
        before.computed = before.computed and computed
        if event in ("deleted", "restored") and before.event != "created":
            before.event = event

    # -- steps 12 to 15 ------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Steps 12–15: rollups, rules again, history, jobs. Called once per call from outside."""
        propagation.propagate(self)
        tried: set[tuple[str, str, str]] = set()
        while advancing.advance(self, tried):
            propagation.propagate(self)
        self._rules_again()
        aftermath.write(self)
        happened = {
            object: {record: t.event for record, t in records.items()} for object, records in self.touched.items()
        }
        self.engine.reactions.enqueue(self.service, happened)

    def _rules_again(self) -> None:
        """Step 13: on every row that an automation wrote or a rollup changed."""
        failed: list[Draft] = []
        for object, records in self.touched.items():
            plan = self.engine.plans[object]
            if not plan.rules:
                continue
            again = [
                Draft(0, record, t.old, dict(t.new), frozenset())
                for record, t in records.items()
                if (t.depth or t.computed) and t.event != "deleted"
            ]
            if not again:
                continue
            paths = plan.rule_paths
            if paths:
                self.store.attach_paths(self.connection, object, [d.row for d in again], paths, self._plain)
            for draft in again:
                self._volatile(plan, draft)
                self._rules(plan, draft, plan.rules)
                self.note(13, object, draft.id, "rules again")
            veil.veil(self, plan, again)
            failed += again
        for plan, again, rules in watching.to_check(self):
            for draft in again:
                self._volatile(plan, draft)
                self._rules(plan, draft, rules)
                self.note(13, plan.name, draft.id, "rules over related records")
            veil.veil(self, plan, again)
            failed += again
        self._refuse_if_wrong(failed)

    def _volatile(self, plan: ObjectPlan, draft: Draft) -> None:
        for key, formula in plan.volatile:
            try:
                draft.row[key] = plan.fit(key, formula.evaluate(draft.row, self.context(draft)))
            except (FormulaError, Invalid):
                draft.row[key] = None
