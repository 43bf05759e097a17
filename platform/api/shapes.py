"""The bodies whose shape does not depend on metadata, as marshmallow schemas.

They are read with ``load`` where a client sends them and described by apispec in the OpenAPI document, so that the
two cannot differ. Records have no schema here: their shape is the registry's, and they are checked by the fields.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from ratoon.platform.api.access_shapes import ACCESS_SHAPES
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


class FindingShape(Schema):
    """One problem of a metadata document."""

    file = fields.String(required=True)
    pointer = fields.String(required=True, metadata={"description": "JSON pointer into the file"})
    code = fields.String(required=True)
    message = fields.String(required=True)
    hint = fields.String(required=True, metadata={"description": "how to mend it"})
    severity = fields.String(required=True, validate=validate.OneOf(["error", "warning", "info"]))


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


class PackageShape(Schema):
    """A package: path inside it → document."""

    files = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 300)),
        values=fields.Raw(allow_none=True),
        required=True,
        metadata={"description": "path → document (JSON, or its text)"},
    )
    resolve = fields.List(
        fields.Raw(),
        load_default=list,
        metadata={"description": "conflicts as they were answered, each with take (ours, theirs, base) or value"},
    )
    settings = fields.Dict(load_default=dict, metadata={"description": "values of settings the package asks for"})


class SettingsCallShape(Schema):
    """Values of a package's settings; null takes one away."""

    package = fields.String(required=True, validate=validate.Length(1, 120))
    values = fields.Dict(required=True)


class SettingsShape(Schema):
    """Settings of packages; secrets are not shown."""

    settings = fields.List(fields.Dict(), required=True)


class UninstallShape(Schema):
    """Which package to take away, and how."""

    package = fields.String(required=True, validate=validate.Length(1, 120))
    plan_only = fields.Boolean(load_default=False, metadata={"description": "only say what would change"})
    message = fields.String(load_default="")
    allow_destructive = fields.Boolean(load_default=False)
    validate_only = fields.Boolean(load_default=False, metadata={"description": "do everything, then take it back"})
    expected_revision = fields.Integer(load_default=None, allow_none=True, strict=True)


class DriftShape(Schema):
    """How what was sent differs from what stands."""

    first = fields.String(required=True)
    second = fields.String(required=True)
    same = fields.Boolean(required=True)
    packages = fields.List(fields.Dict(), required=True, metadata={"description": "versions that differ"})
    components = fields.List(fields.Dict(), required=True)


class CheckShape(Schema):
    """Everything that is wrong with a package."""

    packages = fields.List(fields.String(), required=True)
    ok = fields.Boolean(required=True)
    documents = fields.Integer(required=True)
    findings = fields.List(fields.Nested(FindingShape), required=True)


class RollbackShape(Schema):
    """Which revision to bring back, and how."""

    revision = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10**9))
    message = fields.String(load_default="")
    allow_destructive = fields.Boolean(load_default=False)
    validate_only = fields.Boolean(load_default=False, metadata={"description": "do everything, then take it back"})
    expected_revision = fields.Integer(load_default=None, allow_none=True, strict=True)
    plan_only = fields.Boolean(load_default=False, metadata={"description": "only say what would change"})
    allow_violations = fields.Boolean(load_default=False)


class PurgeShape(Schema):
    """What to drop for good."""

    names = fields.List(fields.String(), load_default=list, metadata={"description": "pet.weight, toy; empty = all"})
    before = fields.Integer(load_default=None, allow_none=True, strict=True)
    fingerprint = fields.String(
        load_default=None, allow_none=True, metadata={"description": "of the answer without it: then it is done"}
    )


class PurgedShape(Schema):
    """What is lost for good."""

    revision = fields.Integer(required=True)
    losses = fields.List(fields.Dict(), required=True)
    fingerprint = fields.String(required=True)


class LintShape(Schema):
    """What a package may do and will be sorry for."""

    packages = fields.List(fields.String(), required=True)
    findings = fields.List(fields.Nested(FindingShape), required=True)


class TestsShape(Schema):
    """How the tests of packages went."""

    __test__ = False
    passed = fields.Boolean(required=True)
    tests = fields.List(fields.Dict(), required=True, metadata={"description": "when some fail: those that failed"})


class RulesShape(Schema):
    """What the records say to each rule."""

    rules = fields.List(fields.Dict(), required=True, metadata={"description": "count: null = only a save can tell"})


class PlanShape(Schema):
    """What would change."""

    revision = fields.Integer(required=True, metadata={"description": "the plan starts from it"})
    empty = fields.Boolean(required=True)
    components = fields.List(fields.Dict(), required=True)
    schema = fields.List(fields.Dict(), required=True, metadata={"description": "changes of tables"})
    data = fields.List(fields.Dict(), required=True, metadata={"description": "what it means for the records"})
    findings = fields.List(fields.Nested(FindingShape), required=True)
    destructive = fields.List(fields.String(), required=True, metadata={"description": "what would be taken away"})
    refusals = fields.List(fields.String(), required=True, metadata={"description": "why the data does not allow it"})
    violations = fields.List(
        fields.String(), required=True, metadata={"description": "rules that records there are would break"}
    )
    rights = fields.List(fields.Dict(), required=True, metadata={"description": "permissions that widen"})
    moves = fields.List(fields.Dict(), required=True, metadata={"description": "what is renamed or replaced"})
    fingerprint = fields.String(required=True, metadata={"description": "the same for plans that promise the same"})
    local_edits = fields.List(fields.Dict(), required=True, metadata={"description": "edits made here that stay"})
    settings = fields.List(fields.Dict(), required=True, metadata={"description": "what the packages ask for"})
    settled = fields.List(fields.Dict(), required=True, metadata={"description": "conflicts and what was chosen"})


class AppliedShape(Schema):
    """What was changed."""

    revision = fields.Integer(required=True, metadata={"description": "the revision that now stands"})
    values = fields.Integer(required=True, metadata={"description": "values filled into existing records"})
    validated_only = fields.Boolean(required=True)
    records = fields.Integer(required=True, metadata={"description": "records that packages bring, made or changed"})
    tests = fields.List(fields.Dict(), required=True, metadata={"description": "validate_only: the tests that ran"})
    plan = fields.Nested(PlanShape, required=True)


class ExportShape(Schema):
    """Applied documents."""

    packages = fields.List(fields.String(), required=True)
    files = fields.Dict(required=True, metadata={"description": "path → document"})


class RevisionShape(Schema):
    """One change of the metadata."""

    revision = fields.Integer(required=True)
    at = fields.String(required=True, metadata={"format": "date-time"})
    by = fields.String(required=True, allow_none=True)
    message = fields.String(required=True)


class RevisionsShape(Schema):
    """Revisions, newest first."""

    revisions = fields.List(fields.Nested(RevisionShape), required=True)


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


FIXED: dict[str, type[Schema]] = {
    "runs": RunsShape,
    "automation_call": AutomationCallShape,
    "automation_status": AutomationStatusShape,
    "retry_call": RetryCallShape,
    "preview_call": PreviewCallShape,
    "read_call": ReadCallShape,
    "problem": ProblemShape,
    "history": HistoryShape,
    "stages": StagesShape,
    "search": SearchShape,
    "lookup_call": LookupCallShape,
    "groups": GroupsShape,
    "me": MeShape,
    "objects": ObjectsShape,
    "described_object": DescribedObjectShape,
    "package": PackageShape,
    "rollback_call": RollbackShape,
    "uninstall_call": UninstallShape,
    "purge_call": PurgeShape,
    "purged": PurgedShape,
    "lint": LintShape,
    "tests": TestsShape,
    "rules": RulesShape,
    "settings_call": SettingsCallShape,
    "settings": SettingsShape,
    "drift": DriftShape,
    "check": CheckShape,
    "plan": PlanShape,
    "applied": AppliedShape,
    "export": ExportShape,
    "revisions": RevisionsShape,
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
