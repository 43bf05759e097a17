"""Roles as they are compiled: rights add up, rows close rather than open, links follow their object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor, system_actor
from ratoon.platform.access.policy import Policy
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound
from ratoon.platform.records.reading import Query

ZOO: list[dict[str, Any]] = [
    {"kind": "package", "name": "zoo", "version": "1.0.0", "label": "Zoo"},
    {
        "kind": "object", "name": "cage", "label": "Cage", "plural_label": "Cages", "title": "name",
        "fields": [{"name": "name", "type": "text", "label": "Name"},
                   {"name": "open", "type": "boolean", "label": "Open"}],
    },
    {
        "kind": "object", "name": "animal", "label": "Animal", "plural_label": "Animals", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "weight", "type": "decimal", "label": "Weight", "precision": 8, "scale": 1},
            {"name": "price", "type": "currency", "label": "Price"},
            {"name": "cage", "type": "lookup", "label": "Cage", "object": "cage"},
            {"name": "mother", "type": "hierarchy", "label": "Mother"},
            {"name": "friends", "type": "many_to_many", "label": "Friends", "object": "cage"},
        ],
    },
    {"kind": "role", "name": "visitor", "label": "Visitor", "objects": {"animal": ["read"]},
     "fields": {"animal.price": []}, "rows": {"animal": "cage.open"}},
    {"kind": "role", "name": "vet", "label": "Vet", "objects": {"animal": ["read", "edit"]},
     "fields": {"animal.price": ["read"], "animal.name": ["read"]}, "rows": {"animal": "weight > 100"}},
    {"kind": "role", "name": "keeper", "label": "Keeper", "objects": {"animal": ["read"]},
     "rows": {"animal": "owner = $user.id || mother.cage.open"}},
    {"kind": "role", "name": "director", "label": "Director", "objects": {"*": ["read"], "animal": ["read", "delete"]}},
]  # fmt: skip


@pytest.fixture
def zoo(open_world: Callable[..., Environment]) -> Environment:
    """Four animals: Leo in the open cage, Gina heavy, Bo heavy and in the open cage, Cub whose mother is Leo."""
    environment = open_world(ZOO)
    with environment.write(SYSTEM) as records:
        free, shut = records.create("cage", [{"name": "Free", "open": True}, {"name": "Shut"}])
        leo, _, _ = records.create(
            "animal",
            [
                {"name": "Leo", "weight": "90", "cage": free["id"]},
                {"name": "Gina", "weight": "900", "cage": shut["id"]},
                {"name": "Bo", "weight": "300", "cage": free["id"]},
            ],
        )
        records.create("animal", [{"name": "Cub", "weight": "4", "mother": leo["id"]}])
    return environment


def policy(zoo: Environment) -> Policy:
    return zoo.engine.policy


def somebody(*roles: str) -> Actor:
    return replace(
        system_actor("session"), id="01900000-0000-7000-8000-00000000aaaa", admin=False, roles=frozenset(roles)
    )


SEEN = {
    (): None,
    ("nonsense",): None,
    ("visitor",): {"Leo", "Bo"},
    ("vet",): {"Gina", "Bo"},
    ("visitor", "vet"): {"Leo", "Gina", "Bo"},
    ("keeper",): {"Cub"},
    ("keeper", "visitor"): {"Leo", "Bo", "Cub"},
    ("director",): {"Leo", "Gina", "Bo", "Cub"},
    ("director", "visitor"): {"Leo", "Gina", "Bo", "Cub"},
}
"""Roles → the animals they see; ``None`` = the object is closed."""


def test_each_set_of_roles_sees_its_rows_in_lists_counts_and_single_reads(zoo: Environment) -> None:
    with zoo.read(SYSTEM) as records:
        ids = {r["name"]: r["id"] for r in records.list(Query("animal")).records}
    for roles, names in SEEN.items():
        with zoo.read(somebody(*roles)) as records:
            if names is None:
                with pytest.raises(NotFound):
                    records.list(Query("animal"))
                continue
            page = records.list(Query("animal", count=True))
            assert ({r["name"] for r in page.records}, page.total) == (names, len(names)), roles
            assert records.aggregate("animal") == [{"count": len(names)}]
            for name, record in ids.items():
                if name in names:
                    assert records.get("animal", record)["name"] == name
                else:
                    with pytest.raises(NotFound):
                        records.get("animal", record)


def test_rows_are_limited_for_the_action_that_is_asked(zoo: Environment) -> None:
    """Visitors read what is in the open cage, vets edit what is heavy: both together edit only the heavy ones."""
    both = somebody("visitor", "vet")
    with zoo.read(SYSTEM) as records:
        ids = {r["name"]: r["id"] for r in records.list(Query("animal")).records}
    from ratoon.platform.records.drafts import Change

    with zoo.write(both) as records:
        assert records.update("animal", [Change(ids["Bo"], {"weight": "301"})])
    with pytest.raises(NotFound), zoo.write(both) as records:
        records.update("animal", [Change(ids["Leo"], {"weight": "91"})])


def test_fields_follow_the_object_unless_a_role_names_them(zoo: Environment) -> None:
    rules = policy(zoo)
    assert "price" not in rules.readable_keys(somebody("visitor"), "animal")
    assert "price_currency" not in rules.readable_keys(somebody("visitor"), "animal")
    assert {"price", "price_currency"} <= rules.readable_keys(somebody("visitor", "vet"), "animal")
    editable = rules.editable_keys(somebody("vet"), "animal")
    assert "weight" in editable
    assert not {"price", "name", "created_at", "id"} & editable
    assert rules.editable_keys(somebody("visitor"), "animal") == frozenset()
    assert rules.readable_keys(somebody(), "animal") == frozenset()


def test_a_star_stands_for_the_objects_a_role_does_not_name(zoo: Environment) -> None:
    rules, director = policy(zoo), somebody("director")
    assert rules.may(director, "cage", "read")
    assert not rules.may(director, "cage", "delete")
    assert rules.may(director, "animal", "delete")
    assert {obj.name for obj in rules.objects(director)} >= {"cage", "animal", "user"}


def test_everybody_with_a_role_sees_who_owns_a_record_and_nobody_else_does(zoo: Environment) -> None:
    rules = policy(zoo)
    assert rules.may(somebody("visitor"), "user", "read")
    assert not rules.may(somebody("visitor"), "user", "edit")
    assert rules.row_filter(somebody("visitor"), "user") == ()
    assert not rules.may(somebody(), "user", "read")
    assert not rules.may(somebody("nonsense"), "user", "read")


def test_links_follow_the_object_that_declares_them(zoo: Environment) -> None:
    rules = policy(zoo)
    junction = zoo.registry["animal"].fields["friends"].junction
    assert junction is not None
    assert rules.may(somebody("visitor"), junction, "read")
    assert not rules.may(somebody("visitor"), junction, "create")
    assert rules.may(somebody("vet"), junction, "create")
    assert rules.may(somebody("vet"), junction, "delete")


def test_a_closed_object_is_answered_like_one_that_is_not_there(zoo: Environment) -> None:
    rules = policy(zoo)
    with pytest.raises(NotFound):
        rules.require(SYSTEM, "dragon", "read")
    with pytest.raises(NotFound) as closed:
        rules.require(somebody("visitor"), "cage", "read")
    with pytest.raises(NotFound) as unknown:
        rules.require(somebody("visitor"), "page", "read")
    assert closed.value.text().replace("cage", "page") == unknown.value.text()
    rules.require(SYSTEM, "cage", "delete")


def test_an_actor_with_an_unknown_time_zone_lives_in_utc() -> None:
    assert replace(SYSTEM, time_zone="Mars/Olympus").zone.key == "UTC"
    assert replace(SYSTEM, time_zone="../etc/passwd").zone.key == "UTC"
    assert replace(SYSTEM, time_zone="Asia/Shanghai").zone.key == "Asia/Shanghai"
