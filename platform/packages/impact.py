"""What a change of metadata means for the records that are there, counted by the database.

A note either informs (two pets lack the value that becomes required) or refuses (a stage goes away in which there are
records; a field becomes unique and its values are not).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from ratoon.platform.errors import FormulaError
from ratoon.platform.metadata.model import Field, Object, Registry, Rule
from ratoon.platform.packages.target import Target
from ratoon.platform.storage.lists import ListRequest
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables

CEILING = 100_000
"""Counting stops here."""


@dataclass(frozen=True, slots=True)
class DataNote:
    """Something to know about the records of an object."""

    object: str
    code: str
    count: int
    message: str
    refuses: bool = False

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return asdict(self)


def data_notes(
    target: Target, connection: Connection, before: Registry | None, after: Registry
) -> tuple[DataNote, ...]:
    """What the change means for the records there are."""
    if before is None:
        return ()
    return tuple(_Impact(target, connection, before, after).all())


class _Impact:
    def __init__(self, target: Target, connection: Connection, before: Registry, after: Registry) -> None:
        self._target = target
        self._connection = connection
        self._before = before
        self._after = after
        self._tables = Tables(before, target.database.dialect)
        self._store = RecordStore(before, self._tables, target.database.dialect)

    def all(self) -> Iterator[DataNote]:
        for new in self._after:
            old = self._before.objects.get(new.name)
            if old is None:
                continue
            for field in new.fields.values():
                if not field.system:
                    yield from self._field(old, field)
            yield from self._keys(old, new)
            yield from self._stages(old, new)
            yield from self._rules(old, new)

    def _count(self, obj: str, *conditions: ColumnElement[bool]) -> int:
        table = self._tables.table(obj)
        query = select(func.count()).select_from(table).where(table.c.deleted_at.is_(None), *conditions)
        found: int = self._connection.execute(query).scalar_one()
        return found

    def _field(self, old: Object, field: Field) -> Iterator[DataNote]:
        was = old.fields.get(field.name)
        if was is None:
            if field.required and field.default is None and not field.computed and (rows := self._count(old.name)):
                message = (
                    f"{rows} records of {old.name} have no {field.name} yet; it must be filled in when they are saved."
                )
                yield DataNote(old.name, "required", rows, message)
            return
        if not was.parts or was.parts[0].sql is None:
            return
        column = self._tables.table(old.name).c[was.parts[0].key]
        if field.required and not was.required and (rows := self._count(old.name, column.is_(None))):
            message = f"{rows} records of {old.name} have no {field.name}; it must be filled in when they are saved."
            yield DataNote(old.name, "required", rows, message)
        if field.unique and not was.unique:
            yield from self._unique(old, (field.name,))
        longest, shorter = was.spec.option("max_length", 255), field.spec.option("max_length", 255)
        if was.spec.type == field.spec.type == "text" and shorter < longest:
            rows = self._count(old.name, func.length(column) > shorter)
            if rows:
                message = f"{rows} records of {old.name} have a {field.name} of more than {shorter} characters."
                yield DataNote(old.name, "too_long", rows, message)
        if was.spec.type == field.spec.type == "picklist":
            gone = {o.value for o in was.choices} - {o.value for o in field.choices}
            rows = self._count(old.name, column.in_(sorted(gone))) if gone else 0
            if rows:
                message = (
                    f"{rows} records of {old.name} have a value of {field.name} that goes away "
                    f'({", ".join(sorted(gone))}); keep it with "active": false.'
                )
                yield DataNote(old.name, "value_in_use", rows, message)

    def _unique(self, old: Object, keys: tuple[str, ...]) -> Iterator[DataNote]:
        table = self._tables.table(old.name)
        if not all(key in table.c for key in keys):
            return
        columns = [table.c[key] for key in keys]
        filled = and_(table.c.deleted_at.is_(None), *(column.is_not(None) for column in columns))
        doubled = select(*columns).where(filled).group_by(*columns).having(func.count() > 1).limit(CEILING).subquery()
        rows = self._connection.execute(select(func.count()).select_from(doubled)).scalar_one()
        if rows:
            named = " and ".join(keys)
            message = f"{rows} values of {old.name}.{named} occur more than once, so it cannot become unique."
            yield DataNote(old.name, "not_unique", rows, message, refuses=True)

    def _keys(self, old: Object, new: Object) -> Iterator[DataNote]:
        known = {key.fields for key in old.keys}
        for key in new.keys:
            if key.fields not in known:
                yield from self._unique(old, key.fields)

    def _stages(self, old: Object, new: Object) -> Iterator[DataNote]:
        field = old.stage_field
        if field is None or new.stage_field is None or new.stage_field.name != field.name:
            return
        table = self._tables.table(old.name)
        stage, pipeline = table.c[field.parts[0].key], table.c[field.parts[1].key]
        for was in old.pipelines:
            now = new.pipeline(was.name)
            gone = sorted(set(was.by_name) - set(now.by_name if now is not None else ()))
            rows = self._count(old.name, pipeline == was.name, stage.in_(gone)) if gone else 0
            if rows:
                message = (
                    f"{rows} records of {old.name} are in stages of the pipeline {was.name} that go away "
                    f"({', '.join(gone)}); move them to another stage first."
                )
                yield DataNote(old.name, "stage_in_use", rows, message, refuses=True)

    def _rules(self, old: Object, new: Object) -> Iterator[DataNote]:
        known = {rule.name: rule.error_when.source for rule in old.rules if rule.active}
        for rule in new.rules:
            if rule.active and rule.severity == "error" and known.get(rule.name) != rule.error_when.source:
                rows = self._breaking(old, rule)
                if rows:
                    shown = f"more than {CEILING}" if rows > CEILING else str(rows)
                    message = (
                        f"{shown} records of {old.name} break the rule {rule.name}; it stops them at their next save."
                    )
                    yield DataNote(old.name, "breaks_rule", rows, message)

    def _breaking(self, old: Object, rule: Rule) -> int:
        formula = rule.error_when
        if formula.sql_refusal is not None or formula.uses_change or not self._readable(old, formula.paths):
            return 0
        request = ListRequest(old.name, filter=formula, context=self._target.context())
        try:
            return self._store.lists.count(self._connection, request, CEILING)
        except FormulaError:
            return 0

    def _readable(self, obj: Object, paths: frozenset[str]) -> bool:
        """Whether every path leads to a column that is there now."""
        for path in paths:
            here = obj
            *steps, last = path.split(".")
            for step in steps:
                field = here.field_of.get(step)
                if field is None or len(field.targets) != 1:
                    return False
                here = self._before[field.targets[0]]
            if last not in here.parts or here.parts[last].sql is None:
                return False
        return True
