"""Access over HTTP: tokens with limits, sessions, shares, transfer, explanations, roles, the audit trail."""

from __future__ import annotations

from typing import Any


def test_a_limited_token_reaches_no_further(shop: Any, admin: Any) -> None:
    made = admin.post("/me/tokens", {"label": "reader", "objects": ["customer"], "read_only": True, "days": 3}, 201)
    assert made["objects"] == ["customer"]
    assert made["read_only"] is True
    reader = shop.with_token(made["token"])
    admin.post("/records/customer", {"name": "Old"})
    assert reader.get("/records/customer")["records"]
    assert [obj["name"] for obj in reader.get("/objects")["objects"]] == ["customer"]
    reader.post("/records/customer", {"name": "New"}, 403)
    reader.get("/records/purchase", status=403)
    reader.get("/metadata/history", status=403)
    reader.post("/me/tokens", {"label": "more"}, 403)
    reader.get("/records/customer?filter=owner.name%3D%22x%22", status=400)
    listed = {token["label"]: token for token in admin.get("/me/tokens")["tokens"]}
    assert listed["reader"]["expires_at"] is not None
    admin.delete(f"/me/tokens/{made['id']}")
    admin.delete(f"/me/tokens/{made['id']}", status=404)


def test_records_are_given_away_and_explained(shop: Any, admin: Any) -> None:
    customer = admin.post("/records/customer", {"name": "Mine"})
    user = admin.get("/records/user")["records"][0]["id"]
    assert admin.get(f"/records/customer/{customer['id']}/shares") == {"shares": []}
    refused = admin.post(f"/records/customer/{customer['id']}/shares", {"grantee": f"user:{user}"}, 409)
    assert refused["code"] == "conflict"
    moved = admin.post(f"/records/customer/{customer['id']}/transfer", {"owner": user, "children": True}, 200)
    assert moved["transferred"]["customer"] == 1
    told = admin.get(f"/access/explain?user={user}&object=customer&id={customer['id']}")
    assert {action["action"] for action in told["actions"]} == {"read", "edit", "delete", "transfer", "export"}
    admin.put(f"/access/users/{user}", {"roles": ["nonsense"]}, 400)
    assert admin.get(f"/access/users/{user}")["permission_sets"] == []
    assert "transferred" in {e["action"] for e in admin.get("/access/audit?trail=access")["entries"]}
    assert admin.get("/me/sessions") == {"sessions": []}
