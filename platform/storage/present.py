"""What is in the database already while a change of the schema runs: its columns, and what was kept (``kept.py``).

``Present`` remembers what it looked up, so that a change of hundreds of tables asks the database once per table it
touches. Columns and tables that must make room are put aside here, and those that come back are found here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect

from ratoon.platform.storage.database import driver
from ratoon.platform.storage.filling import Progress, silent
from ratoon.platform.storage.kept import Kept, forget, free_name, keep, move_kept, read_kept
from ratoon.platform.storage.statements import sql_dialect

if TYPE_CHECKING:
    from alembic.operations import Operations


class Present:
    """The tables, columns and kept data of one database, as a running change of the schema sees them."""

    def __init__(self, connection: Connection, *, revision: int = 0, progress: Progress = silent) -> None:
        self.connection = connection
        self.revision = revision
        """The revision that is being made."""
        self.progress = progress
        self._columns: dict[str, set[str]] = {}
        self._kept: list[Kept] | None = None
        self._tables: set[str] | None = None

    @property
    def tables(self) -> set[str]:
        """Names of all tables."""
        if self._tables is None:
            self._tables = set(inspect(self.connection).get_table_names())
        return self._tables

    def columns(self, table: str) -> set[str]:
        """Names of the columns of a table; empty when there is no such table."""
        found = self._columns.get(table)
        if found is None:
            found = self._columns[table] = self._read_columns(table) if table in self.tables else set()
            if found:
                self.tables.add(table)
        return found

    def _read_columns(self, table: str) -> set[str]:
        raw = driver(self.connection)
        if self.connection.dialect.name == "sqlite":
            return {row[0] for row in raw.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        return {row[0] for row in raw.execute(query, [self.quote(table)]).fetchall()}

    def quote(self, name: str) -> str:
        """A name as SQL wants it."""
        return sql_dialect(self.connection.dialect.name).identifier_preparer.quote(name)

    def kept(self, table: str) -> list[Kept]:
        """What is kept of the object whose table this is, newest first."""
        if self._kept is None:
            self._kept = read_kept(self.connection)
        return [entry for entry in self._kept if entry.table == table]

    def look_again(self, table: str) -> None:
        """Forgets what was looked up about kept data: it changed."""
        self._kept = None

    def rename_column(self, operations: Operations, table: str, column: str, name: str) -> None:
        """Renames a column. On PostgreSQL its foreign key makes room for another one of that name."""
        connection = self.connection
        driver(connection).execute(
            f"ALTER TABLE {self.quote(table)} RENAME COLUMN {self.quote(column)} TO {self.quote(name)}"
        )
        columns = self.columns(table)
        columns.discard(column)
        columns.add(name)
        if connection.dialect.name == "postgresql":
            self._rename_constraint(table, name)

    def _rename_constraint(self, table: str, column: str) -> None:
        if "__" not in column:
            return
        raw = driver(self.connection)
        query = (
            "SELECT c.conname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid "
            "AND a.attnum = ANY (c.conkey) WHERE c.conrelid = to_regclass(%s) AND c.contype = 'f' AND a.attname = %s"
        )
        for (name,) in raw.execute(query, [self.quote(table), column]).fetchall():
            aside = free_name(name[:40], {name}, column)
            raw.execute(f"ALTER TABLE {self.quote(table)} RENAME CONSTRAINT {self.quote(name)} TO {self.quote(aside)}")

    def has_constraint(self, table: str, name: str) -> bool:
        """Whether a table has a foreign key of that name."""
        return any(key["name"] == name for key in inspect(self.connection).get_foreign_keys(table))

    def bring_back(self, operations: Operations, table: str, key: str, wanted: str, since: int | None) -> bool:
        """Whether the column of a key is there (again) with its values. A column of another type that has the key's
        name makes room."""
        entries = [e for e in self.kept(table) if e.key == key and e.column and _ends(e)]
        fitting = [e for e in entries if e.signature == wanted and (e.kind != "retyped" or _later(e, since))]
        chosen = next((e for e in fitting if e.kind != "retyped"), fitting[-1] if fitting else None)
        there = key in self.columns(table)
        if chosen is not None and chosen.column == key and there:
            forget(self.connection, [chosen])
            self.look_again(table)
            return True
        here = next((e for e in entries if e.column == key), None)
        if there and here is None:
            return True  # from before there was a list of what is kept
        if there and here is not None:
            aside = free_name(key, self.columns(table), table)
            self.rename_column(operations, table, key, aside)
            move_kept(self.connection, here, column=aside)
            self.look_again(table)
        if chosen is None or chosen.column not in self.columns(table):
            return False
        self.rename_column(operations, table, chosen.column, key)
        forget(self.connection, [chosen])
        self.look_again(table)
        return True

    def bring_back_table(self, operations: Operations, name: str) -> set[str]:
        """The columns of an object's table that is there from before; empty when there is none."""
        if self._kept is None:
            self._kept = read_kept(self.connection)
        entry = next((e for e in self._kept if e.kind == "table" and e.object == name), None)
        if entry is not None and entry.table != name and entry.table in self.tables:
            self.make_room(operations, name)
            self.rename_table(operations, entry.table, name)
            self._bare(operations, name)
        if entry is not None:
            forget(self.connection, [entry])
            self.look_again(name)
        return self.columns(name)

    def _bare(self, operations: Operations, name: str) -> None:
        """Takes indexes and foreign keys away that are named after an earlier name of the table: all are made anew."""
        looked = inspect(self.connection)
        for index in looked.get_indexes(name):
            operations.drop_index(str(index["name"]), table_name=name)
        if self.connection.dialect.name == "postgresql":
            for key in looked.get_foreign_keys(name):
                operations.drop_constraint(str(key["name"]), name, type_="foreignkey")

    def rename_table(self, operations: Operations, table: str, name: str) -> None:
        """Renames a table, also in the list of what is kept."""
        driver(self.connection).execute(f"ALTER TABLE {self.quote(table)} RENAME TO {self.quote(name)}")
        self._columns.pop(table, None)
        self._columns.pop(name, None)
        self.tables.discard(table)
        self.tables.add(name)
        for entry in self.kept(table):
            move_kept(self.connection, entry, table=name)
        self.look_again(name)

    def make_room(self, operations: Operations, name: str) -> None:
        """Puts a table aside that a removed object left, when another object needs its name."""
        if name not in self.tables:
            return
        aside = free_name(name, self.tables, "table")
        known = any(entry.kind == "table" for entry in self.kept(name))
        for index in inspect(self.connection).get_indexes(name):
            operations.drop_index(str(index["name"]), table_name=name)
        self.rename_table(operations, name, aside)
        if not known:
            keep(self.connection, [Kept("table", name, "", aside, "", "", self.revision)])
            self.look_again(name)

    def make_room_for_column(self, operations: Operations, table: str, column: str) -> None:
        """Puts a column aside that a removed field left, when another field needs its name."""
        if column not in self.columns(table):
            return
        aside = free_name(column, self.columns(table), table)
        self.rename_column(operations, table, column, aside)
        known = next((e for e in self.kept(table) if e.column == column), None)
        if known is not None:
            move_kept(self.connection, known, column=aside)
        else:
            keep(self.connection, [Kept("removed", table, column, table, aside, "", self.revision)])
        self.look_again(table)

    def forget_shadow(self, table: str, column: str) -> None:
        """A shadow took its place."""
        self.look_again(table)
        forget(self.connection, [e for e in self.kept(table) if e.kind == "shadow" and e.column == column])
        self.look_again(table)


def _ends(entry: Kept) -> bool:
    """Whether a field may take the column: not one that is filled for a change of type, under a name of its own."""
    return entry.kind in ("removed", "retyped") or (entry.kind == "shadow" and entry.column == entry.key)


def _later(entry: Kept, since: int | None) -> bool:
    return since is not None and entry.revision > since


def operations_on(connection: Connection) -> Operations:
    """Alembic's operations on a connection."""
    return operations_with(connection=connection)


def operations_with(**options: Any) -> Operations:
    """Alembic's operations; imported here because a server that changes no table needs none."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    return Operations(MigrationContext.configure(**options))
