"""Documents become one registry: generated parts, derived types and orders are there and right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.errors import MetadataRefused
from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document, place, read_package
from ratoon.platform.metadata.model import Registry
from ratoon.platform.metadata.names import SYSTEM_FIELDS

CLINIC = Path(__file__).parents[2] / "worlds" / "clinic"
TYPES = builtin_types()


@pytest.fixture(scope="module")
def clinic() -> Registry:
    return compile_registry(read_package(CLINIC), types=TYPES, revision=7)


def obj(name: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    declared = [{"label": f["name"], **f} for f in fields]
    return {"kind": "object", "name": name, "label": name, "fields": declared, **more}


def compiled(*documents: dict[str, Any], package: str = "p") -> Registry:
    manifest = {"kind": "package", "name": package, "version": "1", "label": "P"}
    made = [Document(place(d["kind"], d), d["kind"], d, package) for d in (manifest, *documents)]
    return compile_registry(made, types=TYPES)


def text(name: str = "name", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "text", **more}


def test_a_registry_knows_its_revision_packages_and_value_sets(clinic: Registry) -> None:
    assert clinic.revision == 7
    assert list(clinic.packages) == ["system", "clinic"]
    assert [o.value for o in clinic.value_sets["species"]] == ["dog", "cat", "rabbit", "dodo"]
    assert not clinic.value_sets["species"][3].active
    assert clinic.text("Pet", "zh-Hant") == "寵物"
    assert clinic.text("Nothing", "zh-Hant") == "Nothing"
    assert clinic.text("Pet: Pet", "zh-Hant") == "寵物: 寵物"
    assert clinic.text("Pet: Nothing", "zh-Hant") == "Pet: Nothing"


def test_every_object_has_the_system_fields_last(clinic: Registry) -> None:
    for one in clinic:
        assert tuple(one.fields)[-len(SYSTEM_FIELDS) :] == SYSTEM_FIELDS
        assert {k for k in SYSTEM_FIELDS if one.parts[k].writable} == {"owner"}
        assert one.fields["owner"].targets == ("user",)


def test_a_many_to_many_field_makes_a_hidden_junction(clinic: Registry) -> None:
    field = clinic["pet"].fields["medications"]
    junction = clinic[str(field.junction)]
    assert junction.name == "pet_medications"
    assert junction.hidden
    assert junction.fields["source"].targets == ("pet",)
    assert junction.fields["target"].targets == ("medication",)
    assert {junction.fields[end].on_delete for end in ("source", "target")} == {"cascade"}
    assert [k.fields for k in junction.keys] == [("source", "target")]
    assert isinstance(junction.parts["dose"].sql, ExactDecimal)
    assert junction.fields["since"].default is not None


def test_a_formula_field_over_a_volatile_one_is_volatile_across_objects() -> None:
    registry = compiled(
        obj("a", text(), {"name": "soon", "type": "formula", "returns": "number", "formula": "b.age + 1"},
            {"name": "b", "type": "lookup", "object": "b"},
            {"name": "sooner", "type": "formula", "returns": "number", "formula": "soon * 2"},
            {"name": "calm", "type": "formula", "returns": "text", "formula": "b.name & name"}),
        obj("b", text(), {"name": "born", "type": "date"},
            {"name": "age", "type": "formula", "returns": "number", "formula": "TODAY() - born"}),
    )  # fmt: skip
    volatile = {(o.name, f.name) for o in registry for f in o.fields.values() if f.volatile}
    assert volatile == {("b", "age"), ("a", "soon"), ("a", "sooner")}
    assert all(registry[o].parts[f].sql is None for o, f in volatile)
    assert registry.graph.formulas["a"] == ("calm",)


def test_stored_formulas_are_ordered_after_what_they_read(clinic: Registry) -> None:
    order = clinic.graph.formulas["invoice"]
    assert order.index("discount") < order.index("total")
    rank = clinic.graph.rank
    assert rank["invoice_line", "amount"] < rank["invoice", "net"] < rank["invoice", "discount"]
    assert rank["invoice", "total"] < rank["pet_owner", "revenue"]


@pytest.mark.parametrize(
    ("operation", "kind", "expected"),
    [
        ("count", "integer", (Type.NUMBER, 0)),
        ("sum", "integer", (Type.NUMBER, 0)),
        ("sum", "decimal", (Type.NUMBER, 3)),
        ("max", "decimal", (Type.NUMBER, 3)),
        ("avg", "decimal", (Type.NUMBER, 7)),
        ("avg", "integer", (Type.NUMBER, 4)),
        ("sum", "currency", (Type.NUMBER, 3)),
        ("min", "date", (Type.DATE, None)),
        ("max", "datetime", (Type.DATETIME, None)),
    ],
)
def test_a_rollup_takes_the_type_of_what_it_aggregates(operation: str, kind: str, expected: Any) -> None:
    scale = {"scale": 3} if kind in {"decimal", "currency"} else {}
    field = {} if operation == "count" else {"field": "x"}
    registry = compiled(
        obj("top", text(), {"name": "r", "type": "rollup", "of": "low", "via": "top", "operation": operation, **field}),
        obj("low", {"name": "top", "type": "master_detail", "object": "top"}, {"name": "x", "type": kind, **scale}),
    )
    part = registry["top"].parts["r"]
    assert (part.formula, part.scale) == expected


def test_a_rollup_of_a_rollup_of_a_formula_is_built_in_any_order_of_declaration() -> None:
    registry = compiled(
        obj("a", text(), {"name": "r", "type": "rollup", "of": "b", "via": "a", "operation": "sum", "field": "r"}),
        obj("b", {"name": "a", "type": "lookup", "object": "a"},
            {"name": "r", "type": "rollup", "of": "c", "via": "b", "operation": "avg", "field": "f"}),
        obj("c", {"name": "b", "type": "lookup", "object": "b"}, {"name": "n", "type": "integer"},
            {"name": "f", "type": "formula", "returns": "number", "scale": 1, "formula": "n / 2"}),
    )  # fmt: skip
    assert [registry[o].parts["r"].scale for o in "ab"] == [5, 5]


@pytest.mark.parametrize("through", ["formula", "rollup"])
def test_a_circle_over_objects_is_refused(through: str) -> None:
    back = {"name": "x", "type": "rollup", "of": "b", "via": "a", "operation": "sum", "field": "y"}
    there = {"name": "y", "type": "formula", "returns": "number", "formula": "a.x + 1"}
    if through == "rollup":
        there = {"name": "y", "type": "rollup", "of": "a", "via": "b", "operation": "sum", "field": "x"}
    with pytest.raises(MetadataRefused) as refused:
        compiled(
            obj("a", text(), {"name": "b", "type": "lookup", "object": "b"}, back),
            obj("b", text(), {"name": "a", "type": "lookup", "object": "a"}, there),
        )
    assert {f.code for f in refused.value.findings} == {"circular"}


def test_a_chain_of_300_formula_fields_compiles() -> None:
    chain = [
        {"name": f"f{i}", "type": "formula", "returns": "number", "formula": f"f{i - 1} + 1"} for i in range(1, 300)
    ]
    registry = compiled(obj("a", {"name": "f0", "type": "integer"}, *reversed(chain)))
    assert registry.graph.formulas["a"] == tuple(f"f{i}" for i in range(1, 300))


def test_screens_are_generated_when_none_are_declared() -> None:
    registry = compiled(
        obj("a", text("title_text"), text("b"), {"name": "w", "type": "json"}),
        obj("c", text(), {"name": "a", "type": "lookup", "object": "a", "related_label": "The Cs"}),
    )
    one = registry["a"]
    assert one.title == "title_text"
    assert [(v.name, v.default, v.columns) for v in one.views] == [("all", True, ("title_text", "b", "modified_at"))]
    layout = one.layouts[0]
    assert layout.sections[0].fields == ("title_text", "b", "w")
    assert [(r.object, r.field, r.label) for r in layout.related] == [("c", "a", "The Cs")]
    assert [r.object for r in registry["user"].layouts[0].related] == ["user_team_member"]


def test_exactly_one_view_is_the_default(clinic: Registry) -> None:
    for one in clinic:
        assert [v.default for v in one.views].count(True) == 1
    assert next(v.name for v in clinic["pet"].views if v.default) == "patients"


def test_indexes_follow_from_lookups_and_views(clinic: Registry) -> None:
    assert ("status", "last_visit", "name", "id") in clinic["pet"].indexes
    assert ("last_visit", "name", "id") in clinic["pet"].indexes
    assert ("stage", "starts_at", "id") in clinic["visit"].indexes
    assert ("pet_owner", "id") in clinic["pet"].indexes
    assert ("about", "id") in clinic["reminder"].indexes
    for one in clinic:
        assert all(columns[-1] == "id" for columns in one.indexes)
        assert len(set(one.indexes)) == len(one.indexes)


def test_long_texts_are_never_indexed() -> None:
    view = {"kind": "view", "object": "a", "name": "v", "label": "V", "columns": ["t"], "sort": ["-id"]}
    registry = compiled(obj("a", {"name": "t", "type": "textarea"}), {**view, "filter": 't = "x"'})
    assert registry["a"].indexes == (("owner", "id"),)


def test_a_lookup_filter_sees_the_target_and_the_source(clinic: Registry) -> None:
    formula = clinic["invoice"].fields["visit"].lookup_filter
    assert formula is not None
    assert formula.paths == {"pet.pet_owner", "$source.pet_owner"}


def test_on_delete_follows_from_the_kind_of_reference(clinic: Registry) -> None:
    assert clinic["visit"].fields["pet"].on_delete == "cascade"
    assert clinic["pet"].fields["pet_owner"].on_delete == "restrict"
    assert clinic["pet"].fields["mother"].on_delete == "set_null"
    assert clinic["reminder"].fields["about"].on_delete == "cascade"
    assert clinic["pet"].fields["owner"].on_delete == "restrict"
    registry = compiled(obj("a", text(), {"name": "b", "type": "lookup", "object": "a", "required": True}))
    assert registry["a"].fields["b"].on_delete == "restrict"


def test_pipelines_are_tried_in_order_and_give_the_stage_field_its_choices(clinic: Registry) -> None:
    visit = clinic["visit"]
    assert [p.name for p in visit.pipelines] == ["emergency", "appointment"]
    choices = [o.value for o in visit.fields["stage"].choices]
    assert sorted(choices) == sorted({s.name for p in visit.pipelines for s in p.stages})
    gate = visit.pipelines[1].by_name["done"].entry[0]
    assert (gate.name, gate.field) == ("ended", "ends_at")


def test_another_package_extends_an_object_and_its_fields_come_after() -> None:
    manifest: dict[str, Any] = {
        "kind": "package",
        "name": "more",
        "version": "1",
        "label": "M",
        "requires": {"clinic": "*"},
    }
    tag = {"name": "a_tag", "type": "text", "label": "Tag"}
    rule = {"name": "tagged", "error_when": "ISBLANK(a_tag)", "message": "Tag it."}
    extension: dict[str, Any] = {"kind": "extension", "object": "pet", "fields": [tag], "rules": [rule]}
    more = [Document(place(d["kind"], d), d["kind"], d, "more") for d in (manifest, extension)]
    pet = compile_registry([*more, *read_package(CLINIC)], types=TYPES)["pet"]
    declared = [f.name for f in pet.fields.values() if not f.system]
    assert declared[-1] == "a_tag"
    assert (pet.fields["a_tag"].owner, pet.fields["name"].owner) == ("more", "clinic")
    assert pet.rules[-1].owner == "more"


def test_compiling_the_same_documents_in_another_order_gives_the_same_registry(clinic: Registry) -> None:
    other = compile_registry(list(reversed(read_package(CLINIC))), types=TYPES)
    for one in clinic:
        again = other[one.name]
        assert list(one.fields) == list(again.fields)
        assert one.indexes == again.indexes
        assert [v.name for v in one.views] == [v.name for v in again.views]


def test_the_time_to_compile_grows_no_faster_than_the_objects() -> None:
    few, many = (min(_seconds(_package_of(count), count) for _ in range(3)) for count in (50, 200))
    assert many < few * 4 * 2, f"{few:.2f} s for 50 objects of 50 fields, {many:.2f} s for 200"


def _package_of(count: int) -> list[Document]:
    documents = []
    for i in range(count):
        fields: list[dict[str, Any]] = [text(f"t{k}") for k in range(20)]
        fields += [{"name": f"n{k}", "type": "decimal", "scale": 2} for k in range(10)]
        fields += [{"name": f"d{k}", "type": "date"} for k in range(10)]
        fields += [{"name": f"p{k}", "type": "picklist", "values": [{"value": v} for v in "abc"]} for k in range(5)]
        fields += [{"name": "parent", "type": "lookup", "object": f"o{max(i - 1, 0)}"}]
        fields += [
            {"name": f"f{k}", "type": "formula", "returns": "number", "formula": f"n{k} * 2 + n1"} for k in range(4)
        ]
        rules = [{"name": f"r{k}", "error_when": f"n{k} < 0", "message": "No."} for k in range(3)]
        documents.append(obj(f"o{i}", *fields, rules=rules))
    made = [Document(place("object", d), "object", d, "p") for d in documents]
    manifest = {"kind": "package", "name": "p", "version": "1", "label": "P"}
    made.append(Document("manifest.json", "package", manifest, "p"))
    return made


def _seconds(documents: list[Document], count: int) -> float:
    started = time.process_time()
    registry = compile_registry(documents, types=TYPES, trusted=True)
    assert registry.graph is not None
    assert len(registry.objects) == count + 4
    return time.process_time() - started
