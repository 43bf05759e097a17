"""Role and permission set documents become ``Role`` values: objects and fields resolved, row formulas compiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ratoon.platform.errors import say
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.model import Role
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Report

IMPLIED: Mapping[str, frozenset[str]] = MappingProxyType(
    {"view_all": frozenset({"read"}), "modify_all": frozenset({"read", "edit", "delete", "view_all"})}
)
"""A right → what it includes."""


def with_implied(rights: Iterable[str]) -> frozenset[str]:
    """The rights and what they include."""
    return frozenset(rights).union(*(IMPLIED.get(right, ()) for right in rights))


def compile_role(document: Document, drafts: Drafts, formulas: Formulas, report: Report) -> Role:
    """One role; ``"*"`` among its objects stands for every object that is not named."""
    data = document.data

    def known(group: str, written: str, name: str) -> bool:
        if name in drafts.objects or name == "*":
            return True
        if not report.suspected(name):
            hint = report.elsewhere(name) or suggestion(name, drafts.objects, say("objects"))
            report.add(
                document, (group, written), "unknown_object", say("There is no object {name}.", name=repr(name)), hint
            )
        return False

    objects = {n: with_implied(rights) for n, rights in data.get("objects", {}).items() if known("objects", n, n)}
    fields: dict[tuple[str, str], frozenset[str]] = {}
    for written, rights in data.get("fields", {}).items():
        object_name, _, field_name = written.partition(".")
        if not known("fields", written, object_name) or object_name == "*":
            continue
        draft = drafts.objects[object_name]
        if field_name in draft.fields:
            fields[(object_name, field_name)] = frozenset(rights)
        elif not report.suspected(field_name):
            hint = suggestion(field_name, draft.fields)
            message = say("{object} has no field {name}.", object=repr(object_name), name=repr(field_name))
            report.add(document, ("fields", written), "unknown_field", message, hint)
    rows: dict[str, Formula] = {}
    for name, source in data.get("rows", {}).items():
        if known("rows", name, name) and name != "*":
            path = ("rows", name)
            formula = formulas.compile(document, path, source, formulas.scopes[name], pushed_down=True, change=False)
            if formula is not None:
                rows[name] = formula
    return Role(data["name"], data["label"], objects, fields, rows, document.package)
