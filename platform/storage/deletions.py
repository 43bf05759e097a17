"""Soft deletion: marking, bringing back, and the lookups that a deletion emptied (``ratoon_unlinked``)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from ratoon.platform.formulas.columns import Id, UtcDateTime
from ratoon.platform.storage.statements import one_of, parameter
from ratoon.platform.storage.system import system_tables

if TYPE_CHECKING:
    from ratoon.platform.storage.store import RecordStore

Link = tuple[str, str, str, str]
"""(object, record, key, target)"""


class Deletions:
    """The statements about deleted records of one registry snapshot."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._unlinked = system_tables().tables["ratoon_unlinked"]

    def mark(self, conn: Connection, object: str, ids: Collection[str], at: datetime, deletion_id: str) -> None:
        """Marks live records as deleted."""
        if not ids:
            return

        def build() -> Any:
            table = self._store.tables.table(object)
            these = one_of(table.c.id, "ids", self._store.dialect)
            values = {"deleted_at": parameter("at", UtcDateTime()), "deletion_id": parameter("deletion", Id())}
            return update(table).where(these, table.c.deleted_at.is_(None)).values(values)

        statement = self._store.statement(("mark deleted", object), build)
        statement.run(conn, ids=ids, at=at, deletion=deletion_id)

    def unmark(self, conn: Connection, object: str, deletion_id: str) -> list[str]:
        """Brings back what a deletion took of this object; returns the ids, sorted."""

        def build() -> Any:
            table = self._store.tables.table(object)
            taken = table.c.deletion_id == parameter("deletion", Id())
            return update(table).where(taken).values(deleted_at=None, deletion_id=None).returning(table.c.id)

        statement = self._store.statement(("unmark deleted", object), build)
        return sorted(statement.first_column(conn, deletion=deletion_id))

    def taken(self, conn: Connection, object: str, deletion_id: str) -> list[str]:
        """The records of this object that a deletion took, sorted."""

        def build() -> Any:
            table = self._store.tables.table(object)
            return select(table.c.id).where(table.c.deletion_id == parameter("deletion", Id())).order_by(table.c.id)

        return list(self._store.statement(("taken", object), build).first_column(conn, deletion=deletion_id))

    def of(self, conn: Connection, object: str, id: str) -> str | None:
        """The deletion that took this record."""

        def build() -> Any:
            table = self._store.tables.table(object)
            return select(table.c.deletion_id).where(
                table.c.id == parameter("id", Id()), table.c.deleted_at.is_not(None)
            )

        found = self._store.statement(("deletion of", object), build).first_column(conn, id=id)
        return found[0] if found else None

    def remember(self, conn: Connection, deletion_id: str, links: Sequence[Link]) -> None:
        """Keeps emptied lookups."""
        rows = [
            {"deletion_id": deletion_id, "object": object, "record": record, "key": key, "target": target}
            for object, record, key, target in links
        ]
        if rows:
            conn.execute(insert(self._unlinked), rows)

    def take(self, conn: Connection, deletion_id: str) -> list[Link]:
        """The emptied lookups of a deletion, which are then forgotten, in a fixed order."""
        table = self._unlinked
        returned = (table.c.object, table.c.record, table.c.key, table.c.target)
        gone = delete(table).where(table.c.deletion_id == deletion_id).returning(*returned)
        return sorted((object, record, key, target) for object, record, key, target in conn.execute(gone))
