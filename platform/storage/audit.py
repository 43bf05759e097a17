"""The audit trail, ``ratoon_audit``: who signed in, who changed which metadata or right, who took records out.

Entries are only ever added. Each carries the hash of the one before it and a hash of itself, so that an entry that is
changed, taken out or slipped in later is found by ``verify``. Whoever keeps the newest hash elsewhere (``head``) also
finds out that the end was cut off or everything was written anew.

``note`` belongs at the end of a transaction: until that ends, others who note something wait.

What is older than an installation wants to keep is emptied by ``forget``: the entry's row stays with its hashes, its
content goes, and an entry says what was forgotten. The same happens to entries that name a person who is erased. An
emptied row that no such entry explains is reported.

``ratoon_audit_about`` says which packages and components an entry of the trail ``setup`` is about, so that they are
found by an index (``audit_search.py`` is how the trail is searched). It follows from the entries and is not hashed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)
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
_ID_LENGTH = 36
SEARCHED = ("trail", "action", "by", "object", "subject")
"""What the trail is searched by, each with an index that gives its entries newest first."""
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")


def define_audit_tables(metadata: MetaData) -> MetaData:
    """Adds ``ratoon_audit`` and what is found by it to the metadata of system tables, and returns it."""
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
        Index("ix_ratoon_audit_at", "at", "number"),
        *(Index(f"ix_ratoon_audit_{name}_at", name, "at", "number") for name in SEARCHED),
    )
    Table(
        "ratoon_audit_about",
        metadata,
        Column("kind", String(10), primary_key=True, comment="package or component"),
        Column("name", String(320), primary_key=True),
        Column("number", _SERIAL, primary_key=True, autoincrement=False),
        Index("ix_ratoon_audit_about_number", "number"),
    )
    return metadata


_TABLES = define_audit_tables(MetaData()).tables
_AUDIT = _TABLES["ratoon_audit"]
_ABOUT = _TABLES["ratoon_audit_about"]


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
    components: Sequence[str] = ()
    """With ``setup``: every component (``package/file``) it is about, where the detail names only some."""


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


def by_whom(by: str | None) -> tuple[str | None, dict[str, str]]:
    """Who did it, as an entry keeps it: the id of a user; of anything else (``command line``) what its detail says."""
    if by is None or len(by) == _ID_LENGTH:
        return by, {}
    return None, {"by": by}


def note(conn: Connection, at: datetime, *happenings: Happening) -> str:
    """Adds happenings at the end of the chain, in the caller's transaction; returns the newest hash."""
    if conn.dialect.name == "postgresql":
        conn.execute(sql_text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    number, previous = _end(conn)
    rows: list[dict[str, Any]] = []
    about: set[tuple[str, str, int]] = set()
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
        about.update((kind, name, number) for kind, name in _about(row, happening.detail, happening.components))
    if rows:
        conn.execute(insert(_AUDIT), rows)
    _keep_about(conn, about)
    return previous


def fill_about(conn: Connection) -> None:
    """Works out what is kept beside the entries, for a trail that an older version wrote."""
    for row in _all(conn, _AUDIT.c.trail == "setup", _AUDIT.c.detail != ""):
        names = _about(row, json.loads(row["detail"]), ())
        _keep_about(conn, {(kind, name, row["number"]) for kind, name in names})


def _about(row: Mapping[str, Any], detail: Mapping[str, Any], more: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The packages and components an entry is about, as ``ratoon_audit_about`` keeps them: a component with its
    package and by its file alone."""
    if row["trail"] != "setup":
        return
    if row["object"] == "setting":
        yield "package", row["subject"].partition(".")[0]
        yield "component", row["subject"]
    for name in detail.get("packages") or ():
        yield "package", str(name)[:320]
    for name in detail.get("lost") or ():
        yield "component", str(name)[:320]
    for name in (*(told.partition(" ")[2] for told in detail.get("components") or ()), *more):
        yield "component", name[:320]
        yield "component", name.partition("/")[2][:320]


def _keep_about(conn: Connection, about: Iterable[tuple[str, str, int]]) -> None:
    rows = [{"kind": kind, "name": name, "number": number} for kind, name, number in sorted(about) if name]
    if rows:
        conn.execute(insert(_ABOUT), rows)


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
    return [entry_of(row._asdict()) for row in conn.execute(query)]


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
    conn.execute(delete(_ABOUT).where(_ABOUT.c.number.in_(select(_AUDIT.c.number).where(*old))))
    changed = conn.execute(sql_update(_AUDIT).where(*old).values(detail="", subject="", by=None)).rowcount
    if changed:
        told = {"trail": trail, "before": _moment(before), "count": changed}
        note(conn, at, Happening("audit", "forgotten", subject=trail, detail=told))
    return int(changed)


def erase(conn: Connection, at: datetime, numbers: Sequence[int], by: str | None = None) -> None:
    """Empties these entries, because they name a person who was erased, and notes which ones."""
    if numbers:
        conn.execute(delete(_ABOUT).where(_ABOUT.c.number.in_(numbers)))
        conn.execute(sql_update(_AUDIT).where(_AUDIT.c.number.in_(numbers)).values(detail="", subject=""))
        note(conn, at, Happening("audit", "erased", by=by, detail={"entries": list(numbers)}))


def _end(conn: Connection) -> tuple[int, str]:
    row = conn.execute(select(_AUDIT.c.number, _AUDIT.c.hash).order_by(_AUDIT.c.number.desc()).limit(1)).first()
    return (0, BEGINNING) if row is None else (row.number, row.hash)


def _all(conn: Connection, *conditions: Any) -> Iterator[Mapping[str, Any]]:
    after = 0
    while True:
        query = select(_AUDIT).where(_AUDIT.c.number > after, *conditions).order_by(_AUDIT.c.number).limit(_AT_ONCE)
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


def entry_of(row: Mapping[str, Any]) -> Entry:
    """A row of ``ratoon_audit`` as an entry."""
    values = {key: row[key] for key in Entry.__slots__ if key != "detail"}
    return Entry(detail=json.loads(row["detail"]) if row["detail"] else None, **values)
