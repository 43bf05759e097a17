"""Idempotency keys, files and settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ratoon.platform.storage import files, idempotency, settings
from ratoon.platform.storage.database import Database

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ID = "01900000-0000-7000-8000-000000000001"
OTHER = "01900000-0000-7000-8000-000000000002"


def test_the_same_call_gets_the_same_answer(database: Database) -> None:
    answer = idempotency.Answer(201, {"ETag": "1"}, b'{"id": "\xe4\xb8\x80"}')
    with database.write() as conn:
        assert idempotency.begin(conn, "me", "k", "digest", NOW) is None
        idempotency.finish(conn, "me", "k", answer)
    with database.write() as conn:
        assert idempotency.begin(conn, "me", "k", "digest", NOW) == answer
        assert idempotency.begin(conn, "you", "k", "digest", NOW) is None
        with pytest.raises(idempotency.KeyReused):
            idempotency.begin(conn, "me", "k", "another", NOW)


def test_work_that_failed_keeps_no_answer(database: Database) -> None:
    def fail() -> None:
        with database.write() as conn:
            idempotency.begin(conn, "me", "k", "digest", NOW)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    with database.write() as conn:
        assert idempotency.begin(conn, "me", "k", "another", NOW) is None


def test_old_answers_are_forgotten(database: Database) -> None:
    with database.write() as conn:
        idempotency.begin(conn, "me", "old", "d", NOW)
        idempotency.begin(conn, "me", "new", "d", NOW + timedelta(days=2))
        assert idempotency.forget_before(conn, NOW + timedelta(days=1)) == 1


def file(id: str, at: datetime = NOW) -> files.File:
    """An uploaded file."""
    return files.File(id, "合同.pdf", "application/pdf", 2**33, "0" * 64, at, None)


def test_files_are_kept_attached_and_forgotten(database: Database) -> None:
    with database.write() as conn:
        files.add_file(conn, file(ID))
        files.add_file(conn, file(OTHER))
        files.attach_files(conn, [OTHER], "deal", ID)
        files.attach_files(conn, [], "deal", ID)
    with database.read() as conn:
        found = files.load_files(conn, [ID, OTHER, ID.replace("1", "3", 1)])
        assert found[ID] == file(ID)
        assert (found[OTHER].object, found[OTHER].record) == ("deal", ID)
        assert files.load_files(conn, []) == {}
        assert files.unattached_before(conn, NOW + timedelta(days=1)) == [ID]
        assert files.unattached_before(conn, NOW) == []
    with database.write() as conn:
        files.forget_files(conn, [ID])
        files.forget_files(conn, [])
        assert list(files.load_files(conn, [ID, OTHER])) == [OTHER]


def test_the_secret_is_made_once(database: Database) -> None:
    with database.write() as conn:
        assert settings.secret_key(conn, lambda: "first") == "first"
    with database.write() as conn:
        assert settings.secret_key(conn, lambda: "second") == "first"
        assert settings.setting(conn, "other", lambda: "x") == "x"
