"""The bodies of calls about metadata, and how they stand in the OpenAPI document."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class FindingShape(Schema):
    """One problem of a metadata document."""

    file = fields.String(required=True)
    pointer = fields.String(required=True, metadata={"description": "JSON pointer into the file"})
    code = fields.String(required=True)
    message = fields.String(required=True)
    hint = fields.String(required=True, metadata={"description": "how to mend it"})
    severity = fields.String(required=True, validate=validate.OneOf(["error", "warning", "info"]))


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


METADATA_SHAPES: dict[str, type[Schema]] = {
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
}
"""The shapes by the name they have in the document."""
