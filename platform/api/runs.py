"""Runs, automations and notifications over HTTP.

``/runs`` shows administrators what automations did and lets them repeat or cancel; ``/automations`` tells why one
would run on a record, tries one without keeping anything, and presses buttons; ``/inbound/<object>.<automation>``
takes calls from outside; ``/notifications`` are the caller's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, request

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.body import flag, known_parameters, whole_number
from ratoon.platform.api.context import Api, answer_value, record_id
from ratoon.platform.api.repeats import Repeats
from ratoon.platform.api.run_shapes import (
    AutomationCallShape,
    AutomationStatusShape,
    PreviewCallShape,
    ReadCallShape,
    RetryCallShape,
    WayShape,
)
from ratoon.platform.api.shapes import load
from ratoon.platform.automation.telling import visible
from ratoon.platform.errors import BadRequest, Conflict, Forbidden, NotFound
from ratoon.platform.packages import Target
from ratoon.platform.packages.automation_status import set_status
from ratoon.platform.storage import notifications, runs, steps
from ratoon.platform.storage.notification_ways import EVERYBODY, KINDS, Way, choose, chosen, ways
from ratoon.platform.storage.runs import Run, Wanted

STATES = ("waiting", "queued", "running", "done", "failed", "cancelled")
FILTERS = ("state", "rule", "object", "record", "before", "limit")


def run_json(run: Run) -> dict[str, Any]:
    """A run as JSON."""
    return asdict(run)


class RunViews:
    """The views of runs, automations and notifications."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._repeats = Repeats(api)

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        add = blueprint.add_url_rule
        add("/runs", "runs", self.all, methods=["GET"])
        add("/runs/undelivered", "runs_undelivered", self.undelivered, methods=["GET"])
        add("/runs/retry", "runs_retry", self.retry_all, methods=["POST"])
        add("/runs/<id>", "run", self.one, methods=["GET"])
        add("/runs/<id>/retry", "run_retry", self.retry, methods=["POST"])
        add("/runs/<id>/cancel", "run_cancel", self.cancel, methods=["POST"])
        add("/automations", "automations", self.overview, methods=["GET"])
        add("/automations/versions", "automations_versions", self.versions, methods=["GET"])
        add("/automations/status", "automations_status", self.status, methods=["POST"])
        add("/automations/why", "automations_why", self.why, methods=["GET"])
        add("/automations/try", "automations_try", self.try_out, methods=["POST"])
        add("/automations/press", "automations_press", self.press, methods=["POST"])
        add("/inbound/<rule>", "inbound", self.inbound, methods=["POST"])
        add("/templates/preview", "template_preview", self.preview, methods=["POST"])
        add("/notifications", "notifications", self.notifications, methods=["GET"])
        add("/notifications/choices", "notification_choices", self.choices, methods=["GET"])
        add("/notifications/choices", "notification_choose", self.choose, methods=["PATCH"])
        add("/notifications/read", "notifications_read", self.read, methods=["POST"])

    def all(self) -> Response:
        """Runs, newest first."""
        self._administrator()
        given = known_parameters(request, FILTERS)
        state = given.get("state")
        if state is not None and state not in STATES:
            raise BadRequest("state is one of {states}.", field="state", states=", ".join(STATES))
        record, before = (record_id(given[name], "run") if name in given else None for name in ("record", "before"))
        limit = whole_number(given, "limit", 50, 500)
        wanted = Wanted(state, given.get("rule"), given.get("object"), record, before, limit)
        with self._api.environment.database.read() as connection:
            found = runs.find(connection, wanted)
        following = found[-1].id if len(found) == limit else None
        return answer_value({"runs": [run_json(run) for run in found], "before": following})

    def one(self, id: str) -> Response:
        """A run with its records and steps."""
        self._administrator()
        known_parameters(request, ())
        with self._api.environment.database.read() as connection:
            run = self._run(connection, id)
            made = {
                **run_json(run),
                "seen": runs.records_of(connection, run.id),
                "steps": steps.of_run(connection, run.id),
            }
        return answer_value(made)

    def undelivered(self) -> Response:
        """Mails and calls that did not go out and are not tried again by themselves."""
        self._administrator()
        given = known_parameters(request, ("rule", "limit"))
        limit = whole_number(given, "limit", 100, 1000)
        with self._api.environment.database.read() as connection:
            found = steps.undelivered(connection, rule=given.get("rule"), limit=limit)
        return answer_value({"undelivered": found})

    def retry_all(self) -> Response:
        """Lets all runs that failed go on where they stopped: those of one automation, or every one."""
        self._administrator()
        known_parameters(request, ())
        rule = load(RetryCallShape, self._api.object_body())["rule"]
        environment = self._api.environment
        with environment.database.write() as connection:
            count = runs.retry_failed(connection, environment.world.clock(), rule)
        return answer_value({"retried": count})

    def retry(self, id: str) -> Response:
        """Lets a run that failed or was cancelled go on where it stopped."""
        self._administrator()
        known_parameters(request, ())
        environment = self._api.environment
        with environment.database.write() as connection:
            run = self._run(connection, id)
            if not runs.retry(connection, run.id, environment.world.clock()):
                raise Conflict("The run is {state}: only one that failed or was cancelled can be repeated.",
                               state=run.state)  # fmt: skip
            made = run_json(self._run(connection, id))
        return answer_value(made)

    def cancel(self, id: str) -> Response:
        """Cancels a run that is not finished."""
        self._administrator()
        known_parameters(request, ())
        environment = self._api.environment
        with environment.database.write() as connection:
            run = self._run(connection, id)
            if not runs.cancel(connection, environment.world, run=run.id):
                raise Conflict("The run is {state} already.", state=run.state)
            made = run_json(self._run(connection, id))
        return answer_value(made)

    def overview(self) -> Response:
        """Every automation with its status and the runs that wait or failed."""
        from ratoon.platform.jobs.listing import overview

        self._administrator()
        given = known_parameters(request, ("object",))
        found = overview(self._api.environment, given.get("object"))
        return answer_value({"automations": [line.as_json() for line in found]})

    def versions(self) -> Response:
        """The texts that an automation has had."""
        from ratoon.platform.jobs.listing import version_json, versions

        self._administrator()
        object, _, name = known_parameters(request, ("automation",)).get("automation", "").partition(".")
        with self._api.environment.database.read() as connection:
            found = versions(connection, object, name)
        return answer_value({"versions": [version_json(version) for version in found]})

    def status(self) -> Response:
        """Makes an automation active, a draft or off: a change of the metadata."""
        actor = self._administrator()
        known_parameters(request, ())
        call = load(AutomationStatusShape, self._api.object_body())
        object, _, name = call["automation"].partition(".")
        target = Target.of(self._api.environment)
        dry = call["validate_only"]
        applied = set_status(target, object, name, call["status"], by=actor.id, validate_only=dry)
        return answer_value(applied.as_json())

    def why(self) -> Response:
        """For a record: which automations would run on it, and what decides."""
        from ratoon.platform.jobs.looking import why

        actor = self._administrator()
        given = known_parameters(request, ("object", "record"))
        object, record = given.get("object", ""), record_id(given.get("record", ""), given.get("object", "record"))
        with self._api.environment.read(actor) as records:
            reasons = why(records, object, record)
        made = [
            {
                "automation": r.automation.full_name,
                "status": r.automation.status,
                "label": r.automation.label,
                "on": list(r.automation.on),
                "when": r.automation.when,
                "condition": r.automation.condition.source if r.automation.condition else None,
                "fits": r.fits,
                "because": r.sentence,
                "parts": r.parts,
                "last_run": run_json(r.last) if r.last else None,
            }
            for r in reasons
        ]
        return answer_value({"automations": made})

    def try_out(self) -> Response:
        """What an automation would do to a record; nothing is kept and nothing goes out."""
        from ratoon.platform.jobs.looking import try_out

        self._administrator()
        known_parameters(request, ())
        call = load(AutomationCallShape, self._api.object_body())
        environment = self._api.environment
        record = record_id(call["record"], call["object"])
        tried = try_out(environment, environment.actions, call["object"], call["automation"], record)
        return answer_value(tried.as_json())

    def press(self) -> Response:
        """Starts an automation on a record by its button."""
        from ratoon.platform.jobs.looking import press

        actor = self._api.actor()
        known_parameters(request, ())
        call = load(AutomationCallShape, self._api.object_body())
        record = record_id(call["record"], call["object"])

        def work(records: Any) -> str:
            return press(records, call["object"], call["automation"], record)

        return answer_value({"run": self._api.environment.transact(actor, work)})

    def inbound(self, rule: str) -> Response:
        """Takes a call from outside. Honours ``Idempotency-Key``: senders repeat what got no answer in time."""
        from ratoon.platform.jobs.inbound import receive

        actor = self._api.actor()
        acknowledge = flag(known_parameters(request, ("acknowledge",)), "acknowledge")
        object, _, name = rule.partition(".")
        body = self._api.body()

        def work(records: Any) -> dict[str, Any]:
            return receive(records, object, name, body, acknowledge=acknowledge)

        return self._repeats.once(actor, work, answer_value)

    def preview(self) -> Response:
        """A template filled in with a record."""
        from ratoon.platform.jobs.previewing import preview

        actor = self._administrator()
        known_parameters(request, ())
        call = load(PreviewCallShape, self._api.object_body())
        environment = self._api.environment
        with environment.read(actor) as records:
            made = preview(environment, records, call["template"], call["record"], call["locale"])
        return answer_value(made)

    def notifications(self) -> Response:
        """The caller's notifications, newest first."""
        actor = self._user()
        given = known_parameters(request, ("limit", "before", "unread"))
        before = record_id(given["before"], "notification") if "before" in given else None
        limit = whole_number(given, "limit", 50, 500)
        only = {"": False, "false": False, "true": True}.get(given.get("unread", ""))
        if only is None:
            raise BadRequest("{value} is not one of true, false.", field="unread", value=given["unread"][:40])
        with self._api.environment.read(actor) as records:
            found = notifications.of_user(records.connection, str(actor.id), limit, before, unread_only=only)
            unread = notifications.unread(records.connection, str(actor.id))
            seen = visible(records, found)
        listed = [_told(n, n.id in seen) for n in found]
        return answer_value({"unread": unread, "notifications": listed})

    def read(self) -> Response:
        """Marks notifications as read: those named, or all."""
        actor = self._user()
        known_parameters(request, ())
        call = load(ReadCallShape, self._api.object_body())
        ids = None if call["ids"] is None else [record_id(i, "notification") for i in call["ids"]]
        environment = self._api.environment
        with environment.database.write() as connection:
            count = notifications.mark_read(connection, str(actor.id), environment.world.clock(), ids)
        return answer_value({"read": count})

    def choices(self) -> Response:
        """How each kind of notification reaches the caller, or everybody who did not choose."""
        return answer_value(self._choices(self._whose(known_parameters(request, ("for",)))))

    def choose(self) -> Response:
        """Changes some of them; ``null`` goes back to what everybody has."""
        whose = self._whose(known_parameters(request, ("for",)))
        given: dict[str, Way | None] = {}
        for kind, value in self._api.object_body().items():
            if kind not in KINDS:
                raise BadRequest("{value} is not one of {known}.", field=kind, value=kind[:40], known=", ".join(KINDS))
            call = None if value is None else load(WayShape, value)
            given[kind] = None if call is None else Way(call["bell"], call["mail"])
        with self._api.environment.database.write() as connection:
            choose(connection, whose, given)
        return answer_value(self._choices(whose))

    def _choices(self, whose: str) -> dict[str, Any]:
        with self._api.environment.database.read() as connection:
            now, own = ways(connection, whose), chosen(connection, whose)
        return {"kinds": {kind: {**asdict(way), "chosen": kind in own} for kind, way in now.items()}}

    def _whose(self, given: Mapping[str, str]) -> str:
        actor = self._user()
        if given.get("for", "me") not in ("me", "everybody"):
            raise BadRequest("{value} is not one of me, everybody.", field="for", value=given["for"][:40])
        if given.get("for") == "everybody":
            return EVERYBODY if self._administrator() else ""
        return str(actor.id)

    def _run(self, connection: Any, id: str) -> Run:
        run = runs.load(connection, record_id(id, "run"))
        if run is None:
            raise NotFound("There is no {object} with id {id}.", object="run", id=id)
        return run

    def _administrator(self) -> Actor:
        actor = self._api.actor()
        if not actor.admin:
            raise Forbidden("Only an administrator may see and steer runs.")
        return actor

    def _user(self) -> Actor:
        actor = self._api.actor()
        if actor.id is None:
            raise Forbidden("Only users have notifications.")
        return actor


def _told(n: notifications.Notification, seen: bool) -> dict[str, Any]:
    """A notification; without its words when the caller may not see its record any more."""
    told = {k: v for k, v in asdict(n).items() if k not in ("key", "user_id", "shown", "mail")}
    return {**told, "visible": seen} if seen else {**told, "visible": False, "title": None, "body": None}
