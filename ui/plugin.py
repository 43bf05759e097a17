"""How the screens enter the product: through the same door as every other plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx

from ratoon.platform.access.provider import Provider
from ratoon.platform.environment import Environment
from ratoon.platform.hookspecs import hookimpl
from ratoon.ui import i18n, session
from ratoon.ui.blueprint import create_screens, install_pages
from ratoon.ui.delivery import Assets
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
    app.extensions["ratoon_assets"] = Assets()
    if environment.settings.oidc_issuer:
        app.extensions[session.PROVIDER] = Provider(environment.settings, environment.world)
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)

    install_pages(app, environment)
