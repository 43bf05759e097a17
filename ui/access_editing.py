"""Changing who may do what by hand: roles and permission sets, sharing rules, what everybody reaches of an object.

Each form is one document of the metadata; saving applies it as a local edit, with every problem shown beside the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.errors import NotFound, RatoonError
from ratoon.platform.metadata.model import Role
from ratoon.platform.packages import Target
from ratoon.platform.packages.one_document import Change, edit_document
from ratoon.ui.access import DEFAULTS, administrator, page_of
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen

GRANTEES = ("role", "role_and_below", "team", "user")


def _package(screen: Screen) -> str:
    """Where a new role goes: to the roles that are there, else to the objects."""
    owners = [role.owner for role in screen.registry.roles.values()] or [obj.owner for obj in screen.registry]
    return next((owner for owner in owners if owner != "system"), "local")


def _apply(screen: Screen, kind: str, name: str, change: Change, package: str, message: str) -> bool:
    """Whether it was done; otherwise the reader is told why not."""
    try:
        edit_document(Target.of(screen.environment), kind, name, change, package=package, by=screen.actor.id,
                      message=message)  # fmt: skip
    except RatoonError as refused:
        flash(error_text(screen, refused), "danger")
        return False
    screen.environment.look_again()
    flash(_("The rights were changed."), "success")
    return True


def default_access(screen: Screen) -> ResponseReturnValue:
    """What everybody reaches of one object whose role allows it."""
    administrator(screen)
    name, chosen = request.form.get("object", ""), request.form.get("default_access", "")
    found = screen.registry.objects.get(name)
    if found is None or found.owner == "system" or chosen not in DEFAULTS:
        raise NotFound("There is no object called {name}.", name=name[:60])
    message = f"{name}: everybody reaches {chosen}"
    _apply(screen, "object", name, lambda data: {**data, "default_access": chosen}, found.owner, message)
    return redirect(url_for("screens.access"), 303)


def role(screen: Screen) -> ResponseReturnValue:
    """A role or permission set: its label and, for a role, which one stands above it; a new one; taking one out."""
    administrator(screen)
    kind = "permission_set" if request.values.get("kind") == "permission_set" else "role"
    known: Mapping[str, Role] = screen.registry.roles
    if kind == "permission_set":
        known = screen.registry.access.permission_sets
    name = request.args.get("name", "")
    if name and name not in known:
        raise NotFound("There is no role {name}.", name=name[:60])
    if request.method == "POST":
        written, form = name or request.form.get("name", "").strip(), request.form
        if not name and written in known:
            flash(_("There is one with this name already."), "danger")
        elif form.get("do") == "delete":
            if _apply(screen, kind, written, lambda data: None, "", f"Take out {kind} {written}"):
                return redirect(url_for("screens.access"), 303)
        elif _apply(
            screen, kind, written, lambda d: _role(kind, d, form), _package(screen), f"Change {kind} {written}"
        ):
            return redirect(url_for("screens.access_matrix", role=written, kind=kind), 303)
    return page_of(
        screen, "access_role.html", kind=kind, name=name, role=known.get(name),
        roles=[r for r in screen.registry.roles.values() if r.name != name], given=request.form,
        parent=screen.registry.access.parents.get(name, ""),
    )  # fmt: skip


def _role(kind: str, data: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"objects": {}, **data, "label": form.get("label", "").strip()}
    if kind == "role":
        made.pop("parent", None)
        if form.get("parent"):
            made["parent"] = form["parent"]
    return made


def sharing(screen: Screen) -> ResponseReturnValue:
    """A sharing rule: which records are opened to whom; a new one; taking one out."""
    administrator(screen)
    rules = {rule.name: rule for found in screen.registry.access.sharing.values() for rule in found}
    name = request.args.get("name", "")
    if name and name not in rules:
        raise NotFound("There is no sharing rule {name}.", name=name[:60])
    if request.method == "POST":
        written, form = name or request.form.get("name", "").strip(), request.form
        found = screen.registry.objects.get(rules[name].object if name else form.get("object", ""))
        if not name and written in rules:
            flash(_("There is one with this name already."), "danger")
        elif form.get("do") == "delete":
            if _apply(screen, "sharing", written, lambda data: None, "", f"Take out sharing rule {written}"):
                return redirect(url_for("screens.access"), 303)
        elif found is None:
            flash(_("Choose an object."), "danger")
        elif _apply(screen, "sharing", written, lambda data: _rule(data, form, found.name), found.owner,
                    f"Change sharing rule {written}"):  # fmt: skip
            return redirect(url_for("screens.access"), 303)
    objects = [obj for obj in screen.registry if obj.name not in screen.policy.grants.junctions]
    return page_of(
        screen, "access_sharing.html", name=name, rule=rules.get(name), objects=objects,
        grantees=GRANTEES, given=request.form, people=_people(rules[name]) if name else "",
    )  # fmt: skip


def _people(rule: Any) -> str:
    return "\n".join(f"{grantee.kind} {grantee.name}" for grantee in rule.grantees)


def _rule(data: Mapping[str, Any], form: Mapping[str, str], object: str) -> dict[str, Any]:
    made = {
        **data,
        "label": form.get("label", "").strip(),
        "object": object,
        "access": "edit" if form.get("access") == "edit" else "read",
        "with": [
            {kind: rest.strip()}
            for kind, _space, rest in (line.strip().partition(" ") for line in form.get("with", "").splitlines())
            if kind
        ],
    }
    made.pop("when", None)
    if form.get("when", "").strip():
        made["when"] = form["when"].strip()
    return made
