"""A process is killed with SIGKILL amid its creates: each call is whole or absent, and every rollup is right."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time as clock
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.records.reading import Query

CHILD = Path(__file__).with_name("keep_creating.py")


def create_and_kill(url: str, customer: str, after: float) -> int:
    """Runs the child for a while, kills it; returns how many groups it said were saved."""
    with subprocess.Popen(
        [sys.executable, str(CHILD), url, customer], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.stderr.read() if child.stderr else ""
        end = clock.monotonic() + after
        said = 0
        while clock.monotonic() < end:
            line = child.stdout.readline()
            assert line, child.stderr.read() if child.stderr else "the child ended by itself"
            said = int(line) + 1
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().count("\n")
    assert child.returncode == -signal.SIGKILL
    return said


@pytest.mark.slow
def test_a_killed_process_leaves_whole_records_and_right_rollups(shop: Environment) -> None:
    who = shop.transact(SYSTEM, lambda r: r.create("customer", [{"name": "Lin"}]))[0]["id"]
    said = 0
    for _ in range(3):
        said += create_and_kill(shop.settings.database_url, who, random.uniform(0.3, 1.5))
    names: Counter[str] = Counter()
    numbers: list[str] = []
    found: dict[str, Any]
    with shop.read(SYSTEM) as records:
        found = records.get("customer", who)
        cursor = None
        while True:
            page = records.list(Query("job", limit=500, cursor=cursor))
            for record in page.records:
                assert (record["price"], record["stage"]) == (10, "new")
                numbers.append(record["number"])
            names.update(r["name"].rpartition("-")[0] for r in page.records)
            cursor = page.next_cursor
            if cursor is None:
                break
    total = sum(names.values())
    assert set(names.values()) == {50}
    assert said * 50 <= total <= (said + 3) * 50
    assert (found["open_jobs"], found["spent"]) == (total, total * 10)
    assert sorted(numbers) == sorted(f"JOB-2026-{n:04d}" for n in range(1, total + 1))
