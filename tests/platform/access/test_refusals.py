"""What a refusal says: nothing of fields that whoever saves may not read, whatever refuses.

A clerk works with deals of which the worth, the level, the code and the backer are hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError, ValidationFailed
from ratoon.platform.records.by_key import resolved
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.service import RecordService

ALL = ["create", "read", "edit", "delete"]
HOUSE: list[dict[str, Any]] = [
    {"kind": "package", "name": "house", "version": "1.0.0", "label": "House"},
    {
        "kind": "object", "name": "backer", "label": "Backer", "plural_label": "Backers", "title": "name",
        "default_access": "private",
        "fields": [{"name": "name", "type": "text", "label": "Name"},
                   {"name": "number", "type": "text", "label": "Number", "external_id": True}],
    },
    {
        "kind": "object", "name": "deal", "label": "Deal", "plural_label": "Deals", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "worth", "type": "integer", "label": "Secret worth"},
            {"name": "twice", "type": "formula", "label": "Twice", "formula": "worth * 2", "returns": "number"},
            {"name": "code", "type": "text", "label": "Secret code", "unique": True},
            {"name": "must", "type": "text", "label": "Secret must", "required_when": 'name = "Must"'},
            {"name": "level", "type": "picklist", "label": "Secret level",
             "values": [{"value": "gold", "label": "Golden"}, {"value": "tin", "label": "Tinny"}]},
            {"name": "line", "type": "picklist", "label": "Line", "depends_on": "level",
             "values": [{"value": "a", "label": "A", "for": ["gold"]}, {"value": "b", "label": "B"}]},
            {"name": "backer", "type": "lookup", "label": "Secret backer", "object": "backer", "on_delete": "restrict"},
        ],
        "rules": [{"name": "root", "error_when": 'name = "Root" && SQRT(worth - 1000) > 5', "message": "Too much."},
                  {"name": "told", "error_when": 'name = "Told" && worth > 0', "message": "Not so.", "field": "worth"}],
    },
    {"kind": "automation", "object": "deal", "name": "log", "label": "Log", "on": ["updated"], "when": "before",
     "condition": 'name = "Log"', "actions": [{"type": "set_fields", "values": {"line": "TEXT(LOG(worth - 1000))"}}]},
    {"kind": "role", "name": "clerk", "label": "Clerk", "objects": {"deal": ALL, "backer": ALL},
     "fields": {f"deal.{name}": [] for name in ("worth", "twice", "code", "must", "level", "backer")}},
    {"kind": "role", "name": "reader", "label": "Reader", "objects": {"deal": ["read"], "backer": ["read"]}},
]  # fmt: skip
HIDDEN = ("Secret", "991", "C-1", "Golden", "Tinny", "gold", "tin")
"""What no refusal may contain."""


@dataclass
class House:
    """The house with a deal, and what is refused in it."""

    world: Environment
    clerk: Actor
    deal: str

    def refusal(self, work: Callable[[RecordService], Any], actor: Actor | None = None) -> str:
        """Everything a refusal says."""
        with pytest.raises(RatoonError) as error:
            self.world.transact(actor or self.clerk, work)
        problems = error.value.problems if isinstance(error.value, ValidationFailed) else ()
        told = [(p.code, p.text(), p.field, dict(p.params)) for p in problems]
        return repr((type(error.value).__name__, error.value.text(), told))

    def changing(self, **values: Any) -> str:
        return self.refusal(lambda r: r.update("deal", [Change(self.deal, values)]))


@pytest.fixture
def house(open_world: Callable[..., Environment]) -> House:
    world = open_world(HOUSE)
    with world.write(SYSTEM) as records:
        (user,) = records.create("user", [{"name": "Cleo", "email": "cleo@x.cn"}])
        values = {"name": "Deal", "worth": 9, "code": "C-1", "must": "x", "level": "tin"}
        (deal,) = records.create("deal", [values])
    return House(world, Actor(user["id"], "Cleo", roles=frozenset({"clerk"})), deal["id"])


@pytest.mark.parametrize(
    "values",
    [{"name": "Root"}, {"name": "Log"}, {"line": "a"}, {"name": "Told"}],
    ids=["a rule that fails", "an automation that fails", "a value that depends", "a rule that points"],
)
def test_nothing_hidden_is_in_the_words_of_what_refuses(house: House, values: dict[str, Any]) -> None:
    told = house.changing(**values)
    assert not [word for word in HIDDEN if word in told], told
    assert "worth" not in told
    assert "level" not in told


def test_a_required_field_that_is_hidden_is_not_named(house: House) -> None:
    told = house.refusal(lambda r: r.create("deal", [{"name": "Must"}]))
    assert "unseen" in told
    assert "must" not in told


def test_a_computed_value_cannot_be_guessed_by_sending_it(house: House) -> None:
    guesses = ("twice", 18), ("twice", 19), ("tvice", 18), ("tvice", None), ("worth", 9), ("backer", None)
    answers = {house.changing(**{key: value}).replace(key, "…") for key, value in guesses}
    assert len(answers) == 1, answers
    assert "unknown_field" in answers.pop()


def test_a_field_that_is_read_but_not_changed_says_so(open_world: Callable[..., Environment]) -> None:
    narrowed = [{**d, "fields": {"deal.worth": ["read"]}} if d.get("name") == "clerk" else d for d in HOUSE]
    world = open_world(narrowed)
    with world.write(SYSTEM) as records:
        (deal,) = records.create("deal", [{"name": "Deal", "worth": 9}])
    house = House(world, Actor(None, "Cleo", roles=frozenset({"clerk"})), deal["id"])
    assert "forbidden_field" in house.changing(worth=10)
    assert "There is no square root of -991" in house.changing(name="Root"), "who may read it is told"


def test_a_restored_record_does_not_say_which_hidden_value_was_taken(house: House) -> None:
    house.world.transact(SYSTEM, lambda r: r.delete("deal", [house.deal]))
    house.world.transact(SYSTEM, lambda r: r.create("deal", [{"name": "Other", "code": "C-1"}]))
    told = house.refusal(lambda r: r.restore("deal", [house.deal]))
    assert not [word for word in HIDDEN if word in told], told


def test_deleting_does_not_say_who_points_here_by_a_hidden_lookup(house: House) -> None:
    with house.world.write(SYSTEM) as records:
        (backer,) = records.create("backer", [{"name": "B", "owner": house.clerk.id}])
        records.update("deal", [Change(house.deal, {"backer": backer["id"]})])
    told = house.refusal(lambda r: r.delete("backer", [backer["id"]]))
    assert "that you may not see" in told
    assert house.deal not in told


def test_somebody_who_only_reads_learns_of_no_hidden_record_by_its_key(house: House) -> None:
    reader = Actor(house.clerk.id, "Rita", roles=frozenset({"reader"}))
    house.world.transact(SYSTEM, lambda r: r.create("backer", [{"name": "Hidden", "number": "N1"}]))
    answers = {
        house.refusal(lambda r, n=n: r.upsert("backer", "number", [{"number": n}]), reader) for n in ("N1", "N2")
    }
    assert len(answers) == 1, answers


def test_an_import_names_a_hidden_lookup_like_none(house: House) -> None:
    answers = {house.refusal(lambda r, name=name: resolved(r, "deal", [{f"{name}.number": "N1"}])).replace(name, "…")
               for name in ("backer", "bakker")}  # fmt: skip
    assert len(answers) == 1, answers
