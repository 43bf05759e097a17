"""A field gets another type: its column is put aside, another takes its place, and what converts is carried over.

The old column stays under another name (``kept.py``), so that a rollback has every value again: ``Retyping`` with a
``chain`` of such columns takes each value from there; where somebody changed one meanwhile, the new one is converted.

With many rows the new column is made and filled *before* the transaction that counts (``prepare``), a group of rows
per transaction, so that nobody waits; a column that no metadata names is nobody's business. Rows that were written
meanwhile are converted again at the end, found by their time of change, with ``MARGIN`` for clocks that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from ratoon.platform.storage.kept import Kept, free_name, keep
from ratoon.platform.storage.tables import comparable

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
    declaration: str = ""
    """Of the old field, to be kept with its column."""
    chain: tuple[Step, ...] = ()
    """A rollback: the columns that were put aside since, newest first; the last one has the type that comes back."""
    refers: bool = False
    """The new column has a foreign key, with which only ``add`` makes it."""
    _shadow: str = field(default="", init=False)
    _since: datetime | None = field(default=None, init=False)

    def prepare(self, database: Database, now: datetime, progress: Progress) -> None:
        """Fills the new column beforehand when the table is large; nobody waits for it."""
        if self.refers or (not self.keeps and not self.chain):
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
            kind = None if self.after.sql is None else comparable(self.after.sql, connection.dialect.name)
            operations_on(connection).add_column(self.object, Column(shadow, kind))
            revision = revisions.current_revision(connection) + 1
            keep(connection, [Kept("shadow", self.object, self.key, self.object, shadow, "", revision)])
        self._fill_beforehand(database, shadow, rows, progress)
        self._shadow, self._since = shadow, now - MARGIN

    def _fill_beforehand(self, database: Database, shadow: str, rows: int, progress: Progress) -> None:
        assert self.after.sql is not None
        value, done, what = self._worked_out(), 0, f"{self.object}.{self.key}"
        with database.read() as connection:
            for group in values_in_groups(connection, self.object, self._columns(self.key), self._filled(self.key)):
                pairs = [(row[0], value(row)) for row in group]
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
        kept = Kept("retyped", self.object, self.key, self.object, aside, self.signature, present.revision,
                    self.declaration)  # fmt: skip
        keep(connection, [kept])
        present.look_again(self.object)
        if self._shadow:
            present.rename_column(operations, self.object, self._shadow, self.key)
            present.forget_shadow(self.object, self._shadow)
        else:
            self.add(operations)
            present.columns(self.object).add(self.key)
        if self.keeps or self.chain:
            self._convert(connection, aside, self._since, present.progress)

    def _convert(self, connection: Connection, source: str, since: datetime | None, progress: Progress) -> None:
        """Fills the new column: of all rows, or of those changed since the shadow was begun."""
        assert self.after.sql is not None
        value = self._worked_out()
        columns = self._columns(source)
        where = self._filled(source)
        if since is not None:
            columns |= {self.key: self.after.sql, "modified_at": UtcDateTime()}
            where = _changed_since(since)
        done, total = 0, estimated_rows(connection, self.object) if since is None else 0
        place = 2 + len(self._aside)
        for group in values_in_groups(connection, self.object, columns, where):
            pairs = [(row[0], value(row)) for row in group]
            if since is None:
                pairs = [pair for pair in pairs if pair[1] is not None]
            else:
                there = {row[0]: row[place] for row in group}
                pairs = [pair for pair in pairs if pair[1] != there[pair[0]]]
            fill_column(connection, self.object, self.key, self.after.sql, pairs)
            done += len(group)
            if total > GROUP:
                progress(f"{self.object}.{self.key}", min(done, total), total)

    @property
    def _aside(self) -> dict[str, Part]:
        """The columns put aside that values are worked out from."""
        found: dict[str, Part] = {}
        waiting = list(self.chain)
        while waiting:
            step = waiting.pop(0)
            found.setdefault(step.column, step.part)
            waiting += step.chain
        return found

    def _columns(self, source: str) -> dict[str, Any]:
        """The columns that a new value is worked out from: the one of now, then those put aside."""
        return {source: self.before.sql} | {column: part.sql for column, part in self._aside.items()}

    def _filled(self, source: str) -> Callable[[Any], Any]:
        return lambda table: or_(*(table.c[name].is_not(None) for name in (source, *self._aside)))

    def _worked_out(self) -> Callable[[Any], Any]:
        """A row (id, value of now, values put aside …) → the new value: converted, or on the way back walked."""
        if not self.chain:
            convert = Offers(self.before, self.after).convert
            return lambda row: convert(row[1])[0]
        places = {column: at for at, column in enumerate(self._aside, start=2)}
        back = way_back(self.before, self.signature, self.chain, places)
        return lambda row: back(row[1], row)


@dataclass(frozen=True, slots=True)
class Step:
    """A column that was put aside when the type changed."""

    column: str
    part: Part
    signature: str
    chain: tuple[Step, ...] = ()
    """When that change was a rollback itself: the columns it took the values from."""


def way_back(part: Part, signature: str, chain: Sequence[Step], places: dict[str, int]) -> Callable[[Any, Any], Any]:
    """(value of now, row) → the value as it was before the changes of type in ``chain``, newest first.

    Each column put aside is asked in turn: where its value became what came after it, nobody has changed it since, and
    it counts; otherwise what came after is converted back. ``places`` says where in a row a column is.
    """
    steps: list[tuple[int, Callable[[Any, Any], Any], Callable[[Any], tuple[Any, bool]]]] = []
    for step in chain:
        same = "->" not in f"{signature}{step.signature}" or signature == step.signature
        forth, back = Offers(step.part, part).convert, Offers(part, step.part).convert
        if not same:
            forth = back = _nothing
        became = way_back(step.part, step.signature, step.chain, places) if step.chain else _alone(forth)
        steps.append((places[step.column], became, back))
        part, signature = step.part, step.signature

    def walk(now: Any, row: Any) -> Any:
        for place, became, back in steps:
            kept = row[place]
            now = kept if became(kept, row) == now else back(now)[0]
        return now

    return walk


def _alone(convert: Callable[[Any], tuple[Any, bool]]) -> Callable[[Any, Any], Any]:
    return lambda value, row: convert(value)[0]


def _nothing(value: Any) -> tuple[None, bool]:
    """What a lookup becomes when it points somewhere else."""
    return None, False


def _changed_since(since: datetime) -> Callable[[Any], Any]:
    return lambda table: table.c.modified_at >= since
