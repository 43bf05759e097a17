"""Message templates as the registry holds them, and which one the platform uses for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Template:
    """A message with places."""

    name: str
    label: str
    object: str | None
    texts: Mapping[str, str]
    """``subject``, ``text``, ``html``."""
    locales: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()
    """Fields it reads: ``name``, ``account.owner.name``."""
    owner: str = "local"
    purpose: str | None = None
    """For what the platform uses it by itself (``"for"``)."""

    def text(self, part: str, locale: str) -> str | None:
        """One part in that language; the main language where it says nothing."""
        for name in (locale, locale.split("-")[0]):
            if part in self.locales.get(name, {}):
                return self.locales[name][part]
        return self.texts.get(part)


def template_for(templates: Mapping[str, Template], purpose: str, object: str | None = None) -> Template:
    """What the platform uses for a purpose: the installation's own where there is one, else the built-in one.

    ``object``: one that is about records of this object comes first."""
    fitting = [t for t in templates.values() if t.purpose == purpose and t.object in (None, object)]
    return min(fitting, key=lambda t: (t.object is None, t.owner == "system", t.name))
