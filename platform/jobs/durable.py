"""The durable engine: DBOS Transact, one per process. No other module of the product knows it.

A run that is due becomes one workflow, enqueued in the transaction that marks the run as queued, so it is handed over
exactly once. The engine keeps its state in the same database, shares the queue among any number of worker processes
and holds what each of them has begun: when a worker dies, another one declares it dead and the engine gives out its
workflows again. What a workflow does is ``running.execute``, which may be repeated at any point.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from dbos import DBOS, DBOSClient, DBOSConfig

from ratoon.platform.jobs.running import execute
from ratoon.platform.storage import runs
from ratoon.platform.storage.database import Busy
from ratoon.platform.storage.engine_for_jobs import engine_for_jobs

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

APPLICATION = "ratoon"
QUEUE = "ratoon_runs"
WORKFLOW = "ratoon_run"
VERSION = "1"
"""All workers share the work, whatever version of the product they run: a workflow is a run's id, nothing more."""
BATCH = 200
"""Runs handed over in one transaction."""
BUSY_TRIES = 5
QUIET = 3600.0
"""Seconds between looks for things that are not used here."""


class DurableEngine:
    """DBOS for one environment. ``start`` it once per process."""

    def __init__(self, environment: Environment, worker: str) -> None:
        self._environment = environment
        self._worker = worker
        settings = environment.settings
        self._threads = settings.job_threads
        self._poll = settings.job_poll_seconds
        self._pool = engine_for_jobs(environment.database, self._threads)
        self._client: DBOSClient | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Makes or completes the engine's own tables and begins to work."""
        level = "ERROR" if self._environment.settings.log_level != "debug" else "INFO"
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_engine": self._pool,
            "executor_id": self._worker,
            "application_version": VERSION,
            "log_level": level,
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 1.0,
            "scheduler_polling_interval_sec": QUIET,
            "max_executor_threads": self._threads + 4,
        }
        DBOS(config=config)

        def work(run: str, handed: int) -> str:
            return self._workflow(run, handed)

        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1000)(work)
        DBOS.listen_queues([QUEUE])
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=self._threads,
            polling_interval_sec=self._poll,
            on_conflict="always_update",
        )
        self._client = DBOSClient(system_database_engine=self._pool, application_name=APPLICATION, lazy=True)

    def _workflow(self, run: str, handed: int) -> str:
        for _ in range(BUSY_TRIES):
            try:
                return execute(self._environment, run, handed, self._worker)
            except Busy:
                self._stopping.wait(1.0)
        logging.getLogger("ratoon.jobs").error("run %s: the database stays busy", run)
        return "busy"

    def hand_over(self) -> int:
        """Gives the engine what is due; returns how many runs were, those included that a limit makes wait."""
        environment = self._environment
        now = environment.world.clock()
        with environment.database.read() as connection:
            if not runs.any_due(connection, now):
                return 0
        client = self._client
        if client is None:
            raise RuntimeError("the engine is not started")
        with environment.database.write() as connection:
            taken = runs.take_due(connection, now, BATCH, environment.settings.job_limits)
            for run, handed in taken.handed:
                client.enqueue_in_transaction(
                    connection,
                    {"workflow_name": WORKFLOW, "queue_name": QUEUE, "workflow_id": f"{run}-{handed}"},
                    run,
                    handed,
                )
        return taken.looked_at

    def take_over(self, dead: Collection[str]) -> int:
        """Gives out again what these workers had begun; returns how many workflows."""
        return len(DBOS._recover_pending_workflows(sorted(dead))) if dead else 0

    def forget(self, gone: Sequence[tuple[str, int]]) -> None:
        """Drops what the engine kept of runs that are forgotten: (run, how often it was handed over)."""
        workflows = [f"{run}-{number}" for run, handed in gone for number in range(1, handed + 1)]
        if workflows and self._client is not None:
            self._client.delete_workflows(workflows)

    def stop(self, patience: int = 10) -> None:
        """Ends; waits up to ``patience`` seconds for what is going on. What is not finished goes on elsewhere."""
        self._stopping.set()
        DBOS.destroy(workflow_completion_timeout_sec=patience, destroy_registry=True)
        self._pool.dispose()
