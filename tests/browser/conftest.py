"""A real server and a real browser: ``site`` (granian, a database of its own) and ``page`` (a signed-in tab).

Chromium comes from the system (``chromium``, ``chromium-browser`` or ``google-chrome`` on the PATH). Without it these
tests are skipped with a line that says so; with ``CI=true`` its absence fails. Every tab watches for errors: a script
error, a refused style or script, a failed request fails the test, unless the test expects it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import psycopg
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PASSWORD = "correct horse battery"
EMAIL = "ada@example.com"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Looking at every page says nothing about the database: once, on SQLite, is enough."""
    items[:] = [
        i for i in items if not (i.path.name in ("test_every_page.py", "test_tour.py") and "postgresql" in i.name)
    ]


@dataclass
class Site:
    """A running server."""

    url: str
    environment: Environment

    def create(self, object: str, **values: Any) -> str:
        """Makes a record as the platform; returns its id."""
        with self.environment.write(SYSTEM) as records:
            return str(records.create(object, [values], acknowledge=True)[0]["id"])

    def read(self, object: str, id: str) -> dict[str, Any]:
        """A record as it is stored."""
        with self.environment.read(SYSTEM) as records:
            return records.get(object, id)


def _database(backend: str, request: pytest.FixtureRequest, folder: Path) -> str:
    name = f"b_{uuid.uuid4().hex[:12]}"
    if backend == "sqlite":
        return f"sqlite:///{folder / name}.db"
    server = str(request.getfixturevalue("postgresql_server"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.replace("/postgres?", f"/{name}?", 1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def site(backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server of this session, with the standard package and an administrator."""
    folder = tmp_path_factory.mktemp("server")
    url, port = _database(backend, request, folder), _free_port()
    settings = Settings(database_url=url, files_dir=str(folder / "files"))
    environment = open_environment(settings)
    with environment.write(SYSTEM) as records:
        Accounts(environment.world).create_user(
            records, name="Ada Lovelace", email=EMAIL, password=PASSWORD, admin=True
        )
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "ratoon"), "serve", "--port", str(port), "--workers", "1"],
        env={**os.environ, "RATOON_DATABASE_URL": url, "RATOON_FILES_DIR": str(folder / "files")},
        cwd=folder,
        stdout=(folder / "log").open("w"),
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, folder / "log")
        yield Site(address, environment)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        environment.close()


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"the server stopped:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"{address}/sign-in", timeout=2):
                return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the server did not answer:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        reason = f"no browser on the PATH; looked for {', '.join(BROWSERS)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Watched:
    """What went wrong in a tab."""

    errors: list[str] = field(default_factory=list)
    expected: str = ""
    """A regular expression of errors that the test provokes."""

    def console(self, message: ConsoleMessage) -> None:
        """A line of the console."""
        if message.type == "error":
            self.errors.append(message.text)

    def unexpected(self) -> list[str]:
        """Errors that nobody asked for."""
        overtaken = r"^htmx:(sendAbort|afterRequest)"  # a type-ahead that was still on its way when the page was left
        known = f"{overtaken}|{self.expected}" if self.expected else overtaken
        return [e for e in self.errors if not re.search(known, e)]


def open_tab(browser: Browser, site: Site, watched: Watched, width: int = 1280, locale: str = "en-US") -> Page:
    """A signed-in tab of that width."""
    context = browser.new_context(viewport={"width": width, "height": 860}, locale=locale)
    tab = context.new_page()
    tab.set_default_timeout(15_000)
    tab.on("console", watched.console)
    tab.on("pageerror", lambda error: watched.errors.append(str(error)))
    tab.goto(f"{site.url}/sign-in")
    tab.fill("#email", EMAIL)
    tab.fill("#password", PASSWORD)
    tab.press("#password", "Enter")
    tab.wait_for_selector(".rt-user")
    return tab


@pytest.fixture
def watched() -> Watched:
    """The errors of this test's tabs."""
    return Watched()


@pytest.fixture
def page(browser: Browser, site: Site, watched: Watched) -> Iterator[Page]:
    """A signed-in tab, 1280 px wide."""
    tab = open_tab(browser, site, watched)
    yield tab
    tab.context.close()
    assert not watched.unexpected()


@pytest.fixture
def phone(browser: Browser, site: Site, watched: Watched) -> Iterator[Page]:
    """A signed-in tab, 390 px wide."""
    tab = open_tab(browser, site, watched, width=390)
    yield tab
    tab.context.close()
    assert not watched.unexpected()
