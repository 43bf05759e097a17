"""Who may see which records, as metadata: role tree, permission sets, organisation defaults, sharing rules.

* A **role** may name the role above it (``parent``). Who has the role above sees what users of the roles below own.
* A **permission set** is a role without a place in the tree: more rights for single users.
* ``default_access`` of an object says what everybody whose role allows the action reaches without further ado:
  ``read_write`` (everything), ``read`` (everything to read, own records to change), ``private`` (own records),
  ``controlled_by_parent`` (what they may do with the master). Objects with a master_detail field are controlled by
  their parent unless they say otherwise; all others are ``read_write``.
* A **sharing rule** opens the records for which its formula is true to roles, teams or users.

``access/policy.py`` makes SQL of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ratoon.platform.errors import say
from ratoon.platform.metadata.access_model import Grantee, SharingRule
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, ObjectDraft
from ratoon.platform.metadata.formulas import Formulas
from ratoon.platform.metadata.names import suggestion
from ratoon.platform.metadata.report import Report

CONTROLLED = "controlled_by_parent"


def compile_sharing(drafts: Drafts, formulas: Formulas, report: Report) -> dict[str, tuple[SharingRule, ...]]:
    """The active sharing rules by object."""
    found: dict[str, list[SharingRule]] = {}
    roles = {document.data["name"] for document in drafts.roles}
    for document in drafts.sharing:
        rule = _rule(document, drafts, formulas, roles, report)
        if rule is not None and document.data.get("active", True):
            found.setdefault(rule.object, []).append(rule)
    return {name: tuple(sorted(rules, key=lambda rule: rule.name)) for name, rules in found.items()}


def _rule(
    document: Document, drafts: Drafts, formulas: Formulas, roles: set[str], report: Report
) -> SharingRule | None:
    data = document.data
    name = data["object"]
    if name not in drafts.objects:
        if not report.suspected(name):
            hint = report.elsewhere(name) or suggestion(name, drafts.objects, say("objects"))
            report.add(
                document, ("object",), "unknown_object", say("There is no object {name}.", name=repr(name)), hint
            )
        return None
    grantees = tuple(_grantees(document, roles, report))
    when = None
    if "when" in data:
        path, scope = ("when",), formulas.scopes[name]
        when = formulas.compile(document, path, data["when"], scope, pushed_down=True, change=False)
        if when is None:
            return None
    return SharingRule(data["name"], data["label"], name, when, grantees, data["access"], document.package)


def _grantees(document: Document, roles: set[str], report: Report) -> Iterator[Grantee]:
    for place, given in enumerate(document.data["with"]):
        for kind, name in given.items():
            if kind in ("role", "role_and_below") and name not in roles and not report.suspected(name):
                message = say("There is no role {name}.", name=repr(name))
                report.add(
                    document, ("with", place, kind), "unknown_role", message, suggestion(name, roles, say("roles"))
                )
            yield Grantee(kind, name.strip().lower() if kind == "user" else name)


def role_parents(drafts: Drafts, report: Report) -> dict[str, str]:
    """Role → the role above it; unknown ones and circles are reported."""
    documents = {document.data["name"]: document for document in drafts.roles}
    parents: dict[str, str] = {}
    for name, document in documents.items():
        above = document.data.get("parent")
        if above is None:
            continue
        if above not in documents:
            if not report.suspected(above):
                hint = suggestion(above, documents, say("roles"))
                report.add(
                    document, ("parent",), "unknown_role", say("There is no role {role}.", role=repr(above)), hint
                )
            continue
        parents[name] = above
    told: set[str] = set()
    for name in sorted(parents):
        chain = [name]
        while chain[-1] in parents and parents[chain[-1]] not in chain:
            chain.append(parents[chain[-1]])
        if parents.get(chain[-1]) == name and name not in told:
            told.update(chain)
            message = say("Roles stand above one another in a circle: {chain}.", chain=" → ".join([*chain, name]))
            report.add(documents[name], ("parent",), "circular", message, say("take one parent out"))
    return parents


def default_access(draft: ObjectDraft, report: Report) -> str:
    """What everybody with a fitting role reaches."""
    data: Mapping[str, Any] = draft.piece.data
    has_master = any(f.spec.type == "master_detail" for f in draft.fields.values())
    given = data.get("default_access")
    if given == CONTROLLED and not has_master:
        message = say("{object} has no master_detail field, so no parent controls it.", object=repr(draft.name))
        hint = say('choose "private", "read" or "read_write", or make the lookup to the parent a master_detail field')
        report.add(draft.piece.document, ("default_access",), "no_parent", message, hint)
    if given is not None:
        return str(given)
    return CONTROLLED if has_master else "read_write"


def access_indexes(default: str, rules: tuple[SharingRule, ...]) -> list[tuple[str, ...]]:
    """Column lists that row rights read, newest first: the owner where ownership counts, criteria of sharing rules."""
    found: list[tuple[str, ...]] = []
    if default in ("private", "read"):
        found.append(("owner", "created_at", "id"))
    for rule in rules:
        own = sorted(path for path in rule.when.paths if "." not in path) if rule.when is not None else []
        found += [(path, "created_at", "id") for path in own[:3] if path not in ("id", "owner", "created_at")]
    return found
