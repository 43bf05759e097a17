"""Budgets of a transaction and limits per minute: the error names rule and record, what is over a limit waits, nothing
is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BudgetSpent, LoopStopped
from ratoon.platform.jobs import drain
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import quotas, runs, steps
from ratoon.platform.storage.runs import Wanted

Agency = Callable[..., Environment]
BASE = {"kind": "automation", "object": "contract", "label": "Rule", "on": ["created"]}
CHILDREN = {**BASE, "name": "tasks", "when": "after",
            "actions": [{"type": "create_record", "object": "task", "values": {"subject": "name"}}]}  # fmt: skip
ROUND = {**BASE, "name": "round", "on": ["updated"], "when": "after",
         "actions": [{"type": "set_fields", "values": {"parts": "IF(ISBLANK(parts), 0, parts) + 1"}}]}  # fmt: skip
MAIL = {**BASE, "name": "mail", "when": "after_commit", "condition": "amount > 0",
        "actions": [{"type": "send_email", "to": "note", "subject": "name", "text": "name"},
                    {"type": "create_record", "object": "task", "values": {"subject": '"sent " & name'}}]}  # fmt: skip


@pytest.fixture
def limited(agency: Agency, injected: World) -> Any:
    """``limited(document, …, setting=…)``: the agency with these automations, opened anew with the settings."""
    opened: list[Environment] = []

    def make(*documents: dict[str, Any], **settings: Any) -> Environment:
        given = replace(agency(*documents).settings, **settings)
        opened.append(open_environment(given, injected, Plugins(), apply_packages=False))
        return opened[-1]

    yield make
    for environment in opened:
        environment.close()


def create(env: Environment, count: int = 1, **values: Any) -> list[str]:
    rows = [{"name": f"c{n}", **values} for n in range(count)]
    return [r["id"] for r in env.transact(SYSTEM, lambda records: records.create("contract", rows))]


def count(env: Environment, object: str) -> int:
    with env.read(SYSTEM) as records:
        return len(records.list(Query(object, limit=500)).records)


def test_a_budget_of_rows_names_the_rule_and_the_record_and_nothing_is_saved(limited: Any) -> None:
    env = limited(CHILDREN, automation_rows=5)
    create(env, 5)
    with pytest.raises(BudgetSpent) as error:
        create(env, 6)
    assert error.value.text().startswith("Automations changed more than 5 records in one transaction: contract.tasks")
    assert "at task/" in error.value.text()
    assert (count(env, "contract"), count(env, "task")) == (5, 5)

    def calls(records: RecordService) -> None:  # several calls of one transaction share the budget
        for _ in range(6):
            records.create("contract", [{"name": "one"}])

    with pytest.raises(BudgetSpent):
        env.transact(SYSTEM, calls)
    assert count(env, "contract") == 5


def test_a_budget_of_time_names_the_rules(limited: Any) -> None:
    env = limited(CHILDREN, {**CHILDREN, "name": "tasks_again"}, automation_seconds=-1.0)
    with pytest.raises(BudgetSpent) as error:
        create(env)
    assert error.value.cycle == ("contract.tasks_again",)
    assert "contract/" in error.value.text()
    assert (error.value.code, count(env, "contract")) == ("automation_budget", 0)


def test_how_often_one_rule_may_run_on_one_record_is_a_setting(limited: Any) -> None:
    env = limited(ROUND, automation_runs_per_record=2)
    (record,) = create(env)
    with pytest.raises(LoopStopped) as error:
        env.transact(SYSTEM, lambda records: records.update("contract", [Change(record, {"name": "x"})]))
    assert error.value.text() == (
        f"Automations keep changing the same record, contract/{record}: "
        "contract.round → contract.round → contract.round. Nothing was saved."
    )


def test_mails_over_the_limit_wait_and_go_out_later_each_once(limited: Any, inbox: Any, time: Any) -> None:
    env = limited(MAIL, smtp_host="127.0.0.1", smtp_port=inbox.port, mails_per_minute=3)
    create(env, 7, amount=1, note="x@example.com")
    create(env, 2, amount=1, note="no address")  # what fails for good is not tried at every turn
    drain(env)
    assert (len(inbox.mails), count(env, "task")) == (3, 3)
    with env.database.read() as connection:
        waiting = runs.find(connection, Wanted(state="waiting"))
    assert [r.error_code for r in waiting] == ["throttled"]
    assert {r.due_at - env.world.clock() for r in waiting} == {timedelta(seconds=60, milliseconds=1)}
    for _ in range(4):
        time.pass_(seconds=61)
        drain(env)
    assert sorted(str(m["Subject"]) for m in inbox.mails) == [f"c{n}" for n in range(7)]
    assert count(env, "task") == 7
    with env.database.read() as connection:
        found = {r.state: r for r in runs.find(connection, Wanted())}
        assert {state: run.tries for state, run in found.items()} == {"done": 1, "failed": 1}
        assert [s["tries"] for s in steps.of_run(connection, found["failed"].id)] == [1, 1]


def test_what_fails_for_good_does_not_keep_the_others_from_going_on(limited: Any, inbox: Any, time: Any) -> None:
    env = limited(MAIL, smtp_host="127.0.0.1", smtp_port=inbox.port, mails_per_minute=2)
    inbox.refuse = "550 no"
    create(env, 5, amount=1, note="x@example.com")
    drain(env)
    inbox.refuse = None
    time.pass_(seconds=61)
    drain(env)
    assert len(inbox.mails) == 2
    time.pass_(seconds=61)
    drain(env)
    assert len(inbox.mails) == 3
    with env.database.write() as connection:
        (run,) = runs.find(connection, Wanted())
        assert (run.state, run.error) == (
            "failed",
            "2 of 5 record(s) failed, the first at step 1: The mail server refused: 550 no",
        )
        runs.retry(connection, run.id, env.world.clock())
    time.pass_(seconds=61)
    drain(env)
    assert (len(inbox.mails), count(env, "task")) == (5, 5)


def test_calls_are_limited_by_host_and_runs_by_kind(limited: Any, receiver: Any, time: Any) -> None:
    call = {**BASE, "name": "call", "when": "after_commit", "actions": [{"type": "call_webhook", "url": receiver.url}]}
    env = limited(call, webhook_private_addresses=True, calls_per_minute=2, jobs_per_minute="automation=4")
    for _ in range(6):
        create(env)
    drain(env)
    assert len(receiver.calls) == 2  # four runs began, two of them wait for the host, two have not begun
    with env.database.read() as connection:
        found = runs.find(connection, Wanted())
    states = Counter((r.state, r.tries, r.error_code) for r in found)
    assert states == {("done", 1, None): 2, ("waiting", 0, "throttled"): 2, ("waiting", 0, None): 2}
    for _ in range(3):
        time.pass_(seconds=61)
        drain(env)
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.calls}) == len(receiver.calls) == 6


def test_a_minute_never_has_more_than_its_limit_however_many_ask(agency: Agency) -> None:
    env = agency()
    now = env.world.clock()
    granted: list[int] = []

    def ask() -> None:
        for _ in range(5):
            with env.database.write() as connection:
                granted.append(quotas.take(connection, "mail", 17, now, wanted=2)[0])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 17
    with env.database.write() as connection:
        assert quotas.take(connection, "mail", 17, now + timedelta(seconds=59.9))[0] == 0
        assert quotas.take(connection, "mail", 17, now + timedelta(seconds=60.1), wanted=20)[0] == 17


def test_a_limit_that_is_no_number_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="RATOON_JOBS_PER_MINUTE"):
        Settings.from_environ({"RATOON_JOBS_PER_MINUTE": "automation"})
    assert Settings.from_environ({"RATOON_JOBS_PER_MINUTE": "automation=60, digest=5"}).job_limits["digest"] == 5
