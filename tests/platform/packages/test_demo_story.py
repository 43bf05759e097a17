"""A demo story is played on its own days, wholly or not at all, and once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, ValidationFailed
from ratoon.platform.packages.demo import load_demo, today
from ratoon.platform.records.reading import Query

Files = dict[str, dict[str, Any]]
STAGES = [
    {"name": "waiting", "label": "Waiting", "category": "open"},
    {"name": "adopted", "label": "Adopted", "category": "won"},
]
PACKAGE: Files = {
    "manifest.json": {"kind": "package", "name": "shelter", "version": "1.0.0", "label": "Shelter"},
    "person/object.json": {
        "kind": "object", "name": "person", "label": "Person", "plural_label": "People", "title": "name",
        "fields": [{"name": "name", "type": "text", "label": "Name", "required": True}],
    },
    "pet/object.json": {
        "kind": "object", "name": "pet", "label": "Pet", "plural_label": "Pets", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "born", "type": "date", "label": "Born"},
            {"name": "seen_at", "type": "datetime", "label": "Seen at"},
            {"name": "mother", "type": "hierarchy", "label": "Mother"},
            {"name": "keeper", "type": "polymorphic", "label": "Keeper", "objects": ["person", "pet"]},
            {"name": "friends", "type": "many_to_many", "label": "Friends", "object": "person",
             "attributes": [{"name": "since", "type": "date", "label": "Since"}]},
            {"name": "stage", "type": "stage", "label": "Stage"},
            {"name": "note", "type": "text", "label": "Note", "track_history": True},
        ],
    },
    "pet/pipelines/adoption.json": {
        "kind": "pipeline", "object": "pet", "name": "adoption", "label": "Adoption", "field": "stage",
        "stages": STAGES,
    },
}  # fmt: skip
STORY: Files = {
    "10_user.json": {
        "kind": "demo", "object": "user", "password": "very-secret-1",
        "records": [{"key": "wei", "day": -50, "values": {"name": "王维", "email": "wei@shelter.example"}}],
    },
    "20_pet.json": {
        "kind": "demo", "object": "pet",
        "records": [
            # The kitten comes first in the file and needs its mother, the keeper and a person of a later file.
            {"key": "kitten", "day": -30,
             "values": {"name": "Mochi", "mother": "@pet.cat", "keeper": "@person.lin", "born": -40,
                        "seen_at": "-31 08:30", "owner": "@user.wei",
                        "friends": [{"id": "@person.lin", "since": -29}]},
             "changes": [{"day": -12, "values": {"stage": "adopted"}}, {"day": -12, "values": {"note": "home"}}]},
            {"key": "cat", "day": -30, "values": {"name": "Nori"}},
        ],
        "updates": [{"day": -1, "where": "ISBLANK(note)", "values": {"note": "none"}}],
    },
    "30_person.json": {
        "kind": "demo", "object": "person", "records": [{"key": "lin", "day": -30, "values": {"name": "Lin"}}],
    },
}  # fmt: skip


@pytest.fixture
def shelter(tmp_path: Path) -> Path:
    """The package with its story, as a folder."""
    folder = tmp_path / "shelter"
    for name, data in {**PACKAGE, **{f"_demo/{name}": data for name, data in STORY.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.fixture
def world(open_world: Callable[..., Environment], shelter: Path) -> Environment:
    """An environment with the package applied."""
    return open_world(shelter)


def pets(environment: Environment) -> dict[str, dict[str, Any]]:
    """The pets by name."""
    with environment.read(SYSTEM) as records:
        return {row["name"]: row for row in records.list(Query("pet")).records}


def edit(folder: Path, file: str, change: Callable[[Any], None]) -> None:
    """Changes one file of the story."""
    path = folder / "_demo" / file
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_things_happen_on_their_days_by_their_owners(world: Environment, shelter: Path) -> None:
    assert load_demo(world, [shelter], anchor=date(2026, 6, 30)) == {"user": 1, "pet": 2, "person": 1}
    kitten, cat = pets(world)["Mochi"], pets(world)["Nori"]
    assert (kitten["mother"], kitten["keeper_object"]) == (cat["id"], "person")
    assert kitten["born"] == date(2026, 5, 21)
    assert kitten["seen_at"] == datetime(2026, 5, 30, 8, 30, tzinfo=UTC)
    assert kitten["created_at"].date() == date(2026, 5, 31)
    assert (kitten["created_by"], kitten["owner"]) == (kitten["owner"], kitten["created_by"])
    assert (kitten["note"], cat["note"]) == ("home", "none")
    with world.read(SYSTEM) as records:
        waiting, adopted = records.stage_history("pet", kitten["id"])
        (friend,) = records.get("pet", kitten["id"], fields=["friends"])["friends"]
        assert records.history("pet", kitten["id"])[0]["by"] == kitten["owner"]
    assert (waiting["left_at"] - waiting["entered_at"]).days in (17, 18)
    assert adopted["entered_at"].date() == date(2026, 6, 18)
    assert str(friend["since"]) == "2026-06-01"


def test_a_story_that_is_loaded_now_ends_now() -> None:
    assert today(datetime(2026, 11, 28, 5, 59, tzinfo=UTC)) == date(2026, 11, 27), "the day has hardly begun"
    assert today(datetime(2026, 11, 28, 6, tzinfo=UTC)) == date(2026, 11, 28)


def test_the_people_of_the_story_can_sign_in(world: Environment, shelter: Path) -> None:
    load_demo(world, [shelter])
    result = Accounts(world.world).sign_in(world.database, "wei@shelter.example", "very-secret-1")
    assert result.outcome == "ok"


def test_it_is_played_once(world: Environment, shelter: Path) -> None:
    load_demo(world, [shelter])
    before = pets(world)
    assert load_demo(world, [shelter]) == {}
    assert pets(world) == before


def test_ids_follow_the_days_on_which_records_were_made(world: Environment, shelter: Path) -> None:
    load_demo(world, [shelter])
    for pet in pets(world).values():
        made = int(pet["id"].replace("-", "")[:12], 16) / 1000
        assert abs(made - pet["created_at"].timestamp()) < 1


def test_a_user_who_is_there_already_is_kept(world: Environment, shelter: Path) -> None:
    with world.write(SYSTEM) as records:
        known = Accounts(world.world).create_user(records, name="Wei", email="wei@shelter.example")
    assert load_demo(world, [shelter]).get("user") is None
    assert pets(world)["Mochi"]["owner"] == known


def test_a_refused_record_leaves_nothing(world: Environment, shelter: Path) -> None:
    edit(shelter, "30_person.json", lambda data: data["records"].append({"key": "x", "day": -2, "values": {}}))
    with pytest.raises(ValidationFailed):
        load_demo(world, [shelter])
    assert pets(world) == {}
    edit(shelter, "30_person.json", lambda data: data["records"].pop())
    assert load_demo(world, [shelter])["pet"] == 2


def test_a_reference_to_nothing_is_named(world: Environment, shelter: Path) -> None:
    edit(shelter, "20_pet.json", lambda data: data["records"][1]["values"].update(mother="@pet.tiger"))
    with pytest.raises(BadRequest, match=r"pet\.tiger"):
        load_demo(world, [shelter])


@pytest.mark.parametrize("content", ["{", "[]", '{"object": "pet"}', '{"object": "pet", "records": [{}]}', "null"])
def test_a_file_that_is_no_story_is_named(world: Environment, shelter: Path, content: str) -> None:
    (shelter / "_demo" / "99_bad.json").write_text(content, encoding="utf-8")
    with pytest.raises(BadRequest, match=r"99_bad\.json"):
        load_demo(world, [shelter])


def test_an_unknown_object_and_a_wrong_time_are_named(world: Environment, shelter: Path) -> None:
    edit(shelter, "20_pet.json", lambda data: data["records"][0]["values"].update(seen_at="-31 tea time"))
    with pytest.raises(BadRequest, match="tea time"):
        load_demo(world, [shelter])
    edit(shelter, "20_pet.json", lambda data: data.update(object="pets"))
    with pytest.raises(BadRequest, match="pets"):
        load_demo(world, [shelter])


def test_a_package_without_a_story_is_passed_over(world: Environment, tmp_path: Path) -> None:
    assert load_demo(world, [tmp_path]) == {}
