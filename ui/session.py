"""Signing in and out, and the language of the screens.

Flask-Login keeps who is signed in; the session cookie carries the secret of a server-side session (``Accounts``), so
that signing out, a new password or a locked account ends it everywhere at once.
"""

from __future__ import annotations

from contextlib import suppress

from flask import Flask, current_app, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import refresh
from flask_login import LoginManager, UserMixin, login_user, logout_user

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.second_factor import SecondFactor
from ratoon.platform.catalogs import supported
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError, TooMany
from ratoon.platform.records.drafts import Change
from ratoon.platform.storage.audit import Happening, note
from ratoon.ui.editing import local_path
from ratoon.ui.i18n import LOCALES
from ratoon.ui.screen import Screen

HALF_WAY = "half_way"
"""Key in the cookie: whose password was right, until when the second factor may follow."""
CODE_SECONDS = 300
CHANGE = "new_password"
"""Key in the cookie: who must choose a new password before anything else, until when, and by which old one."""
CHANGE_SECONDS = 900
VIA = "via"
"""Key in the cookie: how the session was opened, when not with a password."""
LEFT = "left"
"""Key in the cookie: somebody who came from the provider has just signed out."""
LAST = "last_locale"
"""Key in the cookie: the language of whoever was signed in last, for the door; the next user's own goes before it."""
PROVIDER = "ratoon_provider"
"""Name of the provider among the extensions of the application."""


class SignedIn(UserMixin):
    """Flask-Login's view of a signed-in actor; its id is the secret of the server-side session."""

    def __init__(self, actor: Actor, secret: str) -> None:
        self.actor = actor
        self.id = secret


def install(app: Flask, environment: Environment) -> None:
    """Sets up Flask-Login for this application."""
    login = LoginManager(app)
    login.session_protection = None
    accounts = environment.accounts

    @login.user_loader
    def load(secret: str) -> SignedIn | None:
        with environment.database.read() as connection:
            actor = accounts.actor_for_session(connection, secret)
        return SignedIn(actor, secret) if actor else None


def sign_in(environment: Environment) -> ResponseReturnValue:
    """The door: checks e-mail and password, then the second factor where there is one, and opens a session."""
    target = local_path(request.args.get("next", ""))
    if request.method == "POST" and "code" in request.form:
        return _second_step(environment, target)
    if request.method != "POST":
        return door_page(environment, target)
    email = request.form.get("email", "").strip()
    here = request.remote_addr or ""
    try:
        environment.limits.look("sign_in", here)
    except TooMany as error:
        return slow_down(environment, error, target, email)
    accounts = environment.accounts
    result = accounts.sign_in(environment.database, email, request.form.get("password", ""), **origin())
    if result.actor is not None and result.actor.id is not None:
        with environment.database.read() as connection:
            second = _factor(environment).active(connection, result.actor.id)
        if second:
            return _ask_for_code(environment, result.actor.id, target)
        return let_in(environment, result.actor, target)
    count_refused(environment)
    if result.outcome == "locked":
        refused = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=result.wait_seconds)
        return door_page(environment, target, refused, 429, email=email)
    refused = _("E-mail or password is wrong.")
    if environment.settings.password_sign_in == "admins":
        refused += " " + _("Only administrators sign in with a password here.")
    return door_page(environment, target, refused, 401, email=email)


def door_page(
    environment: Environment, target: str, refused: str = "", status: int = 200, *, email: str = ""
) -> tuple[str, int]:
    """The page for signing in."""
    settings = environment.settings
    page = render_template(
        "sign_in.html", screen=None, email=email, refused=refused, next=target, locale=g.locale,
        provider=provider_label(), only_admins=settings.password_sign_in == "admins",
        left=bool(session.pop(LEFT, False)),
    )  # fmt: skip
    return page, status


def slow_down(environment: Environment, error: TooMany, target: str = "", email: str = "") -> ResponseReturnValue:
    """The page for signing in, saying when to try again."""
    text = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=error.seconds)
    page, status = door_page(environment, target, text, 429, email=email)
    return page, status, {"Retry-After": str(error.seconds)}


def provider_label() -> str:
    """What the button for the OpenID Connect provider says; empty = there is none."""
    provider = current_app.extensions.get(PROVIDER)
    return provider.label if provider is not None else ""


def origin() -> dict[str, str]:
    """Where a request comes from, for the trail."""
    return {"address": request.remote_addr or "", "agent": request.user_agent.string}


def count_refused(environment: Environment) -> None:
    """Counts a refused attempt of this network address; what is used up is told to the next one."""
    with suppress(TooMany):
        environment.limits.take("sign_in", request.remote_addr or "")


def _factor(environment: Environment) -> SecondFactor:
    return SecondFactor(environment.world, environment.settings.organization_name)


def let_in(environment: Environment, actor: Actor, target: str) -> ResponseReturnValue:
    """Opens a session for somebody whose password (and code) was right, unless a new password is due first."""
    with environment.database.read() as connection:
        due = environment.accounts.password_due(connection, str(actor.id))
        mark = environment.accounts.password_mark(connection, str(actor.id))
    if not due:
        return open_session(environment, actor, target)
    session.pop(HALF_WAY, None)
    until = environment.world.clock().timestamp() + CHANGE_SECONDS
    session[CHANGE] = {"user": actor.id, "mark": mark, "why": due, "until": until}
    return redirect(url_for("screens.new_password", next=target or None), 303)


def open_session(environment: Environment, actor: Actor, target: str, *, via: str = "") -> ResponseReturnValue:
    """Opens a session. Whatever the cookie held before is gone, so that nobody can have prepared it."""
    with environment.database.write() as connection:
        secret = environment.accounts.start_session(connection, str(actor.id), **origin())
    chosen = session.get("locale")
    session.clear()
    if chosen:
        session["locale"] = chosen
    session[LAST] = chosen or actor.locale or g.locale
    if via:
        session[VIA] = via
    login_user(SignedIn(actor, secret))
    session.permanent = True
    return redirect(target or url_for("screens.home"), 303)


def _ask_for_code(environment: Environment, user: str, target: str) -> ResponseReturnValue:
    """The password was right: the cookie says so for five minutes, and opens nothing yet."""
    session[HALF_WAY] = {"user": user, "until": environment.world.clock().timestamp() + CODE_SECONDS}
    return _code_page(target), 200


def _code_page(target: str, refused: str = "") -> str:
    return render_template("second_step.html", screen=None, refused=refused, next=target, locale=g.locale)


def _second_step(environment: Environment, target: str) -> ResponseReturnValue:
    half = session.get(HALF_WAY)
    if not isinstance(half, dict) or half.get("until", 0) < environment.world.clock().timestamp():
        session.pop(HALF_WAY, None)
        return redirect(url_for("screens.sign_in", next=target or None), 303)
    here = request.remote_addr or ""
    try:
        environment.limits.look("sign_in", here)
    except TooMany as error:
        text = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=error.seconds)
        return _code_page(target, text), 429, {"Retry-After": str(error.seconds)}
    accounts, user = environment.accounts, str(half.get("user"))
    with environment.database.write() as connection:
        wait = accounts.locked_for(connection, user)
        passed = not wait and _factor(environment).passes(connection, user, request.form.get("code", ""))
        if not passed and not wait:
            accounts.count_wrong_code(connection, user)
        actor = accounts.actor_for_user(connection, user) if passed else None
        told = {"outcome": "second_factor" if passed else "wrong_code", **origin()}
        action = "signed_in" if passed else "refused"
        note(connection, environment.world.clock(), Happening("sign_in", action, by=user, subject=user, detail=told))
    if actor is not None:
        return let_in(environment, actor, target)
    count_refused(environment)
    if wait:
        text = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=wait)
        return _code_page(target, text), 429
    return _code_page(target, _("These are not the digits that the app shows now.")), 401


def sign_out(screen: Screen) -> ResponseReturnValue:
    """Ends the session, here and on the server. The page then offers to sign out at the provider, too: a form may not
    lead to another host."""
    secret, via = session.get("_user_id"), session.get(VIA)
    if secret:
        with screen.environment.database.write() as connection:
            screen.environment.accounts.end_session(connection, secret)
    logout_user()
    session.clear()
    session[LAST] = screen.locale
    if via == PROVIDER:
        session[LEFT] = True
    return redirect(url_for("screens.sign_in"), 303)


def language(environment: Environment, actor: Actor | None) -> ResponseReturnValue:
    """Changes the language: for this session, and in the user's record when there is one."""
    locale = supported(request.form.get("locale"))
    if locale:
        session["locale"] = locale
        g.locale = locale
        refresh()
        if actor is not None and actor.id is not None:
            change = Change(actor.id, {"locale": locale})
            try:
                environment.transact(actor, lambda records: records.update("user", [change]))
            except RatoonError:
                # Not everybody may change users; the session remembers the choice all the same.
                session.modified = True
        flash(_("The language is now %(language)s.", language=LOCALES[locale]), "success")
    return redirect(local_path(request.form.get("next", "")) or url_for("screens.home"), 303)
