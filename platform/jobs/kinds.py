"""Kinds of jobs, and what the function of one gets to work with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratoon.platform.access.actor import Actor, system_actor
from ratoon.platform.errors import RatoonError
from ratoon.platform.metadata.model import Registry
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import steps
from ratoon.platform.storage.runs import Run

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

MAIL_NOTIFICATIONS = "mail notifications"
"""The kind of job that mails notifications (``digests.py``)."""
BACK_OFF = (5, 30, 180, 900, 3600, 4 * 3600)
"""Seconds between the tries of a run; the last one is used from then on."""


class GiveUp(RatoonError):
    """Trying again would not help: the run fails at once."""

    code = "given_up"


@dataclass(frozen=True, slots=True)
class Again:
    """The answer of a job that wants to go on later."""

    at: datetime
    payload: Mapping[str, Any] | None = None
    """What the run's payload becomes; ``None`` = unchanged."""
    because: tuple[str, str] | None = None
    """(code, words): why it waits, for whoever looks at the run."""


@dataclass(frozen=True)
class JobRun:
    """One run of a job, as its function sees it."""

    environment: Environment
    run: Run
    registry: Registry
    """The metadata as it stood when the run began."""
    actor: Actor = field(default_factory=system_actor)
    """For whom it acts: the platform."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What was enqueued."""
        return self.run.payload

    @property
    def now(self) -> datetime:
        """The environment's time."""
        return self.environment.world.clock()

    def token(self, step: str, record: str = "") -> str:
        """The same for the same step of the same run: an idempotency key for what leaves the database."""
        return "/".join(part for part in (self.run.id, step, record) if part)

    def once(self, step: str, work: Callable[[RecordService], Any], *, record: str = steps.ALL, kind: str = "") -> Any:
        """Does ``work`` in one write transaction, unless this step of this run was done; gives its answer (JSON).

        The mark is written in the same transaction. Raises what ``work`` raises; then nothing was done.
        """

        def marked(records: RecordService) -> Any:
            if record in steps.over(records.connection, self.run.id, step):
                return steps.detail_of(records.connection, self.run.id, step, record)
            began = time.perf_counter()
            answer = work(records)
            took = round((time.perf_counter() - began) * 1000)
            done = steps.Done(step, kind or self.run.name, record=record, ms=took, detail=answer)
            steps.note(records.connection, self.run.id, [done], self.now)
            return answer

        return self.environment.transact(self.actor, marked)


Perform = Callable[[JobRun], Any]


@dataclass(frozen=True)
class JobType:
    """A kind of job."""

    name: str
    perform: Perform
    tries: int = 5
    """How often it is tried by itself before it waits for an admin."""
    back_off: tuple[int, ...] = BACK_OFF
    """Seconds between tries."""
    description: str = ""

    def delay(self, tried: int) -> int:
        """Seconds until the next try after ``tried`` tries."""
        return self.back_off[min(tried, len(self.back_off)) - 1]


Timer = Callable[["Environment", datetime], None]
"""Looks what became due by ``now`` and enqueues it; several workers may call it at the same time."""


class Jobs:
    """The kinds of jobs of one environment, and what looks at the clock."""

    def __init__(self, kinds: Iterable[JobType] = (), timers: Iterable[Timer] = ()) -> None:
        self._kinds: dict[str, JobType] = {}
        self._timers = tuple(timers)
        for kind in kinds:
            self.add(kind)

    def add(self, kind: JobType) -> None:
        """Adds a kind. Raises ``ValueError`` when there is one of that name."""
        if kind.name in self._kinds:
            raise ValueError(f"two kinds of job are called {kind.name!r}")
        self._kinds[kind.name] = kind

    def get(self, name: str) -> JobType | None:
        """The kind of that name."""
        return self._kinds.get(name)

    def tick(self, environment: Environment, now: datetime) -> None:
        """Enqueues what became due by ``now``: called every second or so by every worker."""
        for timer in self._timers:
            timer(environment, now)
