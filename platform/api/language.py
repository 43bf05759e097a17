"""The language of an answer: package strings first, then the gettext catalogs that plugins bring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ratoon.platform.catalogs import Catalogs
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Translate


class Languages:
    """Translators of one environment, by locale."""

    def __init__(self, environment: Environment, folders: Iterable[Path]) -> None:
        self._environment = environment
        self._catalogs = Catalogs(folders)

    def translator(self, locale: str) -> Translate:
        """What translates message templates into ``locale``; English texts stay as they are."""
        registry = self._environment.registry
        return self._catalogs.translator(locale, lambda text: registry.text(text, locale))
