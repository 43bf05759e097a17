"""Values that a change of metadata overwrote in the records, so that a rollback brings them back (``ratoon_undo``).

Only what has no other way back is written down: a value or stage that was replaced by another one, a blank that was
filled because the field became required. A value comes back where the record still has what the change put there, in a
column of the type that it was overwritten in; where somebody has changed it since, that counts. A rollback writes down
what it overwrites, too, so that it can itself be rolled back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, String, insert, select

from ratoon.platform.formulas.columns import Choices
from ratoon.platform.metadata.model import Registry
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.kept import kept_tables
from ratoon.platform.storage.returning import signature
from ratoon.platform.storage.statements import sql_dialect

GROUP = 2000
Overwritten = tuple[str, str | None, str | None]
"""(record, old value, new value), as texts of what the driver gives and takes."""


def remember(
    connection: Connection, revision: int, registry: Registry, object: str, key: str, rows: Iterable[Overwritten]
) -> None:
    """Writes down what a change overwrites in one key of an object of ``registry``, which says of which type it is."""
    _, table = kept_tables()
    kind = signature(registry, registry[object], key, connection.dialect.name)
    same = {"revision": revision, "object": object, "key": key, "signature": kind}
    made = [{**same, "record": record, "old": old, "new": new} for record, old, new in rows]
    for start in range(0, len(made), GROUP):
        connection.execute(insert(table), made[start : start + GROUP])


def keys_after(connection: Connection, since: int) -> set[tuple[str, str]]:
    """(object, key) of which the revisions after ``since`` overwrote something."""
    _, table = kept_tables()
    found = connection.execute(select(table.c.object, table.c.key).where(table.c.revision > since).distinct())
    return {(object, key) for object, key in found}


def bring_back(
    connection: Connection,
    registry: Registry,
    since: int,
    revision: int,
    only: Collection[tuple[str, str]] | None = None,
) -> set[tuple[str, str]]:
    """Undoes what the revisions after ``since`` overwrote, newest first, for the new ``revision``; ``only`` in these
    (object, key). A value comes back only into a column of the type that it was overwritten in.

    Returns (object, key) of the values that changed.
    """
    _, table = kept_tables()
    c = table.c
    query = select(c.revision, c.object, c.key, c.signature, c.record, c.old, c.new)
    query = query.where(c.revision > since, c.revision < revision)
    rows = connection.execute(query.order_by(c.revision.desc(), c.object, c.key, c.number.desc())).all()
    touched = set()
    for (_, object, key, kind), group in groupby(rows, key=lambda row: tuple(row[:4])):
        obj = registry.objects.get(object)
        if obj is None or key not in obj.parts or obj.parts[key].sql is None:
            continue
        if only is not None and (object, key) not in only:
            continue
        column = obj.parts[key].sql
        if kind is None:  # written by an older version of the platform, which undid only texts before their type
            fits = only is None or isinstance(column, String | Choices)
        else:
            fits = kind == signature(registry, obj, key, connection.dialect.name)
        if not fits:
            continue
        entries = [(str(row[4]), row[5], row[6]) for row in group]
        for start in range(0, len(entries), GROUP):
            if _undo(connection, registry, object, key, entries[start : start + GROUP], revision):
                touched.add((object, key))
    return touched


def _undo(
    connection: Connection,
    registry: Registry,
    object: str,
    key: str,
    entries: Sequence[Overwritten],
    revision: int,
) -> bool:
    quote = sql_dialect(connection.dialect.name).identifier_preparer.quote
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    raw = driver(connection)
    table, column = quote(object), quote(key)
    now = dict(_values(raw, table, column, [entry[0] for entry in entries], mark))
    fitting = [e for e in entries if e[0] in now and as_stored(now[e[0]]) == e[2]]
    if not fitting:
        return False
    cursor = raw if mark == "?" else raw.cursor()
    cursor.executemany(
        f"UPDATE {table} SET {column} = {mark} WHERE id = {mark}", [(old, record) for record, old, _ in fitting]
    )
    remember(connection, revision, registry, object, key, [(record, new, old) for record, old, new in fitting])
    return True


def _values(raw: Any, table: str, column: str, ids: Sequence[str], mark: str) -> list[tuple[str, Any]]:
    if mark == "?":
        marks = ", ".join("?" * len(ids))
        return [(str(r), v) for r, v in raw.execute(f"SELECT id, {column} FROM {table} WHERE id IN ({marks})", ids)]
    query = f"SELECT id, {column} FROM {table} WHERE id = ANY(%s::uuid[])"
    return [(str(r), v) for r, v in raw.execute(query, [list(ids)]).fetchall()]


def as_stored(value: Any) -> str | None:
    """What the driver gives, as a text to compare."""
    return None if value is None else str(value)
