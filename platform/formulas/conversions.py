"""Texts out of other values and other values out of texts: TEXT, VALUE, JSON, links, patterns, character codes."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from urllib.parse import quote_plus

import orjson

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import Run, define, overload
from ratoon.platform.formulas.numeric import plain
from ratoon.platform.formulas.patterns import matches
from ratoon.platform.formulas.tree import Typed

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?\s*", re.ASCII)


_JSON_PATH = re.compile(r"\$(\.\w+|\[\d{1,9}\])*")


_JSON_STEP = re.compile(r"\.(\w+)|\[(\d{1,9})\]")


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
        "HTMLENCODE",
        "text",
        "text",
        html.escape,
        group="Text",
        doc="A text that can stand in HTML: signs with a meaning there are written out.",
        examples=[('HTMLENCODE("a < b")', "a &lt; b")],
    ),
    define(
        "URLENCODE",
        "text",
        "text",
        lambda text: quote_plus(text, errors="replace"),
        group="Text",
        doc="A text that can stand in the query of an address.",
        examples=[('URLENCODE("a & b")', "a+%26+b")],
    ),
    define(
        "JSENCODE",
        "text",
        "text",
        lambda text: orjson.dumps(text).decode()[1:-1].replace("'", "\\'").replace("/", "\\/"),
        group="Text",
        doc="A text that can stand in a text of JavaScript or JSON.",
        examples=[("JSENCODE('say \"hi\"')", 'say \\"hi\\"')],
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
)
