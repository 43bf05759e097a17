"""A worker: hands over what is due, gives signs of life, takes over from workers that died, looks at timers.

``Worker(environment).run(stop)`` works until the event is set. Any number may run against one database. On PostgreSQL
they may be on any machines; on SQLite they are processes of one machine and take turns writing.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ratoon.platform.errors import RatoonError
from ratoon.platform.jobs.keeping import EVERY, forget_old
from ratoon.platform.storage import runs, workers
from ratoon.platform.storage.database import Busy

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment
    from ratoon.platform.jobs.durable import DurableEngine

STUCK = timedelta(minutes=2)
"""After this long, what a worker that is not listed had begun is given out anew, whatever the engine thinks."""


class Worker:
    """One worker process (or thread) of an environment."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.host = socket.gethostname()[:30]
        self.id = f"{self.host}-{os.getpid()}-{environment.world.token()[:6]}"
        self._next_cleaning = environment.world.clock()
        self._log = logging.getLogger("ratoon.jobs")

    def run(self, stop: threading.Event) -> None:
        """Works until ``stop`` is set."""
        from ratoon.platform.jobs.durable import DurableEngine

        environment = self.environment
        now = environment.world.clock()
        with environment.database.write() as connection:
            workers.join(connection, workers.Worker(self.id, self.host, os.getpid(), now, now))
        engine = DurableEngine(environment, self.id)
        engine.start()
        try:
            self._work(engine, stop)
        finally:
            engine.stop()
            with environment.database.write() as connection:
                workers.leave(connection, [self.id])

    def _work(self, engine: DurableEngine, stop: threading.Event) -> None:
        settings = self.environment.settings
        beat = timedelta(seconds=settings.worker_silence_seconds / 4)
        clock = self.environment.world.clock
        next_beat = next_tick = clock()
        while not stop.is_set():
            now = clock()
            handed = 0
            try:
                if now >= next_beat:
                    next_beat = now + beat
                    self._beat(engine, now)
                if now >= next_tick:
                    next_tick = now + timedelta(seconds=settings.timer_poll_seconds)
                    self.environment.jobs.tick(self.environment, now)
                handed = engine.hand_over()
            except Busy:
                self._log.info("the database is busy; looking again")
            except RatoonError as error:
                self._log.error("worker %s: %s", self.id, error.text())
            if not handed:
                stop.wait(settings.job_poll_seconds)

    def _beat(self, engine: DurableEngine, now: datetime) -> None:
        """A sign of life; takes over from those who give none."""
        environment = self.environment
        silent = now - timedelta(seconds=environment.settings.worker_silence_seconds)
        with environment.database.write() as connection:
            if not workers.beat(connection, self.id, now):
                workers.join(connection, workers.Worker(self.id, self.host, os.getpid(), now, now))
            everyone = workers.everyone(connection)
        dead = [w.id for w in everyone if w.id != self.id and (w.beat_at < silent or self._gone(w))]
        if dead:
            engine.take_over(dead)
            with environment.database.write() as connection:
                workers.leave(connection, dead)
            self._log.warning("took over from %s", ", ".join(dead))
        alive = {w.id for w in everyone} - set(dead)
        with environment.database.write() as connection:
            runs.abandoned(connection, alive, now - STUCK, now)
            days = environment.settings.keep_runs_days
            forgotten = runs.forget_before(connection, now - timedelta(days=days)) if days else []
        engine.forget(forgotten)
        if now >= self._next_cleaning:
            self._next_cleaning = now + EVERY
            for name, number in forget_old(environment, now).items():
                self._log.info("%s %s were too old to be kept", number, name)

    def _gone(self, worker: workers.Worker) -> bool:
        """Whether a worker of this machine has no process any more."""
        if worker.host != self.host or worker.pid == os.getpid():
            return False
        try:
            os.kill(worker.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False
