"""From one registry to the next: the DDL, generated from the difference and run in the caller's transaction.

``changes(before, after, dialect)`` lists what must be done, each change with its SQL and a sentence for the plan;
``apply_changes`` does it with Alembic's operations. Nothing that holds data is ever dropped: a removed field keeps its
column and a removed object its table, and when they come back they find their data. A field whose type changes gets a
new column; the old one stays beside it under another name.

Adding a field is one ``ADD COLUMN`` without a default: no row is touched. DDL is transactional on both databases, on
SQLite because ``database.py`` begins transactions itself, so a failure half-way leaves nothing.

No statistics are gathered here. PostgreSQL does it by itself; SQLite plans well without, and badly with those of a
table that was small when they were taken.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, ForeignKey, ForeignKeyConstraint, Index, inspect
from sqlalchemy.types import TypeEngine

from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.storage.conversion import convert_column, rescale_column
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.statements import sql_dialect
from ratoon.platform.storage.tables import Tables, checked_references, foreign_key_name, stored_parts

if TYPE_CHECKING:
    from alembic.operations import Operations

Kind = Literal["create_table", "add_column", "change_type", "create_index", "drop_index", "add_foreign_key"]
ORDER: tuple[Kind, ...] = (
    "drop_index",
    "create_table",
    "change_type",
    "add_column",
    "add_foreign_key",
    "create_index",
)
"""Changes are applied in this order: what a later one needs is there."""


@dataclass(frozen=True)
class Change:
    """One change of the schema."""

    kind: Kind
    table: str
    name: str
    """The column, index or constraint; the table itself for ``create_table``."""
    description: str
    sql: str = ""
    """What will run, for reading; a change of type that looks at every row has none."""
    destructive: bool = False
    """True when values may be lost from view (they stay in a column under another name)."""
    run: Callable[[Operations, Present], None] = field(default=lambda operations, present: None, repr=False)


class Present:
    """What is in the database already: left from removed fields and objects."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._columns: dict[str, set[str]] = {}

    def columns(self, table: str) -> set[str]:
        """Names of the columns of a table; empty when there is no such table."""
        found = self._columns.get(table)
        if found is None:
            looked = inspect(self.connection)
            found = {c["name"] for c in looked.get_columns(table)} if looked.has_table(table) else set()
            self._columns[table] = found
        return found


def changes(before: Registry | None, after: Registry, dialect: str) -> list[Change]:
    """What turns the tables of ``before`` (``None`` = an empty database) into those of ``after``."""
    found = list(_Difference(before, after, dialect).all())
    found.sort(key=lambda change: ORDER.index(change.kind))
    return found


def apply_changes(connection: Connection, wanted: Sequence[Change]) -> None:
    """Runs the changes on a write transaction. Raises ``errors.Conflict`` at the end of the transaction when data does
    not allow it (a new unique key that is not unique)."""
    if not wanted:
        return
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        driver(connection).execute("SET CONSTRAINTS ALL IMMEDIATE")
    operations = _operations(connection=connection)
    present = Present(connection)
    for change in wanted:
        change.run(operations, present)
    if postgresql:
        driver(connection).execute("SET CONSTRAINTS ALL DEFERRED")


class _Difference:
    """The difference of two registries on one dialect."""

    def __init__(self, before: Registry | None, after: Registry, dialect: str) -> None:
        self.before = before
        self.after = after
        self.dialect = dialect
        self.tables = Tables(after, dialect)
        self.old_tables = Tables(before, dialect) if before is not None else None
        self.types = sql_dialect(dialect)

    def all(self) -> Iterator[Change]:
        for obj in self.after:
            old = self.before.objects.get(obj.name) if self.before is not None else None
            if old is obj:
                continue
            if old is None:
                yield from self._new_table(obj)
            else:
                yield from self._columns(old, obj)
            yield from self._indexes(old, obj)

    def _new_table(self, obj: Object) -> Iterator[Change]:
        inline = self.dialect == "sqlite"
        make = partial(self._create_table, obj, inline)
        text = f"Create the table {obj.name} for the object {obj.label}."
        yield self._change("create_table", obj.name, obj.name, text, make)
        if not inline:
            for constraint in self.tables.foreign_keys(obj):
                yield self._foreign_key(obj, constraint)

    def _create_table(self, obj: Object, inline: bool, operations: Operations, present: Present | None) -> None:
        columns = list(self.tables.columns(obj))
        there = present.columns(obj.name) if present is not None else set()
        if there:
            for column in columns:
                if column.name not in there:
                    self._add_column(obj, column.name, operations, present)
            return
        keys = self.tables.foreign_keys(obj) if inline else ()
        operations.create_table(obj.name, *columns, *keys)

    def _foreign_key(self, obj: Object, constraint: ForeignKeyConstraint) -> Change:
        name, column = str(constraint.name), constraint.column_keys[0]
        target = next(f for f in obj.references if f.name == column).targets[0]

        def run(operations: Operations, present: Present | None) -> None:
            if present is not None and _has_constraint(present.connection, obj.name, name):
                return
            operations.create_foreign_key(
                name, obj.name, target, [column], ["id"], deferrable=True, initially="DEFERRED"
            )

        text = f"Check that {obj.name}.{column} refers to a record of {target}."
        return self._change("add_foreign_key", obj.name, name, text, run)

    def _columns(self, old: Object, new: Object) -> Iterator[Change]:
        before = {part.key: part.sql for part in stored_parts(old)}
        remade = self._remade(old, new)
        for part in stored_parts(new):
            key, kind = part.key, part.sql
            if kind is None or (before.get(key) is kind and key not in remade):
                continue
            was = before.get(key)
            if was is None:
                run = partial(self._add_column, new, key)
                yield self._change("add_column", new.name, key, f"Add the column {new.name}.{key}.", run)
            elif key in remade:
                yield self._remake(old, new, key, was, kind)
            elif self._signature(was) != self._signature(kind):
                yield self._rescale(new, key, was, kind)

    def _remade(self, old: Object, new: Object) -> set[str]:
        """Keys whose column must be made anew: another type, or a lookup that points somewhere else."""
        if self.before is None:
            return set()
        before = {part.key: part.sql for part in stored_parts(old)}
        old_targets = _targets(self.before, old)
        new_targets = _targets(self.after, new)
        found = set()
        for part in stored_parts(new):
            was = before.get(part.key)
            if was is None or part.sql is None:
                continue
            other = was is not part.sql and self._signature(was) != self._signature(part.sql)
            in_place = other and rescale_column(new.name, part.key, was, part.sql, self.dialect) is not None
            if (other and not in_place) or old_targets.get(part.key) != new_targets.get(part.key):
                found.add(part.key)
        return found

    def _add_column(self, obj: Object, key: str, operations: Operations, present: Present | None) -> None:
        if present is not None and key in present.columns(obj.name):
            return
        column = next(c for c in self.tables.columns(obj) if c.name == key)
        column.nullable = True
        target = _targets(self.after, obj).get(key)
        if target is not None:
            name = foreign_key_name(obj.name, key, target)
            column.append_foreign_key(ForeignKey(f"{target}.id", name=name, deferrable=True, initially="DEFERRED"))
        operations.add_column(obj.name, column, inline_references=True)
        if present is not None:
            present.columns(obj.name).add(key)

    def _rescale(self, new: Object, key: str, was: TypeEngine[object], kind: TypeEngine[object]) -> Change:
        scaled = rescale_column(new.name, key, was, kind, self.dialect)

        def run(operations: Operations, present: Present | None) -> None:
            for statement in scaled.statements if scaled is not None else ():
                operations.execute(statement)

        text = f"Change {new.name}.{key} from {_shown(was)} to {_shown(kind)}."
        loses = scaled is not None and scaled.loses
        return self._change("change_type", new.name, key, text, run, destructive=loses)

    def _remake(self, old: Object, new: Object, key: str, was: TypeEngine[object], kind: TypeEngine[object]) -> Change:
        target = _targets(self.after, new).get(key)
        keeps = target is None or self.before is None or target == _targets(self.before, old).get(key)

        def run(operations: Operations, present: Present) -> None:
            add = partial(self._add_column, new, key, operations, None)
            convert_column(operations, present.connection, old, new, key, add, keeps)

        what = f"from {_shown(was)} to {_shown(kind)}" if target is None else f"to point at {target}"
        lost = "values that cannot be converted become blank" if keeps else "its values become blank"
        text = f"Change {new.name}.{key} {what}: {lost}; the old column is kept under another name."
        return Change("change_type", new.name, key, text, destructive=True, run=run)

    def _signature(self, kind: TypeEngine[object]) -> tuple[object, ...]:
        scale = kind.scale if isinstance(kind, ExactDecimal) else None
        return type(kind).__name__, scale, kind.compile(self.types)

    def _indexes(self, old: Object | None, new: Object) -> Iterator[Change]:
        wanted = {str(index.name): index for index in self.tables.indexes(new)}
        there: set[str] = set()
        if old is not None and self.old_tables is not None:
            remade = self._remade(old, new)
            before = self.old_tables.indexes(old)
            stale = {str(i.name) for i in before if remade.intersection(column.name for column in i.columns)}
            there = {str(i.name) for i in before}
            dropped = (there - wanted.keys()) | stale
            there -= stale
        else:
            dropped = set()
        for name in sorted(dropped):
            text = f"Drop the index {name} of {new.name}."
            run = partial(self._drop_index, new.name, name)
            yield self._change("drop_index", new.name, name, text, run)
        for name, index in wanted.items():
            if name in there:
                continue
            columns = ", ".join(column.name for column in index.columns)
            text = f"Create the {'unique ' if index.unique else ''}index {name} on {new.name} ({columns})."
            yield self._change("create_index", new.name, name, text, partial(self._create_index, index))

    def _create_index(self, index: Index, operations: Operations, present: Present | None) -> None:
        operations.impl.create_index(index, if_not_exists=True)

    def _drop_index(self, table: str, name: str, operations: Operations, present: Present | None) -> None:
        operations.drop_index(name, table_name=table, if_exists=True)

    def _change(
        self,
        kind: Kind,
        table: str,
        name: str,
        description: str,
        run: Callable[[Operations, Present | None], None],
        destructive: bool = False,
    ) -> Change:
        return Change(kind, table, name, description, self._sql(run), destructive, run)

    def _sql(self, run: Callable[[Operations, Present | None], None]) -> str:
        text = io.StringIO()
        options = {"as_sql": True, "output_buffer": text, "literal_binds": True}
        run(_operations(dialect_name=self.dialect, opts=options), None)
        return text.getvalue().strip()


def _operations(**options: Any) -> Operations:
    """Alembic's operations; imported here because a server that changes no table needs none."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    return Operations(MigrationContext.configure(**options))


def _targets(registry: Registry, obj: Object) -> dict[str, str]:
    """Key → object, for the lookups that a foreign key stands on."""
    return {field.name: field.targets[0] for field in checked_references(registry, obj)}


def _shown(kind: TypeEngine[object]) -> str:
    return f"decimal({kind.precision}, {kind.scale})" if isinstance(kind, ExactDecimal) else type(kind).__name__.lower()


def _has_constraint(connection: Connection, table: str, name: str) -> bool:
    return any(key["name"] == name for key in inspect(connection).get_foreign_keys(table))
