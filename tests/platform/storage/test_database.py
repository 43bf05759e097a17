"""Transactions that wait for one another, survive a killed process, and say so when the database cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from ratoon.platform.errors import BadRequest, Conflict
from ratoon.platform.storage.database import Busy, Database, driver
from ratoon.platform.storage.sealed import Seal, use_seal
from ratoon.platform.storage.system_schema import create_system_tables

WRITER = Path(__file__).with_name("counting_writer.py")
COUNT = text("SELECT value FROM ratoon_setting WHERE name = 'count'")
ADD = text("INSERT INTO ratoon_setting (name, value) VALUES (:n, 'x')")


def opened(url: str) -> Iterator[Database]:
    """An open database with the platform's own tables."""
    database = Database.open(url)
    with database.write() as conn:
        create_system_tables(conn)
        conn.execute(text("DELETE FROM ratoon_setting"))
    yield database
    database.dispose()


@pytest.fixture
def sqlite(databases: Any) -> Iterator[Database]:
    """For what only SQLite does."""
    yield from opened(databases.empty("sqlite"))


@pytest.fixture
def postgresql(databases: Any) -> Iterator[Database]:
    """For what only PostgreSQL does."""
    yield from opened(databases.empty("postgresql"))


def start(url: str, name: str, times: int, size: int) -> subprocess.Popen[bytes]:
    """A writing process."""
    command = [sys.executable, str(WRITER), url, name, str(times), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def settle(database: Database) -> None:
    """Puts the number that the writers count up."""
    with database.write() as conn:
        conn.execute(text("DELETE FROM ratoon_setting"))
        conn.execute(text("INSERT INTO ratoon_setting (name, value) VALUES ('count', '0')"))


def test_processes_that_write_at_once_wait_for_one_another(database: Database, database_url: str) -> None:
    settle(database)
    writers = [start(database_url, name, 40, 3) for name in ("a", "b", "c")]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    with database.read() as conn:
        assert conn.execute(COUNT).scalar_one() == "120"
        assert conn.execute(text("SELECT count(*) FROM ratoon_setting")).scalar_one() == 1 + 120 * 3


def test_a_killed_process_leaves_whole_transactions(database: Database, database_url: str) -> None:
    settle(database)
    writer = start(database_url, "a", 100_000, 200)
    assert writer.stdout is not None
    assert len(writer.stdout.read(5)) == 5
    os.kill(writer.pid, signal.SIGKILL)
    assert writer.wait(60) == -signal.SIGKILL
    with database.write() as conn:
        done = int(conn.execute(COUNT).scalar_one())
        rows = conn.execute(text("SELECT count(*) FROM ratoon_setting")).scalar_one()
        conn.execute(ADD, {"n": "after"})
    assert done >= 5
    assert rows == 1 + done * 200


def test_an_exception_takes_everything_back(database: Database) -> None:
    def fail() -> None:
        with database.write() as conn:
            conn.execute(ADD, {"n": "lost"})
            driver(conn).execute("CREATE TABLE lost (id INTEGER)")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    with database.write() as conn:
        assert conn.execute(text("SELECT count(*) FROM ratoon_setting WHERE name <> 'system_tables'")).scalar_one() == 0
        driver(conn).execute("CREATE TABLE lost (id INTEGER)")


def test_a_reader_is_not_stopped_by_a_writer(database: Database) -> None:
    settle(database)
    with database.write() as writing:
        writing.execute(ADD, {"n": "not yet"})
        with database.read() as reading:
            assert (
                reading.execute(text("SELECT count(*) FROM ratoon_setting WHERE name <> 'system_tables'")).scalar_one()
                == 1
            )


def test_a_read_on_sqlite_sees_one_state(sqlite: Database) -> None:
    database = sqlite
    settle(database)
    with database.read() as reading:
        before = reading.execute(COUNT).scalar_one()
        with database.write() as writing:
            writing.execute(text("UPDATE ratoon_setting SET value = '9'"))
        assert reading.execute(COUNT).scalar_one() == before
    with database.read() as reading:
        assert reading.execute(COUNT).scalar_one() == "9"


def test_sqlite_is_opened_for_several_processes(sqlite: Database) -> None:
    with sqlite.read() as conn:
        found = {name: driver(conn).execute(f"PRAGMA {name}").fetchone()[0] for name in
                 ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}  # fmt: skip
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}


@contextmanager
def impatient(database: Database) -> Iterator[None]:
    """The next connections give up waiting after 50 ms."""
    quick = "PRAGMA busy_timeout = 50" if database.dialect == "sqlite" else "SET lock_timeout = 50"
    with database.read() as one, database.read() as two:
        driver(one).execute(quick)
        driver(two).execute(quick)
    yield


def test_a_lock_that_does_not_come_is_busy(database: Database) -> None:
    settle(database)

    def change() -> None:
        with database.write() as conn:
            conn.execute(text("UPDATE ratoon_setting SET value = '9' WHERE name = 'count'"))

    with impatient(database), database.write() as first:
        first.execute(text("UPDATE ratoon_setting SET value = '1' WHERE name = 'count'"))
        with pytest.raises(Busy):
            change()
    change()


def test_a_deadlock_is_busy_for_one_and_done_for_the_other(postgresql: Database) -> None:
    database = postgresql
    with database.write() as conn:
        conn.execute(ADD, [{"n": "a"}, {"n": "b"}])
    meet = threading.Barrier(2)
    outcomes: list[str] = []

    def cross(first: str, second: str) -> None:
        change = text("UPDATE ratoon_setting SET value = 'y' WHERE name = :n")
        try:
            with database.write() as conn:
                conn.execute(change, {"n": first})
                meet.wait(10)
                conn.execute(change, {"n": second})
            outcomes.append("done")
        except Busy:
            outcomes.append("busy")

    threads = [threading.Thread(target=cross, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["busy", "done"]


def kill_connections(database: Database) -> None:
    """The server ends every connection to the database but ours, and they have ended."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_pooled_connection_that_died_is_replaced(postgresql: Database) -> None:
    database = postgresql
    settle(database)
    kill_connections(database)
    with database.read() as conn:
        assert driver(conn).execute("SELECT value FROM ratoon_setting").fetchone() == ("0",)


def test_a_connection_lost_during_the_work_is_busy(postgresql: Database) -> None:
    database = postgresql
    settle(database)

    def work() -> None:
        with database.write() as conn:
            conn.execute(ADD, {"n": "lost"})
            kill_connections(database)
            driver(conn).execute("SELECT 1")

    with pytest.raises(Busy):
        work()
    with database.write() as conn:
        assert conn.execute(text("SELECT count(*) FROM ratoon_setting WHERE name <> 'system_tables'")).scalar_one() == 1


def test_a_database_that_is_not_there_is_busy(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/x.db", "postgresql://nobody@127.0.0.1:1/none"):
        database = Database.open(url)
        with pytest.raises(Busy), database.read():
            pass


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ValueError, match="mysql"):
        Database.open("mysql://x/y")


def test_many_threads_share_the_pool(database: Database) -> None:
    settle(database)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(10):
                with database.write() as conn:
                    lock = " FOR UPDATE" if database.dialect == "postgresql" else ""
                    value = conn.execute(text(COUNT.text + lock)).scalar_one()
                    change = text("UPDATE ratoon_setting SET value = :v WHERE name = 'count'")
                    conn.execute(change, {"v": str(int(value) + 1)})
                with database.read() as conn:
                    conn.execute(COUNT).scalar_one()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read() as conn:
        assert conn.execute(COUNT).scalar_one() == "80"


def test_a_forked_child_opens_its_own_connections(database: Database, database_url: str) -> None:
    program = (
        "import os, sys\n"
        "from sqlalchemy import text\n"
        "from ratoon.platform.storage.database import Database\n"
        "database = Database.open(sys.argv[1])\n"
        "with database.write() as conn:\n"
        "    conn.execute(text(\"INSERT INTO ratoon_setting (name, value) VALUES ('parent', 'x')\"))\n"
        "pid = os.fork()\n"
        "name = 'parent2' if pid else 'child'\n"
        "with database.write() as conn:\n"
        "    conn.execute(text('INSERT INTO ratoon_setting (name, value) VALUES (:n, 1)'), {'n': name})\n"
        "if pid:\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", program, database_url], timeout=60, check=False).returncode == 0
    with database.read() as conn:
        names = conn.execute(text("SELECT name FROM ratoon_setting ORDER BY name")).scalars().all()
    assert set(names) >= {"child", "parent", "parent2"}


def test_a_text_that_cannot_be_kept_is_a_bad_request(database: Database) -> None:
    def keep(value: str) -> None:
        with database.write() as conn:
            conn.execute(ADD, {"n": value})

    with pytest.raises(BadRequest, match="Unicode"):
        keep("half a pair: \ud800")
    if database.dialect == "postgresql":
        with pytest.raises(BadRequest, match="NUL"):
            keep("nothing\x00more")


def test_a_connection_is_used_again_and_brings_nothing_along(database: Database) -> None:
    settle(database)
    with database.read() as first:
        first.execute(COUNT)
        before = driver(first)

    def fail() -> None:
        with database.write() as conn:
            conn.execute(ADD, {"n": "not kept"})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.write() as again:
        assert driver(again) is before
        assert again.execute(text("SELECT count(*) FROM ratoon_setting WHERE name = 'not kept'")).scalar_one() == 0
    database.dispose()
    with database.read() as conn:
        assert driver(conn) is not before


def test_a_connection_whose_commit_was_refused_works_again(database_url: str) -> None:
    """A foreign key is checked at the end of the transaction: the next one has the same connection."""
    database = Database.open(database_url)
    with database.write() as conn:
        conn.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        reference = "REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED"
        conn.execute(text(f"CREATE TABLE child (parent INTEGER {reference})"))
    with pytest.raises(Conflict), database.write() as conn:
        conn.execute(text("INSERT INTO child VALUES (1)"))
    with database.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM child")).scalar() == 0
    database.dispose()


def test_a_connection_is_kept_at_hand_whatever_the_engine_says_of_all_of_them(database_url: str) -> None:
    """To take one from the pool and bring it back costs a fifth of a page of records."""
    database = Database.open(database_url)
    with database.read() as first:
        pass
    with database.read() as again:
        assert again is first
    use_seal(database.engine, Seal())
    database.dispose()
    with database.read() as sealed:
        pass
    with database.read() as again:
        assert again is sealed
        again.execution_options(ratoon_of_its_own=True)
    with database.read() as other:
        assert other is not sealed
    database.dispose()
