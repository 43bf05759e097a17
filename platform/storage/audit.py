"""The audit trail, ``ratoon_audit``: who signed in, who changed which metadata or right, who took records out.

Entries are only ever added. Each carries the hash of the one before it and a hash of itself, so that an entry that is
changed, taken out or slipped in later is found by ``verify``. Whoever keeps the newest hash elsewhere (``head``) also
finds out that the end was cut off or everything was written anew.

``note`` belongs at the end of a transaction: until that ends, others who note something wait.

What is older than an installation wants to keep is emptied by ``forget``: the entry's row stays with its hashes, its
content goes, and an entry says what was forgotten. The same happens to entries that name a person who is erased. An
emptied row that no such entry explains is reported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table, Text, insert, select
from sqlalchemy import text as sql_text
from sqlalchemy import update as sql_update

from ratoon.platform.formulas.columns import Id, UtcDateTime

Trail = Literal["sign_in", "setup", "access", "export", "privacy", "audit"]
"""sign_in: who came in or was refused; setup: metadata; access: roles, shares, tokens, owners; export: records taken
out; privacy: a person's data shown or erased; audit: this trail itself."""
TRAILS: tuple[Trail, ...] = ("sign_in", "setup", "access", "export", "privacy", "audit")
BEGINNING = "0" * 64
"""What stands for the hash before the first entry."""
_LOCK = 0x5241_5544
_AT_ONCE = 1000
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")


def define_audit_tables(metadata: MetaData) -> MetaData:
    """Adds ``ratoon_audit`` to the metadata of system tables, and returns it."""
    Table(
        "ratoon_audit",
        metadata,
        Column("number", _SERIAL, primary_key=True, autoincrement=False),
        Column("at", UtcDateTime, nullable=False),
        Column("trail", String(20), nullable=False),
        Column("action", String(60), nullable=False),
        Column("by", Id, comment="the user; blank = the platform or nobody known"),
        Column("object", String(60), nullable=False),
        Column("subject", String(255), nullable=False, comment="what it happened to: an id, an address, a package"),
        Column("detail", Text, nullable=False, comment="JSON; empty once forgotten"),
        Column("previous", String(64), nullable=False),
        Column("hash", String(64), nullable=False),
        Index("ix_ratoon_audit_trail", "trail", "number"),
        Index("ix_ratoon_audit_by", "by", "number"),
    )
    return metadata


_AUDIT = define_audit_tables(MetaData()).tables["ratoon_audit"]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to be kept in the audit trail."""

    trail: Trail
    action: str
    """In the past tense, snake_case: ``signed_in``, ``applied``, ``role_given``, ``exported``."""
    by: str | None = None
    """Id of the user; ``None`` = the platform itself, or nobody known."""
    object: str = ""
    """The object (or kind of component) it is about."""
    subject: str = ""
    """What it happened to: a record's id, an address, a package. At most 255 characters are kept."""
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Plain JSON values. Never a secret."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept happening."""

    number: int
    at: datetime
    trail: str
    action: str
    by: str | None
    object: str
    subject: str
    detail: Mapping[str, Any] | None
    """``None`` = forgotten."""
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong with the trail."""

    number: int
    reason: Literal["changed", "out_of_chain", "missing", "emptied", "head"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole trail found."""

    entries: int
    head: str
    """Hash of the newest entry."""
    flaws: tuple[Flaw, ...]


def note(conn: Connection, at: datetime, *happenings: Happening) -> str:
    """Adds happenings at the end of the chain, in the caller's transaction; returns the newest hash."""
    if conn.dialect.name == "postgresql":
        conn.execute(sql_text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    number, previous = _end(conn)
    rows = []
    for happening in happenings:
        number += 1
        row = {
            "number": number,
            "at": at,
            "trail": happening.trail,
            "action": happening.action[:60],
            "by": happening.by,
            "object": happening.object[:60],
            "subject": happening.subject.replace("\0", "")[:255],
            "detail": _json(happening.detail).replace("\\u0000", ""),
            "previous": previous,
        }
        previous = row["hash"] = _digest(row)
        rows.append(row)
    if rows:
        conn.execute(insert(_AUDIT), rows)
    return previous


def head(conn: Connection) -> str:
    """Hash of the newest entry; keep it elsewhere to notice that the end was cut off."""
    return _end(conn)[1]


def entries(
    conn: Connection,
    *,
    trail: str | None = None,
    by: str | None = None,
    subject: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Entries, newest first; ``before`` goes on after a page."""
    query = select(_AUDIT).order_by(_AUDIT.c.number.desc()).limit(limit)
    for column, wanted in ((_AUDIT.c.trail, trail), (_AUDIT.c.by, by), (_AUDIT.c.subject, subject)):
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(_AUDIT.c.number < before)
    return [_entry(row._asdict()) for row in conn.execute(query)]


def verify(conn: Connection, known_head: str | None = None) -> Verdict:
    """Reads the whole trail and says what does not fit; ``known_head`` is a newest hash that was noted elsewhere."""
    flaws: list[Flaw] = []
    emptied: list[tuple[int, str, datetime]] = []
    excused: dict[str, str] = {}
    erased: set[int] = set()
    previous, expected, seen = BEGINNING, 1, known_head in (None, BEGINNING)
    for row in _all(conn):
        number = row["number"]
        if number != expected:
            flaws.append(Flaw(expected, "missing"))
        if row["previous"] != previous:
            flaws.append(Flaw(number, "out_of_chain"))
        if row["detail"] == "":
            emptied.append((number, row["trail"], row["at"]))
        elif _digest(row) != row["hash"]:
            flaws.append(Flaw(number, "changed"))
        elif row["trail"] == "audit" and row["action"] == "forgotten":
            told = json.loads(row["detail"])
            excused[told["trail"]] = max(excused.get(told["trail"], ""), told["before"])
        elif row["trail"] == "audit" and row["action"] == "erased":
            erased.update(json.loads(row["detail"])["entries"])
        previous, expected = row["hash"], number + 1
        seen = seen or previous == known_head
    flaws += [
        Flaw(number, "emptied")
        for number, trail, at in emptied
        if number not in erased and _moment(at) >= excused.get(trail, "")
    ]
    if not seen:
        flaws.append(Flaw(expected - 1, "head"))
    return Verdict(expected - 1, previous, tuple(sorted(flaws, key=lambda flaw: flaw.number)))


def forget(conn: Connection, at: datetime, trail: Trail, before: datetime) -> int:
    """Empties entries of a trail that are older than ``before`` and notes that; returns how many. Not of ``audit``."""
    old = (_AUDIT.c.trail == trail, _AUDIT.c.at < before, _AUDIT.c.detail != "")
    if trail == "audit":
        return 0
    changed = conn.execute(sql_update(_AUDIT).where(*old).values(detail="", subject="", by=None)).rowcount
    if changed:
        told = {"trail": trail, "before": _moment(before), "count": changed}
        note(conn, at, Happening("audit", "forgotten", subject=trail, detail=told))
    return int(changed)


def erase(conn: Connection, at: datetime, numbers: Sequence[int], by: str | None = None) -> None:
    """Empties these entries, because they name a person who was erased, and notes which ones."""
    if numbers:
        conn.execute(sql_update(_AUDIT).where(_AUDIT.c.number.in_(numbers)).values(detail="", subject=""))
        note(conn, at, Happening("audit", "erased", by=by, detail={"entries": list(numbers)}))


def _end(conn: Connection) -> tuple[int, str]:
    row = conn.execute(select(_AUDIT.c.number, _AUDIT.c.hash).order_by(_AUDIT.c.number.desc()).limit(1)).first()
    return (0, BEGINNING) if row is None else (row.number, row.hash)


def _all(conn: Connection) -> Iterator[Mapping[str, Any]]:
    after = 0
    while True:
        query = select(_AUDIT).where(_AUDIT.c.number > after).order_by(_AUDIT.c.number).limit(_AT_ONCE)
        rows: Sequence[Mapping[str, Any]] = [row._asdict() for row in conn.execute(query)]
        if not rows:
            return
        yield from rows
        after = rows[-1]["number"]


def _digest(row: Mapping[str, Any]) -> str:
    """The hash of an entry: of everything in it and of the hash before it."""
    told = {key: row[key] for key in ("number", "trail", "action", "by", "object", "subject", "detail", "previous")}
    told["at"] = _moment(row["at"])
    return hashlib.sha256(_json(told).encode("utf-8", "surrogatepass")).hexdigest()


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _json(value: Any) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)


def _entry(row: Mapping[str, Any]) -> Entry:
    values = {key: row[key] for key in Entry.__slots__ if key != "detail"}
    return Entry(detail=json.loads(row["detail"]) if row["detail"] else None, **values)
