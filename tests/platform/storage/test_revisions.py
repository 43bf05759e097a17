"""Revisions keep every document as it stood."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ratoon.platform.errors import NotFound
from ratoon.platform.metadata.documents import Document
from ratoon.platform.storage import revisions
from ratoon.platform.storage.database import Database

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def document(name: str, label: str, package: str = "shop") -> Document:
    """An object document."""
    return Document(f"{name}/object.json", "object", {"name": name, "label": label}, package)


def test_a_revision_is_the_documents_it_was_saved_with(database: Database) -> None:
    one, two, other = document("a", "一"), document("a", "二"), document("b", "B", "local")
    with database.write() as conn:
        assert revisions.current_revision(conn) == 0
        assert revisions.documents_at(conn, 0) == []
        assert revisions.save_revision(conn, [one], "me", "first", NOW) == 1
        assert revisions.save_revision(conn, [two, other], None, "second", NOW, {"add": 1}) == 2
        assert revisions.save_revision(conn, [two], None, "third", NOW) == 3
        assert revisions.save_revision(conn, [two, other], None, "fourth", NOW) == 4
    with database.read() as conn:
        assert revisions.current_revision(conn) == 4
        assert revisions.documents_at(conn, 1) == [one]
        assert revisions.documents_at(conn, 2) == [other, two]
        assert revisions.documents_at(conn, 3) == [two]
        assert revisions.documents_at(conn, 4) == [other, two]
        assert [r.message for r in revisions.history(conn)] == ["fourth", "third", "second", "first"]
        assert [r.plan for r in revisions.history(conn, 3)] == [None, None, {"add": 1}]
        assert revisions.history(conn)[3] == revisions.Revision(1, NOW, "me", "first")
        for never in (5, -1):
            with pytest.raises(NotFound):
                revisions.documents_at(conn, never)


def test_a_rollback_takes_the_revision_with_it(database: Database) -> None:
    def fail() -> None:
        with database.write() as conn:
            revisions.save_revision(conn, [document("a", "A")], None, "lost", NOW)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    with database.read() as conn:
        assert revisions.current_revision(conn) == 0
