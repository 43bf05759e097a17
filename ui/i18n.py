"""The languages of the screens: which ones there are, how one is chosen, how texts are translated.

Two sources of text. What a developer wrote (templates, error messages of the platform) is in the gettext catalogs
``translations/<locale>/LC_MESSAGES/messages.po``; what an admin wrote (labels, options, help, messages of rules) is in
the ``strings/*.json`` of packages and goes through ``Registry.text``. A message of a rule arrives like any other error,
so ``translator`` asks the package strings first and the catalogs second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from flask import Flask, g, has_request_context, request
from flask_babel import Babel, get_translations

from ratoon.platform.catalogs import supported
from ratoon.platform.metadata.model import Registry

LOCALES = {"en": "English", "zh-Hans": "简体中文", "zh-Hant": "繁體中文"}
"""Locale (BCP 47, as in package strings) → its name in its own language."""
FOLDER = Path(__file__).resolve().parent / "translations"


def accepted(default: str) -> str:
    """The first language of the browser that we have, else the default."""
    for tag, _ in request.accept_languages:
        found = supported(tag)
        if found:
            return found
    return supported(default) or "en"


def install(app: Flask) -> None:
    """Sets up Flask-Babel with the catalogs of this room; the locale is what the request handler put into ``g``."""
    Babel(
        app,
        default_locale="en",
        default_translation_directories=str(FOLDER),
        locale_selector=lambda: babel_locale(g.get("locale", "en") if has_request_context() else "en"),
    )


def babel_locale(locale: str) -> str:
    """The same locale as Babel writes it: ``zh_Hans``."""
    return locale.replace("-", "_")


class Translate(Protocol):
    """Texts of metadata and message templates in the reader's language."""

    def __call__(self, text: str, package: str | None = None) -> str:
        """The translation; ``package`` is the package that wrote the text, whose own words count first."""
        ...


def translator(registry: Registry, locale: str) -> Translate:
    """Translates message templates: package strings first, then the catalogs. Without formatting: ``%`` is safe."""
    catalog = get_translations()

    def translate(text: str, package: str | None = None) -> str:
        if not text:
            return ""
        found = registry.text(text, locale, package)
        return found if found != text else str(catalog.gettext(text))

    return translate
