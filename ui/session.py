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
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError
from ratoon.platform.records.drafts import Change
from ratoon.ui.editing import local_path
from ratoon.ui.i18n import LOCALES, supported
from ratoon.ui.screen import Screen


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
    """The door: checks e-mail and password and opens a session."""
    target = local_path(request.args.get("next", ""))
    email = request.form.get("email", "").strip()
    refused, status = "", 200
    if request.method == "POST":
        accounts = Accounts(environment.world)
        origin = {"address": request.remote_addr or "", "agent": request.user_agent.string}
        result = accounts.sign_in(environment.database, email, request.form.get("password", ""), **origin)
        secret = ""
        if result.actor is not None and result.actor.id is not None:
            with environment.database.write() as connection:
                secret = accounts.start_session(connection, result.actor.id, **origin)
        if result.actor is not None and secret:
            chosen = session.get("locale")
            session.clear()
            if chosen:
                session["locale"] = chosen
            login_user(SignedIn(result.actor, secret))
            session.permanent = True
            return redirect(target or url_for("screens.home"), 303)
        status = 429 if result.outcome == "locked" else 401
        if result.outcome == "locked":
            refused = _("Too many wrong attempts. Try again in %(seconds)s seconds.", seconds=result.wait_seconds)
        else:
            refused = _("E-mail or password is wrong.")
    page = render_template("sign_in.html", screen=None, email=email, refused=refused, next=target, locale=g.locale)
    return page, status


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
