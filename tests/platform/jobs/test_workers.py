"""Real worker processes: what is due is done, once, however often a worker is killed."""

from __future__ import annotations

import subprocess
import sys
import time as real_time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.jobs import enqueue
from ratoon.platform.plugins import Plugins
from ratoon.platform.storage import workers

HERE = Path(__file__).parent
THING = {
    "kind": "object",
    "name": "thing",
    "label": "Thing",
    "title": "name",
    "fields": [{"name": "name", "type": "text", "label": "Name"}],
}
PACKAGE = [{"kind": "package", "name": "things", "version": "1.0.0", "label": "Things"}, THING]
PATIENCE = 60.0


class Crew:
    """Worker processes of one database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, count: int = 1) -> None:
        """Starts workers and waits until they run."""
        command = [sys.executable, str(HERE / "working.py"), self.url]
        new = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        self.processes += new
        for process in new:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")

    def kill(self, place: int = 0) -> None:
        """SIGKILL."""
        process = self.processes.pop(place)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """SIGTERM to all; they must end by themselves."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)


@pytest.fixture
def world(open_world: Callable[..., Environment]) -> Iterator[Environment]:
    """The database of a world, opened again with the real clock: workers look at theirs."""
    url = open_world(PACKAGE).settings.database_url
    environment = open_environment(Settings(database_url=url), plugins=Plugins(), apply_packages=False)
    yield environment
    environment.close()


@pytest.fixture
def crew(world: Environment) -> Iterator[Crew]:
    made = Crew(world.settings.database_url)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def until(what: Callable[[], bool]) -> None:
    """Waits for something the workers do."""
    limit = real_time.monotonic() + PATIENCE
    while not what():
        assert real_time.monotonic() < limit, "the workers did not get there"
        real_time.sleep(0.05)


def states(env: Environment) -> dict[str, int]:
    with env.database.read() as connection:
        found = connection.exec_driver_sql("SELECT state, count(*) FROM ratoon_run GROUP BY state")
        return {row[0]: row[1] for row in found}


def things(env: Environment) -> list[str]:
    with env.read(SYSTEM) as records:
        rows = records.aggregate("thing", group_by=["name"], limit=10_000)
    assert all(row["count"] == 1 for row in rows)
    return sorted(row["name"] for row in rows)


def put(env: Environment, runs: int, each: int, at: datetime | None = None) -> list[str]:
    wanted = [[f"{run:03}-{name}" for name in range(each)] for run in range(runs)]
    with env.write(SYSTEM) as records:
        for names in wanted:
            enqueue(records.connection, env.world, "make", {"names": names}, at=at)
    return sorted(name for names in wanted for name in names)


def test_a_worker_does_what_is_due_and_ends_when_asked(world: Environment, crew: Crew) -> None:
    wanted = put(world, 3, 1)
    crew.start()
    until(lambda: states(world) == {"done": 3})
    assert things(world) == wanted
    crew.stop()
    assert [p.returncode for p in crew.processes] == [0]
    with world.database.read() as connection:
        assert workers.everyone(connection) == []


def test_killed_workers_lose_nothing_and_repeat_nothing(world: Environment, crew: Crew) -> None:
    wanted = put(world, 30, 12)
    crew.start(2)
    for share in (0.2, 0.5):
        until(lambda share=share: len(things(world)) >= share * len(wanted))
        crew.kill()
        crew.start()
    until(lambda: states(world) == {"done": 30})
    assert things(world) == wanted


def test_a_timer_outlives_the_workers(world: Environment, crew: Crew) -> None:
    wanted = put(world, 1, 1, at=datetime.now(UTC) + timedelta(seconds=2))
    crew.start()
    crew.kill()
    assert states(world) == {"waiting": 1}
    crew.start()
    until(lambda: states(world) == {"done": 1})
    assert things(world) == wanted
