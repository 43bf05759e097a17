"""The comparison is fair: both applications take the same calls and give the same answers, exact to the last digit."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.app import create_app, open_environment
from ratoon.platform.config import Settings
from ratoon.platform.plugins import load_plugins

HERE = Path(__file__).parent
BASE = "/api/v1/records/deal"
Call = Callable[..., Any]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a module of the benchmark by name."""
    monkeypatch.syspath_prepend(str(HERE))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == HERE:
            del sys.modules[name]


def caller(client: Any, token: str) -> Call:
    """Calls with that token; returns (status, JSON)."""

    def call(method: str, path: str, **options: Any) -> tuple[int, Any]:
        answer = client.open(path, method=method, headers={"Authorization": f"Bearer {token}"}, **options)
        return answer.status_code, answer.get_json()

    return call


@pytest.fixture
def both(backend: str, databases: Any, tool: Callable[[str], Any], tmp_path: Path) -> Iterator[tuple[Call, Call]]:
    """Ours and theirs, each with the same thirty deals."""
    seed = tool("seed")
    their_url, our_url = databases.empty(backend), databases.empty(backend)
    their_token = seed.fill_handwritten(their_url, 30)
    our_token = seed.fill_generic(our_url, 30, [HERE / "package"])
    plugins = load_plugins()
    environment = open_environment(Settings(database_url=our_url, files_dir=str(tmp_path)), plugins=plugins)
    theirs = tool("handwritten").create_app(their_url).test_client()
    yield caller(create_app(environment, plugins).test_client(), our_token), caller(theirs, their_token)
    environment.close()


def plain(record: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """The declared fields, moments read."""
    kept = {key: record[key] for key in fields}
    kept["signed_at"] = datetime.fromisoformat(kept["signed_at"])
    return kept


def test_both_applications_answer_alike(both: tuple[Call, Call], tool: Callable[[str], Any]) -> None:
    ours, theirs = both
    fields = tool("handwritten").FIELDS
    data = tool("data")
    assert len(fields) == 20
    one = f"{BASE}/{data.deal_id(7)}"
    fresh = data.deal(99, "fresh")
    for verb, path, body, status in (
        ("GET", one, None, 200),
        ("PATCH", one, {"score": 5, "amount": "0.10"}, 200),
        ("POST", BASE, fresh, 201),
    ):
        (our_status, mine), (their_status, yours) = (call(verb, path, json=body) for call in both)
        assert our_status == their_status == status
        assert plain(mine, fields) == plain(yours, fields)
        assert mine["version"] == yours["version"]
    for our_path, their_path in (
        ('?filter=status = "open"&sort=id&limit=50', "?status=open&sort=id&limit=50"),
        ('?filter=industry = "software"&sort=-amount&limit=2', "?industry=software&sort=-amount&limit=2"),
    ):
        mine, yours = ours("GET", BASE + our_path)[1], theirs("GET", BASE + their_path)[1]
        assert len(mine["records"]) > 1
        assert [plain(r, fields) for r in mine["records"]] == [plain(r, fields) for r in yours["records"]]
        assert (mine["next_cursor"] is None) == (len(yours["records"]) < 50 and "limit=50" in their_path)


def test_both_applications_refuse_alike(both: tuple[Call, Call], tool: Callable[[str], Any]) -> None:
    one = f"{BASE}/{tool('data').deal_id(7)}"
    for call in both:
        assert call("PATCH", one, json={"amount": "12.345"})[0] == 422
        assert call("PATCH", one, json={"status": "unknown"})[0] == 422
        assert call("POST", BASE, json={"name": "no status"})[0] == 422
        assert call("GET", f"{BASE}/{tool('data').deal_id(1000)}")[0] == 404


def test_the_tables_of_the_readme_come_from_the_figures(tool: Callable[[str], Any]) -> None:
    measure, table = tool("measure"), tool("table")
    reached = measure.Pair("read one, 1 client", ">= 0.7", ours=[90.0, 80.0, 100.0], theirs=[100.0, 100.0, 100.0])
    missed = measure.Pair("bulk create of 10,000", "<= 4", "s", ours=[5.0], theirs=[1.0])
    start = measure.Single("cold start", "s", [1.25, 1.5], 2.0)
    report = {
        "machine": "Here", "rows": 100_000, "rounds": 3, "loops": [11.0, 14.0],
        "pairs": {"sqlite": [asdict(reached), asdict(missed)]}, "singles": {"sqlite": [asdict(start)]},
    }  # fmt: skip
    made = table.tables(report)
    assert "Here; calibration loop 11–14 ms, 100,000 rows, median of 3 interleaved rounds." in made
    assert "| | SQLite, 1 client | SQLite, 8 clients | goal |" in made
    assert "| read one | 90 / 100: 0.90 (0.80–1.00) | | ≥ 0.7 |" in made
    assert "| bulk create of 10,000 | **5.00** (5.00–5.00): 5.00 / 1.00 s | ≤ 4 |" in made
    assert "| cold start | 1.38 s (1.25–1.5) | ≤ 2 s |" in made
    page = (HERE.parents[1] / "platform" / "README.md").read_text(encoding="utf-8")
    changed = table.put_into(page, made)
    assert made in changed
    assert table.put_into(changed, made) == changed
