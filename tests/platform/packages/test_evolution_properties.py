"""Random packages, random edits, records in them: whatever is applied can be rolled back, and the plan told the truth.

An edit is one of: a field added, removed, renamed, given another type, made required; a value renamed or replaced; an
object added, removed, renamed. Some edits are refused, by the check or by the records: then nothing may have changed.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict, MetadataRefused
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Conditions, Target, apply_package, plan_package, plan_rollback, rollback
from ratoon.platform.storage import retyping, revisions
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables, stored_parts

CHOICES = ("red", "green", "blue")
VALUES: dict[str, tuple[Any, ...]] = {
    "text": ("", "a", "12", "3.50", "true", "2026-02-01", "red", "漢字"),
    "textarea": ("one\ntwo", "7", "x"),
    "integer": (0, 7, -3, 1, 123456),
    "decimal": ("0.00", "12.34", "-1.50", "99999.99"),
    "percent": ("20", "0.5"),
    "currency": ("12.30", "-4"),
    "boolean": (True, False),
    "date": ("2026-02-01", "1999-12-31"),
    "datetime": ("2026-02-01T00:00:00Z", "2026-02-01T10:30:00Z"),
    "duration": (60, 86400),
    "picklist": CHOICES,
    "multipicklist": (["red"], ["green", "blue"]),
}
RETYPES = tuple(VALUES)


def declared(name: str, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "type": kind, "label": name}
    if kind in ("picklist", "multipicklist"):
        made["values"] = [{"value": value} for value in CHOICES]
    if kind == "decimal":
        made.update(precision=10, scale=2)
    return made


@dataclass
class Model:
    """A package that is edited."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0

    def name(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}{self.made}"

    def add_object(self, kinds: list[str]) -> None:
        name = self.name("thing")
        fields = [declared("name", "text"), *(declared(self.name("f"), kind) for kind in kinds)]
        self.objects[name] = {"kind": "object", "name": name, "label": name, "fields": fields, "title": "name"}

    @property
    def source(self) -> dict[str, bytes]:
        manifest = {"kind": "package", "name": "evolving", "version": "1.0.0", "label": "Evolving"}
        documents = [manifest, *self.objects.values()]
        return {place(str(d["kind"]), d): canonical(d).encode() for d in documents}

    def edit(self, draw: Callable[[Any], Any]) -> None:
        """One random edit."""
        if not self.objects:
            self.add_object([draw(st.sampled_from(RETYPES))])
            return
        obj = self.objects[draw(st.sampled_from(sorted(self.objects)))]
        fields = [f for f in obj["fields"] if f["name"] != "name"]
        what = draw(st.sampled_from(EDITS))
        if what == "add field" or (not fields and "field" in what):
            added = declared(self.name("f"), draw(st.sampled_from(RETYPES)))
            if added["type"] in ("integer", "decimal") and draw(st.booleans()):
                added.update(required=True, default="5")
            obj["fields"].append(added)
        elif what == "add object":
            self.add_object(draw(st.lists(st.sampled_from(RETYPES), max_size=2)))
        elif what == "remove object" and len(self.objects) > 1:
            del self.objects[obj["name"]]
        elif what == "rename object":
            old, new = obj["name"], self.name("thing")
            obj.update(name=new, renamed_from=old)
            self.objects = {d["name"]: d for d in self.objects.values()}
        elif "field" in what and fields:
            self.edit_field(draw, obj, draw(st.sampled_from(range(len(fields)))), fields, what)

    def edit_field(self, draw: Any, obj: Any, at: int, fields: list[Any], what: str) -> None:
        chosen = fields[at]
        if what == "remove field":
            obj["fields"].remove(chosen)
        elif what == "rename field":
            chosen.update(renamed_from=chosen["name"], name=self.name("f"))
        elif what == "retype field":
            made = declared(chosen["name"], draw(st.sampled_from(RETYPES)))
            obj["fields"][obj["fields"].index(chosen)] = made
        elif what == "require field" and chosen["type"] in ("integer", "decimal"):
            chosen.update(required=True, default="8")
        elif what == "value of field" and "values" in chosen and len(chosen["values"]) > 1:
            values = chosen["values"]
            if draw(st.booleans()):
                values[0].update(renamed_from=values[0]["value"], value=self.name("v"))
            else:
                gone = values.pop()
                values[0]["replaces"] = [gone["value"]]


EDITS = ("add field", "remove field", "rename field", "retype field", "retype field", "require field", "value of field",
         "add object", "remove object", "rename object")  # fmt: skip


def fill(environment: Environment, draw: Callable[[Any], Any]) -> None:
    """Records in every object."""
    for obj in environment.registry:
        if not obj.name.startswith("thing"):
            continue
        rows = []
        for number in range(draw(st.integers(0, 4))):
            row: dict[str, Any] = {"name": f"{obj.name} {number}"}
            for one in obj.fields.values():
                if one.system or one.name == "name" or one.type.name not in VALUES:
                    continue
                known = [o.value for o in one.choices]
                values = tuple(known) if one.type.name == "picklist" else VALUES[one.type.name]
                if one.type.name == "multipicklist":
                    values = ([known[0]], known)
                value = draw(st.sampled_from((None, *values)))
                if value is not None or not one.required:
                    row[one.name] = value
            rows.append(row)
        if rows:
            environment.transact(SYSTEM, lambda r, name=obj.name, made=rows: r.create(name, made))  # type: ignore[misc]


def state(environment: Environment) -> dict[str, Any]:
    """Documents, tables and every value, as a fresh process would see them."""
    target = Target.of(environment)
    with environment.database.read() as connection:
        revision = revisions.current_revision(connection)
        registry = target.registry_at(connection, revision)
        assert registry is not None
        store = RecordStore(registry, Tables(registry, environment.database.dialect), environment.database.dialect)
        documents = {(d.package, d.file): canonical(d.data) for d in revisions.documents_at(connection, revision)}
        looked = inspect(connection)
        values, tables = {}, {}
        for obj in registry:
            if not obj.name.startswith("thing"):
                continue
            kinds = {c["name"]: repr(c["type"]) for c in looked.get_columns(obj.name)}
            wanted = [part.key for part in stored_parts(obj)]
            pointing = [k for k in looked.get_foreign_keys(obj.name) if {*k["constrained_columns"]} <= {*wanted}]
            tables[obj.name] = (
                {key: kinds[key] for key in wanted},
                sorted(str(i["name"]) for i in looked.get_indexes(obj.name)),
                sorted((*k["constrained_columns"], k["referred_table"]) for k in pointing),
            )
            table = store.tables.table(obj.name)
            ids = [row[0] for row in connection.execute(table.select().with_only_columns(table.c.id))]
            rows = store.load(connection, obj.name, ids, deleted=True)
            values[obj.name] = {r: {key: row[key] for key in wanted} for r, row in rows.items()}
    return {"documents": documents, "tables": tables, "values": values}


def evolve(environment: Environment, draw: Callable[[Any], Any]) -> None:
    target, model = Target.of(environment), Model()
    model.add_object(draw(st.lists(st.sampled_from(RETYPES), min_size=1, max_size=4)))
    allowed = Conditions(allow_destructive=True, allow_violations=True)
    first = apply_package(target, model.source, conditions=allowed).revision
    fill(environment, draw)
    before = state(environment)
    for _ in range(draw(st.integers(1, 3))):
        edited = copy.deepcopy(model)
        for _ in range(draw(st.integers(1, 3))):
            edited.edit(draw)
        standing = state(environment)
        try:
            promised = plan_package(target, edited.source)
            applied = apply_package(target, edited.source, conditions=allowed)
        except (MetadataRefused, Conflict):
            assert state(environment) == standing
            continue
        model = edited
        assert applied.plan.fingerprint == promised.fingerprint
        assert plan_package(target, model.source).empty
    last = state(environment)
    newest = len(standing_revisions(environment))
    planned = plan_rollback(target, first)
    done = rollback(target, first, conditions=allowed)
    assert done.plan.fingerprint == planned.fingerprint
    assert state(environment) == before
    rollback(target, newest, conditions=allowed)
    assert state(environment) == last


def standing_revisions(environment: Environment) -> list[Any]:
    with environment.database.read() as connection:
        return revisions.history(connection, 1000)


ROUNDS = {"sqlite": int(os.environ.get("RATOON_EVOLUTIONS", "20")), "postgresql": 5}
"""Examples; RATOON_EVOLUTIONS asks for more."""


def test_what_was_applied_can_be_rolled_back_with_every_value(open_world: Any, backend: str) -> None:
    opened: list[Environment] = []

    @settings(
        max_examples=ROUNDS[backend],
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        environment = open_world()
        try:
            evolve(environment, data.draw)
        finally:
            environment.close()
            opened.append(environment)

    check()


def test_every_change_of_type_and_back_keeps_every_value(open_world: Any) -> None:
    """An object per type with a field for each other type: one revision changes all of them."""
    environment = open_world()
    target, model = Target.of(environment), Model()
    for kind in RETYPES:
        model.add_object([kind] * (len(RETYPES) - 1))
    allowed = Conditions(allow_destructive=True, allow_violations=True)
    first = apply_package(target, model.source, conditions=allowed).revision
    for kind, obj in zip(RETYPES, model.objects.values(), strict=True):
        names = [f["name"] for f in obj["fields"][1:]]
        rows = [{"name": str(i), **dict.fromkeys(names, value)} for i, value in enumerate(VALUES[kind])]
        environment.transact(SYSTEM, lambda r, name=obj["name"], made=rows: r.create(name, made))  # type: ignore[misc]
        others = [other for other in RETYPES if other != kind]
        obj["fields"] = [obj["fields"][0], *(declared(n, o) for n, o in zip(names, others, strict=True))]
    before = state(environment)
    apply_package(target, model.source, conditions=allowed)
    rollback(target, first, conditions=allowed)
    assert state(environment) == before


@pytest.mark.parametrize("many", [0, 20_000])
def test_a_value_replaced_in_a_field_that_changes_its_type_comes_and_goes(
    open_world: Any, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Back and forth and back: with its type, blue becomes red and red becomes blue again."""
    monkeypatch.setattr(retyping, "MANY", many)
    environment, model = open_world(), Model()
    target, allowed = Target.of(environment), Conditions(allow_destructive=True)
    model.add_object(["picklist"])
    (obj,) = model.objects.values()
    first = apply_package(target, model.source, conditions=allowed).revision
    rows = [{"name": "0", "f2": "blue"}, {"name": "1", "f2": "green"}]
    environment.transact(SYSTEM, lambda r: r.create("thing1", rows))
    before = state(environment)
    several = declared("f2", "multipicklist")
    several["values"] = [{"value": "red", "replaces": ["blue"]}, {"value": "green"}]
    obj["fields"][1] = several
    second = apply_package(target, model.source, conditions=allowed).revision
    after = state(environment)
    for revision, wanted in ((first, before), (second, after), (first, before), (second, after)):
        rollback(target, revision, conditions=allowed)
        assert state(environment) == wanted


@pytest.mark.parametrize("many", [0, 20_000])
@pytest.mark.parametrize("again", [False, True], ids=["only the type", "and something else"])
def test_changes_of_type_that_end_where_they_began_are_rolled_back_with_every_value(
    open_world: Any, monkeypatch: pytest.MonkeyPatch, many: int, again: bool
) -> None:
    """A text becomes a number and a text again: the words that were no number come back with a rollback."""
    monkeypatch.setattr(retyping, "MANY", many)
    environment, model = open_world(), Model()
    target, allowed = Target.of(environment), Conditions(allow_destructive=True)
    model.add_object(["text"])
    (obj,) = model.objects.values()
    first = apply_package(target, model.source, conditions=allowed).revision
    rows = [{"name": "0", "f2": "a dozen"}, {"name": "1", "f2": "12"}]
    environment.transact(SYSTEM, lambda r: r.create("thing1", rows))
    before = state(environment)
    for kind in ("integer", "text"):
        obj["fields"][1] = declared("f2", kind)
        obj["label"] = f"{kind} again" if again else obj["label"]
        last = apply_package(target, model.source, conditions=allowed).revision
    after = state(environment)
    assert {row["f2"] for row in after["values"]["thing1"].values()} == {None, "12"}
    for revision, wanted in ((first, before), (last, after), (first, before)):
        rollback(target, revision, conditions=allowed)
        assert state(environment) == wanted


@pytest.mark.parametrize("many", [0, 20_000])
def test_a_lookup_that_points_somewhere_else_comes_back_with_its_records_and_its_foreign_key(
    open_world: Any, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(retyping, "MANY", many)
    environment, model = open_world(), Model()
    target, allowed = Target.of(environment), Conditions(allow_destructive=True)
    for _ in range(3):
        model.add_object([])
    pointing, *others = model.objects
    lookup = {"name": "near", "label": "Near", "type": "lookup", "object": others[0], "on_delete": "restrict"}
    model.objects[pointing]["fields"].append(lookup)
    first = apply_package(target, model.source, conditions=allowed).revision
    there = environment.transact(SYSTEM, lambda r: r.create(others[0], [{"name": "there"}]))[0]["id"]
    environment.transact(SYSTEM, lambda r: r.create(pointing, [{"name": "here", "near": there}]))
    before = state(environment)
    lookup["object"] = others[1]
    second = apply_package(target, model.source, conditions=allowed).revision
    after = state(environment)
    for revision, wanted in ((first, before), (second, after), (first, before)):
        rollback(target, revision, conditions=allowed)
        assert state(environment) == wanted


def test_a_field_that_got_another_type_and_a_default_at_once_comes_back_with_every_value(open_world: Any) -> None:
    """A moment becomes a required number: what is no number becomes the default, and a moment again with a rollback."""
    environment, model = open_world(), Model()
    target, allowed = Target.of(environment), Conditions(allow_destructive=True)
    model.add_object(["datetime"])
    (obj,) = model.objects.values()
    first = apply_package(target, model.source, conditions=allowed).revision
    rows = [{"name": "0", "f2": "2026-02-01T10:30:00Z"}, {"name": "1"}]
    environment.transact(SYSTEM, lambda r: r.create("thing1", rows))
    before = state(environment)
    obj["fields"][1] = {**declared("f2", "decimal"), "required": True, "default": "8"}
    second = apply_package(target, model.source, conditions=allowed).revision
    after = state(environment)
    assert {str(row["f2"]) for row in after["values"]["thing1"].values()} == {"8.00"}
    for revision, wanted in ((first, before), (second, after), (first, before)):
        rollback(target, revision, conditions=allowed)
        assert state(environment) == wanted
