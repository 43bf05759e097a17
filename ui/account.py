"""One's own account: where one is signed in, API tokens, the second factor, the password."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import segno
from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from ratoon.platform.access.browsers import browser_of
from ratoon.platform.access.keys import note_token
from ratoon.platform.access.links import end_tokens_of
from ratoon.platform.access.second_factor import SecondFactor
from ratoon.platform.access.who import fingerprint
from ratoon.platform.errors import NotFound, ValidationFailed
from ratoon.platform.storage.audit import Happening, note
from ratoon.ui.problems import text_of
from ratoon.ui.provider import identities_of
from ratoon.ui.screen import Screen
from ratoon.ui.session import provider_label

DAYS = (30, 90, 365)


def account(screen: Screen) -> ResponseReturnValue:
    """The page; a POST does what its button says and comes back."""
    if request.method == "POST":
        shown = _ACTIONS.get(request.form.get("do", ""), _nothing)(screen)
        if shown is not None:
            return shown
        return redirect(url_for("screens.account"), 303)
    return _page(screen)


def _page(screen: Screen, **more: Any) -> ResponseReturnValue:
    environment, user = screen.environment, str(screen.actor.id)
    accounts, factor = environment.accounts, _factor(screen)
    here = fingerprint(session.get("_user_id", ""))
    with environment.database.read() as conn:
        sessions = accounts.sessions_of(conn, user)
        current = accounts.session_id(conn, here)
        tokens = [token for token in accounts.tokens_of(conn, user) if token.revoked_at is None]
        active = factor.active(conn, user)
        identities = identities_of(environment).of(conn, user)
        has_password = accounts.password_hash(conn, user) is not None
        waiting = factor.waiting(conn, user, screen.actor.email)
    code = None
    if waiting is not None:
        drawn = segno.make(waiting.address, error="m")
        code = Markup(drawn.svg_inline(scale=5, border=2, dark="#000", light="#fff"))
    objects = [(obj.name, screen.label(obj)) for obj in screen.policy.objects(screen.actor)]
    return render_template(
        "account.html", screen=screen, current="", sessions=sessions, here=current, tokens=tokens,
        second_factor=active, waiting=waiting, code=code, objects=objects, names=dict(objects),
        now=environment.world.clock(), days=DAYS,
        browser=browser_of, identities=identities, has_password=has_password, provider=provider_label(),
        shortest=environment.settings.password_min_length, **more,
    )  # fmt: skip


def _factor(screen: Screen) -> SecondFactor:
    return SecondFactor(screen.environment.world, screen.environment.settings.organization_name)


def _nothing(screen: Screen) -> ResponseReturnValue | None:
    raise NotFound("There is no such action.")


def _end_session(screen: Screen) -> None:
    accounts = screen.environment.accounts
    with screen.environment.database.write() as conn:
        if accounts.end_session_of(conn, str(screen.actor.id), request.form.get("id", "")):
            flash(_("The session was ended."), "success")


def _end_others(screen: Screen) -> None:
    """Ends every session but this one."""
    accounts, user = screen.environment.accounts, str(screen.actor.id)
    with screen.environment.database.write() as conn:
        here = accounts.session_id(conn, fingerprint(session.get("_user_id", "")))
        others = [one.id for one in accounts.sessions_of(conn, user) if one.id != here]
        ended = sum(accounts.end_session_of(conn, user, id) for id in others)
    if ended:
        flash(ngettext("One session was ended.", "%(num)s sessions were ended.", ended), "success")


def _make_token(screen: Screen) -> ResponseReturnValue:
    world = screen.environment.world
    days = request.form.get("days", "")
    ends = world.clock() + timedelta(days=int(days)) if days.isdigit() and 0 < int(days) <= 3650 else None
    objects = [name for name in request.form.getlist("objects") if name in screen.registry.objects]
    with screen.environment.database.write() as conn:
        token, info = screen.environment.accounts.create_token(
            conn, str(screen.actor.id), label=request.form.get("label", "").strip() or "API", expires_at=ends,
            objects=objects or None, read_only=bool(request.form.get("read_only")),
        )  # fmt: skip
        note_token(conn, world.clock(), "token_made", info, screen.actor.id)
    return _page(screen, new_token=token)


def _revoke_token(screen: Screen) -> None:
    accounts, user = screen.environment.accounts, str(screen.actor.id)
    with screen.environment.database.write() as conn:
        mine = {token.id: token for token in accounts.tokens_of(conn, user)}
        wanted = mine.get(request.form.get("id", ""))
        if wanted is not None and accounts.revoke_token(conn, wanted.id):
            note_token(conn, screen.environment.world.clock(), "token_revoked", wanted, user)
            flash(_("The token does not work any more."), "success")


def _begin_factor(screen: Screen) -> None:
    with screen.environment.database.write() as conn:
        _factor(screen).begin(conn, str(screen.actor.id), screen.actor.email)


def _cancel_factor(screen: Screen) -> None:
    with screen.environment.database.write() as conn:
        _factor(screen).cancel(conn, str(screen.actor.id))


def _confirm_factor(screen: Screen) -> ResponseReturnValue | None:
    with screen.environment.database.write() as conn:
        codes = _factor(screen).confirm(conn, str(screen.actor.id), request.form.get("code", ""))
        if codes is not None:
            happening = Happening("access", "second_factor_set", by=screen.actor.id, subject=str(screen.actor.id))
            note(conn, screen.environment.world.clock(), happening)
    if codes is None:
        flash(_("These are not the digits that the app shows now."), "danger")
        return None
    return _page(screen, recovery=codes)


def _drop_factor(screen: Screen) -> None:
    if not _password_fits(screen):
        flash(_("The password is wrong."), "danger")
        return
    with screen.environment.database.write() as conn:
        _factor(screen).drop(conn, str(screen.actor.id))
        happening = Happening("access", "second_factor_dropped", by=screen.actor.id, subject=str(screen.actor.id))
        note(conn, screen.environment.world.clock(), happening)
    flash(_("You sign in with the password alone again."), "success")


def _new_password(screen: Screen) -> ResponseReturnValue | None:
    if not _password_fits(screen):
        flash(_("The password is wrong."), "danger")
        return None
    accounts, user = screen.environment.accounts, str(screen.actor.id)
    try:
        with screen.environment.database.write() as conn:
            accounts.set_password(conn, user, request.form.get("new", ""))
            ended = end_tokens_of(accounts, conn, user, bool(request.form.get("end_tokens")))
            happening = Happening("access", "password_changed", by=user, subject=user, detail=ended)
            note(conn, screen.environment.world.clock(), happening)
    except ValidationFailed as refused:
        flash(text_of(screen, None, refused.problems[0]), "danger")
        return None
    session.clear()
    flash(_("The password was changed. Sign in again."), "success")
    return redirect(url_for("screens.sign_in"), 303)


def _password_fits(screen: Screen) -> bool:
    accounts, user = screen.environment.accounts, str(screen.actor.id)
    with screen.environment.database.read() as conn:
        stored = accounts.password_hash(conn, user)
        locked = accounts.locked_for(conn, user)
    if stored is None or locked:
        return False
    if accounts.passwords.matches(stored, request.form.get("password", "")):
        return True
    with screen.environment.database.write() as conn:
        accounts.count_wrong_code(conn, user)
    return False


def _unlink(screen: Screen) -> None:
    """Unties the account from the provider, unless nothing else lets its owner in."""
    environment, user = screen.environment, str(screen.actor.id)
    with environment.database.write() as conn:
        if environment.accounts.password_hash(conn, user) is None:
            flash(_("Set a password first; otherwise you could not sign in any more."), "danger")
        elif identities_of(environment).unlink(conn, user, request.form.get("issuer", "")):
            flash(_("The accounts are not linked any more."), "success")


_ACTIONS = {
    "unlink": _unlink,
    "end_session": _end_session,
    "end_others": _end_others,
    "make_token": _make_token,
    "revoke_token": _revoke_token,
    "begin_factor": _begin_factor,
    "cancel_factor": _cancel_factor,
    "confirm_factor": _confirm_factor,
    "drop_factor": _drop_factor,
    "password": _new_password,
}
