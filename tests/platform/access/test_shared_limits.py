"""Limits that a real Redis counts: for several processes together, and while it is stopped, killed and back again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratoon.platform.access.limits import RateLimits
from ratoon.platform.errors import TooMany

TRYING = """
import sys
from ratoon.platform.access.limits import RateLimits
from ratoon.platform.errors import TooMany
limits = RateLimits(sys.argv[1], {"sign_in": "40 per hour", "api": "40 per hour"}, wait=60)
print("ready", flush=True)
sys.stdin.readline()
passed = 0
for _ in range(30):
    try:
        limits.take("sign_in", "10.0.0.1")
        passed += 1
    except TooMany:
        pass
left = limits.settle("api", "somebody", 15)
print(passed, left, flush=True)
"""


class Redis:
    """A server of this test's own; nothing is written to disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, anew with nothing counted, and waits until it answers."""
        given = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(["redis-server", *given], cwd=self._folder, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
                    line.sendall(b"PING\r\n")
                    if line.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("redis-server does not answer")

    def tell(self, what: signal.Signals) -> None:
        """Sends it a signal; for SIGKILL waits until it is gone."""
        assert self.process is not None
        self.process.send_signal(what)
        if what == signal.SIGKILL:
            self.process.wait(30)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A running Redis."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is missing: `apt-get install redis-server`")
        pytest.skip("needs a real Redis: `apt-get install redis-server`")
    made = Redis(tmp_path)
    made.start()
    yield made
    made.tell(signal.SIGKILL)


def counted_again(limits: RateLimits) -> bool:
    """Whether taking is limited (again) before long; it takes until the pause after a loss is over."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            limits.take("sign_in", "10.0.0.1")
        except TooMany as refused:
            return 0 < refused.seconds <= 3601
        time.sleep(0.02)
    return False


def test_two_processes_share_one_limit_to_the_last_try(redis: Redis) -> None:
    made = [
        subprocess.Popen([sys.executable, "-c", TRYING, redis.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)
        for _ in range(2)
    ]  # fmt: skip
    for process in made:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in made:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [[int(word) for word in process.communicate(timeout=60)[0].split()] for process in made]
    assert sum(passed for passed, _ in told) == 40, told
    assert min(left for _, left in told) == 10, "40 less what both settled"
    here = RateLimits(redis.url, {"sign_in": "40 per hour", "api": "40 per hour"}, wait=60)
    with pytest.raises(TooMany):
        here.look("sign_in", "10.0.0.1")
    here.look("sign_in", "10.0.0.2")
    assert here.settle("api", "somebody", 10) == 0
    assert 0 < here.refusal("api", "somebody").seconds <= 3601


def test_redis_killed_in_the_middle_lets_through_and_counts_again_when_it_is_back(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    limits = RateLimits(redis.url, {"sign_in": "2 per hour", "api": "5 per hour"}, wait=60, lost=0.3)
    assert limits.settle("api", "somebody", 4) == 1
    assert counted_again(limits)
    redis.tell(signal.SIGKILL)
    for _ in range(5):
        limits.take("sign_in", "10.0.0.1")
        limits.look("sign_in", "10.0.0.1")
    assert limits.settle("api", "somebody", 4) == 5
    assert "rate limits cannot be counted" in caplog.text
    redis.start()
    assert counted_again(limits), "the scripts of the old server are gone, too"
    assert limits.settle("api", "somebody", 4) == 1, "a new server begins anew"


def test_a_redis_that_hangs_makes_one_call_wait_and_not_each(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    limits = RateLimits(redis.url, {"sign_in": "2 per hour", "api": "5 per hour"}, lost=3600)
    limits.take("sign_in", "10.0.0.1")
    redis.tell(signal.SIGSTOP)
    try:
        for _ in range(200):
            assert limits.settle("api", "somebody", 0) == 5
            limits.take("sign_in", "10.0.0.1")
        assert caplog.text.count("rate limits cannot be counted") == 1, "asked once, not 400 times"
    finally:
        redis.tell(signal.SIGCONT)
