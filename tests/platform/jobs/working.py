"""A worker process for tests: ``python working.py DATABASE_URL``. It knows the job ``make``; silence is short.

``WORKER_HOST`` lets it seem to be on another machine: nobody can look there whether its process is alive.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace

from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.jobs import JobRun, JobType
from ratoon.platform.jobs.worker import Worker
from ratoon.platform.plugins import Plugins
from ratoon.platform.sdk import hookimpl


class Maker:
    """A plugin with a job that makes one thing per name."""

    @hookimpl
    def jobs(self) -> list[JobType]:
        def make(run: JobRun) -> None:
            for name in run.payload["names"]:
                run.once(name, lambda records, name=name: records.create("thing", [{"name": name}])[0]["id"])

        return [JobType("make", make)]


def plugins() -> Plugins:
    made = Plugins()
    made.add(Maker(), "maker")
    return made


def settings(url: str) -> Settings:
    given = Settings.from_environ(os.environ)
    silence = given.worker_silence_seconds if "RATOON_WORKER_SILENCE_SECONDS" in os.environ else 1.0
    return replace(given, database_url=url, worker_silence_seconds=silence, job_poll_seconds=0.05)


def main() -> None:
    environment = open_environment(settings(sys.argv[1]), plugins=plugins(), apply_packages=False)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", os.getpid(), flush=True)
    worker = Worker(environment)
    worker.host = os.environ.get("WORKER_HOST", worker.host)
    worker.run(stop)
    environment.close()


if __name__ == "__main__":
    main()
