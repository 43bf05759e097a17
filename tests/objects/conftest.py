"""Databases that live as long as a module's tests: applying the whole standard package costs a second."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

UrlMaker = Callable[[str], str]


@pytest.fixture(scope="module")
def module_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UrlMaker]:
    """Makes empty databases: ``module_database("postgresql")`` is a URL; they are dropped after the module."""
    made: list[str] = []

    def make(backend: str) -> str:
        name = f"m_{uuid.uuid4().hex[:16]}"
        if backend == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp(name) / 'ratoon.db'}"
        server: str = request.getfixturevalue("postgresql_server")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        made.append(name)
        return server.replace("/postgres?", f"/{name}?", 1)

    yield make
    for name in made:
        with psycopg.connect(request.getfixturevalue("postgresql_server"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
