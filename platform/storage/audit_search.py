"""Searching the audit trail: who, what, to what, when; newest first, a page at a time.

Every way of asking has an index that gives its entries newest first (``audit.SEARCHED``), so that a page costs about
the same whatever the length of the trail. Pages go on behind an entry, by its moment and number, never by counting.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, MetaData, Select, or_, select

from ratoon.platform.errors import BadRequest
from ratoon.platform.storage.audit import Entry, define_audit_tables, entry_of

_TABLES = define_audit_tables(MetaData()).tables
_AUDIT = _TABLES["ratoon_audit"]
_ABOUT = _TABLES["ratoon_audit_about"]
_AT_ONCE = 1000
NOBODY = ""
"""``Wanted.by``: the platform itself, a command, or somebody unknown."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; what is ``None`` (or empty) does not matter."""

    trail: str | None = None
    by: str | None = None
    """Id of a user, or ``NOBODY``."""
    action: str | None = None
    object: str | None = None
    subjects: tuple[str, ...] = ()
    """What it happened to: any of these."""
    package: str | None = None
    component: str | None = None
    """``package/file``, the file alone, ``package.setting`` or ``object.field``."""
    since: datetime | None = None
    until: datetime | None = None
    """Before this moment."""


def find(conn: Connection, wanted: Wanted, *, after: int | None = None, limit: int = 100) -> list[Entry]:
    """The newest entries that are wanted; ``after`` goes on behind the entry of that number, the last of a page.

    Raises ``BadRequest`` when there is no entry of that number.
    """
    place = None if after is None else (_moment_of(conn, after), after)
    return [entry_of(row._asdict()) for row in _found(conn, wanted, place, limit)]


def every(conn: Connection, wanted: Wanted) -> Iterator[Entry]:
    """Every entry that is wanted, newest first, fetched in chunks."""
    place = None
    while True:
        rows = _found(conn, wanted, place, _AT_ONCE)
        yield from (entry_of(row._asdict()) for row in rows)
        if len(rows) < _AT_ONCE:
            return
        place = (rows[-1].at, rows[-1].number)


def statement(
    wanted: Wanted, subject: str | None = None, place: tuple[datetime, int] | None = None, limit: int = 100
) -> Select[Any]:
    """The question to the database for one of the subjects (or for none)."""
    told = {"trail": wanted.trail, "action": wanted.action, "object": wanted.object, "subject": subject}
    asked = [_AUDIT.c[name] == value for name, value in told.items() if value is not None]
    if wanted.by is not None:
        asked.append(_AUDIT.c.by.is_(None) if wanted.by == NOBODY else _AUDIT.c.by == wanted.by)
    for kind, name in (("package", wanted.package), ("component", wanted.component)):
        if name is not None:
            about = select(_ABOUT.c.number).where(_ABOUT.c.kind == kind, _ABOUT.c.name == name)
            asked.append(_AUDIT.c.number.in_(about))
    if wanted.since is not None:
        asked.append(_AUDIT.c.at >= wanted.since)
    if wanted.until is not None:
        asked.append(_AUDIT.c.at < wanted.until)
    if place is not None:
        at, number = place
        asked += [_AUDIT.c.at <= at, or_(_AUDIT.c.at < at, _AUDIT.c.number < number)]
    return select(_AUDIT).where(*asked).order_by(_AUDIT.c.at.desc(), _AUDIT.c.number.desc()).limit(limit)


def _found(conn: Connection, wanted: Wanted, place: tuple[datetime, int] | None, limit: int) -> list[Any]:
    """The rows: one question for each subject, so that each has its index, put together by moment."""
    pages = [conn.execute(statement(wanted, s, place, limit)).all() for s in dict.fromkeys(wanted.subjects or (None,))]
    return list(islice(heapq.merge(*pages, key=lambda row: (row.at, row.number), reverse=True), limit))


def _moment_of(conn: Connection, number: int) -> datetime:
    at: datetime | None = conn.execute(select(_AUDIT.c.at).where(_AUDIT.c.number == number)).scalar()
    if at is None:
        raise BadRequest("There is no entry with the number {number}.", field="cursor", number=number)
    return at
