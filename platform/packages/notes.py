"""What a change means for the records that are there: counted by the database, with a few of them as examples.

A note informs (two pets lack the value that becomes required), or *refuses*: the change cannot be made as long as such
records are there (a field becomes unique and its values are not), or a *violation*: it could be made, but records would
be left that break their own rules; that takes ``allow_violations``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from ratoon.platform.errors import Hint, Text
from ratoon.platform.metadata.model import Object
from ratoon.platform.storage.tables import Tables

SAMPLES = 5
"""Records that a note shows."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the records that a note speaks of."""

    id: str
    title: str
    value: str | None = None
    """The value in question, as the API writes it."""


@dataclass(frozen=True, slots=True)
class DataNote:
    """Something to know about the records of an object."""

    object: str
    code: str
    count: int
    message: Text
    refuses: bool = False
    """The change cannot be made."""
    violates: bool = False
    """The change is made only with ``allow_violations``."""
    field: str | None = None
    hint: Hint = ""
    """How to mend it."""
    samples: tuple[Sample, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return asdict(self)


class Census:
    """Counts the live records of objects, and shows some."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables

    def count(self, obj: Object, *conditions: ColumnElement[bool]) -> int:
        """How many live records fulfil all conditions."""
        table = self._tables.table(obj.name)
        query = select(func.count()).select_from(table).where(table.c.deleted_at.is_(None), *conditions)
        found: int = self._connection.execute(query).scalar_one()
        return found

    def some(self, obj: Object, *conditions: ColumnElement[bool], show: str | None = None) -> tuple[Sample, ...]:
        """The oldest few of them; ``show`` is the key whose value is shown."""
        table = self._tables.table(obj.name)
        query = self._query(obj, show).where(table.c.deleted_at.is_(None), *conditions)
        return self._samples(obj, query, show)

    def these(self, obj: Object, ids: Sequence[str], show: str | None = None) -> tuple[Sample, ...]:
        """The records with these ids."""
        table = self._tables.table(obj.name)
        return self._samples(obj, self._query(obj, show).where(table.c.id.in_(ids[:SAMPLES])), show)

    def _query(self, obj: Object, show: str | None) -> Any:
        columns = self._tables.table(obj.name).c
        title = columns.get(obj.title, columns.id)
        shown = columns[show] if show is not None else columns.id
        return select(columns.id, title.label("title"), shown.label("shown")).order_by(columns.id)

    def _samples(self, obj: Object, query: Any, show: str | None) -> tuple[Sample, ...]:
        rows = self._connection.execute(query.limit(SAMPLES)).all()
        return tuple(
            Sample(row[0], "" if row[1] is None else str(row[1]), None if show is None else shown(obj, show, row[2]))
            for row in rows
        )


def shown(obj: Object, key: str, value: Any) -> str | None:
    """A value as the API writes it, shortened."""
    if value is None:
        return None
    part = obj.parts[key]
    if obj.field_of[key].type.name == "secret":
        return "…"
    text = str(part.dump(value) if part.dump is not None else value)
    return text if len(text) <= 80 else text[:79] + "…"
