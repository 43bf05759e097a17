"""``ratoon worker``: does the work after the commit, beside the worker that ``ratoon serve`` starts.

On PostgreSQL any number of workers may run, on any machines. On SQLite they are processes of one machine and take
turns writing: more than one is safe, and not faster. Ends on SIGTERM or Ctrl-C after what it is doing.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from types import FrameType

import click

from ratoon.platform.config import Settings

PARENT_LOOK_SECONDS = 1.0


@click.command()
@click.option("--threads", type=int, help="Runs done at the same time (RATOON_JOB_THREADS, 8).")
@click.option("--once", is_flag=True, help="Do what is due now, in this process, and end.")
@click.option("--parent", type=int, hidden=True, help="Process id of the server: end when it is gone.")
def command(threads: int | None, once: bool, parent: int | None) -> None:
    """Do the work after the commit: automations, mails, calls, timers."""
    from ratoon.platform.app import open_environment

    settings = Settings.from_environ(os.environ)
    settings = replace(settings, job_threads=threads or settings.job_threads)
    environment = open_environment(settings, apply_packages=parent is None)
    try:
        if once:
            from ratoon.platform.jobs import drain

            environment.jobs.tick(environment, environment.world.clock())
            click.echo(f"{drain(environment)} run(s) done.")
            return
        from ratoon.platform.jobs.worker import Worker

        stop = threading.Event()
        _stop_on_signals(stop)
        if parent is not None:
            _follow(parent, stop)
        worker = Worker(environment)
        click.echo(f"Worker {worker.id} is ready.")
        worker.run(stop)
    finally:
        environment.close()


def _stop_on_signals(stop: threading.Event) -> None:
    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _follow(parent: int, stop: threading.Event) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            if stop.wait(PARENT_LOOK_SECONDS):
                return
        stop.set()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


if __name__ == "__main__":
    command(prog_name="ratoon worker")
