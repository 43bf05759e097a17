"""Activating an automation, or letting it rest, as the change of the metadata that it is.

``set_status`` changes one word of one document and applies it as a local edit: planned, checked, audited, a revision
that can be rolled back, and kept when the package is upgraded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from sqlalchemy import Connection

from ratoon.platform.errors import NotFound
from ratoon.platform.metadata.documents import Document
from ratoon.platform.packages.applying import apply_plan
from ratoon.platform.packages.carrying import Applied
from ratoon.platform.packages.planning import Plan, plan_documents, present_documents
from ratoon.platform.packages.target import Target
from ratoon.platform.packages.upgrades import Manner

Status = Literal["draft", "active", "off"]
STATUSES: tuple[Status, ...] = ("draft", "active", "off")


def set_status(
    target: Target, object: str, name: str, status: Status, *, by: str | None = None, validate_only: bool = False
) -> Applied:
    """Makes an automation a draft, active or off. Raises ``NotFound``, and what applying metadata raises."""
    return apply_plan(
        target,
        lambda connection: plan_status(target, connection, object, name, status),
        by=by,
        message=f"Automation {object}.{name}: {status}",
        allow_destructive=False,
        validate_only=validate_only,
    )


def plan_status(target: Target, connection: Connection, object: str, name: str, status: Status) -> Plan:
    """What ``set_status`` would change."""
    present = present_documents(connection)
    found = next((d for d in present if _is(d, object, name)), None)
    if found is None:
        raise NotFound("{object} has no automation {name}.", object=object, name=name)
    data = {key: value for key, value in found.data.items() if key != "active"}
    changed = replace(found, data={**data, "status": status})
    whole = [changed if d is found else d for d in present if d.package == found.package]
    return plan_documents(target, connection, whole, Manner(edit=True))


def _is(document: Document, object: str, name: str) -> bool:
    data = document.data
    return document.kind == "automation" and (data["object"], data["name"]) == (object, name)
