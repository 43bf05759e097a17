"""What a save asks of the database, counted: a statement too many is a cost that a busy machine hides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.environment import Environment
from ratoon.platform.records.drafts import Change
from ratoon.platform.storage import database, search

NOTES: list[dict[str, Any]] = [
    {"kind": "package", "name": "notes", "version": "1.0.0", "label": "Notes"},
    {
        "kind": "object", "name": "note", "label": "Note", "plural_label": "Notes", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name", "required": True},
            {"name": "code", "type": "text", "label": "Code", "unique": True},
            {"name": "pages", "type": "integer", "label": "Pages", "track_history": True},
        ],
        "rules": [{"name": "some", "error_when": "pages < 0", "message": "Pages cannot be fewer than none."}],
    },
]  # fmt: skip


class Counter:
    """Runs statements and notes them."""

    def __init__(self, on: Any, noted: list[str]) -> None:
        self._on, self._noted = on, noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._on, name)

    def execute(self, sql: str, *given: Any, **more: Any) -> Any:
        """Notes one statement."""
        self._noted.append(sql)
        return self._on.execute(sql, *given, **more)

    def executemany(self, sql: str, *given: Any) -> Any:
        """Notes one statement for many rows."""
        self._noted.append(sql)
        return self._on.executemany(sql, *given)


@pytest.fixture
def notes(open_world: Any) -> Environment:
    found: Environment = open_world(NOTES)
    return found


@pytest.fixture
def author(notes: Environment) -> Actor:
    with notes.write(SYSTEM) as records:
        user = records.create("user", [{"name": "Lin", "email": "lin@example.com", "is_admin": True}])[0]
    return replace(SYSTEM, id=user["id"])


def statements(notes: Environment, author: Actor, work: Any) -> list[str]:
    """What ``work`` asks of the database, without the begin and end of its transaction, by what it is about."""
    noted: list[str] = []
    with notes.database.write() as connection:
        on = database.executor(connection)
        connection.info[database.EXECUTOR] = Counter(on, noted)
    try:
        with notes.write(author) as records:
            work(records)
    finally:
        with notes.database.write() as connection:
            connection.info[database.EXECUTOR] = on
    return [sql for sql in noted if sql not in ("BEGIN", "BEGIN IMMEDIATE", "COMMIT")]


def values(number: int) -> dict[str, Any]:
    return {"name": f"Note {number}", "code": f"N{number}", "pages": number}


def test_creating_a_record_takes_few_statements(notes: Environment, author: Actor) -> None:
    noted = statements(notes, author, lambda records: records.create("note", [values(1)]))
    assert len([sql for sql in noted if sql.startswith("INSERT")]) == 3, "the record, its history, its words"
    assert len([sql for sql in noted if "note.code" in sql]) == 1, "is the code free"
    assert len(noted) <= 6, noted


def test_creating_many_takes_no_more_than_one(notes: Environment, author: Actor) -> None:
    many = search.PENDING + 50
    noted = statements(notes, author, lambda r: r.create("note", [values(n) for n in range(many)]))
    assert len(noted) <= 7, "one more: the words of so many go into the index at once"


def test_an_owner_who_is_named_is_looked_for(notes: Environment, author: Actor) -> None:
    noted = statements(notes, author, lambda r: r.create("note", [{**values(1), "owner": author.id}]))
    assert any("FROM user" in sql or 'FROM "user"' in sql for sql in noted)


def test_changing_an_untracked_field_takes_few_statements(notes: Environment, author: Actor) -> None:
    with notes.write(author) as records:
        (note,) = records.create("note", [values(1)])
    noted = statements(notes, author, lambda r: r.update("note", [Change(note["id"], {"code": "X"})]))
    assert len(noted) <= 5, noted
