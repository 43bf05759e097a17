"""Applying metadata to a database with records in it, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.config import World
from ratoon.platform.errors import Conflict, MetadataRefused, NotFound, ValidationFailed
from ratoon.platform.packages import (
    DataRefuses,
    Destructive,
    Drifted,
    apply_package,
    bootstrap,
    history,
    plan_rollback,
    rollback,
)
from ratoon.platform.records.reading import Query

Clinic = Any
Package = Any


def owner_and_pet(clinic: Clinic, number: int = 1) -> tuple[str, str]:
    owner = clinic.create("pet_owner", {"name": f"Lin {number}"})[0]["id"]
    pet = {"name": f"Mochi {number}", "pet_owner": owner, "species": "cat", "born_on": "2020-05-01"}
    return owner, clinic.create("pet", pet)[0]["id"]


def test_the_clinic_works_after_it_is_applied(clinic: Clinic) -> None:
    owner, pet = owner_and_pet(clinic)
    invoice = clinic.create("invoice", {"pet_owner": owner})[0]["id"]
    clinic.create("invoice_line", {"invoice": invoice, "text": "Vaccine", "quantity": "2", "unit_price": "120.50"},
                  {"invoice": invoice, "text": "Visit", "unit_price": "80"})  # fmt: skip
    found = clinic.get("invoice", invoice)
    assert (found["number"], found["net"], found["total"], found["lines"]) == (
        "INV-2026-0001", Decimal("321.00"), Decimal("321.00"), 2,
    )  # fmt: skip
    assert clinic.get("pet", pet)["age_years"] == 6
    assert clinic.get("pet_owner", owner)["pets"] == 1
    with pytest.raises(ValidationFailed):
        clinic.create("pet", {"name": "Rex", "pet_owner": owner, "species": "dog"})


def test_applying_the_same_again_changes_nothing(clinic: Clinic, package: Package) -> None:
    again = clinic.apply(package)
    assert again.plan.empty
    assert again.revision == clinic.environment.registry.revision == 2


def test_a_new_field_is_there_at_once_on_rows_that_were_there_before(clinic: Clinic, package: Package) -> None:
    _, pet = owner_and_pet(clinic)
    package.add("pet", "colour", "text", searchable=True)
    applied = clinic.apply(package)
    assert [c.kind for c in applied.plan.schema] == ["add_column"]
    assert clinic.get("pet", pet)["colour"] is None
    clinic.environment.transact(SYSTEM, lambda r: r.update("pet", [_change(pet, colour="brown")]))
    assert clinic.get("pet", pet)["colour"] == "brown"


def _change(record: str, **values: Any) -> Any:
    from ratoon.platform.records.service import Change

    return Change(record, values)


def test_new_computed_fields_are_worked_out_for_old_rows_in_dependency_order(clinic: Clinic, package: Package) -> None:
    owner, pet = owner_and_pet(clinic)
    clinic.create("visit", {"pet": pet, "reason": "a"}, {"pet": pet, "reason": "b"})
    package.add("pet_owner", "visit_points", "formula", formula="all_visits * 10", returns="number", scale=0)
    package.add("pet_owner", "all_visits", "rollup", of="pet", via="pet_owner", operation="sum", field="visits")
    package.add("pet", "greeting", "formula", formula='"Hi " & pet_owner.name', returns="text")
    applied = clinic.apply(package)
    assert applied.values == 3
    found = clinic.get("pet_owner", owner)
    assert (found["all_visits"], found["visit_points"]) == (2, 20)
    assert clinic.get("pet", pet)["greeting"] == "Hi Lin 1"


def test_a_changed_formula_changes_old_rows_and_what_reads_it(clinic: Clinic, package: Package) -> None:
    owner, _ = owner_and_pet(clinic)
    invoice = clinic.create("invoice", {"pet_owner": owner})[0]["id"]
    clinic.create("invoice_line", {"invoice": invoice, "text": "x", "quantity": "2", "unit_price": "10"})
    package.field("invoice_line", "amount")["formula"] = "ROUND(quantity * unit_price * 1.5, 2)"
    clinic.apply(package)
    found = clinic.get("invoice", invoice)
    assert (found["net"], found["total"]) == (Decimal("30.00"), Decimal("30.00"))


def test_a_required_field_with_a_default_is_filled_in_on_old_rows(clinic: Clinic, package: Package) -> None:
    _, pet = owner_and_pet(clinic)
    package.add("pet", "insured", "boolean", required=True, default="FALSE")
    package.add("pet", "fee", "currency", scale=2, required=True, default="LEN(name) * 2", currency="EUR")
    package.add("pet", "hint", "text", default='"only for new ones"')
    clinic.apply(package)
    found = clinic.get("pet", pet)
    assert (found["insured"], found["fee"], found["fee_currency"], found["hint"]) == (
        False,
        Decimal("14.00"),
        "EUR",
        None,
    )


def test_a_new_autonumber_numbers_old_rows_and_goes_on_from_there(clinic: Clinic, package: Package) -> None:
    _, first = owner_and_pet(clinic, 1)
    _, second = owner_and_pet(clinic, 2)
    package.add("pet", "card", "autonumber", format="C-{000}")
    clinic.apply(package)
    _, third = owner_and_pet(clinic, 3)
    assert [clinic.get("pet", p)["card"] for p in (first, second, third)] == ["C-001", "C-002", "C-003"]


def test_a_field_that_becomes_searchable_is_found_in_old_rows(clinic: Clinic, package: Package) -> None:
    clinic.create("pet_owner", {"name": "Wei", "notes": "allergisch gegen Penizillin"})
    package.field("pet_owner", "notes")["searchable"] = True
    clinic.apply(package)
    with clinic.environment.read(SYSTEM) as records:
        hits = records.search("penizillin", ["pet_owner"])
    assert len(getattr(hits, "hits", hits)) == 1


def test_a_new_object_comes_with_table_list_and_relations(clinic: Clinic, package: Package) -> None:
    _, pet = owner_and_pet(clinic)
    package.files["toy/object.json"] = {
        "kind": "object",
        "name": "toy",
        "label": "Toy",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "pet", "type": "lookup", "object": "pet", "label": "Pet"},
        ],
    }
    package.add("pet", "toys", "rollup", of="toy", via="pet", operation="count")
    clinic.apply(package)
    assert clinic.get("pet", pet)["toys"] == 0
    clinic.create("toy", {"name": "Ball", "pet": pet})
    assert clinic.get("pet", pet)["toys"] == 1


def test_a_refused_package_leaves_nothing(clinic: Clinic, package: Package) -> None:
    package.add("pet", "colour", "text")
    package.add("pet", "broken", "formula", formula="nothing_like_it", returns="text")
    with pytest.raises(MetadataRefused):
        clinic.apply(package)
    assert "colour" not in clinic.environment.registry["pet"].fields
    assert clinic.environment.registry.revision == 2


def test_a_failure_half_way_leaves_nothing(clinic: Clinic, package: Package) -> None:
    owner_and_pet(clinic, 1)
    owner_and_pet(clinic, 2)
    package.add("pet", "colour", "text")
    package.add("pet", "same", "text", required=True, unique=True, default='"one"')
    with pytest.raises(Conflict):
        clinic.apply(package)
    assert clinic.environment.registry.revision == 2
    package.drop("pet", "same")
    assert clinic.apply(package).revision == 3


def test_validating_only_does_everything_and_keeps_nothing(clinic: Clinic, package: Package) -> None:
    _, pet = owner_and_pet(clinic)
    package.add("pet", "fee", "integer", required=True, default="7")
    tried = clinic.apply(package, validate_only=True)
    assert (tried.validated_only, tried.values, tried.revision) == (True, 1, 2)
    assert "fee" not in clinic.get("pet", pet)
    assert [r.revision for r in history(clinic.target)] == [2, 1]


def test_a_plan_made_on_an_older_revision_is_refused(clinic: Clinic, package: Package) -> None:
    planned = clinic.plan(package).revision
    package.add("pet", "one", "text")
    clinic.apply(package, expected_revision=planned)
    package.add("pet", "two", "text")
    with pytest.raises(Drifted):
        clinic.apply(package, expected_revision=planned)


def test_another_process_notices_the_new_revision(
    clinic: Clinic, package: Package, database_url: str, open_at: Any
) -> None:
    other = open_at(database_url)
    assert "colour" not in other.registry["pet"].fields
    package.add("pet", "colour", "text")
    clinic.apply(package)
    assert "colour" in other.registry["pet"].fields


def test_removing_a_field_needs_permission_and_rolling_back_brings_its_data_back(
    clinic: Clinic, package: Package
) -> None:
    _, pet = owner_and_pet(clinic)
    clinic.environment.transact(SYSTEM, lambda r: r.update("pet", [_change(pet, weight="4.2")]))
    package.drop("pet", "weight")
    document = package.files["pet/object.json"]
    document["rules"] = [r for r in document["rules"] if r["name"] != "very_heavy"]
    layout = package.files["pet/layouts/default.json"]["sections"][0]
    layout["fields"].remove("weight")
    with pytest.raises(Destructive) as refused:
        clinic.apply(package)
    assert refused.value.losses == ("field pet.weight is removed",)
    clinic.apply(package, allow_destructive=True, message="No weights")
    assert "weight" not in clinic.get("pet", pet)
    planned = plan_rollback(clinic.target, 2)
    assert {(c.action, c.name) for c in planned.components} == {("changed", "pet"), ("changed", "pet.default")}
    back = rollback(clinic.target, 2, by="me")
    assert back.revision == 4
    assert clinic.get("pet", pet)["weight"] == Decimal("4.20")
    assert [(r.revision, r.message) for r in history(clinic.target)][:2] == [
        (4, "Roll back to revision 2"),
        (3, "No weights"),
    ]


def test_an_object_that_comes_back_finds_its_rows_with_right_rollups(clinic: Clinic, package: Package) -> None:
    owner, _ = owner_and_pet(clinic)
    extra = {"kind": "object", "name": "toy", "label": "Toy", "fields": [
        {"name": "name", "type": "text", "label": "N"},
        {"name": "holder", "type": "lookup", "object": "pet_owner", "label": "H"},
        {"name": "holder_name", "type": "formula", "returns": "text", "formula": "holder.name", "label": "HN"},
    ]}  # fmt: skip
    package.files["toy/object.json"] = extra
    clinic.apply(package)
    toy = clinic.create("toy", {"name": "Ball", "holder": owner})[0]["id"]
    del package.files["toy/object.json"]
    clinic.apply(package, allow_destructive=True)
    clinic.environment.transact(SYSTEM, lambda r: r.update("pet_owner", [_change(owner, name="Renamed")]))
    package.files["toy/object.json"] = extra
    clinic.apply(package)
    assert clinic.get("toy", toy)["holder_name"] == "Renamed"


def test_rolling_back_to_a_revision_that_never_was_is_refused(clinic: Clinic) -> None:
    with pytest.raises(NotFound):
        rollback(clinic.target, 99)


def test_built_in_packages_are_applied_once_and_again_when_newer(
    clinic: Clinic, tmp_path: Any, package: Package
) -> None:
    assert bootstrap(clinic.environment, []) is None
    for version, expected in (("1.0.0", False), ("1.1.0", True)):
        package.files["manifest.json"]["version"] = version
        folder = tmp_path / version
        for file, content in package.source.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        assert (bootstrap(clinic.environment, [folder]) is not None) is expected
    assert history(clinic.target)[0].message == "Apply clinic 1.1.0"


def test_records_written_before_a_new_rule_can_still_be_listed(clinic: Clinic, package: Package) -> None:
    owner_and_pet(clinic)
    rule = {"name": "weigh", "error_when": "ISBLANK(weight)", "message": "Weigh it."}
    package.files["pet/object.json"]["rules"].append(rule)
    assert [(n.code, n.count) for n in clinic.plan(package).notes] == [("breaks_rule", 1)]
    clinic.apply(package)
    with clinic.environment.read(SYSTEM) as records:
        assert len(records.list(Query("pet")).records) == 1


def test_the_plan_counts_what_a_change_means_for_records(clinic: Clinic, package: Package) -> None:
    owner, _pet = owner_and_pet(clinic)
    clinic.create("pet", {"name": "Bo", "pet_owner": owner, "species": "rabbit", "breed": "mixed"})
    package.field("pet", "weight")["required"] = True
    package.field("pet", "name")["max_length"] = 5
    package.add("pet", "must", "integer", required=True)
    package.field("pet", "breed")["values"] = [
        v for v in package.field("pet", "breed")["values"] if v["value"] != "mixed"
    ]
    notes = {(n.code, n.count) for n in clinic.plan(package).notes}
    assert notes == {("required", 2), ("too_long", 1), ("value_in_use", 1)}


def test_what_the_records_do_not_allow_is_refused(clinic: Clinic, package: Package) -> None:
    _, pet = owner_and_pet(clinic, 1)
    owner_and_pet(clinic, 2)
    clinic.create("visit", {"pet": pet, "reason": "x"})
    package.field("pet", "species")["unique"] = True
    package.files["visit/pipelines/appointment.json"]["stages"][1]["next"] = ["examined"]
    del package.files["visit/pipelines/appointment.json"]["stages"][0]
    package.files["visit/pipelines/appointment.json"]["stages"][-1]["next"] = []
    with pytest.raises(DataRefuses) as refused:
        clinic.apply(package)
    assert len(refused.value.reasons) == 2


@pytest.mark.parametrize("kind", ["text", "number", "currency", "percent", "boolean", "date", "datetime", "time"])
def test_computed_values_of_every_type_are_filled_into_many_rows(clinic: Clinic, package: Package, kind: str) -> None:
    owner = clinic.create("pet_owner", {"name": "Lin"})[0]["id"]
    pets = [{"name": f"P{i}", "pet_owner": owner, "species": "cat", "weight": str(i)} for i in range(40)]
    made = clinic.create("pet", *pets, {"name": "Q", "pet_owner": owner, "species": "cat"})
    formula = {
        "text": 'IF(ISBLANK(weight), NULL, name & "!")',
        "number": "weight / 3",
        "currency": "weight / 3",
        "percent": "weight / 100",
        "boolean": "weight > 5",
        "date": "DATE(2026, 1, 1) + weight",
        "datetime": 'DATETIMEVALUE("2026-01-01 00:00:00") + weight',
        "time": 'IF(ISBLANK(weight), NULL, TIMEVALUE("10:30:00.000"))',
    }[kind]
    package.add("pet", "made", "formula", formula=formula, returns=kind)
    clinic.apply(package)
    new = clinic.create("pet", {**pets[7], "name": "P7 again"})[0]
    old = clinic.get("pet", made[7]["id"])
    assert old["made"] == (new["made"] if kind != "text" else "P7!")
    assert old["made"] is not None
    assert clinic.get("pet", made[-1]["id"])["made"] in (None, False)


def test_readers_go_on_while_rows_are_filled_in(
    clinic: Clinic, package: Package, database_url: str, open_at: Any, injected: World
) -> None:
    owner_and_pet(clinic)
    other = open_at(database_url).database
    seen: list[Any] = []

    def clock() -> datetime:
        with other.read() as connection:
            if other.dialect == "postgresql":
                connection.exec_driver_sql("SET lock_timeout = '5s'")
            seen.append(connection.exec_driver_sql("SELECT count(*) FROM pet").scalar())
        return injected.clock()

    package.add("pet", "loud", "formula", formula='name & "!"', returns="text")
    target = replace(clinic.target, world=replace(injected, clock=clock))
    assert apply_package(target, package.source).values == 1
    assert len(seen) >= 2  # once before the column is there, once while its values are worked out
    assert set(seen) == {1}
