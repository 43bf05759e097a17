"""A small shop served over HTTP: every kind of field that an API client meets, roles that see different things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from werkzeug.test import TestResponse

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.access.passwords import Passwords
from ratoon.platform.api import create_api
from ratoon.platform.environment import Environment
from ratoon.platform.storage.sealed import Seal, use_seal

CUSTOMER: dict[str, Any] = {
    "kind": "object", "name": "customer", "label": "Customer", "plural_label": "Customers", "title": "name",
    "description": "Somebody who buys.",
    "fields": [
        {"name": "name", "type": "text", "label": "Name", "required": True, "searchable": True, "max_length": 80},
        {"name": "code", "type": "text", "label": "Code", "external_id": True},
        {"name": "email", "type": "email", "label": "E-mail", "unique": True},
        {"name": "tier", "type": "picklist", "label": "Tier", "values": [
            {"value": "gold", "label": "Gold"}, {"value": "silver", "label": "Silver"}]},
        {"name": "interests", "type": "multipicklist", "label": "Interests", "values": [
            {"value": "tea", "label": "Tea"}, {"value": "rice", "label": "Rice"}]},
        {"name": "discount", "type": "percent", "label": "Discount", "scale": 1, "min": 0, "max": 100},
        {"name": "credit", "type": "currency", "label": "Credit", "track_history": True},
        {"name": "weight", "type": "decimal", "label": "Weight", "precision": 10, "scale": 3},
        {"name": "visits", "type": "integer", "label": "Visits", "min": 0},
        {"name": "active", "type": "boolean", "label": "Active", "default": "TRUE"},
        {"name": "since", "type": "date", "label": "Since"},
        {"name": "seen_at", "type": "datetime", "label": "Seen"},
        {"name": "opens", "type": "time", "label": "Opens"},
        {"name": "note", "type": "textarea", "label": "Note", "help": "Anything worth knowing."},
        {"name": "story", "type": "richtext", "label": "Story"},
        {"name": "site", "type": "url", "label": "Site"},
        {"name": "extra", "type": "json", "label": "Extra"},
        {"name": "key", "type": "secret", "label": "Key"},
        {"name": "home", "type": "address", "label": "Home"},
        {"name": "parent", "type": "hierarchy", "label": "Parent"},
        {"name": "orders", "type": "rollup", "label": "Orders", "of": "purchase", "via": "customer",
         "operation": "count"},
        {"name": "spent", "type": "rollup", "label": "Spent", "of": "purchase", "via": "customer",
         "operation": "sum", "field": "amount"},
        {"name": "margin", "type": "decimal", "label": "Margin", "precision": 10, "scale": 2},
    ],
    "rules": [
        {"name": "no_early_visit", "error_when": "visits > 1000", "message": "Nobody comes so often.",
         "field": "visits"},
        {"name": "big_credit", "error_when": "credit > 100000", "message": "That is a lot of credit.",
         "field": "credit", "severity": "warning"},
    ],
}  # fmt: skip
PURCHASE: dict[str, Any] = {
    "kind": "object", "name": "purchase", "label": "Purchase", "plural_label": "Purchases", "title": "number",
    "fields": [
        {"name": "number", "type": "autonumber", "label": "Number", "format": "P-{0000}"},
        {"name": "customer", "type": "lookup", "label": "Customer", "object": "customer", "on_delete": "restrict",
         "filter": "active"},
        {"name": "amount", "type": "decimal", "label": "Amount", "precision": 12, "scale": 2},
        {"name": "stage", "type": "stage", "label": "Stage"},
        {"name": "about", "type": "polymorphic", "label": "About", "objects": ["customer", "purchase"]},
        {"name": "replaces", "type": "lookup", "label": "Replaces", "object": "purchase",
         "filter": "amount < $source.amount"},
        {"name": "double", "type": "formula", "label": "Double", "returns": "number", "scale": 2,
         "formula": "amount * 2"},
    ],
}  # fmt: skip
PIPELINE: dict[str, Any] = {
    "kind": "pipeline", "object": "purchase", "name": "standard", "label": "Standard", "field": "stage",
    "stages": [
        {"name": "new", "label": "New", "category": "open", "next": ["paid", "lost"]},
        {"name": "paid", "label": "Paid", "category": "won", "required_fields": ["amount"]},
        {"name": "lost", "label": "Lost", "category": "lost"},
    ],
}  # fmt: skip
SHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "shop", "version": "1.0.0", "label": "Shop"},
    CUSTOMER,
    PURCHASE,
    PIPELINE,
    {"kind": "view", "object": "customer", "name": "gold", "label": "Gold", "columns": ["name", "spent"],
     "filter": 'ISPICKVAL(tier, "gold")', "sort": ["-spent", "name"]},
    {"kind": "role", "name": "clerk", "label": "Clerk",
     "objects": {"customer": ["create", "read", "edit"], "purchase": ["read"]},
     "fields": {"customer.margin": [], "customer.credit": ["read"]},
     "rows": {"customer": "NOT(ISPICKVAL(tier, \"gold\"))", "purchase": "customer.active"}},
    {"kind": "strings", "locale": "zh-Hans",
     "texts": {"Customer": "客户", "Customers": "客户", "Name": "名称",
               "Nobody comes so often.": "没有人来得这么频繁。"}},
]  # fmt: skip
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Client:
    """Calls the API as somebody."""

    def __init__(self, app: Flask, token: str | None) -> None:
        self._client = app.test_client()
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, **arguments: Any) -> TestResponse:
        """One call; ``path`` begins after ``/api/v1``."""
        headers = {**self.headers, **arguments.pop("headers", {})}
        return self._client.open(f"/api/v1{path}", method=method, headers=headers, **arguments)

    def get(self, path: str, status: int = 200, **arguments: Any) -> Any:
        """The JSON of a GET that must answer with ``status``."""
        return self._expect(status, self.call("GET", path, **arguments))

    def post(self, path: str, body: Any = None, status: int = 201, **arguments: Any) -> Any:
        """The JSON of a POST."""
        return self._expect(status, self.call("POST", path, json=body, **arguments))

    def patch(self, path: str, body: Any, status: int = 200, **arguments: Any) -> Any:
        """The JSON of a PATCH."""
        return self._expect(status, self.call("PATCH", path, json=body, **arguments))

    def put(self, path: str, body: Any, status: int = 200, **arguments: Any) -> Any:
        """The JSON of a PUT."""
        return self._expect(status, self.call("PUT", path, json=body, **arguments))

    def delete(self, path: str, status: int = 204, **arguments: Any) -> Any:
        """What a DELETE answers; ``None`` when it was done."""
        return self._expect(status, self.call("DELETE", path, **arguments))

    def _expect(self, status: int, response: TestResponse) -> Any:
        assert response.status_code == status, (response.status_code, response.get_data(as_text=True)[:2000])
        if response.status_code == 204:
            assert response.get_data() == b""
            return None
        kind = "application/problem+json" if status >= 400 else "application/json"
        assert response.content_type == kind
        return response.json


class Shop:
    """The shop with its API."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.accounts = Accounts(environment.world, Passwords(CHEAP))
        self.app = Flask("shop")
        self.app.testing = True
        self.app.secret_key = "for tests"
        self.app.register_blueprint(create_api(environment))

    def user(self, name: str, *, admin: bool = False, roles: tuple[str, ...] = ()) -> tuple[str, str]:
        """Id and token of a new user."""
        with self.environment.write(SYSTEM) as records:
            user_id = self.accounts.create_user(
                records, name=name, email=f"{name.lower()}@example.com", admin=admin, roles=roles
            )
            return user_id, self.accounts.create_token(records.connection, user_id, label="test")[0]

    def client(self, name: str, *, admin: bool = False, roles: tuple[str, ...] = ()) -> Client:
        """A client that calls as a new user."""
        return Client(self.app, self.user(name, admin=admin, roles=roles)[1])

    def with_token(self, token: str) -> Client:
        """A client that shows this token."""
        return Client(self.app, token)

    def stranger(self) -> Client:
        """A client without a token."""
        return Client(self.app, None)


@pytest.fixture
def shop(open_world: Callable[..., Environment]) -> Iterator[Shop]:
    """The shop, once per kind of database."""
    environment = open_world(SHOP)
    use_seal(environment.database.engine, Seal(["the key of the shop"]))
    yield Shop(environment)
    environment.close()


@pytest.fixture
def site_of() -> Callable[[Environment], Shop]:
    """The API of any environment."""
    return Shop


@pytest.fixture
def admin(shop: Shop) -> Client:
    """A client that may do everything."""
    return shop.client("Ada", admin=True)


@pytest.fixture
def clerk(shop: Shop) -> Client:
    """A client with the role ``clerk``."""
    return shop.client("Carl", roles=("clerk",))


@pytest.fixture
def nobody(shop: Shop) -> Client:
    """A client without any role."""
    return shop.client("Nora")
