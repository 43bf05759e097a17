"""Which rows reach whom: defaults, ownership, the role tree, teams, sharing rules, shares, masters."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, Forbidden, NotFound, RatoonError, ValidationFailed
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.ownership import Ownership
from ratoon.platform.records.reading import Query
from ratoon.platform.records.taking_out import as_csv
from ratoon.platform.storage.audit import entries

ALL = ["create", "read", "edit", "delete"]


def obj(name: str, *more: dict[str, Any], **options: Any) -> dict[str, Any]:
    fields = [{"name": "name", "type": "text", "label": "Name"}, *more]
    return {"kind": "object", "name": name, "label": name, "plural_label": name, "title": "name", "fields": fields,
            **options}  # fmt: skip


FIRM: list[dict[str, Any]] = [
    {"kind": "package", "name": "firm", "version": "1.0.0", "label": "Firm"},
    obj("deal", {"name": "amount", "type": "integer", "label": "Amount"}, default_access="private"),
    obj("line", {"name": "deal", "type": "master_detail", "object": "deal", "label": "Deal", "required": True}),
    obj("price", default_access="read"),
    obj("note"),
    {"kind": "role", "name": "boss", "label": "Boss", "objects": {"*": ALL}},
    {"kind": "role", "name": "lead", "label": "Lead", "parent": "boss", "objects": {"*": ALL}},
    {"kind": "role", "name": "seller", "label": "Seller", "parent": "lead", "objects": {"*": ALL}},
    {"kind": "role", "name": "clerk", "label": "Clerk", "objects": {"*": ["read", "edit"]}},
    {"kind": "permission_set", "name": "auditor", "label": "Auditor", "objects": {"deal": ["view_all"]}},
    {"kind": "permission_set", "name": "cleaner", "label": "Cleaner", "objects": {"deal": ["modify_all"]}},
    {"kind": "sharing", "name": "big", "label": "Big", "object": "deal", "when": "amount > 100",
     "with": [{"team": "Desk"}], "access": "read"},
    {"kind": "sharing", "name": "even_bigger", "label": "Bigger", "object": "deal", "when": "amount > 1000",
     "with": [{"role_and_below": "lead"}, {"user": "Ann@Example.com"}], "access": "edit"},
    {"kind": "sharing", "name": "off", "label": "Off", "object": "deal", "with": [{"role": "clerk"}], "access": "edit",
     "active": False},
]  # fmt: skip
PEOPLE = {"boss": "boss", "lead": "lead", "sam": "seller", "sue": "seller", "clerk": "clerk", "ann": "clerk"}


class Firm:
    """Six people; sam owns a deal of 1, sue one of 500, boss one of 5000; each has a line, a price and a note."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        accounts = Accounts(environment.world)
        with environment.write(SYSTEM) as records:
            self.ids = {
                name: accounts.create_user(records, name=name, email=f"{name}@example.com", roles=[role])
                for name, role in PEOPLE.items()
            }
            (team,) = records.create("user_team", [{"name": "Desk"}])
            self.team = team["id"]
            self.deals = {}
            for owner, amount in (("sam", 1), ("sue", 500), ("boss", 5000)):
                (deal,) = records.create("deal", [{"name": owner, "amount": amount, "owner": self.ids[owner]}])
                self.deals[owner] = deal["id"]
                records.create("line", [{"name": owner, "deal": deal["id"], "owner": self.ids["clerk"]}])
                for object in ("price", "note"):
                    records.create(object, [{"name": owner, "owner": self.ids[owner]}])

    def actor(self, name: str, *sets: str) -> Actor:
        accounts = Accounts(self.environment.world)
        with self.environment.database.write() as conn:
            accounts.set_permission_sets(conn, self.ids[name], sets)
            found = accounts.actor_for_user(conn, self.ids[name])
        assert found is not None
        return found

    def sees(self, actor: Actor, object: str = "deal") -> set[str]:
        with self.environment.read(actor) as records:
            page = records.list(Query(object, count=True))
        names = {record["name"] for record in page.records}
        assert page.total == len(names)
        return names

    def share(self, deal: str, grantee: str, access: str, by: Actor = SYSTEM) -> str:
        with self.environment.write(by) as records:
            return Ownership(records).share("deal", self.deals[deal], grantee, access).id

    def may(self, actor: Actor, what: str, object: str = "deal") -> set[str]:
        """The names of the records for which that works."""
        with self.environment.read(SYSTEM) as records:
            ids = {record["name"]: record["id"] for record in records.list(Query(object)).records}
        return {name for name, id in ids.items() if self._works(actor, what, object, id)}

    def _works(self, actor: Actor, what: str, object: str, id: str) -> bool:
        try:
            with self.environment.write(actor) as records:
                match what:
                    case "edit":
                        records.update(object, [Change(id, {"name": "changed"})])
                    case "give":
                        records.update(object, [Change(id, {"owner": actor.id})])
                    case "delete":
                        records.delete(object, [id])
                raise _Back
        except _Back:
            return True
        except RatoonError:
            return False


class _Back(Exception):
    pass


@pytest.fixture
def firm(open_world: Callable[..., Environment]) -> Firm:
    return Firm(open_world(FIRM))


def names(*given: str) -> set[str]:
    return set(given)


EVERYTHING = names("sam", "sue", "boss")


def test_private_records_reach_their_owner_and_those_above_in_the_role_tree(firm: Firm) -> None:
    assert firm.sees(firm.actor("sam")) == names("sam", "boss")  # the last by the rule even_bigger
    assert firm.sees(firm.actor("lead")) == EVERYTHING
    assert firm.sees(firm.actor("boss")) == EVERYTHING
    assert firm.sees(firm.actor("clerk")) == set()
    assert firm.may(firm.actor("lead"), "delete") == names("sam", "sue")
    assert firm.may(firm.actor("lead"), "edit") == EVERYTHING
    assert firm.may(firm.actor("sam"), "edit") == names("sam", "boss")
    assert firm.may(firm.actor("sam"), "delete") == names("sam")


def test_a_default_of_read_opens_reading_and_keeps_changing_to_owners(firm: Firm) -> None:
    sam = firm.actor("sam")
    assert firm.sees(sam, "price") == EVERYTHING
    assert firm.may(sam, "edit", "price") == names("sam") == firm.may(sam, "delete", "price")
    assert firm.sees(sam, "note") == EVERYTHING == firm.may(sam, "edit", "note")


def test_details_follow_their_master_not_their_owner(firm: Firm) -> None:
    assert firm.sees(firm.actor("clerk"), "line") == set()
    assert firm.sees(firm.actor("sam"), "line") == names("sam", "boss")
    assert firm.may(firm.actor("lead"), "edit", "line") == EVERYTHING
    firm.share("sue", "user:" + firm.ids["clerk"], "read")
    assert firm.sees(firm.actor("clerk"), "line") == names("sue")
    assert firm.may(firm.actor("clerk"), "edit", "line") == set()


def test_permission_sets_add_rights_beyond_sharing(firm: Firm) -> None:
    auditor = firm.actor("clerk", "auditor")
    assert firm.sees(auditor) == EVERYTHING
    assert firm.may(auditor, "edit") == set()
    assert firm.may(firm.actor("clerk", "cleaner"), "delete") == EVERYTHING
    assert firm.sees(firm.actor("clerk", "nonsense")) == set()


def test_sharing_rules_reach_teams_roles_below_and_single_users(firm: Firm) -> None:
    ann = firm.actor("ann")
    assert firm.sees(ann) == names("boss") == firm.may(ann, "edit")
    assert firm.may(ann, "delete") == set() == firm.may(ann, "give")
    with firm.environment.write(SYSTEM) as records:
        (member,) = records.create("user_team_member", [{"team": firm.team, "member": firm.ids["clerk"]}])
    clerk = firm.actor("clerk")
    assert firm.sees(clerk) == names("sue", "boss")
    assert firm.may(clerk, "edit") == set()
    with firm.environment.write(SYSTEM) as records:
        records.delete("user_team_member", [member["id"]])
    assert firm.sees(firm.actor("clerk")) == set()


def test_shares_of_single_records_open_and_close_them(firm: Firm) -> None:
    clerk, sue, sam = firm.actor("clerk"), firm.actor("sue"), firm.actor("sam")
    share = firm.share("sue", f"user:{clerk.id}", "read", sue)
    firm.share("sue", "below:lead", "edit", sue)
    assert firm.sees(clerk) == names("sue")
    assert firm.may(clerk, "edit") == set()
    assert firm.may(sam, "edit") == EVERYTHING
    assert firm.may(sam, "give") == names("sam") == firm.may(sam, "delete")
    for refused in (clerk, sam):
        with pytest.raises(Conflict):
            firm.share("sue", f"user:{refused.id}", "edit", refused)
    for unknown in ("user:nobody", "team:00000000-0000-7000-8000-000000000000", "role:nonsense", "moon"):
        with pytest.raises(BadRequest):
            firm.share("sue", unknown, "read", sue)
    with pytest.raises(NotFound):
        firm.share("sam", f"user:{clerk.id}", "read", clerk)
    with firm.environment.write(sue) as records:
        assert [s.grantee for s in Ownership(records).shares("deal", firm.deals["sue"])] == [
            f"user:{clerk.id}", "below:lead"]  # fmt: skip
        Ownership(records).unshare("deal", firm.deals["sue"], share)
        with pytest.raises(NotFound):
            Ownership(records).unshare("deal", firm.deals["sue"], share)
    assert firm.sees(clerk) == set()
    with firm.environment.database.read() as conn:
        assert [e.action for e in entries(conn, trail="access") if e.action not in ("granted", "user_made")] == [
            "unshared",
            "shared",
            "shared",
        ]


def test_a_transfer_takes_children_along_and_closes_shares(firm: Firm) -> None:
    sue, sam, lead = firm.actor("sue"), firm.actor("sam"), firm.actor("lead")
    with firm.environment.write(SYSTEM) as records:
        records.create("line", [{"name": "own", "deal": firm.deals["sue"], "owner": sue.id}])
    firm.share("sue", f"user:{firm.ids['clerk']}", "edit", sue)
    with pytest.raises(NotFound), firm.environment.write(sam) as records:
        Ownership(records).transfer("deal", [firm.deals["sue"]], sam.id or "")
    with firm.environment.write(lead) as records:
        moved = Ownership(records).transfer("deal", [firm.deals["sue"]], sam.id or "", children=True)
    assert moved == {"deal": 1, "line": 1}
    assert firm.sees(sam) == EVERYTHING
    assert firm.sees(sue) == names("boss")
    assert firm.sees(firm.actor("clerk")) == set()
    with firm.environment.read(SYSTEM) as records:
        owners = {r["name"]: r["owner"] for r in records.list(Query("line")).records}
    assert (owners["own"], owners["sue"]) == (sam.id, firm.ids["clerk"])


def test_nobody_gives_away_or_takes_what_only_was_shared_with_them(firm: Firm) -> None:
    sam = firm.actor("sam")
    with pytest.raises(ValidationFailed) as refused, firm.environment.write(sam) as records:
        records.update("deal", [Change(firm.deals["boss"], {"owner": sam.id})])
    assert [p.code for p in refused.value.problems] == ["not_yours"]
    with firm.environment.write(sam) as records:
        records.update("deal", [Change(firm.deals["sam"], {"owner": firm.ids["sue"]})])
    assert firm.sees(sam) == names("boss")


def test_details_are_made_only_under_masters_one_may_edit(firm: Firm) -> None:
    clerk = firm.actor("clerk", "auditor")
    firm.environment.engine.policy.require(clerk, "line", "edit")
    lead = firm.actor("lead")
    hidden = {"name": "x", "deal": firm.deals["sue"]}
    with firm.environment.write(lead) as records:
        records.create("line", [hidden])
    sam = firm.actor("sam")
    for given in (firm.deals["sue"], "01900000-0000-7000-8000-00000000ffff"):
        with pytest.raises(ValidationFailed) as refused, firm.environment.write(sam) as records:
            records.create("line", [{"name": "x", "deal": given}])
        assert [(p.code, p.field) for p in refused.value.problems] == [("unknown_record", "deal")]
    firm.share("sue", "role:seller", "read")
    with pytest.raises(ValidationFailed) as refused, firm.environment.write(sam) as records:
        records.create("line", [hidden])
    assert [p.code for p in refused.value.problems] == ["master_closed"]


def test_nobody_but_administrators_writes_what_lets_people_in(firm: Firm) -> None:
    boss = firm.actor("boss")
    policy = firm.environment.engine.policy
    assert not policy.may(boss, "user", "edit")
    assert not policy.may(boss, "user_team_member", "create")
    assert policy.may(boss, "user_team", "read")
    assert policy.editable_keys(boss, "user") == frozenset()


def test_a_list_goes_out_only_with_the_right_and_never_as_a_formula_for_a_spreadsheet(firm: Firm) -> None:
    with firm.environment.write(SYSTEM) as records:
        records.create("note", [{"name": '=HYPERLINK("x")', "owner": firm.ids["sam"]}])
        text = as_csv(records, Query("note", fields=["name", "owner"], sort=["name"]))
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0] == ["id", "version", "name", "owner", "owner.title"]
    assert lines[1][2:] == ['\'=HYPERLINK("x")', firm.ids["sam"], "sam"]
    with pytest.raises(Forbidden), firm.environment.write(firm.actor("boss")) as records:
        as_csv(records, Query("note"))
    with firm.environment.database.read() as conn:
        (entry,) = entries(conn, trail="export")
    assert (entry.object, (entry.detail or {})["records"]) == ("note", 4)
