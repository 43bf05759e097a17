"""The revisions of the metadata: who changed it when, and every document as it stood at each.

A document is kept once per version of it, with the revision since which it stands and the one that replaced it, so a
revision that changes one document adds one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, insert, or_, select, update

from ratoon.platform.errors import NotFound
from ratoon.platform.metadata.documents import Document, canonical
from ratoon.platform.storage.database import driver, executor
from ratoon.platform.storage.system import system_tables

_METADATA_LOCK = 0x7261746F6F6E
"""PostgreSQL advisory lock: shared by who writes records, exclusive for who changes metadata."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One applied change of the metadata."""

    revision: int
    at: datetime
    by: str | None
    """Who: the id or name of a user, or ``None`` for the platform itself."""
    message: str
    plan: Any = None
    """What was planned, as JSON, if it was kept."""


def current_revision(conn: Connection) -> int:
    """The number of the newest revision; 0 before the first. One look at a primary key."""
    found = executor(conn).execute("SELECT max(revision) FROM ratoon_revision").fetchone()
    return found[0] or 0


def held_revision(conn: Connection) -> int:
    """The newest revision, which stays the newest until this transaction ends: a change of the metadata waits for the
    writers that began before it, and writers that begin during it wait for it. SQLite has one writer at a time."""
    if conn.dialect.name == "postgresql":
        executor(conn).execute(f"SELECT pg_advisory_xact_lock_shared({_METADATA_LOCK})")
    return current_revision(conn)


def lock_metadata(conn: Connection) -> None:
    """Waits until nobody writes and keeps writers out until this transaction ends; readers go on."""
    if conn.dialect.name == "postgresql":
        driver(conn).execute(f"SELECT pg_advisory_xact_lock({_METADATA_LOCK})")


def save_revision(
    conn: Connection, documents: Iterable[Document], by: str | None, message: str, at: datetime, plan: Any = None
) -> int:
    """Makes ``documents`` the metadata from now on and returns the new revision's number.

    Two processes that save at the same time: the second waits for the first and comes after it.
    """
    tables = system_tables().tables
    if conn.dialect.name == "postgresql":
        driver(conn).execute("LOCK TABLE ratoon_revision IN EXCLUSIVE MODE")
    revision = current_revision(conn) + 1
    table = tables["ratoon_document"]
    wanted = {f"{document.package}/{document.file}": document for document in documents}
    now = select(table.c.path, table.c.body).where(table.c.until.is_(None))
    standing = {str(row.path): str(row.body) for row in conn.execute(now)}
    bodies = {path: _body(document, standing.get(path)) for path, document in wanted.items()}
    ended = [path for path, body in standing.items() if bodies.get(path) != body]
    begun = [path for path, body in bodies.items() if standing.get(path) != body]
    if ended:
        gone = update(table).where(table.c.path == bindparam("gone"), table.c.until.is_(None)).values(until=revision)
        conn.execute(gone, [{"gone": path} for path in ended])
    if begun:
        conn.execute(
            insert(table),
            [
                {
                    "path": path,
                    "since": revision,
                    "until": None,
                    "package": wanted[path].package,
                    "file": wanted[path].file,
                    "kind": wanted[path].kind,
                    "body": bodies[path],
                }
                for path in begun
            ],
        )
    row = {"revision": revision, "at": at, "by": by, "message": message, "plan": plan}
    conn.execute(insert(tables["ratoon_revision"]), [row])
    return revision


def _body(document: Document, standing: str | None) -> str:
    """The document's text; the one that stands when it says the same (writing it anew takes longer than reading)."""
    if standing is not None and orjson.loads(standing) == document.data:
        return standing
    return canonical(document.data)


def documents_at(conn: Connection, revision: int) -> list[Document]:
    """The documents of a revision, ordered by path. Raises ``NotFound`` for a revision that never was."""
    table = system_tables().tables["ratoon_document"]
    if revision < 0 or revision > current_revision(conn):
        raise NotFound("There is no revision {revision}.", revision=revision)
    stood = table.c.since <= revision, or_(table.c.until.is_(None), table.c.until > revision)
    query = select(table.c.package, table.c.file, table.c.kind, table.c.body).where(*stood).order_by(table.c.path)
    return [
        Document(file=file, kind=kind, data=orjson.loads(body), package=package)
        for package, file, kind, body in conn.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a document: the revision that brought it, and what it said."""

    since: Revision
    until: int | None
    """The revision that replaced it; ``None``: it stands."""
    data: dict[str, Any]


def versions_of(conn: Connection, kind: str, object: str, name: str) -> list[Version]:
    """The texts that a component of an object has had, newest first."""
    documents, made = system_tables().tables["ratoon_document"], system_tables().tables["ratoon_revision"]
    query = (
        select(documents.c.body, documents.c.until, made.c.revision, made.c.at, made.c.by, made.c.message)
        .join(made, made.c.revision == documents.c.since)
        .where(documents.c.kind == kind, documents.c.body.contains(f'"{name}"', autoescape=True))
        .order_by(documents.c.since.desc())
    )
    found = []
    for row in conn.execute(query):
        data = orjson.loads(row.body)
        if (data.get("object"), data.get("name")) == (object, name):
            found.append(Version(Revision(row.revision, row.at, row.by, row.message), row.until, data))
    return found


def packages_ever(conn: Connection) -> set[str]:
    """The packages that stand or stood once."""
    return {row[0] for row in conn.execute(select(system_tables().tables["ratoon_document"].c.package).distinct())}


def plans_after(conn: Connection, revision: int) -> list[dict[str, Any]]:
    """What was planned with each revision after that one, newest first."""
    table = system_tables().tables["ratoon_revision"]
    query = select(table.c.plan).where(table.c.revision > revision).order_by(table.c.revision.desc())
    return [plan or {} for plan in conn.execute(query).scalars()]


def history(conn: Connection, limit: int = 100) -> list[Revision]:
    """The revisions, newest first."""
    table = system_tables().tables["ratoon_revision"]
    query = select(table.c.revision, table.c.at, table.c.by, table.c.message, table.c.plan)
    return [Revision(*row) for row in conn.execute(query.order_by(table.c.revision.desc()).limit(limit))]
