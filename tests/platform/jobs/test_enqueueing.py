"""Runs are written with the work that causes them, done once, tried again, and wait for their time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict
from ratoon.platform.jobs import About, Again, GiveUp, JobRun, JobType, cancel, drain, enqueue, reschedule
from ratoon.platform.storage import runs, steps

THING = {
    "kind": "object",
    "name": "thing",
    "label": "Thing",
    "title": "name",
    "fields": [{"name": "name", "type": "text", "label": "Name"}],
}
PACKAGE = [{"kind": "package", "name": "things", "version": "1.0.0", "label": "Things"}, THING]


@pytest.fixture
def world(open_world: Callable[..., Environment]) -> Environment:
    return open_world(PACKAGE)


def put(env: Environment, name: str, payload: dict[str, Any] | None = None, **options: Any) -> str | None:
    with env.write(SYSTEM) as records:
        return enqueue(records.connection, env.world, name, payload or {}, **options)


def run_of(env: Environment, run: str | None) -> runs.Run:
    assert run is not None
    with env.database.read() as connection:
        found = runs.load(connection, run)
    assert found is not None
    return found


def names(env: Environment) -> list[str]:
    with env.read(SYSTEM) as records:
        return sorted(r["name"] for r in records.list(_all()).records)


def _all() -> Any:
    from ratoon.platform.records.reading import Query

    return Query("thing")


def test_a_rollback_leaves_no_run(world: Environment) -> None:
    def work(records: Any) -> None:
        enqueue(records.connection, world.world, "greet", {})
        raise Conflict("no")

    with pytest.raises(Conflict):
        world.transact(SYSTEM, work)
    assert drain(world) == 0


def test_a_run_is_done_and_keeps_its_result(world: Environment) -> None:
    world.jobs.add(JobType("greet", lambda run: {"hello": run.payload["who"]}))
    run = put(world, "greet", {"who": "Ada"})
    assert drain(world) == 1
    found = run_of(world, run)
    assert (found.state, found.result, found.tries) == ("done", {"hello": "Ada"}, 1)
    assert drain(world) == 0


def test_a_key_is_enqueued_once(world: Environment) -> None:
    world.jobs.add(JobType("greet", lambda run: None))
    assert put(world, "greet", key="a") is not None
    assert put(world, "greet", key="a") is None
    assert drain(world) == 1
    assert put(world, "greet", key="a") is None


def test_a_timer_waits_for_the_clock_and_can_be_moved_and_cancelled(world: Environment, time: Any) -> None:
    world.jobs.add(JobType("greet", lambda run: None))
    put(world, "greet", key="soon", at=time.now + timedelta(days=2))
    put(world, "greet", key="never", at=time.now + timedelta(days=2))
    assert drain(world) == 0
    with world.write(SYSTEM) as records:
        assert reschedule(records.connection, "soon", time.now + timedelta(days=1))
        assert cancel(records.connection, world.world, key="never")
    time.pass_(days=1)
    assert drain(world) == 1
    time.pass_(days=3)
    assert drain(world) == 0


def test_what_went_through_once_is_not_done_again(world: Environment, time: Any) -> None:
    def make(run: JobRun) -> None:
        run.once("make", lambda records: records.create("thing", [{"name": "one"}])[0]["id"])
        if run.run.tries < 3:
            raise Conflict("not yet")

    world.jobs.add(JobType("make", make))
    run = put(world, "make")
    drain(world)
    found = run_of(world, run)
    assert (found.state, found.error) == ("waiting", "not yet")
    time.pass_(seconds=5)
    drain(world)
    time.pass_(seconds=30)
    drain(world)
    assert run_of(world, run).state == "done"
    assert names(world) == ["one"]


def test_a_step_that_fails_leaves_nothing_of_itself(world: Environment) -> None:
    def make(run: JobRun) -> None:
        def work(records: Any) -> None:
            records.create("thing", [{"name": "half"}])
            raise GiveUp("cannot")

        run.once("make", work)

    world.jobs.add(JobType("make", make))
    run = put(world, "make")
    drain(world)
    assert (run_of(world, run).state, run_of(world, run).error_code) == ("failed", "given_up")
    assert names(world) == []


def test_tries_come_to_an_end_and_an_admin_repeats(world: Environment, time: Any) -> None:
    broken = [True]

    def call(run: JobRun) -> str:
        if broken:
            raise Conflict("refused")
        return "fine"

    world.jobs.add(JobType("call", call, tries=2, back_off=(10,)))
    run = put(world, "call")
    drain(world)
    time.pass_(seconds=10)
    drain(world)
    assert run_of(world, run).state == "failed"
    time.pass_(days=1)
    assert drain(world) == 0
    broken.clear()
    with world.database.write() as connection:
        assert runs.retry(connection, str(run), world.world.clock())
    drain(world)
    assert (run_of(world, run).state, run_of(world, run).result) == ("done", "fine")


def test_an_error_nobody_expected_is_kept_and_the_rest_goes_on(world: Environment) -> None:
    def stumble(run: JobRun) -> None:
        raise ZeroDivisionError("oops")

    world.jobs.add(JobType("stumble", stumble, tries=1))
    world.jobs.add(JobType("greet", lambda run: None))
    bad, good = put(world, "stumble"), put(world, "greet")
    drain(world)
    assert run_of(world, bad).error == "ZeroDivisionError: oops"
    assert run_of(world, good).state == "done"


def test_a_job_may_wait_in_the_middle(world: Environment, time: Any) -> None:
    def slow(run: JobRun) -> Any:
        if not run.payload.get("woken"):
            return Again(run.now + timedelta(days=30), {"woken": True})
        return "awake"

    world.jobs.add(JobType("slow", slow))
    run = put(world, "slow")
    drain(world)
    assert run_of(world, run).state == "waiting"
    time.pass_(days=29)
    assert drain(world) == 0
    time.pass_(days=1)
    drain(world)
    assert run_of(world, run).result == "awake"


def test_a_cancelled_run_is_left_alone(world: Environment) -> None:
    world.jobs.add(JobType("greet", lambda run: None))
    run = put(world, "greet")
    with world.database.write() as connection:
        ((taken, handed),) = runs.take_due(connection, world.world.clock(), 10).handed
    with world.database.write() as connection:
        assert cancel(connection, world.world, run=run)
    from ratoon.platform.jobs import execute

    assert execute(world, taken, handed) == "left alone"
    assert run_of(world, run).state == "cancelled"


def test_a_job_nobody_knows_fails_in_words(world: Environment) -> None:
    run = put(world, "nonsense")
    drain(world)
    assert run_of(world, run).error == "There is no job called nonsense."


def test_a_run_knows_its_records_and_old_runs_are_forgotten(world: Environment, time: Any) -> None:
    world.jobs.add(JobType("greet", lambda run: None))
    record = "01900000-0000-7000-8000-00000000aaaa"
    run = put(world, "greet", about=About(records={record: {"name": "x"}}, object="thing"))
    drain(world)
    with world.database.write() as connection:
        assert runs.records_of(connection, str(run)) == {record: {"name": "x"}}
        assert steps.of_run(connection, str(run)) == []
        assert runs.forget_before(connection, time.now + timedelta(days=1)) == [(run, 1)]
