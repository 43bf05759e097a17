"""The screens as one Flask blueprint: the table of addresses, and what happens around every request.

Each view is a plain function whose first argument is the ``Screen``. ``ROUTES`` says which address leads to which; that
somebody is signed in, that a form carries its CSRF token, that errors become pages and that every page has its security
headers is done here, once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError, generate_csrf
from werkzeug.exceptions import HTTPException, InternalServerError

from ratoon.platform.catalogs import supported
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound, RatoonError
from ratoon.platform.fields import display
from ratoon.ui import (
    access,
    access_editing,
    account,
    approvals,
    audit,
    automations,
    choosing,
    editing,
    errors,
    files,
    home,
    importing,
    lists,
    lookups,
    moving,
    notifications,
    owner,
    person,
    provider,
    record,
    runs,
    search,
    templates_view,
    users,
    why,
)
from ratoon.ui import session as door
from ratoon.ui.delivery import YEAR, Assets, asset_url, pack
from ratoon.ui.i18n import LOCALES, accepted
from ratoon.ui.icons import Icons, color, initials, tint
from ratoon.ui.screen import Screen

View = Callable[..., ResponseReturnValue]

ROUTES: tuple[tuple[str, str, View, tuple[str, ...]], ...] = (
    ("/", "home", home.home, ("GET",)),
    ("/search", "search", search.search, ("GET",)),
    ("/sign-out", "sign_out", door.sign_out, ("POST",)),
    ("/account", "account", account.account, ("GET", "POST")),
    ("/account/link", "link_identity", provider.begin_linking, ("GET",)),
    ("/o/<object>/export", "export", owner.export, ("GET",)),
    ("/o/<object>/<id>/person", "person", person.person, ("GET", "POST")),
    ("/o/<object>/<id>/owner", "owner", owner.owner, ("GET", "POST")),
    ("/access", "access", access.overview, ("GET",)),
    ("/access/matrix", "access_matrix", access.matrix, ("GET", "POST")),
    ("/access/role", "access_role", access_editing.role, ("GET", "POST")),
    ("/access/sharing", "access_sharing", access_editing.sharing, ("GET", "POST")),
    ("/access/default", "access_default", access_editing.default_access, ("POST",)),
    ("/access/users", "access_users", users.users, ("GET", "POST")),
    ("/access/explain", "access_explain", access.explained, ("GET",)),
    ("/access/audit", "access_audit", audit.trail, ("GET",)),
    ("/access/audit/export", "access_audit_export", audit.export, ("GET",)),
    ("/files/<id>", "file", files.file, ("GET",)),
    ("/o/<object>", "records", lists.records, ("GET",)),
    ("/o/<object>/condition", "condition", lists.condition, ("GET",)),
    ("/o/<object>/import", "import", importing.importing, ("GET", "POST")),
    ("/o/<object>/new", "new", editing.new, ("GET", "POST")),
    ("/o/<object>/form-state", "form_state", editing.form_state, ("POST",)),
    ("/o/<object>/trash", "trash", editing.trash, ("GET",)),
    ("/o/<object>/lookup/<field>", "lookup", lookups.lookup, ("POST",)),
    ("/o/<object>/<id>", "record", record.record, ("GET",)),
    ("/o/<object>/<id>/why/<field>", "why", why.why, ("GET",)),
    ("/formulas", "formulas", why.functions, ("GET",)),
    ("/o/<object>/<id>/edit", "edit", editing.edit, ("GET", "POST")),
    ("/approvals", "approvals", approvals.mine, ("GET",)),
    ("/approvals/standing-in", "stand_in", approvals.stand_in_for_me, ("POST",)),
    ("/approvals/standing-in/<id>/end", "end_standing_in", approvals.end_standing_in, ("POST",)),
    ("/approvals/<id>/answer", "answer_approval", approvals.answer, ("POST",)),
    ("/o/<object>/<id>/submit", "submit_approval", approvals.submit, ("POST",)),
    ("/o/<object>/<id>/stage", "move", moving.move, ("POST",)),
    ("/o/<object>/<id>/card", "card", moving.card, ("POST",)),
    ("/o/<object>/<id>/task", "task", moving.task, ("POST",)),
    ("/o/<object>/<id>/automations", "why_automations", runs.why, ("GET",)),
    ("/o/<object>/<id>/automations/<name>/try", "try_automation", runs.try_out, ("POST",)),
    ("/o/<object>/<id>/automations/<name>/press", "press", runs.press, ("POST",)),
    ("/setup/automations", "automations", automations.all_automations, ("GET",)),
    ("/setup/automations/<object>/<name>", "automation", automations.one_automation, ("GET",)),
    ("/setup/automations/<object>/<name>/status", "automation_status", automations.change_status, ("POST",)),
    ("/setup/templates", "message_templates", templates_view.message_templates, ("GET",)),
    ("/setup/templates/<name>", "message_template", templates_view.message_template, ("GET",)),
    ("/setup/runs", "runs", runs.all_runs, ("GET",)),
    ("/setup/undelivered", "undelivered", runs.undelivered, ("GET",)),
    ("/setup/runs/retry", "retry_failed", runs.retry_failed, ("POST",)),
    ("/setup/runs/<id>", "run", runs.one_run, ("GET",)),
    ("/setup/runs/<id>/<what>", "run_steer", runs.steer, ("POST",)),
    ("/notifications", "notifications", notifications.notifications, ("GET",)),
    ("/notifications/read", "notifications_read", notifications.read, ("POST",)),
    ("/account/notifications", "notification_choices", notifications.choices, ("GET", "POST")),
    ("/o/<object>/<id>/delete", "delete", editing.delete, ("GET", "POST")),
    ("/o/<object>/<id>/restore", "restore", editing.restore, ("POST",)),
)
"""Address, endpoint, view, methods."""
DOORS: tuple[tuple[str, str, View, tuple[str, ...]], ...] = (
    ("/sign-in", "sign_in", door.sign_in, ("GET", "POST")),
    ("/sign-in/forgot", "forgot", choosing.forgot, ("GET", "POST")),
    ("/sign-in/link/<secret>", "password_link", choosing.by_link, ("GET", "POST")),
    ("/sign-in/new-password", "new_password", choosing.due, ("GET", "POST")),
    ("/sign-in/provider", "provider", provider.begin, ("GET",)),
    (provider.BACK, "provider_back", provider.come_back, ("GET",)),
    ("/sign-in/provider/sign-out", "provider_sign_out", provider.away_for_good, ("GET",)),
)
"""The same for those who are not signed in; the views get the environment."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def create_screens(environment: Environment) -> Blueprint:
    """The blueprint of the screens of one environment."""
    screens = Blueprint("screens", __name__, template_folder="templates")

    @screens.before_request
    def prepare() -> None:
        if request.endpoint == "screens.static":
            return  # the same for everybody: no session is looked at
        choose_locale(environment)
        if request.method not in ("GET", "HEAD", "OPTIONS") and request.endpoint != "screens.stop_mails":
            current_app.extensions["csrf"].protect()

    screens.add_url_rule("/static/<path:filename>", "static", _static)
    for rule, endpoint, view, methods in ROUTES:
        screens.add_url_rule(rule, endpoint, signed_in(environment, view), methods=list(methods))
    screens.add_url_rule(
        "/approvals/link/<text>", "approval_link", lambda text: approvals.by_link(environment, text),
        methods=["GET", "POST"],
    )  # fmt: skip
    for rule, endpoint, open_view, methods in DOORS:
        screens.add_url_rule(rule, endpoint, partial(open_view, environment), methods=list(methods))
    screens.add_url_rule(
        "/notifications/stop/<text>", "stop_mails", lambda text: notifications.stop_mails(environment, text),
        methods=["GET", "POST"],
    )  # fmt: skip
    screens.add_url_rule("/language", "language", lambda: door.language(environment, _actor()), methods=["POST"])
    screens.app_context_processor(lambda: template_names(environment))
    for kind in (RatoonError, HTTPException, CSRFError):
        screens.register_error_handler(kind, lambda error: failed(environment, error))
    return screens


def _static(filename: str) -> Response:
    assets: Assets = current_app.extensions["ratoon_assets"]
    return assets.send(filename)


def install_pages(app: Flask, environment: Environment) -> None:
    """Error pages and headers for addresses that no view has and for plugins' pages. The API keeps its own."""

    def refused(error: HTTPException) -> ResponseReturnValue:
        if request.path.startswith("/api/"):
            return error.get_response()
        if isinstance(error, InternalServerError):
            logging.getLogger("ratoon").error("a page failed", exc_info=error.original_exception)
        return failed(environment, error)

    for code in (404, 405, 413, 500):
        app.register_error_handler(code, refused)
    secure = environment.settings.secure
    app.after_request(lambda r: r if request.path.startswith("/api/") else protect(r, secure=secure))


def protect(response: Response, *, secure: bool = False) -> Response:
    """Security and caching headers of everything that is shown in a browser; ``secure`` = by HTTPS only."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "screens.static":
        if secure:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={YEAR}")
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.update(["HX-Request", "Cookie", "Accept-Language"])
        pack(response)
    return response


def choose_locale(environment: Environment) -> str:
    """The language of this request: chosen in this session, else the user's, else that of whoever was here last, else
    the browser's."""
    if "locale" not in g:
        actor = _actor()
        wanted = session.get("locale") or (actor.locale if actor else session.get(door.LAST))
        g.locale = supported(wanted) or accepted(environment.settings.default_locale)
    return str(g.locale)


def _actor() -> Any:
    return current_user.actor if current_user.is_authenticated else None


def screen_of(environment: Environment) -> Screen | None:
    """The screen of this request; ``None`` when nobody is signed in."""
    actor = _actor()
    return Screen(environment, actor, choose_locale(environment), environment.engine) if actor else None


def signed_in(environment: Environment, view: View) -> View:
    """The view for people who are signed in; others are sent to the door and come back afterwards."""

    @wraps(view)
    def shown(**places: str) -> ResponseReturnValue:
        screen = screen_of(environment)
        if screen is None:
            target = request.full_path.removesuffix("?") if request.method == "GET" else None
            door_url = url_for("screens.sign_in", next=target if target not in ("/", None) else None)
            if request.headers.get("HX-Request"):
                return Response(status=401, headers={"HX-Redirect": url_for("screens.sign_in")})
            return redirect(door_url, 303)
        id = places.get("id")
        if id is not None and not _ID.fullmatch(id):
            raise NotFound("There is no {object} with id {id}.", object=places.get("object", "file"), id=id[:60])
        return view(screen, **places)

    return shown


def failed(environment: Environment, error: Exception) -> ResponseReturnValue:
    """An error as a page, with the frame of the screens around it when somebody is signed in."""
    if isinstance(error, HTTPException) and error.code is not None and error.code < 400:
        return error.get_response()
    return errors.error_page(error, screen_of(environment), environment.settings.max_body_bytes)


def _untranslated(text: str, package: str | None = None) -> str:
    """A text on a page that nobody asked for by name: as its author wrote it."""
    return text


def template_names(environment: Environment) -> dict[str, Any]:
    """What every template may use."""
    screen = screen_of(environment)
    icons: Icons = current_app.extensions["ratoon_icons"]
    return {
        "icon": icons.draw,
        "color": color,
        "tint": tint,
        "initials": initials,
        "asset": asset_url,
        "csrf_token": generate_csrf,
        "locales": LOCALES,
        "organization": environment.settings.organization_name,
        "theme": "dark" if request.cookies.get("theme") == "dark" else "light",
        "t": screen.translate if screen else _untranslated,
        "screen": screen,
        "unread": partial(notifications.unread_count, screen),
        "locale": choose_locale(environment),
        "moment": partial(display.moment, locale=choose_locale(environment), time_zone=_zone(environment, screen)),
    }


def _zone(environment: Environment, screen: Screen | None) -> str:
    return screen.actor.time_zone if screen else environment.settings.default_time_zone
