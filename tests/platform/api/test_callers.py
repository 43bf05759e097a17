"""Who may call: tokens, sessions of the browser, and what each role sees and changes."""

from __future__ import annotations

from typing import Any

import pytest
from flask import request
from flask import session as page_session
from flask_wtf.csrf import generate_csrf

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.keys import FRESH_SECONDS
from ratoon.platform.api.auth import SESSION_KEY, Callers
from ratoon.platform.api.problems import Unauthenticated


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "bearer", "Bearer rtn_é", "Bearer a b c", "rtn_x"],
)
def test_without_a_token_that_works_nothing_is_told(shop: Any, header: str) -> None:
    headers = {"Authorization": header.encode().decode("latin-1")}
    for path in ("/me", "/records/customer", "/records/nothing", "/objects", "/openapi.json", "/metadata/history"):
        response = shop.stranger().call("GET", path, headers=headers)
        assert (response.status_code, response.json["code"]) == (401, "unauthenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_stops_within_a_second(shop: Any) -> None:
    user, token = shop.user("Ada", admin=True)
    now = [100.0]
    callers = Callers(shop.environment.database, Accounts(shop.environment.world), lambda: now[0])

    def works() -> bool:
        with shop.app.test_request_context("/", headers={"Authorization": f"Bearer {token}"}):
            try:
                return callers.actor(request).id == user
            except Unauthenticated:
                return False

    assert works()
    with shop.environment.database.write() as connection:
        (info,) = shop.accounts.tokens_of(connection, user)
        assert info.last_used_at is not None
        shop.accounts.revoke_token(connection, info.id)
    now[0] += FRESH_SECONDS / 2
    assert works()
    now[0] += FRESH_SECONDS
    assert not works()


def browser(shop: Any) -> tuple[Any, str]:
    """A test client with the session of a signed-in user, and the page's CSRF token."""
    user, _ = shop.user("Bea", admin=True)
    with shop.environment.database.write() as connection:
        secret = shop.accounts.start_session(connection, user)
    shop.app.config["WTF_CSRF_ENABLED"] = True
    client = shop.app.test_client()
    with client.session_transaction() as session:
        session[SESSION_KEY] = secret
        session["csrf_token"] = "a" * 40
    with shop.app.test_request_context("/"):
        page_session["csrf_token"] = "a" * 40
        return client, generate_csrf()


def test_a_browser_session_may_read_and_with_the_pages_token_write(shop: Any) -> None:
    client, token = browser(shop)
    assert client.get("/api/v1/me").json["name"] == "Bea"
    refused = client.post("/api/v1/records/customer", json={"name": "A"})
    assert (refused.status_code, refused.json["code"]) == (403, "csrf")
    forged = client.post("/api/v1/records/customer", json={"name": "A"}, headers={"X-CSRFToken": "forged"})
    assert (forged.status_code, forged.json["code"]) == (403, "csrf")
    assert (
        client.post("/api/v1/records/customer", json={"name": "A"}, headers={"X-CSRFToken": token}).status_code == 201
    )


def test_somebody_without_a_role_sees_nothing(nobody: Any, admin: Any) -> None:
    made = admin.post("/records/customer", {"name": "A"})
    assert nobody.get("/objects")["objects"] == []
    assert nobody.get("/search?q=a")["results"] == []
    nobody.get("/objects/customer", status=404)
    for path in ("/records/customer", f"/records/customer/{made['id']}", "/records/customer/aggregate"):
        assert nobody.get(path, status=404)["code"] == "not_found"
    assert nobody.post("/records/customer", {"name": "B"}, status=404)["code"] == "not_found"
    document = nobody.get("/openapi.json")
    assert not [path for path in document["paths"] if path.startswith("/records/")]
    assert nobody.get("/me")["name"] == "Nora"


def test_a_role_hides_objects_fields_and_rows_on_every_way_in(admin: Any, clerk: Any) -> None:
    plain, gold = admin.post(
        "/records/customer", [{"name": "Plain", "margin": "5"}, {"name": "Golden", "tier": "gold", "margin": "7"}]
    )["records"]
    admin.post("/records/purchase", [{"customer": plain["id"], "amount": "1"}, {"customer": gold["id"], "amount": "2"}])

    answer = clerk.get("/records/customer?count=true&sort=name")
    assert ([r["name"] for r in answer["records"]], answer["total"]) == (["Plain"], 1)
    assert "margin" not in answer["records"][0]
    assert clerk.get(f"/records/customer/{gold['id']}", status=404)["code"] == "not_found"
    assert clerk.patch(f"/records/customer/{gold['id']}", {"name": "Mine"}, status=404)["code"] == "not_found"
    for query in ("?filter=margin > 1", "?sort=margin", "?fields=margin", "/aggregate?group_by=margin",
                  "/aggregate?measures=sum:margin"):  # fmt: skip
        problem = clerk.get(f"/records/customer{query}", status=400)
        assert "margin" in problem["detail"]
    assert clerk.get("/records/customer/aggregate")["groups"] == [{"count": 1}]
    assert clerk.get("/search?q=golden")["results"] == []
    assert [r["title"] for r in clerk.get("/search?q=plain")["results"]] == ["Plain"]
    assert clerk.get(f"/records/customer/{gold['id']}/history", status=404)

    purchases = clerk.get("/records/purchase?expand=customer&sort=number")["records"]
    assert [p["expanded"]["customer"] and p["expanded"]["customer"]["name"] for p in purchases] == ["Plain", None]
    assert "margin" not in str(purchases)

    described = clerk.get("/objects/customer")
    assert "margin" not in [field["name"] for field in described["fields"]]
    assert described["actions"] == ["create", "read", "edit"]
    document = clerk.get("/openapi.json")
    assert "margin" not in document["components"]["schemas"]["customer"]["properties"]
    assert "credit" not in document["components"]["schemas"]["customer_new"]["properties"]
    assert "delete" not in document["paths"]["/records/customer/{id}"]


def test_a_role_limits_what_is_written(admin: Any, clerk: Any) -> None:
    made = clerk.post("/records/customer", {"name": "New"})
    assert "margin" not in made
    for values in ({"credit": "5"}, {"margin": "5"}):
        problem = clerk.patch(f"/records/customer/{made['id']}", values, status=422)
        assert [error["pointer"] for error in problem["errors"]] == ["/" + next(iter(values))]
    assert clerk.delete(f"/records/customer/{made['id']}", status=403)["code"] == "forbidden"
    assert clerk.post("/records/purchase", {"amount": "1"}, status=403)["code"] == "forbidden"
    assert clerk.get("/metadata/history", status=403)["code"] == "forbidden"
    assert clerk.post("/metadata/apply", {"files": {}}, status=403)["code"] == "forbidden"


def test_a_row_filter_through_a_lookup_holds(admin: Any, clerk: Any) -> None:
    made = admin.post("/records/customer", {"name": "A"})
    admin.post("/records/purchase", {"customer": made["id"], "amount": "1"})
    admin.patch(f"/records/customer/{made['id']}", {"active": False})
    assert clerk.get("/records/purchase")["records"] == []
