"""What packages brought where local edits changed it: the base of the next upgrade's merge.

A document that stands as its package brought it has no row here. One that was edited or removed here has the package's
text, one that was added here has none (``body`` is null). Like documents, rows are kept by revision, so that a rollback
brings the base of its revision back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    insert,
    or_,
    select,
    update,
)

from ratoon.platform.metadata.documents import Document

Bases = Mapping[tuple[str, str], Document | None]
"""(package, file) → the document as the package brought it; ``None``: the package brings none."""


def base_table(metadata: MetaData) -> Table:
    """The table, described in ``metadata``."""
    return Table(
        "ratoon_base",
        metadata,
        Column("package", String(120), nullable=False),
        Column("file", String(260), nullable=False),
        Column("since", Integer, nullable=False),
        Column("until", Integer, index=True),
        Column("kind", String(40), nullable=False),
        Column("body", Text),
        PrimaryKeyConstraint("package", "file", "since"),
    )


_TABLE = base_table(MetaData())


def bases_at(conn: Connection, revision: int) -> dict[tuple[str, str], Document | None]:
    """What differs from the documents of that revision in what the packages brought."""
    t = _TABLE.c
    stood = t.since <= revision, or_(t.until.is_(None), t.until > revision)
    rows = conn.execute(select(t.package, t.file, t.kind, t.body).where(*stood))
    return {
        (package, file): None if body is None else Document(file, kind, orjson.loads(_text(body)), package)
        for package, file, kind, body in rows
    }


def save_bases(conn: Connection, revision: int, wanted: Bases) -> None:
    """Makes ``wanted`` the bases from ``revision`` on; the caller just saved that revision."""
    t = _TABLE.c
    standing = bases_at(conn, revision)
    ended = [place for place, was in standing.items() if place not in wanted or _body(wanted[place]) != _body(was)]
    begun = [place for place, now in wanted.items() if place not in standing or _body(standing[place]) != _body(now)]
    for package, file in ended:
        gone = t.package == package, t.file == file, t.until.is_(None)
        conn.execute(update(_TABLE).where(*gone).values(until=revision))
    if begun:
        conn.execute(
            insert(_TABLE),
            [
                {
                    "package": package,
                    "file": file,
                    "since": revision,
                    "until": None,
                    "kind": "" if (document := wanted[package, file]) is None else document.kind,
                    "body": None if (body := _body(document)) is None else body.decode(),
                }
                for package, file in begun
            ],
        )


def packages_documents(standing: Sequence[Document], bases: Bases) -> list[Document]:
    """The documents as their packages brought them: those that stand, with the bases put in."""
    untouched = [d for d in standing if (d.package, d.file) not in bases]
    return [*untouched, *(document for document in bases.values() if document is not None)]


def bases_between(brought: Sequence[Document], standing: Sequence[Document]) -> dict[tuple[str, str], Document | None]:
    """The bases to keep when packages brought the one and the other stands."""
    theirs = {(d.package, d.file): d for d in brought}
    ours = {(d.package, d.file): d for d in standing}
    return {
        place: theirs.get(place)
        for place in sorted(theirs.keys() | ours.keys())
        if _body(theirs.get(place)) != _body(ours.get(place))
    }


def _text(body: str | bytes) -> str | bytes:
    """A stored body. An earlier version gave bytes, which SQLite kept and PostgreSQL wrote in hexadecimal digits."""
    return bytes.fromhex(body[2:]) if isinstance(body, str) and body.startswith("\\x") else body


def _body(document: Document | None) -> bytes | None:
    """What a document says, to be compared: like its canonical text, but twenty times as fast to write."""
    return None if document is None else orjson.dumps(document.data, option=orjson.OPT_SORT_KEYS)
