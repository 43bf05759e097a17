"""What changing the metadata costs, and how long a writer and a reader wait meanwhile.

Usage: ``python tests/benchmarks/evolving.py [--quick] [--database sqlite|postgresql] [--rows N] [--json FILE]``.

*Large*: plan and apply of 200 objects of 50 fields, then of one more field. *Evolving*: one object with 1,000,000 rows
on PostgreSQL and 100,000 on SQLite is changed step by step (``STEPS``) while a process of its own writes and reads
records of it, one thread each, through the record service, as fast as they can. Its longest waits are printed beside
the time of the change. Exit status 1 when a goal was missed or a call of that process failed.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from measure import calibration
from sharing import postgresql
from sqlalchemy import text

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package, plan_package
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.database import SchemaMoved

Documents = list[dict[str, Any]]
ROWS = {"sqlite": 100_000, "postgresql": 1_000_000}
WAIT_GOAL = 1.0
"""Seconds that a writer or a reader may wait for a change of an object with that many rows."""
PLAN_GOAL, APPLY_GOAL, FIELD_GOAL = 4.0, 8.0, 1.5
"""Processor seconds of the large package: planned, applied, and applied with one field more."""
IDS = {
    "sqlite": "'01900000-0000-7000-8000-2' || printf('%011x', n)",
    "postgresql": "('01900000-0000-7000-8000-2' || lpad(to_hex(n), 11, '0'))::uuid",
}
NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows) ",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, :rows) AS n) ",
}
LONG_AGO = "'2026-01-01T00:00:00.000000Z'"


@dataclass
class Figure:
    """One change: how long it took, and the longest wait of the others."""

    title: str
    seconds: float
    processor: float
    writer: float | None = None
    reader: float | None = None
    calls: int = 0
    errors: int = 0
    goal: float | None = None
    """Of the waits; of the processor time where there are none."""

    @property
    def reached(self) -> bool:
        """Whether nothing failed and nobody waited longer than the goal says."""
        waits = [self.processor] if self.writer is None else [self.writer, self.reader or 0.0]
        return not self.errors and (self.goal is None or max(waits) <= self.goal)

    def line(self) -> str:
        """For people."""
        waits = "" if self.writer is None else f"   writer {self.writer:6.2f} s   reader {self.reader or 0:6.2f} s"
        calls = f"   {self.calls} calls, {self.errors} errors" if self.writer is not None else ""
        verdict = "" if self.reached else "   MISSED"
        return f"     {self.title:<34} {self.seconds:7.2f} s ({self.processor:6.2f} processor){waits}{calls}{verdict}"


def large(objects: int, fields: int) -> Documents:
    """A package of that many objects."""
    made: Documents = [{"kind": "package", "name": "large", "version": "1.0.0", "label": "Large"}]
    for number in range(objects):
        kinds = ("text", "integer", "date", "boolean", "decimal")
        listed = [{"name": f"f{n}", "type": kinds[n % 5], "label": f"Field {n}"} for n in range(fields - 1)]
        listed.append({"name": "sum", "type": "formula", "label": "Sum", "returns": "number", "formula": "f1 + f4"})
        made.append({"kind": "object", "name": f"thing_{number}", "label": f"Thing {number}", "fields": listed})
    return made


def deals() -> Documents:
    """The object that is changed."""
    fields = [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "amount", "type": "integer", "label": "Amount"},
        {"name": "code", "type": "text", "label": "Code"},
        {"name": "region", "type": "text", "label": "Region"},
        {"name": "note", "type": "text", "label": "Note"},
    ]
    return [
        {"kind": "package", "name": "bench", "version": "1.0.0", "label": "Bench"},
        {"kind": "object", "name": "deal", "label": "Deal", "title": "name", "fields": fields},
    ]


def added(**declared: Any) -> Callable[[Documents], None]:
    """Adds a field."""
    return lambda documents: documents[1]["fields"].append(declared)


def changed(field_name: str, **declared: Any) -> Callable[[Documents], None]:
    """Changes a field."""

    def change(documents: Documents) -> None:
        next(field for field in documents[1]["fields"] if field["name"] == field_name).update(declared)

    return change


STEPS: dict[str, Callable[[Documents], None]] = {
    "add a field": added(name="colour", type="text", label="Colour"),
    "rename a field": changed("region", name="area", renamed_from="region"),
    "retype a field (text to integer)": changed("code", type="integer"),
    "add a stored formula": added(
        name="doubled", type="formula", label="Doubled", returns="number", formula="amount * 2 + 1"
    ),
    "add a required field with a default": added(
        name="state", type="text", label="State", required=True, default='"open"'
    ),
    "add an autonumber": added(name="number", type="autonumber", label="Number", format="D-{000000}"),
}


def source(documents: Documents) -> dict[str, bytes]:
    """The documents as files."""
    return {place(str(d["kind"]), d): canonical(d).encode() for d in documents}


def opened(url: str, folder: Path) -> Environment:
    """An environment on that database."""
    return open_environment(Settings(database_url=url, files_dir=folder, secret_key="bench"), plugins=Plugins())


def fill(environment: Environment, rows: int) -> None:
    """Deals that nobody has touched lately, written by the database itself."""
    kind = environment.database.dialect
    with environment.database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO deal (id, name, amount, code, region, created_at, modified_at, version) "
                f"{NUMBERS[kind]} SELECT {IDS[kind]}, 'Deal ' || n, n % 1000, CAST(n % 9973 AS text), "
                f"'r' || (n % 60), {LONG_AGO}, {LONG_AGO}, 1 FROM numbers"
            ),
            {"rows": rows},
        )
    if kind == "postgresql":
        with environment.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
            plain.execute(text("ANALYZE deal"))


@contextmanager
def others(url: str, folder: Path, rows: int) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A process that writes and reads between ``begin`` and ``end``, which gives what it saw."""
    command = [sys.executable, __file__, "--client", url, "--folder", str(folder), "--rows", str(rows)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(word: str) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(word + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield tell
        process.stdin.close()
        process.wait(60)


def client(url: str, folder: Path, rows: int) -> None:
    """What that process does."""
    environment = opened(url, folder)
    ids = [f"01900000-0000-7000-8000-2{n:011x}" for n in range(1, rows + 1, max(1, rows // 500))]

    def write(number: int) -> None:
        change = Change(ids[number % len(ids)], {"note": f"note {number}"})
        environment.transact(SYSTEM, lambda records: records.update("deal", [change]))

    def read(number: int) -> None:
        with environment.read(SYSTEM) as records:
            records.get("deal", ids[number % len(ids)])
            records.list(Query("deal", limit=20))

    for _ in sys.stdin:
        stop, under_way = threading.Event(), threading.Barrier(3)
        seen: dict[str, dict[str, Any]] = {}
        threads = [
            threading.Thread(target=_again_and_again, args=(environment, name, work, under_way, stop, seen))
            for name, work in (("writer", write), ("reader", read))
        ]
        for thread in threads:
            thread.start()
        under_way.wait()
        print("{}", flush=True)
        sys.stdin.readline()
        stop.set()
        for thread in threads:
            thread.join()
        print(json.dumps(seen), flush=True)
    environment.close()


def _again_and_again(
    environment: Environment,
    name: str,
    work: Callable[[int], None],
    under_way: threading.Barrier,
    stop: threading.Event,
    seen: dict[str, dict[str, Any]],
) -> None:
    longest, number, errors = 0.0, 0, []
    pause = threading.Event()
    while not stop.is_set():
        started = time.perf_counter()
        try:
            try:
                work(number)
            except SchemaMoved:  # as a request is answered again
                environment.look_again()
                work(number)
        except Exception as error:  # noqa: BLE001  # whatever goes wrong is what is counted
            errors.append(repr(error))
        longest = max(longest, time.perf_counter() - started)
        number += 1
        if number == 1:
            under_way.wait()
        pause.wait(0.002)
    seen[name] = {"longest": longest, "calls": number, "errors": errors}


def timed(title: str, work: Callable[[], Any], goal: float | None = None) -> Figure:
    """Wall and processor time of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Figure(title, time.perf_counter() - wall, time.process_time() - processor, goal=goal)


def measure_large(url: str, folder: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """Plan and apply of a large package, and of one field more."""
    environment = opened(url, folder)
    target = Target.of(environment)
    documents = large(options.objects, 50)
    name = f"{options.objects} objects of 50 fields"
    yield timed(f"plan {name}", lambda: plan_package(target, source(documents)), PLAN_GOAL)
    yield timed(f"apply {name}", lambda: apply_package(target, source(documents)), APPLY_GOAL)
    documents[1]["fields"].append({"name": "more", "type": "text", "label": "More"})
    yield timed("plan one field more", lambda: plan_package(target, source(documents)), FIELD_GOAL)
    yield timed("apply one field more", lambda: apply_package(target, source(documents)), FIELD_GOAL)
    yield timed("plan nothing", lambda: plan_package(target, source(documents)), FIELD_GOAL)
    environment.close()


def measure_evolving(url: str, folder: Path, rows: int, only: list[str]) -> Iterator[Figure]:
    """Every step on an object with many rows, while others work."""
    environment = opened(url, folder)
    target, documents = Target.of(environment), deals()
    apply_package(target, source(documents))
    fill(environment, rows)
    with others(url, folder, rows) as tell:
        for title, step in STEPS.items():
            if only and not any(word in title for word in only):
                continue
            documents = copy.deepcopy(documents)
            step(documents)
            tell("begin")  # answered when both have done their first call
            figure = timed(title, partial(apply_package, target, source(documents), allow_destructive=True))
            seen = tell("end")
            figure.goal = WAIT_GOAL
            figure.writer, figure.reader = seen["writer"]["longest"], seen["reader"]["longest"]
            figure.calls = seen["writer"]["calls"] + seen["reader"]["calls"]
            errors = seen["writer"]["errors"] + seen["reader"]["errors"]
            figure.errors = len(errors)
            yield figure
            for error in errors[:3]:
                print(f"       {error[:300]}", file=sys.stderr)
    environment.close()


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """URL of an empty database."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(dir=folder) as own:
            yield f"sqlite:///{own}/bench.db"
        return
    with postgresql() as url:
        yield url


def main() -> int:
    """Measures and judges; returns the exit status."""
    parser = argparse.ArgumentParser(description="What changing the metadata costs, and who waits for it.")
    parser.add_argument("--quick", action="store_true", help="20 objects and 25,000 rows: to see that it runs")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    parser.add_argument("--rows", type=int, help="rows of the object that is changed")
    parser.add_argument("--objects", type=int, help="objects of the large package (200)")
    parser.add_argument("--step", action="append", default=[], help="only steps with this word; large: the other part")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        client(options.client, options.folder, options.rows)
        return 0
    options.objects = options.objects or (20 if options.quick else 200)
    print(f"calibration loop {calibration():.1f} ms")
    kept: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="ratoon-evolving-") as name:
        folder = Path(name)
        for kind in [options.database] if options.database else ["sqlite", "postgresql"]:
            rows = options.rows or (25_000 if options.quick else ROWS[kind])
            found = kept.setdefault(kind, [])
            print(f"\n{kind}, {rows:,} rows", flush=True)
            if not options.step or "large" in options.step:
                with fresh(kind, folder) as url:
                    found += _shown(measure_large(url, folder, options))
            if options.step != ["large"]:
                with fresh(kind, folder) as url:
                    found += _shown(measure_evolving(url, folder, rows, options.step))
    if options.json:
        figures = {kind: [asdict(figure) for figure in found] for kind, found in kept.items()}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    missed = [f"{kind}: {figure.title}" for kind, found in kept.items() for figure in found if not figure.reached]
    for one in missed:
        print(f"missed: {one}", file=sys.stderr)
    return 1 if missed else 0


def _shown(figures: Iterator[Figure]) -> list[Figure]:
    found = []
    for figure in figures:
        print(figure.line(), flush=True)
        found.append(figure)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
