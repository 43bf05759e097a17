"""A plan counts and shows the records that a change concerns, says which permissions widen, and only reads."""

from __future__ import annotations

from typing import Any

import pytest

from ratoon.platform.metadata.documents import Document
from ratoon.platform.packages.rights import widenings

Clinic = Any
Package = Any


def notes(clinic: Clinic, package: Package) -> dict[str, Any]:
    return {note.code: note for note in clinic.plan(package).notes}


@pytest.fixture
def pets(clinic: Clinic) -> list[str]:
    owner = clinic.create("pet_owner", {"name": "Lin"})[0]["id"]
    weights = ("4.25", "71.5", None, "3")
    made = [
        {"name": f"Pet {i}", "pet_owner": owner, "species": "cat", "weight": weight, "born_on": "2020-05-01"}
        for i, weight in enumerate(weights)
    ]
    return [record["id"] for record in clinic.create("pet", *made)]


def test_rows_that_lack_what_becomes_required_are_shown(clinic: Clinic, package: Package, pets: list[str]) -> None:
    package.field("pet", "weight")["required"] = True
    note = notes(clinic, package)["required"]
    assert (note.count, note.field, note.violates) == (1, "weight", True)
    assert [(s.id, s.title) for s in note.samples] == [(pets[2], "Pet 2")]
    assert "default" in note.hint


def test_doubled_values_under_a_new_key_are_shown(clinic: Clinic, package: Package, pets: list[str]) -> None:
    package.field("pet", "born_on")["unique"] = True
    note = notes(clinic, package)["not_unique"]
    assert note.refuses
    assert {s.value for s in note.samples} == {"2020-05-01"}
    assert {s.id for s in note.samples} <= set(pets)


def test_rows_that_break_a_new_rule_are_shown_with_their_value(
    clinic: Clinic, package: Package, pets: list[str]
) -> None:
    rule = {"name": "light", "error_when": "weight > 50", "message": "Too heavy.", "field": "weight"}
    package.files["pet/object.json"]["rules"].append(rule)
    note = notes(clinic, package)["breaks_rule"]
    assert [(s.id, s.value) for s in note.samples] == [(pets[1], "71.50")]
    assert "warn" in note.hint


def test_values_that_a_type_change_loses_or_cuts_are_told_apart(
    clinic: Clinic, package: Package, pets: list[str]
) -> None:
    clinic.create("pet_owner", {"name": "Wei", "phone": "030 12345"})
    field = package.field("pet", "weight")
    field.clear()
    field.update({"name": "weight", "type": "integer", "label": "Weight", "max": 50})
    package.files["pet/object.json"]["rules"] = []
    found = notes(clinic, package)
    assert [(s.id, s.value) for s in found["loses"].samples] == [(pets[1], "71.50")]
    assert [(s.id, s.value) for s in found["cuts"].samples] == [(pets[0], "4.25")]


def test_values_outside_the_new_limits_are_counted(clinic: Clinic, package: Package, pets: list[str]) -> None:
    package.field("pet", "weight")["max"] = 10
    note = notes(clinic, package)["out_of_range"]
    assert (note.count, note.samples[0].id) == (1, pets[1])


def test_what_a_removed_field_holds_is_counted(clinic: Clinic, package: Package, pets: list[str]) -> None:
    package.drop("pet", "weight")
    package.files["pet/object.json"]["rules"] = []
    package.files["pet/layouts/default.json"]["sections"][0]["fields"].remove("weight")
    note = notes(clinic, package)["field_goes"]
    assert (note.count, len(note.samples)) == (3, 3)


def test_planning_writes_nothing(clinic: Clinic, package: Package, pets: list[str]) -> None:
    package.field("pet", "weight")["required"] = True
    package.add("pet", "more", "text")

    def state() -> list[Any]:
        with clinic.environment.database.read() as connection:
            if connection.dialect.name == "sqlite":
                return [connection.exec_driver_sql("PRAGMA data_version").scalar(),
                        connection.exec_driver_sql("PRAGMA schema_version").scalar()]  # fmt: skip
            return [tuple(row) for row in connection.exec_driver_sql(
                "SELECT relname, relfilenode FROM pg_class WHERE relkind IN ('r', 'i') ORDER BY 1")]  # fmt: skip

    before = state()
    clinic.plan(package)
    assert state() == before


def role(**data: Any) -> Document:
    return Document("roles/vet.json", "role", {"kind": "role", "name": "vet", "label": "Vet", **data}, "clinic")


def widened(before: Document | None, after: Document) -> list[tuple[str, str]]:
    return [(w.role, w.what) for w in widenings([] if before is None else [before], [after])]


def test_every_right_more_is_told() -> None:
    before = role(objects={"pet": ["read"]}, fields={"pet.weight": []}, rows={"pet": "owner = $user.id"})
    after = role(objects={"pet": ["read", "delete"], "*": ["read"]}, fields={"pet.weight": ["read"]})
    assert widened(before, after) == [
        ("vet", "pet: delete"), ("vet", "*: read"), ("vet", "pet.weight: read"), ("vet", "pet: rows"),
    ]  # fmt: skip


def test_a_new_role_widens_and_a_smaller_one_does_not() -> None:
    wide, narrow = role(objects={"pet": ["read", "edit"]}), role(objects={"pet": ["read"]})
    assert widened(None, wide) == [("vet", "pet: read, edit")]
    assert widened(wide, narrow) == []
