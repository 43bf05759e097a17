"""A house with its doors: an app with any settings, a real OpenID Connect provider, a real mail server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import oidc_provider_mock
import pytest
import requests
from argon2 import PasswordHasher
from flask import Response, abort, g, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.access.passwords import Passwords, Policy
from ratoon.platform.app import create_app
from ratoon.platform.environment import Environment
from ratoon.platform.plugins import Plugins
from ratoon.platform.storage.audit import entries
from ratoon.ui import plugin as screens

PASSWORD = "correct horse battery"
PACKAGE: list[dict[str, Any]] = [
    {"kind": "package", "name": "house", "version": "1.0.0", "label": "House"},
    {"kind": "role", "name": "seller", "label": "Seller", "objects": {"user": ["read"]}},
    {"kind": "role", "name": "helper", "label": "Helper", "objects": {"user": ["read"]}},
]


@pytest.fixture
def time(time: Any) -> Any:
    """The clock of a provider is a real one: ours begins there."""
    time.now = datetime.now(UTC).replace(microsecond=0)
    return time


@dataclass
class House:
    """An environment, its application, and how to knock."""

    environment: Environment
    app: Any

    def person(self, email: str, **values: Any) -> str:
        """Makes a user; returns the id."""
        with self.environment.write(SYSTEM) as records:
            given = {"name": "Ada Lovelace", "password": PASSWORD, **values}
            return self.environment.accounts.create_user(records, email=email, **given)

    def visitor(self) -> Visitor:
        """Somebody with a browser of their own."""
        return Visitor(self, self.app.test_client())

    def trail(self) -> list[tuple[str, str]]:
        """(action, outcome) of the sign-in trail, newest first."""
        with self.environment.database.read() as connection:
            found = entries(connection, trail="sign_in")
        return [(entry.action, str((entry.detail or {}).get("outcome", ""))) for entry in found]

    def roles(self, user: str) -> tuple[str, ...]:
        """The roles of a user."""
        with self.environment.database.read() as connection:
            return self.environment.accounts.roles_of(connection, [user])[user]


@dataclass
class Visitor:
    """A browser: reads pages, sends forms back, follows the provider."""

    house: House
    client: Any
    token: str = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        answer = self.client.get(path, **more)
        found = re.search(r'name="csrf-token" content="([^"]+)"', answer.text)
        self.token = found.group(1) if found else self.token
        return answer

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token, **(data or {})}, **more)

    def sign_in(self, email: str, password: str = PASSWORD) -> TestResponse:
        self.get("/sign-in")
        return self.post("/sign-in", {"email": email, "password": password})

    def inside(self) -> bool:
        return self.get("/").status_code == 200

    def to_provider(self, path: str = "/sign-in/provider") -> str:
        """The address that the browser is sent to."""
        answer = self.client.get(path)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["Location"])

    def back(self, address: str) -> TestResponse:
        """Comes back from the provider; the page where that ends."""
        parts = urlsplit(address)
        return self.get(f"{parts.path}?{parts.query}", follow_redirects=True)

    def through(self, provider: Provider, subject: str, path: str = "/sign-in/provider") -> TestResponse:
        """Signs in at the provider and comes back."""
        return self.back(provider.agree(self.to_provider(path), subject))


@pytest.fixture
def house(open_world: Callable[..., Environment]) -> Callable[..., House]:
    """``house(oidc_issuer=…, …)``: a house with those settings."""

    def make(**settings: Any) -> House:
        environment = open_world(PACKAGE)
        environment.settings = replace(environment.settings, secret_key="for tests only", **settings)
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        environment.accounts = Accounts(environment.world, Passwords(hasher, Policy.of(environment.settings)))
        plugins = Plugins()
        plugins.add(screens, "screens")
        environment.plugins = plugins
        app = create_app(environment, plugins)
        app.config["PROPAGATE_EXCEPTIONS"] = True
        return House(environment, app)

    return make


class Provider:
    """A real provider on a port of its own, which can be made to lie."""

    def __init__(self) -> None:
        self.challenges: set[str] = set()
        self.lies: dict[str, Any] = {}
        """Claims of the ID token that are replaced; ``None`` takes one away."""
        self.key: Any = None
        """Signs instead of the published key."""
        self.header: dict[str, Any] = {}
        app = oidc_provider_mock.app(require_nonce=True)
        app.before_request(self._watch)
        app.after_request(self._lie)
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def honest(self) -> None:
        """Lies no more."""
        self.lies, self.key, self.header = {}, None, {}

    def knows(self, subject: str, **claims: Any) -> None:
        """Makes somebody known, with these claims."""
        requests.put(f"{self.url}/users/{subject}", json=claims, timeout=10).raise_for_status()

    def agree(self, address: str, subject: str) -> str:
        """Signs in there; the address that the browser is sent back to."""
        answer = requests.post(address, data={"sub": subject}, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["Location"])

    def _watch(self) -> None:
        """PKCE, which this provider does not check by itself."""
        if request.path == "/oauth2/authorize":
            assert request.args["code_challenge_method"] == "S256"
            self.challenges.add(request.args["code_challenge"])
        if request.path == "/oauth2/token":
            made = hashlib.sha256(request.form["code_verifier"].encode()).digest()
            if base64.urlsafe_b64encode(made).decode().rstrip("=") not in self.challenges:
                abort(400)

    def _lie(self, response: Response) -> Response:
        if request.path == "/oauth2/token" and response.status_code == 200 and (self.lies or self.key or self.header):
            body = response.get_json()
            key = RSAKey.import_key(g.oidc_provider_mock_storage.jwk.as_dict(is_private=True))
            kept = jwt.decode(body["id_token"], key)
            claims = {k: v for k, v in {**kept.claims, **self.lies}.items() if v is not None}
            header = {**kept.header, **self.header}
            body["id_token"] = jwt.encode(header, claims, self.key or key, algorithms=[header["alg"]])
            response.set_data(json.dumps(body))
        return response

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="session")
def one_provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture
def provider(one_provider: Provider) -> Provider:
    """The provider, honest, and knowing Ada."""
    one_provider.honest()
    one_provider.knows("ada", email="ada@example.com", email_verified=True, name="Ada Lovelace", groups=[])
    return one_provider
