"""What follows the change of tables and values, in the same transaction: reference data, tests, the audit trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from ratoon.platform.packages.declared_tests import Outcome, TestsFailed, run_tests
from ratoon.platform.packages.planning import Plan
from ratoon.platform.packages.reference_data import apply_data
from ratoon.platform.packages.target import Target
from ratoon.platform.storage import audit

_ID_LENGTH = 36
_MOST = 200
"""Components that an entry of the audit trail names."""


def bring_data(target: Target, connection: Connection, plan: Plan) -> int:
    """Makes and changes the records that the packages bring; returns how many. Raises ``ValidationFailed``."""
    if not plan.data or target.build is None:
        return 0
    return apply_data(target.build(plan.after), connection, plan.data)


def try_out(target: Target, connection: Connection, plan: Plan) -> tuple[Outcome, ...]:
    """Runs the tests of all packages with the metadata as planned. Raises ``TestsFailed``."""
    if target.build is None or not any(document.kind == "test" for document in plan.documents):
        return ()
    outcomes = tuple(run_tests(target.build(plan.after), connection, plan.documents))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if failed:
        raise TestsFailed(failed)
    return outcomes


def write_trail(connection: Connection, at: datetime, plan: Plan, revision: int, by: str | None, said: str) -> None:
    """Notes in the audit trail who changed which metadata: belongs at the end of the transaction."""
    known = plan.after.packages
    detail = {
        "message": said,
        "by": by,
        "revision": revision,
        "packages": {name: known[name].version if name in known else None for name in sorted(plan.packages)},
        "sums": dict(Counter(change.action for change in plan.components)),
        "components": [f"{c.action} {c.package}/{c.file}" for c in plan.components[:_MOST]],
        "destructive": list(plan.destructive[:_MOST]),
        "settled": [f"{one.package}/{one.file} {one.path}".rstrip() for one in plan.upgrade.settled[:_MOST]],
    }
    happening = audit.Happening("setup", "applied", person(by), "revision", str(revision), detail)
    audit.note(connection, at, happening)


def note_purge(
    connection: Connection, at: datetime, revision: int, by: str | None, lost: Mapping[str, int], owners: Iterable[str]
) -> None:
    """Notes in the audit trail who dropped which kept values for good: field or object → how many values or records.

    ``owners`` are the packages that they belong to, as far as that is still known.
    """
    detail = {
        "by": by,
        "revision": revision,
        "packages": sorted(set(owners)),
        "lost": dict(list(lost.items())[:_MOST]),
        "sums": {"columns_and_tables": len(lost), "values": sum(lost.values())},
    }
    subject = ", ".join(lost)
    audit.note(connection, at, audit.Happening("setup", "purged", person(by), "kept_data", subject, detail))


def person(by: str | None) -> str | None:
    """The id in ``by``, which may also say "command line"."""
    return by if by is not None and len(by) == _ID_LENGTH else None
