"""How an automation after the commit touches the world: for real, or only to show what would happen.

``RealHands`` works for a run: transactions of their own, mails and calls that go out. ``ShowingHands`` works inside one
transaction that is rolled back afterwards, and writes down what would have gone out.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from ratoon.platform.access.actor import Actor
from ratoon.platform.automation.mailing import Mail, Mailer
from ratoon.platform.automation.throttling import allow_call, allow_mail
from ratoon.platform.automation.webhooks import Call, Caller
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import runs, steps
from ratoon.platform.storage.runs import About, Run

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment


class Hands(Protocol):
    """What the program of an automation needs from outside."""

    run: str
    """The run's id: part of idempotency keys."""

    def transaction(self, work: Callable[[RecordService], Any]) -> Any:
        """``work`` in one write transaction, or nothing of it."""

    def reading(self) -> AbstractContextManager[RecordService]:
        """Records for looking."""

    def over(self, step: str) -> set[str]:
        """Records for which a step is done."""

    def failed(self, step: str) -> Mapping[str, Mapping[str, Any]]:
        """Records for which a step failed since the run was tried last."""

    def mailing(self) -> AbstractContextManager[Callable[[Mail], Any]]:
        """A way to send mails; what it answers is kept."""

    def call(self, call: Call) -> Any:
        """Calls an address; what it answers is kept."""

    def later(self, records: RecordService, step: str, at: datetime, ids: Sequence[str]) -> None:
        """Lets these records go on after ``step`` at that time, in a run of their own."""


def webhook_secret(environment: Environment) -> bytes:
    """What signs outgoing calls."""
    given = environment.settings.webhook_secret
    if given:
        return given.encode()
    return hmac.new(environment.secret(), b"webhook signature", hashlib.sha256).hexdigest().encode()


class RealHands:
    """For a run: everything happens."""

    def __init__(self, environment: Environment, run: Run, actor: Actor) -> None:
        self._environment = environment
        self._run = run
        self._actor = actor
        self.run = run.id
        settings = environment.settings
        self._caller = Caller(webhook_secret(environment), environment.world.clock, settings.webhook_private_addresses)

    def transaction(self, work: Callable[[RecordService], Any]) -> Any:
        """A transaction of its own, tried again when the database is busy."""

        def chained(records: RecordService) -> Any:
            records.chain = tuple(self._run.payload.get("chain", ()))
            return work(records)

        return self._environment.transact(self._actor, chained)

    def reading(self) -> AbstractContextManager[RecordService]:
        """Records as they stand."""
        return self._environment.read(self._actor)

    def over(self, step: str) -> set[str]:
        """From the steps table."""
        with self._environment.database.read() as connection:
            return steps.over(connection, self.run, step)

    def failed(self, step: str) -> Mapping[str, Mapping[str, Any]]:
        """From the steps table."""
        with self._environment.database.read() as connection:
            return steps.failed(connection, self.run, step)

    def mailing(self) -> AbstractContextManager[Callable[[Mail], Any]]:
        """One connection to the mail server; within the limit per minute."""
        return _Sending(self._environment)

    def call(self, call: Call) -> Any:
        """Goes out, within the limit per minute."""
        allow_call(self._environment, call.url)
        return self._caller.send(call)

    def later(self, records: RecordService, step: str, at: datetime, ids: Sequence[str]) -> None:
        """A run that waits, with the same payload and the place to go on from."""
        run = self._run
        payload = {**run.payload, "start": step, "check": False}
        seen = runs.records_of(records.connection, run.id)
        of = {i: seen.get(i) for i in ids}
        about = About(run.trigger, run.rule, run.object, of, run.by, parent=run.id, revision=run.revision)
        digest = hashlib.sha256(",".join(sorted(ids)).encode()).hexdigest()[:16]
        key = f"{run.id}/{step}/{at.isoformat()}/{digest}"
        runs.enqueue(records.connection, records.engine.world, run.name, payload, key=key, at=at, about=about)


class _Sending:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._mailer = Mailer(environment.settings, environment.world.clock())

    def __enter__(self) -> Callable[[Mail], Any]:
        mailer = self._mailer.__enter__()

        def send(mail: Mail) -> Any:
            allow_mail(self._environment)
            mailer.send(mail)
            return {"to": list(mail.to), "subject": mail.subject}

        return send

    def __exit__(self, *rest: Any) -> None:
        self._mailer.__exit__(*rest)


class ShowingHands:
    """For a test: inside the transaction of ``records``, which the caller rolls back."""

    def __init__(self, records: RecordService, run: str) -> None:
        self._records = records
        self.run = run
        self.shown: list[Mapping[str, Any]] = []
        """What would have gone out."""

    def transaction(self, work: Callable[[RecordService], Any]) -> Any:
        """A part of the transaction that can be taken back by itself."""
        with self._records.connection.begin_nested():
            return work(self._records)

    def reading(self) -> AbstractContextManager[RecordService]:
        """The same records."""
        return nullcontext(self._records)

    def over(self, step: str) -> set[str]:
        """Nothing was done before."""
        return set()

    def failed(self, step: str) -> Mapping[str, Mapping[str, Any]]:
        """Nothing was tried before."""
        return {}

    def mailing(self) -> AbstractContextManager[Callable[[Mail], Any]]:
        """Writes the mails down."""

        def show(mail: Mail) -> Any:
            self.shown.append({"mail": {k: v for k, v in asdict(mail).items() if v and k != "key"}})
            return {"to": list(mail.to), "subject": mail.subject, "shown": True}

        return nullcontext(show)

    def call(self, call: Call) -> Any:
        """Writes the call down."""
        self.shown.append({"call": {"method": call.method, "url": call.url, "body": call.body.decode()}})
        return {"shown": True}

    def later(self, records: RecordService, step: str, at: datetime, ids: Sequence[str]) -> None:
        """Writes the wait down."""
        self.shown.append({"wait": {"until": at.isoformat(), "records": len(ids)}})
