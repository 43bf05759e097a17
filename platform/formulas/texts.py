"""Text functions. Positions start at 1; a blank text counts as empty."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import define, overload

MAX_TEXT = 100_000
"""Longest text a function makes."""


def _room(length: int) -> int:
    if length > MAX_TEXT:
        raise FormulaError("text_too_long", "The text would have more than {most} characters", most=MAX_TEXT)
    return length


def left(text: str, count: Decimal) -> str | None:
    """The first characters."""
    return text[: int(count)] or None if count >= 1 else None


def right(text: str, count: Decimal) -> str | None:
    """The last characters."""
    return text[-int(count) :] or None if count >= 1 else None


def mid(text: str, start: Decimal, count: Decimal) -> str | None:
    """Characters from a position on; a start before the first counts as the first."""
    first = max(int(start), 1) - 1
    return text[first : first + int(count)] or None if count >= 1 else None


def substr(text: str, start: Decimal, count: Decimal | None = None) -> str | None:
    """Like MID, but a negative start counts from the end and the count may be left out."""
    first = int(start)
    if first < 0:
        first += len(text)
        if first < 0:
            return None
    elif first > 0:
        first -= 1
    if count is None:
        return text[first:] or None
    return text[first : first + int(count)] or None if count >= 1 else None


def upper_in(text: str | None, locale: str | None) -> str | None:
    """In capitals; ß becomes SS. No language has rules of its own."""
    return None if text is None else text.upper()


def lower_in(text: str | None, locale: str | None) -> str | None:
    """In small letters."""
    return None if text is None else text.lower()


def _pad(text: str, length: Decimal, padding: str | None, at_left: bool) -> str | None:
    size = _room(int(length))
    if size < 1:
        return None
    padding = " " if padding is None else padding
    if len(text) >= size or not padding:
        return text[:size]
    fill = (padding * size)[: size - len(text)]
    return fill + text if at_left else text + fill


def _contains(text: str | None, part: str | None) -> bool:
    return (part or "") in (text or "")


def _begins(text: str | None, part: str | None) -> bool:
    return (text or "").startswith(part or "")


def _ends(text: str | None, part: str | None) -> bool:
    return (text or "").endswith(part or "")


def _find(part: str | None, text: str | None, start: Decimal | None = None) -> Decimal:
    if not part or not text:
        return Decimal(0)
    first = int(start) - 1 if start is not None and start > 1 else 0
    return Decimal(text.find(part, first) + 1)


def _substitute(text: str | None, old: str | None, new: str | None) -> str | None:
    if not text or not old:
        return None
    _room(len(text) + text.count(old) * (len(new or "") - len(old)))
    return text.replace(old, new or "") or None


def _length(text: str | None) -> Decimal:
    return Decimal(len(text or ""))


def _repeat(text: str, times: Decimal) -> str | None:
    count = max(int(times), 0)
    _room(len(text) * count)
    return text * count or None


def _proper(text: str) -> str:
    return re.sub(r"[^\W_]+", lambda m: _capital(m.group()[0]) + m.group()[1:].lower(), text)


def _capital(letter: str) -> str:
    """The capital of a letter that has one of its own (ß has none)."""
    capital = letter.upper()
    return capital if len(capital) == 1 else letter


def _exact(first: Any, second: Any) -> bool:
    return (first or "") == (second or "")


FUNCTIONS = (
    define(
        "LEN",
        "text",
        "number",
        _length,
        strict=False,
        group="Text",
        doc="How many characters.",
        examples=[('LEN("abc")', "3")],
    ),
    define(
        "LEFT",
        "text, count: number",
        "text",
        left,
        group="Text",
        doc="The first characters.",
        examples=[('LEFT("Ratoon", 3)', "Rat")],
    ),
    define(
        "RIGHT",
        "text, count: number",
        "text",
        right,
        group="Text",
        doc="The last characters.",
        examples=[('RIGHT("Ratoon", 2)', "on")],
    ),
    define(
        "MID",
        "text, start: number, count: number",
        "text",
        mid,
        group="Text",
        doc="Characters from a position (1 = first) on.",
        examples=[('MID("Ratoon", 2, 3)', "ato")],
    ),
    define(
        "SUBSTR",
        "text, start: number, count: number?",
        "text",
        substr,
        group="Text",
        doc="Like MID; a negative start counts from the end.",
        examples=[('SUBSTR("Ratoon", -2)', "on")],
    ),
    define(
        "UPPER",
        "text",
        "text",
        str.upper,
        also=[overload("UPPER", "text, locale: text", "text", upper_in, strict=False)],
        group="Text",
        doc="In capitals.",
        examples=[('UPPER("abc")', "ABC")],
    ),
    define(
        "LOWER",
        "text",
        "text",
        str.lower,
        also=[overload("LOWER", "text, locale: text", "text", lower_in, strict=False)],
        group="Text",
        doc="In small letters.",
        examples=[('LOWER("ABC")', "abc")],
    ),
    define(
        "PROPER",
        "text",
        "text",
        _proper,
        group="Text",
        doc="Each word with a capital.",
        examples=[('PROPER("ada LOVELACE")', "Ada Lovelace")],
    ),
    define(
        "TRIM",
        "text",
        "text",
        lambda t: t.strip(" \t\r\n\f") or None,
        group="Text",
        doc="Without spaces at both ends.",
        examples=[('TRIM("  a b ")', "a b")],
    ),
    define(
        "CONTAINS",
        "text, part: text",
        "boolean",
        _contains,
        strict=False,
        group="Text",
        doc="True when the text contains the part.",
        examples=[('CONTAINS("Ratoon", "too")', True)],
    ),
    define(
        "BEGINS",
        "text, part: text",
        "boolean",
        _begins,
        strict=False,
        group="Text",
        doc="True when the text begins with the part.",
        examples=[('BEGINS("Ratoon", "Rat")', True)],
    ),
    define(
        "ENDS",
        "text, part: text",
        "boolean",
        _ends,
        strict=False,
        group="Text",
        doc="True when the text ends with the part.",
        examples=[('ENDS("Ratoon", "on")', True)],
    ),
    define(
        "FIND",
        "part: text, text: text, start: number?",
        "number",
        _find,
        strict=False,
        group="Text",
        doc="Position of the part in the text, 0 when it is not there.",
        examples=[('FIND("o", "Ratoon")', "4")],
    ),
    define(
        "SUBSTITUTE",
        "text, old: text, new: text",
        "text",
        _substitute,
        strict=False,
        group="Text",
        doc="Every occurrence of one text replaced by another.",
        examples=[('SUBSTITUTE("a-b-c", "-", "+")', "a+b+c")],
    ),
    define(
        "LPAD",
        "text, length: number, padding: text?",
        "text",
        lambda t, n, p=None: _pad(t, n, p, True),
        group="Text",
        doc="Padded at the left (and cut) to a length.",
        examples=[('LPAD("7", 3, "0")', "007")],
    ),
    define(
        "RPAD",
        "text, length: number, padding: text?",
        "text",
        lambda t, n, p=None: _pad(t, n, p, False),
        group="Text",
        doc="Padded at the right (and cut) to a length.",
        examples=[('RPAD("7", 3, ".")', "7..")],
    ),
    define(
        "REPEAT",
        "text, times: number",
        "text",
        _repeat,
        group="Text",
        doc="The text several times.",
        examples=[('REPEAT("ab", 2)', "abab")],
    ),
    define(
        "REVERSE",
        "text",
        "text",
        lambda t: t[::-1],
        group="Text",
        doc="Backwards.",
        examples=[('REVERSE("abc")', "cba")],
    ),
    define(
        "INITCAP",
        "text",
        "text",
        _proper,
        group="Text",
        doc="Each word with a capital and small letters behind it.",
        examples=[('INITCAP("ada LOVELACE")', "Ada Lovelace")],
    ),
    define(
        "CONCAT",
        "text, more: text*",
        "text",
        lambda *parts: "".join(part or "" for part in parts) or None,
        strict=False,
        group="Text",
        doc="Joins texts, as & does; blank counts as nothing.",
        examples=[('CONCAT("a", NULL, "b")', "ab")],
    ),
    define(
        "EXACT",
        "first: text, second: text",
        "boolean",
        _exact,
        strict=False,
        group="Text",
        doc="True when two texts are the same, capitals and all.",
        examples=[('EXACT("a", "A")', False)],
    ),
)
