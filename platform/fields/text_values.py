"""Coercions of texts: plain, e-mail, phone, web address, rich text, ids and names.

Each function here builds a closure once per field; the closure is what runs for every value. The common case (a short,
clean text) takes one line; everything else goes the slower way that explains itself.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import nh3

from ratoon.platform.fields.base import Coerce
from ratoon.platform.fields.refusals import refuse, short

_LINE_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BLOCK_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_EMAIL = re.compile(
    r"(?=.{3,254}\Z)(?!\.)(?!.*\.\.)[^\s@<>()\[\],;:\"\\]{1,64}(?<!\.)@"
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_](?:[\w-]{0,61}[^\W_])"
)
_PHONE = re.compile(
    r"(?=(?:[^0-9]*[0-9]){3})\+?[0-9 ().\-/]{3,32}(?: ?(?:ext\.?|x|#|转|轉|分机|分機) ?[0-9]{1,8})?", re.IGNORECASE
)
_WEB = re.compile(
    r"(?:https?|ftp)://(?:[^\s/?#@<>\"`\\]+@)?[^\s/?#@<>\"`\\:.][^\s/?#@<>\"`\\]*(?:[/?#][^\s<>\"`\\]*)?", re.IGNORECASE
)
_DOMAIN = re.compile(r"[^\W_][\w-]*(?:\.[\w-]+)+(?::[0-9]{1,5})?(?:[/?#][^\s<>\"`\\]*)?")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")


@lru_cache(maxsize=256)
def text(max_length: int, *, multiline: bool = False) -> Coerce:
    """Text of at most ``max_length`` characters, outer white space removed; empty is blank.

    ``multiline`` allows line breaks (kept as ``\\n``) and tabs. NUL and other control characters are refused.
    """
    control = _BLOCK_CONTROL if multiline else _LINE_CONTROL

    def slow(value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise refuse("not_text")
        if len(value) > max_length * 2 + 1000:
            raise refuse("too_long", length=len(value), max=max_length)
        clean = str(value).strip()
        if multiline:
            clean = clean.replace("\r\n", "\n").replace("\r", "\n")
        found = control.search(clean)
        if found is not None:
            raise refuse("control_characters", position=found.start() + 1)
        if len(clean) > max_length:
            raise refuse("too_long", length=len(clean), max=max_length)
        return clean or None

    def coerce(value: Any) -> str | None:
        if type(value) is str and len(value) <= max_length and value.isprintable():
            return value.strip() or None
        return slow(value)

    return coerce


def _checked(plain: Coerce, accept: Callable[[str], str | None], code: str) -> Coerce:
    def coerce(value: Any) -> str | None:
        clean = plain(value)
        if clean is None:
            return None
        found = accept(clean)
        if found is None:
            raise refuse(code)
        return found

    return coerce


@lru_cache(maxsize=256)
def email() -> Coerce:
    """An e-mail address, kept in lower case so that two spellings of one address are equal."""
    return _checked(text(254), lambda value: value.lower() if _EMAIL.fullmatch(value) else None, "not_an_email")


@lru_cache(maxsize=256)
def phone() -> Coerce:
    """A phone number as written: digits with the usual separators, at least three digits, an extension."""
    return _checked(text(40), lambda value: value if _PHONE.fullmatch(value) else None, "not_a_phone")


@lru_cache(maxsize=256)
def url(max_length: int = 2000) -> Coerce:
    """A web address; ``example.com`` becomes ``https://example.com``. Schemes that run code are refused."""

    def accept(value: str) -> str | None:
        if _WEB.fullmatch(value):
            return value
        if value[:7].lower() == "mailto:":
            return (
                value
                if _EMAIL.fullmatch(value[7:].partition("?")[0]) and not re.search(r"[\s<>\"`\\]", value)
                else None
            )
        return "https://" + value if _DOMAIN.fullmatch(value) and len(value) <= max_length - 8 else None

    return _checked(text(max_length), accept, "not_a_url")


@lru_cache(maxsize=256)
def richtext(max_length: int) -> Coerce:
    """HTML with everything removed that could run, load or restyle the page; markup without any text is blank."""
    plain = text(max_length, multiline=True)

    def coerce(value: Any) -> str | None:
        source = plain(value)
        if source is None:
            return None
        clean = nh3.clean(source, attributes=_HTML_ATTRIBUTES, url_schemes=_HTML_SCHEMES).strip()
        if len(clean) > max_length:
            raise refuse("too_long", length=len(clean), max=max_length)
        return clean or None

    return coerce


_HTML_SCHEMES = {"http", "https", "mailto", "tel"}
_HTML_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ol": {"start"},
}


def identifier(value: Any) -> str | None:
    """The id of a record as its 36-character lower-case text; takes ``{"id": …}`` as well."""
    if type(value) is str:
        if _ID.fullmatch(value):
            return value
        value = value.strip()
        if not value:
            return None
        if len(value) <= 45:
            try:
                return str(uuid.UUID(value))
            except ValueError:
                pass
        raise refuse("not_an_id")
    if value is None:
        return None
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping) and isinstance(value.get("id"), str):
        return identifier(value["id"])
    raise refuse("not_an_id")


def member(known: frozenset[str], code: str, place: str) -> Coerce:
    """One of a set of names; ``place`` is the parameter of the message that lists them."""
    listed = ", ".join(sorted(known)[:20])

    def coerce(value: Any) -> str | None:
        if type(value) is str and value in known:
            return value
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        raise refuse(code, value=short(value), **{place: listed})

    return coerce


def name(value: Any) -> str | None:
    """A snake_case name: of a stage or a pipeline."""
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if _NAME.fullmatch(value):
            return str(value)
    elif value is None:
        return None
    raise refuse("not_a_name", value=short(value))
