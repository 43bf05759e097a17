"""How the screens enter the product: through the same door as every other plugin."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from flask import Blueprint, Flask, g, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx
from werkzeug.exceptions import HTTPException, InternalServerError

from ratoon.platform.environment import Environment
from ratoon.platform.hookspecs import hookimpl
from ratoon.ui import i18n, session
from ratoon.ui.blueprint import create_screens, failed
from ratoon.ui.icons import Icons


@hookimpl
def blueprints(environment: Environment) -> Iterable[Blueprint]:
    """The screens."""
    return [create_screens(environment)]


@hookimpl
def translation_folders() -> Iterable[Path]:
    """The catalogs of this room: the API speaks the same languages."""
    return [i18n.FOLDER]


@hookimpl
def configure_app(app: Flask, environment: Environment) -> None:
    """Extensions that the screens need, and error pages for addresses that no view has."""
    Htmx(app)
    i18n.install(app)
    session.install(app, environment)
    CSRFProtect(app)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["ratoon_icons"] = Icons()
    app.extensions["ratoon_assets"] = {}
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)

    def unknown_address(error: HTTPException) -> ResponseReturnValue:
        if request.path.startswith("/api/"):
            return error.get_response()
        g.setdefault("locale", i18n.accepted(environment.settings.default_locale))
        return failed(environment, error)

    def crashed(error: InternalServerError) -> ResponseReturnValue:
        if request.path.startswith("/api/"):
            return error.get_response()
        logging.getLogger("ratoon").error("a page failed", exc_info=error.original_exception)
        g.setdefault("locale", i18n.accepted(environment.settings.default_locale))
        return failed(environment, error)

    for code in (404, 405, 413):
        app.register_error_handler(code, unknown_address)
    app.register_error_handler(InternalServerError, crashed)
