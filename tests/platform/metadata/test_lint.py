"""Lint: what a package will be sorry for is told with a code and a mend, and a good package hears nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ratoon.platform.cli import cli
from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas import compile_formula
from ratoon.platform.metadata.documents import canonical, read_package
from ratoon.platform.metadata.lint import lint
from ratoon.platform.metadata.lint_formulas import verdict
from ratoon.platform.packages import Language, check_packages

LANGUAGE = Language(builtin_types())
CLINIC = {d.file: dict(d.data) for d in read_package(Path(__file__).parents[2] / "worlds" / "clinic")}


def codes(files: dict[str, Any]) -> dict[str, list[str]]:
    """Code → pointers of what lint says."""
    checked = check_packages([{f: canonical(d).encode() for f, d in files.items()}], LANGUAGE)
    assert checked.registry is not None, checked.findings
    found: dict[str, list[str]] = {}
    for finding in lint(checked.documents, checked.registry):
        assert finding.severity == "warning"
        assert finding.hint or finding.code == "missing_translation"
        found.setdefault(finding.code, []).append(f"{finding.file}#{finding.pointer}")
    return found


def clinic(**documents: Any) -> dict[str, Any]:
    return {**copy.deepcopy(CLINIC), **documents}


def with_field(**field: Any) -> dict[str, Any]:
    files = clinic()
    files["pet/object.json"]["fields"].append({"label": str(field["name"]), **field})
    return files


def test_a_field_that_nothing_has_is_told() -> None:
    assert "unused_field" not in codes(clinic())
    assert codes(with_field(name="colour", type="text"))["unused_field"] == ["pet/object.json#/fields/16"]


def test_a_required_field_that_nobody_can_fill_in_is_told() -> None:
    files = with_field(name="colour", type="text", required=True)
    files["pet/views/all.json"]["columns"] = [*files["pet/views/all.json"]["columns"], "colour"]
    assert codes(files)["required_not_shown"] == ["pet/object.json#/fields/16"]


def test_fields_that_read_the_same_are_told() -> None:
    assert len(codes(with_field(name="other", type="text", label="name"))["same_label"]) == 2


def test_names_that_will_collide_are_told() -> None:
    files = with_field(name="weight_currency", type="text")
    extension = {"kind": "extension", "object": "user", "fields": [{"name": "badge", "type": "text", "label": "Badge"}]}
    files["user/extension.json"] = extension
    assert codes(files)["name_may_collide"] == [
        "pet/object.json#/fields/16/name",
        "user/extension.json#/fields/0/name",
    ]
    extension["fields"] = [{"name": "clinic_badge", "type": "text", "label": "Badge"}]
    assert "user/extension.json#/fields/0/name" not in codes(files).get("name_may_collide", [])


def test_texts_without_translation_and_translations_without_text_are_told() -> None:
    files = clinic()
    files["pet/object.json"]["label"] = "Patient animal"
    files["strings/zh-Hans.json"]["texts"] = {**files["strings/zh-Hans.json"]["texts"], "Nothing says this": "无"}
    found = codes(files)
    assert set(found["missing_translation"]) == {"pet/object.json#/label"}
    assert "strings/zh-Hans.json#/texts/Nothing says this" in found["left_over_translation"]


def test_views_that_no_index_serves_are_told() -> None:
    files = clinic()
    files["pet/views/all.json"]["filter"] = 'CONTAINS(pet_owner.notes, "x")'
    assert any(place.startswith("pet/views/all.json") for place in codes(files)["view_without_index"])
    assert "view_without_index" not in codes(clinic())


def test_a_value_set_and_a_stage_that_nobody_reaches_are_told() -> None:
    files = clinic()
    files["picklists/moods.json"] = {"kind": "picklist", "name": "moods", "label": "Moods", "values": [{"value": "ok"}]}
    stages = files["visit/pipelines/appointment.json"]["stages"]
    for stage in stages:
        stage["next"] = [name for name in stage["next"] if name != "waiting"]
    found = codes(files)
    assert found["unused_value_set"] == ["picklists/moods.json#"]
    assert found["stage_out_of_reach"] == ["visit/pipelines/appointment.json#/stages/1"]


NEVER = (
    "FALSE", "1 > 2", "AND(weight > 3, FALSE)", "weight < 0", "weight > 1000", "weight = -1", "ISBLANK(name)",
    "AND(weight > 10, weight < 5)", "AND(weight >= 10, weight < 10)", "NOT(NOT(ISBLANK(name)))", "weight <> weight",
    "AND(ISPICKVAL(status, \"alive\"), ISPICKVAL(status, \"deceased\"))", "OR(FALSE, weight < 0)", "NULL",
    "-1 > weight",
)  # fmt: skip
ALWAYS = ("TRUE", "2 > 1", "OR(weight > 3, TRUE)", "NOT(ISBLANK(name))", "NOT(FALSE)", "AND(TRUE, 1 = 1)")
DEPENDS = (
    "weight > 3", "weight >= 0", "ISBLANK(weight)", "NOT(weight > 3)", "weight = weight", "born_on > TODAY()",
    "AND(weight > 5, weight < 10)", "OR(weight > 3, FALSE)", "status = \"alive\"", "ISNEW()", "ISCHANGED(name)",
    "NOW() > DATETIMEVALUE(\"2020-01-01T00:00:00Z\")", "$user.name = \"x\"", "AND(weight >= 10, weight <= 10)",
    "IF(weight > 1, TRUE, FALSE)",
)  # fmt: skip


def test_conditions_that_come_out_one_way_are_seen_through(subtests: Any) -> None:
    checked = check_packages([{f: canonical(d).encode() for f, d in CLINIC.items()}], LANGUAGE)
    assert checked.registry is not None
    pet, scope = checked.registry["pet"], checked.registry.scopes["pet"]
    for wanted, sources in ((False, NEVER), (True, ALWAYS), (None, DEPENDS)):
        for source in sources:
            with subtests.test(source=source):
                assert verdict(compile_formula(source, scope), pet) is wanted
    assert verdict(None, pet) is None
    assert verdict(compile_formula("ISBLANK(name)", scope), pet, checked=False) is None


@pytest.mark.parametrize(
    ("file", "change", "place"),
    [
        ("pet/object.json", {"rules": [{"name": "r", "error_when": "1 > 2", "message": "m"}]}, "/rules/0/error_when"),
        ("visit/automations/discharge.json", {"condition": "FALSE"}, "/condition"),
        ("pet/views/all.json", {"filter": "AND(weight > 1, FALSE)"}, "/filter"),
    ],
)
def test_rules_automations_and_filters_that_never_fire_are_told(file: str, change: dict[str, Any], place: str) -> None:
    files = clinic()
    files[file] |= change
    assert codes(files)["rule_never"] == [f"{file}#{place}"]


def test_a_rule_that_always_fires_is_told() -> None:
    files = clinic()
    files["pet/object.json"]["rules"] = [{"name": "r", "error_when": "NOT(ISBLANK(name))", "message": "m"}]
    assert codes(files)["rule_always"] == ["pet/object.json#/rules/0/error_when"]


def test_the_command_mends_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*arguments: str) -> Any:
        return CliRunner().invoke(cli, list(arguments))

    monkeypatch.chdir(tmp_path)
    call("init", "garden", "--object", "plant")
    document = tmp_path / "garden" / "plant" / "object.json"
    document.write_text(json.dumps(json.loads(document.read_text())))
    strings = tmp_path / "garden" / "strings" / "zh-Hans.json"
    data = json.loads(strings.read_text())
    data["texts"]["Gone"] = "没了"
    strings.write_text(canonical(data))
    told = json.loads(call("lint", "garden", "--json").output)
    assert {"not_canonical", "left_over_translation"} <= {f["code"] for f in told["findings"]}
    mended = json.loads(call("lint", "garden", "--fix", "--json").output)
    assert len(mended["mended"]) == 2
    assert "Gone" not in strings.read_text()
    assert document.read_text() == canonical(json.loads(document.read_text()))
    assert not json.loads(call("lint", "garden", "--fix", "--json").output)["mended"]
    quiet = call("lint", "garden", "--ignore", "missing_translation")
    assert (quiet.exit_code, "Nothing to say" in quiet.output) == (0, True)
    assert "no problems" in call("check", "garden").output
    document.write_text("{}")
    assert call("lint", "garden").exit_code == 1


def test_the_standard_package_hears_nothing() -> None:
    checked = check_packages([Path(__file__).parents[3] / "objects"], LANGUAGE)
    assert checked.registry is not None
    assert [str(finding) for finding in lint(checked.documents, checked.registry)] == []
