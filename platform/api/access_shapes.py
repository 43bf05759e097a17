"""The bodies of calls about access, and how they stand in the OpenAPI document."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

LONGEST_TOKEN = 3650
"""Days."""


class ShareShape(Schema):
    """What opens a record to somebody."""

    grantee = fields.String(required=True, validate=validate.Length(max=320))
    access = fields.String(load_default="read", validate=validate.OneOf(("read", "edit")))
    reason = fields.String(load_default="", validate=validate.Length(max=255))


class TransferShape(Schema):
    """Another owner for a record."""

    owner = fields.String(required=True, validate=validate.Length(equal=36))
    children = fields.Boolean(load_default=False)
    keep_shares = fields.Boolean(load_default=False)


class TokenShape(Schema):
    """A new API token."""

    label = fields.String(required=True, validate=validate.Length(min=1, max=255))
    days = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, LONGEST_TOKEN))
    objects = fields.List(fields.String(validate=validate.Length(max=60)), load_default=None, allow_none=True)
    read_only = fields.Boolean(load_default=False)


class GrantsShape(Schema):
    """The roles and permission sets of a user."""

    roles = fields.List(fields.String(validate=validate.Length(max=40)), required=True)
    permission_sets = fields.List(fields.String(validate=validate.Length(max=40)), load_default=list)


class ErasureShape(Schema):
    """Erasing a person, as it was planned."""

    fingerprint = fields.String(required=True, validate=validate.Length(max=64))


ACCESS_SHAPES: dict[str, type[Schema]] = {
    "share_call": ShareShape,
    "transfer_call": TransferShape,
    "token_call": TokenShape,
    "grants": GrantsShape,
    "erasure_call": ErasureShape,
}
"""The shapes by the name they have in the document."""
