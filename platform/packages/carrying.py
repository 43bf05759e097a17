"""Carrying a plan out: names, tables, values and the revision, whole or not at all.

The phases, in this order:

1. ``claimed``: this process says that it changes the metadata; another one is told who does (``locking.py``)
2. ``prepared``: large columns are made (``added``) and filled beforehand, chunk by chunk (``filling``), in transactions
   of their own; no metadata names them yet (``ahead.py``), and what a broken-off change left of them goes first
3. the transaction that counts: plan (again), refuse, ``renamed``, ``reshaped`` (tables), ``filled`` (values), revision
4. ``committed``

A process that dies before the commit leaves the metadata and all records as they were, and one that dies after it
leaves everything done; the claim it leaves behind says which (``locking.interrupted``). ``on_phase`` is told each name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.errors import Conflict, Text, listed
from ratoon.platform.packages.ahead import Ahead, fill_ahead
from ratoon.platform.packages.backfill import Backfill
from ratoon.platform.packages.declared_tests import Outcome
from ratoon.platform.packages.environment_settings import keep, refuse_missing
from ratoon.platform.packages.finishing import bring_data, try_out, write_trail
from ratoon.platform.packages.locking import Claim, claim
from ratoon.platform.packages.planning import Plan
from ratoon.platform.packages.target import Drifted, Target
from ratoon.platform.storage import leftovers, revisions, undo
from ratoon.platform.storage.bases import save_bases
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.filling import Progress, silent
from ratoon.platform.storage.moving import relocate
from ratoon.platform.storage.moving_values import ValueMoves
from ratoon.platform.storage.present import Present, operations_on
from ratoon.platform.storage.schema_change import apply_changes

MakePlan = Callable[[Connection], Plan]


class Destructive(Conflict):
    """The change takes something away and was not allowed to; ``losses`` says what."""

    code = "destructive"

    def __init__(self, message: str, *, losses: Sequence[str], **params: Any) -> None:
        super().__init__(message, losses=listed(losses), **params)
        self.losses = tuple(losses)


class DataRefuses(Conflict):
    """The records that are there do not allow the change; ``reasons`` says why."""

    code = "data_refuses"

    def __init__(self, message: str, *, reasons: Sequence[str], **params: Any) -> None:
        super().__init__(message, reasons=listed(reasons), **params)
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class Applied:
    """The outcome of applying."""

    revision: int
    """The revision that now stands; the old one when nothing changed or it was only validated."""
    plan: Plan
    values: int = 0
    """Values filled into existing rows."""
    validated_only: bool = False
    records: int = 0
    """Records that packages bring, made or changed."""
    tests: tuple[Outcome, ...] = ()
    """Tests of packages that ran and passed, when it was only validated."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "revision": self.revision,
            "values": self.values,
            "validated_only": self.validated_only,
            "records": self.records,
            "tests": [outcome.as_json() for outcome in self.tests],
            "plan": self.plan.as_json(),
        }


@dataclass(frozen=True)
class Conditions:
    """Under which conditions, and watched by whom, a plan is carried out."""

    allow_destructive: bool = False
    allow_violations: bool = False
    """Also when records are left that break their own rules."""
    validate_only: bool = False
    expected_revision: int | None = None
    fingerprint: str | None = None
    """Of the plan that somebody agreed to; another one is refused."""
    progress: Progress = silent
    on_phase: Callable[[str], None] = field(default=lambda name: None)
    on_wait: Callable[[Text], None] = field(default=lambda text: None)
    """Told whose change this one waits for."""


class _TakeBack(Exception):
    def __init__(self, applied: Applied) -> None:
        self.applied = applied


def carry_out(
    target: Target, make: MakePlan, *, by: str | None, message: str, conditions: Conditions | None = None
) -> Applied:
    """Carries out the plan that ``make`` gives inside the transaction. Raises what ``apply_package`` does."""
    conditions = conditions or Conditions()
    with claim(target.database, by, message, target.world.clock(), on_wait=conditions.on_wait) as claimed:
        conditions.on_phase("claimed")
        with target.database.read() as connection:
            first = make(connection)
        _refuse(first, conditions)
        leftovers.clear(target.database)
        done = False
        try:
            ahead = Ahead() if conditions.validate_only else _prepare(target, first, conditions)
            conditions.on_phase("prepared")
            with target.database.write() as connection:
                revisions.lock_metadata(connection)
                plan = _again(connection, first)
                _refuse(plan, conditions)
                applied = _Carrier(target, connection, plan, conditions, ahead).run(by, message, claimed)
            done = True
        except _TakeBack as back:
            return back.applied
        finally:
            if not done:
                leftovers.clear(target.database)
        target.database.forget_statements()
        target.changed()
        conditions.on_phase("committed")
        return applied


def _again(connection: Connection, first: Plan) -> Plan:
    """The plan as it is now that nobody else writes: the records are counted again."""
    if revisions.current_revision(connection) != first.revision:
        raise Drifted("The metadata changed meanwhile. Plan again.")
    return first.recounted(connection)


def _refuse(plan: Plan, conditions: Conditions) -> None:
    expected = conditions.expected_revision
    if expected is not None and expected != plan.revision:
        raise Drifted(
            "The metadata is at revision {current}, the plan was made at {expected}. Plan again.",
            current=plan.revision,
            expected=expected,
        )
    if conditions.fingerprint is not None and conditions.fingerprint != plan.fingerprint:
        raise Drifted("What would happen now is not what was planned. Plan again.")
    refuse_missing(plan.upgrade.settings)
    if plan.refusals:
        raise DataRefuses("The records do not allow this change: {reasons}", reasons=plan.refusals)
    if plan.violations and not conditions.allow_violations:
        raise DataRefuses(
            "Records would break their own rules: {reasons} To go on all the same, allow violations.",
            reasons=plan.violations,
        )
    if plan.destructive and not conditions.allow_destructive:
        raise Destructive("This change takes something away: {losses}", losses=plan.destructive)


def _prepare(target: Target, plan: Plan, conditions: Conditions) -> Ahead:
    """What can be done before the transaction that counts, because nobody sees it: new columns and new types of large
    tables are worked out in columns that no metadata names yet."""
    if plan.empty or plan.moves or plan.before is None:
        return Ahead()
    with target.database.read() as connection:
        replaced = set() if plan.since is None else undo.keys_after(connection, plan.since)
    for change in plan.schema:
        if change.retyping is not None and (change.table, change.name) not in replaced:
            change.retyping.prepare(target.database, target.world.clock(), conditions.progress)
    with target.database.read() as connection:
        work = _backfill(target, connection, plan, conditions)
    return fill_ahead(target, plan, work, conditions.progress, conditions.on_phase)


def _backfill(
    target: Target,
    connection: Connection,
    plan: Plan,
    conditions: Conditions,
    touched: frozenset[tuple[str, str]] = frozenset(),
    ahead: Ahead | None = None,
) -> Backfill:
    before = plan.before if plan.before is not None else plan.after
    return Backfill(
        connection,
        before,
        plan.after,
        target.database.dialect,
        target.context(),
        revision=plan.revision + 1,
        touched=touched,
        progress=conditions.progress,
        ahead=(ahead or Ahead()).changed_since,
    )


@dataclass(frozen=True)
class _Carrier:
    target: Target
    connection: Connection
    plan: Plan
    conditions: Conditions
    ahead: Ahead

    def run(self, by: str | None, message: str, claimed: Claim) -> Applied:
        """Names, tables, values and the revision, in the caller's transaction."""
        plan, conditions = self.plan, self.conditions
        if not conditions.validate_only:
            keep(self.connection, self.target.world.clock(), plan.upgrade.settings, by)
        if plan.empty:
            claimed.finish(self.connection)
            return Applied(plan.revision, plan, validated_only=conditions.validate_only)
        touched = self._rename()
        conditions.on_phase("renamed")
        if plan.since is not None and plan.before is not None:
            # What was overwritten after a change of type goes back before the type does.
            retyped = {(c.retyping.object, c.retyping.key) for c in plan.schema if c.retyping is not None}
            touched |= undo.bring_back(self.connection, plan.before, plan.since, plan.revision + 1, retyped)
        apply_changes(self.connection, plan.schema, revision=plan.revision + 1, progress=conditions.progress)
        conditions.on_phase("reshaped")
        if plan.since is not None:
            touched |= undo.bring_back(self.connection, plan.after, plan.since, plan.revision + 1)
        values = 0
        if plan.before is not None:
            work = _backfill(self.target, self.connection, plan, conditions, frozenset(touched), self.ahead)
            values = work.run()
        records = bring_data(self.target, self.connection, plan)
        conditions.on_phase("filled")
        if conditions.validate_only:
            tests = try_out(self.target, self.connection, plan)
            raise _TakeBack(Applied(plan.revision, plan, values, True, records, tests))
        now, said = self.target.world.clock(), message or _title(plan)
        revision = revisions.save_revision(self.connection, plan.documents, by, said, now, _kept(plan))
        save_bases(self.connection, revision, plan.upgrade.bases)
        write_trail(self.connection, now, plan, revision, by, said)
        claimed.finish(self.connection)
        conditions.on_phase("saved")
        return Applied(revision, plan, values, records=records)

    def _rename(self) -> set[tuple[str, str]]:
        """Tables, columns and values get their new names; returns the (object, key) whose values changed."""
        plan = self.plan
        if plan.relocation is None:
            return set()
        dialect = self.target.database.dialect
        if dialect == "postgresql":
            driver(self.connection).execute("SET CONSTRAINTS ALL IMMEDIATE")
        present = Present(self.connection, revision=plan.revision + 1, progress=self.conditions.progress)
        relocate(self.connection, plan.relocation, operations_on(self.connection), present)
        moving = ValueMoves(
            self.connection, plan.relocation.after, dialect, plan.revision + 1, self.target.world.clock()
        )
        return moving.run(plan.moves)


def _title(plan: Plan) -> str:
    """What a revision is called when nobody said: the packages it changed."""
    known = plan.after.packages
    return "Apply " + ", ".join(f"{name} {known[name].version}" if name in known else name for name in plan.packages)


def _kept(plan: Plan) -> dict[str, Any]:
    """What the revision remembers of its plan."""
    shown = plan.as_json()
    kept = ("revision", "components", "data", "destructive", "settled", "moves", "rights")
    return {key: shown[key] for key in kept}
