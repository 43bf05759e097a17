"""What a bulk of 10,000 records costs on SQLite without any program: ``python tests/benchmarks/floor.py``.

The benchmark asks that a bulk be twenty times as fast per record as one by one. What no program can save is what the
database itself takes to keep these rows in these tables with these indexes, and what the JSON takes to be read and
written. So the rows lie ready in memory, in the form of their tables, and are put there by one ``INSERT … SELECT`` per
table: no Python runs for any of them. Printed are the milliseconds of the processor and of the clock, medians of five;
the clock waits for the disk as well.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import uuid_utils
from data import deal
from seed import fill_generic, fill_handwritten
from servers import HERE

from ratoon.platform.storage.database import Database, driver

ROWS, COUNT, ROUNDS = 100_000, 10_000, 5
HISTORY = """INSERT INTO ratoon_history (object, record, event, at, "by", source)
    SELECT 'deal', id, 'created', created_at, owner, 'api' FROM ready.deal"""
SEARCH = """INSERT INTO ratoon_search (object, record, title, words, more)
    SELECT 'deal', id, name, lower(name), '' FROM ready.deal"""
WORDS = """INSERT INTO ratoon_search_words (rowid, words, more) SELECT number, words, more FROM ratoon_search
    WHERE number > (SELECT coalesce(max(id), 0) FROM ratoon_search_words_docsize) ORDER BY number"""


class Clock:
    """Collects how long each step took, round by round."""

    def __init__(self) -> None:
        self._taken: dict[str, list[tuple[float, float]]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a block: milliseconds of the processor and of the clock."""
        processor, wall = time.process_time(), time.perf_counter()
        yield
        taken = (time.process_time() - processor) * 1000, (time.perf_counter() - wall) * 1000
        self._taken.setdefault(name, []).append(taken)

    def print(self, title: str) -> None:
        """The medians, and their sum."""
        middle = {name: tuple(map(statistics.median, zip(*taken, strict=True))) for name, taken in self._taken.items()}
        sums = tuple(map(sum, zip(*middle.values(), strict=True)))
        parts = ", ".join(f"{name} {processor:.0f} ({wall:.0f})" for name, (processor, wall) in middle.items())
        print(f"{title:<12} {sums[0]:.0f} ms ({sums[1]:.0f}): {parts}", flush=True)


def insert(url: str, extra: dict[str, str], clock: Clock) -> None:
    """Bulks of new deals, each committed; ``extra``: what is written beside them."""
    database = Database.open(url)
    with database.engine.connect() as connection:
        raw = driver(connection)
        raw.execute("ATTACH ':memory:' AS ready")
        columns = ", ".join(row[1] for row in raw.execute("PRAGMA main.table_info(deal)"))
        for number in range(ROUNDS):
            raw.execute("DROP TABLE IF EXISTS ready.deal")
            raw.execute(f"CREATE TABLE ready.deal AS SELECT {columns} FROM main.deal ORDER BY id LIMIT {COUNT}")
            new = [(str(uuid_utils.uuid7()), f"F{number}-{n:06d}", n + 1) for n in range(COUNT)]
            raw.executemany("UPDATE ready.deal SET id = ?, code = ? WHERE rowid = ?", new)
            raw.execute("BEGIN IMMEDIATE")
            with clock.step("records"):
                raw.execute(f"INSERT INTO main.deal ({columns}) SELECT {columns} FROM ready.deal ORDER BY rowid")
            for name, statement in extra.items():
                with clock.step(name):
                    raw.execute(statement)
            with clock.step("commit"):
                raw.execute("COMMIT")
    database.dispose()


def read_and_write(clock: Clock) -> None:
    """The JSON of a call and of its answer, by the library alone."""
    body = orjson.dumps([deal(n) for n in range(COUNT)])
    for _ in range(ROUNDS):
        with clock.step("JSON"):
            orjson.dumps({"records": orjson.loads(body)})


def main() -> None:
    """Prints one line for each application."""
    beside = {"history": HISTORY, "search": SEARCH, "its words": WORDS}
    applications: dict[str, tuple[Callable[[str], str], dict[str, str]]] = {
        "ours": (lambda url: fill_generic(url, ROWS, [HERE / "package"]), beside),
        "by hand": (lambda url: fill_handwritten(url, ROWS), {}),
    }
    for title, (fill, extra) in applications.items():
        clock = Clock()
        with tempfile.TemporaryDirectory(prefix="ratoon-floor-") as folder:
            url = f"sqlite:///{Path(folder) / 'floor.db'}"
            fill(url)
            insert(url, extra, clock)
        read_and_write(clock)
        clock.print(title)


if __name__ == "__main__":
    sys.exit(main())
