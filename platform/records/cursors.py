"""Cursors: where the next page starts, signed so that an edited one is refused.

A cursor holds the sort it belongs to and the sort values of the last row, as typed JSON, and a keyed hash
over both. It is
opaque to clients and says nothing they could not read in the last row.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import orjson

from ratoon.platform.errors import BadRequest

_TAG_BYTES = 12


def encode(secret: bytes, shape: str, values: Sequence[Any]) -> str:
    """A cursor for ``values`` of a list of that ``shape`` (object, filter and sort)."""
    body = orjson.dumps([_shape(shape), [_pack(v) for v in values]])
    return base64.urlsafe_b64encode(_tag(secret, body) + body).decode().rstrip("=")


def decode(secret: bytes, shape: str, cursor: str) -> tuple[Any, ...]:
    """The values in a cursor. Raises ``BadRequest`` when it was edited or belongs to another list."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (ValueError, UnicodeEncodeError):
        raise BadRequest("The cursor is damaged; start again from the first page.", field="cursor") from None
    tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(secret, body)):
        raise BadRequest("The cursor is damaged; start again from the first page.", field="cursor")
    made_for, values = orjson.loads(body)
    if made_for != _shape(shape):
        raise BadRequest("The cursor belongs to another list, filter or sort.", field="cursor")
    return tuple(_unpack(v) for v in values)


def _tag(secret: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=secret[:64], digest_size=_TAG_BYTES).digest()


def _shape(shape: str) -> str:
    return hashlib.blake2b(shape.encode(), digest_size=6).hexdigest()


def _pack(value: Any) -> Any:
    match value:
        case Decimal():
            return ["n", str(value)]
        case datetime():
            return ["m", value.isoformat()]
        case date():
            return ["d", value.isoformat()]
        case time():
            return ["t", value.isoformat()]
        case _:
            return value


def _unpack(value: Any) -> Any:
    match value:
        case ["n", text]:
            return Decimal(text)
        case ["m", text]:
            return datetime.fromisoformat(text)
        case ["d", text]:
            return date.fromisoformat(text)
        case ["t", text]:
            return time.fromisoformat(text)
        case _:
            return value
