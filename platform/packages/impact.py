"""What a change of metadata means for the records that are there: every object, field, key, stage and rule compared.

The database counts (``notes.py``); only a change of type reads values, each distinct one once
(``storage/conversion.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from ratoon.platform.errors import say
from ratoon.platform.fields.base import Part
from ratoon.platform.metadata.model import Field, Object, Pipeline, Registry
from ratoon.platform.packages.breaking import CEILING, RuleCheck
from ratoon.platform.packages.notes import SAMPLES, Census, DataNote, Sample
from ratoon.platform.packages.target import Target
from ratoon.platform.storage.conversion import Offers
from ratoon.platform.storage.schema import changed_keys
from ratoon.platform.storage.tables import Tables

CONVERTED = frozenset({"loses", "cuts"})
"""Codes of notes that say what a change of type does to values."""
Replaced = Mapping[tuple[str, str], Mapping[str, str]]
"""(object, field) → value or stage that goes → the one that takes its place."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Situation:
    """What impact is worked out from."""

    target: Target
    connection: Connection
    before: Registry
    """The metadata as it stands, with the names it will have."""
    after: Registry
    tables: Tables
    """The tables of ``before`` as they are in the database."""
    replaced: Replaced
    changed: frozenset[str] | None = None
    """Objects whose documents differ; ``None`` = any may."""
    convert: bool = True
    """Whether values are looked at that a change of type loses or cuts (``CONVERTED``)."""


def data_notes(situation: Situation) -> tuple[DataNote, ...]:
    """What the change means for the records there are."""
    return tuple(_Impact(situation).all())


class _Impact:
    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self._before = situation.before
        self._tables = situation.tables
        self._census = Census(situation.connection, situation.tables)

    def all(self) -> Iterator[DataNote]:
        for new in self._s.after:
            old = self._before.objects.get(new.name)
            if old is None or not (self._s.changed is None or new.name in self._s.changed):
                continue
            for field in new.fields.values():
                if not field.system:
                    yield from self._field(old, new, field)
            if self._s.convert:
                yield from self._types(old, new)
            yield from self._keys(old, new)
            yield from self._stages(old, new)
            yield from self._rules(old, new)
        yield from self._gone()

    def _field(self, old: Object, new: Object, field: Field) -> Iterator[DataNote]:
        was = old.fields.get(field.name)
        if was is None or not was.parts or was.parts[0].sql is None:
            if field.required and field.default is None and not field.computed and not field.junction:
                message = say("{rows} records of {object} have no {field} yet.")
                yield from self._required(old, field, message)
            return
        column = self._tables.table(old.name).c[was.parts[0].key]
        if field.required and not was.required and field.default is None and not field.computed:
            message = say("{rows} records of {object} have no {field}.")
            yield from self._required(old, field, message, column.is_(None))
        if field.unique and not was.unique:
            yield from self._unique(old, (field.name,))
        if new.parts.keys().isdisjoint(p.key for p in field.parts if p.sql is None):
            yield from self._shorter(old, was, field, column)
            yield from self._range(old, was, field, column)
        yield from self._choices(old, was, field, column)

    def _note(
        self,
        old: Object,
        code: str,
        message: str,
        *where: ColumnElement[bool],
        field: Field | None = None,
        show: bool = True,
        values: Mapping[str, Any] = NOTHING,
        **facts: Any,
    ) -> Iterator[DataNote]:
        """A note when records fulfil ``where``: how many, some of them (``show``: with the field's value), and what the
        message tells of them: ``{rows}``, ``{object}``, ``{field}`` and ``values``."""
        rows = self._census.count(old, *where)
        if rows:
            named = None if field is None else field.name
            text = say(message, rows=rows, object=old.name, **({} if named is None else {"field": named}), **values)
            samples = self._census.some(old, *where, show=named if show else None)
            yield DataNote(old.name, code, rows, text, field=named, samples=samples, **facts)

    def _required(self, old: Object, field: Field, message: str, *where: ColumnElement[bool]) -> Iterator[DataNote]:
        hint = say('give {field} a "default", fill it in first, or use "required_when"', field=field.name)
        yield from self._note(old, "required", message, *where, field=field, show=False, hint=hint, violates=True)

    def _shorter(self, old: Object, was: Field, field: Field, column: ColumnElement[Any]) -> Iterator[DataNote]:
        longest, shorter = _longest(was), _longest(field)
        if shorter is None or (longest is not None and shorter >= longest) or not _text(was):
            return
        message = say("{rows} records of {object} have a {field} of more than {shorter} characters.")
        too_long = func.length(column) > shorter
        hint = say("the texts stay as they are until somebody edits them")
        yield from self._note(old, "too_long", message, too_long, field=field, values={"shorter": shorter}, hint=hint)

    def _range(self, old: Object, was: Field, field: Field, column: ColumnElement[Any]) -> Iterator[DataNote]:
        if was.spec.type != field.spec.type:
            return
        least, most = field.spec.option("min"), field.spec.option("max")
        outside = [
            column < least if least is not None and least != was.spec.option("min") else None,
            column > most if most is not None and most != was.spec.option("max") else None,
        ]
        wrong = [condition for condition in outside if condition is not None]
        if wrong:
            limits = f"{'' if least is None else least} … {'' if most is None else most}".strip()
            message = say("{rows} records of {object} have a {field} outside {limits}.")
            yield from self._note(old, "out_of_range", message, or_(*wrong), field=field, values={"limits": limits})

    def _choices(self, old: Object, was: Field, field: Field, column: ColumnElement[Any]) -> Iterator[DataNote]:
        if field.spec.type not in {"picklist", "multipicklist"} or not _same_column(was, field):
            return
        known = {option.value for option in field.choices}
        if was.spec.type == field.spec.type and known.issuperset(option.value for option in was.choices):
            return
        moved = self._s.replaced.get((old.name, field.name), {})
        if field.spec.type == "multipicklist":
            yield from self._several(old, field, known | moved.keys())
            return
        there = select(column).where(column.is_not(None)).distinct()
        used = {row[0] for row in self._s.connection.execute(there)}
        gone = sorted(used - known - moved.keys())
        rows = self._census.count(old, column.in_(gone)) if gone else 0
        if rows:
            samples = self._census.some(old, column.in_(gone), show=field.name)
            yield self._value_note(old, field, rows, gone, samples)

    def _several(self, old: Object, field: Field, known: set[str]) -> Iterator[DataNote]:
        """Records whose multiple choice holds something that is no choice any more."""
        table = self._tables.table(old.name)
        kept = table.c[field.name]
        rows = 0
        gone: set[str] = set()
        found: list[str] = []
        query = select(table.c.id, kept).where(kept.is_not(None), table.c.deleted_at.is_(None)).order_by(table.c.id)
        for record, values in self._s.connection.execute(query):
            lost = set(values) - known
            if lost:
                rows += 1
                gone |= lost
                if len(found) < SAMPLES:
                    found.append(record)
        if rows:
            yield self._value_note(old, field, rows, sorted(gone), self._census.these(old, found, field.name))

    @staticmethod
    def _value_note(old: Object, field: Field, rows: int, gone: list[str], samples: tuple[Sample, ...]) -> DataNote:
        listed = ", ".join(gone[:20]) + (" …" if len(gone) > 20 else "")
        message = say(
            "{rows} records of {object} have a value of {field} that goes away ({listed}).",
            rows=rows,
            object=old.name,
            field=field.name,
            listed=listed,
        )
        hint = say('keep it with "active": false, or name it in "replaces" of the value that takes its place')
        return DataNote(old.name, "value_in_use", rows, message, field=field.name, hint=hint, samples=samples)

    def _types(self, old: Object, new: Object) -> Iterator[DataNote]:
        """Values that the new type of a field cannot hold, or holds otherwise."""
        for key in changed_keys(self._before, self._s.after, old, new, self._s.target.database.dialect):
            was, now = old.parts[key], new.parts[key]
            if not new.field_of[key].computed and was.sql is not None:
                yield from self._type(old, new.field_of[key], was, now)

    def _type(self, old: Object, field: Field, was: Part, now: Part) -> Iterator[DataNote]:
        table = self._tables.table(old.name)
        column = table.c[was.key]
        grouped = select(column, func.count()).where(column.is_not(None)).group_by(column)
        offers = Offers(was, now)
        lost: list[Any] = []
        cut: list[Any] = []
        lost_rows = cut_rows = 0
        for value, rows in self._s.connection.execute(grouped):
            made, exact = offers.convert(value)
            if made is None:
                lost_rows += rows
                lost.append(value)
            elif not exact:
                cut_rows += rows
                cut.append(value)
        for code, rows, values, what in (
            ("loses", lost_rows, lost, say("cannot be converted and become blank")),
            ("cuts", cut_rows, cut, say("are rounded or cut")),
        ):
            if rows:
                condition = column.in_(values[:100])
                message = say(
                    "{rows} values of {object}.{key} {what}.", rows=rows, object=old.name, key=was.key, what=what
                )
                samples = self._census.some(old, condition, show=was.key)
                hint = say("the values as they are now stay in the database until they are purged")
                yield DataNote(old.name, code, rows, message, field=field.name, hint=hint, samples=samples)

    def _unique(self, old: Object, keys: tuple[str, ...]) -> Iterator[DataNote]:
        table = self._tables.table(old.name)
        if not all(key in table.c for key in keys):
            return
        columns = [table.c[key] for key in keys]
        filled = and_(table.c.deleted_at.is_(None), *(column.is_not(None) for column in columns))
        doubled = select(*columns).where(filled).group_by(*columns).having(func.count() > 1)
        limited = doubled.limit(CEILING).subquery()
        rows = self._s.connection.execute(select(func.count()).select_from(limited)).scalar_one()
        if not rows:
            return
        samples: list[Sample] = []
        for values in self._s.connection.execute(doubled.order_by(*columns).limit(SAMPLES)).all():
            same = [column == value for column, value in zip(columns, values, strict=True)]
            samples += self._census.some(old, *same, show=keys[0])[:2]
        named = " and ".join(keys)
        message = say(
            "{rows} values of {object}.{named} occur more than once, so it cannot become unique.",
            rows=rows,
            object=old.name,
            named=named,
        )
        hint = say("make them different, or merge the records, first")
        yield DataNote(old.name, "not_unique", rows, message, refuses=True, field=keys[0], hint=hint,
                       samples=tuple(samples[: 2 * SAMPLES]))  # fmt: skip

    def _keys(self, old: Object, new: Object) -> Iterator[DataNote]:
        known = {key.fields for key in old.keys}
        for key in new.keys:
            if key.fields not in known:
                yield from self._unique(old, key.fields)

    def _stages(self, old: Object, new: Object) -> Iterator[DataNote]:
        field = old.stage_field
        if field is None or new.stage_field is None or new.stage_field.name != field.name:
            return
        moved = self._s.replaced.get((old.name, field.name), {})
        for was in old.pipelines:
            yield from self._pipeline(old, field, was, new.pipeline(was.name), moved)

    def _pipeline(
        self, old: Object, field: Field, was: Pipeline, now: Pipeline | None, moved: Mapping[str, str]
    ) -> Iterator[DataNote]:
        table = self._tables.table(old.name)
        stage, pipeline = table.c[field.parts[0].key], table.c[field.parts[1].key]
        left = now.by_name if now is not None else {}
        gone = sorted(s for s in was.by_name if s not in left and f"{was.name}.{s}" not in moved)
        if gone:
            message = say(
                "{rows} records of {object} are in stages of the pipeline {was} that go away ({gone}); "
                "move them to another stage first."
            )
            inside = and_(pipeline == was.name, stage.in_(gone))
            hint = say('or name the stage in "replaces" of the one that takes its place')
            yield from self._note(
                old, "stage_in_use", message, inside, field=field, hint=hint, refuses=True,
                values={"was": was.name, "gone": ", ".join(gone)},
            )  # fmt: skip

    def _rules(self, old: Object, new: Object) -> Iterator[DataNote]:
        known = {(rule.name, rule.error_when.source) for rule in old.rules if rule.active and rule.severity == "error"}
        checker = RuleCheck(self._s.target, self._s.connection, self._before, self._tables)
        for rule in new.rules:
            if rule.active and rule.severity == "error" and (rule.name, rule.error_when.source) not in known:
                rows, samples = checker.breaking(old, rule)
                if rows:
                    many = say("more than {ceiling}", ceiling=CEILING) if rows > CEILING else str(rows)
                    message = say(
                        "{many} records of {object} break the rule {rule}; it stops them at their next save.",
                        many=many,
                        object=old.name,
                        rule=rule.name,
                    )
                    hint = say('begin with "mode": "warn" and mend them, then enforce it')
                    yield DataNote(old.name, "breaks_rule", rows, message, hint=hint, samples=samples)

    def _gone(self) -> Iterator[DataNote]:
        """What is lost from view with fields and objects that go."""
        for old in self._before:
            new = self._s.after.objects.get(old.name)
            if new is None:
                message = say("{rows} records of {object} are lost from view; they are kept until they are purged.")
                yield from self._note(old, "object_goes", message)
                continue
            for field in old.fields.values():
                if field.name in new.fields or field.computed or not field.parts or field.parts[0].sql is None:
                    continue
                filled = self._tables.table(old.name).c[field.name].is_not(None)
                message = say("{rows} values of {object}.{field} are lost from view; they are kept until purged.")
                yield from self._note(old, "field_goes", message, filled, field=field)


def _longest(field: Field) -> int | None:
    return field.spec.option("max_length", 255 if field.spec.type == "text" else None)


def _text(field: Field) -> bool:
    return field.spec.type in {"text", "textarea", "email", "phone", "url"}


def _same_column(was: Field, now: Field) -> bool:
    return repr(was.parts[0].sql) == repr(now.parts[0].sql)
