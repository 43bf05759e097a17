"""The worker process beside a server: started once the server is up, started again when it dies, ended with it.

It is a process of its own because the durable engine is one per process and its threads do not survive a fork; it
starts a moment later so that the first page does not wait for it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

START_AFTER = 1.0
"""Seconds that the server has for itself."""
LONGEST_PAUSE = 60.0
"""Seconds at most between two starts of a worker that keeps dying."""
LOOK = 0.5
PATIENCE = 15.0
"""Seconds that the worker has to finish what it is doing."""


class WorkerBeside:
    """``with WorkerBeside(): …`` keeps a worker process running for the time of the block."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="worker-beside", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WorkerBeside:
        self._thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = START_AFTER
        while not self._stop.wait(pause):
            command = [sys.executable, "-m", "ratoon.platform.cli.worker", "--parent", str(os.getpid())]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while self._process.poll() is None and not self._stop.wait(LOOK):
                pass
            if self._process.poll() is None:
                self._end(self._process)
                return
            pause = min(max(1.0, pause * 2), LONGEST_PAUSE)
            code = self._process.returncode
            logging.getLogger("ratoon.jobs").error("the worker ended (%s); again in %.0f s", code, pause)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
