"""A field gets another type: its column is put aside, another takes its place, and what converts is carried over.

The old column stays under another name (``kept.py``), so that a rollback has every value again: ``Retyping`` with a
``returning`` column puts that one back, and where somebody changed a value meanwhile, the new value is converted.

With many rows the new column is made and filled *before* the transaction that counts (``prepare``), a group of rows
per transaction, so that nobody waits; a column that no metadata names is nobody's business. Rows that were written
meanwhile are converted again at the end, found by their time of change, with ``MARGIN`` for clocks that differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, or_

from ratoon.platform.fields.base import Part
from ratoon.platform.formulas.columns import UtcDateTime
from ratoon.platform.storage import revisions
from ratoon.platform.storage.conversion import Offers
from ratoon.platform.storage.database import Database
from ratoon.platform.storage.filling import (
    GROUP,
    Progress,
    estimated_rows,
    fill_column,
    values_in_groups,
)
from ratoon.platform.storage.kept import Kept, forget, free_name, keep

if TYPE_CHECKING:
    from alembic.operations import Operations

    from ratoon.platform.storage.present import Present

MANY = 20_000
"""Rows from which a table is converted before the transaction that counts."""
MARGIN = timedelta(minutes=5)


@dataclass
class Retyping:
    """One column that changes its type."""

    object: str
    key: str
    before: Part
    after: Part
    signature: str
    """Of the old column."""
    keeps: bool
    """False when no value can be carried over: a lookup that points somewhere else."""
    add: Callable[[Operations], None]
    """Adds the new column under its own name."""
    returning: Kept | None = None
    """The column of that type that was put aside when the type changed before."""
    _shadow: str = field(default="", init=False)
    _since: datetime | None = field(default=None, init=False)

    def prepare(self, database: Database, now: datetime, progress: Progress) -> None:
        """Fills the new column beforehand when the table is large; nobody waits for it."""
        if not self.keeps or self.returning is not None:
            return
        with database.read() as connection:
            rows = estimated_rows(connection, self.object)
            if rows < MANY:
                return
        from ratoon.platform.storage.present import Present, operations_on

        with database.write() as connection:
            # Whoever is writing now commits first; whoever begins later has a later time of change.
            revisions.lock_metadata(connection)
            present = Present(connection)
            shadow = free_name(self.key, present.columns(self.object), f"{self.object}.shadow")
            operations_on(connection).add_column(self.object, Column(shadow, self.after.sql))
            revision = revisions.current_revision(connection) + 1
            keep(connection, [Kept("shadow", self.object, self.key, self.object, shadow, "", revision)])
        self._fill_beforehand(database, shadow, rows, progress)
        self._shadow, self._since = shadow, now - MARGIN

    def resume(self, earlier: Retyping) -> None:
        """Takes over what an equal change prepared."""
        self._shadow, self._since = earlier._shadow, earlier._since

    def _fill_beforehand(self, database: Database, shadow: str, rows: int, progress: Progress) -> None:
        assert self.before.sql is not None
        assert self.after.sql is not None
        offers, done, what = Offers(self.before, self.after), 0, f"{self.object}.{self.key}"
        with database.read() as connection:
            filled = values_in_groups(
                connection, self.object, {self.key: self.before.sql}, lambda t: t.c[self.key].is_not(None)
            )
            for group in filled:
                pairs = [(record, offers.convert(value)[0]) for record, value in group]
                with database.write() as writing:
                    fill_column(writing, self.object, shadow, self.after.sql, [p for p in pairs if p[1] is not None])
                done += len(group)
                progress(what, min(done, rows), rows)
        progress(what, rows, rows)

    def finish(self, operations: Operations, present: Present) -> None:
        """Puts the old column aside and the new one into its place, in the transaction that counts."""
        connection = present.connection
        aside = free_name(self.key, present.columns(self.object), self.object)
        present.rename_column(operations, self.object, self.key, aside)
        keep(
            connection,
            [Kept("retyped", self.object, self.key, self.object, aside, self.signature, present.revision)],
        )
        if self.returning is not None:
            present.rename_column(operations, self.object, self.returning.column, self.key)
            forget(connection, [self.returning])
            if self.keeps:
                self._reconcile(connection, aside)
        elif self._shadow:
            present.rename_column(operations, self.object, self._shadow, self.key)
            present.forget_shadow(self.object, self._shadow)
            self._convert(connection, aside, self._since, present.progress)
        else:
            self.add(operations)
            present.columns(self.object).add(self.key)
            if self.keeps:
                self._convert(connection, aside, None, present.progress)

    def _convert(self, connection: Connection, source: str, since: datetime | None, progress: Progress) -> None:
        """Fills the new column from the old one: all rows, or those changed since the shadow was begun."""
        assert self.before.sql is not None
        assert self.after.sql is not None
        offers = Offers(self.before, self.after)
        columns: dict[str, Any] = {source: self.before.sql}
        if since is not None:
            columns |= {self.key: self.after.sql, "modified_at": UtcDateTime()}

        def where(table: Any) -> Any:
            return table.c[source].is_not(None) if since is None else table.c.modified_at >= since

        done, total = 0, estimated_rows(connection, self.object) if since is None else 0
        for group in values_in_groups(connection, self.object, columns, where):
            pairs = [(row[0], offers.convert(row[1])[0]) for row in group]
            if since is None:
                pairs = [pair for pair in pairs if pair[1] is not None]
            else:
                there = {row[0]: row[2] for row in group}
                pairs = [pair for pair in pairs if pair[1] != there[pair[0]]]
            fill_column(connection, self.object, self.key, self.after.sql, pairs)
            done += len(group)
            if total > GROUP:
                progress(f"{self.object}.{self.key}", min(done, total), total)

    def _reconcile(self, connection: Connection, changed: str) -> None:
        """The old values are back; where ``changed`` says something else than they became then, it counts."""
        assert self.before.sql is not None
        assert self.after.sql is not None
        then, now = Offers(self.after, self.before), Offers(self.before, self.after)
        columns = {self.key: self.after.sql, changed: self.before.sql}

        def filled(table: Any) -> Any:
            return or_(table.c[self.key].is_not(None), table.c[changed].is_not(None))

        for group in values_in_groups(connection, self.object, columns, filled):
            pairs = [(record, now.convert(value)[0]) for record, old, value in group if then.convert(old)[0] != value]
            fill_column(connection, self.object, self.key, self.after.sql, pairs)
