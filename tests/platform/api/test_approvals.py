"""Approvals and checklists over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM

DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "package", "name": "leave", "version": "1.0.0", "label": "Leave"},
    {
        "kind": "object", "name": "leave", "label": "Leave", "plural_label": "Leaves", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"}, {"name": "stage", "type": "stage", "label": "Stage"},
            {"name": "checker", "type": "user", "label": "Checker"},
        ],
    },
    {
        "kind": "pipeline", "object": "leave", "name": "p", "label": "P",
        "stages": [{"name": "new", "checklist": [{"name": "ask", "label": "Ask"}]}, {"name": "done"}],
    },
    {
        "kind": "approval", "object": "leave", "name": "leave", "label": "Leave",
        "steps": [{"name": "one", "own": True, "approvers": [{"field": "checker"}]}],
    },
]  # fmt: skip


@pytest.fixture
def office(open_world: Any, site_of: Any) -> Any:
    return site_of(open_world(DOCUMENTS))


@pytest.fixture
def admin(office: Any) -> Any:
    return office.client("Ada", admin=True)


def test_a_request_is_made_answered_and_told(office: Any, admin: Any) -> None:
    me = admin.get("/me")["id"]
    (record,) = office.environment.transact(SYSTEM, lambda r: r.create("leave", [{"name": "A", "checker": me}]))
    made = admin.post("/approvals", {"object": "leave", "record": record["id"], "comment": "please"}, 201)
    assert [q["title"] for q in admin.get("/approvals")["questions"]] == ["A"]
    assert admin.post("/approvals", {"object": "leave", "record": record["id"]}, 409)["code"] == "conflict"
    done = admin.post(f"/approvals/{made['id']}/decision", {"approve": True, "comment": "fine"}, 200)
    assert done["state"] == "approved"
    told = admin.get(f"/records/leave/{record['id']}/approvals")["approvals"]
    assert [d["comment"] for d in told[0]["decisions"]][:2] == ["please", "fine"]
    assert admin.post(f"/approvals/{made['id']}/recall", {}, 409)["code"] == "conflict"
    assert admin.post(f"/approvals/{record['id']}/recall", {}, 404)["code"] == "not_found"
    assert admin.post("/approvals", {"object": "leave"}, 422)["code"] == "validation_failed"


def test_somebody_stands_in(office: Any, admin: Any) -> None:
    (user,) = office.environment.transact(SYSTEM, lambda r: r.create("user", [{"name": "B", "email": "b@x.cn"}]))
    made = admin.post("/delegations", {"delegate": user["id"], "ends_at": "2030-01-01T00:00:00Z"}, 201)
    assert [d["delegate"] for d in admin.get("/delegations")["delegations"]] == [user["id"]]
    assert admin.call("DELETE", f"/delegations/{made['id']}").status_code == 204
    assert admin.call("DELETE", f"/delegations/{made['id']}").status_code == 404
    wrong = {"delegate": user["id"], "ends_at": "2001-01-01T00:00:00Z"}
    assert admin.post("/delegations", wrong, 400)["code"] == "bad_request"


def test_tasks_are_ticked_off(office: Any, admin: Any) -> None:
    (record,) = office.environment.transact(SYSTEM, lambda r: r.create("leave", [{"name": "A"}]))
    path = f"/records/leave/{record['id']}/tasks"
    assert [t["done"] for t in admin.get(path)["tasks"]] == [False]
    assert [t["done"] for t in admin.post(path, {"task": "ask"}, 200)["tasks"]] == [True]
    assert admin.post(path, {"task": "ask", "done": False}, 200)["tasks"][0]["done"] is False
    assert admin.post(path, {"task": "nothing"}, 404)["code"] == "not_found"
