"""A small site per database: the standard package, an administrator, a few records, and a browser made of requests."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import create_app, open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.plugins import Plugins, load_plugins

PASSWORD = "correct horse battery"


@dataclass
class Site:
    """An environment and its application."""

    environment: Environment
    app: Any

    def visitor(self) -> Visitor:
        """Somebody who is not signed in."""
        return Visitor(self, self.app.test_client())

    def create(self, object: str, **values: Any) -> str:
        """Makes a record as the platform; returns its id."""
        with self.environment.write(SYSTEM) as records:
            return str(records.create(object, [values], acknowledge=True)[0]["id"])

    def read(self, object: str, id: str) -> dict[str, Any]:
        """A record as it is stored."""
        with self.environment.read(SYSTEM) as records:
            return records.get(object, id)


@dataclass
class Visitor:
    """Somebody who reads pages and sends their forms back."""

    site: Site
    client: FlaskClient
    token: str = ""

    def get(self, path: str, **headers: str) -> TestResponse:
        """A page; remembers its CSRF token."""
        response = self.client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        found = re.search(r'name="csrf-token" content="([^"]+)"', response.text)
        self.token = found.group(1) if found else self.token
        return response

    def post(self, path: str, data: dict[str, Any] | None = None, **headers: str) -> TestResponse:
        """Sends a form with the token of the last page."""
        values = {"csrf_token": self.token, **(data or {})}
        return self.client.post(path, data=values, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def sign_in(self, email: str, password: str = PASSWORD) -> TestResponse:
        """Goes through the door."""
        self.get("/sign-in")
        return self.post("/sign-in", {"email": email, "password": password})

    @staticmethod
    def form(page: str) -> dict[str, Any]:
        """What a browser would send for the record form of a page."""
        return inputs_of(page)

    def speak(self, locale: str) -> None:
        """Changes the language."""
        self.get("/")
        self.post("/language", {"locale": locale, "next": "/"})
        self.get("/")  # takes the notice away


def inputs_of(page: str) -> dict[str, Any]:
    """What a browser would send for the record form of a page."""
    form = page[page.index('id="form"') : page.index("</form>", page.index('id="form"'))]
    form = re.sub(r"<template.*?</template>", "", form, flags=re.S)
    values: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'\sname="([^"]*)"', tag)
        if name is None or 'type="file"' in tag or ('type="checkbox"' in tag and " checked" not in tag):
            continue
        value = re.search(r'\svalue="([^"]*)"', tag)
        _add(values, name.group(1), unescape(value.group(1)) if value else "")
    for name, body in re.findall(r'<select[^>]*\sname="([^"]*)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r'<option value="([^"]*)"[^>]*\sselected', body) or re.search(r'value="([^"]*)"', body)
        _add(values, name, unescape(chosen.group(1)) if chosen else "")
    for name, body in re.findall(r'<textarea[^>]*\sname="([^"]*)"[^>]*>(.*?)</textarea>', form, re.S):
        _add(values, name, unescape(body))
    return values


def _add(values: dict[str, Any], name: str, value: str) -> None:
    if name in values:
        before = values[name] if isinstance(values[name], list) else [values[name]]
        values[name] = [*before, value]
    else:
        values[name] = value


def empty_database(backend: str, server: Any, folder: Any) -> str:
    """URL of a new database that lives as long as the session."""
    name = f"ui_{uuid.uuid4().hex[:12]}"
    if backend == "sqlite":
        return f"sqlite:///{folder / name}.db"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return str(server()).replace("/postgres?", f"/{name}?", 1)


def open_site(url: str, folder: Path, plugins: Plugins) -> Site:
    """A site with an administrator and somebody without any role."""
    settings = Settings(
        database_url=url,
        files_dir=str(folder / "files"),
        secret_key="for tests only",
        revision_poll_seconds=0.0,
        limit_sign_in="",  # one network address signs everybody in and gets many passwords wrong
    )
    environment = open_environment(settings, plugins=plugins)
    app = create_app(environment, plugins)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with environment.write(SYSTEM) as records:
        accounts = Accounts(environment.world)
        accounts.create_user(records, name="Ada Lovelace", email="ada@example.com", password=PASSWORD, admin=True)
        accounts.create_user(records, name="Nobody Much", email="nobody@example.com", password=PASSWORD)
    return Site(environment, app)


@pytest.fixture(scope="session")
def new_site(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Plugins], Site]]:
    """Makes sites with the plugins given."""
    made: list[Site] = []

    def make(plugins: Plugins) -> Site:
        folder = tmp_path_factory.mktemp("site")
        url = empty_database(backend, lambda: request.getfixturevalue("postgresql_server"), folder)
        made.append(open_site(url, folder, plugins))
        return made[-1]

    yield make
    for each in made:
        each.environment.close()


@pytest.fixture(scope="session")
def site(new_site: Callable[[Plugins], Site]) -> Site:
    """One site for all tests of a session; tests make the records they need."""
    return new_site(load_plugins())


@pytest.fixture
def ada(site: Site) -> Visitor:
    """The administrator, signed in, reading English."""
    visitor = site.visitor()
    assert visitor.sign_in("ada@example.com").status_code == 303
    visitor.speak("en")
    return visitor
