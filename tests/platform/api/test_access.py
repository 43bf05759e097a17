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


def test_the_audit_trail_is_filtered_told_in_words_and_read_page_by_page(shop: Any, admin: Any, clerk: Any) -> None:
    customer = admin.post("/records/customer", {"name": "Mine"})["id"]
    cleo, _ = shop.user("Cleo", roles=("clerk",))
    admin.put(f"/access/users/{cleo}", {"roles": [], "permission_sets": []})
    admin.post(f"/records/customer/{customer}/transfer", {"owner": cleo}, 200)
    made = admin.post("/me/tokens", {"label": "Sync", "objects": ["customer"], "read_only": True}, 201)

    def found(query: str = "", **more: Any) -> list[str]:
        return [entry["action"] for entry in admin.get(f"/audit?{query}", **more)["entries"]]

    assert found("by=ada@example.com") == ["token_made", "transferred", "granted"]
    assert found("by=ada@example.com&action=granted&trail=access") == ["granted"]
    assert found(f"object=customer&record={customer}") == ["transferred"]
    assert found("by=platform&object=user&action=granted") != []
    assert found("from=2026-11-21&until=2026-11-21&by=ada@example.com&limit=1") == ["token_made"]
    assert found("until=2026-11-20") == []
    assert found("package=shop") == ["applied"]
    assert found("component=customer/object.json&trail=setup") == ["applied"]
    (moved,) = admin.get(f"/audit?record={customer}")["entries"]
    assert moved["email"] == "ada@example.com"
    assert moved["words"] == {"what": "Given away", "who": "Ada", "kind": "Customer", "subject": "Mine",
                              "details": [{"label": "New owner", "new": ["Cleo"]}]}  # fmt: skip
    (given,) = admin.get(f"/audit?object=user&record={cleo}&by=ada@example.com")["entries"]
    assert given["words"]["details"] == [{"label": "Roles", "old": ["Clerk"], "new": ["none"]}]
    token, *_ = admin.get("/audit?action=token_made", headers={"Accept-Language": "zh-Hans"})["entries"]
    assert token["words"]["subject"] == "“Sync” of Ada"
    assert {"label": "Only these objects", "new": ["客户"]} in token["words"]["details"], (
        "labels in the caller's language"
    )
    assert made["token"] not in str(token)

    first = admin.get("/audit?limit=2")
    second = admin.get(f"/audit?limit=2&cursor={first['next_cursor']}")
    numbers = [entry["number"] for entry in (*first["entries"], *second["entries"])]
    assert numbers == list(range(numbers[0], numbers[0] - 4, -1))
    assert admin.get(f"/access/audit?limit=2&before={first['next_cursor']}")["entries"] == second["entries"]
    assert admin.get("/audit?limit=500")["next_cursor"] is None
    clerk.get("/audit", status=403)
    shop.stranger().get("/audit", status=401)


def test_a_wrong_filter_of_the_trail_is_a_problem_that_says_which_one(admin: Any) -> None:
    for query, field in (
        ("trail=signin", "trail"), ("by=x@example.com", "by"), ("action=grant", "action"), ("object=custmer", "object"),
        ("record=7", "record"), ("package=nothing", "package"), ("from=yesterday", "from"), ("until=2026-13", "until"),
        ("from=2026-11-21&until=2026-11-20", "until"), ("cursor=0", "cursor"), ("cursor=99999999", "cursor"),
        ("limit=501", "limit"), ("record=01900000-0000-7000-8000-000000000001&subject=x", "subject"),
        ("from=9999-12-31&until=9999-12-31", "until"), ("subject=" + "x" * 400, "subject"),
    ):  # fmt: skip
        problem = admin.get(f"/audit?{query}", 400)
        assert (problem["parameter"], problem["status"]) == (field, 400), problem
    assert admin.get("/audit?user=x", 400)["code"] == "unknown_parameter"
    assert "Did you mean granted?" in admin.get("/audit?action=grant", 400)["detail"]
