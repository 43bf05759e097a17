"""The parts of the benchmark, each a generator of measured values; ``PARTS`` is their list."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from data import deal_id
from measure import Load, Pair, Request, Single, take_turns
from scenarios import bulk, creates, get, open_deals, reads, scenarios
from servers import HERE, Server, generic, handwritten

PACKAGE = HERE / "package"
MEGABYTE = 1024 * 1024


class Bench:
    """One kind of database: its databases, the load generator and the options of the run."""

    def __init__(self, kind: str, folder: Path, urls: Sequence[str], load: Load, options: argparse.Namespace) -> None:
        self.kind = kind
        self.folder = folder
        self.their_url, self.our_url, self.large_url = urls
        self.load = load
        self.options = options
        self.loops: list[float] = []
        self.probe = f"/api/v1/records/deal/{deal_id(1)}"
        self.their_token = self.our_token = ""

    def fill(self) -> None:
        """Both databases with the same deals."""
        self.their_token = self.seed("handwritten", self.their_url)
        self.fill_ours()

    def fill_ours(self) -> None:
        """The product's database: the package, a user with a token, the deals."""
        self.our_token = self.seed("generic", self.our_url, str(PACKAGE))

    def seed(self, kind: str, url: str, *packages: str, rows: int | None = None) -> str:
        """Runs ``seed.py`` in a process of its own; returns the token it prints."""
        count = str(self.options.rows if rows is None else rows)
        command = [sys.executable, str(HERE / "seed.py"), kind, url, count, *packages]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.split()[-1]

    @contextmanager
    def both(self) -> Iterator[tuple[Server, Server]]:
        """Ours and theirs, running."""
        with ExitStack() as stack:
            ours = stack.enter_context(generic(self.folder, self.our_url, self.our_token, self.probe))
            theirs = stack.enter_context(handwritten(self.folder, self.their_url, self.their_token, self.probe))
            yield ours, theirs

    def rate(
        self, server: Server, requests: Sequence[Request], clients: int = 1, processor: list[float] | None = None
    ) -> Callable[[], float]:
        """Measures requests per second; ``processor`` collects the processor seconds per call."""

        def measure() -> float:
            before = server.processor()
            figures = self.load.run(server, requests, clients, seconds=self.options.seconds)
            if processor is not None:
                processor.append((server.processor() - before) / figures["count"])
            return float(figures["rate"])

        return measure

    def middle(self, server: Server, requests: Sequence[Request]) -> Callable[[], float]:
        """Measures the median milliseconds of a call."""
        return lambda: self.load.run(server, requests, 1, seconds=self.options.seconds)["p50"] * 1000

    def turns(self, pairs: Sequence[tuple[Pair, Callable[[], float], Callable[[], float]]], rounds: int = 0) -> None:
        """Interleaved rounds, after one that is not counted."""
        for _, ours, theirs in pairs:
            ours(), theirs()
        self.loops += take_turns(pairs, rounds or self.options.rounds)

    def deep_page(self, server: Server, row: int) -> list[Request]:
        """The call for the page that begins at that row of the list by name."""
        cursor = ""
        for _ in range(row // 500):
            (call,) = get(sort="name", limit=500, fields="name", **({"cursor": cursor} if cursor else {}))
            cursor = json.loads(server.get(call["path"]))["next_cursor"]
        return get(sort="name", limit=50, cursor=cursor)


def calls(bench: Bench) -> Iterator[Pair]:
    """Call by call, for one client and for eight."""
    with bench.both() as (ours, theirs):
        pairs = []
        for scenario in scenarios(bench.options.rows):
            for clients in (1, 8):
                pair = Pair(f"{scenario.title}, {clients} client{'s' if clients > 1 else ''}", scenario.goal)
                ourselves = bench.rate(ours, scenario.ours, clients, pair.our_processor)
                pairs.append((pair, ourselves, bench.rate(theirs, scenario.theirs, clients, pair.their_processor)))
        bench.turns(pairs)
    yield from (pair for pair, *_ in pairs)


def pages(bench: Bench) -> Iterator[Pair]:
    """A page in the middle of the table against the first one."""
    with generic(bench.folder, bench.our_url, bench.our_token, bench.probe) as ours:
        deep = bench.deep_page(ours, bench.options.rows // 2)
        pair = Pair("page at the middle row / first page (ours)", "<= 1.2", "ms")
        bench.turns([(pair, bench.middle(ours, deep), bench.middle(ours, get(sort="name", limit=50)))])
    yield pair


def many_at_once(bench: Bench) -> Iterator[Pair]:
    """Ten thousand records in one call, against the hand-written bulk and against one by one."""
    count = 2000 if bench.options.quick else 10_000
    request = bulk(count)
    with bench.both() as (ours, theirs):

        def seconds(server: Server) -> Callable[[], float]:
            return lambda: float(bench.load.run(server, request, 1, count=1)["seconds"])

        pair = Pair(f"bulk create of {count:,}", "<= 4", "s")
        single = Pair("bulk records/s against one by one (ours)", ">= 20")
        yardstick = Pair("the same of the application by hand", ">= 1")
        bench.turns(
            [
                (pair, seconds(ours), seconds(theirs)),
                (single, lambda: count / seconds(ours)(), bench.rate(ours, creates())),
                (yardstick, lambda: count / seconds(theirs)(), bench.rate(theirs, creates())),
            ],
            rounds=1 if bench.options.quick else 3,
        )
    yield from (pair, single, yardstick)


def rules(bench: Bench) -> Iterator[Pair]:
    """A save with twenty validation rules against one without."""
    with generic(bench.folder, bench.our_url, bench.our_token, bench.probe) as ours:
        pair = Pair("create with 20 rules / without (ours)", "<= 1.5", "ms")
        bench.turns([(pair, bench.middle(ours, creates("ruled_deal")), bench.middle(ours, creates("bare_deal")))])
    yield pair


def start(bench: Bench) -> Iterator[Single]:
    """From ``ratoon serve`` to the first answer."""
    seconds = []
    for _ in range(1 if bench.options.quick else 5):
        with generic(bench.folder, bench.our_url, bench.our_token, bench.probe) as ours:
            seconds.append(ours.started_in)
    yield Single("cold start", "s", seconds, 2.0)


def another_field(bench: Bench) -> Iterator[Single]:
    """Adding a field to the full table while others read it."""
    changed = bench.folder / "changed"
    durations, worst = [], []
    with generic(bench.folder, bench.our_url, bench.our_token, bench.probe) as ours:
        for number in range(1 if bench.options.quick else 3):
            shutil.rmtree(changed, ignore_errors=True)
            _with_more_fields(changed, number + 1)
            readers: dict[str, Any] = {}
            wait = threading.Thread(
                target=lambda found: found.update(
                    bench.load.run(ours, [*reads(bench.options.rows)[:20], *open_deals()[0]], 1, seconds=4)
                ),
                args=(readers,),
            )
            wait.start()
            time.sleep(0.5)
            durations.append(_apply(bench, changed))
            wait.join()
            worst.append(readers["worst"] * 1000)
            seen = json.loads(ours.get(bench.probe))
            if f"extra_{number + 1}" not in seen:
                raise SystemExit("the added field is not there")
    yield Single("adding a field to the full table", "s", durations, 0.5)
    yield Single("slowest read meanwhile", "ms", worst, 500)


def _with_more_fields(folder: Path, count: int) -> None:
    shutil.copytree(PACKAGE, folder)
    document = folder / "deal" / "object.json"
    found = json.loads(document.read_text(encoding="utf-8"))
    found["fields"] += [{"name": f"extra_{n + 1}", "type": "text", "label": f"Extra {n + 1}"} for n in range(count)]
    document.write_text(json.dumps(found), encoding="utf-8")


def _apply(bench: Bench, package: Path) -> float:
    """Applies the folder as ``ratoon apply`` does; seconds without the start of Python."""
    command = [sys.executable, str(HERE / "seed.py"), "apply", bench.our_url, "0", str(package)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def memory(bench: Bench) -> Iterator[Single]:
    """What 200 objects of 50 fields cost, all processes together, beyond the hand-written application."""
    objects = 20 if bench.options.quick else 200
    package = bench.folder / "large"
    _large_package(package, objects)
    token = bench.seed("generic", bench.large_url, str(PACKAGE), str(package), rows=100)
    with ExitStack() as stack:
        ours = stack.enter_context(generic(bench.folder, bench.large_url, token, bench.probe))
        theirs = stack.enter_context(handwritten(bench.folder, bench.their_url, bench.their_token, bench.probe))
        lists = [{"method": "GET", "path": f"/api/v1/records/wide_{n}"} for n in range(objects)]
        bench.load.run(ours, [*lists, *reads(100)], 8, count=objects + 100)
        bench.load.run(theirs, reads(100), 8, count=objects + 100)
        sizes = ours.memory(), theirs.memory()
    if sizes[0] is not None and sizes[1] is not None:
        title = f"memory beyond theirs, {objects} objects of 50 fields"
        yield Single(title, "MiB", [(sizes[0] - sizes[1]) / MEGABYTE], 100)


def _large_package(folder: Path, objects: int) -> None:
    types = ("text", "integer", "decimal", "date", "boolean", "email", "datetime", "textarea", "percent", "phone")
    manifest = {"kind": "package", "name": "wide", "version": "1.0.0", "label": "Wide"}
    _write(folder / "manifest.json", manifest)
    for number in range(objects):
        fields = [{"name": f"field_{n}", "type": types[n % 10], "label": f"Field {n}"} for n in range(50)]
        name = f"wide_{number}"
        labels = {"label": f"Wide {number}", "plural_label": f"Wide {number}", "title": "field_0"}
        _write(folder / name / "object.json", {"kind": "object", "name": name, **labels, "fields": fields})


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


PARTS: Mapping[str, Callable[[Bench], Iterator[Pair | Single]]] = {
    "calls": calls,
    "pages": pages,
    "bulk": many_at_once,
    "rules": rules,
    "start": start,
    "field": another_field,
    "memory": memory,
}
"""Every part, in the order they run."""
