"""Tabler's outline icons, drawn into the page as SVG: no icon font, no request, any icon an object's metadata names.

``build.py`` wrote their inner SVG to ``static/vendor/icons.json``; it is read when the first icon is drawn. A name that
does not exist draws the ``point`` icon, so that a typo in metadata never breaks a page.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

import orjson
from markupsafe import Markup

FILE = Path(__file__).resolve().parent / "static" / "vendor" / "icons.json"
COLORS = ("blue", "azure", "indigo", "purple", "pink", "red", "orange", "yellow", "lime", "green", "teal", "cyan")
"""Tabler's palette: what ``color`` in metadata may name."""
_CLASS = re.compile(r"[\w -]*")


class Icons:
    """The icons of one build."""

    def __init__(self, file: Path = FILE) -> None:
        self._file = file

    @cached_property
    def shapes(self) -> dict[str, str]:
        """Icon name → inner SVG; empty when the assets were not built."""
        if not self._file.exists():
            return {}
        found: dict[str, str] = orjson.loads(self._file.read_bytes())
        return found

    def draw(self, name: str, classes: str = "") -> Markup:
        """The icon as an inline SVG that takes the colour of the text around it; hidden from screen readers."""
        shape = self.shapes.get(name) or self.shapes.get("point", "")
        extra = classes if _CLASS.fullmatch(classes) else ""
        return Markup(
            f'<svg xmlns="http://www.w3.org/2000/svg" class="icon {extra}" width="24" height="24" viewBox="0 0 24 24" '
            'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" '
            f'aria-hidden="true" focusable="false">{shape}</svg>'
        )


def color(name: str | None, fallback: str = "secondary") -> str:
    """A colour class stem out of Tabler's palette for whatever metadata says (``gray`` and ``grey`` are secondary)."""
    lowered = (name or "").lower()
    if lowered in ("gray", "grey"):
        return "secondary"
    return lowered if lowered in COLORS else fallback


def tint(text: str) -> str:
    """A palette colour that is always the same for the same text (avatars)."""
    return COLORS[sum(text.encode()) % len(COLORS)]


def initials(name: str) -> str:
    """One or two letters for an avatar: ``Ada Lovelace`` → ``AL``, ``王小明`` → ``王``."""
    words = [w for w in re.split(r"[\s.@_-]+", name.strip()) if w]
    if not words:
        return "?"
    if ord(words[0][0]) > 0x2E7F:
        return words[0][0]
    return (words[0][0] + (words[1][0] if len(words) > 1 else "")).upper()
