"""From one registry to the next: the DDL, generated from the difference and run in the caller's transaction.

``changes(before, after, dialect)`` lists what must be done (``schema_change.py`` does it). Nothing that holds data is
ever dropped: a removed field keeps its column and a removed object its table (``kept.py``), and when they come back
they find their data (``returning.py``). A field whose type changes gets a new column; the old one stays beside it
under another name (``retyping.py``). Renamed columns and tables were renamed before (``moving.py``): ``before`` has
the names they have by then.

Adding a field is one ``ADD COLUMN`` without a default: no row is touched. DDL is transactional on both databases, on
SQLite because ``database.py`` begins transactions itself, so a failure half-way leaves nothing.

No statistics are gathered here. PostgreSQL does it by itself; SQLite plans well without, and badly with those of a
table that was small when they were taken.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import Text, say
from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.storage.conversion import rescale_column
from ratoon.platform.storage.kept import Kept, declaration_of, forget, keep
from ratoon.platform.storage.present import Present, operations_with
from ratoon.platform.storage.returning import Returning, column_signature, signature, targets_of
from ratoon.platform.storage.retyping import Retyping
from ratoon.platform.storage.schema_change import ORDER, Change, Kind
from ratoon.platform.storage.statements import sql_dialect
from ratoon.platform.storage.tables import (
    Tables,
    foreign_key_name,
    index_name,
    index_parts,
    stored_parts,
)

if TYPE_CHECKING:
    from alembic.operations import Operations


def changes(
    before: Registry | None,
    after: Registry,
    dialect: str,
    kept: Sequence[Kept] = (),
    since: int | None = None,
    types: FieldTypes | None = None,
) -> list[Change]:
    """What turns the tables of ``before`` (``None`` = an empty database) into those of ``after``.

    ``kept`` is what the database keeps beside (``read_kept``); ``since`` is the revision that a rollback goes back to:
    columns put aside later hold the values as they were then; ``types`` say how to read them.
    """
    found = list(_Difference(before, after, dialect, kept, since, types).all())
    found.sort(key=lambda change: ORDER.index(change.kind))
    return found


def changed_keys(before: Registry, after: Registry, old: Object, new: Object, dialect: str) -> list[str]:
    """Keys of an object whose values are kept in another form from now on, and are looked at one by one."""
    difference = _Difference(before, after, dialect)
    return sorted(key for key in difference.remade(old, new) if difference.keeps_values(old, new, key))


class _Difference:
    """The difference of two registries on one dialect."""

    def __init__(
        self,
        before: Registry | None,
        after: Registry,
        dialect: str,
        kept: Sequence[Kept] = (),
        since: int | None = None,
        types: FieldTypes | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self.dialect = dialect
        self.kept = kept
        self.since = since
        self.tables = Tables(after, dialect)
        self.types = sql_dialect(dialect)
        self._returning = Returning(after, dialect, kept, since, types)

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
        for old in self.before or ():
            if old.name not in self.after.objects:
                yield self._keep_table(old)

    def _keep_table(self, old: Object) -> Change:
        assert self.before is not None
        signatures = [
            Kept("removed", old.name, part.key, old.name, part.key, self._old_signature(old, part.key), 0)
            for part in stored_parts(old)
        ]
        text = say("Keep the table {object} until it is purged.", object=old.name)
        return Change("keep_data", old.name, old.name, text, run=partial(_write_down, "table", old.name, signatures))

    def _old_signature(self, old: Object, key: str) -> str:
        return "" if self.before is None else signature(self.before, old, key, self.dialect)

    def _new_table(self, obj: Object) -> Iterator[Change]:
        inline = self.dialect == "sqlite"
        make = partial(self._create_table, obj, inline)
        back = any(entry.kind == "table" and entry.object == obj.name for entry in self.kept)
        text = say(
            "{what} the table {object} for the object {object_2}.",
            what=say("Bring back") if back else say("Create"),
            object=obj.name,
            object_2=obj.label,
        )
        yield self._change("create_table", obj.name, obj.name, text, make)
        if not inline:
            for constraint in self.tables.foreign_keys(obj):
                yield self._foreign_key(obj, constraint)

    def _create_table(self, obj: Object, inline: bool, operations: Operations, present: Present | None) -> None:
        columns = list(self.tables.columns(obj))
        there = present.bring_back_table(operations, obj.name) if present is not None else set()
        if there:
            for column in columns:
                self._add_column(obj, column.name, operations, present)
            return
        keys = self.tables.foreign_keys(obj) if inline else ()
        operations.create_table(obj.name, *columns, *keys)
        if present is not None:
            present.columns(obj.name).update(column.name for column in columns)

    def _foreign_key(self, obj: Object, constraint: ForeignKeyConstraint) -> Change:
        name, column = str(constraint.name), constraint.column_keys[0]
        target = next(f for f in obj.references if f.name == column).targets[0]

        def run(operations: Operations, present: Present | None) -> None:
            if present is not None and present.has_constraint(obj.name, name):
                return
            operations.create_foreign_key(
                name, obj.name, target, [column], ["id"], deferrable=True, initially="DEFERRED"
            )

        text = say(
            "Check that {object}.{column} refers to a record of {target}.",
            object=obj.name,
            column=column,
            target=target,
        )
        return self._change("add_foreign_key", obj.name, name, text, run)

    def _columns(self, old: Object, new: Object) -> Iterator[Change]:
        before = {part.key: part.sql for part in stored_parts(old)}
        remade = self.remade(old, new)
        for part in stored_parts(new):
            key, kind = part.key, part.sql
            if kind is None or (before.get(key) is kind and key not in remade):
                continue
            was = before.get(key)
            if was is None:
                run = partial(self._add_column, new, key)
                back = self._returning.column("removed", new, key)
                text = (
                    say("Add the column {object}.{key}.", object=new.name, key=key)
                    if back is None
                    else say("Bring back the column {object}.{key}.", object=new.name, key=key)
                )
                yield self._change("add_column", new.name, key, text, run)
            elif key in remade:
                yield self._remake(old, new, key, was, kind)
            elif column_signature(was, self.types) != column_signature(kind, self.types):
                yield self._rescale(new, key, was, kind)
        stays = {part.key for part in stored_parts(new)}
        for key in before:
            if key not in stays:
                entry = Kept("removed", new.name, key, new.name, key, self._old_signature(old, key), 0)
                text = say("Keep the column {object}.{key} until it is purged.", object=new.name, key=key)
                yield Change("keep_data", new.name, key, text, run=partial(_write_down, "removed", new.name, [entry]))

    def remade(self, old: Object, new: Object) -> set[str]:
        """Keys whose column must be made anew: another type, a lookup that points somewhere else, or, on the way back
        over changes of type that end where they began, the values of that time."""
        if self.before is None:
            return set()
        before = {part.key: part.sql for part in stored_parts(old)}
        old_targets = targets_of(self.before, old)
        new_targets = targets_of(self.after, new)
        found = set()
        for part in stored_parts(new):
            was = before.get(part.key)
            if was is None or part.sql is None:
                continue
            other = was is not part.sql and column_signature(was, self.types) != column_signature(part.sql, self.types)
            in_place = other and rescale_column(new.name, part.key, was, part.sql, self.dialect) is not None
            elsewhere = old_targets.get(part.key) != new_targets.get(part.key)
            comes_back = not new.field_of[part.key].computed and self._returning.chain(new, part.key)
            if (other and not in_place) or elsewhere or comes_back:
                found.add(part.key)
        return found

    def keeps_values(self, old: Object, new: Object, key: str) -> bool:
        """Whether values can be carried over; not into a lookup that points at other records."""
        target = targets_of(self.after, new).get(key)
        return target is None or self.before is None or target == targets_of(self.before, old).get(key)

    def _add_column(self, obj: Object, key: str, operations: Operations, present: Present | None) -> None:
        if present is not None:
            wanted = "" if key == "deletion_id" else signature(self.after, obj, key, self.dialect)
            if present.bring_back(operations, obj.name, key, wanted, self.since):
                return
        self._new_column(obj, key, operations)
        if present is not None:
            present.columns(obj.name).add(key)

    def _new_column(self, obj: Object, key: str, operations: Operations) -> None:
        column = next(c for c in self.tables.columns(obj) if c.name == key)
        column.nullable = True
        target = targets_of(self.after, obj).get(key)
        if target is not None:
            name = foreign_key_name(obj.name, key, target)
            column.append_foreign_key(ForeignKey(f"{target}.id", name=name, deferrable=True, initially="DEFERRED"))
        operations.add_column(obj.name, column, inline_references=True)

    def _rescale(self, new: Object, key: str, was: TypeEngine[object], kind: TypeEngine[object]) -> Change:
        scaled = rescale_column(new.name, key, was, kind, self.dialect)

        def run(operations: Operations, present: Present | None) -> None:
            for statement in scaled.statements if scaled is not None else ():
                operations.execute(statement)

        text = say(
            "Change {object}.{key} from {was} to {kind}; every value stays exact.",
            object=new.name,
            key=key,
            was=_shown(was),
            kind=_shown(kind),
        )
        return self._change("change_type", new.name, key, text, run)

    def _remake(self, old: Object, new: Object, key: str, was: TypeEngine[object], kind: TypeEngine[object]) -> Change:
        target = targets_of(self.after, new).get(key)
        keeps = self.keeps_values(old, new, key)
        computed = new.field_of[key].computed
        chain = () if computed else self._returning.chain(new, key)
        retyping = Retyping(
            object=new.name,
            key=key,
            before=old.parts[key],
            after=new.parts[key],
            signature=self._old_signature(old, key),
            keeps=keeps and not computed,
            add=partial(self._new_column, new, key),
            declaration=declaration_of(old.field_of[key], old.parts[key], [step.column for step in chain]),
            chain=chain,
            refers=target is not None,
        )
        what = (
            say("from {was} to {kind}", was=_shown(was), kind=_shown(kind))
            if target is None
            else say("to point at {target}", target=target)
        )
        if chain:
            lost = say("its values of that time come back")
        else:
            lost = say("values that cannot be converted become blank") if keeps else say("its values become blank")
        text = say(
            "Change {object}.{key} {what}: {lost}; the old column is kept under another name.",
            object=new.name,
            key=key,
            what=what,
            lost=lost,
        )
        widens = isinstance(was, Integer) and isinstance(kind, ExactDecimal)
        loses = not computed and not chain and not widens
        return Change("change_type", new.name, key, text, destructive=loses,
                      run=retyping.finish, retyping=retyping)  # fmt: skip

    def _indexes(self, old: Object | None, new: Object) -> Iterator[Change]:
        wanted = {index_name(prefix, new.name, *keys) for prefix, keys in index_parts(new)}
        there: dict[str, tuple[str, ...]] = {}
        dropped: set[str] = set()
        if old is not None:
            there = {index_name(prefix, old.name, *keys): keys for prefix, keys in index_parts(old)}
            remade = self.remade(old, new)
            stale = {name for name, keys in there.items() if remade.intersection(keys)}
            dropped = (there.keys() - wanted) | stale
        for name in sorted(dropped):
            text = say("Drop the index {name} of {object}.", name=name, object=new.name)
            run = partial(self._drop_index, new.name, name)
            yield self._change("drop_index", new.name, name, text, run)
        missing = wanted - (there.keys() - dropped)
        for index in self.tables.indexes(new) if missing else ():
            name = str(index.name)
            if name in missing:
                columns = ", ".join(column.name for column in index.columns)
                values = {"name": name, "object": new.name, "columns": columns}
                text = (
                    say("Create the unique index {name} on {object} ({columns}).", **values)
                    if index.unique
                    else say("Create the index {name} on {object} ({columns}).", **values)
                )
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
        description: Text,
        run: Callable[[Operations, Present | None], None],
        destructive: bool = False,
    ) -> Change:
        return Change(kind, table, name, description, self._sql(run), destructive, run)

    def _sql(self, run: Callable[[Operations, Present | None], None]) -> str:
        text = io.StringIO()
        options = {"as_sql": True, "output_buffer": text, "literal_binds": True}
        run(operations_with(dialect_name=self.dialect, opts=options), None)
        return text.getvalue().strip()


def _write_down(kind: str, name: str, entries: Sequence[Kept], operations: Operations, present: Present) -> None:
    """Writes down what is kept from the revision that is being made on."""
    made = [Kept("removed", e.object, e.key, e.table, e.column, e.signature, present.revision) for e in entries]
    if kind == "table":
        made.append(Kept("table", name, "", name, "", "", present.revision))
    there = present.kept(name)
    known = [e for e in there if (e.kind, e.key) in {(m.kind, m.key) for m in made} and e.column == e.key]
    forget(present.connection, known)
    keep(present.connection, made)
    present.look_again(name)


def _shown(kind: TypeEngine[object]) -> str:
    return f"decimal({kind.precision}, {kind.scale})" if isinstance(kind, ExactDecimal) else type(kind).__name__.lower()
