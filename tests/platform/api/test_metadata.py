"""Metadata over HTTP: plan, apply, use at once, export, history, rollback."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

PACKAGE: dict[str, Any] = {
    "manifest.json": {"kind": "package", "name": "garden", "version": "1.0.0", "label": "Garden"},
    "plant/object.json": {
        "kind": "object",
        "name": "plant",
        "label": "Plant",
        "plural_label": "Plants",
        "title": "name",
        "fields": [{"name": "name", "type": "text", "label": "Name"}],
    },
}
ZIP = "application/zip"


def grown() -> dict[str, Any]:
    """The package with one field more."""
    bigger = json.loads(json.dumps(PACKAGE))
    bigger["plant/object.json"]["fields"].append({"name": "height", "type": "integer", "label": "Height"})
    return bigger


def zipped(files: dict[str, Any]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, document in files.items():
            archive.writestr(path, json.dumps(document))
    return made.getvalue()


def test_an_applied_object_can_be_used_at_once(admin: Any) -> None:
    plan = admin.post("/metadata/plan", {"files": PACKAGE}, status=200)
    assert not plan["empty"]
    assert admin.get("/records/plant", status=404)
    applied = admin.post(
        f"/metadata/apply?expected_revision={plan['revision']}&message=A garden", {"files": PACKAGE}, status=200
    )
    assert applied["revision"] == plan["revision"] + 1
    made = admin.post("/records/plant", {"name": "Fern"})
    admin.post("/metadata/apply", {"files": grown()}, status=200)
    assert admin.patch(f"/records/plant/{made['id']}", {"height": 4})["height"] == 4
    document = admin.get("/openapi.json")
    assert "height" in document["components"]["schemas"]["plant"]["properties"]
    assert admin.get("/metadata/history")["revisions"][1]["message"] == "A garden"


def test_a_zip_file_does_as_well(admin: Any) -> None:
    response = admin.call("POST", "/metadata/apply", data=zipped(PACKAGE), headers={"Content-Type": ZIP})
    assert response.status_code == 200, response.get_data(as_text=True)
    archive = admin.call("GET", "/metadata/export?package=garden&format=zip")
    assert archive.content_type == ZIP
    names = zipfile.ZipFile(io.BytesIO(archive.get_data())).namelist()
    assert names == ["_checksums.json", "manifest.json", "plant/object.json"]
    exported = admin.get("/metadata/export?package=garden")
    assert exported["files"]["plant/object.json"]["name"] == "plant"


def test_a_whole_folder_is_posted_with_the_schemas_of_its_editor(admin: Any) -> None:
    beside = {**PACKAGE, ".schemas/object.json": {"$schema": "…"}, "_demo/10_plant.json": [{"name": "Fern"}]}
    assert admin.post("/metadata/apply", {"files": beside}, status=200)["revision"]


def test_validating_changes_nothing(admin: Any) -> None:
    applied = admin.post("/metadata/apply?validate_only=true", {"files": PACKAGE}, status=200)
    assert applied["validated_only"]
    admin.get("/records/plant", status=404)


def test_a_plan_that_was_overtaken_is_refused(admin: Any) -> None:
    revision = admin.post("/metadata/plan", {"files": PACKAGE}, status=200)["revision"]
    admin.post("/metadata/apply", {"files": PACKAGE}, status=200)
    problem = admin.post(f"/metadata/apply?expected_revision={revision}", {"files": grown()}, status=409)
    assert problem["code"] == "drifted"


def test_taking_a_field_away_must_be_allowed_and_comes_back_with_its_data(admin: Any) -> None:
    admin.post("/metadata/apply", {"files": grown()}, status=200)
    made = admin.post("/records/plant", {"name": "Fern", "height": 4})
    problem = admin.post("/metadata/apply", {"files": PACKAGE}, status=409)
    assert (problem["code"], len(problem["losses"])) == ("destructive", 1)
    admin.post("/metadata/apply?allow_destructive=true", {"files": PACKAGE}, status=200)
    assert "height" not in admin.get(f"/records/plant/{made['id']}")
    before = admin.get("/metadata/history")["revisions"][1]["revision"]
    admin.post("/metadata/rollback", {"revision": before}, status=200)
    assert admin.get(f"/records/plant/{made['id']}")["height"] == 4


def test_every_problem_of_a_package_comes_with_file_and_pointer(admin: Any) -> None:
    broken = grown()
    broken["plant/object.json"]["fields"][0]["type"] = "txt"
    broken["plant/object.json"]["colour"] = "green"
    broken["plant/views/all.json"] = "{ not json"
    problem = admin.post("/metadata/plan", {"files": broken}, status=422)
    assert problem["code"] == "metadata_refused"
    found = {(finding["file"], finding["pointer"]) for finding in problem["findings"]}
    assert len(found) >= 3
    assert any(file == "plant/views/all.json" for file, _ in found)
    assert any("fields/0" in pointer for _, pointer in found)


def test_a_body_that_is_no_package_is_refused(admin: Any, subtests: Any) -> None:
    calls: list[tuple[dict[str, Any], int]] = [
        ({"json": {}}, 422),
        ({"json": {"files": []}}, 422),
        ({"json": {"files": {}}}, 422),
        ({"json": {"files": {"manifest.json": None}}}, 422),
        ({"json": {"files": {"../../etc/passwd": "{}"}}}, 422),
        ({"json": []}, 422),
        ({"json": 7}, 422),
        ({"data": b"PK nonsense", "headers": {"Content-Type": ZIP}}, 422),
        ({"data": b"", "headers": {"Content-Type": ZIP}}, 422),
        ({"data": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ]
    for call, status in calls:
        with subtests.test(call=str(call)[:60]):
            for path in ("/metadata/plan", "/metadata/apply"):
                response = admin.call("POST", path, **call)
                assert response.status_code == status, response.get_data(as_text=True)
                assert response.content_type == "application/problem+json"


def test_rollback_and_export_say_what_is_not_there(admin: Any) -> None:
    assert admin.post("/metadata/rollback", {"revision": 999}, status=404)["code"] == "not_found"
    assert admin.get("/metadata/export?package=nothing", status=404)["code"] == "not_found"
    assert admin.get("/metadata/export?revision=999", status=404)["code"] == "not_found"
    assert admin.get("/metadata/export?format=xml", status=400)["parameter"] == "format"
    for body in ({}, {"revision": "one"}, {"revision": 0}, {"revision": 1, "nonsense": 2}):
        assert admin.post("/metadata/rollback", body, status=422)["code"] == "validation_failed"


def test_local_edits_survive_and_conflicts_are_answered_with_the_next_call(admin: Any) -> None:
    admin.post("/metadata/apply", {"files": PACKAGE}, status=200)
    ours = grown()
    ours["plant/object.json"]["label"] = "Flower"
    admin.post("/metadata/apply?edit=true", {"files": ours}, status=200)
    edits = admin.get("/metadata/edits")
    assert [c["file"] for c in edits["components"]] == ["plant/object.json"]
    theirs = json.loads(json.dumps(PACKAGE))
    theirs["plant/object.json"]["label"] = "Herb"
    refused = admin.post("/metadata/plan", {"files": theirs}, status=409)
    assert refused["code"] == "merge_conflict"
    (found,) = refused["conflicts"]
    assert (found["path"], found["base"], found["ours"], found["theirs"]) == ("/label", "Plant", "Flower", "Herb")
    sent = {"files": theirs, "resolve": [{**found, "take": "theirs"}]}
    plan = admin.post("/metadata/plan", sent, status=200)
    assert [c["file"] for c in plan["local_edits"]] == ["plant/object.json"]
    admin.post("/metadata/apply", sent, status=200)
    stands = admin.get("/metadata/export?package=garden")["files"]["plant/object.json"]
    assert (stands["label"], len(stands["fields"])) == ("Herb", 2)
    admin.post("/metadata/plan?prefer=mine", {"files": theirs}, status=400)
    admin.post("/metadata/plan?edit=true&discard_edits=true", {"files": theirs}, status=400)


def test_a_package_is_checked_compared_picked_and_taken_away(admin: Any) -> None:
    assert admin.post("/metadata/check", {"files": PACKAGE}, status=200)["ok"]
    broken = grown()
    broken["plant/object.json"]["fields"][0]["type"] = "txt"
    assert not admin.post("/metadata/check", {"files": broken}, status=200)["ok"]
    admin.post("/metadata/apply", {"files": PACKAGE}, status=200)
    assert admin.post("/metadata/drift", {"files": PACKAGE}, status=200)["same"]
    drifted = admin.post("/metadata/drift", {"files": grown()}, status=200)
    assert drifted["components"][0]["details"][0]["path"] == "fields.height"
    assert admin.post("/metadata/drift", {"files": {"a.json": "["}}, status=422)["code"] == "metadata_refused"
    picked = admin.get("/metadata/export?components=object/plant")
    assert set(picked["files"]) == {"_partial.json", "manifest.json", "plant/object.json"}
    call = {"package": "garden", "plan_only": True}
    assert admin.post("/metadata/uninstall", call, status=200)["plan"]["destructive"]
    assert admin.post("/metadata/uninstall", {"package": "garden"}, status=409)["code"] == "destructive"
    admin.post("/metadata/uninstall", {"package": "garden", "allow_destructive": True}, status=200)
    admin.get("/records/plant", status=404)
    admin.post("/metadata/uninstall", {"package": "garden"}, status=404)


def test_settings_are_asked_for_given_and_never_shown_again(admin: Any) -> None:
    asking = json.loads(json.dumps(PACKAGE))
    key = {"name": "key", "type": "text", "label": "Key", "secret": True, "required": True}
    asking["manifest.json"]["settings"] = [key, {"name": "tries", "type": "integer", "label": "Tries", "default": 3}]
    refused = admin.post("/metadata/apply", {"files": asking}, status=409)
    assert (refused["code"], [n["name"] for n in refused["settings"]]) == ("settings_missing", ["key"])
    admin.post("/metadata/apply", {"files": asking, "settings": {"key": "s3cret"}}, status=200)
    put = {"package": "garden", "values": {"tries": 4}}
    answer = admin.call("PUT", "/metadata/settings", json=put)
    assert answer.status_code == 200
    shown = admin.get("/metadata/settings")["settings"]
    assert [(n["name"], n["has_value"], n.get("value")) for n in shown] == [("key", True, None), ("tries", True, 4)]
    assert admin.call("PUT", "/metadata/settings", json={"package": "no", "values": {}}).status_code == 404


def test_lint_purge_and_a_rollback_say_first_what_they_would_do(admin: Any) -> None:
    lonely = grown()
    lonely["plant/layouts/default.json"] = {
        "kind": "layout", "object": "plant", "name": "default", "label": "Default",
        "sections": [{"name": "all", "label": "All", "fields": ["name"]}],
    }  # fmt: skip
    view = {"kind": "view", "object": "plant", "name": "all", "label": "All", "columns": ["name"]}
    lonely["plant/views/all.json"] = view
    found = admin.post("/metadata/lint", {"files": lonely}, status=200)["findings"]
    assert [(f["code"], f["pointer"]) for f in found] == [("unused_field", "/fields/1")]
    broken = grown()
    broken["plant/object.json"]["fields"][0]["type"] = "txt"
    admin.post("/metadata/lint", {"files": broken}, status=422)
    admin.post("/metadata/apply", {"files": grown()}, status=200)
    admin.post("/records/plant", {"name": "Fern", "height": 4})
    plan = admin.post("/metadata/plan", {"files": PACKAGE}, status=200)
    agreed = f"allow_destructive=true&fingerprint={plan['fingerprint']}"
    admin.post(f"/metadata/apply?{agreed[:-2]}", {"files": PACKAGE}, status=409)
    admin.post(f"/metadata/apply?{agreed}", {"files": PACKAGE}, status=200)
    before = admin.get("/metadata/history")["revisions"][1]["revision"]
    back = admin.post("/metadata/rollback", {"revision": before, "plan_only": True}, status=200)
    assert back["plan"]["components"][0]["details"][0]["path"] == "fields.height"
    lost = admin.post("/metadata/purge", {"names": ["plant.height"]}, status=200)
    assert [loss["name"] for loss in lost["losses"]] == ["plant.height"]
    admin.post("/metadata/purge", {"names": ["plant.height"], "fingerprint": "no"}, status=409)
    admin.post("/metadata/purge", {"names": ["plant.height"], "fingerprint": lost["fingerprint"]}, status=200)
    admin.post("/metadata/purge", {"names": ["plant.height"]}, status=404)


def test_plans_and_what_was_applied_have_the_shape_that_is_published(admin: Any) -> None:
    shapes = admin.get("/openapi.json")["components"]["schemas"]
    plan = admin.post("/metadata/plan", {"files": PACKAGE}, status=200)
    applied = admin.post("/metadata/apply", {"files": PACKAGE}, status=200)
    purged = admin.post("/metadata/purge", {}, status=200)
    drifted = admin.post("/metadata/drift", {"files": grown()}, status=200)
    checked = admin.post("/metadata/check", {"files": grown()}, status=200)
    for name, answer in (
        ("plan", plan),
        ("applied", applied),
        ("purged", purged),
        ("drift", drifted),
        ("check", checked),
    ):
        assert set(answer) == set(shapes[f"_{name}"]["properties"]), name


HARD: dict[str, Any] = {
    **PACKAGE,
    "plant/object.json": {
        **PACKAGE["plant/object.json"],
        "rules": [{"name": "short", "error_when": "LEN(name) > 4", "message": "Too long."}],
    },
    "tests/naming.json": {
        "kind": "test",
        "name": "naming",
        "label": "Naming",
        "steps": [
            {
                "create": {"record": "fern", "object": "plant", "values": {"name": "Fern"}},
                "then": {"values": {"fern": {"name": "Fern"}}},
            },
            {
                "create": {"record": "oak", "object": "plant", "values": {"name": "Old oak"}},
                "then": {"errors": [{"code": "rule", "rule": "short"}]},
            },
        ],
    },
}


def test_records_are_asked_whether_they_break_rules_and_a_formula_that_is_no_rule_yet(admin: Any) -> None:
    admin.post("/metadata/apply", {"files": PACKAGE}, status=200)
    admin.post("/records/plant", [{"name": "Fern"}, {"name": "Old oak"}])
    admin.post("/metadata/apply", {"files": HARD}, status=200)
    (rule,) = admin.get("/metadata/rules/plant")["rules"]
    assert (rule["rule"], rule["count"], [s["title"] for s in rule["samples"]]) == ("short", 1, ["Old oak"])
    (asked,) = admin.get("/metadata/rules/plant?formula=name%20%3D%20%22Fern%22")["rules"]
    assert asked["count"] == 1
    admin.get("/metadata/rules/plant?rule=none", status=404)
    admin.get("/metadata/rules/plnt", status=404)
    assert admin.get("/metadata/rules/plant?formula=nme", status=400)["parameter"] == "error_when"
    admin.get("/metadata/rules/plant?formula=TRUE&rule=short", status=400)


def test_the_tests_of_a_package_run_without_applying_it(admin: Any) -> None:
    tried = admin.post("/metadata/test", {"files": HARD}, status=200)
    assert (tried["passed"], [test["name"] for test in tried["tests"]]) == (True, ["naming"])
    wrong = json.loads(json.dumps(HARD))
    wrong["plant/object.json"]["rules"][0]["error_when"] = "LEN(name) > 40"
    failed = admin.post("/metadata/test", {"files": wrong}, status=200)
    assert not failed["passed"]
    assert failed["tests"][0]["failures"][0]["step"] == 2
    admin.get("/records/plant", status=404)


def test_only_an_administrator_may_see_or_change_metadata(clerk: Any) -> None:
    for path in ("rules/customer", "settings", "history", "export", "edits"):
        assert clerk.get(f"/metadata/{path}", status=403)["code"] == "forbidden", path
    for path in ("check", "plan", "apply", "lint", "test", "drift"):
        assert clerk.post(f"/metadata/{path}", {"files": PACKAGE}, status=403)["code"] == "forbidden", path
    for path, body in (("rollback", {"revision": 1}), ("purge", {}), ("uninstall", {"package": "shop"})):
        assert clerk.post(f"/metadata/{path}", body, status=403)["code"] == "forbidden", path
    answer = clerk.call("PUT", "/metadata/settings", json={"package": "shop", "values": {}})
    assert answer.status_code == 403
