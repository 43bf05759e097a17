"""PostgreSQL forms of text functions. A blank text counts as empty; an empty result is NULL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Numeric, Text, and_, case, cast, false, func, literal, null, or_
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from ratoon.platform.formulas.postgresql_numbers import numeric, whole
from ratoon.platform.formulas.sql import Sql
from ratoon.platform.formulas.texts import MAX_TEXT

NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?\s*$"


def filled(value: Any) -> Sql:
    """The text, empty for blank."""
    return func.coalesce(value, "", type_=Text())


def blanked(value: Any) -> Sql:
    """NULL for the empty text."""
    return func.nullif(value, "", type_=Text())


def matches(value: Any, pattern: str) -> Sql:
    """True when the pattern is found in the text."""
    return value.op("~", is_comparison=True)(literal(pattern, Text()))


def concat(*args: Sql) -> Sql:
    """``&``"""
    joined = filled(args[0])
    for arg in args[1:]:
        joined = joined.op("||")(filled(arg))
    return blanked(joined)


def _counted(compute: Callable[[Sql, Sql], Sql]) -> Callable[[Sql, Sql], Sql]:
    return lambda text, count: case((count >= 1, blanked(compute(text, whole(count)))), else_=null())


def _mid(text: Sql, start: Sql, count: Sql) -> Sql:
    return case((count >= 1, blanked(func.substr(text, whole(start, least=1), whole(count)))), else_=null())


def _substr(text: Sql, start: Sql, count: Sql | None = None) -> Sql:
    length = func.char_length(text)
    first = case((start <= -1, length + whole(start) + 1), else_=whole(start, least=1))
    if count is None:
        return case((first >= 1, blanked(func.substr(text, first))), else_=null())
    return case((and_(first >= 1, count >= 1), blanked(func.substr(text, first, whole(count)))), else_=null())


def _pad(function: Any) -> Callable[..., Sql]:
    def form(text: Sql, length: Sql, padding: Sql | None = None) -> Sql:
        size = case((length <= MAX_TEXT, whole(length, most=MAX_TEXT)), else_=0)
        padded = function(text, size) if padding is None else function(text, size, padding)
        return case((size >= 1, blanked(padded)), else_=null())

    return form


def _repeat(text: Sql, times: Sql) -> Sql:
    count = whole(times, 0, MAX_TEXT)
    fits = func.char_length(text) * count <= MAX_TEXT
    return case((and_(fits, times <= MAX_TEXT), blanked(func.repeat(text, case((fits, count), else_=0)))), else_=null())


def _too_long(form: str) -> Callable[..., Sql]:
    """Fails when a text of some length was asked for and there is none."""
    return lambda text, count, *rest: and_(count >= 1, func.char_length(text) > 0, FORMS[form](text, count).is_(None))


def _find(part: Sql, text: Sql, start: Sql | None = None) -> Sql:
    if start is None:
        return numeric(func.coalesce(func.strpos(text, blanked(part)), 0))
    first = func.coalesce(whole(start, least=1), 1)
    place = func.strpos(func.substr(text, first), blanked(part))
    return numeric(case((place > 0, place + first - 1), else_=0))


def _substitute(text: Sql, old: Sql, new: Sql) -> Sql:
    return blanked(func.replace(text, blanked(old), filled(new)))


def _ends(text: Sql, part: Sql) -> Sql:
    return func.right(filled(text), func.char_length(filled(part))) == filled(part)


def _escape(text: Sql, quotes: bool = True) -> Sql:
    escaped = func.replace(func.replace(func.replace(filled(text), "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
    return func.replace(func.replace(escaped, '"', "&quot;"), "'", "&#x27;") if quotes else escaped


def _address(text: Sql) -> Sql:
    return func.replace(_escape(text), "&amp;", "&")


def _link(address: Sql, shown: Sql, target: Sql | None = None) -> Sql:
    where: Any = literal("", Text())
    if target is not None:
        attribute = func.concat(' target="', _escape(target), '"', type_=Text())
        where = case((func.coalesce(target, "") == "", ""), else_=attribute)
    return func.concat('<a href="', _address(address), '"', where, ">", _escape(shown, False), "</a>", type_=Text())


def _image(address: Sql, text: Sql, height: Sql | None = None, width: Sql | None = None) -> Sql:
    size: Any = literal("", Text())
    if height is not None and width is not None:
        sizes = func.concat(' height="', whole(height), '" width="', whole(width), '"', type_=Text())
        size = case((or_(height.is_(None), width.is_(None)), ""), else_=sizes)
    return func.concat('<img src="', _address(address), '" alt="', _escape(text), '"', size, "/>", type_=Text())


def _json_path(document: Sql, path: Sql) -> Sql:
    steps = func.regexp_replace(func.regexp_replace(path, r"^\$\.?", ""), r"[.\[\]]+", ",", "g")
    braces = cast(func.concat("{", func.btrim(steps, ","), "}"), ARRAY(Text()))
    valid = and_(func.pg_input_is_valid(document, "jsonb"), matches(path, r"^\$(\.\w+|\[\d{1,9}\])*$"))
    parsed = cast(case((valid, document), else_=null()), JSONB())
    return blanked(cast(case((valid, parsed.op("#>>")(braces)), else_=null()), Text()))


def _char(code: Sql) -> Sql:
    usable = and_(code >= 1, code < 1_114_112, ~whole(code, most=2_000_000).between(0xD800, 0xDFFF))
    safe = case((usable, whole(code, least=1, most=1_114_111)), else_=65)
    return case((usable, func.chr(safe, type_=Text())), else_=null())


def _trimmed(value: Sql) -> Sql:
    return func.btrim(value, " \t\r\n\f", type_=Text())


FORMS: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {
        "&": concat,
        "TEXT": lambda a: cast(func.trim_scale(a, type_=Numeric()), Text()),
        "TEXT_DATETIME": lambda a: func.to_char(func.timezone("UTC", a), 'YYYY-MM-DD HH24:MI:SS"Z"', type_=Text()),
        "TEXT_DATE": lambda a: func.to_char(a, "YYYY-MM-DD", type_=Text()),
        "TEXT_TIME": lambda a: func.to_char(a, "HH24:MI:SS.MS", type_=Text()),
        "TEXT_TEXT": lambda a: a,
        "VALUE": lambda a: cast(case((matches(a, NUMBER), _trimmed(a)), else_=null()), Numeric()),
        "LEN": lambda a: numeric(func.char_length(filled(a))),
        "LEFT": _counted(lambda t, n: func.left(t, n)),
        "RIGHT": _counted(lambda t, n: func.right(t, n)),
        "MID": _mid,
        "SUBSTR": _substr,
        "UPPER": lambda a, _=None: func.replace(func.upper(a), "ß", "SS", type_=Text()),
        "LOWER": lambda a, _=None: func.lower(a, type_=Text()),
        "TRIM": lambda a: blanked(_trimmed(a)),
        "CONTAINS": lambda a, b: func.strpos(filled(a), filled(b)) > 0,
        "BEGINS": lambda a, b: func.starts_with(filled(a), filled(b)),
        "ENDS": _ends,
        "FIND": _find,
        "SUBSTITUTE": _substitute,
        "LPAD": _pad(func.lpad),
        "RPAD": _pad(func.rpad),
        "REPEAT": _repeat,
        "REVERSE": lambda a: func.reverse(a, type_=Text()),
        "CHR": _char,
        "JSONPATHVALUE": _json_path,
        "JSONVALUE": lambda a, b: _json_path(a, func.concat("$.", b, type_=Text())),
        "INITCAP": lambda a: func.initcap(a, type_=Text()),
        "PROPER": lambda a: func.initcap(a, type_=Text()),
        "ASCII": lambda a: numeric(func.nullif(func.ascii(a), 0)),
        "CONCAT": concat,
        "HTMLENCODE": lambda a: case((a.is_not(None), _escape(a)), else_=null()),
        "BR": lambda: literal("\n", Text()),
        "HYPERLINK": _link,
        "IMAGE": _image,
        "ISNUMBER": lambda a: func.coalesce(matches(a, NUMBER), false()),
        "INCLUDES": lambda a, b: func.strpos(filled(a), func.concat(";", func.coalesce(b, ";"), ";")) > 0,
        "PICKLISTCOUNT": lambda a: numeric(
            func.coalesce(func.char_length(a) - func.char_length(func.replace(a, ";", "")) - 1, 0)
        ),
    }
)
FAILURES: Mapping[str, Callable[..., Sql]] = MappingProxyType(
    {
        "VALUE": lambda a: and_(_trimmed(a) != "", ~matches(a, NUMBER)),
        "CHR": lambda a: and_(a >= 1, _char(a).is_(None)),
        "REPEAT": _too_long("REPEAT"),
        "LPAD": lambda text, length, *rest: length > MAX_TEXT,
        "RPAD": lambda text, length, *rest: length > MAX_TEXT,
    }
)
