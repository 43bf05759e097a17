"""A new version of a package meets local edits: they stay, and what both changed is asked about."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ratoon.platform.packages import export, history, rollback
from ratoon.platform.packages.merging import Choices, MergeConflict, read_resolutions
from ratoon.platform.packages.upgrades import Manner, local_edits
from ratoon.platform.storage import audit


def edited_here(clinic: Any, package: Any) -> Any:
    """A copy of the package after local edits were applied: a field, a label, a longer name."""
    ours = copy.deepcopy(package)
    ours.add("pet", "colour", "text")
    ours.field("pet", "weight")["label"] = "Weight in kg"
    ours.field("pet", "name")["max_length"] = 100
    clinic.apply(ours, manner=Manner(edit=True))
    return ours


def new_version(package: Any) -> Any:
    theirs = copy.deepcopy(package)
    theirs.files["manifest.json"]["version"] = "1.1.0"
    theirs.add("pet", "tattoo", "text")
    theirs.field("pet", "weight")["max"] = 500
    return theirs


def standing(clinic: Any) -> dict[str, Any]:
    import json

    return {path: json.loads(content) for path, content in export(clinic.target, "clinic").files.items()}


def pet(clinic: Any) -> dict[str, Any]:
    return {f["name"]: f for f in standing(clinic)["pet/object.json"]["fields"]}


def test_without_local_edits_the_new_version_is_taken_as_it_is(clinic: Any, package: Any) -> None:
    theirs = new_version(package)
    applied = clinic.apply(theirs)
    assert standing(clinic) == theirs.files
    assert applied.plan.upgrade.local == ()
    assert clinic.plan(theirs).empty


def test_local_edits_survive_an_upgrade_inside_the_same_field(clinic: Any, package: Any) -> None:
    edited_here(clinic, package)
    plan = clinic.plan(new_version(package))
    assert [c.file for c in plan.upgrade.local] == ["pet/object.json"]
    clinic.apply(new_version(package))
    fields = pet(clinic)
    assert (fields["weight"]["label"], fields["weight"]["max"]) == ("Weight in kg", 500)
    assert fields["name"]["max_length"] == 100
    assert {"colour", "tattoo"} <= fields.keys()
    assert standing(clinic)["manifest.json"]["version"] == "1.1.0"
    assert clinic.plan(new_version(package)).empty
    clinic.create("pet_owner", {"name": "Ann", "email": "ann@example.org"})


def test_what_both_changed_is_refused_until_somebody_chose(clinic: Any, package: Any) -> None:
    edited_here(clinic, package)
    theirs = new_version(package)
    theirs.field("pet", "name")["max_length"] = 200
    before = standing(clinic)
    with pytest.raises(MergeConflict) as refused:
        clinic.apply(theirs)
    assert standing(clinic) == before
    (found,) = refused.value.disagreements
    assert found.as_json() == {
        "package": "clinic", "file": "pet/object.json", "path": "/fields/name/max_length",
        "base": 80, "theirs": 200, "ours": 100,
    }  # fmt: skip
    written = {"conflicts": [{**found.as_json(), "take": "theirs"}]}
    applied = clinic.apply(theirs, manner=Manner(choices=Choices(read_resolutions(written))))
    assert pet(clinic)["name"]["max_length"] == 200
    assert [d.path for d in applied.plan.upgrade.settled] == ["/fields/name/max_length"]
    with clinic.target.database.read() as connection:
        entry = audit.entries(connection, trail="setup", limit=1)[0]
    assert entry.detail is not None
    assert entry.detail["settled"] == ["clinic/pet/object.json /fields/name/max_length"]


@pytest.mark.parametrize(("side", "length"), [("ours", 100), ("theirs", 200)])
def test_a_side_can_be_preferred(clinic: Any, package: Any, side: Any, length: int) -> None:
    edited_here(clinic, package)
    theirs = new_version(package)
    theirs.field("pet", "name")["max_length"] = 200
    clinic.apply(theirs, manner=Manner(choices=Choices(prefer=side)))
    assert pet(clinic)["name"]["max_length"] == length
    assert "colour" in pet(clinic)


def test_a_revision_that_only_moves_the_base_says_whose(clinic: Any, package: Any) -> None:
    edited_here(clinic, package)
    package.field("pet", "name")["max_length"] = 200
    applied = clinic.apply(package, manner=Manner(choices=Choices(prefer="ours")))
    assert (applied.plan.components, applied.plan.rebased) == ((), ("clinic",))
    assert history(clinic.target)[0].message == "Apply clinic 1.0.0"


def test_a_document_removed_here_is_not_brought_back(clinic: Any, package: Any) -> None:
    ours = copy.deepcopy(package)
    del ours.files["pet/views/patients.json"]
    clinic.apply(ours, manner=Manner(edit=True), allow_destructive=True)
    clinic.apply(new_version(package))
    assert "pet/views/patients.json" not in standing(clinic)
    theirs = new_version(package)
    theirs.files["pet/views/patients.json"]["label"] = "All patients"
    with pytest.raises(MergeConflict):
        clinic.apply(theirs)


def test_discarding_gives_the_package_as_its_author_wrote_it(clinic: Any, package: Any) -> None:
    edited_here(clinic, package)
    theirs = new_version(package)
    clinic.apply(theirs, manner=Manner(discard_edits=True), allow_destructive=True)
    assert standing(clinic) == theirs.files
    with clinic.environment.database.read() as connection:
        assert local_edits(connection) == ()


def test_a_rollback_brings_the_base_of_its_revision_back(clinic: Any, package: Any) -> None:
    edited_here(clinic, package)
    with clinic.environment.database.read() as connection:
        edits = local_edits(connection, "clinic")
    revision = clinic.environment.registry.revision
    clinic.apply(new_version(package))
    rollback(clinic.target, revision, allow_destructive=True)
    with clinic.environment.database.read() as connection:
        assert local_edits(connection, "clinic") == edits
    clinic.apply(new_version(package))
    assert {"colour", "tattoo"} <= pet(clinic).keys()


def test_a_version_that_brings_the_local_edit_makes_it_the_packages(clinic: Any, package: Any) -> None:
    ours = edited_here(clinic, package)
    applied = clinic.apply(ours)
    assert applied.plan.components == ()
    assert applied.plan.upgrade.local == ()
    assert clinic.plan(ours).empty


def test_a_local_edit_follows_a_field_that_the_new_version_renames(clinic: Any, package: Any) -> None:
    edited_here(clinic, package)
    theirs = new_version(package)
    theirs.field("pet", "weight").update(name="mass", renamed_from="weight")
    for document in theirs.files.values():
        for rule in document.get("rules", ()):
            rule["error_when"] = rule["error_when"].replace("weight", "mass")
        for group in ("sections", "columns"):
            listed = document.get(group, [])
            for section in listed if group == "sections" else [document]:
                key = "fields" if group == "sections" else "columns"
                section[key] = ["mass" if name == "weight" else name for name in section.get(key, [])]
    for file, document in theirs.files.items():
        if not document.get("columns"):
            document.pop("columns", None)
        if "rules" in document:
            for rule in document["rules"]:
                if rule.get("field") == "weight":
                    rule["field"] = "mass"
        theirs.files[file] = document
    clinic.apply(theirs)
    fields = pet(clinic)
    assert "weight" not in fields
    assert (fields["mass"]["label"], fields["mass"]["max"]) == ("Weight in kg", 500)
    assert "colour" in fields
    clinic.apply(theirs)
    assert pet(clinic)["mass"]["label"] == "Weight in kg"
