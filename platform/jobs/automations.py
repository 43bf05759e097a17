"""The job ``automation``: one automation after the commit, on the records of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor, system_actor
from ratoon.platform.automation.actions import Actions
from ratoon.platform.automation.hands import Hands, RealHands
from ratoon.platform.automation.program import Program, Waits, outcome
from ratoon.platform.automation.rendering import Reader
from ratoon.platform.automation.rows import Rows
from ratoon.platform.automation.sending import Messages
from ratoon.platform.errors import Conflict
from ratoon.platform.jobs.kinds import Again, GiveUp, JobRun, Perform
from ratoon.platform.jobs.listing import find
from ratoon.platform.jobs.versions import Versions
from ratoon.platform.metadata.model import Automation
from ratoon.platform.storage.runs import Run, records_of

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment


class SomeFailed(Conflict):
    """Some records did not get through, for a reason that may pass."""

    code = "some_failed"


def automation_job(actions: Actions) -> Perform:
    """What does a run of the job ``automation``."""
    versions = Versions()

    def perform(run: JobRun) -> Any:
        return _perform(run, actions, versions)

    return perform


def _perform(run: JobRun, actions: Actions, versions: Versions) -> Any:
    environment, payload = run.environment, run.payload
    automation = find(run.registry, payload["object"], payload["automation"])
    if automation is None or automation.when != "after_commit":
        raise GiveUp("The automation {rule} is not there any more.", rule=run.run.rule or payload["automation"])
    rule = automation.full_name
    if automation.status == "draft":
        raise GiveUp("The automation {rule} is a draft by now; repeat the run when it is active.", rule=rule)
    if automation.status == "off":
        raise GiveUp("The automation {rule} is off by now; repeat the run when it is active again.", rule=rule)
    automation = versions.of(run, automation)
    actor = _actor(environment, payload.get("user"))
    with environment.database.read() as connection:
        everyone = list(records_of(connection, run.run.id))
    program = program_for(environment, RealHands(environment, run.run, actor), actions, automation, run.run, actor)
    try:
        through = program.go(everyone, payload.get("start", ""), check=bool(payload.get("check")))
    except Waits as wait:
        return Again(wait.at, {**payload, "start": wait.step, "check": False})
    if program.throttled is not None:
        return Again(program.throttled.at, because=(program.throttled.code, program.throttled.text()))
    if program.failures:
        first = next(iter(program.failures.values()))
        params = {"count": len(program.failures), "all": len(everyone), "step": first.step, "reason": first.words}
        message = "{count} of {all} record(s) failed, the first at step {step}: {reason}"
        if any(f.passing for f in program.failures.values()):
            raise SomeFailed(message, **params)
        raise GiveUp(message, **params)
    return outcome(program, through, everyone)


def program_for(
    environment: Environment, hands: Hands, actions: Actions, automation: Automation, run: Run, actor: Actor
) -> Program:
    """The program of an automation, for a run or for a test."""
    registry, settings = environment.registry, environment.settings
    obj = registry[automation.object]
    zone = actor.zone if actor.id is not None else _zone(settings.default_time_zone)
    rows = Rows(
        object=obj,
        actor=actor,
        now=environment.world.clock(),
        zone=zone,
        organization=environment.organization,
        deleted=run.trigger == "deleted",
        old=run.payload.get("old", {}),
        created=run.trigger == "created",
    )
    messages = Messages(
        registry,
        obj,
        automation,
        run.trigger,
        environment.organization,
        Reader(settings.default_locale, zone),
        settings.address,
    )
    return Program(hands, actions, obj, automation, rows, messages)


def _actor(environment: Environment, user: str | None) -> Actor:
    settings = environment.settings
    if user is None:
        return system_actor(locale=settings.default_locale, time_zone=settings.default_time_zone)
    with environment.database.read() as connection:
        actor = Accounts(environment.world).actor_for_user(connection, user, "system")
    if actor is None:
        raise GiveUp("The user {user} for whom it should run is not active.", user=user)
    return actor


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
