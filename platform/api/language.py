"""The language of an answer: package strings first, then the gettext catalogs that plugins bring."""

from __future__ import annotations

import gettext
from collections.abc import Iterable
from pathlib import Path

from ratoon.platform.environment import Environment
from ratoon.platform.errors import Translate

_END = ". "


def _sentences(text: str) -> list[str]:
    """A message made of several templates (“There is no x. Did you mean y?”), one by one as the catalogs have them."""
    first, *rest = text.split(_END)
    return [first + ".", *(f" {part}." for part in rest[:-1]), f" {rest[-1]}"]


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

        def whole(text: str) -> str:
            found = registry.text(text, locale)
            return found if found != text else catalog.gettext(text)

        def translate(text: str) -> str:
            if not text:
                return ""
            found = whole(text)
            if found != text or _END not in text:
                return found
            return "".join(whole(sentence) for sentence in _sentences(text))

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
