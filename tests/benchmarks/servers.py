"""Starts and stops what is measured: both applications on the same server with the same number of workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
WORKERS = 2
THREADS = min(8, 2 * (os.cpu_count() or 1) + 1)
"""Threads per worker: what ``ratoon serve`` uses."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One application as running processes. Use it in a ``with`` block."""

    name: str
    command: list[str]
    folder: Path
    environ: Mapping[str, str]
    port: int
    token: str
    probe: str
    """A path that answers 200 once the server is ready."""
    started_in: float = 0.0
    """Seconds from the start of the process to its first answer."""

    def __enter__(self) -> Self:
        self._log = (self.folder / f"{self.name}-{self.port}.log").open("wb")
        start = time.perf_counter()
        self._process = subprocess.Popen(
            self.command,
            cwd=HERE,
            env={**os.environ, **self.environ},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - start > 60:
                raise SystemExit(f"{self.name} did not start:\n{Path(self._log.name).read_text()[-3000:]}")
            time.sleep(0.01)
        self.started_in = time.perf_counter() - start
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def get(self, path: str) -> bytes:
        """The body of a GET."""
        headers = {"Authorization": f"Bearer {self.token}"}
        call = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(call, timeout=60) as answer:
            body: bytes = answer.read()
            return body

    def _answers(self) -> bool:
        try:
            self.get(self.probe)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def processor(self) -> float:
        """Processor seconds that its processes have used so far; 0 where the system does not tell."""
        ticks = sum(_processor_ticks(pid) for pid in _family(self._process.pid))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int | None:
        """Proportional set size of all its processes in bytes; ``None`` where the system does not tell."""
        sizes = [_proportional(pid) for pid in _family(self._process.pid)]
        return None if None in sizes or not sizes else sum(size for size in sizes if size)


def _processor_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def handwritten(folder: Path, url: str, token: str, probe: str) -> Server:
    """The hand-written application."""
    port = free_port()
    command = [str(SCRIPTS / "granian"), "--interface", "wsgi", "--factory", "--workers", str(WORKERS)]
    command += ["--blocking-threads", str(THREADS), "--port", str(port), "--log-level", "error", "handwritten:wsgi"]
    return Server("handwritten", command, folder, {"BENCHMARK_DATABASE_URL": url}, port, token, probe)


def generic(folder: Path, url: str, token: str, probe: str) -> Server:
    """The product, without the process beside it that does the work after a commit: the other one has none. It counts
    the calls of its one caller, as ever, but lets more of them through."""
    port = free_port()
    environ = {"RATOON_DATABASE_URL": url, "RATOON_LOG_LEVEL": "error", "RATOON_FILES_DIR": str(folder / "files")}
    environ["RATOON_LIMIT_API"] = "1000000 per minute"
    command = [str(SCRIPTS / "ratoon"), "serve", "--port", str(port), "--workers", str(WORKERS), "--no-worker"]
    return Server("generic", command, folder, environ, port, token, probe)


def _family(root: int) -> Iterator[int]:
    """A process and all that it started (Linux)."""
    yield root
    for children in Path(f"/proc/{root}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _proportional(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)
