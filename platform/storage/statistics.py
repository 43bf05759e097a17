"""How large tables are, told to SQLite's planner; PostgreSQL finds out by itself.

Without statistics SQLite takes every index for equally good: to count the deals that somebody may see, among 100,000,
took 220 ms instead of 16. Statistics of a table that has grown since are worse than none. So tables that are new to the
planner, have twice the rows of last time or got an index are looked at again, a thousand rows of each index, which is a
matter of milliseconds (``worth_another_look``, ``refresh``).

A connection reads statistics together with the schema. ``ratoon_statistics``, which says how many rows a table had, is
therefore made anew each time: that is a change of the schema, and every connection of every process reads again.
"""

from __future__ import annotations

from typing import Any

from ratoon.platform.storage.database import Database, driver

TOO_SMALL = 500
"""Rows below which any plan will do."""
ROWS_LOOKED_AT = 1000
"""Rows of each index; SQLite guesses from them."""
_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'ratoon\\_search\\_words%' ESCAPE '\\'"
)
Known = dict[str, tuple[int, str]]
"""Table → about how many rows it had, and its indexes."""


def _known(raw: Any) -> Known:
    if not raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'ratoon_statistics'").fetchone():
        return {}
    return {name: (rows, indexes) for name, rows, indexes in raw.execute("SELECT * FROM ratoon_statistics")}


def worth_another_look(raw: Any) -> Known:
    """Tables that the planner knows too little of, as they are now; ``raw`` is SQLite's connection."""
    before = _known(raw)
    indexes: dict[str, list[str]] = {}
    for table, index in raw.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' ORDER BY name"):
        indexes.setdefault(table, []).append(index)
    found: Known = {}
    for (name,) in raw.execute(_TABLES).fetchall():
        # Rows are numbered as they come, so this costs one step; what was deleted counts, too.
        rows = raw.execute(f'SELECT coalesce(max(rowid), 0) FROM "{name}"').fetchone()[0]
        now = (rows, " ".join(indexes.get(name, ())))
        last = before.get(name, (0, ""))
        if rows >= TOO_SMALL and (rows > 2 * last[0] or now[1] != last[1]):
            found[name] = now
    return found


def refresh(database: Database) -> list[str]:
    """Looks at the tables that need it; returns their names. Does nothing on PostgreSQL."""
    if database.dialect != "sqlite":
        return []
    with database.read() as connection:
        if not worth_another_look(driver(connection)):
            return []
    with database.write() as connection:
        raw = driver(connection)
        wanted = worth_another_look(raw)
        raw.execute(f"PRAGMA analysis_limit = {ROWS_LOOKED_AT}")
        for name in wanted:
            raw.execute(f'ANALYZE "{name}"')
        known = {**_known(raw), **wanted}
        raw.execute("DROP TABLE IF EXISTS ratoon_statistics")
        raw.execute(
            "CREATE TABLE ratoon_statistics (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, indexes TEXT NOT NULL)"
        )
        rows = [(name, *told) for name, told in known.items()]
        raw.executemany("INSERT INTO ratoon_statistics VALUES (?, ?, ?)", rows)
    return sorted(wanted)
