"""Records that come with a package: made once, changed where the package changed them, and otherwise left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.errors import ValidationFailed
from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Language, Target, TestsFailed, apply_package, check_packages, export, rollback
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import audit

TEXT = {"type": "text", "max_length": 40}
GEO: list[dict[str, Any]] = [
    {"kind": "package", "name": "geo", "version": "1.0.0", "label": "Countries"},
    {"kind": "object", "name": "city", "label": "City", "title": "name", "fields": [
        {"name": "name", "label": "Name", "external_id": True, **TEXT},
        {"name": "country", "label": "Country", "type": "lookup", "object": "country"}]},
    {"kind": "object", "name": "country", "label": "Country", "title": "name", "fields": [
        {"name": "code", "label": "Code", "external_id": True, **TEXT},
        {"name": "name", "label": "Name", "required": True, **TEXT},
        {"name": "note", "label": "Note", **TEXT},
        {"name": "part_of", "label": "Part of", "type": "hierarchy"}]},
    {"kind": "data", "object": "country", "key": "code", "records": [
        {"code": "CN", "name": "China"}, {"code": "HK", "name": "Hong Kong", "part_of.code": "CN"},
        {"code": "SG", "name": "Singapore"}]},
    {"kind": "data", "object": "city", "key": "name", "records": [{"name": "Shenzhen", "country.code": "CN"}]},
]  # fmt: skip


def files(documents: list[dict[str, Any]]) -> dict[str, bytes]:
    return {place(str(d["kind"]), d): canonical(d).encode() for d in documents}


def edited(change: Callable[[dict[str, dict[str, Any]]], None]) -> dict[str, bytes]:
    """The package after ``change`` got the countries by code."""
    documents = copy.deepcopy(GEO)
    records = {record["code"]: record for record in documents[3]["records"]}
    change(records)
    documents[3]["records"] = list(records.values())
    return files(documents)


def countries(world: Any) -> dict[str, dict[str, Any]]:
    with world.read(SYSTEM) as records:
        return {r["code"]: r for r in records.list(Query("country", limit=100)).records}


@pytest.fixture
def geo(open_world: Callable[..., Any]) -> Any:
    world = open_world()
    apply_package(Target.of(world), files(GEO))
    return world


def test_records_are_made_with_their_lookups_wherever_the_package_goes(
    geo: Any, open_world: Callable[..., Any]
) -> None:
    other = open_world()
    applied = apply_package(Target.of(other), export(Target.of(geo), "geo").as_zip())
    assert applied.records == 4
    assert [n.message for n in applied.plan.notes if n.code == "reference_data"] == [
        "Reference data of country: 3 records are made, 0 changed.",
        "Reference data of city: 1 records are made, 0 changed.",
    ]
    for world in (geo, other):
        found = countries(world)
        assert found["HK"]["part_of"] == found["CN"]["id"]
        with world.read(SYSTEM) as records:
            assert records.list(Query("city")).records[0]["country"] == found["CN"]["id"]
    assert apply_package(Target.of(other), files(GEO)).records == 0


def test_what_users_wrote_and_deleted_stays(geo: Any) -> None:
    there = countries(geo)

    def work(records: Any) -> None:
        records.update("country", [Change(there["CN"]["id"], {"note": "big", "name": "PRC"})])
        records.update("country", [Change(there["SG"]["id"], {"name": "S'pore"})])
        records.delete("country", [there["HK"]["id"]])

    geo.transact(SYSTEM, work)

    def change(by_code: dict[str, dict[str, Any]]) -> None:
        by_code["CN"]["name"] = "People's Republic of China"
        by_code["HK"]["name"] = "Hongkong"
        by_code["FR"] = {"code": "FR", "name": "France"}
        del by_code["SG"]

    revision = geo.registry.revision
    applied = apply_package(Target.of(geo), edited(change))
    (note,) = [n for n in applied.plan.notes if n.code == "reference_data"]
    assert (applied.records, note.count) == (2, 2)
    found = countries(geo)
    assert {code: r["name"] for code, r in found.items()} == {
        "CN": "People's Republic of China", "SG": "S'pore", "FR": "France",
    }  # fmt: skip
    assert found["CN"]["note"] == "big"
    rollback(Target.of(geo), revision, allow_destructive=True)
    assert countries(geo)["CN"]["name"] == "China"
    assert "FR" in countries(geo)


def test_a_record_that_the_rules_refuse_stops_everything(geo: Any) -> None:
    revision = geo.registry.revision
    with pytest.raises(ValidationFailed):
        apply_package(Target.of(geo), edited(lambda by_code: by_code["CN"].update(name="x" * 41)))
    assert geo.registry.revision == revision
    with pytest.raises(ValidationFailed):
        apply_package(Target.of(geo), edited(lambda by_code: by_code["HK"].update({"part_of.code": "XX"})))


def test_validating_runs_the_tests_with_the_data_and_leaves_nothing(geo: Any) -> None:
    test = {
        "kind": "test", "name": "france", "label": "Paris is in France",
        "steps": [{"create": {"record": "paris", "object": "city", "values": {"name": "Paris", "country.code": "FR"}},
                   "then": {"found": [{"object": "country", "filter": "code = \"FR\"", "count": 1}]}}],
    }  # fmt: skip
    with_france = edited(lambda by_code: by_code.update(FR={"code": "FR", "name": "France"}))
    source = {**with_france, "tests/france.json": canonical(test).encode()}
    applied = apply_package(Target.of(geo), source, validate_only=True)
    assert [o.label for o in applied.tests] == ["Paris is in France"]
    assert "FR" not in countries(geo)
    with pytest.raises(TestsFailed) as failed:
        apply_package(Target.of(geo), {**files(GEO), "tests/france.json": canonical(test).encode()}, validate_only=True)
    assert "unknown_reference" in str(failed.value.outcomes)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"object": "countri"}, "unknown_object"),
        ({"key": "name"}, "unknown_field"),
        ({"records": [{"name": "x"}]}, "missing_key"),
        ({"records": [{"code": "A", "name": "x"}, {"code": "A", "name": "y"}]}, "duplicate"),
        ({"records": [{"code": "A", "nam": "x"}]}, "unknown_field"),
        ({"records": 7}, "wrong_type"),
    ],
)
def test_data_that_cannot_be_meant_is_refused_by_the_check(change: dict[str, Any], code: str) -> None:
    documents = copy.deepcopy(GEO)
    documents[3] |= change
    checked = check_packages([files(documents)], Language(builtin_types()))
    assert code in {f.code for f in checked.findings if f.file.startswith("data/")}


def test_the_audit_trail_says_who_changed_what_from_which_package(geo: Any) -> None:
    apply_package(Target.of(geo), edited(lambda by_code: by_code["CN"].update(name="Zhongguo")), by="command line",
                  message="Names")  # fmt: skip
    with geo.database.read() as connection:
        entry = next(e for e in audit.entries(connection) if e.trail == "setup")
    assert (entry.action, entry.object, entry.subject) == ("applied", "revision", str(geo.registry.revision))
    assert entry.detail is not None
    assert entry.detail["packages"] == {"geo": "1.0.0"}
    assert entry.detail["components"] == ["changed geo/data/country.json"]
    assert (entry.detail["message"], entry.detail["by"]) == ("Names", "command line")
