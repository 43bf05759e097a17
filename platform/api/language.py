"""The language of an answer: package strings first, then the gettext catalogs that plugins bring."""

from __future__ import annotations

import gettext
from collections.abc import Iterable
from pathlib import Path

from ratoon.platform.environment import Environment
from ratoon.platform.errors import Translate


class Languages:
    """Translators of one environment, by locale."""

    def __init__(self, environment: Environment, folders: Iterable[Path]) -> None:
        self._environment = environment
        self._folders = tuple(folders)
        self._catalogs: dict[str, gettext.NullTranslations] = {}

    def translator(self, locale: str) -> Translate:
        """What translates message templates into ``locale``; English texts stay as they are."""
        if locale == "en":
            return str
        catalog = self._catalog(locale)
        registry = self._environment.registry

        def translate(text: str) -> str:
            if not text:
                return ""
            found = registry.text(text, locale)
            return found if found != text else catalog.gettext(text)

        return translate

    def _catalog(self, locale: str) -> gettext.NullTranslations:
        known = self._catalogs.get(locale)
        if known is None:
            known = gettext.NullTranslations()
            for folder in self._folders:
                found = gettext.translation("messages", folder, [locale.replace("-", "_")], fallback=True)
                found.add_fallback(known)
                known = found
            self._catalogs[locale] = known
        return known
