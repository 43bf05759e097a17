"""Tried as an attacker would: what must not work, each in one test. The matrix covers the channels of the records."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.automation.webhooks import Call, Caller, Undelivered, is_public
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, Forbidden, NotFound, RatoonError, ValidationFailed
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query

BANK: list[dict[str, Any]] = [
    {"kind": "package", "name": "bank", "version": "1.0.0", "label": "Bank"},
    {"kind": "object", "name": "client", "label": "Client", "title": "name", "default_access": "private", "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "blocked", "type": "boolean", "label": "Blocked"},
        {"name": "rating", "type": "integer", "label": "Rating"},
        {"name": "iban", "type": "text", "label": "IBAN", "unique": True, "external_id": True}]},
    {"kind": "object", "name": "deposit", "label": "Deposit", "title": "name", "fields": [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "client", "type": "lookup", "object": "client", "label": "Client", "on_delete": "restrict"},
        {"name": "points", "type": "integer", "label": "Points", "default": "client.rating"}],
     "rules": [{"name": "not_blocked", "error_when": "client.blocked", "message": "The client is blocked."}]},
    {"kind": "role", "name": "clerk", "label": "Clerk", "objects": {"*": ["create", "read", "edit", "delete"]},
     "fields": {"client.rating": []}},
]  # fmt: skip
NOWHERE = "01900000-0000-7000-8000-fffffffffffe"


class Bank:
    """A clerk, and a client of somebody else's that the clerk must not learn about."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        accounts = Accounts(environment.world)
        with environment.write(SYSTEM) as records:
            user = accounts.create_user(records, name="Carl", email="carl@example.com", roles=["clerk"])
            other = accounts.create_user(records, name="Olga", email="olga@example.com", roles=["clerk"])
            self.other = other
            (hidden,) = records.create(
                "client", [{"name": "Hidden", "blocked": True, "rating": 9, "iban": "DE1", "owner": other}]
            )
            (mine,) = records.create("client", [{"name": "Mine", "rating": 3, "iban": "DE2", "owner": user}])
            records.create("deposit", [{"name": "d", "client": mine["id"]}])
            self.hidden, self.mine = hidden["id"], mine["id"]
        with environment.database.read() as conn:
            clerk = accounts.actor_for_user(conn, user)
        assert clerk is not None
        self.clerk: Actor = clerk

    def refused(self, call: Callable[[Any], Any]) -> RatoonError:
        with pytest.raises(RatoonError) as refused, self.environment.write(self.clerk) as records:
            call(records)
        return refused.value


@pytest.fixture
def bank(open_world: Callable[..., Environment]) -> Bank:
    return Bank(open_world(BANK))


def said(error: RatoonError, *ids: str) -> str:
    """Everything a refusal says, without the ids that were sent."""
    problems = [(p.code, p.text(), p.field) for p in getattr(error, "problems", ())]
    text = repr((type(error).__name__, error.text(), problems))
    for id in ids:
        text = text.replace(id, "ID")
    return text


def test_a_typed_id_says_the_same_whether_the_record_is_hidden_or_not_there(bank: Bank) -> None:
    """No rule, default or formula reads the hidden record before the id is refused."""
    answers = {
        said(bank.refused(lambda r, id=id: r.create("deposit", [{"name": "x", "client": id}])), id)
        for id in (bank.hidden, NOWHERE)
    }
    assert len(answers) == 1
    assert "blocked" not in answers.pop()
    for call in (
        lambda r, id: r.get("client", id),
        lambda r, id: r.update("client", [Change(id, {"name": "x"})]),
        lambda r, id: r.delete("client", [id]),
        lambda r, id: r.restore("client", [id]),
        lambda r, id: r.history("client", id),
        lambda r, id: r.stage_history("client", id),
    ):
        assert len({said(bank.refused(lambda r, id=id, c=call: c(r, id)), id) for id in (bank.hidden, NOWHERE)}) == 1


def test_a_deleted_record_of_somebody_else_cannot_be_brought_back(bank: Bank) -> None:
    with bank.environment.write(SYSTEM) as records:
        records.delete("client", [bank.hidden])
    assert isinstance(bank.refused(lambda r: r.restore("client", [bank.hidden])), NotFound)
    with bank.environment.read(bank.clerk) as records:
        assert records.list(Query("client", deleted=True)).records == []


def test_upsert_and_unique_do_not_say_whose_value_it_is(bank: Bank) -> None:
    upsert = bank.refused(lambda r: r.upsert("client", "iban", [{"iban": "DE1", "name": "x"}]))
    create = bank.refused(lambda r: r.create("client", [{"iban": "DE1", "name": "x"}]))
    assert said(upsert) == said(create)
    for error in (upsert, create):
        assert isinstance(error, ValidationFailed)
        assert bank.hidden not in repr([problem.params for problem in error.problems])


def test_system_fields_and_the_owner_of_others_records_cannot_be_assigned(bank: Bank) -> None:
    for key, value in {
        "id": NOWHERE, "version": 99, "created_by": bank.other, "created_at": "2020-01-01T00:00:00Z",
        "modified_by": bank.other, "deleted_at": "2020-01-01T00:00:00Z", "deletion_id": NOWHERE,
    }.items():  # fmt: skip
        error = bank.refused(lambda r, k=key, v=value: r.create("client", [{"name": "x", k: v}]))
        assert isinstance(error, ValidationFailed), key
    assert isinstance(bank.refused(lambda r: r.update("user", [Change(bank.clerk.id, {"is_admin": True})])), Forbidden)
    assert isinstance(bank.refused(lambda r: r.create("user_team_member", [{}])), Forbidden)


def test_hidden_fields_neither_filter_nor_sort_nor_add_up_nor_expand(bank: Bank) -> None:
    for query in (
        Query("client", filter="rating > 5"), Query("client", sort=["rating"]), Query("client", fields=["rating"]),
        Query("deposit", filter="client.rating > 5"), Query("client", filter="SUM(deposits.client.rating) > 1"),
    ):  # fmt: skip
        error = bank.refused(lambda r, q=query: r.list(q))
        assert isinstance(error, BadRequest)
        assert error.params.get("near") != "rating"
    for measure in ("sum", "min", "max", "avg", "count"):
        error = bank.refused(lambda r, m=measure: r.aggregate("client", measures=[(m, "rating")]))
        assert isinstance(error, BadRequest)
    assert isinstance(bank.refused(lambda r: r.aggregate("client", group_by=["rating"])), BadRequest)
    assert isinstance(bank.refused(lambda r: r.upsert("client", "rating", [{"rating": 9}])), BadRequest)


def test_long_and_nested_filters_are_refused_at_once(bank: Bank) -> None:
    for source in (
        "(" * 5000 + "TRUE" + ")" * 5000,
        "name = '" + "x" * 200_000 + "'",
        "NOT(" * 400 + "TRUE" + ")" * 400,
    ):
        assert isinstance(bank.refused(lambda r, s=source: r.list(Query("client", filter=s))), BadRequest)


def test_what_hangs_on_a_record_is_not_told_to_who_may_not_see_it(bank: Bank) -> None:
    with bank.environment.write(SYSTEM) as records:
        records.delete("deposit", [d["id"] for d in records.list(Query("deposit")).records])
    narrow = Actor(bank.clerk.id, "Carl", roles=frozenset({"clerk"}), scope=None)
    assert narrow.rights == bank.clerk.rights
    with bank.environment.write(SYSTEM) as records:
        (deposit,) = records.create("deposit", [{"name": "of mine", "client": bank.mine}])
    error = bank.refused(lambda r: r.delete("client", [bank.mine]))
    assert isinstance(error, Conflict)
    assert error.params["records"] == [deposit["id"]]


def test_forged_tokens_and_cursors_open_nothing(bank: Bank) -> None:
    accounts = Accounts(bank.environment.world)
    with bank.environment.database.read() as conn:
        for forged in ("", "rtn_", "rtn_' OR 1=1 --", "rtn_" + "x" * 10_000, "\0", "\ud800"):
            assert accounts.actor_for_token(conn, forged) is None
            assert accounts.actor_for_session(conn, forged) is None
    assert isinstance(bank.refused(lambda r: r.list(Query("client", cursor="eyJhIjoxfQ.forged"))), BadRequest)


def test_nothing_comes_along_through_a_hidden_lookup(open_world: Callable[..., Environment]) -> None:
    """Expanding, filtering, grouping and sorting by a lookup that a role hides are answered like no such field."""
    documents = [{**d, "fields": {"deposit.client": []}} if d["kind"] == "role" else d for d in BANK]
    bank = Bank(open_world(documents))
    for query in (
        Query("deposit", expand=["client"]), Query("deposit", filter="client.name = 'Mine'"),
        Query("deposit", filter=f"client = '{bank.mine}'"), Query("deposit", sort=["client"]),
        Query("deposit", fields=["client"]), Query("client", filter="COUNT(deposits) > 0"),
    ):  # fmt: skip
        error = bank.refused(lambda r, q=query: r.list(q))
        assert isinstance(error, BadRequest | Forbidden), query
        assert "Mine" not in said(error)
    assert isinstance(bank.refused(lambda r: r.aggregate("deposit", group_by=["client"])), BadRequest)
    assert isinstance(bank.refused(lambda r: r.lookup("deposit", "client", "Mi")), BadRequest | NotFound | Forbidden)


def test_filters_that_grow_are_refused_before_they_cost(bank: Bank) -> None:
    for source in (
        " || ".join(f"name = 'n{number}'" for number in range(20_000)),
        "client." * 500 + "name = 'x'",
        "IF(" * 300 + "TRUE" + ", TRUE, FALSE)" * 300,
        "REPT(REPT(REPT('x', 10000), 10000), 10000) = 'x'",
    ):
        began = time.process_time()
        assert isinstance(bank.refused(lambda r, s=source: r.list(Query("deposit", filter=s))), BadRequest)
        assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::", "192.0.2.1"],
)  # fmt: skip
def test_no_call_reaches_a_private_address_however_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://localhost/", "http://2130706433/", "http://0x7f.1/",
     "http://127.1/", "http://0/", "http://user@127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "http:///x"],
)  # fmt: skip
def test_no_call_reaches_this_machine_under_another_name(url: str) -> None:
    caller = Caller(b"secret", lambda: datetime(2026, 11, 21, tzinfo=UTC))
    with pytest.raises(Undelivered) as refused:
        caller.send(Call(url, b"{}", "key", timeout=2.0))
    assert refused.value.params.get("reason") is None, "it was tried"
