"""Writes, changes or takes out one document as a local edit: planned, checked, audited, a revision like any other.

The screens use it for what administrators edit by hand: roles, permission sets, sharing rules, defaults of objects. It
survives upgrades of the package like every local edit and is taken back by a rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.metadata.documents import Document, place
from ratoon.platform.packages.applying import apply_plan
from ratoon.platform.packages.carrying import Applied
from ratoon.platform.packages.planning import Plan, plan_documents, present_documents
from ratoon.platform.packages.target import Target
from ratoon.platform.packages.upgrades import Manner

Change = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Gives the document as it shall be, from what it is (empty when there is none); ``None`` takes it out."""


def edit_document(
    target: Target,
    kind: str,
    name: str,
    change: Change,
    *,
    package: str,
    by: str | None = None,
    message: str = "",
) -> Applied:
    """Changes the document of that kind and name; a new one goes into ``package``. Raises what applying raises."""

    def plan(connection: Connection) -> Plan:
        present = present_documents(connection)
        found = next((d for d in present if d.kind == kind and d.data.get("name") == name), None)
        data = change(found.data if found is not None else {})
        home = found.package if found is not None else package
        whole = [d for d in present if d.package == home and d is not found]
        if data is not None:
            made = {**data, "kind": kind, "name": name}
            file = found.file if found is not None else place(kind, made)
            whole.append(replace(found, data=made) if found is not None else Document(file, kind, made, home))
        return plan_documents(target, connection, whole, Manner(edit=True))

    return apply_plan(target, plan, by=by, message=message, allow_destructive=False)
