"""Every mistake gets its own finding: where, what, the nearest valid name, and how to mend it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.errors import Finding
from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.documents import canonical, read_documents
from ratoon.platform.packages.checking import Language, check_packages

CLINIC = Path(__file__).parents[2] / "worlds" / "clinic"
LANGUAGE = Language(builtin_types())
FILES = {d.file: d.data for d in read_documents(CLINIC)[0]}
Package = dict[str, Any]


def package(edit: Callable[[Package], Any] | None = None) -> Package:
    files = copy.deepcopy(dict(FILES))
    if edit is not None:
        edit(files)
    return files


def check(files: Package) -> tuple[Finding, ...]:
    written = {f: d if isinstance(d, bytes) else canonical(d).encode() for f, d in files.items()}
    return check_packages([written], LANGUAGE).findings


def field(files: Package, object_name: str, name: str) -> dict[str, Any]:
    return next(f for f in files[f"{object_name}/object.json"]["fields"] if f["name"] == name)


def add(files: Package, object_name: str, **declared: Any) -> None:
    declared.setdefault("label", "L")
    files[f"{object_name}/object.json"]["fields"].append(declared)


def edit(file: str, *steps: Any, **values: Any) -> Callable[[Package], None]:
    def run(files: Package) -> None:
        data = files[file]
        for step in steps:
            data = data[step]
        data.update(values)

    return run


def in_field(object_name: str, name: str, **values: Any) -> Callable[[Package], None]:
    return lambda files: field(files, object_name, name).update(values)


def new_field(object_name: str, **declared: Any) -> Callable[[Package], None]:
    return lambda files: add(files, object_name, **declared)


def new_file(file: str, **data: Any) -> Callable[[Package], None]:
    return lambda files: files.update({file: data})


VIEW = {"kind": "view", "object": "pet", "label": "V", "columns": ["name"]}

MISTAKES: dict[str, tuple[Callable[[Package], Any], str, str, str, str]] = {
    # what: (edit, file, pointer, code, words in message or hint)
    "an unknown key": (edit("pet/object.json", lable="x"), "pet/object.json", "/lable", "unknown_key", 'mean "label"'),
    "an unknown key of a field": (in_field("pet", "name", requird=True), "pet/object.json", "/fields/0/requird",
                                  "unknown_key", 'mean "required"'),
    "a key of another field type": (in_field("pet", "name", precision=3), "pet/object.json", "/fields/0/precision",
                                    "unknown_key", "decimal"),
    "a wrong type": (edit("pet/object.json", label=5), "pet/object.json", "/label", "wrong_type", '"label": "Pet"'),
    "a wrong type in a field": (in_field("pet", "name", required="yes"), "pet/object.json", "/fields/0/required",
                                "wrong_type", '"required": true'),
    "a missing key": (lambda f: f["pet/object.json"]["fields"][0].pop("label"), "pet/object.json", "/fields/0",
                      "missing_key", '"label"'),
    "a missing option of the type": (lambda f: field(f, "pet", "pet_owner").pop("object"), "pet/object.json",
                                     "/fields/1", "missing_key", '"object" of \'pet_owner\''),
    "a bad choice": (in_field("pet", "pet_owner", on_delete="cascad"), "pet/object.json", "/fields/1/on_delete",
                     "bad_value", "cascade"),
    "an unknown field type": (in_field("pet", "name", type="txt"), "pet/object.json", "/fields/0/type",
                              "unknown_type", 'mean "text"'),
    "a field type that formulas call so": (in_field("pet", "name", type="number"), "pet/object.json", "/fields/0/type",
                                           "unknown_type", 'mean "decimal"'),
    "an unknown kind": (new_file("x/y.json", kind="vew"), "x/y.json", "/kind", "unknown_kind", 'mean "view"'),
    "no kind": (new_file("x/y.json", name="x"), "x/y.json", "/kind", "unknown_kind", "kinds:"),
    "a kind of a later version": (new_file("reports/x.json", kind="report", name="x"), "reports/x.json", "/kind",
                                  "not_supported", "this version"),
    "a file in the wrong place": (new_file("pet/views/other.json", **VIEW, name="mine"), "pet/views/other.json", "",
                                  "misplaced", "pet/views/mine.json"),
    "a name in Chinese": (new_field("pet", name="名字", type="text"), "pet/object.json", "/fields/16/name", "bad_name",
                          "label"),
    "a name in capitals": (new_field("pet", name="BirthDate", type="date"), "pet/object.json", "/fields/16/name",
                           "bad_name", '"birth_date"'),
    "a name that is too long": (new_field("pet", name="x" * 41, type="text"), "pet/object.json", "/fields/16/name",
                                "bad_name", "41 characters"),
    "a reserved field": (new_field("pet", name="version", type="integer"), "pet/object.json", "/fields/16/name",
                         "bad_name", "already"),
    "a column of the database": (new_field("pet", name="xmin", type="integer"), "pet/object.json", "/fields/16/name",
                                 "bad_name", "reserved"),
    "a reserved object": (new_file("ratoon_x/object.json", kind="object", name="ratoon_x", label="X"),
                          "ratoon_x/object.json", "/name", "bad_name", "reserved"),
    "two fields of one name": (new_field("pet", name="name", type="text"), "pet/object.json", "/fields/16/name",
                               "duplicate", "already"),
    "two fields that need one key": (new_field("invoice_line", name="unit_price_currency", type="text"),
                                     "invoice_line/object.json", "/fields/6/name", "key_taken", "unit_price"),
    "an unknown object in a lookup": (in_field("pet", "pet_owner", object="pet_ovner"), "pet/object.json",
                                      "/fields/1/object", "unknown_object", 'mean "pet_owner"'),
    "an unknown object in a polymorphic lookup": (in_field("reminder", "about", objects=["pet", "invoce"]),
                                                  "reminder/object.json", "/fields/1/objects/1", "unknown_object",
                                                  'mean "invoice"'),
    "an unknown value set": (in_field("pet", "species", value_set="specie"), "pet/object.json", "/fields/2/value_set",
                             "unknown_picklist", 'mean "species"'),
    "a picklist without values": (lambda f: field(f, "pet", "species").pop("value_set"), "pet/object.json", "/fields/2",
                                  "missing_key", "values"),
    "a value that occurs twice": (lambda f: f["picklists/species.json"]["values"].append({"value": "dog"}),
                                  "picklists/species.json", "/values/4/value", "duplicate", "dog"),
    "an unknown controlling field": (in_field("pet", "breed", depends_on="specie"), "pet/object.json",
                                     "/fields/3/depends_on", "unknown_field", 'mean "species"'),
    "an unknown controlling value": (lambda f: field(f, "pet", "breed")["values"][0].update({"for": ["dgo"]}),
                                     "pet/object.json", "/fields/3/values/0/for", "unknown_value", 'mean "dog"'),
    "a formula that does not parse": (in_field("pet", "label", formula="name & "), "pet/object.json",
                                      "/fields/13/formula", "formula_", "^"),
    "an unknown name in a formula": (in_field("pet", "label", formula="nmae & name"), "pet/object.json",
                                     "/fields/13/formula", "formula_", "name"),
    "a formula of the wrong type": (in_field("pet", "label", formula="TODAY()"), "pet/object.json",
                                    "/fields/13/formula", "formula_", "^"),
    "a formula that depends on itself": (new_field("pet", name="self", type="formula", returns="number",
                                                   formula="self + 1"), "pet/object.json", "/fields/16/formula",
                                         "circular", "pet.self → pet.self"),
    "a formula about what is not saved": (in_field("pet", "label", formula='IF(ISNEW(), "a", "b")'), "pet/object.json",
                                          "/fields/13/formula", "formula_no_change", "ISNEW"),
    "a rollup over an unknown object": (in_field("pet", "visits", of="visits"), "pet/object.json", "/fields/14/of",
                                        "unknown_object", 'mean "visit"'),
    "a rollup by a lookup that points elsewhere": (in_field("pet", "visits", via="vet"), "pet/object.json",
                                                   "/fields/14/via", "unknown_field", "pet"),
    "a rollup without a field": (in_field("pet", "visits", operation="sum"), "pet/object.json",
                                 "/fields/14/operation", "missing_key", "field"),
    "a sum of texts": (in_field("pet", "visits", operation="sum", field="reason"), "pet/object.json",
                       "/fields/14/field", "wrong_type", "textarea"),
    "a rollup of what changes by itself": (new_field("pet_owner", name="ages", type="rollup", of="pet",
                                                     via="pet_owner", operation="sum", field="age_years"),
                                           "pet_owner/object.json", "/fields/10", "volatile_rollup", "age_years"),
    "a smallest value above the largest": (in_field("pet", "weight", min=5, max=4), "pet/object.json", "/fields/6/min",
                                           "contradiction", "5"),
    "more decimal places than digits": (in_field("pet", "weight", precision=2, scale=3), "pet/object.json",
                                        "/fields/6/scale", "contradiction", "digits"),
    "a unique long text": (in_field("visit", "reason", unique=True), "visit/object.json", "/fields/5/unique",
                           "not_unique", "textarea"),
    "a key over a long text": (edit("pet_owner/object.json", keys=[{"fields": ["name", "notes"]}]),
                               "pet_owner/object.json", "/keys/0/fields/1", "wrong_type", "too long"),
    "two masters": (new_field("visit", name="second", type="master_detail", object="invoice"), "visit/object.json",
                    "/fields/13/type", "two_masters", "cascade"),
    "masters in a circle": (new_field("pet", name="of_visit", type="master_detail", object="visit"), "pet/object.json",
                            "/fields/16/object", "circular", "pet → visit → pet"),
    "a required reference that is emptied": (in_field("pet", "pet_owner", on_delete="set_null"), "pet/object.json",
                                             "/fields/1/on_delete", "contradiction", "restrict"),
    "a rule at an unknown field": (edit("pet/object.json", "rules", 0, field="born"), "pet/object.json",
                                   "/rules/0/field", "unknown_field", 'mean "born_on"'),
    "two rules of one name": (lambda f: f["pet/object.json"]["rules"].append(f["pet/object.json"]["rules"][0]),
                              "pet/object.json", "/rules/3/name", "duplicate", "born_in_the_past"),
    "an unknown title": (edit("pet/object.json", title="nam"), "pet/object.json", "/title", "unknown_field", "name"),
    "a title that cannot name": (edit("pet/object.json", title="pet_owner"), "pet/object.json", "/title", "wrong_type",
                                 "lookup"),
    "a key over an unknown field": (edit("pet/object.json", "keys", 0, fields=["pet_ownr"]), "pet/object.json",
                                    "/keys/0/fields/0", "unknown_field", "pet_owner"),
    "a stage after an unknown stage": (edit("visit/pipelines/appointment.json", "stages", 0, next=["wating"]),
                                       "visit/pipelines/appointment.json", "/stages/0/next/0", "unknown_stage",
                                       'mean "waiting"'),
    "a required field of a stage": (edit("visit/pipelines/appointment.json", "stages", 2, required_fields=["vett"]),
                                    "visit/pipelines/appointment.json", "/stages/2/required_fields/0",
                                    "unknown_field", 'mean "vet"'),
    "a pipeline for another field": (edit("visit/pipelines/appointment.json", field="reason"),
                                     "visit/pipelines/appointment.json", "/field", "unknown_field", "stage"),
    "a layout with an unknown field": (edit("pet/layouts/default.json", "sections", 0, fields=["nmae"]),
                                       "pet/layouts/default.json", "/sections/0/fields/0", "unknown_field", "name"),
    "a related list that does not point here": (edit("pet/layouts/default.json", "related", 0, field="vet"),
                                                "pet/layouts/default.json", "/related/0/field", "unknown_field", "pet"),
    "a view of an unknown object": (edit("pet/views/all.json", object="pt"), "pet/views/all.json", "", "misplaced",
                                    "pt/views/all.json"),
    "a view sorted by what has no order": (edit("pet/views/all.json", sort=["age_years"]), "pet/views/all.json",
                                           "/sort/0", "not_sortable", "computed"),
    "a view sorted by an unknown field": (edit("pet/views/all.json", sort=["-nam"]), "pet/views/all.json", "/sort/0",
                                          "unknown_field", "name"),
    "a board without columns": (lambda f: f["visit/views/board.json"].pop("group_by"), "visit/views/board.json", "",
                                "missing_key", "stage"),
    "a calendar by a text": (edit("visit/views/calendar.json", date_field="reason"), "visit/views/calendar.json",
                             "/date_field", "unknown_field", "starts_at"),
    "an automation that sets what is computed": (
        edit("visit/automations/discharge.json", "actions", 0, values={"number": '"1"'}),
        "visit/automations/discharge.json", "/actions/0/values/number", "not_writable", "computed"),
    "an automation that changes others too early": (edit("visit/automations/follow_up.json", when="before"),
                                                    "visit/automations/follow_up.json", "/actions/0/type",
                                                    "not_before", "after"),
    "an unknown action": (edit("visit/automations/discharge.json", "actions", 0, type="set_field"),
                          "visit/automations/discharge.json", "/actions/0/type", "unknown_action", "set_fields"),
    "a role for an unknown object": (edit("roles/vet.json", objects={"pett": ["read"]}), "roles/vet.json",
                                     "/objects/pett", "unknown_object", 'mean "pet"'),
    "a role for an unknown field": (edit("roles/vet.json", fields={"pet.nam": ["read"]}), "roles/vet.json",
                                    "/fields/pet.nam", "unknown_field", "name"),
    "a missing package": (edit("manifest.json", requires={"standrd": ">=1"}), "manifest.json", "/requires/standrd",
                          "missing_package", "not here"),
    "a bad version": (edit("manifest.json", version="one"), "manifest.json", "/version", "bad_value", "1.0.0"),
    "a bad version range": (edit("manifest.json", requires={"system": "~1"}), "manifest.json", "/requires/system",
                            "bad_version", ">=1.0,<2"),
    "an old version": (edit("manifest.json", requires={"system": ">=99"}), "manifest.json", "/requires/system",
                       "wrong_version", "99"),
    "a package that requires itself": (edit("manifest.json", requires={"clinic": ">=1"}), "manifest.json", "/requires",
                                       "circular_requirement", "clinic → clinic"),
    "an object of another package": (new_file("user/object.json", kind="object", name="user", label="U"),
                                     "user/object.json", "/name", "duplicate", "extension"),
    "no manifest": (lambda f: f.pop("manifest.json"), "manifest.json", "", "no_manifest", "manifest"),
    "malformed JSON": (lambda f: f.update({"x/object.json": b'{"kind": "object",\n "name" "x"}'}), "x/object.json", "",
                       "malformed_json", "Line 2, column 9"),
    "a comma too many": (lambda f: f.update({"x/object.json": b'{"kind": "object",}'}), "x/object.json", "",
                         "malformed_json", "no comma"),
    "a key twice": (lambda f: f.update({"x/object.json": b'{"a": {"b": 1, "b": 2}}'}), "x/object.json", "/a/b",
                    "duplicate_key", "twice"),
    "not a number": (lambda f: f.update({"x/object.json": b'{"a": NaN}'}), "x/object.json", "", "bad_number", "NaN"),
    "a number too large": (lambda f: f.update({"x/object.json": b'{"a": 1e400}'}), "x/object.json", "", "bad_number",
                           "1e400"),
    "a number of 5000 digits": (lambda f: f.update({"x/object.json": b'{"a": %s}' % (b"9" * 5000)}), "x/object.json",
                                "", "bad_number", "digits"),
    "a NUL": (lambda f: f.update({"x/object.json": b'{"a": "\\u0000"}'}), "x/object.json", "/a", "bad_character",
              "NUL"),
    "not UTF-8": (lambda f: f.update({"x/object.json": b'{"a": "\xff"}'}), "x/object.json", "", "not_utf8", "UTF-8"),
    "a list": (lambda f: f.update({"x/object.json": b"[]"}), "x/object.json", "", "not_an_object", "{"),
    "brackets too deep": (lambda f: f.update({"x/object.json": b'{"a":' + b"[" * 50 + b"]" * 50 + b"}"}),
                          "x/object.json", "/a" + "/0" * 40, "too_deep", "40"),
    "very many brackets": (lambda f: f.update({"x/object.json": b"[" * 200_000}), "x/object.json", "", "too_deep",
                           "deep"),
    "11 MB": (lambda f: f.update({"x/object.json": b'{"a": "' + b"x" * 11_000_000 + b'"}'}), "x/object.json", "",
              "too_large", "10,000,000"),
}  # fmt: skip


def test_the_clinic_has_no_problem() -> None:
    assert check(package()) == ()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_with_its_place_and_a_way_out(mistake: str) -> None:
    make, file, pointer, code, words = MISTAKES[mistake]
    findings = check(package(make))
    found = [f for f in findings if f.file == file and f.pointer == pointer and f.code.startswith(code)]
    assert found, "\n".join(map(str, findings))
    assert words in f"{found[0].message} {found[0].hint}", str(found[0])


@pytest.mark.parametrize(
    "mistake",
    [
        "an unknown field type", "a missing key", "a wrong type in a field", "an unknown key of a field",
        "an unknown object in a lookup", "a name in Chinese", "an unknown value set", "a sum of texts",
        "a rollup over an unknown object", "malformed JSON", "a reserved field",
    ],
)  # fmt: skip
def test_one_mistake_is_told_once(mistake: str) -> None:
    findings = check(package(MISTAKES[mistake][0]))
    assert len(findings) == 1, "\n".join(map(str, findings))


def test_every_problem_is_in_one_run() -> None:
    picked = ["an unknown key", "an unknown field type", "a layout with an unknown field", "a key twice",
              "a stage after an unknown stage", "a formula that does not parse", "a missing package"]  # fmt: skip
    files = package()
    for mistake in picked:
        MISTAKES[mistake][0](files)
    findings = check(files)
    for mistake in picked:
        _, file, pointer, code, _ = MISTAKES[mistake]
        assert any(f.file == file and f.pointer == pointer and f.code.startswith(code) for f in findings), mistake


def test_sql_words_emoji_labels_and_400_fields_are_fine() -> None:
    files = package()
    files["select/object.json"] = {
        "kind": "object",
        "name": "select",
        "label": "🐕‍🦺",
        "fields": [{"name": f"f{i}", "type": "text", "label": "字段 🐾"} for i in range(399)]
        + [{"name": "order", "type": "integer", "label": "'; DROP TABLE pet; --"}],
    }
    assert check(files) == ()


def test_more_than_500_fields_are_refused() -> None:
    files = package()
    fields = [{"name": f"f{i}", "type": "text", "label": "F"} for i in range(501)]
    files["big/object.json"] = {"kind": "object", "name": "big", "label": "B", "fields": fields}
    assert [f.code for f in check(files)] == ["too_many_fields"]


def test_packages_that_require_each_other_are_refused() -> None:
    def of(name: str, other: str) -> dict[str, bytes]:
        manifest = {"kind": "package", "name": name, "version": "1", "label": "P", "requires": {other: "*"}}
        return {"manifest.json": canonical(manifest).encode()}

    checked = check_packages([of("one", "two"), of("two", "one")], LANGUAGE)
    assert [f.code for f in checked.findings] == ["circular_requirement"]
    assert checked.refused


def test_a_view_on_another_packages_object_asks_for_the_requirement() -> None:
    manifest = {"kind": "package", "name": "more", "version": "1", "label": "More"}
    view = {**VIEW, "name": "mine"}
    extra = {"manifest.json": canonical(manifest).encode(), "pet/views/mine.json": canonical(view).encode()}
    clinic = {file: canonical(data).encode() for file, data in FILES.items()}
    checked = check_packages([clinic, extra], LANGUAGE)
    assert [(f.code, f.severity) for f in checked.findings] == [("requirement_missing", "warning")]
    assert not checked.refused


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"fields": [{"name": "f", "type": "text", "label": "F"}] * 20_000}, "too_many_fields"),
        ({"rules": [{"nme": "r"}] * 20_000}, "too_many_rules"),
        ({f"key_{i}": 1 for i in range(90_000)}, "unknown_key"),
        ({"description": [1] * 200_000}, "too_large"),
        ({"description": "x" * 9_000_000}, "too_long"),
    ],
    ids=["fields", "rules", "keys", "values", "text"],
)
def test_a_huge_document_is_refused_soon_and_in_few_words(document: dict[str, Any], code: str) -> None:
    files = {"manifest.json": FILES["manifest.json"]}
    files["a/object.json"] = {"kind": "object", "name": "a", "label": "A", **document}
    started = time.process_time()
    findings = check(files)
    assert time.process_time() - started < 5
    assert findings[0].code == code
    assert len(findings) <= 201
