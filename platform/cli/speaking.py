"""The language of what commands print: ``RATOON_LANGUAGE``, else the terminal's (``LC_ALL``, ``LANG``), else English.

    RATOON_LANGUAGE=zh-Hans ratoon check clinic

The words are in the catalogs that plugins bring, as those of the API. ``--help`` and names in ``--json`` stay English.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ratoon.platform.catalogs import Catalogs, supported
from ratoon.platform.errors import Text, Translate, say, told

if TYPE_CHECKING:
    from ratoon.platform.metadata.model import Registry

SEVERITIES = ("error", "warning", "info")
_KEY = "ratoon.translate"


def language(environ: Mapping[str, str]) -> str:
    """The locale that the variables ask for. One that is asked for and unknown gives English."""
    for name in ("RATOON_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return supported(environ[name]) or "en"
    return "en"


def translator() -> Translate:
    """What translates message templates for whoever called the command."""
    context = click.get_current_context(silent=True)
    known: dict[str, Any] = {} if context is None else context.find_root().meta
    if _KEY not in known:
        known[_KEY] = _made(language(os.environ))
    made: Translate = known[_KEY]
    return made


def labels(registry: Registry) -> Translate:
    """The same for texts of the metadata, too: labels first, then the platform's own words."""
    own, locale = translator(), language(os.environ)

    def translate(text: str) -> str:
        found = registry.text(text, locale) if text else text
        return found if found != text else own(text)

    return own if locale == "en" else translate


def here(value: Any) -> Any:
    """A text, or every text in lists and mappings, in the caller's language."""
    return told(value, translator())


def tell(template: str, /, **params: Any) -> str:
    """An English template with its values, in the caller's language."""
    return str(here(say(template, **params)))


def count(number: int, one: str, many: str = "") -> Text:
    """``1 problem``, ``3 problems``."""
    return say("{number} {things}", number=number, things=say(one if number == 1 else many or one + "s"))


def _made(locale: str) -> Translate:
    if locale == "en":
        return str
    from ratoon.platform.plugins import load_plugins

    folders = [folder for found in load_plugins().hook.translation_folders() for folder in found]
    return Catalogs(folders).translator(locale)
