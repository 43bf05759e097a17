"""What an uploaded file is: its first bytes decide, what the browser claims does not, the name only where it agrees.

A picture is only a picture when its bytes are one; ``.pdf`` is only taken as PDF when it begins like one. Plain texts
have no mark in their bytes: for those the name's ending counts, unless that ending promises a format with a mark.
"""

from __future__ import annotations

import fnmatch
import mimetypes
import unicodedata
from dataclasses import dataclass

import filetype

HEAD = 8192
"""Bytes that are looked at."""
UNKNOWN = "application/octet-stream"
ZIPPED = ("application/vnd.openxmlformats", "application/vnd.oasis.opendocument")
"""Formats that are zip archives: from their first bytes alone they cannot always be told apart."""
LONGEST_NAME = 255
_ALIASES = {"jpeg": "jpg", "jpe": "jpg", "tiff": "tif", "htm": "html"}


@dataclass(frozen=True)
class Sniffed:
    """What the bytes and the name of a file say."""

    media_type: str
    honest: bool
    """False when the name's ending promises another format than the bytes have."""

    def fits(self, name: str, pattern: str) -> bool:
        """Whether the file is what a pattern allows: an ending (``.pdf``) or a media type (``image/*``)."""
        if pattern.startswith("."):
            return self.honest and name.lower().endswith(pattern.lower())
        return fnmatch.fnmatch(self.media_type, pattern.lower())


def sniff(head: bytes, name: str) -> Sniffed:
    """What a file is, from its first ``HEAD`` bytes and its name."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    promised = _of_ending(_ALIASES.get(ending, ending))
    found: str | None = filetype.guess_mime(head) if head else None
    if found is None:
        if promised is not None:
            return Sniffed(UNKNOWN, honest=False)
        return Sniffed(mimetypes.types_map.get(f".{ending}", UNKNOWN), honest=True)
    if found == "application/zip" and promised is not None and promised.startswith(ZIPPED):
        return Sniffed(promised, honest=True)
    return Sniffed(found, honest=promised == found)


def _of_ending(ending: str) -> str | None:
    """The format that an ending promises; ``None`` when files of that ending have no mark in their bytes."""
    kind = filetype.get_type(ext=ending) if ending else None
    return None if kind is None else str(kind.mime)


def clean_name(name: str) -> str:
    """The name of a file without folders, control characters and marks that turn the direction of writing."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")).strip(" .")
    if len(shown) > LONGEST_NAME:
        stem, dot, ending = shown.rpartition(".")
        shown = (stem or ending)[: LONGEST_NAME - 12] + (dot + ending[:10] if stem else "")
    return shown or "file"
