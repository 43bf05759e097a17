"""What admins and programs see: why, what would happen, buttons, calls from outside, runs to repeat, previews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import create_app
from ratoon.platform.environment import Environment
from ratoon.platform.jobs import drain
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.notifications import notify

TASK = {"type": "create_record", "object": "task", "values": {"subject": '"Call " & name', "contract": "id"}}
COMMON = {"kind": "automation", "object": "contract", "when": "after_commit"}
DOCUMENTS = [
    {**COMMON, "name": "big", "label": "Big", "on": ["created"], "condition": "amount > 100 && NOT(ISBLANK(number))",
     "actions": [TASK]},
    {**COMMON, "name": "offer", "label": "Offer", "on": ["button"], "condition": "amount > 0",
     "button": {"label": "Send offer", "visible_when": 'NOT(ISPICKVAL(state, "won"))'},
     "actions": [
         {"type": "set_fields", "values": {"note": '"offered"'}},
         {"type": "send_email", "template": "won", "to": '"ann@example.com"'},
         {"type": "wait", "for": {"days": 1}},
         {"type": "call_webhook", "url": "https://example.com/x", "values": {"n": "name"}},
         TASK,
     ]},
    {**COMMON, "name": "from_shop", "label": "From the shop", "on": ["inbound"],
     "inbound": {"mapping": {"name": "order.title", "number": "order.id", "amount": "sum"}, "key": "number"},
     "actions": [TASK]},
]  # fmt: skip


class Web:
    """The API as an administrator and as somebody without rights."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.client = create_app(env, Plugins()).test_client()
        accounts = Accounts(env.world)
        with env.write(SYSTEM) as records:
            self.users = {
                name: accounts.create_user(records, name=name, email=f"{name}@x.example", password="Secret-pass-2026",
                                           admin=name == "ada")
                for name in ("ada", "bob")
            }  # fmt: skip
            self.tokens = {
                name: accounts.create_token(records.connection, user_id=user, label="test")
                for name, user in self.users.items()
            }

    def call(self, method: str, path: str, body: Any = None, who: str = "ada", status: int = 200) -> Any:
        token = self.tokens[who]
        text = token if isinstance(token, str) else token[0]
        answer = self.client.open(
            f"/api/v1{path}", method=method, json=body, headers={"Authorization": f"Bearer {text}"}
        )
        assert answer.status_code == status, answer.text
        return answer.json


@pytest.fixture
def web(agency: Callable[..., Environment]) -> Web:
    return Web(agency(*DOCUMENTS))


def create(env: Environment, **values: Any) -> str:
    return str(env.transact(SYSTEM, lambda records: records.create("contract", [values]))[0]["id"])


def tasks(env: Environment) -> list[str]:
    with env.read(SYSTEM) as records:
        return sorted(r["subject"] for r in records.list(Query("task")).records)


def test_why_names_the_part_that_decides(web: Web) -> None:
    record = create(web.env, name="c", amount=500)
    told = web.call("GET", f"/automations/why?object=contract&record={record}")["automations"]
    big = next(a for a in told if a["automation"] == "contract.big")
    assert big["fits"] is False
    assert "number" in big["because"]
    assert "500" not in big["because"]
    assert big["last_run"] is None
    web.call("GET", f"/automations/why?object=contract&record={record}", who="bob", status=403)


def test_a_try_shows_everything_and_keeps_nothing(web: Web) -> None:
    record = create(web.env, name="c", amount=5)
    body = {"object": "contract", "automation": "offer", "record": record}
    told = web.call("POST", "/automations/try", body)
    assert told["condition"] is True
    assert told["records"][f"contract/{record}"]["note"] == "offered"
    assert [next(iter(s)) for s in told["sent"]] == ["mail", "wait", "call"]
    assert told["sent"][0]["mail"]["subject"] == "c won"
    assert list(told["changes"]["task"].values()) == ["created"]
    assert tasks(web.env) == []
    assert web.call("GET", "/runs")["runs"] == []
    with web.env.read(SYSTEM) as records:
        assert records.get("contract", record)["note"] is None


def test_an_administrator_makes_an_automation_a_draft_over_http(web: Web) -> None:
    body = {"automation": "contract.big", "status": "draft"}
    web.call("POST", "/automations/status", body, who="bob", status=403)
    assert web.call("POST", "/automations/status", {**body, "validate_only": True})["validated_only"] is True
    web.call("POST", "/automations/status", body)
    listed = web.call("GET", "/automations?object=contract")["automations"]
    assert {a["automation"]: a["status"] for a in listed}["contract.big"] == "draft"
    texts = web.call("GET", "/automations/versions?automation=contract.big")["versions"]
    assert [v["status"] for v in texts] == ["draft", "active"]
    web.call("POST", "/automations/status", {**body, "automation": "contract.nothing"}, status=404)
    web.call("POST", "/automations/status", {**body, "status": "loud"}, status=422)


def test_a_button_runs_for_those_who_may_edit(web: Web) -> None:
    record = create(web.env, name="c", amount=5)
    body = {"object": "contract", "automation": "offer", "record": record}
    web.call("POST", "/automations/press", body, who="bob", status=404)
    run = web.call("POST", "/automations/press", body)["run"]
    drain(web.env)
    shown = web.call("GET", f"/runs/{run}")
    assert (shown["trigger"], shown["state"], shown["error_code"]) == ("button", "failed", "given_up")
    assert [(s["step"], s["state"]) for s in shown["steps"]] == [("1", "done"), ("2", "failed")]
    assert "RATOON_SMTP_HOST" in shown["error"]
    won = create(web.env, name="d", amount=5, state="won")
    web.call("POST", "/automations/press", {**body, "record": won}, status=409)
    poor = create(web.env, name="e", amount=0)
    web.call("POST", "/automations/press", {**body, "record": poor}, status=409)


def test_a_call_from_outside_makes_and_changes_a_record(web: Web) -> None:
    body = {"order": {"id": "7", "title": "Chairs"}, "sum": "12.50", "more": [1]}
    first = web.call("POST", "/inbound/contract.from_shop", body)
    assert first["created"] is True
    second = web.call("POST", "/inbound/contract.from_shop", {**body, "sum": "13.00"})
    assert (second["id"], second["created"]) == (first["id"], False)
    drain(web.env)
    assert tasks(web.env) == ["Call Chairs", "Call Chairs"]
    web.call("POST", "/inbound/contract.from_shop", body, who="bob", status=404)
    web.call("POST", "/inbound/contract.nothing", body, status=404)
    web.call("POST", "/inbound/contract.from_shop", {"order": {"id": "8"}}, status=422)
    told = web.call("POST", "/inbound/contract.from_shop", {"other": 1}, status=400)["detail"]
    assert told == "The JSON has none of the values that contract.from_shop takes: order.id, order.title, sum."


def test_a_call_from_outside_that_is_repeated_with_its_key_counts_once(web: Web) -> None:
    body = {"order": {"title": "Once", "id": "1"}}
    token = web.tokens["ada"]
    headers = {"Authorization": f"Bearer {token if isinstance(token, str) else token[0]}", "Idempotency-Key": "a1"}
    answers = [web.client.post("/api/v1/inbound/contract.from_shop", json=body, headers=headers).json for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["created"] is True
    drain(web.env)
    assert tasks(web.env) == ["Call Once"]


def test_dead_letters_are_listed_and_replayed_together(web: Web, receiver: Any) -> None:
    records = [create(web.env, name=name, amount=5) for name in ("a", "b")]
    for record in records:
        web.call("POST", "/automations/press", {"object": "contract", "automation": "offer", "record": record})
    drain(web.env)
    letters = web.call("GET", "/runs/undelivered?rule=contract.offer")["undelivered"]
    assert {(r["kind"], r["record"]) for r in letters} == {("send_email", record) for record in records}
    assert all("RATOON_SMTP_HOST" in r["error"] for r in letters)
    web.call("POST", "/runs/retry", {}, who="bob", status=403)
    assert web.call("POST", "/runs/retry", {"rule": "contract.big"}) == {"retried": 0}
    assert web.call("POST", "/runs/retry", {"rule": "contract.offer"}) == {"retried": 2}
    assert web.call("GET", "/runs/undelivered")["undelivered"] == []


def test_runs_are_listed_repeated_and_cancelled_by_administrators(web: Web) -> None:
    create(web.env, name="c", amount=500, number="1")
    (run,) = web.call("GET", "/runs?state=waiting&rule=contract.big")["runs"]
    assert web.call("POST", f"/runs/{run['id']}/cancel")["state"] == "cancelled"
    web.call("POST", f"/runs/{run['id']}/cancel", status=409)
    drain(web.env)
    assert tasks(web.env) == []
    assert web.call("POST", f"/runs/{run['id']}/retry")["state"] == "waiting"
    drain(web.env)
    assert tasks(web.env) == ["Call c"]
    shown = web.call("GET", f"/runs/{run['id']}")
    assert list(shown["seen"].values()) == [{"amount": "500.00", "number": "1"}]
    web.call("GET", "/runs", who="bob", status=403)
    web.call("GET", "/runs?state=odd", status=400)


def test_a_template_is_previewed_with_a_record(web: Web) -> None:
    record = create(web.env, name="Roof", amount=5, state="open")
    made = web.call("POST", "/templates/preview", {"template": "won", "record": record, "locale": "zh-Hans"})
    assert made["subject"] == "Roof已赢得"
    web.call("POST", "/templates/preview", {"template": "lost"}, status=404)


def test_notifications_are_read_by_their_user_only(web: Web) -> None:
    with web.env.write(SYSTEM) as records:
        for name in ("one", "two"):
            notify(records.connection, web.env.world, web.users["bob"], name)
        assert notify(records.connection, web.env.world, web.users["bob"], "x", key="k") is not None
        assert notify(records.connection, web.env.world, web.users["bob"], "x", key="k") is None
    assert web.call("GET", "/notifications")["unread"] == 0
    mine = web.call("GET", "/notifications", who="bob")
    assert (mine["unread"], [n["title"] for n in mine["notifications"]]) == (3, ["x", "two", "one"])
    assert web.call("POST", "/notifications/read", {"ids": [mine["notifications"][0]["id"]]}, who="bob")["read"] == 1
    assert web.call("POST", "/notifications/read", {}, who="bob")["read"] == 2
