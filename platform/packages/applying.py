"""Applying metadata: the tables, the values that follow from it and the revision, all in one transaction.

``apply_package`` plans, refuses what must not be, changes the tables, fills values in and writes the revision. Either
all of it happens or nothing. Other processes notice the new revision by themselves. ``rollback`` is the same with the
documents of an earlier revision: removed fields and objects kept their columns, so their data is back with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.errors import Conflict, NotFound
from ratoon.platform.metadata.builtin import SYSTEM, system_documents
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, read_package
from ratoon.platform.metadata.versions import version_key
from ratoon.platform.packages.backfill import Backfill
from ratoon.platform.packages.merging import Choices
from ratoon.platform.packages.planning import Plan, make_plan, plan_documents, plan_sources, present_documents
from ratoon.platform.packages.sources import Source
from ratoon.platform.packages.target import Drifted, Installation, Target
from ratoon.platform.packages.upgrades import Manner, Upgrade
from ratoon.platform.storage import revisions, schema
from ratoon.platform.storage.bases import bases_at, save_bases
from ratoon.platform.storage.revisions import Revision

MakePlan = Callable[[Connection], Plan]


class Destructive(Conflict):
    """The change takes something away and was not allowed to; ``losses`` says what."""

    code = "destructive"

    def __init__(self, message: str, *, losses: Sequence[str], **params: Any) -> None:
        super().__init__(message, losses="; ".join(losses), **params)
        self.losses = tuple(losses)


class DataRefuses(Conflict):
    """The records that are there do not allow the change; ``reasons`` says why."""

    code = "data_refuses"

    def __init__(self, message: str, *, reasons: Sequence[str], **params: Any) -> None:
        super().__init__(message, reasons="; ".join(reasons), **params)
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

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {
            "revision": self.revision,
            "values": self.values,
            "validated_only": self.validated_only,
            "plan": self.plan.as_json(),
        }


class _Undo(Exception):
    def __init__(self, applied: Applied) -> None:
        self.applied = applied


def apply_package(
    target: Target,
    source: Source,
    *,
    by: str | None = None,
    message: str = "",
    allow_destructive: bool = False,
    validate_only: bool = False,
    expected_revision: int | None = None,
    manner: Manner | None = None,
) -> Applied:
    """Applies one package, or the packages of an export.

    ``validate_only`` does everything and then takes it back; ``expected_revision`` is the one the caller planned on;
    ``manner`` says what becomes of local edits. Raises ``MetadataRefused``, ``MergeConflict``, ``Drifted``,
    ``Destructive``, ``DataRefuses``; nothing happened then.
    """
    return apply_plan(
        target,
        lambda connection: plan_sources(target, connection, [source], manner),
        by=by,
        message=message,
        allow_destructive=allow_destructive,
        validate_only=validate_only,
        expected_revision=expected_revision,
    )


def apply_documents(
    target: Target,
    documents: Sequence[Document],
    *,
    by: str | None = None,
    message: str = "",
    allow_destructive: bool = False,
    manner: Manner | None = None,
) -> Applied:
    """Applies the documents of whole packages that were read already."""
    return apply_plan(
        target,
        lambda connection: plan_documents(target, connection, documents, manner),
        by=by,
        message=message,
        allow_destructive=allow_destructive,
    )


def plan_rollback(target: Target, revision: int) -> Plan:
    """What bringing an earlier revision back would change. Raises ``NotFound`` for one that never was."""
    with target.database.read() as connection:
        return _rollback_plan(target, connection, revision)


def rollback(
    target: Target,
    revision: int,
    *,
    by: str | None = None,
    message: str = "",
    allow_destructive: bool = False,
    validate_only: bool = False,
    expected_revision: int | None = None,
) -> Applied:
    """Makes the documents of an earlier revision the metadata again, as a new revision.

    Raises what ``apply_package`` does, and ``NotFound``.
    """
    return apply_plan(
        target,
        lambda connection: _rollback_plan(target, connection, revision),
        by=by,
        message=message or f"Roll back to revision {revision}",
        allow_destructive=allow_destructive,
        validate_only=validate_only,
        expected_revision=expected_revision,
    )


def history(target: Target, limit: int = 100) -> list[Revision]:
    """The revisions, newest first."""
    with target.database.read() as connection:
        return revisions.history(connection, limit)


def bootstrap(installation: Installation, folders: Iterable[Path]) -> Applied | None:
    """Applies the built-in package and those in ``folders`` that are missing or newer than what is applied.

    One that was there and was taken away stays away. Returns ``None`` when there was nothing to do.
    """
    target = Target.of(installation)
    offered = [list(system_documents()), *(read_package(folder) for folder in folders)]
    with target.database.read() as connection:
        present, known = present_documents(connection), revisions.packages_ever(connection)
    gone = known - {document.package for document in present}
    wanted = [package for package in _newer(present, offered) if _name(package) not in gone]
    if not wanted:
        return None
    names = ", ".join(f"{_name(package)} {_version(package)}" for package in wanted)
    documents = [document for package in wanted for document in package]
    keep_edits = Manner(choices=Choices(prefer="ours"))
    return apply_documents(target, documents, message=f"Apply {names}", allow_destructive=True, manner=keep_edits)


def apply_plan(
    target: Target,
    make: MakePlan,
    *,
    by: str | None,
    message: str,
    allow_destructive: bool,
    validate_only: bool = False,
    expected_revision: int | None = None,
) -> Applied:
    """Carries out the plan that ``make`` gives inside the transaction. Raises what ``apply_package`` does."""
    try:
        with target.database.write() as connection:
            _one_at_a_time(connection)
            plan = make(connection)
            _refuse(plan, allow_destructive, expected_revision)
            if validate_only or not _columns_first(target, connection, plan):
                return _carry_out(target, connection, plan, by=by, message=message, validate_only=validate_only)
            schema.apply_changes(connection, [c for c in plan.schema if c.kind == "add_column"])
        with target.database.write() as connection:
            _one_at_a_time(connection)
            again = make(connection)
            _refuse(again, allow_destructive, plan.revision)
            return _carry_out(target, connection, again, by=by, message=message)
    except _Undo as undo:
        return undo.applied


def _carry_out(
    target: Target,
    connection: Connection,
    plan: Plan,
    *,
    by: str | None,
    message: str,
    validate_only: bool = False,
) -> Applied:
    """Tables, values and the revision, in the caller's transaction."""
    if plan.empty:
        return Applied(plan.revision, plan, validated_only=validate_only)
    schema.apply_changes(connection, plan.schema)
    values = _backfill(target, connection, plan).run() if plan.before is not None else 0
    if validate_only:
        raise _Undo(Applied(plan.revision, plan, values, validated_only=True))
    now, said = target.world.clock(), message or _title(plan)
    revision = revisions.save_revision(connection, plan.documents, by, said, now, _kept(plan))
    save_bases(connection, revision, plan.upgrade.bases)
    return Applied(revision, plan, values)


def _backfill(target: Target, connection: Connection, plan: Plan) -> Backfill:
    before = plan.before if plan.before is not None else plan.after
    return Backfill(connection, before, plan.after, target.database.dialect, target.context())


def _columns_first(target: Target, connection: Connection, plan: Plan) -> bool:
    """Whether columns are added in a transaction of their own, before rows are filled in.

    On PostgreSQL adding a column keeps readers out until the transaction ends, and filling in many rows takes long.
    Nobody sees a column that no metadata names, so it may come first; the long transaction keeps out writers only.
    """
    if target.database.dialect != "postgresql" or plan.before is None:
        return False
    adds = any(change.kind == "add_column" for change in plan.schema)
    return adds and bool(_backfill(target, connection, plan).objects())


def _one_at_a_time(connection: Connection) -> None:
    """Metadata is changed by one transaction at a time, while nobody writes records."""
    revisions.lock_metadata(connection)


def _refuse(plan: Plan, allow_destructive: bool, expected_revision: int | None) -> None:
    if expected_revision is not None and expected_revision != plan.revision:
        raise Drifted(
            "The metadata is at revision {current}, the plan was made at {expected}. Plan again.",
            current=plan.revision,
            expected=expected_revision,
        )
    if plan.refusals:
        raise DataRefuses("The records do not allow this change: {reasons}", reasons=plan.refusals)
    if plan.destructive and not allow_destructive:
        raise Destructive("This change takes something away: {losses}", losses=plan.destructive)


def _title(plan: Plan) -> str:
    """What a revision is called when nobody said: the packages it changed."""
    changed = dict.fromkeys(change.package for change in plan.components)
    known = plan.after.packages
    return "Apply " + ", ".join(f"{name} {known[name].version}" if name in known else name for name in changed)


def _kept(plan: Plan) -> dict[str, Any]:
    """What the revision remembers of its plan."""
    shown = plan.as_json()
    return {key: shown[key] for key in ("revision", "components", "data", "destructive", "settled")}


def _rollback_plan(target: Target, connection: Connection, revision: int) -> Plan:
    if revision < 1:
        raise NotFound("There is no revision {revision}.", revision=revision)
    documents = revisions.documents_at(connection, revision)
    language = target.language
    after = compile_registry(documents, types=language.types, functions=language.functions, trusted=True)
    made = Upgrade(tuple(documents), bases_at(connection, revision))
    return make_plan(target, connection, present_documents(connection), documents, after, made=made)


def _newer(present: Sequence[Document], offered: Sequence[list[Document]]) -> list[list[Document]]:
    applied = {d.package: str(d.data.get("version", "0")) for d in present if d.kind == "package"}
    return [
        package
        for package in offered
        if _name(package) not in applied or version_key(_version(package)) > version_key(applied[_name(package)])
    ]


def _name(package: Sequence[Document]) -> str:
    return package[0].package if package else SYSTEM


def _version(package: Sequence[Document]) -> str:
    return next((str(d.data.get("version", "0")) for d in package if d.kind == "package"), "0")
