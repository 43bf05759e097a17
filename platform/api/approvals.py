"""Approvals and checklists over HTTP: submitting, answering, taking back, standing in; ticking tasks off.

=================================== ===========================================================================
GET /approvals                      what I am asked
POST /approvals                     submits a record: ``{"object", "record", "approval"?, "comment"?}``
GET /approvals/{id}                 one request: where it stands, who is asked, what happened
POST /approvals/{id}/decision       ``{"approve": true, "comment"?}``
POST /approvals/{id}/recall         takes it back
POST /approvals/{id}/delegation     lets somebody else answer: ``{"to": user id, "comment"?}``
GET, POST /delegations              who stands in for me: ``{"delegate", "starts_at"?, "ends_at"?}``
DELETE /delegations/{id}            ends it
GET /records/{object}/{id}/approvals  every request of a record
GET, POST /records/{object}/{id}/tasks  the checklist of its stage: ``{"task", "done"}``
=================================== ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request
from marshmallow import Schema, fields, validate

from ratoon.platform.api.body import known_parameters
from ratoon.platform.api.context import Api, answer_value, empty, record_id
from ratoon.platform.api.operations import UUID, Operations, answers, body, operation, path_parameter
from ratoon.platform.api.shapes import load
from ratoon.platform.automation.approvals import Approvals, approvals_of
from ratoon.platform.automation.standing_in import end, own, stand_in
from ratoon.platform.records.service import RecordService

ID = validate.Regexp(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


class SubmitShape(Schema):
    """A record to submit."""

    object = fields.String(required=True, validate=validate.Length(1, 60))
    record = fields.String(required=True, validate=ID)
    approval = fields.String(allow_none=True, load_default=None, validate=validate.Length(1, 60))
    comment = fields.String(load_default="", validate=validate.Length(0, 4000))


class DecisionShape(Schema):
    """An answer."""

    approve = fields.Boolean(required=True, truthy={True}, falsy={False})
    comment = fields.String(load_default="", validate=validate.Length(0, 4000))


class CommentShape(Schema):
    """Words that go with it."""

    comment = fields.String(load_default="", validate=validate.Length(0, 4000))


class HandOverShape(Schema):
    """Who is to answer instead."""

    to = fields.String(required=True, validate=ID)
    comment = fields.String(load_default="", validate=validate.Length(0, 4000))


class DelegationShape(Schema):
    """Who stands in, and when."""

    delegate = fields.String(required=True, validate=ID)
    starts_at = fields.AwareDateTime(allow_none=True, load_default=None)
    ends_at = fields.AwareDateTime(allow_none=True, load_default=None)


class TaskShape(Schema):
    """A task of the record's stage."""

    task = fields.String(required=True, validate=validate.Length(1, 60))
    done = fields.Boolean(load_default=True, truthy={True}, falsy={False})


class ApprovalViews:
    """The resource."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        add = blueprint.add_url_rule
        add("/approvals", "approvals", self.mine, methods=["GET"])
        add("/approvals", "submit", self.submit, methods=["POST"])
        add("/approvals/<id>", "approval", self.one, methods=["GET"])
        add("/approvals/<id>/decision", "decide", self.decide, methods=["POST"])
        add("/approvals/<id>/recall", "recall", self.recall, methods=["POST"])
        add("/approvals/<id>/delegation", "hand_over", self.hand_over, methods=["POST"])
        add("/delegations", "delegations", self.delegations, methods=["GET"])
        add("/delegations", "delegate", self.delegate, methods=["POST"])
        add("/delegations/<id>", "end_delegation", self.end_delegation, methods=["DELETE"])
        add("/records/<object>/<id>/approvals", "approvals_of", self.of_record, methods=["GET"])
        add("/records/<object>/<id>/tasks", "tasks", self.tasks, methods=["GET"])
        add("/records/<object>/<id>/tasks", "tick", self.tick, methods=["POST"])

    def mine(self) -> Response:
        """What the caller is asked."""
        return self._read(lambda approvals: {"questions": approvals.mine()})

    def submit(self) -> Response:
        """Submits a record."""
        actor, given = self._api.actor(), load(SubmitShape, self._api.object_body())

        def work(records: RecordService) -> dict[str, Any]:
            return approvals_of(records).submit(given["object"], given["record"], given["approval"], given["comment"])

        return answer_value(self._api.environment.transact(actor, work), 201)

    def one(self, id: str) -> Response:
        """One request."""
        return self._read(lambda approvals: approvals.tell(record_id(id, "approval")))

    def decide(self, id: str) -> Response:
        """Answers."""
        given = self._given(DecisionShape)
        return self._write(id, lambda a, i: a.decide(i, approve=given["approve"], comment=given["comment"]))

    def recall(self, id: str) -> Response:
        """Takes back."""
        given = self._given(CommentShape)
        return self._write(id, lambda a, i: a.recall(i, given["comment"]))

    def hand_over(self, id: str) -> Response:
        """Lets somebody else answer."""
        given = self._given(HandOverShape)
        return self._write(id, lambda a, i: a.delegate(i, given["to"], given["comment"]))

    def delegations(self) -> Response:
        """Who stands in for the caller."""
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            return answer_value({"delegations": own(records)})

    def delegate(self) -> Response:
        """Lets somebody stand in for the caller."""
        actor, given = self._api.actor(), load(DelegationShape, self._api.object_body())
        made = self._api.environment.transact(
            actor, lambda r: stand_in(r, given["delegate"], given["starts_at"], given["ends_at"])
        )
        return answer_value(made, 201)

    def end_delegation(self, id: str) -> Response:
        """Ends it."""
        actor = self._api.actor()
        self._api.environment.transact(actor, lambda r: end(r, record_id(id, "delegation")))
        return empty()

    def of_record(self, object: str, id: str) -> Response:
        """Every request of a record."""
        return self._read(lambda approvals: {"approvals": approvals.history(object, record_id(id, object))})

    def tasks(self, object: str, id: str) -> Response:
        """The checklist of the record's stage."""
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            return answer_value({"tasks": records.checklist(object, records.get(object, record_id(id, object)))})

    def tick(self, object: str, id: str) -> Response:
        """Ticks a task off."""
        actor, given = self._api.actor(), load(TaskShape, self._api.object_body())
        record = record_id(id, object)
        made = self._api.environment.transact(actor, lambda r: r.tick(object, record, given["task"], given["done"]))
        return answer_value({"tasks": made})

    def _given(self, shape: type[Schema]) -> dict[str, Any]:
        self._api.actor()
        return load(shape, self._api.object_body())

    def _read(self, look: Callable[[Approvals], Any]) -> Response:
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            return answer_value(look(approvals_of(records)))

    def _write(self, id: str, do: Callable[[Approvals, str], Mapping[str, Any]]) -> Response:
        actor, found = self._api.actor(), record_id(id, "approval")
        return answer_value(self._api.environment.transact(actor, lambda r: do(approvals_of(r), found)))


_OBJECT: dict[str, Any] = {"type": "object"}
_COMMENT: dict[str, Any] = {"type": "string", "maxLength": 4000}


def _takes(required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    shape = {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}
    return body(shape)


def approval_paths() -> Iterator[tuple[str, Operations]]:
    """The operations of approvals for the OpenAPI document."""
    name: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 60}
    moment: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
    here = path_parameter("id", "the request", UUID)

    def make(id: str, summary: str, *parameters: Any, status: int = 200, **more: Any) -> dict[str, Any]:
        return operation(id, summary, "approvals", answers(summary, _OBJECT, status), *parameters, **more)

    submitted = _takes(("object", "record"), object=name, record=UUID, approval=name, comment=_COMMENT)
    yield (
        "/approvals",
        {
            "get": make("approvals", "what I am asked"),
            "post": make("submit", "submit a record for approval", status=201, requestBody=submitted),
        },
    )
    yield "/approvals/{id}", {"get": make("approval", "one request", here)}
    answer = _takes(("approve",), approve={"type": "boolean"}, comment=_COMMENT)
    yield "/approvals/{id}/decision", {"post": make("decide", "approve or reject", here, requestBody=answer)}
    words = _takes(comment=_COMMENT)
    yield "/approvals/{id}/recall", {"post": make("recall", "take it back", here, requestBody=words)}
    other = _takes(("to",), to=UUID, comment=_COMMENT)
    yield "/approvals/{id}/delegation", {"post": make("hand_over", "let somebody else answer", here, requestBody=other)}
    stand = _takes(("delegate",), delegate=UUID, starts_at=moment, ends_at=moment)
    yield (
        "/delegations",
        {
            "get": make("delegations", "who stands in for me"),
            "post": make("delegate", "let somebody stand in for me", status=201, requestBody=stand),
        },
    )
    gone = answers("ended", {})
    del gone["200"]
    gone["204"] = {"description": "ended"}
    ended = operation("end_delegation", "end standing in", "approvals", gone, path_parameter("id", "it", UUID))
    yield "/delegations/{id}", {"delete": ended}


def record_paths(object: str, *, may_edit: bool) -> Iterator[tuple[str, Operations]]:
    """The operations of one object's records."""
    here = path_parameter("id", "the record", UUID)
    told = answers("newest first", _OBJECT)
    yield (
        f"/records/{object}/{{id}}/approvals",
        {"get": operation(f"approvals_of_{object}", "the approvals of one", object, told, here)},
    )
    told = answers("the checklist of its stage", _OBJECT)
    made: Operations = {"get": operation(f"tasks_{object}", "the checklist of one", object, told, here)}
    if may_edit:
        name: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 60}
        ticked = _takes(("task",), task=name, done={"type": "boolean"})
        made["post"] = operation(f"tick_{object}", "tick a task off", object, told, here, requestBody=ticked)
    yield f"/records/{object}/{{id}}/tasks", made
