"""Signing in through the OpenID Connect provider, and linking one's account to it.

Two addresses: ``/sign-in/provider`` sends the browser away, ``/sign-in/provider/back`` is where it comes back to. In
between the signed cookie holds the state, the nonce and the PKCE verifier of the one sign-in that was begun last; it
is used up by coming back, whatever comes of it. Every outcome is in the trail of sign-ins, and a refusal is said in
words on the sign-in page. The provider asks for a second factor itself; ours is asked for with passwords only.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from flask import current_app, flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.access.identities import Arrival, Claims, Identities
from ratoon.platform.access.provider import Provider, ProviderFailed, Untrusted
from ratoon.platform.catalogs import supported
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict, TooMany, ValidationFailed
from ratoon.ui import session as door
from ratoon.ui.editing import local_path
from ratoon.ui.screen import Screen

BEGUN = "provider"
"""Key in the cookie: the sign-in that was begun."""
BEGUN_SECONDS = 600
BACK = "/sign-in/provider/back"


def provider_of() -> Provider | None:
    """The provider of this application; ``None`` = none is set."""
    found: Provider | None = current_app.extensions.get(door.PROVIDER)
    return found


def identities_of(environment: Environment) -> Identities:
    """The identities of an environment."""
    return Identities(environment.accounts, environment.world, environment.settings)


def begin(environment: Environment) -> ResponseReturnValue:
    """Sends somebody who wants in to the provider."""
    return _away(environment, local_path(request.args.get("next", "")), "")


def begin_linking(screen: Screen) -> ResponseReturnValue:
    """Sends somebody who is signed in to the provider, to link the account."""
    return _away(screen.environment, url_for("screens.account"), str(screen.actor.id))


def _away(environment: Environment, target: str, link: str) -> ResponseReturnValue:
    provider = provider_of()
    if provider is None:
        return redirect(url_for("screens.sign_in", next=target or None), 303)
    try:
        begun = provider.begin(environment.settings.address + BACK)
    except ProviderFailed as error:
        logging.getLogger("ratoon").warning("%s", error.text())
        return _refused(environment, "provider_down", target, link)
    until = environment.world.clock().timestamp() + BEGUN_SECONDS
    session[BEGUN] = {"state": begun.state, "nonce": begun.nonce, "verifier": begun.verifier, "next": target,
                      "link": link, "until": until}  # fmt: skip
    return redirect(begun.url, 303)


def come_back(environment: Environment) -> ResponseReturnValue:
    """Where the provider sends the browser: signs in, or says why not."""
    provider, begun = provider_of(), session.pop(BEGUN, None)
    if provider is None:
        return redirect(url_for("screens.sign_in"), 303)
    known = begun if isinstance(begun, dict) else {}
    target, link = str(known.get("next", "")), str(known.get("link", ""))
    try:
        environment.limits.look("sign_in", request.remote_addr or "")
    except TooMany as error:
        return door.slow_down(environment, error, target)
    late = known.get("until", 0) < environment.world.clock().timestamp()
    if late or not known or request.args.get("state") != known["state"]:
        return _refused(environment, "provider_state", target, link)
    code = request.args.get("code", "")
    if not code:
        called_off = request.args.get("error") in ("access_denied", "login_required", "interaction_required")
        return _refused(environment, "provider_called_off" if called_off else "provider_error", target, link)
    back = environment.settings.address + BACK
    try:
        claims = provider.finish(code, back, known["nonce"], known["verifier"])
    except Untrusted as error:
        logging.getLogger("ratoon").warning("%s", error.text())
        return _refused(environment, "provider_untrusted", target, link)
    except ProviderFailed as error:
        logging.getLogger("ratoon").warning("%s", error.text())
        return _refused(environment, "provider_down", target, link)
    if link:
        return _linked(environment, claims, link)
    return _arrived(environment, replace(claims, locale=supported(claims.locale)), target)


def _arrived(environment: Environment, claims: Claims, target: str) -> ResponseReturnValue:
    try:
        arrival = _arrive(environment, claims)
    except (ValidationFailed, Conflict):
        # Somebody else came in with the same address at this very moment: now there is a user to be found.
        arrival = _arrive(environment, claims)
    if arrival.actor is None:
        return _refused(environment, str(arrival.refused), target, "", claims)
    with environment.database.write() as connection:
        environment.accounts.note_attempt(
            connection, "provider", email=claims.email, user_id=arrival.actor.id, **door.origin()
        )
    return door.open_session(environment, arrival.actor, target, via=door.PROVIDER)


def _arrive(environment: Environment, claims: Claims) -> Arrival:
    identities = identities_of(environment)
    return environment.transact(SYSTEM, lambda records: identities.arrive(records, claims))


def _linked(environment: Environment, claims: Claims, user: str) -> ResponseReturnValue:
    """Ties the account of whoever began this, if that is who is signed in here now."""
    with environment.database.write() as connection:
        actor = environment.accounts.actor_for_session(connection, str(session.get("_user_id", "")))
        if actor is None or actor.id != user:
            return _refused_here("provider_state")
        refused = identities_of(environment).link(connection, user, claims)
    if refused:
        return _refused_here(refused)
    flash(_("From now on you can sign in with %(provider)s.", provider=door.provider_label()), "success")
    return redirect(url_for("screens.account"), 303)


def _refused(
    environment: Environment, outcome: str, target: str, link: str, claims: Claims | None = None
) -> ResponseReturnValue:
    """To the sign-in page (or the account page), with the reason; the attempt is kept and counted."""
    if link:
        return _refused_here(outcome)
    user = None
    with environment.database.write() as connection:
        if claims is not None:
            user = identities_of(environment).user_of(connection, claims)
        email = claims.email if claims is not None else ""
        environment.accounts.note_attempt(connection, outcome, email=email, user_id=user, **door.origin())
    if outcome != "provider_down":
        door.count_refused(environment)
    flash(words(outcome), "danger")
    return redirect(url_for("screens.sign_in", next=target or None), 303)


def _refused_here(outcome: str) -> ResponseReturnValue:
    flash(words(outcome), "danger")
    return redirect(url_for("screens.account"), 303)


def words(outcome: str) -> str:
    """Why somebody did not get in, for that person."""
    name: dict[str, Any] = {"provider": door.provider_label()}
    return {
        "provider_down": _("%(provider)s cannot be reached just now. Try again in a moment.", **name),
        "provider_state": _("This sign-in was not begun here, or too long ago. Begin again.", **name),
        "provider_called_off": _("The sign-in at %(provider)s was called off.", **name),
        "provider_error": _("%(provider)s refused. Tell your administrator.", **name),
        "provider_untrusted": _(
            "What %(provider)s answered is not proved, so nobody was signed in. Begin again, or tell "
            "your administrator.",
            **name,
        ),
        "unverified": _("%(provider)s has not verified your e-mail address, so it opens nothing here.", **name),
        "no_email": _("%(provider)s does not say your e-mail address. Tell your administrator.", **name),
        "unknown_user": _("There is no account for you here. Ask an administrator for one.", **name),
        "not_linked": _(
            "No account here is linked with your account at %(provider)s. Sign in with your password and link it under "
            "Your account.",
            **name,
        ),
        "other_identity": _("This account is linked with somebody else at %(provider)s.", **name),
        "inactive": _("Your account is not active. Ask an administrator.", **name),
        "service": _("This account is for a program and cannot sign in.", **name),
    }.get(outcome, _("You could not be signed in."))


def away_for_good(environment: Environment) -> ResponseReturnValue:
    """Signs out at the provider, too, and comes back to the sign-in page."""
    provider = provider_of()
    url = provider.sign_out_url(environment.settings.address + "/sign-in") if provider is not None else None
    return redirect(url or url_for("screens.sign_in"), 303)
