"""``ratoon serve`` as a process: one server per port, and no worker outlives its server."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time as clock
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratoon.platform.config import World
from ratoon.platform.storage.database import Database
from ratoon.platform.storage.runs import enqueue, load
from ratoon.platform.storage.workers import everyone

RATOON = Path(sys.executable).with_name("ratoon")
PATIENCE = 60
"""Seconds that a loaded machine may take."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def until(wanted: bool, port: int) -> bool:
    end = clock.monotonic() + PATIENCE
    while clock.monotonic() < end:
        if answers(port) is wanted:
            return True
        clock.sleep(0.1)
    return False


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, dict[str, str]]]:
    """A running server: the process, its port, and the environment variables it was started with."""
    port = free_port()
    variables = {**os.environ, "RATOON_DATABASE_URL": f"sqlite:///{tmp_path / 'r.db'}", "RATOON_PORT": str(port)}
    process = subprocess.Popen(
        [RATOON, "serve"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    )
    assert until(True, port)
    yield process, port, variables
    process.kill()
    process.communicate()
    until(False, port)


def test_a_second_server_on_the_same_port_is_refused(
    server: tuple[subprocess.Popen[str], int, dict[str, str]],
) -> None:
    _, port, variables = server
    second = subprocess.run(
        [RATOON, "serve"], env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert second.returncode == 1
    assert re.search(rf"127\.0\.0\.1:{port} cannot be used", second.stderr)


def test_the_work_after_the_commit_is_done_beside_the_server(
    server: tuple[subprocess.Popen[str], int, dict[str, str]],
) -> None:
    process, _, variables = server
    database = Database.open(variables["RATOON_DATABASE_URL"])
    with database.write() as connection:
        run = enqueue(connection, World(), "nobody_knows_this", {})
        assert run is not None
    found = None
    end = clock.monotonic() + PATIENCE
    while clock.monotonic() < end and (found is None or found.state != "failed"):
        clock.sleep(0.1)
        with database.read() as connection:
            found = load(connection, run)
    assert found is not None
    assert found.error == "There is no job called nobody_knows_this."
    with database.read() as connection:
        (worker,) = everyone(connection)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while clock.monotonic() < end and lives(worker.pid):
        clock.sleep(0.1)
    assert not lives(worker.pid)
    database.dispose()


def test_no_worker_outlives_a_killed_server(server: tuple[subprocess.Popen[str], int, dict[str, str]]) -> None:
    process, port, _ = server
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert until(False, port)
