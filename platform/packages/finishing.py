"""What follows the change of tables and values, in the same transaction: reference data, tests, the audit trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.packages.declared_tests import Outcome, TestsFailed, run_tests
from ratoon.platform.packages.planning import Plan
from ratoon.platform.packages.reference_data import apply_data
from ratoon.platform.packages.target import Target
from ratoon.platform.storage import audit

_ID_LENGTH = 36
_MOST = 200
"""Components that an entry of the audit trail names."""
_MOST_CHANGES = 50
"""Changes inside components that it tells with what was and what is."""
_LONGEST = 200
"""Characters of a value that it tells."""


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
        "changes": list(islice(_changes(plan), _MOST_CHANGES)),
        "destructive": list(plan.destructive[:_MOST]),
        "settled": [f"{one.package}/{one.file} {one.path}".rstrip() for one in plan.upgrade.settled[:_MOST]],
    }
    every = [f"{change.package}/{change.file}" for change in plan.components]
    happening = audit.Happening("setup", "applied", person(by), "revision", str(revision), detail, every)
    audit.note(connection, at, happening)


def _changes(plan: Plan) -> Iterator[list[Any]]:
    """What changed inside components that were there before and stay: file, path in the document, before, after."""
    for component in plan.components:
        if component.action == "changed":
            for one in component.details:
                yield [f"{component.package}/{component.file}", one.path, _brief(one.before), _brief(one.after)]


def _brief(value: Any) -> Any:
    """A value of a document, as far as it is worth telling: words, numbers, lists of them; or what it is called."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
    if isinstance(value, Mapping):
        return str(value.get("name") or value.get("label") or value.get("type") or "…")[:_LONGEST]
    if isinstance(value, list | tuple):
        return [_brief(one) for one in value[:_MOST_CHANGES] if not isinstance(one, list | tuple)]
    return value


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
