"""Choosing a password: after forgetting it, as a new user, and when one is due before anything else.

Asking for a link does the same for every address, known or not: it writes one line for a worker, who looks whether
there is somebody to write to. Opening a link changes nothing; the form on its page does.
"""

from __future__ import annotations

from flask import flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.access.links import Guest, Links
from ratoon.platform.automation.link_mails import send_link
from ratoon.platform.catalogs import supported
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound, Problem, TooMany, ValidationFailed
from ratoon.platform.formulas.dates import time_zones
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.audit import Happening, note
from ratoon.ui import session as door
from ratoon.ui.editing import local_path

DUE = "new_password"


def links_of(environment: Environment) -> Links:
    """The links of an environment."""
    return Links(environment.accounts, environment.world, environment.settings)


def forgot(environment: Environment) -> ResponseReturnValue:
    """“Forgot password?”: asks for the address and sends a link there, if there is somebody."""
    settings = environment.settings
    email = request.form.get("email", "").replace("\0", "").strip()[:255]
    state, status, headers = "ask" if settings.smtp_host else "no_mail", 200, {}
    if request.method == "POST" and email and settings.smtp_host:
        state = "sent"
        try:
            environment.limits.take("reset_from", request.remote_addr or "")
            environment.limits.take("reset", email.lower())
        except TooMany as error:
            state, status, headers = "later", 429, {"Retry-After": str(error.seconds)}
        else:
            with environment.database.write() as connection:
                send_link(connection, environment.world, email, "reset")
                links_of(environment).note_asked(connection, email.lower(), **door.origin())
    page = render_template(
        "forgot.html", screen=None, locale=g.locale, email=email, state=state, minutes=settings.reset_minutes,
        provider=door.provider_label(), only_admins=settings.password_sign_in == "admins",
    )  # fmt: skip
    return page, status, headers


def by_link(environment: Environment, secret: str) -> ResponseReturnValue:
    """The page of a link from a mail: choose a password."""
    links, accounts = links_of(environment), environment.accounts
    refused, status = "", 200
    try:
        with environment.database.read() as connection:
            guest = links.follow(connection, secret)
            tokens = accounts.working_tokens(connection, guest.user_id)
        if request.method == "POST":
            refused = _differ()
            status = 422 if refused else 200
        if request.method == "POST" and not refused:
            told, end, new = _told(guest), bool(request.form.get("end_tokens")), request.form.get("new", "")

            def work(records: RecordService) -> None:
                links.use(records.connection, secret, new, end_tokens=end, **door.origin())
                if told:
                    records.update("user", [Change(guest.user_id, told)])

            environment.transact(SYSTEM, work)
            session.clear()
            session[door.LAST] = told.get("locale") or g.locale
            flash(_("The password is set. Sign in with it."), "success")
            return redirect(url_for("screens.sign_in"), 303)
    except ValidationFailed as error:
        refused, status = error.problems[0].text(_), 422
    except NotFound:
        page = render_template("choose_password.html", screen=None, locale=g.locale, guest=None)
        return page, 404
    page = render_template(
        "choose_password.html", screen=None, locale=g.locale, guest=guest, refused=refused,
        why=guest.purpose, shortest=environment.settings.password_min_length, tokens=tokens,
        end_tokens=request.method == "GET" or bool(request.form.get("end_tokens")),
        zones=sorted(time_zones()) if guest.purpose == "invite" else (),
        zone=request.form.get("time_zone") or environment.settings.default_time_zone,
    )  # fmt: skip
    return page, status


def _told(guest: Guest) -> dict[str, str]:
    """What somebody who was invited says about their language and time zone. Raises ``ValidationFailed``."""
    if guest.purpose != "invite":
        return {}
    locale, zone = supported(request.form.get("locale")), request.form.get("time_zone", "").strip()
    if zone and zone not in time_zones():
        raise ValidationFailed(
            [Problem("time_zone", "There is no time zone {name}.", "time_zone", {"name": zone[:60]})]
        )
    return {key: value for key, value in (("locale", locale), ("time_zone", zone)) if value}


def due(environment: Environment) -> ResponseReturnValue:
    """A new password before anything else: the first one was given by somebody else, or it is too old.

    The cookie says whose password was right a moment ago; it is worth nothing once that password has changed.
    """
    target = local_path(request.args.get("next", ""))
    asked = session.get(DUE)
    now = environment.world.clock()
    if not isinstance(asked, dict) or asked.get("until", 0) < now.timestamp():
        session.pop(DUE, None)
        return redirect(url_for("screens.sign_in", next=target or None), 303)
    accounts, user = environment.accounts, str(asked.get("user"))
    with environment.database.read() as connection:
        actor = accounts.actor_for_user(connection, user)
        same = accounts.password_mark(connection, user) == asked.get("mark")
    if actor is None or not same:
        session.pop(DUE, None)
        return redirect(url_for("screens.sign_in", next=target or None), 303)
    refused, status = "", 200
    if request.method == "POST":
        refused = _differ()
        status = 422 if refused else 200
    if request.method == "POST" and not refused:
        new = request.form.get("new", "")
        try:
            with environment.database.write() as connection:
                accounts.set_password(connection, user, new, another=True)
                changed = Happening("access", "password_changed", by=user, subject=user)
                note(connection, now, changed)
        except ValidationFailed as error:
            refused, status = error.problems[0].text(_), 422
        else:
            return door.open_session(environment, actor, target)
    page = render_template(
        "choose_password.html", screen=None, locale=g.locale, guest=actor, refused=refused,
        why=asked.get("why"), shortest=environment.settings.password_min_length,
    )  # fmt: skip
    return page, status


def _differ() -> str:
    """What is wrong when the password was not typed twice the same."""
    return "" if request.form.get("new") == request.form.get("again") else _("The two passwords are not the same.")
