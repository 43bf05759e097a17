"""Doing one run: from ``queued`` to whatever becomes of it. The durable engine calls ``execute``; so does ``drain``."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from ratoon.platform.automation.throttling import Throttled
from ratoon.platform.errors import RatoonError
from ratoon.platform.jobs.kinds import Again, GiveUp, JobRun, JobType
from ratoon.platform.storage import runs
from ratoon.platform.storage.runs import Run

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

HERE = "this process"
BATCH = 100


def execute(environment: Environment, run: str, handed: int, worker: str = HERE) -> str:
    """Does a run that was handed over for the ``handed``-th time; answers the state it is in afterwards.

    A run that was handed over again since, is finished or was cancelled is left alone.
    """
    with environment.database.write() as connection:
        # Not what this process last looked at: the rule may have been applied a moment before the save.
        registry = environment.engine_at(connection).registry
        begun = runs.begin(connection, run, handed, worker, environment.world.clock(), registry.revision)
    if begun is None:
        return "left alone"
    kind = environment.jobs.get(begun.name)
    if kind is None:
        _failed(environment, begun, "unknown_job", f"There is no job called {begun.name}.")
        return "failed"
    try:
        answer = kind.perform(JobRun(environment, begun, registry))
    except GiveUp as error:
        _failed(environment, begun, error.code, error.text())
        return "failed"
    except Throttled as wait:
        answer = Again(wait.at, because=(wait.code, wait.text()))
    except RatoonError as error:
        return _tried(environment, begun, kind, error.code, error.text())
    except Exception as error:
        # A plugin's job may raise anything; the run keeps it and is tried again, and the worker goes on.
        logging.getLogger("ratoon.jobs").exception("run %s (%s) failed", begun.id, begun.name)
        return _tried(environment, begun, kind, "internal", f"{type(error).__name__}: {error}")
    now = environment.world.clock()
    with environment.database.write() as connection:
        if isinstance(answer, Again):
            runs.again(connection, begun.id, answer.at, payload=answer.payload, fresh=True, error=answer.because)
            return "waiting"
        runs.finish(connection, begun.id, "done", now, result=answer)
    return "done"


def _tried(environment: Environment, run: Run, kind: JobType, code: str, words: str) -> str:
    if run.tries >= kind.tries:
        _failed(environment, run, code, words)
        return "failed"
    at = environment.world.clock() + timedelta(seconds=kind.delay(run.tries))
    with environment.database.write() as connection:
        runs.again(connection, run.id, at, error=(code, words))
    return "waiting"


def _failed(environment: Environment, run: Run, code: str, words: str) -> None:
    with environment.database.write() as connection:
        runs.finish(connection, run.id, "failed", environment.world.clock(), error=(code, words))


def drain(environment: Environment, *, most: int = 10_000) -> int:
    """Does everything that is due by the environment's clock, here and now; returns how many runs.

    Runs that become due by what is done are done too; at most ``most``.
    """
    done = 0
    while done < most:
        with environment.database.write() as connection:
            limits = environment.settings.job_limits
            taken = runs.take_due(connection, environment.world.clock(), min(BATCH, most - done), limits)
        if not taken.looked_at:
            break
        for run, handed in taken.handed:
            execute(environment, run, handed)
        done += len(taken.handed)
    return done
