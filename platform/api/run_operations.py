"""The operations of runs, automations and notifications that the OpenAPI document describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ratoon.platform.api.operations import (
    ACKNOWLEDGE,
    UUID,
    Operations,
    answers,
    body,
    number,
    operation,
    path_parameter,
    query,
    reference,
)
from ratoon.platform.storage.notification_ways import KINDS, MAILS

ANYTHING: dict[str, Any] = {"type": "object"}
WHOSE: dict[str, Any] = {"type": "string", "enum": ["me", "everybody"], "default": "me"}
_WAY: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {"bell": {"type": "boolean"}, "mail": {"type": "string", "enum": list(MAILS)}},
    "required": ["bell", "mail"],
    "additionalProperties": False,
}
KINDS_SHAPE: dict[str, Any] = {
    "type": "object",
    "properties": dict.fromkeys(KINDS, _WAY),
    "additionalProperties": False,
}
STATE = {"type": "string", "enum": ["waiting", "queued", "running", "done", "failed", "cancelled"]}


LIMIT = query("limit", "how many at most", number(500, 50))
BEFORE = query("before", "the last id of the page before", UUID)


def run_paths(admin: bool) -> Iterator[tuple[str, Operations]]:
    """The paths for everybody, and those for administrators."""
    yield from _notifications()
    yield "/automations/press", _post("automations_press", "Press the button of an automation", "_automation_call")
    rule, done = path_parameter("rule", "object.automation"), answers("done", ANYTHING)
    inbound = operation("inbound", "A call from outside", "runs", done, rule, ACKNOWLEDGE, requestBody=body({}))
    yield "/inbound/{rule}", {"post": inbound}
    if admin:
        yield from _runs()
        yield from _automations()


def _notifications() -> Iterator[tuple[str, Operations]]:
    """What reaches me, and how."""
    unread = query("unread", "only what is not read", {"type": "string", "enum": ["true", "false"]})
    found = answers("newest first", ANYTHING)
    mine = operation("notifications", "My notifications", "runs", found, LIMIT, BEFORE, unread)
    yield "/notifications", {"get": mine}
    whose = query("for", "whose: me, or everybody who did not choose (administrators)", WHOSE)
    told, chosen = answers("kind → bell, mail, chosen", ANYTHING), body(KINDS_SHAPE)
    yield (
        "/notifications/choices",
        {
            "get": operation("notification_choices", "What reaches me, and how", "runs", told, whose),
            "patch": operation("notification_choose", "Choose it", "runs", told, whose, requestBody=chosen),
        },
    )
    yield "/notifications/read", _post("notifications_read", "Mark notifications as read", "_read_call")


def _runs() -> Iterator[tuple[str, Operations]]:
    """What automations did, and repeating it."""
    filters = [
        query("state", "only runs in this state", STATE),
        query("rule", "only of this automation: object.automation"),
        query("object", "only about this object"),
        query("record", "only about this record", UUID),
    ]
    listed = answers("newest first", reference("_runs"))
    yield "/runs", {"get": operation("runs", "What automations did", "runs", listed, *filters, BEFORE, LIMIT)}
    letters = answers("newest first", ANYTHING)
    which = query("rule", "only of this automation: object.automation")
    most = query("limit", "how many at most", number(1000, 100))
    dead = operation("runs_undelivered", "Mails and calls that did not go out", "runs", letters, which, most)
    yield "/runs/undelivered", {"get": dead}
    yield "/runs/retry", _post("runs_retry", "Repeat all runs that failed", "_retry_call")
    run = path_parameter("id", "the run's id")
    one = answers("the run, its records and steps", ANYTHING)
    yield "/runs/{id}", {"get": operation("run", "One run", "runs", one, run)}
    for what, summary in (("retry", "Repeat what failed"), ("cancel", "Cancel a run")):
        done = answers("the run", ANYTHING)
        yield f"/runs/{{id}}/{what}", {"post": operation(f"run_{what}", summary, "runs", done, run)}


def _automations() -> Iterator[tuple[str, Operations]]:
    """Which automations there are, switching them, asking why, trying one."""
    listed, only = answers("each automation with its status", ANYTHING), query("object", "only of this object")
    yield "/automations", {"get": operation("automations", "Which automations there are", "runs", listed, only)}
    named = {**query("automation", "object.automation"), "required": True}
    texts = answers("newest first, each with the document", ANYTHING)
    said = operation("automations_versions", "What an automation said, revision by revision", "runs", texts, named)
    yield "/automations/versions", {"get": said}
    yield "/automations/status", _post("automations_status", "Make an automation active or not", "_automation_status")
    record = [
        {**query("object", "the object"), "required": True},
        {**query("record", "the record's id", UUID), "required": True},
    ]
    told = answers("each automation with what decides", ANYTHING)
    yield "/automations/why", {"get": operation("automations_why", "Why it runs or not", "runs", told, *record)}
    yield "/automations/try", _post("automations_try", "Try an automation; nothing is kept", "_automation_call")
    yield "/templates/preview", _post("template_preview", "A template with a record", "_preview_call")


def _post(id: str, summary: str, shape: str) -> Operations:
    made = operation(id, summary, "runs", answers("done", ANYTHING), requestBody=body(reference(shape)))
    return {"post": made}
