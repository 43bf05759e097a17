"""Texts that people read, and which of them a package translates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ratoon.platform.metadata.documents import Document

SPOKEN: frozenset[str] = frozenset(
    {"label", "plural_label", "help", "placeholder", "message", "related_label", "confirm"}
)
"""Keys whose texts users read."""
_SILENT = frozenset({"package", "strings", "data", "test"})


def texts(document: Document) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path, text) of everything in a document that users read."""
    if document.kind not in _SILENT:
        yield from _texts(document.data, ())


def untranslated(documents: Sequence[Document], locale: str) -> Iterator[tuple[Document, tuple[str | int, ...], str]]:
    """Texts of a package's documents without a translation, each once."""
    known = translations(documents, locale)
    told: set[str] = set()
    for document in documents:
        for path, text in texts(document):
            if not known.get(text, "").strip() and text not in told:
                told.add(text)
                yield document, path, text


def left_over(documents: Sequence[Document], locale: str) -> list[str]:
    """Translations of texts that no document has, wherever in it."""
    written = {text for document in documents if document.kind != "strings" for text in _words(document.data)}
    return sorted(text for text in translations(documents, locale) if text not in written)


def translations(documents: Sequence[Document], locale: str) -> Mapping[str, str]:
    """What the package's strings of that locale say."""
    found: dict[str, str] = {}
    for document in documents:
        if document.kind == "strings" and document.data.get("locale") == locale:
            found.update(document.data.get("texts", {}))
    return found


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in SPOKEN and isinstance(inner, str) and inner:
                yield (*path, key), inner
            elif key == "checklist" and isinstance(inner, list):
                for place, item in enumerate(inner):
                    if isinstance(item, str):
                        yield (*path, key, place), item
                    else:
                        yield from _texts(item, (*path, key, place))
            else:
                yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, (*path, place))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
