"""Who may do what, for administrators: role tree and sharing, the matrix of rights, why.

The matrix is the role's document: saving it applies the changed document, as any other change of the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.explain import Answer, fields_of
from ratoon.platform.errors import Forbidden, NotFound, RatoonError
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Object, Role
from ratoon.platform.packages import Target
from ratoon.platform.packages.one_document import edit_document
from ratoon.platform.packages.planning import present_documents
from ratoon.platform.records.why_access import why_access
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen

RIGHTS = ("create", "read", "edit", "delete", "view_all", "modify_all", "export")
"""What a role may allow; ``right_label`` says them in the reader's language."""
EVERY = "*"
DEFAULTS = ("private", "read", "read_write", "controlled_by_parent")
"""What an object may say of whom its records reach."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def right_label(right: str) -> str:
    """A right in words."""
    labels = {
        "create": _("create"), "read": _("read"), "edit": _("edit"), "delete": _("delete"),
        "transfer": _("hand over"), "view_all": _("see all"), "modify_all": _("change all"), "export": _("export"),
    }  # fmt: skip
    return str(labels.get(right, right))


def default_label(default: str) -> str:
    """Whom the records of an object reach without any rule, in words."""
    labels = {
        "private": _("nobody but the owner"), "read": _("everybody reads"),
        "read_write": _("everybody reads and edits"), "controlled_by_parent": _("as the parent record"),
    }  # fmt: skip
    return str(labels.get(default, default))


def grantee_label(kind: str) -> str:
    """What a sharing rule may open records to, in words."""
    labels = {"role": _("Role"), "role_and_below": _("Role and below"), "team": _("Team"), "user": _("User")}
    return str(labels.get(kind, kind))


def administrator(screen: Screen) -> None:
    """Raises ``Forbidden`` for everybody else."""
    if not screen.actor.admin:
        raise Forbidden("Only an administrator may see and change who may do what.")


def page_of(screen: Screen, template: str, **context: Any) -> str:
    """A page under “Who may do what”."""
    return render_template(
        template, screen=screen, current="access", right_label=right_label, default_label=default_label,
        grantee_label=grantee_label, **context,
    )  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """A role in the tree."""

    role: Role
    depth: int
    users: int


def overview(screen: Screen) -> ResponseReturnValue:
    """The role tree, permission sets, defaults of objects and sharing rules."""
    administrator(screen)
    registry = screen.registry
    with screen.environment.database.read() as conn:
        counts = Accounts(screen.environment.world).users_per_role(conn)
    children: dict[str | None, list[str]] = {}
    for name in sorted(registry.roles):
        children.setdefault(registry.access.parents.get(name), []).append(name)
    tree: list[Branch] = []

    def walk(parent: str | None, depth: int) -> None:
        for name in children.get(parent, ()):
            tree.append(Branch(registry.roles[name], depth, counts.get(name, 0)))
            walk(name, depth + 1)

    walk(None, 0)
    rules = [rule for found in registry.access.sharing.values() for rule in found]
    sets = list(registry.access.permission_sets.values())
    return page_of(
        screen, "access.html", tree=tree, sets=sets, rules=rules, objects=_objects(screen), defaults=DEFAULTS
    )


def _objects(screen: Screen) -> list[Object]:
    junctions = screen.policy.grants.junctions
    return [obj for obj in screen.registry if obj.name not in junctions]


def matrix(screen: Screen) -> ResponseReturnValue:
    """The rights of one role or permission set, object by object; of one object field by field."""
    administrator(screen)
    name, kind = request.args.get("role", ""), request.args.get("kind", "role")
    kind = "permission_set" if kind == "permission_set" else "role"
    target = Target.of(screen.environment)
    with target.database.read() as conn:
        documents = present_documents(conn)
    found = next((d for d in documents if d.kind == kind and d.data["name"] == name), None)
    if found is None:
        raise NotFound("There is no role {name}.", name=name[:60])
    chosen = screen.registry.objects.get(request.args.get("object", ""))
    if request.method == "POST":
        return _apply(screen, target, found, chosen)
    return page_of(
        screen, "access_matrix.html", document=found.data, kind=kind, rights=RIGHTS, objects=_objects(screen),
        chosen=chosen, every=EVERY, field_right=_field_right(found.data, chosen), package=found.package,
    )  # fmt: skip


def _apply(screen: Screen, target: Target, found: Document, chosen: Object | None) -> ResponseReturnValue:
    kind, name = found.kind, str(found.data["name"])
    message = f"Change the rights of the {kind.replace('_', ' ')} {name}"
    try:
        edit_document(target, kind, name, lambda data: _changed(screen, data, chosen), package=found.package,
                      by=screen.actor.id, message=message)  # fmt: skip
        flash(_("The rights were changed."), "success")
    except RatoonError as refused:
        flash(error_text(screen, refused), "danger")
    shown = chosen.name if chosen is not None else None
    return redirect(url_for("screens.access_matrix", role=name, kind=kind, object=shown), 303)


def _changed(screen: Screen, data: Mapping[str, Any], chosen: Object | None) -> dict[str, Any]:
    """The document with what the form says; what the form does not show stays."""
    made = dict(data)
    if chosen is not None:
        fields = dict(made.get("fields", {}))
        for field in chosen.fields.values():
            said, key = request.form.get(f"field:{field.name}"), f"{chosen.name}.{field.name}"
            if said == "follow":
                fields.pop(key, None)
            elif said in ("hidden", "read", "edit"):
                fields[key] = [] if said == "hidden" else ["read"] if said == "read" else ["read", "edit"]
        made["fields"] = fields
        return made
    objects = dict(made.get("objects", {}))
    for name in (EVERY, *(obj.name for obj in _objects(screen))):
        given = [right for right in RIGHTS if request.form.get(f"{name}:{right}")]
        if given or (name in objects and name != EVERY and request.form.get(f"{name}:named")):
            objects[name] = given
        else:
            objects.pop(name, None)
    made["objects"] = objects
    return made


def _field_right(data: Mapping[str, Any], chosen: Object | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in chosen.fields.values() if chosen is not None else ():
        named = data.get("fields", {}).get(f"{chosen.name}.{field.name}") if chosen is not None else None
        if named is None:
            found[field.name] = "follow"
        else:
            found[field.name] = "edit" if "edit" in named else "read" if "read" in named else "hidden"
    return found


def explained(screen: Screen) -> ResponseReturnValue:
    """What a user may do with a record, and why."""
    administrator(screen)
    email, name, record = (request.args.get(key, "").strip() for key in ("user", "object", "id"))
    answers: tuple[Answer, ...] = ()
    fields: Mapping[str, Any] = {}
    wrong = ""
    if email and name and record:
        accounts, engine = Accounts(screen.environment.world), screen.engine
        with screen.environment.database.read() as conn:
            user = accounts.user_id(conn, email)
            actor = accounts.actor_for_user(conn, user) if user is not None else None
            if actor is None:
                wrong = _("There is no active user with this address.")
            elif name not in screen.registry.objects or not _ID.fullmatch(record.lower()):
                wrong = _("There is no such record.")
            else:
                answers = why_access(engine, conn, actor, name, record.lower())
                fields = fields_of(engine.policy, actor, name)
    return page_of(
        screen, "access_explain.html", answers=answers, fields=fields, wrong=wrong, email=email, name=name,
        record=record, objects=_objects(screen),
    )  # fmt: skip
