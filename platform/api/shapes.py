"""The bodies whose shape does not depend on metadata, as marshmallow schemas.

They are read with ``load`` where a client sends them and described by apispec in the OpenAPI document, so that the
two cannot differ. Records have no schema here: their shape is the registry's, and they are checked by the fields.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from ratoon.platform.api.access_shapes import ACCESS_SHAPES
from ratoon.platform.api.metadata_shapes import METADATA_SHAPES, FindingShape
from ratoon.platform.api.run_shapes import RUN_SHAPES
from ratoon.platform.errors import Problem, ValidationFailed


class ProblemErrorShape(Schema):
    """One thing wrong with one record."""

    field = fields.String(required=True, allow_none=True, metadata={"description": "the record key; null = the record"})
    code = fields.String(required=True, metadata={"description": "stable; what programs look at"})
    message = fields.String(required=True, metadata={"description": "in the language of Accept-Language"})
    pointer = fields.String(required=True, metadata={"description": "JSON pointer into the body that was sent"})
    severity = fields.String(required=True, validate=validate.OneOf(["error", "warning", "info"]))
    rule = fields.String(required=True, allow_none=True, metadata={"description": "the rule or stage that said so"})
    index = fields.Integer(metadata={"description": "place in the list that was sent"})
    records = fields.List(
        fields.Dict(), metadata={"description": "duplicate: the records found that you may see, with id and title"}
    )


class ProblemShape(Schema):
    """A refusal (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "where this kind of problem is explained"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "one per cause, stable"})
    detail = fields.String(required=True)
    errors = fields.List(fields.Nested(ProblemErrorShape), required=True)
    parameter = fields.String(metadata={"description": "the query parameter or header it is about"})
    yours = fields.Integer(allow_none=True, metadata={"description": "stale_version: the version that was sent"})
    current = fields.Dict(metadata={"description": "stale_version: the record as it stands now"})
    formula_error = fields.String(metadata={"description": "formula: what is wrong with it"})
    position = fields.Integer(allow_none=True, metadata={"description": "formula: 0-based character offset"})
    cycle = fields.List(fields.String(), metadata={"description": "automation_loop: the rules in the order they ran"})
    findings = fields.List(fields.Nested(FindingShape), metadata={"description": "metadata_refused: every problem"})
    losses = fields.List(fields.String(), metadata={"description": "destructive: what would be taken away"})
    settings = fields.List(fields.Dict(), metadata={"description": "settings_missing: what the package asks for"})
    tests = fields.List(
        fields.Dict(), metadata={"description": "tests_failed: the tests and what came out differently"}
    )
    conflicts = fields.List(fields.Dict(), metadata={"description": "merge_conflict: base, theirs and ours of each"})
    reasons = fields.List(fields.String(), metadata={"description": "data_refuses: why the records do not allow it"})


class HistoryEntryShape(Schema):
    """One change of a record."""

    at = fields.String(required=True, metadata={"format": "date-time"})
    by = fields.String(required=True, allow_none=True, metadata={"description": "id of the user"})
    source = fields.String(required=True, metadata={"description": "session, token, command, system"})
    action = fields.String(required=True, metadata={"description": "created, updated, deleted, restored"})
    changes = fields.Dict(required=True, allow_none=True, metadata={"description": "key → [value before, value after]"})


class HistoryShape(Schema):
    """The changes of a record, newest first."""

    entries = fields.List(fields.Nested(HistoryEntryShape), required=True)


class StagePeriodShape(Schema):
    """The time a record spent in one stage."""

    stage = fields.String(required=True, allow_none=True)
    pipeline = fields.String(required=True, allow_none=True)
    entered_at = fields.String(required=True, metadata={"format": "date-time"})
    left_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    seconds = fields.Integer(required=True)


class StagesShape(Schema):
    """The stages of a record, oldest first."""

    periods = fields.List(fields.Nested(StagePeriodShape), required=True)


class SearchHitShape(Schema):
    """A record that was found."""

    object = fields.String(required=True)
    id = fields.String(required=True, metadata={"format": "uuid"})
    title = fields.String(required=True)


class SearchShape(Schema):
    """Records found, best first."""

    results = fields.List(fields.Nested(SearchHitShape), required=True)


class LookupCallShape(Schema):
    """What a type-ahead asks: the text so far and the record that holds the lookup."""

    text = fields.String(load_default="", validate=validate.Length(max=200))
    record = fields.Dict(keys=fields.String(), load_default=dict)
    limit = fields.Integer(load_default=10, strict=True, validate=validate.Range(1, 50))


class GroupsShape(Schema):
    """Figures per group: the keys grouped by, and one key per measure (count, sum_amount …)."""

    groups = fields.List(fields.Dict(), required=True)


class MeShape(Schema):
    """Who is calling."""

    id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    email = fields.String(required=True)
    admin = fields.Boolean(required=True)
    roles = fields.List(fields.String(), required=True)
    locale = fields.String(required=True)
    time_zone = fields.String(required=True)


class ObjectSummaryShape(Schema):
    """An object in a few words."""

    name = fields.String(required=True)
    label = fields.String(required=True)
    plural_label = fields.String(required=True)
    description = fields.String(required=True)
    icon = fields.String(required=True)
    color = fields.String(required=True)
    title = fields.String(required=True, metadata={"description": "the field that names a record"})
    hidden = fields.Boolean(required=True)
    person = fields.Boolean(required=True, metadata={"description": "whether a record is a person"})
    package = fields.String(required=True)
    actions = fields.List(fields.String(), required=True, metadata={"description": "what you may do"})


class ObjectsShape(Schema):
    """The objects you may read."""

    revision = fields.Integer(required=True)
    objects = fields.List(fields.Nested(ObjectSummaryShape), required=True)


class DescribedObjectShape(ObjectSummaryShape):
    """An object with everything a client needs to work with its records."""

    revision = fields.Integer(required=True)
    fields_ = fields.List(fields.Dict(), required=True, data_key="fields")
    keys = fields.List(fields.Dict(), required=True)
    rules = fields.List(fields.Dict(), required=True)
    pipelines = fields.List(fields.Dict(), required=True)
    views = fields.List(fields.Dict(), required=True)


FIXED: dict[str, type[Schema]] = {
    "problem": ProblemShape,
    "history": HistoryShape,
    "stages": StagesShape,
    "search": SearchShape,
    "lookup_call": LookupCallShape,
    "groups": GroupsShape,
    "me": MeShape,
    "objects": ObjectsShape,
    "described_object": DescribedObjectShape,
    **METADATA_SHAPES,
    **RUN_SHAPES,
    **ACCESS_SHAPES,
}
"""Every shape that the OpenAPI document names, by the name it has there (with a leading ``_``: no object has one)."""


def load(shape: type[Schema], value: Any) -> dict[str, Any]:
    """A body checked against its shape. Raises ``ValidationFailed`` with every problem."""
    try:
        return dict(shape().load(value))
    except ValidationError as error:
        problems = [Problem("invalid", str(text), field=name) for name, text in _flat(error.messages)]
        raise ValidationFailed(problems) from None


def _flat(messages: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(messages, dict):
        return [
            found for name, inner in messages.items() for found in _flat(inner, f"{path}/{name}" if path else str(name))
        ]
    return [(path, "; ".join(str(text) for text in messages))]
