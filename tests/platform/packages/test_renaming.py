"""Renaming an object, a field, a stage, a value: data, references, history and the way back, on both databases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.errors import MetadataRefused
from ratoon.platform.packages import plan_rollback, rollback
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query

Clinic = Any
Package = Any


@pytest.fixture
def pet(clinic: Clinic) -> str:
    owner = clinic.create("pet_owner", {"name": "Lin"})[0]["id"]
    made = clinic.create("pet", {"name": "Mochi", "pet_owner": owner, "species": "cat", "weight": "4.2"})[0]
    update(clinic, "pet", made["id"], weight="4.5")
    return str(made["id"])


def update(clinic: Clinic, object_name: str, record: str, **values: Any) -> None:
    clinic.environment.transact(SYSTEM, lambda r: r.update(object_name, [Change(record, values)], acknowledge=True))


def renamed(package: Package, object_name: str, old: str, new: str) -> dict[str, Any]:
    field: dict[str, Any] = package.field(object_name, old)
    field.update(name=new, renamed_from=old)
    return field


def test_a_renamed_field_keeps_values_history_and_every_reference(clinic: Clinic, package: Package, pet: str) -> None:
    renamed(package, "pet", "weight", "mass")
    package.add("visit", "heavy", "formula", formula="pet.weight > 4 /* kg */", returns="boolean")
    applied = clinic.apply(package)
    assert [c.kind for c in applied.plan.schema] == ["add_column"]
    assert next((c.action, c.name) for c in applied.plan.components) == ("renamed", "pet.mass was weight")
    assert clinic.get("pet", pet)["mass"] == Decimal("4.50")
    registry = clinic.environment.registry
    assert registry["visit"].fields["heavy"].formula.source == "pet.mass > 4 /* kg */"
    assert "mass" in registry["pet"].layouts[0].sections[0].fields or "mass" in {
        f for s in registry["pet"].layouts[0].sections for f in s.fields
    }
    with clinic.environment.read(SYSTEM) as records:
        changes = [e["changes"] for e in records.history("pet", pet) if e["changes"]]
    assert {"mass": ["4.20", "4.50"]} in changes


def test_a_message_template_reads_a_renamed_field_under_its_new_name(clinic: Clinic, package: Package) -> None:
    text = 'Weight of {{ record.name }}: {{ record.weight|default("record.weight") }} {# record.weight #}'
    package.files["templates/heavy.json"] = {
        "kind": "template", "name": "heavy", "label": "Heavy", "object": "pet", "subject": "record.weight",
        "text": text, "locales": {"zh-Hans": {"text": "{% if record.weight > 4 %}{{ record.weight }}{% endif %}"}},
    }  # fmt: skip
    clinic.apply(package)
    renamed(package, "pet", "weight", "mass")
    clinic.apply(package)
    template = clinic.environment.registry.templates["heavy"]
    assert template.paths == {"name", "mass"}
    assert template.texts == {
        "subject": "record.weight",
        "text": 'Weight of {{ record.name }}: {{ record.mass|default("record.weight") }} {# record.weight #}',
    }
    assert template.locales["zh-Hans"]["text"] == "{% if record.mass > 4 %}{{ record.mass }}{% endif %}"


def test_a_package_that_was_applied_plans_empty_although_it_uses_old_names(clinic: Clinic, package: Package) -> None:
    renamed(package, "pet", "weight", "mass")
    clinic.apply(package)
    assert clinic.plan(package).empty


def test_a_renamed_field_with_several_parts_takes_all_of_them(clinic: Clinic, package: Package) -> None:
    package.add("pet", "price", "currency", track_history=True, currency="EUR")
    clinic.apply(package)
    owner = clinic.create("pet_owner", {"name": "Wei"})[0]["id"]
    pet = clinic.create("pet", {"name": "Bo", "pet_owner": owner, "species": "cat", "price": "12.5"})[0]["id"]
    update(clinic, "pet", pet, price_currency="USD")
    renamed(package, "pet", "price", "cost")
    clinic.apply(package)
    found = clinic.get("pet", pet)
    assert (found["cost"], found["cost_currency"]) == (Decimal("12.50"), "USD")
    with clinic.environment.read(SYSTEM) as records:
        assert any("cost_currency" in e["changes"] for e in records.history("pet", pet))


def test_a_renamed_object_takes_table_links_and_references_along(clinic: Clinic, package: Package, pet: str) -> None:
    drug = clinic.create("medication", {"name": "Aspirin"})[0]["id"]
    update(clinic, "pet", pet, medications=[{"id": drug, "dose": "5"}])
    clinic.create("visit", {"pet": pet, "reason": "cough"})
    reminder = clinic.create("reminder", {"subject": "x", "about": pet, "about_object": "pet", "due_on": "2027-01-01"})
    files = {name.replace("pet/", "animal/") if name.startswith("pet/") else name: data
             for name, data in package.files.items()}  # fmt: skip
    package.files = files
    files["animal/object.json"].update(name="animal", renamed_from="pet")
    for name, data in files.items():
        if name.startswith("animal/") and "object" in data:
            data["object"] = "animal"
    clinic.apply(package)
    registry = clinic.environment.registry
    assert "pet" not in registry.objects
    assert registry["visit"].fields["pet"].targets == ("animal",)
    assert clinic.get("animal", pet)["visits"] == 1
    assert clinic.get("reminder", reminder[0]["id"])["about_object"] == "animal"
    with clinic.environment.read(SYSTEM) as records:
        assert records.get("animal", pet)["medications"][0]["id"] == drug
        assert [hit[0] for hit in records.search("mochi")] == ["animal"]
        assert records.history("animal", pet)
    sources = {a.name: a for a in registry["visit"].automations}
    assert sources["follow_up"].actions[0].values["about_object"].source == '"animal"'
    assert clinic.plan(package).empty
    rollback(clinic.target, 2, allow_destructive=True)
    assert clinic.get("pet", pet)["weight"] == Decimal("4.50")
    assert clinic.get("reminder", reminder[0]["id"])["about_object"] == "pet"


def test_a_renamed_stage_changes_records_and_their_stage_history(clinic: Clinic, package: Package, pet: str) -> None:
    visit = clinic.create("visit", {"pet": pet, "reason": "cough"})[0]["id"]
    update(clinic, "visit", visit, stage="waiting")
    stages = package.files["visit/pipelines/appointment.json"]["stages"]
    stages[1].update(name="in_lobby", renamed_from="waiting")
    clinic.apply(package)
    found = clinic.get("visit", visit)
    assert (found["stage"], found["stage_pipeline"]) == ("in_lobby", "appointment")
    with clinic.environment.read(SYSTEM) as records:
        assert [p["stage"] for p in records.stage_history("visit", visit)] == ["booked", "in_lobby"]
    first = clinic.environment.registry["visit"].pipeline("appointment").stages[0]
    assert first.next == ("in_lobby", "cancelled")
    rollback(clinic.target, 2)
    assert clinic.get("visit", visit)["stage"] == "waiting"


def test_a_renamed_value_changes_records_formulas_and_dependent_values(
    clinic: Clinic, package: Package, pet: str
) -> None:
    values = package.files["picklists/species.json"]["values"]
    next(v for v in values if v["value"] == "cat").update(value="felis", renamed_from="cat")
    clinic.apply(package)
    assert clinic.get("pet", pet)["species"] == "felis"
    registry = clinic.environment.registry
    assert 'species = "felis"' in {r.name: r for r in registry["pet"].rules}["very_heavy"].error_when.source
    persian = next(o for o in registry["pet"].fields["breed"].choices if o.value == "persian")
    assert persian.parents == {"felis"}
    back = plan_rollback(clinic.target, 2)
    assert [m.text for m in back.moves] == ["value value set species: cat was felis"]
    rollback(clinic.target, 2)
    assert clinic.get("pet", pet)["species"] == "cat"


def test_values_and_stages_that_go_are_replaced_and_come_back(clinic: Clinic, package: Package, pet: str) -> None:
    visit = clinic.create("visit", {"pet": pet, "reason": "cough"})[0]["id"]
    update(clinic, "visit", visit, stage="waiting")
    status = package.field("pet", "status")
    status["values"] = [{"value": "fine", "replaces": ["alive", "deceased"]}]
    status["default"] = '"fine"'
    for name in ("visible_when", "required_when"):
        package.field("pet", "died_on").pop(name)
    package.files["pet/views/patients.json"]["filter"] = 'status = "fine"'
    stages = package.files["visit/pipelines/appointment.json"]["stages"]
    gone = stages.pop(1)
    stages[0].update(next=["examined", "cancelled"], replaces=["waiting"])
    applied = clinic.apply(package)
    assert not applied.plan.notes
    assert clinic.get("pet", pet)["status"] == "fine"
    assert clinic.get("visit", visit)["stage"] == "booked"
    with clinic.environment.read(SYSTEM) as records:
        assert [p["stage"] for p in records.stage_history("visit", visit)] == ["booked", "waiting", "booked"]
    rollback(clinic.target, 2)
    assert clinic.get("pet", pet)["status"] == "alive"
    assert clinic.get("visit", visit)["stage"] == gone["name"]


def test_two_fields_can_change_places_with_a_name_in_between(clinic: Clinic, package: Package, pet: str) -> None:
    renamed(package, "pet", "weight", "mass")
    clinic.apply(package)
    package.add("pet", "weight", "text")
    package.field("pet", "mass").pop("renamed_from")
    package.files["pet/object.json"]["rules"] = []
    for section in package.files["pet/layouts/default.json"]["sections"]:
        section["fields"] = ["mass" if f == "weight" else f for f in section["fields"]]
    clinic.apply(package)
    update(clinic, "pet", pet, weight="as text", mass="5")
    rollback(clinic.target, 2, allow_destructive=True)
    assert clinic.get("pet", pet)["weight"] == Decimal("5.00")


def test_an_old_name_that_something_else_has_cannot_be_an_alias(clinic: Clinic, package: Package) -> None:
    package.add("pet", "mass", "decimal", renamed_from="weight")
    with pytest.raises(MetadataRefused) as refused:
        clinic.plan(package)
    assert [f.code for f in refused.value.findings] == ["name_taken"]


def test_lists_sort_and_filter_by_renamed_columns(clinic: Clinic, package: Package, pet: str) -> None:
    renamed(package, "pet", "chip_number", "chip")
    clinic.apply(package)
    update(clinic, "pet", pet, chip="0042")
    with clinic.environment.read(SYSTEM) as records:
        assert [r["id"] for r in records.list(Query("pet", filter='chip = "0042"', sort=("-chip",))).records] == [pet]
