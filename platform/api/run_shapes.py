"""The bodies of calls about runs, automations and notifications, and how they stand in the OpenAPI document."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class RunsShape(Schema):
    """Runs, newest first."""

    runs = fields.List(fields.Dict(), required=True)
    before = fields.String(required=True, allow_none=True, metadata={"description": "ask for the next page with it"})


class AutomationCallShape(Schema):
    """One automation on one record."""

    object = fields.String(required=True)
    automation = fields.String(required=True)
    record = fields.String(required=True, metadata={"description": "the record's id"})


class AutomationStatusShape(Schema):
    """Whether an automation runs."""

    automation = fields.String(required=True, metadata={"description": "object.automation"})
    status = fields.String(required=True, validate=validate.OneOf(["draft", "active", "off"]))
    validate_only = fields.Boolean(load_default=False, metadata={"description": "only say what would change"})


class RetryCallShape(Schema):
    """Which runs are repeated."""

    rule = fields.String(
        load_default=None, allow_none=True, metadata={"description": "only of this automation: object.automation"}
    )


class PreviewCallShape(Schema):
    """A template with a record."""

    template = fields.String(required=True)
    record = fields.String(load_default=None, allow_none=True, metadata={"description": "the record's id"})
    locale = fields.String(load_default=None, allow_none=True)


class ReadCallShape(Schema):
    """Which notifications were read."""

    ids = fields.List(fields.String(), load_default=None, allow_none=True, metadata={"description": "all when absent"})


class WayShape(Schema):
    """How one kind of notification reaches somebody."""

    bell = fields.Boolean(required=True, truthy={True}, falsy={False}, metadata={"description": "shown in the product"})
    mail = fields.String(required=True, validate=validate.OneOf(["now", "daily", "weekly", "off"]))


RUN_SHAPES: dict[str, type[Schema]] = {
    "runs": RunsShape,
    "automation_call": AutomationCallShape,
    "automation_status": AutomationStatusShape,
    "retry_call": RetryCallShape,
    "preview_call": PreviewCallShape,
    "read_call": ReadCallShape,
}
"""The shapes by the name they have in the document."""
