"""Applying metadata: the tables, the values that follow from it and the revision, all in one transaction.

``apply_package`` plans, refuses what must not be, changes the tables, fills values in and writes the revision. Either
all of it happens or nothing. Other processes notice the new revision by themselves. ``rollback`` is the same with the
documents of an earlier revision: removed fields and objects kept their columns, so their data is back with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from ratoon.platform.errors import NotFound
from ratoon.platform.metadata.builtin import SYSTEM, system_documents
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, read_package
from ratoon.platform.metadata.versions import version_key
from ratoon.platform.packages.carrying import Applied, Conditions, DataRefuses, Destructive, MakePlan, carry_out
from ratoon.platform.packages.merging import Choices
from ratoon.platform.packages.planning import Plan, make_plan, plan_documents, plan_sources, present_documents
from ratoon.platform.packages.renames import Journey
from ratoon.platform.packages.sources import Source
from ratoon.platform.packages.target import Installation, Target
from ratoon.platform.packages.upgrades import Manner, Upgrade
from ratoon.platform.storage import revisions
from ratoon.platform.storage.bases import bases_at
from ratoon.platform.storage.revisions import Revision


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
    conditions: Conditions | None = None,
) -> Applied:
    """Applies one package, or the packages of an export.

    ``validate_only`` does everything and then takes it back; ``expected_revision`` is the one the caller planned on;
    ``manner`` says what becomes of local edits; ``conditions`` has more to say. Raises ``MetadataRefused``,
    ``MergeConflict``, ``Drifted``, ``Destructive``, ``DataRefuses``, ``Locked``; nothing happened then.
    """
    return apply_plan(
        target,
        lambda connection: plan_sources(target, connection, [source], manner),
        by=by,
        message=message,
        allow_destructive=allow_destructive,
        validate_only=validate_only,
        expected_revision=expected_revision,
        conditions=conditions,
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
    conditions: Conditions | None = None,
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
        conditions=conditions,
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
    keep_edits = Manner(choices=Choices(prefer="ours"), ask=False)
    conditions = Conditions(allow_destructive=True, allow_violations=True)
    return apply_plan(
        target,
        lambda connection: plan_documents(target, connection, documents, keep_edits),
        by=None,
        message=f"Apply {names}",
        allow_destructive=True,
        conditions=conditions,
    )


def apply_plan(
    target: Target,
    make: MakePlan,
    *,
    by: str | None,
    message: str,
    allow_destructive: bool,
    validate_only: bool = False,
    expected_revision: int | None = None,
    conditions: Conditions | None = None,
) -> Applied:
    """Carries out the plan that ``make`` gives. Raises what ``apply_package`` does."""
    given = conditions or Conditions()
    wanted = replace(
        given,
        allow_destructive=allow_destructive or given.allow_destructive,
        validate_only=validate_only or given.validate_only,
        expected_revision=given.expected_revision if expected_revision is None else expected_revision,
    )
    return carry_out(target, make, by=by, message=message, conditions=wanted)


def _rollback_plan(target: Target, connection: Connection, revision: int) -> Plan:
    if revision < 1:
        raise NotFound("There is no revision {revision}.", revision=revision)
    documents = revisions.documents_at(connection, revision)
    language = target.language
    after = compile_registry(documents, types=language.types, functions=language.functions, trusted=True)
    made = Upgrade(tuple(documents), bases_at(connection, revision))
    present = present_documents(connection)
    journey = Journey.back(connection, revision, present)
    return make_plan(target, connection, present, documents, after, made=made, journey=journey, since=revision)


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


__all__ = [
    "Applied",
    "Conditions",
    "DataRefuses",
    "Destructive",
    "apply_documents",
    "apply_package",
    "apply_plan",
    "bootstrap",
    "history",
    "plan_rollback",
    "rollback",
]
