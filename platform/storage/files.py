"""What is known about uploaded files. Their bytes lie in the files folder, named by id; the rows are here.

A file is uploaded first and belongs to nobody; saving a record that names it attaches it to that record.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from ratoon.platform.storage.statements import one_of
from ratoon.platform.storage.system import system_tables


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file."""

    id: str
    name: str
    media_type: str
    size: int
    """Bytes."""
    sha256: str
    at: datetime
    by: str | None
    object: str | None = None
    record: str | None = None
    """The record it is attached to."""


def add_file(conn: Connection, file: File) -> None:
    """Keeps a new file's row."""
    conn.execute(insert(system_tables().tables["ratoon_file"]), [asdict(file)])


def load_files(conn: Connection, ids: Collection[str]) -> dict[str, File]:
    """Files by id; ids that are not there are missing from the answer."""
    if not ids:
        return {}
    table = system_tables().tables["ratoon_file"]
    query = select(table).where(one_of(table.c.id, "ids", conn.dialect.name))
    rows = conn.execute(query, {"ids": list(ids)}).mappings()
    return {row["id"]: File(**row) for row in rows}


def attach_files(conn: Connection, ids: Collection[str], object: str, record: str) -> None:
    """Says which record these files belong to."""
    if ids:
        table = system_tables().tables["ratoon_file"]
        these = one_of(table.c.id, "ids", conn.dialect.name)
        conn.execute(update(table).where(these).values(object=object, record=record), {"ids": list(ids)})


def unattached_before(conn: Connection, at: datetime, limit: int = 1000) -> list[str]:
    """Ids of files uploaded before ``at`` that belong to no record: their bytes may go."""
    table = system_tables().tables["ratoon_file"]
    query = select(table.c.id).where(table.c.record.is_(None), table.c.at < at).order_by(table.c.at).limit(limit)
    return list(conn.execute(query).scalars())


def forget_files(conn: Connection, ids: Collection[str]) -> None:
    """Drops the rows of these files."""
    if ids:
        table = system_tables().tables["ratoon_file"]
        conn.execute(delete(table).where(one_of(table.c.id, "ids", conn.dialect.name)), {"ids": list(ids)})
