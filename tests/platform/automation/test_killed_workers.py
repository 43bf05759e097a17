"""Workers are killed with SIGKILL amid automations that create records, call and mail: everything happens once.

``RATOON_CRASH_RECORDS`` says for how many records (150).
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import time as real_time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.plugins import Plugins

WORKER = Path(__file__).parents[1] / "jobs" / "working.py"
RECORDS = int(os.environ.get("RATOON_CRASH_RECORDS", "150"))
GROUP = 5
PATIENCE = 60 + RECORDS / 5
"""Seconds."""


def start(url: str, variables: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(WORKER), url], stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    return process


def rows(env: Environment, sql: str) -> list[Any]:
    with env.database.read() as connection:
        return list(connection.exec_driver_sql(sql))


@pytest.mark.slow
def test_each_record_is_made_once_and_each_mail_and_call_goes_out(
    agency: Callable[..., Environment], backend: str, inbox: Any, receiver: Any
) -> None:
    three = {
        "kind": "automation", "object": "contract", "name": "three", "label": "Three", "on": ["created"],
        "when": "after_commit",
        "actions": [
            {"type": "create_record", "object": "task", "values": {"subject": "name"}},
            {"type": "call_webhook", "url": receiver.url, "values": {"name": "name"}},
            {"type": "send_email", "to": '"x@example.com"', "subject": "name", "text": "name"},
        ],
    }  # fmt: skip
    url = agency(three).settings.database_url
    variables = {
        "RATOON_SMTP_HOST": "127.0.0.1", "RATOON_SMTP_PORT": str(inbox.port), "RATOON_WEBHOOK_PRIVATE_ADDRESSES": "1",
    }  # fmt: skip
    env = open_environment(Settings(database_url=url), plugins=Plugins(), apply_packages=False)
    workers = [start(url, variables) for _ in range(1 if backend == "sqlite" else 3)]
    chance = random.Random(7)
    killed = 0
    try:
        for place in range(0, RECORDS, GROUP):
            values = [{"name": f"n{place + i:05}"} for i in range(GROUP)]
            env.transact(SYSTEM, lambda records, values=values: records.create("contract", values))
            if place and place % max(GROUP, RECORDS // 4 // GROUP * GROUP) == 0:
                real_time.sleep(chance.uniform(0.0, 0.4))
                victim = workers.pop(0)
                victim.kill()
                victim.wait()
                workers.append(start(url, variables))
                killed += 1
        end = real_time.monotonic() + PATIENCE
        while rows(env, "SELECT 1 FROM ratoon_run WHERE state <> 'done' LIMIT 1") and real_time.monotonic() < end:
            real_time.sleep(0.1)
    finally:
        for process in workers:
            process.kill()
            process.wait()
    assert killed >= 3
    assert Counter(row[0] for row in rows(env, "SELECT state FROM ratoon_run")) == {"done": RECORDS // GROUP}
    wanted = [f"n{i:05}" for i in range(RECORDS)]
    assert sorted(row[0] for row in rows(env, "SELECT subject FROM task")) == wanted
    keys = Counter(headers["Idempotency-Key"] for _, headers, _ in receiver.calls)
    assert len(keys) == RECORDS
    mails = Counter(str(message["Message-ID"]) for message in inbox.mails)
    assert sorted({str(m["Subject"]) for m in inbox.mails}) == wanted
    assert len(mails) == RECORDS
    # A worker that dies between sending and noting it sends again, under the same key: at most one for each kill.
    repeated = itertools.chain(keys.values(), mails.values())
    assert sum(times - 1 for times in repeated) <= killed * 8
    env.close()
