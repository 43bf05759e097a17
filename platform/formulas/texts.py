"""Text functions. Positions start at 1; a blank text counts as empty."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import Run, define, overload
from ratoon.platform.formulas.numeric import plain
from ratoon.platform.formulas.patterns import matches
from ratoon.platform.formulas.tree import Typed

_JSON_STEP = re.compile(r"\.(\w+)|\[(\d{1,9})\]")
_JSON_PATH = re.compile(r"\$(\.\w+|\[\d{1,9}\])*")
MAX_TEXT = 100_000
"""Longest text a function makes."""
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?\s*", re.ASCII)


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


def to_number(text: str) -> Decimal | None:
    """The number a text shows. Raises ``FormulaError`` for anything else."""
    if not text.strip():
        return None
    if not _NUMBER.fullmatch(text):
        raise FormulaError("not_a_number", "{text} is not a number", text=text[:40])
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        raise FormulaError("not_a_number", "{text} is not a number", text=text[:40]) from None


def number_text(value: Decimal) -> str:
    """A number as text."""
    return plain(value)


def datetime_text(value: datetime) -> str:
    """``2026-11-21 08:00:00Z``."""
    return value.strftime("%Y-%m-%d %H:%M:%SZ").rjust(20, "0")


def date_text(value: date) -> str:
    """``2026-11-21``."""
    return value.isoformat()


def time_text(value: time) -> str:
    """``08:00:00.000``."""
    return value.isoformat("milliseconds")


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


def _trim(text: str) -> str | None:
    return " ".join(part for part in text.strip(" ").split(" ") if part) or None


def _repeat(text: str, times: Decimal) -> str | None:
    count = max(int(times), 0)
    _room(len(text) * count)
    return text * count or None


def _regex(text: str | None, pattern: str | None) -> bool:
    return matches(pattern or "", text or "")


def _json_path(document: str, path: str) -> str | None:
    if not document.strip():
        return None
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise FormulaError("not_json", "{text} is not JSON", text=document[:40]) from None
    if not _JSON_PATH.fullmatch(path):
        raise FormulaError("bad_path", "{path} is not a path like $.order.lines[0].name", path=path)
    for name, place in _JSON_STEP.findall(path):
        try:
            value = value[int(place)] if place else value[name]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(value, str) or value is None:
        return value or None
    return orjson.dumps(value).decode()


def _json_value(document: str, key: str) -> str | None:
    return _json_path(document, f"$.{key}")


def _char(code: Decimal) -> str | None:
    try:
        return chr(int(code)) if code >= 1 else None
    except (ValueError, OverflowError):
        raise FormulaError("bad_character_code", "There is no character {code}", code=code) from None


def _proper(text: str) -> str:
    return re.sub(r"[^\W_]+", lambda m: m.group()[0].upper() + m.group()[1:].lower(), text)


def _address(text: str | None) -> str:
    """An address for an attribute; ``&`` stays, since it is a part of addresses."""
    return html.escape(text or "").replace("&amp;", "&")


def _link(address: str | None, shown: str | None, target: str | None = None) -> str:
    attribute = f' target="{html.escape(target)}"' if target else ""
    return f'<a href="{_address(address)}"{attribute}>{html.escape(shown or "", quote=False)}</a>'


def _image(address: str | None, text: str | None, height: Decimal | None = None, width: Decimal | None = None) -> str:
    sizes = f' height="{int(height)}" width="{int(width)}"' if height is not None and width is not None else ""
    return f'<img src="{_address(address)}" alt="{html.escape(text or "")}"{sizes}/>'


def _same_text(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    return args[0]


def _case_safe(value: str) -> str:
    if len(value) != 15:
        return value
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    groups = (value[i : i + 5] for i in (0, 5, 10))
    return value + "".join(letters[sum(1 << i for i, c in enumerate(g) if c.isascii() and c.isupper())] for g in groups)


def _exact(first: Any, second: Any) -> bool:
    return (first or "") == (second or "")


FUNCTIONS = (
    define(
        "TEXT",
        "number",
        "text",
        number_text,
        group="Text",
        doc="The value as text: numbers plainly, dates as 2026-11-21, date-times as 2026-11-21 08:00:00Z.",
        examples=[("TEXT(12.50)", "12.5"), ("TEXT(DATE(2026, 1, 2))", "2026-01-02")],
        also=[
            overload("TEXT", "datetime", "text", datetime_text, form="TEXT_DATETIME"),
            overload("TEXT", "date", "text", date_text, form="TEXT_DATE"),
            overload("TEXT", "time", "text", time_text, form="TEXT_TIME"),
            overload("TEXT", "text", "text", build=_same_text, strict=False, form="TEXT_TEXT"),
        ],
    ),
    define(
        "VALUE",
        "text",
        "number",
        to_number,
        group="Text",
        doc="The number a text shows.",
        examples=[('VALUE(" 12.5 ")', "12.5"), ('VALUE(".40")', "0.40")],
    ),
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
        "text, locale: text?",
        "text",
        lambda t, _=None: t.upper(),
        group="Text",
        doc="In capitals.",
        examples=[('UPPER("abc")', "ABC")],
    ),
    define(
        "LOWER",
        "text, locale: text?",
        "text",
        lambda t, _=None: t.lower(),
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
        "REGEX",
        "text, pattern: text",
        "boolean",
        _regex,
        strict=False,
        group="Text",
        doc="True when the whole text fits the regular expression.",
        examples=[('REGEX("AB-12", "[A-Z]{2}-\\\\d+")', True)],
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
        "JSONVALUE",
        "document: text, key: text",
        "text",
        _json_value,
        group="Text",
        doc="The value of a key of a JSON text.",
        examples=[("JSONVALUE('{\"a\": 45}', 'a')", "45")],
    ),
    define(
        "JSONPATHVALUE",
        "document: text, path: text",
        "text",
        _json_path,
        group="Text",
        doc="A value out of a JSON text, by a path such as $.order.lines[0].name.",
        examples=[("JSONPATHVALUE('{\"a\": [1, 2]}', '$.a[1]')", "2")],
    ),
    define(
        "CHR",
        "code: number",
        "text",
        _char,
        group="Text",
        doc="The character with a code.",
        examples=[("CHR(65)", "A")],
    ),
    define(
        "ASCII",
        "text",
        "number",
        lambda t: Decimal(ord(t[0])) if t else None,
        group="Text",
        doc="The code of the first character.",
        examples=[('ASCII("A")', "65")],
    ),
    define("BR", "", "text", lambda: "\n", group="Text", doc="A line break.", examples=[("BR()", "\n")]),
    define(
        "HYPERLINK",
        "address: text, shown: text, target: text?",
        "text",
        _link,
        strict=False,
        group="Text",
        doc="A link (HTML).",
        examples=[('HYPERLINK("https://example.org", "go")', '<a href="https://example.org">go</a>')],
    ),
    define(
        "IMAGE",
        "address: text, text: text, height: number?, width: number?",
        "text",
        _image,
        strict=False,
        group="Text",
        doc="A picture (HTML).",
        examples=[('IMAGE("/star.png", "star")', '<img src="/star.png" alt="star"/>')],
    ),
    define(
        "ISNUMBER",
        "text",
        "boolean",
        lambda t: bool(t and _NUMBER.fullmatch(t)),
        strict=False,
        group="Text",
        doc="True when VALUE can read the text.",
        examples=[('ISNUMBER("1.5")', True), ('ISNUMBER("x")', False)],
        also=[overload("ISNUMBER", "number", "boolean", lambda n: n is not None, strict=False, form="ISNUMBER_NUMBER")],
    ),
    define(
        "CASESAFEID",
        "id: text",
        "text",
        _case_safe,
        group="Text",
        doc="A 15-character id made safe for systems that ignore case; other ids stay.",
        examples=[('CASESAFEID("001A0000006Vm9r")', "001A0000006Vm9rIAC")],
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
