"""``platform/README.md``'s tables, written from the JSON of a run, so that no figure is copied by hand.

``python tests/benchmarks/table.py FILE.json`` prints them; with ``platform/README.md`` as a second argument they are
put there, in place of those between the two comments about figures. ``make bench`` leaves the file in ``.bench/``, or
it is what ``python tests/benchmarks/__main__.py --json FILE.json`` wrote. Missed goals are in bold.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Pair, Single

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
CLIENTS = {", 1 client": "1 client", ", 8 clients": "8 clients"}
"""How the titles of what is called by one client and by eight end."""
Cells = dict[str, dict[str, str]]
"""Title of a row → column → cell."""


def tables(report: Mapping[str, Any]) -> str:
    """Both tables in Markdown, with a line that says how they were measured."""
    calls: Cells = {}
    others: Cells = {}
    for kind, items in report["pairs"].items():
        for pair in (Pair(**item) for item in items):
            title, clients = _split(pair.title)
            if clients:
                row = calls.setdefault(title, {"goal": _goal(pair.goal)})
                row[f"{NAMES[kind]}, {clients}"] = _call(pair)
            else:
                goal = _goal(pair.goal) if pair.title != "the same of the application by hand" else ""
                others.setdefault(title, {"goal": goal})[NAMES[kind]] = _pair(pair)
    for kind, items in report["singles"].items():
        for single in (Single(**item) for item in items):
            row = others.setdefault(single.title, {"goal": f"≤ {single.limit:g} {single.unit}"})
            row[NAMES[kind]] = _single(single)
    both = [f"{NAMES[kind]}, {clients}" for kind in report["pairs"] for clients in CLIENTS.values()]
    return "\n\n".join(
        [
            f"{_how(report)} Requests per second, ours / by hand, and the ratio (smallest–largest of the rounds):",
            _markdown(both, calls),
            "And the rest; what was missed is in bold:",
            _markdown([NAMES[kind] for kind in report["pairs"] or report["singles"]], others),
        ]
    )


def _split(title: str) -> tuple[str, str]:
    for ending, clients in CLIENTS.items():
        if title.endswith(ending):
            return title.removesuffix(ending), clients
    return title, ""


def _how(report: Mapping[str, Any]) -> str:
    loops = report["loops"]
    quiet = f"calibration loop {min(loops):.0f}–{max(loops):.0f} ms, " if loops else ""
    return f"{report['machine']}; {quiet}{report['rows']:,} rows, median of {report['rounds']} interleaved rounds."


def _goal(goal: str) -> str:
    return goal.replace(">=", "≥").replace("<=", "≤")


def _call(pair: Pair) -> str:
    ours, theirs = statistics.median(pair.ours), statistics.median(pair.theirs)
    return f"{ours:.0f} / {theirs:.0f}: {_ratio(pair)}"


def _pair(pair: Pair) -> str:
    ours, theirs = (_figure(statistics.median(values)) for values in (pair.ours, pair.theirs))
    return f"{_ratio(pair)}: {ours} / {theirs} {pair.unit}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _ratio(pair: Pair) -> str:
    return f"{_loud(f'{pair.ratio:.2f}', pair.reached)} ({min(pair.ratios):.2f}–{max(pair.ratios):.2f})"


def _single(single: Single) -> str:
    middle = _loud(f"{statistics.median(single.values):.3g} {single.unit}", single.reached)
    return f"{middle} ({min(single.values):.3g}–{max(single.values):.3g})"


def _loud(text: str, reached: bool) -> str:
    return text if reached else f"**{text}**"


def _markdown(columns: Sequence[str], rows: Cells) -> str:
    head = ["", *columns, "goal"]
    lines = [head, ["---"] * len(head)]
    lines += [[title, *(cells.get(column, "") for column in columns), cells["goal"]] for title, cells in rows.items()]
    return "\n".join(("| " + " | ".join(line) + " |").replace("|  |", "| |") for line in lines)


def put_into(page: str, made: str) -> str:
    """The page with the tables between its comments. Raises ``ValueError`` when they are not there."""
    begin, end = "<!-- figures -->", "<!-- end of figures -->"
    before, after = page.index(begin) + len(begin), page.index(end)
    return f"{page[:before]}\n{made}\n{page[after:]}"


def main() -> None:
    """Prints the tables, or puts them into a page."""
    made = tables(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    if len(sys.argv) == 2:
        print(made)
    for page in map(Path, sys.argv[2:]):
        page.write_text(put_into(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
