"""Web servers and workers are killed with SIGKILL amid automations that create records, call and mail.

Records are created over HTTP at two servers (one on SQLite), three workers (one on SQLite) do what follows. Clients
repeat a call that got no answer with the same ``Idempotency-Key``. Every record is made once, every mail and call goes
out, a run of a killed worker is taken over, a timer outlives them all.

``make crash`` runs it at full size (``RATOON_CRASH_RECORDS=2000``): then each worker seems to be on a machine of its
own, so that only its silence tells that it died.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time as real_time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.plugins import Plugins

JOBS = Path(__file__).parents[1] / "jobs"
RECORDS = int(os.environ.get("RATOON_CRASH_RECORDS", "60"))
FULL = "RATOON_CRASH_RECORDS" in os.environ
GROUP = 5
SLOW = 5
TIMER = 30 if FULL else 4
"""Seconds that the timer waits."""
KILLS = 12 if FULL else 2
"""How often a worker is killed; servers half as often in the small test: they take long to start."""
PATIENCE = 60 + RECORDS / 3
"""Seconds."""


def automation(name: str, condition: str, *actions: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "automation",
        "object": "contract",
        "name": name,
        "label": name,
        "on": ["created"],
        "when": "after_commit",
        "condition": condition,
        "actions": list(actions),
    }


TASK = {"type": "create_record", "object": "task", "values": {"subject": "name"}}


class Processes:
    """Servers and workers of one database, each in a process group of its own."""

    def __init__(self, url: str, variables: dict[str, str], servers: int, workers: int) -> None:
        self.variables = {**os.environ, **variables, "RATOON_DATABASE_URL": url}
        self.url = url
        self.ports = [_free_port() for _ in range(servers)]
        self.servers = [self._server(port) for port in self.ports]
        self.numbers = itertools.count(1)
        self.workers = [self._worker() for _ in range(workers)]
        self.killed: list[tuple[int, datetime]] = []
        """Workers: process and moment."""

    def _server(self, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(JOBS / "serving.py"), str(port)]
        silent = subprocess.DEVNULL
        return subprocess.Popen(
            command, stdout=silent, stderr=silent, text=True, env=self.variables, start_new_session=True
        )

    def _worker(self) -> subprocess.Popen[str]:
        given = dict(self.variables)
        if FULL:
            given |= {"WORKER_HOST": f"machine{next(self.numbers)}", "RATOON_WORKER_SILENCE_SECONDS": "20"}
        command = [sys.executable, str(JOBS / "working.py"), self.url]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True, env=given, start_new_session=True)

    def wait(self) -> None:
        """Until all servers answer."""
        for port in self.ports:
            _until(lambda port=port: _answers(port), "the server does not answer")

    def kill_server(self, place: int) -> None:
        """SIGKILL to a server with its children, and another one in its place."""
        _kill(self.servers[place])
        _until(lambda: not _answers(self.ports[place]), "the killed server still answers")
        self.servers[place] = self._server(self.ports[place])

    def kill_worker(self, place: int) -> None:
        """SIGKILL to a worker, and another one in its place."""
        victim = self.workers[place]
        _kill(victim)
        self.killed.append((victim.pid, datetime.now(UTC)))
        self.workers[place] = self._worker()

    def end(self) -> None:
        for process in (*self.servers, *self.workers):
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _until(what: Callable[[], Any], otherwise: str, patience: float = 60.0) -> None:
    end = real_time.monotonic() + patience
    while not what():
        assert real_time.monotonic() < end, otherwise
        real_time.sleep(0.05)


class Client(threading.Thread):
    """Creates contracts, each group with a key of its own; a call without an answer is made again, elsewhere."""

    def __init__(self, ports: list[int], token: str, groups: list[list[str]]) -> None:
        super().__init__(daemon=True)
        self.ports = itertools.cycle(ports)
        self.token = token
        self.groups = groups
        self.again = 0
        """Calls that had to be repeated."""
        self.wrong: list[str] = []

    def run(self) -> None:
        for names in self.groups:
            end = real_time.monotonic() + PATIENCE
            while not self._create(names) and real_time.monotonic() < end:
                self.again += 1
                real_time.sleep(0.1)

    def _create(self, names: list[str]) -> bool:
        body = json.dumps([{"name": name} for name in names])
        headers = {
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Idempotency-Key": names[0],
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", next(self.ports), timeout=30)
        try:
            connection.request("POST", "/api/v1/records/contract", body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status not in (200, 201, 409, 503):
            self.wrong.append(f"{answer.status} {text}")
        return answer.status in (200, 201)


@pytest.fixture
def world(agency: Callable[..., Environment], receiver: Any) -> Iterator[Environment]:
    three = automation(
        "three",
        'NOT(BEGINS(name, "slow"))',
        TASK,
        {"type": "call_webhook", "url": receiver.url, "values": {"name": "name"}},
        {"type": "send_email", "to": '"x@example.com"', "subject": "name", "text": "name"},
    )
    slow = automation("slow", 'BEGINS(name, "slow")', {"type": "wait", "for": {"seconds": TIMER}}, TASK)
    url = agency(three, slow).settings.database_url
    env = open_environment(Settings(database_url=url), plugins=Plugins(), apply_packages=False)
    yield env
    env.close()


def rows(env: Environment, sql: str) -> list[Any]:
    with env.database.read() as connection:
        return list(connection.exec_driver_sql(sql))


def begun_by(env: Environment, pid: int) -> list[str]:
    """Runs that a process had begun and not ended."""
    running = rows(env, "SELECT id, worker FROM ratoon_run WHERE state = 'running'")
    return [run for run, worker in running if f"-{pid}-" in worker]


@pytest.mark.slow
def test_everything_happens_once_however_often_servers_and_workers_are_killed(
    world: Environment, backend: str, inbox: Any, receiver: Any, capsys: Any
) -> None:
    with world.write(SYSTEM) as records:
        accounts = Accounts(world.world)
        user = accounts.create_user(records, name="A", email="a@x.example", password="Secret-pass-2026", admin=True)
        made = accounts.create_token(records.connection, user_id=user, label="crash")
    token = made if isinstance(made, str) else made[0]
    variables = {
        "RATOON_SMTP_HOST": "127.0.0.1", "RATOON_SMTP_PORT": str(inbox.port), "RATOON_WEBHOOK_PRIVATE_ADDRESSES": "1",
    }  # fmt: skip
    crowd = backend == "postgresql"
    processes = Processes(world.settings.database_url, variables, 2 if crowd else 1, 3 if crowd else 1)
    wanted = [f"n{i:05}" for i in range(RECORDS)]
    groups = [wanted[i : i + GROUP] for i in range(0, RECORDS, GROUP)]
    slow = [f"slow{i}" for i in range(SLOW)]
    clients = [Client(processes.ports[n:] + processes.ports[:n], token, groups[n::2]) for n in range(2)]
    clients[0].groups.insert(0, slow)
    chance = random.Random(7)
    stuck: dict[str, datetime] = {}
    try:
        processes.wait()
        for client in clients:
            client.start()
        for number in range(KILLS):
            place = chance.randrange(len(processes.workers))
            pid = processes.workers[place].pid
            _until(lambda pid=pid: rows(world, f"SELECT 1 FROM ratoon_worker WHERE pid = {pid}"), "it does not work")
            real_time.sleep(chance.uniform(0.2, 4.0 if FULL else 0.6))
            processes.kill_worker(place)
            pid, moment = processes.killed[-1]
            stuck |= dict.fromkeys(begun_by(world, pid), moment)
            real_time.sleep(chance.uniform(0.2, 4.0 if FULL else 0.6))
            if FULL or not number % 2:
                processes.kill_server(number % len(processes.servers))
        for client in clients:
            client.join(PATIENCE)
        ended = "SELECT 1 FROM ratoon_run WHERE state NOT IN ('done', 'failed') LIMIT 1"
        _until(lambda: not rows(world, ended), "the workers do not come to an end", PATIENCE)
    finally:
        processes.end()
    assert [client.wrong for client in clients] == [[], []]
    states = Counter(row[0] for row in rows(world, "SELECT state FROM ratoon_run"))
    assert states == {"done": len(groups) + 1}
    assert sorted(row[0] for row in rows(world, "SELECT name FROM contract")) == sorted([*wanted, *slow])
    assert sorted(row[0] for row in rows(world, "SELECT subject FROM task")) == sorted([*wanted, *slow])
    keys = Counter(headers["Idempotency-Key"] for _, headers, _ in receiver.calls)
    mails = Counter(str(message["Message-ID"]) for message in inbox.mails)
    assert sorted({json.loads(body)["record"]["name"] for _, _, body in receiver.calls}) == wanted
    assert sorted({str(m["Subject"]) for m in inbox.mails}) == wanted
    assert (len(keys), len(mails)) == (RECORDS, RECORDS)
    # A worker that dies between sending and noting it sends once more, under the same key: one for each of its threads.
    repeats = {"calls": keys.total() - RECORDS, "mails": mails.total() - RECORDS}
    assert max(repeats.values()) <= KILLS * 8
    taken = [_seconds_until_taken(world, run, moment) for run, moment in stuck.items()]
    assert all(seconds < 60 for seconds in taken)
    with capsys.disabled():
        if FULL:
            print(f"\n{backend}: {RECORDS} records, {KILLS} servers and {KILLS} workers killed "
                  f"calls repeated by clients {sum(c.again for c in clients)}; sent again {repeats}; "
                  f"runs taken over {len(taken)}, the last after {max(taken, default=0):.1f} s")  # fmt: skip


def _seconds_until_taken(env: Environment, run: str, killed: datetime) -> float:
    from ratoon.platform.storage import runs

    with env.database.read() as connection:
        found = runs.load(connection, run)
    assert found is not None
    assert found.started_at is not None
    return (found.started_at - killed).total_seconds()
