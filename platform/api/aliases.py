"""Earlier names on their way in: a call by the old name of an object, field or value means the one of now.

An address, a body and the parameters ``fields``, ``sort``, ``expand``, ``group_by`` and ``measures`` are put into the
names of now before anything looks at them; filters know earlier names themselves (``ObjectScope``). On the way out
records have their earlier keys beside those of now (``rows.Writer``). Nothing of this costs a call whose object has no
earlier names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request

from ratoon.platform.metadata.alias_model import Aliases

LISTS = ("fields", "sort", "expand", "group_by", "measures")


def in_address(aliases: Aliases, values: dict[str, Any] | None) -> None:
    """Puts the parts of an address into the names of now."""
    if not values or "object" not in values:
        return
    values["object"] = aliases.object(values["object"])
    if "field" in values:
        values["field"] = aliases.key(values["object"], values["field"])


def in_body(aliases: Aliases, value: Any) -> Any:
    """The body with the names of now: a record or a list of records."""
    name = (request.view_args or {}).get("object")
    if name is None or (name not in aliases.keys and name not in aliases.values):
        return value
    if isinstance(value, list):
        return [dict(aliases.current(name, item)) if isinstance(item, dict) else item for item in value]
    return dict(aliases.current(name, value)) if isinstance(value, dict) else value


def in_parameters(aliases: Aliases, given: Mapping[str, str]) -> Mapping[str, str]:
    """The query parameters with the names of now."""
    name = (request.view_args or {}).get("object")
    if name is None or name not in aliases.keys:
        return given
    return {
        key: ",".join(_word(aliases, name, word) for word in text.split(",")) if key in LISTS else text
        for key, text in given.items()
    }


def _word(aliases: Aliases, object: str, word: str) -> str:
    """``-price``, ``sum:price``, ``price``"""
    before, colon, key = word.strip().rpartition(":")
    sign = "-" if key.startswith("-") else ""
    return f"{before}{colon}{sign}{aliases.key(object, key.removeprefix('-'))}"
