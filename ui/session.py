"""Signing in and out, and the language of the screens.

Flask-Login keeps who is signed in; the session cookie carries the secret of a server-side session (``Accounts``), so
that signing out, a new password or a locked account ends it everywhere at once.
"""

from __future__ import annotations

from flask import Flask, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import refresh
from flask_login import LoginManager, UserMixin, login_user, logout_user

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.access.second_factor import SecondFactor
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError
from ratoon.platform.records.drafts import Change
from ratoon.platform.storage.audit import Happening, note
from ratoon.ui.editing import local_path
from ratoon.ui.i18n import LOCALES, supported
from ratoon.ui.screen import Screen

HALF_WAY = "half_way"
"""Key in the cookie: whose password was right, until when the second factor may follow."""
CODE_SECONDS = 300


class SignedIn(UserMixin):
    """Flask-Login's view of a signed-in actor; its id is the secret of the server-side session."""

    def __init__(self, actor: Actor, secret: str) -> None:
        self.actor = actor
        self.id = secret


def install(app: Flask, environment: Environment) -> None:
    """Sets up Flask-Login for this application."""
    login = LoginManager(app)
    login.session_protection = None
    accounts = Accounts(environment.world)

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
    email = request.form.get("email", "").strip()
    refused, status = "", 200
    if request.method == "POST":
        accounts = Accounts(environment.world)
        result = accounts.sign_in(environment.database, email, request.form.get("password", ""), **_origin())
        if result.actor is not None and result.actor.id is not None:
            with environment.database.read() as connection:
                second = _factor(environment).active(connection, result.actor.id)
            if second:
                return _ask_for_code(environment, result.actor.id, target)
            return _open(environment, result.actor, target)
        status = 429 if result.outcome == "locked" else 401
        if result.outcome == "locked":
            refused = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=result.wait_seconds)
        else:
            refused = _("E-mail or password is wrong.")
    page = render_template("sign_in.html", screen=None, email=email, refused=refused, next=target, locale=g.locale)
    return page, status


def _origin() -> dict[str, str]:
    return {"address": request.remote_addr or "", "agent": request.user_agent.string}


def _factor(environment: Environment) -> SecondFactor:
    return SecondFactor(environment.world, environment.settings.organization_name)


def _open(environment: Environment, actor: Actor, target: str) -> ResponseReturnValue:
    """Opens a session. Whatever the cookie held before is gone, so that nobody can have prepared it."""
    with environment.database.write() as connection:
        secret = Accounts(environment.world).start_session(connection, str(actor.id), **_origin())
    chosen = session.get("locale")
    session.clear()
    if chosen:
        session["locale"] = chosen
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
    accounts, user = Accounts(environment.world), str(half.get("user"))
    with environment.database.write() as connection:
        wait = accounts.locked_for(connection, user)
        passed = not wait and _factor(environment).passes(connection, user, request.form.get("code", ""))
        if not passed and not wait:
            accounts.count_wrong_code(connection, user)
        actor = accounts.actor_for_user(connection, user) if passed else None
        told = {"outcome": "second_factor" if passed else "wrong_code", **_origin()}
        action = "signed_in" if passed else "refused"
        note(connection, environment.world.clock(), Happening("sign_in", action, by=user, subject=user, detail=told))
    if actor is not None:
        return _open(environment, actor, target)
    if wait:
        text = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=wait)
        return _code_page(target, text), 429
    return _code_page(target, _("These are not the digits that the app shows now.")), 401


def sign_out(screen: Screen) -> ResponseReturnValue:
    """Ends the session, here and on the server."""
    secret = session.get("_user_id")
    if secret:
        with screen.environment.database.write() as connection:
            Accounts(screen.environment.world).end_session(connection, secret)
    logout_user()
    session.clear()
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
