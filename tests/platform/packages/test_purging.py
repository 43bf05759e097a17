"""What was removed stays until it is purged; a purge lists first what would be lost, and then it is gone for good."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.errors import BadRequest, NotFound
from ratoon.platform.packages import Drifted, rollback
from ratoon.platform.packages.purging import plan_purge, purge
from ratoon.platform.packages.rule_checks import check_formula, check_rules
from ratoon.platform.storage import audit

Clinic = Any
Package = Any


@pytest.fixture
def pet(clinic: Clinic) -> str:
    owner = clinic.create("pet_owner", {"name": "Lin"})[0]["id"]
    pet = {"name": "Mochi", "pet_owner": owner, "species": "cat", "weight": "4.2"}
    return str(clinic.create("pet", pet)[0]["id"])


def without_weight(package: Package) -> Package:
    package.drop("pet", "weight")
    package.files["pet/object.json"]["rules"] = []
    for section in package.files["pet/layouts/default.json"]["sections"]:
        section["fields"] = [f for f in section["fields"] if f != "weight"]
    return package


def test_a_removed_field_is_kept_listed_and_purged(clinic: Clinic, package: Package, pet: str) -> None:
    clinic.apply(without_weight(package), allow_destructive=True)
    plan = plan_purge(clinic.target)
    assert [(loss.name, loss.values, loss.revision) for loss in plan.losses] == [("pet.weight", 1, 3)]
    purge(clinic.target, fingerprint=plan.fingerprint)
    assert not plan_purge(clinic.target).losses
    rollback(clinic.target, 2)
    assert clinic.get("pet", pet)["weight"] is None


def test_the_values_before_a_change_of_type_are_kept_until_purged(clinic: Clinic, package: Package, pet: str) -> None:
    without_weight(package).add("pet", "weight", "integer")
    clinic.apply(package, allow_destructive=True)
    assert clinic.get("pet", pet)["weight"] == 4
    assert [loss.kind for loss in plan_purge(clinic.target, ["pet.weight"]).losses] == ["retyped"]
    rollback(clinic.target, 2, allow_destructive=True)
    assert clinic.get("pet", pet)["weight"] == Decimal("4.20")


def test_a_removed_object_is_purged_with_its_table_and_history(clinic: Clinic, package: Package, pet: str) -> None:
    clinic.create("reminder", {"subject": "x", "due_on": "2027-01-01"})
    for name in [n for n in package.files if n.startswith("reminder/")] + [
        "visit/automations/follow_up.json",
        "tests/discharge.json",
    ]:
        del package.files[name]
    for role in ("vet", "receptionist"):
        for part in ("objects", "rows"):
            package.files[f"roles/{role}.json"].get(part, {}).pop("reminder", None)
    for data in package.files.values():
        if "related" in data:
            data["related"] = [r for r in data["related"] if r["object"] != "reminder"]
    clinic.apply(package, allow_destructive=True)
    assert [(loss.name, loss.values) for loss in plan_purge(clinic.target).losses] == [("reminder", 1)]
    purge(clinic.target, ["reminder"], by="command line")
    with clinic.target.database.read() as connection:
        entry = audit.entries(connection, trail="setup", limit=1)[0]
    assert (entry.action, entry.subject) == ("purged", "reminder")
    assert entry.detail is not None
    told = {key: entry.detail[key] for key in ("by", "packages", "lost")}
    assert told == {"by": "command line", "packages": ["clinic"], "lost": {"reminder": 1}}
    rollback(clinic.target, 2)
    assert clinic.create("reminder", {"subject": "again", "due_on": "2027-01-01"})


def test_a_purge_of_what_is_not_kept_or_was_not_planned_is_refused(clinic: Clinic, package: Package, pet: str) -> None:
    with pytest.raises(NotFound):
        plan_purge(clinic.target, ["pet.weight"])
    planned = plan_purge(clinic.target).fingerprint
    clinic.apply(without_weight(package), allow_destructive=True)
    with pytest.raises(Drifted):
        purge(clinic.target, fingerprint=planned)


def test_a_rule_is_asked_of_the_records_that_are_there(clinic: Clinic, pet: str) -> None:
    outcome = check_formula(clinic.target, "pet", "weight > 4")
    assert (outcome.count, [s.id for s in outcome.samples]) == (1, [pet])
    assert {o.rule: o.count for o in check_rules(clinic.target, "pet")}["very_heavy"] == 0
    with pytest.raises(NotFound):
        check_rules(clinic.target, "pet", "nothing_like_it")
    with pytest.raises(BadRequest):
        check_formula(clinic.target, "pet", "weight >")


def test_a_rule_in_warn_mode_tells_and_does_not_refuse(clinic: Clinic, package: Package, pet: str) -> None:
    rule = {"name": "light", "error_when": "weight > 4", "message": "Too heavy.", "mode": "warn"}
    package.files["pet/object.json"]["rules"].append(rule)
    assert not clinic.apply(package).plan.notes
    owner = clinic.get("pet", pet)["pet_owner"]
    assert clinic.create("pet", {"name": "Bo", "pet_owner": owner, "species": "dog", "chip_number": "1",
                                 "weight": "20"})  # fmt: skip
    del rule["mode"]
    assert [n.code for n in clinic.plan(package).notes] == ["breaks_rule"]
