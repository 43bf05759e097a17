"""Taking a package away: a plan like any other, in which its documents are no more.

The columns and tables stay with their records, so that a rollback or the package itself, applied again, finds them.
Packages that need it must go first: the check of what would be left says so. A package that comes with the product or a
plugin and was uninstalled does not come back by itself.
"""

from __future__ import annotations

from sqlalchemy import Connection

from ratoon.platform.errors import Conflict, MetadataRefused, NotFound
from ratoon.platform.metadata.builtin import SYSTEM
from ratoon.platform.packages.applying import Applied, apply_plan
from ratoon.platform.packages.checking import check_documents
from ratoon.platform.packages.planning import Plan, make_plan, present_documents
from ratoon.platform.packages.target import Target
from ratoon.platform.packages.upgrades import Upgrade, standing_bases


def plan_uninstall(target: Target, package: str) -> Plan:
    """What taking the package away would change. Raises ``NotFound``, ``Conflict`` for the built-in one, and
    ``MetadataRefused`` when others need it."""
    with target.database.read() as connection:
        return _plan(target, connection, package)


def uninstall(
    target: Target,
    package: str,
    *,
    by: str | None = None,
    message: str = "",
    allow_destructive: bool = False,
    validate_only: bool = False,
    expected_revision: int | None = None,
) -> Applied:
    """Takes the package away; its data is kept. Raises what ``plan_uninstall`` and ``apply_package`` do."""
    return apply_plan(
        target,
        lambda connection: _plan(target, connection, package),
        by=by,
        message=message or f"Uninstall {package}",
        allow_destructive=allow_destructive,
        validate_only=validate_only,
        expected_revision=expected_revision,
    )


def _plan(target: Target, connection: Connection, package: str) -> Plan:
    present = present_documents(connection)
    names = sorted({document.package for document in present})
    if package not in names:
        raise NotFound("There is no package {package}; there are: {names}.", package=package, names=", ".join(names))
    if package == SYSTEM:
        raise Conflict("The built-in package cannot be uninstalled.")
    left = [document for document in present if document.package != package]
    checked = check_documents((), target.language, left)
    if checked.registry is None:
        raise MetadataRefused(checked.findings)
    bases = {place: document for place, document in standing_bases(connection).items() if place[0] != package}
    return make_plan(target, connection, present, left, checked.registry, (), Upgrade(tuple(left), bases))
