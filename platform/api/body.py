"""Reading what a client sent, strictly: JSON bodies and query parameters.

A body is JSON with the right content type, within the size limit, without a key that stands twice in one object,
without NaN, infinities or numbers too large to be exact, and not nested deeper than a parser cares to go. Anything
else is a ``BadBody`` that says what and where. Parameters that a resource does not know are refused with the nearest
name it knows: a misspelt filter must not mean *everything*.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from flask import Request

from ratoon.platform.errors import BadRequest

MAX_PARAMETER = 20_000
"""Characters in one query parameter."""


class BadBody(BadRequest):
    """A body that is not the JSON that was asked for."""

    code = "malformed_json"


class DuplicateKey(BadRequest):
    """A JSON object that holds one key twice: no telling which was meant."""

    code = "duplicate_key"


class UnsupportedMediaType(BadRequest):
    """A body that does not say it is JSON."""

    code = "unsupported_media_type"


class BodyTooLarge(BadRequest):
    """More bytes than the operator allows."""

    code = "body_too_large"


class UnknownParameter(BadRequest):
    """A query parameter that this resource does not know."""

    code = "unknown_parameter"


def read_bytes(request: Request, limit: int, *, also: Collection[str] = ()) -> bytes:
    """The whole body. Raises ``BodyTooLarge`` above ``limit`` bytes, ``UnsupportedMediaType`` if it is neither JSON
    nor one of the media types in ``also``."""
    if (request.content_length or 0) > limit:
        raise BodyTooLarge("The body is larger than {limit} bytes.", limit=limit)
    kind = request.environ.get("CONTENT_TYPE", "")
    if kind != "application/json":
        kind = request.mimetype
    if kind != "application/json" and not kind.endswith("+json") and kind not in also:
        raise UnsupportedMediaType("Send JSON with the header Content-Type: application/json, not {kind}.", kind=kind)
    request.max_content_length = limit
    return request.get_data()


def parse(data: bytes) -> Any:
    """The JSON value in ``data``. Raises ``BadBody`` or ``DuplicateKey``."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadBody(
            "The body is not JSON: {reason} (line {line}, column {column}).",
            reason=error.msg.partition(": line")[0],
            line=error.lineno,
            column=error.colno,
        ) from None
    try:
        if _may_repeat(data, value):
            json.loads(data, object_pairs_hook=_pairs)
    except RecursionError:
        raise BadBody("The body is nested too deeply.") from None
    return value


def read_json(request: Request, limit: int) -> Any:
    """The JSON value of a request's body."""
    return parse(read_bytes(request, limit))


def an_object(value: Any) -> dict[str, Any]:
    """The value, which must be a JSON object. Raises ``BadBody``."""
    if not isinstance(value, dict):
        raise BadBody("The body is {found}; a JSON object is expected.", found=_kind(value))
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """The value, which must be a list of JSON objects. Raises ``BadBody``."""
    for place, item in enumerate(value):
        if not isinstance(item, dict):
            raise BadBody(
                "Item {place} of the list is {found}; every item is a JSON object.", place=place, found=_kind(item)
            )
    return list(value)


def known_parameters(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The query parameters. Raises ``UnknownParameter`` for one not ``known``, ``BadRequest`` for one given twice."""
    if not request.query_string:
        return {}
    given: dict[str, str] = {}
    for name, values in request.args.lists():
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1)
            raise UnknownParameter(
                "There is no parameter {name}. Did you mean {near}?" if near else "There is no parameter {name}.",
                field=name,
                name=name[:100],
                near=near[0] if near else "",
            )
        if len(values) != 1:
            raise BadRequest("The parameter {name} is given {count} times.", field=name, name=name, count=len(values))
        if len(values[0]) > MAX_PARAMETER:
            raise BadRequest("The parameter {name} is longer than {limit}.", field=name, name=name, limit=MAX_PARAMETER)
        given[name] = values[0]
    return given


def whole_number(given: Mapping[str, str], name: str, default: int, highest: int) -> int:
    """A parameter that is a number from 1 to ``highest``. Raises ``BadRequest``."""
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= highest):
        raise BadRequest("{name} is a whole number from 1 to {highest}.", field=name, name=name, highest=highest)
    return int(text)


def flag(given: Mapping[str, str], name: str) -> bool:
    """A parameter that is ``true`` or ``false``; absent is false. Raises ``BadRequest``."""
    text = given.get(name, "false")
    if text not in ("true", "false"):
        raise BadRequest("{name} is true or false.", field=name, name=name)
    return text == "true"


def words(given: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """A parameter that is a list separated by commas; ``None`` when it is absent or empty."""
    text = given.get(name)
    if not text:
        return None
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _may_repeat(data: bytes, value: Any) -> bool:
    """Whether a key may stand twice. A key ends with ``":`` unless there is space before the colon; when that stands
    in the text as often as the value has keys, none was lost. Otherwise a slower look decides."""
    keys = _keys_of_flat(data, value)
    if keys is None:
        keys = _keys(value)
    return data.count(b'":') != keys or any(s in data and s + b":" in data for s in (b" ", b"\n", b"\t", b"\r"))


def _keys_of_flat(data: bytes, value: Any) -> int | None:
    """How many object keys there are in an object, or a list of objects, that holds nothing nested: its text has no
    other brackets. ``None`` when it may hold more."""
    items = value if isinstance(value, list) else [value]
    if any(type(item) is not dict for item in items):
        return None
    if data.count(b"{") != len(items) or data.count(b"[") != (items is value):
        return None
    return sum(map(len, items))


def _keys(value: Any) -> int:
    """How many object keys there are in a parsed value."""
    if isinstance(value, dict):
        return len(value) + sum(_keys(item) for item in value.values() if isinstance(item, dict | list))
    if isinstance(value, list):
        return sum(_keys(item) for item in value if isinstance(item, dict | list))
    return 0


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey("The key {key} stands twice in one object.", field=key, key=key[:100])
            seen.add(key)
    return found


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
