"""A worker process for tests: ``python working.py DATABASE_URL``. It knows the job ``make``; silence is short."""

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
    return replace(given, database_url=url, worker_silence_seconds=1.0, job_poll_seconds=0.05)


def main() -> None:
    environment = open_environment(settings(sys.argv[1]), plugins=plugins(), apply_packages=False)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", os.getpid(), flush=True)
    Worker(environment).run(stop)
    environment.close()


if __name__ == "__main__":
    main()
