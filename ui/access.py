"""Who may do what, for administrators: role tree and sharing, the matrix of rights, users, why, the audit trail.

The matrix is the role's document: saving it applies the changed document, as any other change of the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.explain import Answer, explain, fields_of
from ratoon.platform.errors import Forbidden, NotFound, RatoonError
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Object, Role
from ratoon.platform.packages import Target
from ratoon.platform.packages.applying import apply_documents
from ratoon.platform.packages.planning import present_documents
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.audit import TRAILS, entries
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen

RIGHTS = ("create", "read", "edit", "delete", "view_all", "modify_all", "export")
EVERY = "*"
PAGE = 100
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _administrator(screen: Screen) -> None:
    if not screen.actor.admin:
        raise Forbidden("Only an administrator may see and change who may do what.")


def _page(screen: Screen, template: str, **context: Any) -> str:
    return render_template(template, screen=screen, current="access", **context)


@dataclass(frozen=True)
class Branch:
    """A role in the tree."""

    role: Role
    depth: int
    users: int


def overview(screen: Screen) -> ResponseReturnValue:
    """The role tree, permission sets, defaults of objects and sharing rules."""
    _administrator(screen)
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
    return _page(screen, "access.html", tree=tree, sets=sets, rules=rules, objects=_objects(screen))


def _objects(screen: Screen) -> list[Object]:
    junctions = screen.policy.grants.junctions
    return [obj for obj in screen.registry if obj.name not in junctions]


def matrix(screen: Screen) -> ResponseReturnValue:
    """The rights of one role or permission set, object by object; of one object field by field."""
    _administrator(screen)
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
        changed = replace(found, data=_changed(screen, found.data, chosen))
        whole = [changed if d is found else d for d in documents if d.package == found.package]
        return _apply(screen, target, whole, kind, name, chosen)
    return _page(
        screen, "access_matrix.html", document=found.data, kind=kind, rights=RIGHTS, objects=_objects(screen),
        chosen=chosen, every=EVERY, field_right=_field_right(found.data, chosen), package=found.package,
    )  # fmt: skip


def _apply(
    screen: Screen, target: Target, documents: list[Document], kind: str, name: str, chosen: Object | None
) -> ResponseReturnValue:
    message = f"Change the rights of the {kind.replace('_', ' ')} {name}"
    try:
        apply_documents(target, documents, by=screen.actor.id, message=message)
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


def users(screen: Screen) -> ResponseReturnValue:
    """Users with their roles and permission sets."""
    _administrator(screen)
    accounts = Accounts(screen.environment.world)
    if request.method == "POST":
        user, by = request.form.get("id", ""), screen.actor.id
        roles = [name for name in request.form.getlist("roles") if name in screen.registry.roles]
        there = screen.registry.access.permission_sets
        sets = [name for name in request.form.getlist("permission_sets") if name in there]
        if not _ID.fullmatch(user):
            raise NotFound("There is no {object} with id {id}.", object="user", id=user[:60])
        with screen.environment.write(screen.actor) as records:
            records.get("user", user, fields=["id"])
            accounts.set_roles(records.connection, user, roles, by=by)
            accounts.set_permission_sets(records.connection, user, sets, by=by)
        flash(_("The rights were changed."), "success")
        return redirect(url_for("screens.access_users", cursor=request.args.get("cursor")), 303)
    with screen.read() as records:
        page = records.list(
            Query("user", sort=["name"], limit=50, cursor=request.args.get("cursor") or None,
                  fields=["name", "email", "active", "is_admin"])
        )  # fmt: skip
        ids = [user["id"] for user in page.records]
        roles_of = accounts.roles_of(records.connection, ids)
        sets_of = accounts.permission_sets_of(records.connection, ids)
    return _page(
        screen, "access_users.html", users=page.records, roles_of=roles_of, sets_of=sets_of,
        roles=list(screen.registry.roles.values()), sets=list(screen.registry.access.permission_sets.values()),
        next_cursor=page.next_cursor,
    )  # fmt: skip


def explained(screen: Screen) -> ResponseReturnValue:
    """What a user may do with a record, and why."""
    _administrator(screen)
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
                answers = explain(engine.policy, engine.store, conn, actor, name, record.lower())
                fields = fields_of(engine.policy, actor, name)
    return _page(
        screen, "access_explain.html", answers=answers, fields=fields, wrong=wrong, email=email, name=name,
        record=record, objects=_objects(screen),
    )  # fmt: skip


def audit(screen: Screen) -> ResponseReturnValue:
    """The audit trail, newest first."""
    _administrator(screen)
    trail = request.args.get("trail", "")
    before = request.args.get("before", "")
    with screen.read() as records:
        found = entries(
            records.connection, trail=trail if trail in TRAILS else None, limit=PAGE,
            before=int(before) if before.isdigit() else None,
        )  # fmt: skip
        names = records.titles("user", {entry.by for entry in found if entry.by})
    return _page(
        screen, "access_audit.html", entries=found, names=names, trail=trail, trails=TRAILS, zone=screen.zone,
        more=found[-1].number if len(found) == PAGE else None,
    )  # fmt: skip
