"""The users, for administrators: inviting people, making service users, roles, links for passwords, tokens of programs.

A new person gets a link to choose a password, by mail where a mail server is set and else to be handed over by the
administrator. Links and tokens are shown once, on the page that answers the button.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.access.keys import note_token
from ratoon.platform.automation.link_mails import send_link
from ratoon.platform.errors import NotFound, ValidationFailed
from ratoon.platform.records.reading import Query
from ratoon.ui.access import administrator, page_of
from ratoon.ui.choosing import links_of
from ratoon.ui.problems import text_of
from ratoon.ui.screen import Screen

PAGE = 50
DAYS = (30, 90, 365)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Shown:
    """What the page shows once, because nobody can show it again."""

    title: str
    text: str
    about: str


def users(screen: Screen) -> ResponseReturnValue:
    """Users with their roles and permission sets; a POST does what its button says."""
    administrator(screen)
    if request.method == "POST":
        answer = _ACTIONS.get(request.form.get("do", ""), _nothing)(screen)
        if answer is not None:
            return answer
        return redirect(url_for("screens.access_users", cursor=request.args.get("cursor")), 303)
    return _page(screen)


def _page(screen: Screen, status: int = 200, **more: Any) -> ResponseReturnValue:
    accounts = screen.environment.accounts
    with screen.read() as records:
        page = records.list(
            Query("user", sort=["name"], limit=PAGE, cursor=request.args.get("cursor") or None,
                  fields=["name", "email", "active", "is_admin", "service"])
        )  # fmt: skip
        ids = [user["id"] for user in page.records]
        roles_of = accounts.roles_of(records.connection, ids)
        sets_of = accounts.permission_sets_of(records.connection, ids)
        known = accounts.with_password(records.connection, ids)
    settings = screen.environment.settings
    body = page_of(
        screen, "access_users.html", users=page.records, roles_of=roles_of, sets_of=sets_of, known=known,
        roles=list(screen.registry.roles.values()), sets=list(screen.registry.access.permission_sets.values()),
        next_cursor=page.next_cursor, mails=bool(settings.smtp_host), days=DAYS,
        **{"shown": None, "typed": {}, "refused": [], **more},
    )  # fmt: skip
    return body, status


def _nothing(screen: Screen) -> ResponseReturnValue | None:
    raise NotFound("There is no such action.")


def _user(screen: Screen, records: Any) -> Mapping[str, Any]:
    """The user that the form is about. Raises ``NotFound``."""
    id = request.form.get("id", "")
    if not _ID.fullmatch(id):
        raise NotFound("There is no {object} with id {id}.", object="user", id=id[:60])
    found: Mapping[str, Any] = records.get("user", id, fields=["id", "name", "email", "service"])
    return found


def _rights(screen: Screen) -> None:
    accounts, by = screen.environment.accounts, screen.actor.id
    roles = [name for name in request.form.getlist("roles") if name in screen.registry.roles]
    there = screen.registry.access.permission_sets
    sets = [name for name in request.form.getlist("permission_sets") if name in there]
    with screen.environment.write(screen.actor) as records:
        user = _user(screen, records)
        accounts.set_roles(records.connection, user["id"], roles, by=by)
        accounts.set_permission_sets(records.connection, user["id"], sets, by=by)
    flash(_("The rights were changed."), "success")


def _invite(screen: Screen) -> ResponseReturnValue | None:
    """Makes a user; a person gets a link to choose a password."""
    environment = screen.environment
    typed = {key: request.form.get(key, "").strip() for key in ("name", "email", "kind")}
    roles = [name for name in request.form.getlist("roles") if name in screen.registry.roles]
    service = typed["kind"] == "service"
    try:
        with environment.write(screen.actor) as records:
            user = environment.accounts.create_user(
                records, name=typed["name"] or typed["email"], email=typed["email"], roles=roles,
                admin=typed["kind"] == "admin", service=service, locale=screen.locale,
            )  # fmt: skip
    except ValidationFailed as refused:
        told = [text_of(screen, screen.registry["user"], problem) for problem in refused.problems]
        return _page(screen, 422, typed={**typed, "roles": roles}, refused=told)
    if service:
        flash(_("The service user was made. Give it a token."), "success")
        return None
    return _send(screen, user, typed["email"], "invite")


def _link(screen: Screen) -> ResponseReturnValue | None:
    """A link for a password, to be shown."""
    environment = screen.environment
    with environment.database.write() as connection:
        guest = links_of(environment).guest(connection, user_id=request.form.get("id", ""))
        if guest is None:
            flash(_("This user does not sign in with a password."), "danger")
            return None
        url = links_of(environment).make(connection, guest, by=screen.actor.id)
    return _page(screen, shown=Shown(_("The link to choose a password, shown only now:"), url, guest.email))


def _mail(screen: Screen) -> ResponseReturnValue | None:
    """The same link, by mail."""
    with screen.read() as records:
        user = _user(screen, records)
        known = screen.environment.accounts.with_password(records.connection, [user["id"]])
    return _send(screen, user["id"], user["email"] or "", "reset" if known else "invite")


def _send(screen: Screen, user: str, email: str, purpose: Any) -> ResponseReturnValue | None:
    environment = screen.environment
    if environment.settings.smtp_host:
        with environment.database.write() as connection:
            send_link(connection, environment.world, email, purpose, by=screen.actor.id)
        flash(_("A mail with a link is on its way to %(email)s.", email=email), "success")
        return None
    with environment.database.write() as connection:
        guest = links_of(environment).guest(connection, user_id=user, purpose=purpose)
        if guest is None:
            flash(_("This user does not sign in with a password."), "danger")
            return None
        url = links_of(environment).make(connection, guest, by=screen.actor.id)
    return _page(screen, shown=Shown(_("The link to choose a password, shown only now:"), url, email))


def _token(screen: Screen) -> ResponseReturnValue | None:
    """A token of a service user, to be shown."""
    environment, days = screen.environment, request.form.get("days", "")
    world = environment.world
    ends = world.clock() + timedelta(days=int(days)) if days.isdigit() and 0 < int(days) <= 3650 else None
    with screen.read() as records:
        user = _user(screen, records)
    if not user["service"]:
        flash(_("People make their tokens themselves, under Your account."), "danger")
        return None
    with environment.database.write() as connection:
        token, info = environment.accounts.create_token(
            connection, user["id"], label=request.form.get("label", "").strip() or "API", expires_at=ends,
            read_only=bool(request.form.get("read_only")),
        )  # fmt: skip
        note_token(connection, world.clock(), "token_made", info, screen.actor.id)
    return _page(screen, shown=Shown(_("The new token, shown only now:"), token, user["email"] or ""))


_ACTIONS = {"rights": _rights, "invite": _invite, "link": _link, "mail": _mail, "token": _token}
