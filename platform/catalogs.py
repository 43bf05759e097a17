"""The gettext catalogs that plugins bring, and how a message template is looked up in them."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterable
from pathlib import Path

from ratoon.platform.errors import Translate

LOCALES = ("en", "zh-Hans", "zh-Hant")
_END = ". "
_TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")


def supported(tag: str | None) -> str | None:
    """Our locale for a language tag (``zh-CN``, ``zh_TW.UTF-8`` …), or ``None``."""
    lowered = (tag or "").replace("_", "-").lower()
    if lowered.startswith(_TRADITIONAL):
        return "zh-Hant"
    if lowered.startswith("zh"):
        return "zh-Hans"
    return "en" if lowered.startswith("en") else None


class Catalogs:
    """Translators by locale, out of the catalogs in some folders; a later folder's words count first."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._catalogs: dict[str, gettext.NullTranslations] = {}

    def translator(self, locale: str, first: Callable[[str], str] = str) -> Translate:
        """What translates templates into ``locale``. ``first`` is asked before the catalogs; English stays as it is.

        A message made of several templates (“There is no x. Did you mean y?”) is looked up whole, then one by one.
        """
        if locale == "en":
            return str
        catalog = self._catalog(locale)

        def whole(text: str) -> str:
            found = first(text)
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


def _sentences(text: str) -> list[str]:
    """The templates of a message one by one, as the catalogs have them."""
    first, *rest = text.split(_END)
    return [first + ".", *(f" {part}." for part in rest[:-1]), f" {rest[-1]}"]
